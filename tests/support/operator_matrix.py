"""The operator matrix: each configuration as a model in a file, and what becomes of it in every format.

A configuration goes the product's own way: it is opened, checked and run as a source model, exported, examined and
judged as in a build. Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

import ast
import json
import tomllib
import warnings
import zlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cache
from pathlib import Path
from time import perf_counter
from typing import Any, Literal

import numpy as np

from edgekit.errors import ConversionError, EdgekitError
from edgekit.fidelity import class_scores
from edgekit.pipeline.data import load_arrays, save_arrays
from edgekit.pipeline.exporters import find_route
from edgekit.pipeline.model.reference import Reference
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.variants.quality import judge
from edgekit.recipes import RECIPES
from edgekit.registry import import_name
from edgekit.source_kinds import SOURCE_KINDS
from edgekit.tensors import TensorSpec

TABLE = Path(__file__).parent.parent / "conformance" / "operators.toml"
RESULTS = TABLE.with_suffix(".jsonl")
#: What is made of each: format and recipe.
FILES = ("tflite fp32", "tflite int8", "pte fp32", "pte int8")
_SAMPLES = 24
#: Outcomes of files that compute what the model does.
RIGHT = ("right", "rewritten")

#: ``right``: as the build judges. ``rewritten``: right, as edgekit spells it otherwise. ``refused``: by name, before a
#: file is made. ``none``: the recipe changes nothing here. ``coarse``: eight bits are too few, and the build says so.
#: ``wrong``: the file computes something else. ``unnamed``: nothing but a library's message.
Outcome = Literal["right", "rewritten", "refused", "none", "coarse", "wrong", "unnamed"]


@dataclass(frozen=True)
class Configuration:
    """One line of the table.

    Attributes:
        expression: Of what the model computes; statements before it end with semicolons.
        inputs: By name, how they are drawn.
    """

    family: str
    expression: str
    inputs: Mapping[str, str]

    @property
    def line(self) -> str:
        return f"{self.expression} | {' '.join(f'{name}={drawn}' for name, drawn in self.inputs.items())}"

    @property
    def sampled(self) -> dict[str, str]:
        """The inputs; the others are weights."""
        return {name: drawn for name, drawn in self.inputs.items() if not name.startswith("w")}

    @property
    def source(self) -> str:
        """The model as Python."""
        *statements, last = self.expression.split("; ")
        tree = ast.parse("\n".join([*statements, f"return {last}"]))
        hoist = _Layers(self.inputs)
        body = [ast.unparse(hoist.visit(node)) for node in tree.body]
        if body[-1] == "return self.layer0":
            body[-1] = f"return self.layer0({', '.join(self.sampled)})"
        weights = [name for name in self.inputs if name.startswith("w")]
        made = [f"self.layer{number} = {layer}" for number, layer in enumerate(hoist.layers)]
        made += [f"self.{name} = nn.Parameter(torch.randn{self.inputs[name][6:]} * 0.4)" for name in weights]
        body = [f"{name} = self.{name}" for name in weights] + body
        return _MODEL.format(
            made="\n        ".join(made or ["pass"]), inputs=", ".join(self.sampled), body="\n        ".join(body)
        )

    def samples(self, count: int = _SAMPLES) -> dict[str, np.ndarray]:
        random = np.random.default_rng(zlib.crc32(self.line.encode()))
        drawing = {
            name: _draw(name, random, count) for name in ("normal", "unit", "positive", "tied", "whole", "order")
        }
        return {name: eval(drawn, dict(drawing)) for name, drawn in self.sampled.items()}  # of our own table


_MODEL = """\
import torch
from torch import nn
from torch.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        {made}

    def forward(self, {inputs}):
        {body}


def build():
    torch.manual_seed(0)
    net = Net()
    for parameter in net.parameters():
        if parameter.dim() == 1:  # biases of 0 and factors of 1 prove nothing
            parameter.data += 0.3 * torch.randn_like(parameter)
    for name, buffer in net.named_buffers():
        if name.endswith("running_mean"):
            buffer += torch.randn_like(buffer) * 0.3
        if name.endswith("running_var"):
            buffer *= torch.rand_like(buffer) + 0.5
    return net
