"""Source files of other languages: read by grammars, and by the languages' own tools."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Where npm keeps what it fetched, so that the next run fetches nothing.
NPM_CACHE = Path(os.environ.get("EDGEKIT_HOME", Path.home() / ".edgekit")) / "npm"


def faults(path: Path) -> list[str]:
    """What the grammar of *path*'s language does not understand in it, or misses; one line each."""
    import tree_sitter
    import tree_sitter_dart
    import tree_sitter_kotlin
    import tree_sitter_swift

    grammars = {".kt": tree_sitter_kotlin, ".kts": tree_sitter_kotlin, ".swift": tree_sitter_swift}
    grammar = {**grammars, ".dart": tree_sitter_dart}[path.suffix]
    tree = tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(path.read_bytes())

    def wrong(node: Any) -> Iterator[str]:
        if node.is_error or node.is_missing:
            yield f"{path.name}:{node.start_point.row + 1}: {node.text.decode()[:60]!r}"
        for child in node.children:
            yield from wrong(child)

    return list(wrong(tree.root_node))


def sources(folder: Path, *suffixes: str) -> list[Path]:
    """The files below *folder* with these suffixes; at least one."""
    found = sorted(path for path in folder.rglob("*") if path.suffix in suffixes and "node_modules" not in path.parts)
    assert found
    return found


def node(folder: Path, script: str) -> Any:
    """The JSON that *script*, a module in *folder*, prints."""
    command = ["node", "--input-type=module", "--eval", script]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=60, check=False)
    assert process.returncode == 0, process.stderr
    return json.loads(process.stdout)


def script_faults(paths: list[Path]) -> list[str]:
    """What node's parser says of modules that it does not understand; one line each."""
    script = """
      const { readFileSync } = require('node:fs');
      const { SourceTextModule } = require('node:vm');
      const faults = process.argv.slice(1).flatMap((path) => {
        try { new SourceTextModule(readFileSync(path, 'utf8')); return []; }
        catch (error) { return [`${path}: ${error.message}`]; }
      });
      console.log(JSON.stringify(faults));
    """
    command = ["node", "--no-warnings", "--experimental-vm-modules", "--eval", script, *map(str, paths)]
    process = subprocess.run(command, capture_output=True, text=True, timeout=60, check=True)
    found: list[str] = json.loads(process.stdout)
    return found


def npm(folder: Path, *arguments: str) -> None:
    """``npm install`` in *folder*; nothing that a package brings is run."""
    command = ["npm", "install", *arguments, "--ignore-scripts", "--no-audit", "--no-fund", "--legacy-peer-deps"]
    command += ["--prefer-offline", f"--cache={NPM_CACHE}"]
    process = subprocess.run(command, cwd=folder, capture_output=True, text=True, timeout=300, check=False)
    assert process.returncode == 0, process.stderr
