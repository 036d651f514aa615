"""Pickles, read as data: nothing that they name is imported or called.

Only what PyTorch writes is known, protocol 2 and a little of protocol 4 (``pickletools`` describes it). What would be a
class or function is a `Name`, what would be a call an `Object`.
"""

from __future__ import annotations

import struct
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from edgekit.runtime.contents.refusal import Malformed, Refused, reading, shown


@dataclass(frozen=True)
class Name:
    """A class or function that a pickle names."""

    module: str
    name: str

    def __str__(self) -> str:
        return f"{self.module}.{self.name}"


@dataclass(eq=False)
class Object:
    """What calling *kind* with *arguments* would give, with the state and the entries that it is given afterwards."""

    kind: Name
    arguments: tuple[Any, ...]
    state: Any = None
    items: list[tuple[Any, Any]] = field(default_factory=list)


@dataclass(frozen=True)
class Reference:
    """Something outside of the pickle: for PyTorch, a storage."""

    value: Any


class _Mark:
    pass


_MARK = _Mark()
#: Opcodes that stand for a value, or for one of fixed size.
_VALUES: dict[int, Any] = {ord("N"): None, 0x88: True, 0x89: False}
_NUMBERS = {
    ord("J"): struct.Struct("<i"), ord("K"): struct.Struct("<B"), ord("M"): struct.Struct("<H"),
    ord("G"): struct.Struct(">d"),
}  # fmt: skip
#: Opcodes of texts and bytes: width of their length, and whether they are texts.
_TEXTS = {
    ord("X"): (4, True), 0x8C: (1, True), ord("T"): (4, True), ord("U"): (1, True), ord("B"): (4, False),
    ord("C"): (1, False),
}  # fmt: skip
_MAX_STEPS = 1 << 24


def load(data: bytes, allows: Callable[[Name], bool]) -> Any:
    """The value in *data*.

    Args:
        data: The pickle, with nothing behind it.
        allows: Whether a pickle may name this class or function.

    Raises:
        Refused: It names what is not allowed.
        Malformed: It is damaged, or written in another way than PyTorch writes.
    """
    value, end = load_first(data, 0, allows)
    if end != len(data):
        raise Malformed("a pickle goes on behind its end")
    return value


def load_first(data: bytes, offset: int, allows: Callable[[Name], bool]) -> tuple[Any, int]:
    """`load` for a pickle that begins at *offset*, with other things behind it: its value, and where it ends."""
    with reading("a pickle is damaged"):
        return _Machine(data, offset, allows).run()


