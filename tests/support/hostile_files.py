"""Model files that would do more than compute: leave a mark, import a trap, or lead a library out of its memory.

Each maker takes the path of the mark that a successful attack leaves, and gives the file. ``TRAP`` is a module that a
successful attack imports. Imports torch; never import it where tensorflow is.
"""

from __future__ import annotations

import io
import json
import os
import pickle
import warnings
import zipfile
from collections.abc import Callable, Iterator
from functools import cache
from pathlib import Path
from typing import Any

import torch

from edgekit.runtime.contents.allowed import TFLITE_NUMBERED

Maker = Callable[[Path], bytes]
Files = dict[str, bytes]

#: A module of the standard library that nothing imports: it prints when it is.
TRAP = "this"
PROGRAM, WEIGHTS = "models/model.json", "data/weights/model_weights_config.json"
_LEAF = {"type": None, "context": None, "children_spec": []}


class Evil:
    """Makes a folder when it is unpickled."""

    def __init__(self, mark: Path):
        self.mark = str(mark)

    def __reduce__(self) -> Any:
        return os.mkdir, (self.mark,)


def unpacked(data: bytes) -> Files:
    with zipfile.ZipFile(io.BytesIO(data)) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def packed(files: Files, compression: int = zipfile.ZIP_STORED) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", compression) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return buffer.getvalue()


# .pt2


