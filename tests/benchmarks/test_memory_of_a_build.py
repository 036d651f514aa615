"""Memory that a build's processes take for 5,000 evaluation photographs (753 MB as bytes, 3 GB as floats).

Run with ``pytest -s -n 0 tests/benchmarks/test_memory_of_a_build.py``; prints the peak of each process. The same for
fewer and smaller photographs is a test: ``tests/pipeline/test_memory.py``.
"""

from __future__ import annotations

from pathlib import Path

from support.photographs import photographs, watched_build


def test_five_thousand_photographs(tmp_path: Path) -> None:
    peaks = watched_build(photographs(tmp_path, count=5000, size=224))
    for what, peak_bytes in sorted(peaks.items(), key=lambda item: -item[1]):
        print(f"{peak_bytes / 1e9:6.2f} GB  {what}")
