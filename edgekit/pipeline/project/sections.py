"""The project: ``edgekit.toml``, read and checked before anything slow starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Annotated, Any, Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from edgekit import documents
from edgekit.bounds import MOST_METHODS
from edgekit.buckets import Buckets
from edgekit.errors import UsageError, did_you_mean
from edgekit.foreign import PROJECT_FILE
from edgekit.formats import FORMATS
from edgekit.metric import Metric
from edgekit.pipeline.metric import SCORERS
from edgekit.pipeline.project.paths import check_readable
from edgekit.pipeline.project.sizes import Sizes, check_range, listed, range_of
from edgekit.pipeline.work.python_file import split_reference
from edgekit.pipeline.work.versions import versions
from edgekit.recipes import RECIPES
from edgekit.registry import Registry
from edgekit.runtime.preprocess import Preprocessing, Resize
from edgekit.source_kinds import frameworks

Positive = Annotated[int, Field(gt=0)]
Finite = Annotated[float, Field(allow_inf_nan=False)]


class _Section(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class ProjectSection(_Section):
    """``[project]``: its name, and the pip requirements of its own Python."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9._-]*$")]
    requires: tuple[str, ...] = ()


class BucketsSection(_Section):
    """``[model.buckets]``: batch sizes and lengths that files take besides one sample as long as the data.

    ``axis`` names the axis of each input that has the length, samples counted as axis 0; ``pad`` is what shorter
    samples are filled up with to the next length. Without it, samples have to have one of the lengths. In formats that
    can leave sizes open, a range as ``"3-64"`` takes all between; the sizes beside it are for the others.
    """

    batch: Sizes = (1,)
    length: Sizes = ()
    axis: Mapping[str, Positive] = {}
    pad: Finite | Mapping[str, Finite] | None = None

    @model_validator(mode="after")
    def _whole(self) -> BucketsSection:
        if bool(self.length) != bool(self.axis):
            raise ValueError("length and axis belong together: length = [32, 64], axis = { x = 1 }")
        if self.pad is not None and not self.length:
            raise ValueError("pad is for lengths: say length = [32, 64], axis = { x = 1 }")
        if isinstance(self.pad, Mapping) and self.pad.keys() != self.axis.keys():
            raise ValueError("pad names other inputs than axis")
        for name, sizes in (("batch", self.batch), ("length", self.length)):
            check_range(name, sizes)
        buckets = self.value()
        count = len(buckets.batch) * max(1, len(buckets.length))
        if count > MOST_METHODS:
            raise ValueError(f"that makes {count} buckets, {MOST_METHODS} are the most that a file may have")
        return self

    def value(self) -> Buckets:
        pad = dict.fromkeys(self.axis, self.pad) if isinstance(self.pad, (int, float)) else self.pad
        batches, lengths = range_of(self.batch), range_of(self.length)
        return Buckets(
            batch=tuple(sorted({1, *listed(self.batch)})),
            length=tuple(sorted({*listed(self.length), *(lengths or ())[1:]})),
            axes=dict(self.axis) or None,
            pad=None if pad is None else dict(pad),
            batch_range=batches,
            length_range=lengths,
        )


class ModelSection(_Section):
    """``[model]``: the factory (``file.py:function``) or the model file, and trained weights if there are any.

    ``shape`` gives sizes to inputs whose axes a model file leaves open: ``{ x = [1, 3, 224, 224] }``.
    ``constant`` gives numbers to inputs that never change: ``{ rate = [16000] }``.
    ``signature`` chooses one of several in a SavedModel, a TensorFlow module or a ``.tflite`` file.
    """

    framework: str | None = None
    factory: str | None = None
    file: str | None = None
    weights: str | None = None
    shape: Mapping[str, tuple[Positive, ...]] = {}
    signature: str | None = None
    constant: Mapping[str, tuple[float, ...]] = {}
    buckets: BucketsSection | None = None

    @model_validator(mode="after")
    def _one_origin(self) -> ModelSection:
        if (self.factory is None) == (self.file is None):
            raise ValueError('give either factory = "model.py:build" or file = "model.keras"')
        if self.factory is not None and self.framework is None:
            known = " or ".join(f'"{name}"' for name in frameworks())
            raise ValueError(f"framework = {known} is missing")
        return self