class _Small(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.linear = torch.nn.Linear(4, 3)

    def forward(self, x: torch.Tensor) -> dict[str, torch.Tensor]:
        return {"y": torch.relu(self.linear(x))}


@cache
def good_pt2() -> bytes:
    torch.manual_seed(0)
    buffer = io.BytesIO()
    torch.export.save(torch.export.export(_Small().eval(), (torch.zeros(1, 4),)), buffer)
    return buffer.getvalue()


def pt2_files() -> Files:
    return {name.partition("/")[2]: data for name, data in unpacked(good_pt2()).items()}


def pt2(files: Files) -> bytes:
    return packed({f"archive/{name}": data for name, data in files.items()})


def pt2_with(change: Callable[[Any], object], file: str = PROGRAM) -> bytes:
    """The file with something changed in its program."""
    files = pt2_files()
    value = json.loads(files[file])
    change(value)
    return pt2({**files, file: json.dumps(value).encode()})


def _graph(program: Any) -> Any:
    return program["graph_module"]["graph"]


def _call(target: str, **inputs: Any) -> Callable[[Any], None]:
    """The first node calls something else."""

    def change(program: Any) -> None:
        node = _graph(program)["nodes"][0]
        node["target"] = target
        if inputs:
            node["inputs"] = [{"name": name, "arg": value, "kind": 1} for name, value in inputs.items()]

    return change


def _tree(kind: str, context: Any) -> Callable[[Any], None]:
    def change(program: Any) -> None:
        signature = program["graph_module"]["module_call_graph"][0]["signature"]
        signature["out_spec"] = json.dumps([1, {"type": kind, "context": context, "children_spec": [_LEAF]}])

    return change


def _renamed(new: str) -> Callable[[Any], None]:
    """The input ``x`` has another name wherever it stands."""

    def change(program: Any) -> None:
        text = json.dumps(program).replace('"x"', json.dumps(new))
        program.clear()
        program.update(json.loads(text))

    return change


def _weight(mark: Path) -> bytes:
    files, buffer = pt2_files(), io.BytesIO()
    torch.save((Evil(mark),), buffer, pickle_module=pickle)
    value = json.loads(files[WEIGHTS])
    first = next(iter(value["config"].values()))
    first["use_pickle"] = True
    files[f"data/weights/{first['path_name']}"] = buffer.getvalue()
    return pt2({**files, WEIGHTS: json.dumps(value).encode()})


def _samples(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save((Evil(mark),), buffer, pickle_module=pickle)
    return pt2({**pt2_files(), "data/sample_inputs/model.pt": buffer.getvalue()})


def _twice(mark: Path) -> bytes:
    """Another program under the same name: which of them a library reads is its own affair."""
    buffer = io.BytesIO(good_pt2())
    program = pt2_with(_call("torch.os.mkdir", path={"as_string": str(mark)}))
    with zipfile.ZipFile(buffer, "a") as archive, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        (name,) = (name for name in archive.namelist() if name.endswith(PROGRAM))
        archive.writestr(name, unpacked(program)[f"archive/{PROGRAM}"])
    return buffer.getvalue()


def _checkpoint(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Evil(mark), buffer, pickle_module=pickle)
    return buffer.getvalue()


def _old_checkpoint(mark: Path) -> bytes:
    buffer = io.BytesIO()
    torch.save(Evil(mark), buffer, pickle_module=pickle, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


def _code(mark: Path) -> str:
    return f"__import__('os').mkdir({str(mark)!r})"


_DEFAULTDICT = {"default_factory_module": TRAP, "default_factory_name": "s", "dict_context": ["a"]}


def _pt2_makers() -> Iterator[tuple[str, Maker]]:
    changes: dict[str, Callable[[Path], Callable[[Any], object]]] = {
        "calls Python": lambda mark: _call("torch.os.mkdir", path={"as_string": str(mark)}),
        "calls torch.load": lambda mark: _call("torch.load", f={"as_string": str(mark)}),
        "loads a library": lambda mark: _call("torch.ops.load_library", path={"as_string": str(mark)}),
        "calls math": lambda mark: _call("math.factorial"),
        "calls operator": lambda mark: _call("_operator.attrgetter"),
        "reaches into a class": lambda mark: _call("torch.ops.aten.add.Tensor.__class__"),
        "opens a file": lambda mark: _call("torch.ops.aten.from_file.default", filename={"as_string": str(mark)}),
        "as_strided": lambda mark: _call("torch.ops.aten.as_strided.default"),
        "as_strided_": lambda mark: _call("torch.ops.aten.as_strided_.default"),
        "set_": lambda mark: _call("torch.ops.aten.set_.source_Tensor"),
        "resize_": lambda mark: _call("torch.ops.aten.resize_.default"),
        "unsafe sparse": lambda mark: _call("torch.ops.aten._sparse_csr_tensor_unsafe.default"),
        "unsafe indices": lambda mark: _call("torch.ops.aten._index_put_impl_.default"),
        "writes into an argument": lambda mark: _call("torch.ops.aten.add.out"),
        "operator of another library": lambda mark: _call("torch.ops.evil.run.default"),
        "higher order": lambda mark: _call("torch.ops.higher_order.triton_kernel_wrapper_functional"),
        "imports by a tree": lambda mark: _tree("collections.defaultdict", _DEFAULTDICT),
        "imports by an enum": lambda mark: _tree("builtins.tuple", json.dumps({"__enum__": True, "fqn": f"{TRAP}.s"})),
        "class of its own in a tree": lambda mark: _tree(f"{TRAP}.s", "null"),
        "code as a size": lambda mark: lambda program: _graph(program)["tensor_values"]["x"]["sizes"].__setitem__(
            0, {"as_expr": {"expr_str": _code(mark), "hint": None}}
        ),
        "power as a size": lambda mark: lambda program: _graph(program)["tensor_values"]["x"]["sizes"].__setitem__(
            0, {"as_expr": {"expr_str": "9**9**9**9", "hint": None}}
        ),
        "object as an argument": lambda mark: lambda program: _graph(program)["nodes"][0]["inputs"][0].update(
            arg={"as_custom_obj": {"name": "x", "class_fqn": f"{TRAP}.s"}}
        ),
        "function as an argument": lambda mark: lambda program: _graph(program)["nodes"][0]["inputs"][0].update(
            arg={"as_operator": "torch.os.mkdir"}
        ),
        "code as a guard": lambda mark: lambda program: program.update(guards_code=[_code(mark)]),
        "code as an input's name": lambda mark: _renamed(f"x={_code(mark)}"),
        "code as an argument's name": lambda mark: lambda program: program["graph_module"]["module_call_graph"][0][
            "signature"
        ].update(forward_arg_names=[f"x={_code(mark)}"]),
        "code as a keyword": lambda mark: lambda program: _graph(program)["nodes"][0]["inputs"][0].update(
            name=f"input={_code(mark)}", kind=2
        ),
        "code as a weight's name": lambda mark: lambda program: program.update(
            json.loads(json.dumps(program).replace("linear.weight", f'linear.w\\"+{_code(mark)}+\\"'))
        ),
        "node in a branch": lambda mark: lambda program: _graph(program)["nodes"][0]["inputs"][0].update(
            arg={"as_graph": {"name": "g", "graph": {"nodes": [{"target": "torch.os.mkdir", "inputs": []}]}}}
        ),
        "imports by metadata": lambda mark: lambda program: _graph(program)["nodes"][0].update(
            metadata={"source_fn_stack": "x,torch.os.mkdir", "from_node": "[]"}
        ),
    }  # fmt: skip
    for name, made in changes.items():
        yield name, lambda mark, made=made: pt2_with(made(mark))
    yield "pickled weight", _weight
    yield "pickled sample inputs", _samples
    yield "a pickle and no archive", _old_checkpoint
    yield "a pickle in an archive", _checkpoint
    yield "brings a library", lambda mark: pt2({**pt2_files(), "data/aotinductor/model/model.so": b"\x7fELF"})
    yield "two files of one name", _twice


# .ptl


@torch.jit.script
def _writes(x: torch.Tensor, path: str) -> torch.Tensor:
    file = torch.from_file(path, shared=True, size=4, dtype=torch.uint8)
    return x + file.sum()


class _Script(torch.nn.Module):
    def __init__(self, mark: str):
        super().__init__()
        self.mark = mark


class FromFile(_Script):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x + torch.from_file(self.mark, shared=True, size=4, dtype=torch.uint8).sum()


class FromFileOnLoading(_Script):
    """Writes the file while it is unpickled."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x

    @torch.jit.export
    def __getstate__(self) -> tuple[str, bool]:
        return self.mark, self.training

    @torch.jit.export
    def __setstate__(self, state: tuple[str, bool]) -> None:
        self.mark = state[0]
        self.training = bool(torch.from_file(self.mark, shared=True, size=4, dtype=torch.uint8).sum() == 1)


class Saves(_Script):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        torch.save(x, self.mark)
        return x


class Strided(_Script):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.as_strided([4], [1000000], 1000000)


class Resized(_Script):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return x.clone().resize_([1 << 20])


class Warns(_Script):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        warnings.warn("\x1b[2J", stacklevel=2)
        return x


def ptl(module: torch.nn.Module) -> bytes:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        return bytes(torch.jit.script(module.eval())._save_to_buffer_for_lite_interpreter())


class Plain(torch.nn.Module):
    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return torch.relu(x) * 2


def ptl_with(part: str, change: Callable[[bytes], bytes]) -> bytes:
    """A plain file with something changed in one of its parts."""
    files = unpacked(ptl(Plain()))
    (name,) = (name for name in files if name.endswith(f"/{part}"))
    return packed({**files, name: change(files[name])})


def _ptl_makers() -> Iterator[tuple[str, Maker]]:
    for kind in (FromFile, FromFileOnLoading, Saves, Strided, Resized, Warns):
        yield kind.__name__, lambda mark, kind=kind: ptl(kind(str(mark)))
    evil: Maker = lambda mark: pickle.dumps(Evil(mark), protocol=2)  # noqa: E731
    for part in ("data.pkl", "constants.pkl", "bytecode.pkl"):
        yield f"pickle as {part}", lambda mark, part=part: ptl_with(part, lambda _: evil(mark))
    foreign = b"__torch__.torch.classes.evil\nRunner\n"
    yield (
        "class of another library",
        lambda mark: ptl_with(
            "data.pkl", lambda data: data.replace(data[data.index(b"c") + 1 :].split(b"q")[0], foreign)
        ),
    )
    yield "instruction", lambda mark: ptl_with("bytecode.pkl", lambda data: data.replace(b"STOREN", b"CREATE"))
    yield "operator", lambda mark: ptl_with("bytecode.pkl", lambda data: data.replace(b"aten::relu", b"evil::relu"))
    yield "flatbuffer", lambda mark: b"\0\0\0\0PTMF" + bytes(64)


# .tflite and .pte


def tflite_with(data: bytes, change: Callable[[Any], object]) -> bytes:
    """The file with something changed in it, written anew by LiteRT's own schema."""
    import flatbuffers
    from ai_edge_litert import schema_py_generated as schema

    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    change(model)
    builder = flatbuffers.Builder(len(data))
    builder.Finish(model.Pack(builder), b"TFL3")
    return bytes(builder.Output())


def _coded(number: int, custom: str | None = None) -> Callable[[Any], None]:
    def change(model: Any) -> None:
        code = model.operatorCodes[0]
        code.builtinCode, code.deprecatedBuiltinCode = number, min(number, 127)
        code.customCode = custom

    return change


def _loops(model: Any) -> None:
    """A subgraph whose loop has itself as its body."""
    from ai_edge_litert import schema_py_generated as schema

    code = model.operatorCodes[0]
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.WHILE
    node = next(node for node in model.subgraphs[0].operators if node.opcodeIndex == 0)
    node.builtinOptionsType, node.builtinOptions = schema.BuiltinOptions.WhileOptions, schema.WhileOptionsT()
    node.builtinOptions.condSubgraphIndex = node.builtinOptions.bodySubgraphIndex = 0


def _without_input(model: Any, place: int) -> None:
    """As a bias may be, and nothing else of a convolution or a linear layer."""
    node = next(node for node in model.subgraphs[0].operators if len(node.inputs) == 3)
    node.inputs = [-1 if number == place else tensor for number, tensor in enumerate(node.inputs)]


def _external(model: Any) -> None:
    from ai_edge_litert import schema_py_generated as schema

    group = schema.ExternalBufferGroupT()
    group.name = "/etc/passwd"
    model.externalBufferGroups = [group]


def tflite_makers(data: bytes) -> Iterator[tuple[str, Maker]]:
    changes: dict[str, Callable[[Any], object]] = {
        "Flex operator": _coded(32, "FlexWriteFile"),
        "custom operator": _coded(32, "Evil"),
        "nameless custom operator": _coded(32, ""),
        "delegate": _coded(51),
        "place for greater numbers": _coded(127),
        "custom call": _coded(TFLITE_NUMBERED.index("-STABLEHLO_CUSTOM_CALL")),
        "unknown operator": _coded(5000),
        "negative operator": _coded(-5),
        "endless loop": _loops,
        "weights in another file": _external,
        "tensor outside": lambda model: setattr(model.subgraphs[0].operators[0], "inputs", [9999, 0, 0]),
        "buffer outside": lambda model: setattr(model.subgraphs[0].tensors[0], "buffer", 9999),
        "constant cut short": lambda model: setattr(
            max(model.buffers, key=lambda buffer: 0 if buffer.data is None else len(buffer.data)), "data", [0] * 8
        ),
        "terabytes": lambda model: setattr(model.subgraphs[0].tensors[0], "shape", [1, 1 << 20, 1 << 20, 8]),
        "order of operators": lambda model: model.subgraphs[0].operators.reverse(),
        "missing input": lambda model: _without_input(model, 0),
        "missing weights": lambda model: _without_input(model, 1),
        "never computed output": lambda model: setattr(model.subgraphs[0], "operators", []),
    }
    for name, change in changes.items():
        yield name, lambda mark, change=change: tflite_with(data, change)


def pte_makers(portable: bytes, delegated: bytes) -> Iterator[tuple[str, Maker]]:
    replaced = {
        "operator of another library": (portable, b"aten::addmm", b"evil::addmm"),
        "unknown operator": (portable, b"permute_copy", b"permute_evil"),
        "unknown overload": (portable, b"\x03\0\0\0out\0", b"\x03\0\0\0evl\0"),
        "backend": (delegated, b"XnnpackBackend", b"EvilnetBackend"),
        "part without a header": (delegated, b"XH00", b"XH99"),
        "part of another kind": (delegated, b"XN01", b"XN99"),
        "version": (portable, b"ET12", b"ET99"),
    }
    for name, (data, old, new) in replaced.items():
        assert old in data, name
        yield name, lambda mark, data=data, old=old, new=new: data.replace(old, new)


# .onnx


def onnx(change: Callable[[Any], object] = lambda model: None) -> bytes:
    from onnx import TensorProto, helper

    x, y = (helper.make_tensor_value_info(name, TensorProto.FLOAT, [4]) for name in "xy")
    w = helper.make_tensor("w", TensorProto.FLOAT, [4], [1.0, 2.0, 3.0, 4.0])
    graph = helper.make_graph([helper.make_node("Add", ["x", "w"], ["y"])], "graph", [x], [y], [w])
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 20)], ir_version=10)
    change(model)
    return bytes(model.SerializeToString())


