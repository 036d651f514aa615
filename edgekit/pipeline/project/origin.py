"""What a build starts from: a project, or a bare model file."""

from __future__ import annotations

import math
import os
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from edgekit.buckets import Buckets
from edgekit.errors import UsageError, did_you_mean
from edgekit.foreign import PROJECT_FILE, foreign
from edgekit.names import MOST_LABEL_CHARACTERS, is_label, tensor_name
from edgekit.pipeline.data import DEFAULT_INPUT, check_inputs, read_array_file
from edgekit.pipeline.project.paths import check_readable, check_size
from edgekit.pipeline.project.sections import (
    DataSection,
    LimitsSection,
    MetricSection,
    Project,
    TrainingSection,
    load_project,
)
from edgekit.pipeline.sources import SourceSpec
from edgekit.pipeline.work.digests import tree_digest
from edgekit.pipeline.work.python_file import split_reference
from edgekit.registry import import_name
from edgekit.runtime.preprocess import Preprocessing
from edgekit.shapes import as_texts, parse_inputs, parse_shapes
from edgekit.source_kinds import FACTORY, SOURCE_KINDS, SourceKind, frameworks, kind_of, written
from edgekit.tensors import TensorSpec


@dataclass(frozen=True)
class Origin:
    """What a build starts from.

    Attributes:
        name: The bundle's name.
        path: What the user named, for messages.
        source: The model, without the weights that training will make.
        digest: SHA-256 over the code and files that make the model and the data.
        project: The project it belongs to; None for a bare model file.
        calibration: For a bare model file, an array file with real samples.
    """

    name: str
    path: Path
    source: SourceSpec
    digest: str
    project: Project | None = None
    calibration: Path | None = None
    labels: tuple[str, ...] = ()
    limits: LimitsSection = field(default_factory=LimitsSection)

    @property
    def directory(self) -> Path:
        """The project's folder, or the one that a bare model lies in."""
        return self.path if self.project is not None else self.path.parent

    @property
    def kind(self) -> SourceKind:
        return SOURCE_KINDS[self.source.kind]

    @property
    def family(self) -> str:
        """The family of worker (see `edgekit.pipeline.work.pool.FAMILIES`) that opens the source."""
        return self.kind.family

    @property
    def packages(self) -> tuple[str, ...]:
        """Packages whose versions decide what the source model computes: its framework, and what its code requires."""
        required = () if self.project is None else self.project.project.requires
        own = (requirement.split("==")[0].strip() for requirement in required)
        return (*self.kind.packages, *own)

    @property
    def model_key(self) -> dict[str, Any]:
        """What tells this model, before training, from any other; files by name, as their contents are in `digest`."""
        weights = None if self.source.weights is None else os.path.relpath(self.source.weights, self.directory)
        file = os.path.relpath(self.source.path, self.directory)
        shapes = {name: list(shape) for name, shape in self.source.shapes.items()}
        constants = {name: list(numbers) for name, numbers in self.source.constants.items()}
        made = {"kind": self.source.kind, "factory": self.source.factory, "weights": weights}
        told = [f"{spec.name} {spec.dtype} {spec.shape}" for spec in self.source.inputs]
        signature = self.source.signature
        chosen = {
            **({"shapes": shapes} if shapes else {}),
            **({"constants": constants} if constants else {}),
            **({"signature": signature} if signature else {}),
            **({"inputs": told} if told else {}),
        }
        return {"files": self.digest, "file": file, **made, **chosen}

    @property
    def data(self) -> DataSection | None:
        return None if self.project is None else self.project.data

    @property
    def training(self) -> TrainingSection | None:
        return None if self.project is None else self.project.training

    @property
    def preprocessing(self) -> Preprocessing | None:
        section = None if self.project is None else self.project.preprocessing
        return None if section is None else section.value()

    @property
    def buckets(self) -> Buckets | None:
        section = None if self.project is None else self.project.model.buckets
        return None if section is None else section.value()

    @property
    def metric(self) -> MetricSection:
        return MetricSection() if self.project is None else self.project.metric


@dataclass(frozen=True)
class ModelOptions:
    """What is said of a bare model beside its file; a project says it in edgekit.toml.

    Attributes:
        calibration: ``.npy`` or ``.npz`` of real, ready samples.
        weights: Trained weights for what a factory makes.
        shapes: Of inputs (see `edgekit.shapes`).
        framework: Of a factory, where it is not PyTorch's.
        signature: Which of several signatures.
        constants: What inputs always are: ``rate=16000``.
    """

    calibration: str | None = None
    weights: str | None = None
    shapes: tuple[str, ...] = ()
    framework: str | None = None
    signature: str | None = None
    constants: tuple[str, ...] = ()

    def check_bare(self) -> None:
        """Raise `UsageError` where anything is given: for a project."""
        for option, value, instead in (
            ("--calibration", self.calibration, "name data.calibration in edgekit.toml"),
            ("--weights", self.weights, "name model.weights in edgekit.toml"),
            ("--shape", self.shapes, "write model.shape in edgekit.toml"),
            ("--framework", self.framework, "name model.framework in edgekit.toml"),
            ("--signature", self.signature, "write model.signature in edgekit.toml"),
            ("--constant", self.constants, "write model.constant in edgekit.toml"),
        ):
            if value:
                raise UsageError("EK-ARGUMENT", f"{option} is for bare model files", instead)


