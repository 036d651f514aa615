"""The table of what files may hold, against the packages whose formats they are: nothing was forgotten or made up."""

from __future__ import annotations

import re
from importlib.util import find_spec
from pathlib import Path

import pytest
import torch
from ai_edge_litert import schema_py_generated as schema
from onnx import defs

from edgekit.runtime.contents import onnx as onnx_reader
from edgekit.runtime.contents import pte, tflite, vulkan, xnnpack
from edgekit.runtime.contents.allowed import ATEN, ONNX, SAVED_MODEL, TFLITE_NUMBERED
from edgekit.runtime.contents.flatbuffer import Schema

EXECUTORCH = Path(next(iter(find_spec("executorch").submodule_search_locations)))  # type: ignore[arg-type, union-attr]
SCALARS = {
    "bool": "b", "byte": "i8", "ubyte": "u8", "short": "i16", "ushort": "u16", "int": "i32", "uint": "u32",
    "uint32": "u32", "long": "i64", "int64": "i64", "ulong": "u64", "uint64": "u64", "float": "f32", "double": "f64",
    "string": "str",
}  # fmt: skip


def described(path: str) -> tuple[dict[str, list[tuple[str, bool, str]]], dict[str, list[str]]]:
    """Tables and unions of a ``.fbs`` file of the executorch package."""
    files = [EXECUTORCH / path, EXECUTORCH / "schema" / "scalar_type.fbs"]
    text = re.sub(r"//.*", "", "".join(file.read_text() for file in files))
    enums = dict(re.findall(r"enum (\w+)\s*:\s*(\w+)", text))
    unions = {
        name: [member.strip().replace(": ", ":") for member in body.split(",") if member.strip()]
        for name, body in re.findall(r"union (\w+)\s*\{(.*?)\}", text, re.DOTALL)
    }
    tables: dict[str, list[tuple[str, bool, str]]] = {}
    for name, body in re.findall(r"table (\w+)\s*\{(.*?)\}", text, re.DOTALL):
        tables[name] = []
        for field in filter(
            None, (re.sub(r"\(.*?\)|=.*", "", part, flags=re.DOTALL).strip() for part in body.split(";"))
        ):
            key, kind = (part.strip() for part in field.split(":", 1))
            plain = kind.strip("[]").strip()
            if plain in unions:
                tables[name] += [(f"{key}_type", False, "u8"), (key, False, f"<{plain}>")]
            else:
                plain = enums.get(plain, plain)
                tables[name].append((key, kind.startswith("["), SCALARS.get(plain, plain)))
    return tables, unions


@pytest.mark.parametrize(
    ("own", "path"),
    [
        (pte.SCHEMA, "exir/_serialize/program.fbs"),
        (xnnpack.SCHEMA, "backends/xnnpack/serialization/runtime_schema.fbs"),
        (vulkan.SCHEMA, "backends/vulkan/serialization/schema.fbs"),
    ],
    ids=["pte", "xnnpack", "vulkan"],
)
def test_flatbuffers_are_described_as_executorch_describes_them(own: Schema, path: str) -> None:
    tables, unions = described(path)
    found = {name: [field[:3] for field in fields] for name, fields in own.tables.items()}
    assert found == {name: fields for name, fields in tables.items() if fields}
    assert {name: [f"{a}" if a == b else f"{a}:{b}" for a, b in each] for name, each in own.unions.items()} == unions


def test_tflite_is_described_as_litert_describes_it() -> None:
    """Its generated code has one method for each field, and the number of its place."""
    source = Path(schema.__file__).read_text()
    for name, fields in tflite.SCHEMA.tables.items():
        start = source.index(f"\nclass {name}(object):")
        body = source[start : source.index(f"\ndef {name}Start(", start)]
        places = {int(place) for place in re.findall(r"_tab\.Offset\((\d+)\)", body)}
        known = {
            4 + 2 * index
            for index, (field, *_) in enumerate(fields)
            if not field.startswith("deprecated_") or field == "deprecated_builtin_code"
        }
        assert places == known, name
    for union in ("BuiltinOptions", "BuiltinOptions2", "QuantizationDetails", "SparseIndexVector"):
        numbers = {number: key for key, number in vars(getattr(schema, union)).items() if isinstance(number, int)}
        assert [name for name, _ in tflite.SCHEMA.unions[union]] == [numbers[i] for i in range(1, len(numbers))]


