"""``.ptl``: PyTorch Mobile's archive: bytecode with operators by allow-list, and pickles that name nothing else.

The lite interpreter of torch 2.13.0 runs any operator that torch has, some of which write files, while it loads a
file and when it runs one. It takes numbers of registers, slots and constants for granted.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import cache
from typing import Any

from edgekit.runtime.contents import pickles, zips
from edgekit.runtime.contents.allowed import ATEN, PREPACKED, PTL_CLASSES, QUANTIZED, RESULTS, SCRIPT
from edgekit.runtime.contents.pickles import Name, Object
from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown
from edgekit.runtime.contents.torch_tensors import REBUILT, Tensor, is_storage, tensors
from edgekit.runtime.contents.zips import Packed

#: What the lite interpreter reads of an archive, and what is left out of the new one: source code, for debugging.
_READ = re.compile(
    r"version|byteorder|\.data/(version|serialization_id)|(data|constants|bytecode)\.pkl|(data|constants)/[\w.]+"
)
_LEFT_OUT = re.compile(r"code/.*|traced_inputs.*|mobile_debug_handles\.pkl|extra/.*|[\w/.]+\.debug_pkl")
_CLASS = re.compile(r"__torch__(\.\w+)+")
_FOREIGN = re.compile(r"__torch__\.torch\.classes\.([\w.]+)")
_PICKLED = frozenset({"build_boollist", "build_doublelist", "build_intlist", "build_tensorlist", "restore_type_tag"})
_SCHEMES = frozenset({"per_channel_affine", "per_channel_affine_float_qparams", "per_tensor_affine"})
_VERSIONS = range(3, 10)
#: Objects have a slot for each attribute; a module with thousands of submodules is none that a phone runs.
_MAX_SLOTS, _MAX_REGISTERS, _MAX_TYPE = 1 << 12, 1 << 16, 1 << 12

#: Instructions: values that they take off the stack and leave on it. ``X`` and ``N`` are their numbers; of operators,
#: "?", it depends.
_STACK: dict[str, tuple[int | str, int | str]] = {
    "DEVICE": (1, 1), "DICT_CONSTRUCT": ("N", 1), "DICT_INDEX": (2, 1), "DIM": (1, 1), "DROP": (1, 0),
    "DROPR": (0, 0), "DTYPE": (1, 1), "FORMAT": ("X", 1), "GET_ATTR": (1, 1), "INTERFACE_CALL": ("N", 1),
    "ISINSTANCE": (1, 1), "IS_CUDA": (1, 1), "JF": (1, 0), "JMP": (0, 0), "LIST_CONSTRUCT": ("N", 1),
    "LIST_UNPACK": (1, "X"), "LOAD": (0, 1), "LOADC": (0, 1), "LOOP": (0, 0), "MOVE": (0, 1),
    "NAMED_TUPLE_CONSTRUCT": ("N", 1), "NUM_TO_TENSOR": (1, 1), "OP": (0, "?"), "OPN": ("N", "?"),
    "RAISE_EXCEPTION": (1, 0), "RET": (0, 0), "SET_ATTR": (2, 0), "STORE": (1, 0), "STOREN": ("N", 0),
    "TO_LIST": (3, 1), "TUPLE_CONSTRUCT": ("X", 1), "TUPLE_INDEX": (2, 1), "TUPLE_SLICE": (1, 1),
    "UN_INITIALIZED": (0, 1), "WARN": (2, 0), "__ISNOT__": (2, 1), "__IS__": (2, 1), "__NOT__": (1, 1),
}  # fmt: skip
#: What the first number of an instruction counts.
_REGISTERED = ("DROPR", "LOAD", "MOVE", "STORE", "STOREN")
_TYPED = ("DICT_CONSTRUCT", "ISINSTANCE", "LIST_CONSTRUCT", "NAMED_TUPLE_CONSTRUCT")
_JUMPS = ("JF", "JMP", "LOOP")


@dataclass(frozen=True)
class Function:
    """One method.

    Attributes:
        name: Its whole name.
        operators: Name of each, with the number of values that it takes, where the file says that, and gives.
        instructions: Code and numbers of each.
    """

    name: str
    operators: tuple[tuple[str, int | None, int], ...]
    instructions: tuple[tuple[str, int, int], ...]


@dataclass(frozen=True)
class PtlModule(Packed):
    """One ``.ptl`` file.

    Attributes:
        functions: Its methods.
        weights, constants: The tensors in ``data.pkl`` and ``constants.pkl``.
    """

    functions: tuple[Function, ...]
    weights: tuple[Tensor, ...]
    constants: tuple[Tensor, ...]

    @property
    def operators(self) -> tuple[str, ...]:
        """The operators of all methods in the order of their calls."""
        return tuple(
            function.operators[index][0]
            for function in self.functions
            for code, index, _ in function.instructions
            if code in ("OP", "OPN")
        )


@reading("it is no lite interpreter archive")
def read(data: bytes | memoryview) -> PtlModule:
    """Read and check a ``.ptl`` file. Raises as `edgekit.runtime.contents.check`."""
    files = zips.within_folder(zips.unpack(data, _reads))
    version = files.get("version", files.get(".data/version", b""))
    missing = {"data.pkl", "constants.pkl", "bytecode.pkl"} - files.keys()
    if missing or files.get("byteorder", b"little") != b"little":
        raise Malformed(f"it is no lite interpreter archive: {sorted(missing) or 'big-endian'}")
    if not version.strip().isdigit() or len(version) > 4:
        raise Malformed("it is of no version that there is")
    modules, constants, bytecode = (
        pickles.load(files[f"{part}.pkl"], allows) for part in ("data", "constants", "bytecode")
    )
    weights, constant = tensors_in(modules, "data/", files), tensors_in(constants, "constants/", files)
    if not isinstance(modules, Object) or not isinstance(constants, tuple):
        raise Malformed("it holds no module")
    tensors_in(bytecode, "constants/", files)
    classes = frozenset(str(part.kind) for part in pickles.walk(modules) if isinstance(part, Object))
    functions = tuple(_functions(bytecode, classes))
    if not any(function.name.endswith(".forward") for function in functions):
        raise Malformed("it has no forward")
    kept = {f"archive/{name}": contents for name, contents in files.items()}
    return PtlModule(kept, functions, tuple(weights), tuple(constant))


def _reads(name: str) -> bool:
    inner = name.partition("/")[2]
    if _LEFT_OUT.fullmatch(inner):
        return False
    if not _READ.fullmatch(inner):
        raise Refused(f"it holds the file {shown(name)}", "hands it to the lite interpreter")
    return True


def allows(name: Name) -> bool:
    """Whether a pickle of a module may name this: its own classes, tensors, and what puts typed lists together."""
    whole = str(name)
    foreign = _FOREIGN.fullmatch(whole)
    if foreign:
        return foreign[1] in PTL_CLASSES
    if name.module.startswith("__torch__"):
        return len(whole) < _MAX_TYPE and _CLASS.fullmatch(whole) is not None
    return (
        whole == "collections.OrderedDict"
        or is_storage(name)
        or whole == "torch.device"
        or (name.module == "torch" and name.name in _SCHEMES)
        or (name.module == "torch._utils" and name.name in REBUILT)
        or (name.module == "torch.jit._pickle" and name.name in _PICKLED)
    )


def tensors_in(value: Any, folder: str, files: Mapping[str, bytes]) -> list[Tensor]:
    """The tensors of an unpickled *value*, whose storages lie in *folder* of the archive; all of them checked."""
    parts = pickles.walk(value)
    for part in parts:
        if isinstance(part, Object) and part.kind.module == "torch.jit._pickle":
            _check_type(part.arguments[1] if part.kind.name == "restore_type_tag" else "")
    return tensors(parts, lambda key: len(files[folder + key]) if folder + key in files else None)


def _functions(bytecode: Any, classes: frozenset[str]) -> list[Function]:
    """The methods in ``bytecode.pkl``: a version, then for each its name, its code and its schema."""
    with reading("its bytecode is damaged"):
        version, *methods = bytecode
        if version not in _VERSIONS:
            raise Malformed(f"its bytecode is of version {shown(version)}")
        return [_function(classes, *method) for method in methods]


def _function(classes: frozenset[str], name: str, code: Any, schema: Any = ()) -> Function:
    parts = dict(code)
    arguments, returns = dict(schema)["arguments"], dict(schema)["returns"]
    for entry in map(dict, (*arguments, *returns)):
        _check_type(entry["type"])
        if entry["name"] == "self" and entry["type"] not in classes:
            raise Malformed(f"its bytecode takes the class {shown(entry['type'])}, of which there is no object")
    # Warnings and errors show texts on the terminal.
    for text in (part for part in pickles.walk(parts["constants"]) if isinstance(part, str)):
        if not all(letter.isprintable() or letter in "\n\t" for letter in text):
            raise Refused("its bytecode holds a text that does not print", "sends it to the terminal")
    for kind in parts["types"]:
        _check_type(kind)
    _check_type(name)
    operators = tuple(_operator(*entry) for entry in parts["operators"])
    instructions = tuple((str(code), int(first), int(second)) for code, first, second in parts["instructions"])
    registers = parts["register_size"]
    if type(registers) is not int or not 0 <= registers <= _MAX_REGISTERS:
        raise Malformed("its bytecode has registers that there are not")
    counts = (registers, len(parts["constants"]), len(parts["types"]), len(operators))
    for index, instruction in enumerate(instructions):
        _instruction(*instruction, index, len(instructions), counts)
    found = Function(name, operators, instructions)
    _check_stack(found, len(arguments), len(returns))
    return found


def _check_type(name: Any) -> None:
    """Refuse a type's text that the interpreter's parser would follow without end, or a class that is foreign."""
    if not isinstance(name, str) or len(name) > _MAX_TYPE or name.count("[") > 16:
        raise Malformed("its bytecode names a type that there is not")
    for foreign in re.findall(r"__torch__\.torch\.classes\.([\w.]+)", name):
        if foreign not in PTL_CLASSES and foreign.rpartition(".")[0] not in PTL_CLASSES:
            raise Refused(f"it names the class {shown(foreign)}", "calls code that is not PyTorch's own")


def _operator(name: str, overload: str, count: int | None = None) -> tuple[str, int | None, int]:
    space, _, short = str(name).partition("::")
    plain = short[:-1] if short.endswith("_") and not short.endswith("__") else short
    allowed = {"aten": short in ATEN or plain in ATEN, "quantized": short in QUANTIZED}.get(space, False)
    if not (allowed or name in SCRIPT or name in PREPACKED):
        whole = f"{name}.{overload}" if overload else name
        raise Refused(f"it holds the operator {shown(whole)}", "runs what may read or write files and memory")
    if count is not None and not 0 <= count <= 64:
        raise Malformed(f"{name} takes {count} values")
    plain = short if space == "aten" else name
    return str(name), count, _results().get(f"{plain}.{overload}" if overload else plain, 1)


def _instruction(code: str, first: int, second: int, index: int, length: int, counts: Sequence[int]) -> None:
    registers, constants, types, operators = counts
    if code not in _STACK:
        raise Refused(f"its bytecode holds the instruction {shown(code)}", "runs what edgekit does not know")
    last = first + max(second, 1) - 1 if code == "STOREN" else first
    wrong = (
        (code in _REGISTERED and not 1 <= first <= last <= registers)
        or (code in ("INTERFACE_CALL", "LOADC") and not 0 <= first < constants)
        or (code in ("OP", "OPN") and not 0 <= first < operators)
        or (code in ("GET_ATTR", "SET_ATTR") and not 0 <= first < _MAX_SLOTS)
        or (code in _TYPED and not 0 <= first <= first + (second - 1 if code == "ISINSTANCE" else 0) < max(types, 1))
        or (code in _JUMPS and not 0 <= index + first < length)
        or (code in ("FORMAT", "LIST_UNPACK", "TUPLE_CONSTRUCT") and not 0 <= first <= _MAX_REGISTERS)
        or not 0 <= second <= _MAX_REGISTERS
    )
    if wrong:
        raise Malformed(f"its bytecode has {code} {first} {second}, which is outside of it")


@cache
def _results() -> Mapping[str, int]:
    found = {}
    for line in RESULTS.strip().replace("\n ", " ").splitlines():
        count, _, names = line.partition(":")
        found.update(dict.fromkeys(names.split(), int(count)))
    return found


def _check_stack(function: Function, arguments: int, returns: int) -> None:
    """Follow the depth of the stack along every way through *function*: no instruction takes more than there is.

    Where it cannot be told (operators that leave as many values as a tuple has), the rest of the way is not followed.
    """
    depths: dict[int, int] = {}
    pending = [(0, arguments)]
    while pending:
        index, depth = pending.pop()
        while index not in depths:
            if index >= len(function.instructions):
                raise Malformed("its bytecode does not end")
            depths[index] = depth
            code, first, second = function.instructions[index]
            if code == "RET":
                if depth < returns:
                    raise Malformed("its bytecode returns more than there is")
                break
            takes, leaves = _effect(function, code, first, second)
            if leaves is None:
                break
            if takes > depth or (code == "LOOP" and (second < 2 or depth < second + 1)):
                raise Malformed(f"its bytecode has {code} where the stack is empty")
            depth += leaves - takes
            if code in _JUMPS:
                pending.append((index + first, depth - 3 if code == "LOOP" else depth))
                if code == "JMP":
                    break
            if code == "RAISE_EXCEPTION":
                break
            index += 1
        else:
            if depths[index] != depth:
                raise Malformed("its bytecode reaches one place with stacks of unlike depth")


def _effect(function: Function, code: str, first: int, second: int) -> tuple[int, int | None]:
    takes, leaves = ({"X": first, "N": second}.get(str(count), count) for count in _STACK[code])
    if code in ("OP", "OPN"):
        name, count, results = function.operators[first]
        if code == "OP":
            takes = count or 0
        if (code == "OP" and count is None) or name == "prim::TupleUnpack":
            return int(takes), None
        return int(takes), results
    return int(takes), int(leaves)
