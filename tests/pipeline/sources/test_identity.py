"""What a factory makes is known by its weights and its structure, whatever it made them of."""

from __future__ import annotations

import functools
import subprocess
import sys
from collections import OrderedDict, deque
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from edgekit.errors import UsageError
from edgekit.pipeline.sources import SourceSpec, open_source
from edgekit.pipeline.sources.identity import Identity, digest
from edgekit.pipeline.sources.torch_identity import identity
from edgekit.tensors import TensorSpec

NET = """\
import torch
from torch import nn


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.linear = nn.Linear(4, 3)
        self.register_buffer("kept", torch.ones(3))
        self.register_buffer("table", torch.ones(3), persistent=False)
        self.plain = torch.ones(3)
        self.steps, self.options = 2, {"scale": [1.0, 2.0]}

    def forward(self, x):
        return self.linear(x) * self.kept + self.table


def make():
    torch.manual_seed(0)
    return Net()
"""


def write(folder: Path, code: str) -> SourceSpec:
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "net.py").write_text(code)
    return SourceSpec("torch", str(folder / "net.py"), "make", inputs=(TensorSpec("x", (1, 4), "float32"),))


def found(folder: Path, code: str = NET, seed: int | None = None) -> Identity:
    return identity(write(folder, code), seed)


def test_the_same_code_elsewhere_makes_the_same_model(tmp_path: Path) -> None:
    assert found(tmp_path / "one") == found(tmp_path / "other")


@pytest.mark.parametrize(
    "change",
    [
        ("manual_seed(0)", "manual_seed(1)"),
        ('"kept", torch.ones(3)', '"kept", torch.zeros(3)'),
        ('"table", torch.ones(3)', '"table", torch.zeros(3)'),
    ],
)
def test_other_parameters_and_buffers_are_other_weights(tmp_path: Path, change: tuple[str, str]) -> None:
    one, other = found(tmp_path / "one"), found(tmp_path / "other", NET.replace(*change))
    assert one.weights != other.weights and one.structure != other.structure


@pytest.mark.parametrize(
    "change",
    [
        ("self.plain = torch.ones(3)", "self.plain = torch.zeros(3)"),
        ("self.steps, self.options = 2", "self.steps, self.options = 3"),
        ("[1.0, 2.0]", "[1.0, 2.5]"),
        ("self.linear(x) *", "self.linear(x) +"),
        ("return Net()", "net = Net(); net.requires_grad_(False); return net"),
        ("return Net()", "net = Net(); net.linear.register_forward_hook(lambda *a: a[2] * 2); return net"),
        ("return Net()", "net = Net(); net.forward = lambda x: net.linear(x); return net"),
        ("return Net()", "net = Net(); net.act = nn.GELU(); return net"),
        ("return Net()", "net = Net(); net.act = nn.GELU(approximate='tanh'); return net"),
        ("return Net()", "net = Net(); net.kind = torch.float16; return net"),
    ],
)
def test_other_attributes_and_code_are_another_structure(tmp_path: Path, change: tuple[str, str]) -> None:
    one, other = found(tmp_path / "one"), found(tmp_path / "other", NET.replace(*change))
    assert one.weights == other.weights and one.structure != other.structure
    assert found(tmp_path / "again", NET.replace(*change)) == other


GLOBALS = """\
import torch
from torch import nn

import settings
from settings import shift

SCALE = 2.0


class Net(nn.Module):
    TABLE = torch.ones(3)

    def __init__(self):
        super().__init__()
        torch.manual_seed(0)
        self.linear = nn.Linear(4, 3)

    def forward(self, x):
        return [shift(y * settings.FACTOR) for y in (self.linear(x) * SCALE + self.TABLE,)][0]


def make():
    return Net()
"""


@pytest.mark.parametrize("what", ["net.SCALE", "net.Net.TABLE", "settings.FACTOR", "settings.OFFSET"])
def test_what_a_forward_takes_from_modules_is_part_of_the_model(tmp_path: Path, what: str) -> None:
    """As when it was read by a library in C, from a file that nobody sees opened."""
    settings = "import torch\nFACTOR, OFFSET = 2.0, torch.ones(3)\ndef shift(x):\n    return x + OFFSET\n"
    digests = []
    for number, value in enumerate((1.5, 1.5, 2.5)):
        folder = tmp_path / str(number)
        folder.mkdir()
        (folder / "settings.py").write_text(settings)
        module, name = what.split(".", 1)
        late = f"import sys, torch\nsys.modules.pop('settings', None)\nsys.path.insert(0, {str(folder)!r})\n"
        set_it = f"    import sys\n    net = sys.modules[__name__]\n    {module}.{name} = torch.full((3,), {value})\n"
        digests.append(found(folder, late + GLOBALS.replace("    return Net()", set_it + "    return Net()")))
        sys.path.remove(str(folder))
    assert digests[0].weights == digests[2].weights
    assert [each.structure == digests[0].structure for each in digests] == [True, True, False]


def test_a_seed_is_set_where_training_sets_one(tmp_path: Path) -> None:
    unseeded = NET.replace("    torch.manual_seed(0)\n", "")
    assert found(tmp_path / "a", unseeded, seed=3) == found(tmp_path / "a", unseeded, seed=3)
    assert found(tmp_path / "a", unseeded, seed=3).weights != found(tmp_path / "a", unseeded, seed=4).weights
    assert found(tmp_path / "a", unseeded, seed=3).repeats
    own = NET.replace("torch.manual_seed(0)", "torch.seed()")
    assert not found(tmp_path / "b", own, seed=3).repeats