class CalibrationFrom(_Section):
    """Calibration samples drawn from another data set of the project."""

    origin: Annotated[Literal["train", "evaluation"], Field(alias="from")] = "train"
    samples: Positive = 128


class DataSection(_Section):
    """``[data]``: functions (``data.py:train``) or ``.npz`` files with arrays ``x`` and ``y``; raw samples first.

    ``files`` names what the functions read outside the project's own folder, so that a change there is seen.
    """

    evaluation: str
    train: str | None = None
    calibration: str | CalibrationFrom | None = None
    labels: str | tuple[str, ...] = ()
    files: tuple[str, ...] = ()


class ResizeSection(_Section):
    height: Positive
    width: Positive
    crop: Annotated[float, Field(gt=0, le=1)] = 1.0


class PreprocessingSection(_Section):
    """``[preprocessing]``: what turns a raw sample into the input tensor, here and on the device."""

    resize: ResizeSection | None = None
    scale: float = 1.0
    mean: tuple[float, ...] = ()
    std: tuple[Annotated[float, Field(gt=0)], ...] = ()
    layout: Literal["channels-first", "channels-last"] | None = None

    def value(self) -> Preprocessing:
        resize = None if self.resize is None else Resize(**self.resize.model_dump())
        return Preprocessing(scale=self.scale, mean=self.mean, std=self.std, layout=self.layout, resize=resize)


class Augmentation(_Section):
    """Random changes to training images: ``shift`` moves them by up to that many pixels."""

    shift: Annotated[int, Field(ge=0)] = 0


class TrainingSection(_Section):
    """``[training]``: how the model is fitted; without this section it is used as it is."""

    epochs: Positive = 10
    batch_size: Positive = 64
    learning_rate: Annotated[float, Field(gt=0)] = 1e-3
    weight_decay: Annotated[float, Field(ge=0)] = 1e-4
    optimizer: Literal["adamw", "sgd"] = "adamw"
    schedule: Literal["one-cycle", "cosine", "constant"] = "one-cycle"
    loss: Literal["cross-entropy", "mse", "mae"] = "cross-entropy"
    seed: int = 0
    augment: Augmentation = Augmentation()


class MetricSection(_Section):
    """``[metric]``: a registered one, or ``file.py:function`` taking (outputs, labels) and giving a number.

    That is a percentage of which more is better, unless ``unit`` and ``higher_is_better`` say otherwise.
    """

    name: str = "accuracy"
    unit: Annotated[str, Field(max_length=20)] | None = None
    higher_is_better: bool | None = None

    def described(self) -> Metric:
        """How to read what the function gives."""
        given = {key: value for key in ("unit", "higher_is_better") if (value := getattr(self, key)) is not None}
        return Metric(split_reference(self.name)[1] or self.name, **given)


class BuildSection(_Section):
    """``[build]``: what to build instead of the target's own choice."""

    recipes: tuple[str, ...] = ()
    formats: tuple[str, ...] = ()


class LimitsSection(_Section):
    """``[limits]``: a build that misses one exits with 3.

    ``max_drop`` is what a variant's metric may be worse than the float model's, ``worst`` the worst that the float
    model's own may be; ``min_accuracy`` is the same for an accuracy.
    """

    max_drop: Annotated[float, Field(ge=0, allow_inf_nan=False)] | None = None
    min_accuracy: Annotated[float, Field(ge=0, le=100)] | None = None
    worst: float | None = None
    min_snr_db: float | None = None


class Project(_Section):
    """A checked ``edgekit.toml``. Paths in it are relative to `directory`."""

    directory: Annotated[Path, Field(exclude=True)]
    project: ProjectSection
    model: ModelSection
    data: DataSection
    preprocessing: PreprocessingSection | None = None
    training: TrainingSection | None = None
    metric: MetricSection = MetricSection()
    build: BuildSection = BuildSection()
    limits: LimitsSection = LimitsSection()

    @property
    def name(self) -> str:
        return self.project.name

    @property
    def file(self) -> Path:
        return self.directory / PROJECT_FILE