"""


class _Layers(ast.NodeTransformer):
    """Layers that an expression makes, taken out of it."""

    def __init__(self, inputs: Mapping[str, str]):
        self.layers: list[str] = []
        self._inputs = inputs

    def visit_Call(self, node: ast.Call) -> ast.AST:
        names = {each.id for each in ast.walk(node) if isinstance(each, ast.Name)}
        called = ast.unparse(node.func)
        makes = "(" not in called and called.startswith(("nn.", "torch.nn.utils."))
        if makes and not names & self._inputs.keys():
            self.layers.append(ast.unparse(node))
            return ast.parse(f"self.layer{len(self.layers) - 1}", mode="eval").body
        return self.generic_visit(node)


def _draw(name: str, random: np.random.Generator, count: int) -> Any:
    def normal(*shape: int) -> np.ndarray:
        return random.standard_normal((count, *shape)).astype(np.float32)

    def unit(*shape: int) -> np.ndarray:
        return random.uniform(-1, 1, (count, *shape)).astype(np.float32)

    def positive(*shape: int) -> np.ndarray:
        return random.uniform(0.1, 3, (count, *shape)).astype(np.float32)

    def tied(*shape: int) -> np.ndarray:
        return (random.integers(-5, 6, (count, *shape)) / 2).astype(np.float32)

    def whole(low: int, high: int, *shape: int) -> np.ndarray:
        return random.integers(low, high, (count, *shape))

    def order(among: int, *shape: int) -> np.ndarray:
        """Indices, none twice along the last axis."""
        return random.random((count, *shape[:-1], among)).argsort(-1)[..., : shape[-1]]

    return locals()[name]


@cache
def table() -> dict[str, Configuration]:
    """Every configuration by its line."""
    families = tomllib.loads(TABLE.read_text(encoding="utf-8"))["families"]
    found = [Configuration(family, *_parsed(line)) for family, lines in families.items() for line in lines]
    return {each.line: each for each in found}


def _parsed(line: str) -> tuple[str, dict[str, str]]:
    expression, _, inputs = line.rpartition(" | ")
    call = ast.parse(f"f({inputs.replace(') ', '), ')})", mode="eval").body
    assert isinstance(call, ast.Call)
    return expression, {str(each.arg): ast.unparse(each.value) for each in call.keywords}


@dataclass(frozen=True)
class Result:
    """What became of one configuration in one file.

    Attributes:
        snr_db: Of a file that was run.
        said: What the user reads of one that was refused; *hint* is what to do.
        delegated: Percent of its work inside the accelerated backend.
    """

    outcome: Outcome
    snr_db: float | None = None
    said: str = ""
    hint: str = ""
    delegated: float | None = None
    seconds: float = 0.0


def tried(
    one: Configuration, folder: Path, files: Sequence[str] = FILES, known: Mapping[str, Result] | None = None
) -> dict[str, Result]:
    """The results of *one* for each of *files*; what int8 is made of is tried, too, unless it is *known* before."""
    wanted, known = {*files}, known or {}
    for name in files:
        base = f"{name.split()[0]} fp32"
        if base not in known or (_quantizes(name.split()[0]) and known[base].outcome in RIGHT):
            wanted.add(base)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return dict(_tried(one, folder, [name for name in FILES if name in wanted], known))


def _quantizes(format: str) -> bool:
    """Whether an int8 file of *format* is made of the float32 one."""
    route = find_route(SOURCE_KINDS["torch"], format)
    return route is not None and route.exporter.quantize is not None


def _tried(
    one: Configuration, folder: Path, files_made: Sequence[str], known: Mapping[str, Result]
) -> Iterator[tuple[str, Result]]:
    from edgekit.pipeline.sources import tasks

    (folder / "model.py").write_text(one.source)
    samples = one.samples()
    save_arrays(folder / "samples.npz", samples)
    inputs = tuple(TensorSpec(name, (1, *array.shape[1:]), array.dtype.name) for name, array in samples.items())
    spec = SourceSpec("torch", str(folder / "model.py"), "build", inputs=inputs)
    files = {"samples": str(folder / "samples.npz")}
    try:
        (folder / "source").mkdir(exist_ok=True)
        answer = tasks.prepare(
            source=spec.to_json(), **files, calibration=files["samples"], directory=str(folder / "source")
        )
        made = answer["made"] and str(folder / "source" / answer["made"])
        given = SourceSpec(
            "torch", spec.path, "build", None, inputs, sample=str(folder / "source" / "sample.npz"), made=made
        )
        outputs = str(folder / "reference.npz")
        evaluated = tasks.evaluate(source=given.to_json(), **files, names=answer["names"], outputs=outputs)
    except Exception as error:
        yield from ((name, _failed(error)) for name in files_made)
        return
    expected = load_arrays(Path(outputs))[0]
    reference = Reference(expected, None, None, None, class_scores(expected), evaluated["rounding_db"])
    bases = {
        name.split()[0]: (Path(), each)
        for name, each in known.items()
        if name.endswith(" fp32") and name not in files_made
    }
    for name in files_made:
        format, recipe = name.split()
        path, begun, base = folder / f"{recipe}.{format}", perf_counter(), bases.get(format)
        if base is not None and base[1].outcome not in RIGHT:
            yield name, base[1]
            continue
        try:
            result = _file(format, recipe, path, given, answer, reference, folder, base)
        except Exception as error:
            result = _failed(error, recipe)
        bases.setdefault(format, (path, result))
        yield name, replace(result, seconds=round(perf_counter() - begun, 2))


def _file(
    format: str,
    recipe: str,
    path: Path,
    spec: SourceSpec,
    answer: Mapping[str, Any],
    reference: Reference,
    folder: Path,
    base: tuple[Path, Result] | None,
) -> Result:
    from edgekit.pipeline.variants.examination import examine

    route = find_route(SOURCE_KINDS["torch"], format)
    assert route is not None
    exporter = route.exporter
    calibration = str(folder / ("source/calibration.npz" if answer["fitted"] else "samples.npz"))
    if exporter.quantize and base is not None:
        record = import_name(exporter.quantize)(
            base=str(base[0]), recipe=recipe, calibration=calibration, output=str(path)
        )
    else:
        given = {} if exporter.quantize else {"recipe": recipe, "calibration": calibration}
        record = import_name(exporter.convert)(source=spec.to_json(), output=str(path), **given)
    outputs = folder / f"{path.name}.npz"
    examined = examine(
        file=str(path), format=format, recipe_name=recipe, signature=answer["signature"], values=record["values"],
        samples=str(folder / "samples.npz"), names=answer["names"], outputs=str(outputs), backend="xnnpack",
        runs_here=True, timed=False,
    )  # fmt: skip
    measured = load_arrays(outputs)[0]
    rows = np.arange(len(next(iter(measured.values()))))
    quality = judge(RECIPES[recipe], reference, measured, rows, None, check_samples=rows[:4])
    delegated = (
        examined["facts"].delegated_share
        if hasattr(examined["facts"], "delegated_share")
        else examined["facts"]["delegated_share"]
    )
    outcome: Outcome = "rewritten" if record["rewritten"] or (base and base[1].outcome == "rewritten") else "right"
    return Result(outcome, quality.snr_db, delegated=None if delegated is None else round(delegated))


def _failed(error: Exception, recipe: str = "fp32") -> Result:
    if not isinstance(error, EdgekitError):
        return Result("unnamed", said=f"{type(error).__name__}: {str(error).strip()[:300]}")
    outcome: Outcome = "refused"
    if isinstance(error, ConversionError) and error.code == "EK-QUALITY":
        outcome = "wrong" if recipe == "fp32" else "none" if "changes nothing" in error.message else "coarse"
    elif error.code in ("EK-RUN", "EK-BUNDLE", "EK-UNTRAINED", "EK-CRASHED"):
        outcome = "unnamed"
    return Result(outcome, said=error.message, hint=error.hint or "")


def plainly(result: Result) -> dict[str, Any]:
    """*result* as JSON, without what says nothing."""
    return {name: value for name, value in asdict(result).items() if value not in ("", None, 0.0) and name != "seconds"}


def read_results(path: Path = RESULTS) -> dict[str, dict[str, Result]]:
    """Results by line of the table and by file; a later one counts."""
    found: dict[str, dict[str, Result]] = {}
    for text in path.read_text(encoding="utf-8").splitlines() if path.exists() else ():
        value = json.loads(text)
        results = {name: Result(**result) for name, result in value["results"].items()}
        found.setdefault(value["line"], {}).update(results)
    return found
