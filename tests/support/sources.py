"""Source files of other languages: read by grammars, and by the languages' own tools."""

from __future__ import annotations

import json
import os
import re
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

#: Where npm keeps what it fetched, so that the next run fetches nothing.
NPM_CACHE = Path(os.environ.get("EDGEKIT_HOME", Path.home() / ".edgekit")) / "npm"


def faults(path: Path) -> list[str]:
    """What the grammar of *path*'s language does not understand in it, or misses; one line each."""
    root = _parsed(path.read_bytes(), path.suffix)
    wrong = (node for node in _nodes(root) if node.is_error or node.is_missing)
    return [f"{path.name}:{node.start_point.row + 1}: {node.text.decode()[:60]!r}" for node in wrong]


def string_values(source: str, suffix: str) -> list[str]:
    """The values of all string literals in *source*, which is of the language of *suffix*, in their order.

    Raises:
        AssertionError: One holds an expression, or something that is no escape of the language.
    """
    literals = [node for node in _nodes(_parsed(source.encode(), suffix)) if node.type in _LITERALS]
    for literal in literals:
        inside = {node.type for node in _nodes(literal)}
        assert not inside & _EXPRESSIONS, literal.text.decode()
    return [_unescaped(literal.text.decode()[1:-1], suffix) for literal in literals]


_LITERALS = {"string_literal", "line_string_literal"}
_EXPRESSIONS = {"interpolation", "interpolated_expression", "template_substitution"}
#: What stands for itself or for another character after a backslash, as each language's own reference has it.
_SIMPLE = {"n": "\n", "r": "\r", "t": "\t", "\\": "\\", '"': '"', "'": "'"}
_ESCAPES = {
    ".kt": {**_SIMPLE, "b": "\b", "$": "$"},
    ".swift": {**_SIMPLE, "0": "\0"},
    ".dart": {**_SIMPLE, "b": "\b", "f": "\f", "v": "\v", "$": "$"},
}


def _unescaped(inside: str, suffix: str) -> str:
    """The value of a literal with *inside* between its quotes."""

    def one(match: re.Match[str]) -> str:
        if match["point"]:
            assert suffix != ".kt", "Kotlin knows no such escape"
            return chr(int(match["point"], 16))
        if match["unit"]:
            assert suffix != ".swift", "Swift knows no such escape"
            return chr(int(match["unit"], 16))
        if match["simple"]:
            return _ESCAPES[suffix][match["simple"]]
        assert suffix not in (".kt", ".dart"), f"an expression: {match[0]}"
        return match[0]

    parts = r"\\u\{(?P<point>[0-9a-fA-F]+)\}|\\u(?P<unit>[0-9a-fA-F]{4})|\\(?P<simple>.)|\$[A-Za-z_{]"
    value = re.sub(parts, one, inside)
    return value.encode("utf-16", "surrogatepass").decode("utf-16")  # units of 16 bits become characters


def _parsed(source: bytes, suffix: str) -> Any:
    import tree_sitter
    import tree_sitter_dart
    import tree_sitter_kotlin
    import tree_sitter_swift

    grammars = {".kt": tree_sitter_kotlin, ".kts": tree_sitter_kotlin, ".swift": tree_sitter_swift}
    grammar = {**grammars, ".dart": tree_sitter_dart}[suffix]
    return tree_sitter.Parser(tree_sitter.Language(grammar.language())).parse(source).root_node


def _nodes(node: Any) -> Iterator[Any]:
    yield node
    for child in node.children:
        yield from _nodes(child)


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