def load_project(path: Path) -> Project:
    """The project at *path* (its folder, or the ``edgekit.toml`` itself), with every named file found.

    Raises:
        UsageError: With the line of ``edgekit.toml`` that is wrong.
    """
    file = path / PROJECT_FILE if path.is_dir() else path
    if not file.is_file():
        raise UsageError("EK-MISSING-FILE", f"there is no {file}", "edgekit init makes one")
    try:
        text, value = documents.read_toml(file)
    except UnicodeDecodeError as error:
        raise UsageError("EK-PROJECT", f"{file} is not UTF-8 text", "save it as UTF-8") from error
    except ValueError as error:
        line = re.search(r"line (\d+)", str(error))
        where = f"{file}:{line[1]}" if line else str(file)
        message = f"{where}: not valid TOML: {error}"
        raise UsageError("EK-PROJECT", message, "see https://toml.io for the syntax") from error
    if "directory" in value:
        raise _wrong(file, text, ("directory",), "unknown key 'directory'", "paths are relative to edgekit.toml")
    try:
        project = Project(directory=file.parent.resolve(), **value)
    except ValidationError as error:
        raise _first_error(file, text, error) from error
    for key, reference in _references(project):
        _check_reference(project, file, text, key, reference)
    for requirement in project.project.requires:
        _check_requirement(file, text, requirement)
    _check_names(project, file, text)
    metric = project.metric
    if metric.name in SCORERS and (metric.unit, metric.higher_is_better) != (None, None):
        what = f"{metric.name} has a unit and a direction of its own"
        raise _wrong(file, text, ("metric",), what, "leave out unit and higher_is_better")
    described = SCORERS[metric.name].metric if metric.name in SCORERS else metric.described()
    if project.limits.min_accuracy is not None and (described.unit, described.higher_is_better) != ("%", True):
        what = f"min_accuracy is in percent, and {described.name} is not"
        raise _wrong(file, text, ("limits", "min_accuracy"), what, "say worst = …, in the metric's unit")
    if project.training is not None and project.data.train is None:
        raise _wrong(file, text, ("training",), "[training] needs data.train", 'add train = "data.py:train" to [data]')
    if project.preprocessing is not None:
        mean, std = project.preprocessing.mean, project.preprocessing.std
        if mean and std and len(mean) != len(std):
            raise _wrong(file, text, ("preprocessing", "std"), "mean and std differ in length", "one value per channel")
    return project


def _check_names(project: Project, file: Path, text: str) -> None:
    """Those of things that are registered."""
    framework = project.model.framework
    if framework is not None and framework not in frameworks():
        what = f"unknown framework {framework!r}"
        raise _wrong(file, text, ("model", "framework"), what, did_you_mean(framework, frameworks()))
    named: tuple[tuple[str, Registry[Any], Sequence[str]], ...] = (
        ("recipes", RECIPES, project.build.recipes),
        ("formats", FORMATS, project.build.formats),
    )
    for key, known, names in named:
        for name in names:
            if name not in known:
                what = f"unknown {key.removesuffix('s')} {name!r}"
                raise _wrong(file, text, ("build", key), what, did_you_mean(name, known.names()))


def _references(project: Project) -> Iterator[tuple[tuple[str, ...], str]]:
    data, model = project.data, project.model
    for key in ("factory", "file", "weights"):
        if (value := getattr(model, key)) is not None:
            yield ("model", key), value
    for key in ("train", "evaluation", "calibration", "labels"):
        value = getattr(data, key)
        if isinstance(value, str):
            yield ("data", key), value
    for name in data.files:
        yield ("data", "files"), name
    if project.metric.name not in SCORERS:
        yield ("metric", "name"), project.metric.name


