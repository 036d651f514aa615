"""What verbs take beside a bare model: a project says the same in its edgekit.toml."""

from __future__ import annotations

from collections.abc import Callable, Mapping

import click

from edgekit.cli.options import Decorator
from edgekit.source_kinds import FACTORY, frameworks

_OPTIONS: tuple[Decorator, ...] = (
    click.option(
        "--calibration",
        metavar="FILE",
        help=".npy or .npz with real samples (one array per input, by its name), for a bare model file.",
    ),
    click.option(
        "--weights",
        metavar="FILE",
        help="Trained weights for what model.py:FUNCTION makes: a state_dict in .safetensors, .pt or .pth, or Keras' "
        "own.",
    ),
    click.option(
        "--shape",
        "shapes",
        metavar="[NAME=]SIZES",
        multiple=True,
        help="What goes into a bare model that does not say so itself, or leaves sizes open, for one sample: "
        "1,3,224,224, or x=1,3,224,224 for each of several inputs; ids=1,16:int64 for whole numbers.",
    ),
    click.option(
        "--framework",
        metavar="NAME",
        help=f"Of model.py:FUNCTION: {', '.join(frameworks())}.  [{FACTORY}]",
    ),
    click.option(
        "--signature",
        metavar="NAME",
        help="Which signature of a SavedModel, a TensorFlow module or a .tflite to build, where it has several; of a "
        "graph without any, its tensors: 'INPUT, INPUT -> OUTPUT'.",
    ),
    click.option(
        "--constant",
        "constants",
        multiple=True,
        metavar="NAME=NUMBERS",
        help="What an input of an .onnx file always is, so that the bundle does not ask for it: rate=16000. "
        "Repeatable.",
    ),
)


def model(command: Callable[..., None]) -> Callable[..., None]:
    """The options for one; they are the fields of `edgekit.pipeline.project.origin.ModelOptions`."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def refuse(given: Mapping[str, object], trust: bool, target: str | None) -> None:
    """Raise `UsageError` where one is *given*, or --trust is, and *target* is no model."""
    from edgekit.errors import UsageError

    words = {"shapes": "shape", "constants": "constant"}
    said = [words.get(name, name) for name, value in {**given, "trust": trust}.items() if value]
    if said:
        message = f"--{said[0]} is for a model" + ("" if target is None else f", and {target} is none")
        raise UsageError("EK-ARGUMENT", message, "name the model: edgekit doctor MODEL, as edgekit build takes it")
