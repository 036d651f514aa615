"""Arrays by name in a file: whatever the names are, numpy reads the same."""

from __future__ import annotations

import io
from pathlib import Path

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from edgekit import npz
from edgekit.names import distinct, is_tensor_name

NAMES = ("file", "args", "kwds", "allow_pickle", "/", "a/b", "../x", "größe", "labels", " ".join("abc"), "x" * 100)


def test_numpys_own_words_are_names_like_others(tmp_path: Path) -> None:
    arrays = {name: np.full((2, number), number, np.int16) for number, name in enumerate(NAMES)}
    npz.save(tmp_path / "a.npz", arrays)
    npz.save(tmp_path / "b.npz", arrays)
    with np.load(tmp_path / "a.npz", allow_pickle=False) as stored:
        assert tuple(stored.files) == NAMES
        for name, array in arrays.items():
            np.testing.assert_array_equal(stored[name], array)
    assert (tmp_path / "a.npz").read_bytes() == (tmp_path / "b.npz").read_bytes()


#: Letters, marks and signs of any script: what is no name among them is rare.
_WORDS = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=20).filter(is_tensor_name)


@given(st.lists(_WORDS, max_size=5))
def test_every_name_comes_back(names: list[str]) -> None:
    arrays = {name: np.array([number]) for number, name in enumerate(distinct(names))}
    stream = io.BytesIO()
    npz.save(stream, arrays)
    stream.seek(0)
    with np.load(stream, allow_pickle=False) as stored:
        assert {name: int(stored[name][0]) for name in stored.files} == {k: int(v[0]) for k, v in arrays.items()}


def test_rows_of_any_order_can_be_read(tmp_path: Path) -> None:
    whole = np.arange(24.0).reshape(4, 2, 3)
    arrays = {"fortran": np.asfortranarray(whole), "turned": whole.transpose(2, 0, 1), "part": whole[::2, :, 1:]}
    npz.save(tmp_path / "a.npz", arrays)
    for name, rows in npz.open_rows(tmp_path / "a.npz").items():
        np.testing.assert_array_equal(rows[1:3], arrays[name][1:3])
