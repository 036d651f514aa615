"""Thirty architectures through edgekit and the raw converters: ``python tests/conformance/architectures [NAME…]``.

Needs ``pip install transformers`` besides the extras ``build,keras``. Prints a table; what each of them said stands in
``--results FILE``, and what is there is not tried again.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Any

import numpy as np

HERE = Path(__file__).parent
VARIANTS = ("fp32.tflite", "int8.tflite", "fp32.pte", "int8.pte")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.partition("\n")[0])
    parser.add_argument("names", nargs="*", help="architectures; all of them by default")
    parser.add_argument("--results", type=Path, default=Path("architectures.json"))
    given = parser.parse_args()
    known: dict[str, Any] = json.loads(given.results.read_text()) if given.results.exists() else {}
    for module in ("torch_models", "keras_models"):
        for name in _names(module):
            if name in known or (given.names and name not in given.names):
                continue
            with tempfile.TemporaryDirectory() as folder:
                known[name] = {"edgekit": _built(module, name, Path(folder)), "raw": _raw(module, name, Path(folder))}
            given.results.write_text(json.dumps(known, indent=1))
            print(_row(name, known[name]), flush=True)
    print(table(known))


def _names(module: str) -> list[str]:
    code = f"import sys; sys.path.insert(0, {str(HERE)!r}); import {module}; print(*{module}.names())"
    said = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True)
    return said.stdout.split()


def _built(module: str, name: str, folder: Path) -> dict[str, Any]:
    """What ``edgekit build`` says of each variant: a figure, or why there is none."""
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import numpy, {module} as made\n"
        f"given = made.samples({name!r})\n"
        f"numpy.savez({str(folder / 'samples.npz')!r}, **(given if isinstance(given, dict) else {{'input': given}}))"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    source = f"{HERE / module}.py:{name}"
    if module == "keras_models":
        source = str(_saved(name, folder))
        samples = dict(np.load(folder / "samples.npz"))
        np.save(folder / "samples.npy", samples["input"])
    calibration = folder / ("samples.npy" if module == "keras_models" else "samples.npz")
    command = [sys.executable, "-m", "edgekit.cli.main", "build", source, "--target", "rpi5", "--json"]
    command += [word for variant in ("fp32", "int8") for word in ("--recipe", variant)]
    command += [word for format in ("tflite", "pte") for word in ("--format", format)]
    command += ["--calibration", str(calibration), "-o", str(folder / "built")]
    done = subprocess.run(command, capture_output=True, text=True)
    try:
        document = json.loads(done.stdout)
    except ValueError:
        return dict.fromkeys(VARIANTS, f"crashed: {done.stderr[-300:]}")
    if "variants" not in document:
        return dict.fromkeys(VARIANTS, _said(document["error"]))
    answers = {
        row["name"]: _said(row["error"]) if "error" in row else f"ok {row['snr_db']:.1f} dB, {row['size_bytes']} bytes"
        for row in document["variants"]
    }
    answers |= {row["name"]: f"refused: {row['reason']}" for row in document["skipped"]}
    return {variant: answers.get(variant, "missing") for variant in VARIANTS}


def _said(error: dict[str, Any]) -> str:
    return f"refused: {error['message']} [{error['code']}]"


def _saved(name: str, folder: Path) -> Path:
    path = folder / f"{name}.keras"
    code = (
        f"import sys; sys.path.insert(0, {str(HERE)!r}); import keras_models; keras_models.{name}().save({str(path)!r})"
    )
    subprocess.run([sys.executable, "-c", code], check=True, capture_output=True)
    return path


def _raw(module: str, name: str, folder: Path) -> dict[str, Any]:
    """What the converters give when they are called plainly, each in a process of its own."""
    answers = {}
    for variant in VARIANTS:
        command = [sys.executable, str(HERE / "raw.py"), module, name, variant, str(folder)]
        try:
            done = subprocess.run(command, capture_output=True, text=True, timeout=900)
        except subprocess.TimeoutExpired:
            answers[variant] = "fails: takes more than 15 minutes"
            continue
        lines = done.stdout.strip().splitlines()
        found = lines[-1] if lines and lines[-1].startswith(("ok", "fails", "wrong")) else ""
        answers[variant] = found or f"crashed ({done.returncode}): {done.stderr.strip()[-200:]}"
    return answers


def _row(name: str, found: dict[str, Any]) -> str:
    cells = [
        " ".join("+" if found[who][each].startswith("ok") else "-" for each in VARIANTS) for who in ("edgekit", "raw")
    ]
    return f"{name:24} {cells[0]}   {cells[1]}"


def table(known: dict[str, Any]) -> str:
    """How many of each, and of edgekit's what failed and why."""
    lines = [f"{'':24} edgekit: {' '.join(VARIANTS)}; then raw"]
    lines += [_row(name, found) for name, found in known.items()]
    for who in ("edgekit", "raw"):
        counts = {each: sum(found[who][each].startswith("ok") for found in known.values()) for each in VARIANTS}
        both = sum(all(found[who][f"fp32.{f}"].startswith("ok") for f in ("tflite", "pte")) for found in known.values())
        lines.append(f"{who}: {counts}; fp32 in both formats {both} of {len(known)}")
    for name, found in known.items():
        lines += [f"{name} {each}: {said}" for each, said in found["edgekit"].items() if not said.startswith("ok")]
    return "\n".join(lines)


if __name__ == "__main__":
    main()
