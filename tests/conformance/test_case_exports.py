"""More operators as people have them: the right value in every file. Run when it is named."""

from __future__ import annotations

from pathlib import Path

import pytest
from support.case_builds import check_floats


@pytest.mark.parametrize(
    "name",
    [
        "SumsInPlace", "SumsOfWholeNumbers", "SameByFunctions", "Pads", "CropsOnALine", "ResizesToTheNearest",
        "ResizesALine", "Buckets", "Repeated", "Filter", "Plane", "Embedding", "Bits", "Volumes",
    ],
)  # fmt: skip
def test_the_right_value_comes_out_of_every_float_file(
    name: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    check_floats(name, tmp_path, capsys)
