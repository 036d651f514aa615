"""What the files of each format are made of: their schemas, in files beside this one, a line for each table or message.

A line that begins with a blank continues the one before; ``#`` begins a comment.
"""

from __future__ import annotations

from pathlib import Path


def read(format: str) -> str:
    """The text of the schema of *format*."""
    return Path(__file__).with_name(f"{format}.schema").read_text(encoding="utf-8")


def lines(text: str) -> list[str]:
    """Each table or message in one line."""
    return [line for line in text.strip().replace("\n ", " ").splitlines() if not line.startswith("#")]