def find_origin(path: str, given: ModelOptions = ModelOptions(), trust: bool = False) -> Origin:
    """The origin at *path*: a project folder, an ``edgekit.toml``, or a model file.

    Args:
        path: A folder with ``edgekit.toml``, or a file that ``edgekit.source_kinds`` knows, or
            ``file.py:factory``.
        given: What is said of a bare model file besides.
        trust: Whether the model file may hold more than data (see `edgekit.pipeline.sources.contents`).

    Raises:
        UsageError: Nothing there that can be built, or it is wrong.
    """
    name, factory = split_reference(path)
    file = Path(name)
    if not file.exists():
        message = f"there is no {file}"
        hint = "give a project folder or a model file; edgekit init makes a project"
        raise UsageError("EK-MISSING-FILE", message, hint)
    check_readable(file.resolve())
    if file.name == PROJECT_FILE or (file.is_dir() and (file / PROJECT_FILE).exists()):
        given.check_bare()
        return _of_project(load_project(file), trust)
    kind = kind_of(file) if factory is None else _framework(given.framework)
    if kind is None:
        known = foreign(file)
        if known is not None:
            raise UsageError("EK-ARGUMENT", f"{file} is {known.what}, which edgekit build does not take", known.hint)
        message = f"{file} is neither a project nor a model file"
        raise UsageError("EK-ARGUMENT", message, f"a project folder has edgekit.toml; models are {written()}")
    file = file.resolve()
    files = [file]
    if factory is None:
        check_size(file)
        files += _beside(SOURCE_KINDS[kind], file)
        if given.framework is not None:
            message = f"--framework is for functions that make a model; {file.name} is {SOURCE_KINDS[kind].title}"
            raise UsageError("EK-ARGUMENT", message, "leave it out")
    else:
        files = _modules(file.parent)
    weights = None if given.weights is None else _weights(SOURCE_KINDS[kind], factory, given.weights, path)
    files += [] if weights is None else [Path(weights)]
    shapes, inputs = _shapes(SOURCE_KINDS[kind], given.shapes, "--shape", "EK-ARGUMENT")
    constants = _constants(SOURCE_KINDS[kind], given.constants, "--constant", "EK-ARGUMENT")
    samples: Path | None = None
    if given.calibration is not None:
        samples = Path(given.calibration)
        if not samples.is_file():
            raise UsageError("EK-MISSING-FILE", f"there is no {samples}", "--calibration takes a .npy or .npz file")
        samples = samples.resolve()
        check_readable(samples)
        arrays = read_array_file(samples)
        check_inputs("calibration", arrays)
        if SOURCE_KINDS[kind].shapes == "all":  # others say themselves what goes in
            told, inputs = (
                inputs,
                tuple(TensorSpec(key, (1, *array.shape[1:]), array.dtype.name) for key, array in arrays.items()),
            )
            _check_alike(told, inputs, samples)
    return Origin(
        name=tensor_name(file.stem, "model"),
        path=file,
        source=SourceSpec(
            kind,
            str(file),
            factory,
            weights,
            inputs,
            trust=trust,
            shapes=shapes,
            signature=given.signature,
            constants=constants,
        ),
        digest=tree_digest(files),
        calibration=samples,
    )


def _framework(name: str | None) -> str:
    """The kind of a bare factory. Raises `UsageError`: there is none of that name."""
    if name is not None and name not in frameworks():
        raise UsageError("EK-ARGUMENT", f"unknown framework {name!r}", did_you_mean(name, frameworks()))
    return name or FACTORY


def _shapes(
    kind: SourceKind, texts: Sequence[str], where: str, code: str
) -> tuple[dict[str, tuple[int, ...]], tuple[TensorSpec, ...]]:
    """What *texts* (see `edgekit.shapes`) say: sizes of axes that a file leaves open, or all that goes into a model."""
    if texts and not kind.shapes:
        message = f"{where} is for models that leave open what goes in; {kind.title} says it itself"
        raise UsageError(code, message, "leave it out")
    if kind.shapes == "open":
        return parse_shapes(texts, where, code), ()
    return {}, parse_inputs(texts, DEFAULT_INPUT, where, code)


def _constants(kind: SourceKind, texts: Sequence[str], where: str, code: str) -> dict[str, tuple[float, ...]]:
    """What *texts*, as ``rate=16000``, say inputs always are. A name may have ``=`` in it."""
    if texts and not kind.takes_constants:
        takers = ", ".join(each.suffix for each in SOURCE_KINDS if each.takes_constants)
        raise UsageError(code, f"{where} is for {takers} files, not for {kind.title}", "leave it out")
    found = {}
    for text in texts:
        name, _, numbers = text.rpartition("=")
        try:
            found[name] = tuple(float(number) for number in numbers.split(","))
        except ValueError:
            name = ""
        if not name or not all(map(math.isfinite, found[name])):
            raise UsageError(code, f"{where} {text!r} is no constant", "write rate=16000, or sizes=1,3,224,224")
    return found


