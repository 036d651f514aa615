"""Names: what may be one, and what is made of what may not."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from edgekit.names import distinct, is_identifier, is_label, is_tensor_name, tensor_name

ODD = [
    "", " ", "a\nb", "\x1b[2J", "\u202egpj", "\ud800", "x.npy", ".npy", "a\\b", "n" * 200, " a ", "\u2028", "\x00",
]  # fmt: skip


@pytest.mark.parametrize("name", ["file", "/", "a b", "größe", "labels", "p3.box", "x" * 100, "a:0", "%s", "1"])
def test_a_users_own_words_stay_as_they_are(name: str) -> None:
    assert is_tensor_name(name) and tensor_name(name, "output") == name


@pytest.mark.parametrize("name", ODD)
def test_what_is_no_name_becomes_one(name: str) -> None:
    assert not is_tensor_name(name)
    assert is_tensor_name(tensor_name(name, "output"))


@given(st.text())
def test_any_text_becomes_a_name(text: str) -> None:
    assert is_tensor_name(tensor_name(text, "output"))


@given(st.lists(st.sampled_from(["a", "a_1", "a_2", "b", "n" * 100, "n" * 98 + "_1"])))
def test_names_become_distinct_and_stay_names(names: list[str]) -> None:
    result = distinct(names)
    assert len(set(result)) == len(names)
    assert all(map(is_tensor_name, result))
    firsts = {name: names.index(name) for name in names}
    assert all(result[place] == name for name, place in firsts.items())


def test_labels_are_longer_and_identifiers_are_plain() -> None:
    assert is_label("l" * 200) and not is_label("l" * 201) and not is_label("a\tb")
    assert is_identifier("int8-batch32.tflite") and is_identifier("0+cpu")
    for word in ("", "-x", "a/b", "a b", "größe", "x" * 65, "a\n", "..", "$(x)"):
        assert not is_identifier(word)
