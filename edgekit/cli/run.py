"""``edgekit run``: one input through one variant of a bundle."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from edgekit.cli import console, options

if TYPE_CHECKING:
    import numpy as np

_EPILOG = """\b
Examples:
  edgekit run digits.edgekit --input seven.png
  edgekit run digits.edgekit --input sample.npy --variant int8.pte --engine executorch
  edgekit run digits.edgekit --input sample.npy --output scores.npz --json
  edgekit run face.tflite                                       a model file as it is, on random inputs
  edgekit run reader.onnx --shape x=1,3,48,320 --output text.npz
  edgekit run digits.edgekit --input seven.png --on ssh://pi@raspberrypi.local
  edgekit run digits.edgekit --input seven.png --on adb:        the only phone that adb devices lists
"""


@click.command("run", epilog=_EPILOG)
@options.bundle(reference=False, sample="source")
@click.option(
    "--input",
    "source",
    type=click.Path(path_type=Path),
    help="A .npy, .npz, .png, .jpg or .wav file; by default the first of the bundle's check inputs.",
)
@options.on("Runs", default="local")
@click.option("--variant", metavar="NAME", help="The variant; by default the best that runs here.")
@click.option("--engine", metavar="NAME", help="The engine; by default the variant's first that is installed.")
@click.option("--dequantize", is_flag=True, help="Take and give floats where the file has quantized whole numbers.")
@options.threads()
@click.option("--top", type=click.IntRange(min=1), default=5, show_default=True, help="How many values to show.")
@click.option("--output", type=click.Path(path_type=Path), help="Write the outputs by name to this .npz file.")
@options.output
def command(
    bundle: Path,
    source: Path | None,
    device: str,
    variant: str | None,
    engine: str | None,
    dequantize: bool,
    threads: int | None,
    top: int,
    output: Path | None,
    as_json: bool,
    quiet: bool,
) -> None:
    """Run one input through BUNDLE, or a model file as it is, and print the largest outputs, with their labels.

    A raw sample (an image, a recording, an array) goes through the bundle's preprocessing. An array that already
    has the shape and dtype of the model's input is taken as it is; on this machine, one of another number of samples,
    or of another length, too, where "edgekit inspect" shows buckets or a range for it. Images are PNG or JPEG, by their
    contents, and turned upright; transparent ones are refused.
    """
    from edgekit import npz
    from edgekit.bundle import Bundle
    from edgekit.devices import open_device
    from edgekit.devices.base import RunRequest, Runs, TakesBuckets
    from edgekit.errors import EdgekitError, UsageError
    from edgekit.runtime.floats import Floats
    from edgekit.runtime.prepare import check_input, preprocessing_of, ready_inputs
    from edgekit.runtime.selection import check_names

    if output is not None and output.suffix != ".npz":
        raise UsageError("EK-ARGUMENT", f"--output {output} is not an .npz file", "outputs are written as .npz")
    with open_device(device, Runs) as opened_device:
        with Bundle.open(bundle) as opened:
            labels = opened.manifest.labels
            check_names(opened.manifest, variant, engine)  # refuses misspelled names before anything is sent
            buckets = opened.manifest.buckets if isinstance(opened_device, TakesBuckets) and not dequantize else None
            floats = Floats(opened.manifest, opened.manifest.recommended["variant"]) if dequantize else None
            if source is None:
                inputs = check_input(opened)
                random = "random" if opened.manifest.checks.get("random") else "a check input"
                console.note(f"no --input was given: the input is {random}", quiet or as_json)
            else:
                signature = floats.signature if floats else opened.manifest.signature
                inputs = ready_inputs(source, signature, preprocessing_of(opened), buckets)
                inputs = floats.inward(inputs) if floats else inputs
        request = RunRequest(inputs, variant, engine, threads)
        result = opened_device.run(bundle, request, lambda line: console.note(line, quiet or as_json))
    outputs = dict(floats.outward(result.outputs) if floats else result.outputs)
    console.note(f"{result.variant} on {result.engine}, {result.threads} threads", quiet or as_json)
    if output is not None:
        try:
            npz.save(output, outputs)
        except OSError as error:
            raise EdgekitError("EK-WRITE", f"cannot write {output}: {error.strerror}", "write elsewhere") from error
    ranked = {name: _ranked(array, labels, top) for name, array in outputs.items()}
    if as_json:
        console.document(
            {
                "bundle": str(options.named(bundle)),
                "input": None if source is None else str(source),
                "device": opened_device.name,
                "emulated": opened_device.emulated,
                "variant": result.variant,
                "engine": result.engine,
                "threads": result.threads,
                "outputs": {
                    name: {"shape": list(array.shape), "dtype": array.dtype.name, "top": ranked[name]}
                    for name, array in outputs.items()
                },
                "output": None if output is None else str(output),
            }
        )
        return
    for name, rows in ranked.items():
        label = "label" if any("label" in row for row in rows) else "index"
        headers = [label, name if len(ranked) > 1 else "score"]
        console.say(*console.table(headers, [[str(row[label]), f"{row['score']:.4f}"] for row in rows]))


def _ranked(array: np.ndarray, labels: tuple[str, ...], top: int) -> list[dict[str, Any]]:
    """The largest values of an output: index, raw score, and label where there is one for each value."""
    values = array.reshape(-1)
    order = (-values.astype("float64")).argsort(kind="stable")[:top]
    named = len(labels) == values.size
    return [
        {"index": int(index), "score": values[index].item(), **({"label": labels[index]} if named else {})}
        for index in order
    ]
