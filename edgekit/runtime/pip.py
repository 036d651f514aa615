"""pip as edgekit calls it: exact files by their SHA-256, and what went wrong in one line."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from edgekit.runtime import children

_QUIET = ("--quiet", "--disable-pip-version-check", "--no-input", "--retries", "2", "--timeout", "30")


def fetch(
    python: Sequence[str | Path], verb: str, files: Mapping[str, Sequence[str]], scratch: Path, *options: str
) -> str | None:
    """Have pip install or download exactly these wheels.

    Args:
        python: Whose pip: the program, and the option that keeps the current folder off its import path.
        verb: ``install`` or ``download``.
        files: Requirement (``NAME==VERSION``) -> the SHA-256 that its file may have, one for each kind of machine.
            Whatever they need in turn is among them.
        scratch: A folder for the list that pip reads.
        options: More for the command line.

    Returns:
        What went wrong, in one line, or None.
    """
    wanted = scratch / "requirements.txt"
    lines = [" ".join([name, *(f"--hash=sha256:{digest}" for digest in files[name])]) for name in files]
    wanted.write_text("\n".join(lines) + "\n", encoding="utf-8")
    exact = ["--no-deps", "--only-binary", ":all:", "--require-hashes", "--requirement", str(wanted)]
    command = [*python, "-m", "pip", verb, *_QUIET, *exact, *options]
    result = children.run([str(word) for word in command], capture_output=True)
    if result.returncode == 0:
        return None
    return _reason(result.stderr) or f"pip ended with exit code {result.returncode}"


def _reason(said: str) -> str:
    if "DO NOT MATCH THE HASHES" in said:
        return "what the package index sent is another file than the pinned one"
    if "Retrying (" in said:  # pip goes on to say that there is no such package
        return "the package index cannot be reached"
    lines = [line for line in said.splitlines() if line.startswith("ERROR")]
    return lines[0].removeprefix("ERROR: ")[:300] if lines else ""
