"""The command line of the runner, wherever it runs; ``runner.cpp`` says what its options mean."""

from __future__ import annotations

from collections.abc import Sequence

from edgekit.tensors import Signature


def input_files(folder: str, signature: Signature) -> list[str]:
    """Where the values of each input are to be, in C order."""
    return [f"{folder}/input_{index}.raw" for index in range(len(signature.inputs))]


def options(
    engine: str,
    model: str,
    signature: Signature,
    folder: str,
    *,
    threads: int,
    repeat: int,
    spans: int = 0,
    cpus: Sequence[int] | None = None,
    method: str | None = None,
    trace: str | None = None,
) -> list[str]:
    """Options that run the file *model* with *folder* for its inputs (`input_files`) and outputs.

    Args:
        spans: So many inferences more, which are taken apart.
        cpus: Cores to bind the process to.
        method: None for the file's only or unnamed one.
        trace: The file for the engine's events of *repeat* inferences more.
    """
    words = ["--engine", engine, "--model", model, "--threads", str(threads), "--output-dir", folder]
    words += ["--repeat", str(repeat), "--input", *input_files(folder, signature)]
    words += ["--input-names", *(spec.name for spec in signature.inputs)]
    words += ["--output-names", *(spec.name for spec in signature.outputs)]
    words += ["--spans", str(spans)] if spans else []
    words += ["--cpus", ",".join(map(str, cpus))] if cpus is not None else []
    words += ["--method", method] if method is not None else []
    return words + (["--trace", trace] if trace is not None else [])