class _Machine:
    def __init__(self, data: bytes, offset: int, allows: Callable[[Name], bool]):
        self._data = data
        self._allows = allows
        self._offset = offset
        self._stack: list[Any] = []
        self._memo: dict[int, Any] = {}

    def run(self) -> tuple[Any, int]:
        if self._take(1) != b"\x80" or self._byte() not in (2, 3, 4):
            raise Malformed("a pickle is of a protocol that PyTorch does not write")
        for _ in range(_MAX_STEPS):
            code = self._byte()
            if code == ord("."):
                (value,) = self._stack
                if isinstance(value, _Mark):
                    raise Malformed("a pickle ends with a mark")
                return value, self._offset
            self._step(code)
        raise Malformed("a pickle has too many steps")

    def _step(self, code: int) -> None:
        push = self._stack.append
        if code in _VALUES:
            push(_VALUES[code])
        elif code in _NUMBERS:
            push(_NUMBERS[code].unpack(self._take(_NUMBERS[code].size))[0])
        elif code in _TEXTS:
            width, is_text = _TEXTS[code]
            raw = self._take(int.from_bytes(self._take(width), "little"))
            push(raw.decode() if is_text else raw)
        elif code == 0x8A:  # LONG1
            push(int.from_bytes(self._take(self._byte()), "little", signed=True))
        elif code in (ord("q"), ord("r"), 0x94):  # BINPUT, LONG_BINPUT, MEMOIZE
            self._memo[self._index(code, ord("q"), ord("r"))] = self._top()
        elif code in (ord("h"), ord("j")):  # BINGET, LONG_BINGET
            push(self._memo[self._index(code, ord("h"), ord("j"))])
        elif code == ord("("):
            push(_MARK)
        elif code == ord(")"):
            push(())
        elif code in (ord("]"), ord("}"), 0x8F):
            push([] if code == ord("]") else {} if code == ord("}") else [])
        elif code in (0x85, 0x86, 0x87):  # TUPLE1 to TUPLE3
            push(tuple([self._pop() for _ in range(code - 0x84)][::-1]))
        elif code == ord("t"):
            push(tuple(self._marked()))
        else:
            self._build(code)

    def _build(self, code: int) -> None:
        if code == ord("c"):
            self._stack.append(self._name(self._line(), self._line()))
        elif code == 0x93:  # STACK_GLOBAL
            name, module = self._pop(), self._pop()
            self._stack.append(self._name(module, name))
        elif code in (ord("R"), 0x81):  # REDUCE, NEWOBJ
            arguments, kind = self._pop(), self._pop()
            if not isinstance(kind, Name) or not isinstance(arguments, tuple):
                raise Malformed("a pickle calls what is no function")
            self._stack.append(Object(kind, arguments))
        elif code == ord("Q"):
            self._stack.append(Reference(self._pop()))
        elif code == ord("b"):
            state, made = self._pop(), self._top()
            if not isinstance(made, Object) or made.state is not None:
                raise Malformed("a pickle sets the state of what is no object")
            made.state = state
        elif code in (ord("e"), 0x90):  # APPENDS, ADDITEMS
            values, target = self._marked(), self._top()
            self._extend(target, values)
        elif code == ord("a"):
            value, target = self._pop(), self._top()
            self._extend(target, [value])
        elif code in (ord("u"), ord("s")):  # SETITEMS, SETITEM
            values = self._marked() if code == ord("u") else [self._pop(), self._pop()][::-1]
            pairs = list(zip(values[::2], values[1::2], strict=True))
            target = self._top()
            if isinstance(target, dict):
                target.update(pairs)
            elif isinstance(target, Object):
                target.items += pairs
            else:
                raise Malformed("a pickle sets entries of what has none")
        elif code == 0x95:  # FRAME
            self._take(8)
        else:
            raise Malformed(f"a pickle has a step that PyTorch does not write (0x{code:02x})")

    def _name(self, module: Any, name: Any) -> Name:
        found = Name(str(module), str(name))
        if not self._allows(found):
            raise Refused(f"it names {shown(found)}", "imports or calls it when it is unpickled")
        return found

    def _extend(self, target: Any, values: list[Any]) -> None:
        if not isinstance(target, list):
            raise Malformed("a pickle appends to what is no list")
        target += values

    def _marked(self) -> list[Any]:
        """The values above the last mark, which go with it."""
        index = len(self._stack) - 1
        while not isinstance(self._stack[index], _Mark):
            index -= 1
            if index < 0:
                raise Malformed("a pickle lacks a mark")
        values = self._stack[index + 1 :]
        del self._stack[index:]
        return values

    def _pop(self) -> Any:
        self._top()
        return self._stack.pop()

    def _top(self) -> Any:
        if isinstance(self._stack[-1], _Mark):
            raise Malformed("a pickle has a mark where a value should be")
        return self._stack[-1]

    def _index(self, code: int, short: int, long: int) -> int:
        if code == short:
            return self._byte()
        return int.from_bytes(self._take(4), "little") if code == long else len(self._memo)

    def _line(self) -> str:
        end = self._data.index(b"\n", self._offset)
        return self._take(end + 1 - self._offset)[:-1].decode()

    def _byte(self) -> int:
        return self._take(1)[0]

    def _take(self, count: int) -> bytes:
        taken = self._data[self._offset : self._offset + count]
        if len(taken) < count:
            raise Malformed("a pickle is cut short")
        self._offset += count
        return taken


def walk(value: Any) -> list[Any]:
    """Everything within *value*, itself included, each thing once however often it is shared."""
    found, pending, seen = [], [value], set()
    while pending:
        each = pending.pop()
        if isinstance(each, (Object, dict, list, tuple)):
            if id(each) in seen:
                continue
            seen.add(id(each))
        found.append(each)
        pending += _parts(each)[::-1]
    return found


def _parts(value: Any) -> list[Any]:
    if isinstance(value, Object):
        return [value.arguments, value.state, *(part for pair in value.items for part in pair)]
    if isinstance(value, dict):
        return [*value.keys(), *value.values()]
    if isinstance(value, (list, tuple)):
        return list(value)
    return [value.value] if isinstance(value, Reference) else []