def test_every_operator_of_litert_has_its_number() -> None:
    numbers = {number: name for name, number in vars(schema.BuiltinOperator).items() if isinstance(number, int)}
    assert [name.removeprefix("-") for name in TFLITE_NUMBERED] == [numbers[i] for i in range(len(numbers))]
    refused = {name for name in TFLITE_NUMBERED if name.startswith("-")}
    assert refused == {
        "-CALL", "-CUSTOM", "-DELEGATE", "-PLACEHOLDER_FOR_GREATER_OP_CODES", "-STABLEHLO_CUSTOM_CALL",
    }  # fmt: skip


def test_every_operator_of_onnx_is_on_the_list_but_those_that_decode() -> None:
    known: dict[str, set[str]] = {}
    for operator in defs.get_all_schemas():
        known.setdefault(operator.domain, set()).add(operator.name)
    assert known[""] - ONNX[""] == {"ImageDecoder"}
    assert known["ai.onnx.ml"] == ONNX["ai.onnx.ml"]
    assert ONNX[""] <= known[""]


def test_onnx_is_described_as_onnx_describes_it() -> None:
    import onnx

    for name, fields in onnx_reader.SCHEMA.messages.items():
        kind = onnx
        for part in name.split("_"):
            kind = getattr(kind, part)
        numbers = {field.number: field.name for field in kind.DESCRIPTOR.fields}  # type: ignore[attr-defined]
        assert {number: key for number, (key, _) in fields.items()} == numbers, name


def kernels() -> set[str]:
    """Names of all kernels in ExecuTorch's own libraries."""
    found: set[str] = set()
    for library in ("libexecutorch_kernels_optimized.so", "libexecutorch_kernels_quantized.so"):
        data = (EXECUTORCH / "lib" / library).read_bytes()
        found |= {
            name.decode()
            for name in re.findall(rb"\0((?:aten|dim_order_ops|quantized_decomposed)::[\w.]+)(?=\0)", data)
        }
    return {name for name in found if "embedding_xbit" not in name}  # what kernels of several widths share


def test_every_kernel_of_executorch_is_on_the_list_but_those_that_are_named() -> None:
    from edgekit.runtime.contents.pte import _kinds_by_name

    assert kernels() - _kinds_by_name().keys() == {
        "aten::as_strided_copy.out", "aten::convolution_backward.out", "aten::empty.out",
        "aten::max_pool2d_with_indices_backward.grad_input", "dim_order_ops::_empty_dim_order.out",
    }  # fmt: skip


def test_kernels_take_what_pytorch_says_that_they_take() -> None:
    from edgekit.runtime.contents.pte import _kinds_by_name

    words = {
        "Tensor": "Tensor",
        "int": "Int",
        "bool": "Bool",
        "float": "Double",
        "number": "Int",
        "List[int]": "IntList",
    }
    checked = 0
    for name, kinds in _kinds_by_name().items():
        base, _, overload = name.partition(".")
        try:
            arguments = torch._C._get_schema(base, overload).arguments
        except RuntimeError:  # ExecuTorch's own
            continue
        checked += 1
        for argument, allowed_kinds in zip(arguments, kinds, strict=False):
            wanted = words.get(str(argument.type))
            assert wanted is None or wanted in allowed_kinds, (name, argument.name)
        assert len(kinds) - len(arguments) in (0, 1), name
    assert checked > 200


def test_aten_has_no_operator_that_reaches_beyond_tensors() -> None:
    risky = ("file", "unsafe", "strided", "storage", "resize", "backward", "set_", "data_ptr", "cuda", "sparse", "rpc")
    found = {name for name in ATEN if any(word in name for word in risky)}
    assert found == {"_unsafe_index", "_unsafe_view"}  # which torch checks on a CPU: see test_pt2.py
    known = {name.partition("::")[2] for name in (schema.name for schema in torch._C._jit_get_all_schemas())}
    assert known >= ATEN


def test_saved_models_have_no_operator_that_reaches_beyond_tensors() -> None:
    risky = ("File", "PyFunc", "Save", "Restore", "Table", "Dataset", "Queue", "Debug", "Summary", "ImmutableConst")
    risky += ("Vocab", "FixedUnigram", "Rpc", "Decode", "Load", "Xla", "Stage", "Iterator", "GenerateVocab")
    assert not {name for name in SAVED_MODEL if any(word in name for word in risky)}
    written = {name for name in SAVED_MODEL if "Write" in name or "Read" in name}
    assert written == {
        "DisableCopyOnRead", "ReadVariableOp", "RngReadAndSkip", "TensorArrayReadV3", "TensorArrayWriteV3",
    }  # fmt: skip