def _elsewhere(tensor: Any) -> None:
    from onnx import TensorProto

    tensor.data_location = TensorProto.EXTERNAL
    tensor.ClearField("float_data")
    tensor.external_data.add(key="location", value="/etc/passwd")


def _function(name: str, domain: str, calls: str) -> Callable[[Any], None]:
    from onnx import helper

    def change(model: Any) -> None:
        node = helper.make_node(calls, ["a"], ["b"], domain=domain if calls == name else "")
        opsets = [helper.make_opsetid("", 20)]
        model.functions.append(helper.make_function(domain, name, ["a"], ["b"], [node], opsets))

    return change


def _branch(model: Any) -> None:
    from onnx import helper

    body = helper.make_graph([helper.make_node("Evil", [], ["y"], domain="evil")], "body", [], [])
    model.graph.node[0].attribute.append(helper.make_attribute("then_branch", body))


def _ort(model: Any) -> bytes:
    """A true ONNX file that begins as one of ONNX Runtime's own format: bytes 4 to 7 are its mark."""
    data = model.SerializeToString()
    return b"\x08\x0a\x12\x10ORTM".ljust(20, b" ") + bytes(data)


def onnx_makers() -> Iterator[tuple[str, Maker]]:
    from onnx import TensorProto, helper

    node = lambda model: model.graph.node[0]  # noqa: E731
    huge = helper.make_tensor("w", TensorProto.FLOAT, [1], [0.0])
    huge.dims[:] = [1 << 40]
    changes: dict[str, Callable[[Any], object]] = {
        "weights in another file": lambda model: _elsewhere(model.graph.initializer[0]),
        "domain": lambda model: setattr(node(model), "domain", "evil"),
        "operator": lambda model: setattr(node(model), "op_type", "Evil"),
        "pictures": lambda model: setattr(node(model), "op_type", "ImageDecoder"),
        "compiled elsewhere": lambda model: (
            setattr(node(model), "op_type", "EPContext"), setattr(node(model), "domain", "com.microsoft")
        ),
        "function in the place of Add": _function("Add", "", "Relu"),
        "function in the place of Add by another name": _function("Add", "ai.onnx", "Relu"),
        "function that calls itself": _function("Round", "own", "Round"),
        "operator in a branch": _branch,
        "operator in a function": _function("Own", "own", "Evil"),
        "training": lambda model: model.training_info.add(),
        "terabytes": lambda model: (model.graph.initializer.pop(), model.graph.initializer.append(huge)),
        "negative axis": lambda model: model.graph.initializer[0].dims.append(-1),
        "sparse terabytes": lambda model: model.graph.sparse_initializer.add().dims.append(1 << 40),
        "constant in another file": lambda model: (
            node(model).attribute.append(helper.make_attribute("value", huge)), _elsewhere(node(model).attribute[0].t)
        ),
    }  # fmt: skip
    for name, change in changes.items():
        yield name, lambda mark, change=change: onnx(change)

    def own_format(mark: Path) -> bytes:
        found: list[bytes] = []
        onnx(lambda model: found.append(_ort(model)))
        return found[0]

    yield "another format that begins alike", own_format


# Weights of PyTorch


def weights(value: Any) -> bytes:
    buffer = io.BytesIO()
    torch.save(value, buffer)
    return buffer.getvalue()


def _expanded(mark: Path) -> bytes:
    """One value that stands for a billion."""
    files = unpacked(weights({"w": torch.zeros(1).expand(1 << 20)}))
    (name,) = (name for name in files if name.endswith("data.pkl"))
    return packed({**files, name: files[name].replace(b"J\0\0\x10\0", b"J\0\0\0\x7f")})


def weights_makers() -> Iterator[tuple[str, Maker]]:
    yield "pickle", _checkpoint
    yield "pickle of before 2020", _old_checkpoint
    yield "whole module", lambda mark: weights(_Small())
    yield "another file", lambda mark: packed({**unpacked(weights({"w": torch.zeros(2)})), "archive/code/x.py": b""})
    yield "one value for billions", _expanded


PT2, PTL = dict(_pt2_makers()), dict(_ptl_makers())