def _check_reference(project: Project, file: Path, text: str, key: tuple[str, ...], reference: str) -> None:
    name, function = split_reference(reference)
    if key == ("metric", "name") and function is None:
        names = ", ".join(f'"{known}"' for known in SCORERS.names())
        hint = f'{names}, or "metric.py:function" taking (outputs, labels)'
        raise _wrong(file, text, key, f"unknown metric {reference!r}", hint)
    if key == ("model", "factory") and function is None:
        raise _wrong(file, text, key, f"{reference!r} names no function", 'write it as "model.py:build"')
    path = project.directory / name
    if not path.exists():
        near = [other.name for other in path.parent.glob("*")] if path.parent.is_dir() else []
        message = f"{_line_of(file, text, key)}: there is no {path}"
        hint = did_you_mean(path.name, near) if near else "paths are relative to edgekit.toml"
        raise UsageError("EK-MISSING-FILE", message, hint)
    check_readable(path)
    if function is not None and not re.search(
        rf"^(async )?(def|class) {re.escape(function)}\b|^{re.escape(function)}\s*=",
        path.read_text("utf-8", "replace"),
        re.M,
    ):
        known = re.findall(r"^(?:def|class) (\w+)", path.read_text("utf-8", "replace"), re.M)
        raise _wrong(file, text, key, f"{name} defines no {function!r}", did_you_mean(function, known))


def _check_requirement(file: Path, text: str, requirement: str) -> None:
    name, _, version = requirement.partition("==")
    (found,) = versions([name.strip()]).values()
    if found is None or (version and found != version.strip()):
        fault = f"{name} {found} is installed, {version} is required" if found else f"{requirement} is not installed"
        message = f"{_line_of(file, text, ('project', 'requires'))}: {fault}"
        raise UsageError("EK-MISSING-PACKAGE", message, f"pip install {requirement}")


def _first_error(file: Path, text: str, error: ValidationError) -> UsageError:
    """The first thing pydantic found wrong, at its line, misspellings before what they leave missing."""
    problems = sorted(error.errors(), key=lambda problem: problem["type"] != "extra_forbidden")
    problem = problems[0]
    key = tuple(str(part) for part in problem["loc"])
    if problem["type"] == "extra_forbidden":
        section = f" in [{'.'.join(key[:-1])}]" if len(key) > 1 else ""
        known = _known_keys(key[:-1])
        return _wrong(file, text, key, f"unknown key {key[-1]!r}{section}", did_you_mean(key[-1], known))
    if problem["type"] == "missing":
        what = f"[{key[0]}] is missing" if len(key) == 1 else f"[{'.'.join(key[:-1])}] lacks {key[-1]!r}"
        return _wrong(file, text, key[:-1] or key, what, "edgekit init writes a complete, commented project")
    message = problem["msg"].removeprefix("Value error, ")
    given = problem["input"]
    shown = f" (it is {given!r})" if isinstance(given, (str, int, float, bool)) else ""
    return _wrong(
        file, text, key, f"{'.'.join(key)}: {message}{shown}", _choices(problem) or "edgekit init shows every key"
    )


def _choices(problem: Mapping[str, Any]) -> str | None:
    expected = problem.get("ctx", {}).get("expected") if problem["type"] == "literal_error" else None
    return did_you_mean(str(problem["input"]), re.findall(r"'([^']*)'", expected)) if expected else None


def _known_keys(key: tuple[str, ...]) -> list[str]:
    """The keys allowed in the table at *key*."""
    model: type[BaseModel] = Project
    for part in key:
        field = next((f for name, f in model.model_fields.items() if part in (name, f.alias)), None)
        sections = (
            [] if field is None else [t for t in (field.annotation, *_flatten(field.annotation)) if _is_section(t)]
        )
        if sections:
            model = sections[0]
    return [field.alias or name for name, field in model.model_fields.items() if name != "directory"]


def _flatten(annotation: Any) -> Iterator[Any]:
    for part in get_args(annotation):
        yield part
        yield from _flatten(part)


def _is_section(annotation: Any) -> bool:
    return isinstance(annotation, type) and issubclass(annotation, _Section)


def _wrong(file: Path, text: str, key: tuple[str, ...], message: str, hint: str) -> UsageError:
    return UsageError("EK-PROJECT", f"{_line_of(file, text, key)}: {message}", hint)


def _line_of(file: Path, text: str, key: tuple[str, ...]) -> str:
    line = documents.toml_line(text, key)
    return f"{file}:{line}" if line else str(file)