def _weights(kind: SourceKind, factory: str | None, given: str, path: str) -> str:
    """The file of weights, found. Raises `UsageError`: it is not there, or there is nothing to load it into."""
    if factory is None or not kind.weight_files:
        what = f"{path} holds its weights itself" if factory is None else f"{kind.title} takes no file of weights"
        hint = "--weights is for model.py:FUNCTION" if factory is None else "load them in the function"
        raise UsageError("EK-ARGUMENT", f"{what}, --weights has no place there", hint)
    file = Path(given)
    if not file.is_file():
        raise UsageError("EK-MISSING-FILE", f"there is no file {file}", f"--weights takes {kind.weight_files}")
    check_readable(file.resolve())
    check_size(file)
    return str(file.resolve())


def _check_alike(shapes: Sequence[TensorSpec], inputs: Sequence[TensorSpec], samples: Path) -> None:
    """Raise `UsageError` where ``--shape`` says another thing than the samples have."""
    by_name = {spec.name: spec for spec in inputs}
    for spec in shapes:
        own = by_name.get(spec.name, inputs[0] if len(inputs) == len(shapes) == 1 else None)
        if own is None or own.shape != spec.shape:
            has = "has no such array" if own is None else f"has samples of {list(own.shape)}"
            message = f"--shape says {spec.name!r} is {list(spec.shape)}, {samples.name} {has}"
            raise UsageError("EK-ARGUMENT", message, "leave --shape out: the samples say what goes in")


def _of_project(project: Project, trust: bool) -> Origin:
    directory, model = project.directory, project.model
    if model.factory is not None:
        file, factory = split_reference(model.factory)
        kind: str = model.framework or FACTORY
    else:
        assert model.file is not None
        file, factory = model.file, None
        found = kind_of(directory / file)
        if found is None:
            known = foreign(directory / file)
            what = "no model file" if known is None else f"{known.what}, which edgekit build does not take"
            hint = f"models are {written()}" if known is None else known.hint
            raise UsageError("EK-PROJECT", f"{project.file}: model.file {file!r} is {what}", hint)
        kind = found
    shapes, told = _shapes(SOURCE_KINDS[kind], as_texts(model.shape), f"{project.file}: model.shape", "EK-PROJECT")
    if told:
        message = f"{project.file}: model.shape is for model files that leave sizes open"
        raise UsageError("EK-PROJECT", message, "leave it out: the data say what goes in")
    weights = None if model.weights is None else str(directory / model.weights)
    named = [file, *(name for name in (model.weights, *project.data.files) if name is not None)]
    return Origin(
        name=project.name,
        path=directory,
        source=SourceSpec(
            kind,
            str(directory / file),
            factory,
            weights,
            trust=trust,
            shapes=shapes,
            signature=model.signature,
            constants=_constants(
                SOURCE_KINDS[kind], as_texts(model.constant), f"{project.file}: model.constant", "EK-PROJECT"
            ),
        ),
        digest=tree_digest(
            [
                *_own_files(directory),
                *(directory / name for name in named),
                *(_beside(SOURCE_KINDS[kind], directory / file) if factory is None else ()),
            ]
        ),
        project=project,
        labels=_labels(project),
        limits=project.limits,
    )


def _beside(kind: SourceKind, file: Path) -> Sequence[Path]:
    """The other files that a model file has parts in."""
    found: Sequence[Path] = import_name(kind.beside)(file) if kind.beside else ()
    return found


def _modules(directory: Path) -> list[Path]:
    """The Python beside a bare factory: a new file there may be what it imports next time."""
    return [path for path in directory.glob("*.py") if not path.name.startswith(".")]


def _own_files(directory: Path) -> list[Path]:
    """The project's files that code or data can come from: not its toml, notes or anything hidden."""
    return [
        path
        for path in directory.iterdir()
        if path.name != PROJECT_FILE
        and not path.name.startswith((".", "__"))
        and path.suffix not in (".md", ".edgekit")
    ]


def _labels(project: Project) -> tuple[str, ...]:
    """The names of the classes: their places are the numbers of the classes, so that none may be lost.

    Raises:
        UsageError: ``EK-DATA``, naming the one that is no name.
    """
    labels = project.data.labels
    if isinstance(labels, str):
        file = project.directory / labels
        try:
            text = file.read_text(encoding="utf-8-sig")
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError("EK-DATA", f"{file} cannot be read as UTF-8 text", "one class name a line") from error
        template, names = f"{labels}:{{}}", [line.strip() for line in text.rstrip().split("\n")]
    else:
        template, names = "data.labels, name {}", list(labels)
    for number, name in enumerate(names, 1):
        if not is_label(name):
            what = "is empty" if not name else f"is no name of a class: {name[:60]!r}"
            hint = f"one line of up to {MOST_LABEL_CHARACTERS} printable characters for each class, in their order"
            raise UsageError("EK-DATA", f"{template.format(number)} {what}", hint)
    return tuple(names)
