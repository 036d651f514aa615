"""What model files may hold: the one table of it, ``allowed.txt``, format by format.

An allow-list of what edgekit's own exporters and honest converters emit: data, and operators that compute tensors from
tensors. What is not here is refused by name, whatever it would do.
"""

from __future__ import annotations

from pathlib import Path


def _sections(text: str) -> dict[str, str]:
    """What stands below each ``[heading]``, without comments."""
    found: dict[str, str] = {}
    heading = ""
    for line in text.splitlines():
        if line.startswith("[") and line.endswith("]"):
            heading = line[1:-1]
        elif line and not line.startswith("#"):
            found[heading] = f"{found.get(heading, '')}{line}\n"
    return found


_TABLE = _sections(Path(__file__).with_suffix(".txt").read_text(encoding="utf-8"))


def _names(heading: str) -> frozenset[str]:
    return frozenset(_TABLE[heading].split())


def _groups(heading: str) -> dict[str, frozenset[str]]:
    """Names by group: those below ``[heading group]``."""
    return {each.partition(" ")[2]: _names(each) for each in _TABLE if each.startswith(f"{heading} ")}


TFLITE_NUMBERED: tuple[str, ...] = tuple(_TABLE["tflite_numbered"].split())
TFLITE_CUSTOM = _names("tflite_custom")
PTE: str = _TABLE["pte"]
PTE_BACKENDS = _names("pte_backends")
XNNPACK = _names("xnnpack")
ATEN = _names("aten")
RESULTS: str = _TABLE["results"]
SCRIPT = _names("script")
TORCHSCRIPT = _names("torchscript")
QUANTIZED = _names("quantized")
PREPACKED = _names("prepacked")
PTL_CLASSES = _names("ptl_classes")
PT2_SIZES = _names("pt2_sizes")
PT2_CONTROL = _names("pt2_control")
PT2_QUANTIZED = _names("pt2_quantized")
PT2_TREES = _names("pt2_trees")
PT2_FIELDS = _groups("pt2_fields")
ONNX = _groups("onnx")
KERAS = _groups("keras")
KERAS_VALUES = _names("keras_values")
KERAS_FUNCTIONS = _names("keras_functions")
SAVED_MODEL = _names("saved_model")
SAVED_MODEL_TRAINING = _names("saved_model_training")
SAVED_MODEL_READS = _names("saved_model_reads")
SAVED_MODEL_WRITES = _names("saved_model_writes")
STATE_DICT = _names("state_dict")