@pytest.mark.parametrize("line", ["torch.seed()", "pass"])
def test_what_a_factory_drew_when_it_was_first_called_is_its_model(tmp_path: Path, line: str) -> None:
    """Parameters, buffers, and tensors that no state_dict has."""
    code = NET.replace("torch.manual_seed(0)", line).replace("torch.ones(3)", "torch.randn(3)")
    spec = replace(write(tmp_path, code), made=str(tmp_path / "made.pt"))
    assert not identity(spec, None).repeats
    rows = {"x": np.random.default_rng(0).normal(size=(5, 4)).astype(np.float32)}
    (first,) = open_source(spec).predict(rows).values()
    (again,) = open_source(spec).predict(rows).values()
    (other,) = open_source(replace(spec, made=None)).predict(rows).values()
    assert np.array_equal(first, again) and not np.allclose(first, other)


def test_a_factory_that_draws_what_its_model_is_made_of_is_refused(tmp_path: Path) -> None:
    code = "import torch\n\nSIZES = iter((3, 5))\n\n\ndef make():\n    return torch.nn.Linear(4, next(SIZES))\n"
    spec = replace(write(tmp_path, code), made=str(tmp_path / "made.pt"))
    open_source(spec)
    with pytest.raises(UsageError, match="a model of other parts at every call") as caught:
        open_source(spec)
    assert caught.value.code == "EK-SOURCE" and caught.value.hint


def test_a_factory_may_make_its_only_module_once(tmp_path: Path) -> None:
    """And in half precision: opening turns it into single precision."""
    code = NET.replace("return Net()", "return ONLY").replace(
        "def make", "torch.manual_seed(0)\nONLY = Net().half()\n\n\ndef make"
    )
    spec = replace(write(tmp_path, code), made=str(tmp_path / "made.pt"))
    assert identity(spec, None).repeats
    for _ in range(2):
        assert open_source(spec).parameter_count == 15


@pytest.mark.parametrize(
    "made",
    [
        "torch.jit.script(net)",
        "torch.jit.trace(net, torch.ones(1, 4))",
        "torch.fx.symbolic_trace(net)",
        "nn.utils.parametrizations.weight_norm(net.linear) and net",
        "net.register_buffer('extra', net.kept.to_sparse(), persistent=False) or net",
        "net.register_buffer('extra', torch.quantize_per_tensor(net.kept, 0.1, 0, torch.qint8)) or net",
        "net.register_buffer('extra', net.kept.to(torch.complex64).conj()) or net",
        "net.bfloat16()",
        "setattr(net, 'other', nn.Linear(4, 3)) or setattr(net.other, 'weight', net.linear.weight) or net",
    ],
)
def test_all_kinds_of_modules_have_one(tmp_path: Path, made: str) -> None:
    code = NET.replace("return Net()", f"net = Net()\n    return {made}")
    first = found(tmp_path / "first", code)
    assert found(tmp_path / "again", code).weights == first.weights
    other = found(tmp_path / "other", code.replace('"kept", torch.ones(3)', '"kept", torch.full((3,), 1.5)'))
    assert other.weights != first.weights and other.structure != first.structure


def test_structures_differ_by_every_part(tmp_path: Path) -> None:
    def function(x: int, y: int = 1) -> int:
        return x + y

    def other(x: int, y: int = 2) -> int:
        return x + y

    class Slotted:
        __slots__ = ("value",)

        def __init__(self, value: Any):
            self.value = value

    cyclic: list[Any] = [1]
    cyclic.append(cyclic)
    values = [
        None, 0, 1, 1.0, True, "1", b"1", (), (1,), [1], {1}, {1: 2}, {2: 1}, {"a": 1, "b": 2}, {"b": 2, "a": 1},
        OrderedDict(a=1), deque([1]), deque([2]), np.ones(2), np.zeros(2), np.ones((1, 2)), np.float32(1),
        np.float64(1), np.array([None, 1], object), function, other, functools.partial(function, 1),
        functools.partial(function, 2), Slotted(1), Slotted(2), Slotted, lambda: 1, lambda: 2, cyclic, [1, [1]],
        Path("a"), Path("b"), len, sum, np, sys,
    ]  # fmt: skip
    assert len({digest(value) for value in values}) == len(values)
    assert [digest(value) for value in values] == [digest(value) for value in values]


def test_what_cannot_be_looked_into_counts_by_its_type() -> None:
    class Shy:
        def __getattribute__(self, name: str) -> Any:
            if name != "__class__":
                raise RuntimeError(name)
            return object.__getattribute__(self, name)

    def empty() -> Callable[[], Any]:
        def inner() -> Any:
            return later

        return inner
        later = 1

    assert digest(Shy()) == digest(Shy()) != digest(object())
    assert digest(empty()) == digest(empty())


def test_freshly_compiled_code_is_what_was_compiled_before(tmp_path: Path) -> None:
    code = "class Part:\n    sizes = (1, 2)\n    def call(self, x=(1, 2)):\n        return [(1, 2), x in {'a', 'b'}]\n"
    (tmp_path / "part.py").write_text(code)
    program = "import part; from edgekit.pipeline.sources.identity import digest; print(digest(part.Part()))"
    environment = {"PYTHONPATH": ":".join([str(tmp_path), *sys.path]), "PYTHONDONTWRITEBYTECODE": ""}
    command, digests = [sys.executable, "-c", program], []
    for _ in range(2):
        process = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        digests.append(process.stdout)
    assert list(tmp_path.rglob("*.pyc")) and digests[0] == digests[1]
