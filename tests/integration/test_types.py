"""The scripts against the types of the real packages, by TypeScript's compiler."""

from __future__ import annotations

import json
import subprocess
from pathlib import Path

import pytest
from integration.conftest import write_starter
from support.sources import npm

#: What React Native brings without an import.
REACT_NATIVE = """
declare function atob(text: string): string;
declare module '*.tflite' { const asset: number; export = asset; }
"""

pytestmark = pytest.mark.slow


def type_faults(folder: Path, library: list[str]) -> str:
    """What the compiler says of the scripts in *folder*; empty when it finds nothing wrong."""
    npm(folder, "typescript@5.9.3", "--no-save")
    options = {
        "allowJs": True,
        "checkJs": True,
        "strict": True,
        "noEmit": True,
        "skipLibCheck": True,
        "noUnusedLocals": True,
        "target": "es2022",
        "module": "esnext",
        "moduleResolution": "bundler",
        "lib": library,
        "types": [],
    }
    included = ["main.js", "edgekit/*.js", "*.d.ts"]  # and what they import
    settings = {"compilerOptions": options, "include": included}
    (folder / "tsconfig.json").write_text(json.dumps(settings))
    process = subprocess.run(
        ["node_modules/.bin/tsc", "-p", "."], cwd=folder, capture_output=True, text=True, timeout=120, check=False
    )
    return process.stdout + process.stderr


def test_the_web(small_bundle: Path, tmp_path: Path) -> None:
    folder = write_starter(small_bundle, "web", tmp_path / "starter")
    assert type_faults(folder, ["es2022", "dom", "dom.iterable"]) == ""
    engine = folder / "engine.js"
    engine.write_text(engine.read_text().replace("accelerator: 'wasm'", "accelerator: 'cpu'"))
    assert "'\"cpu\"' is not assignable" in type_faults(folder, ["es2022", "dom", "dom.iterable"])


@pytest.mark.parametrize(
    ("variant", "right", "wrong"),
    [("fp32.tflite", "model.run(", "model.runAll("), ("fp32.pte", "tensor('float32'", "tensor('float33'")],
    ids=["tflite", "pte"],
)
def test_react_native(small_bundle: Path, variant: str, right: str, wrong: str, tmp_path: Path) -> None:
    folder = write_starter(small_bundle, "react-native", tmp_path / "starter", variant)
    (folder / "globals.d.ts").write_text(REACT_NATIVE)
    assert type_faults(folder, ["es2022"]) == ""
    engine = folder / "edgekit" / "engine.js"
    engine.write_text(engine.read_text().replace(right, wrong))
    assert "engine.js" in type_faults(folder, ["es2022"])
