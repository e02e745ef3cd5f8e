"""Running a handler in the bulk lane: the handler as it is, but every rule it calls is the compiled one.

A ``BulkLane`` makes twins: copies of functions whose names of rules mean the compiled rules. Nothing is patched; who
holds a twin runs the bulk lane, everybody else goes on in the exact lane. Records are packed into rows for each call
and unpacked into the same objects afterwards, also after an error. That is for checking, not for speed. A call that
does not fit the compiled rule's widths is done by the rule itself, in the exact lane, as everywhere.
"""

import ctypes
import inspect
import types as python_types
from collections.abc import Callable, Iterator
from types import FunctionType
from typing import Any, get_args, get_origin, get_type_hints

from numba.core import types

from seawall.bulk.compiler import declared_type, entry
from seawall.bulk.guard import SLOT, described, slots, stopped_at
from seawall.bulk.loops import overwrite
from seawall.bulk.views import RecordType, RowsType
from seawall.bulk.wide import BeyondWidth, wide
from seawall.errors import SettlementError
from seawall.lanes import COMPILED_FORMS, RULES
from seawall.records import Record

Function = Callable[..., Any]


class BulkLane:
    """Twins of functions, in which the rules are compiled. ``modules``: prefixes of the modules to make twins of."""

    def __init__(self, modules: tuple[str, ...]) -> None:
        self.modules = modules
        self.calls = 0
        """How many rules ran compiled."""
        self.handed_over = 0
        """How many of them did not fit and ran in the exact lane instead."""
        self._twins: dict[Function, Function] = {}

    def twin(self, function: Function) -> Function:
        """The same function over compiled rules, wherever it reaches them by name."""
        known = self._twins.get(function)
        if known is not None:
            return known
        if not isinstance(function, FunctionType):
            raise TypeError(f"{function!r} is no plain function")
        names: dict[str, Any] = {"__name__": function.__module__, "__builtins__": function.__globals__["__builtins__"]}
        cells = tuple(python_types.CellType(self._meaning(cell.cell_contents)) for cell in function.__closure__ or ())
        made = FunctionType(function.__code__, names, function.__name__, function.__defaults__, cells)
        made.__kwdefaults__ = function.__kwdefaults__
        self._twins[function] = made
        for name in _names(function.__code__):
            if name in function.__globals__:
                names[name] = self._meaning(function.__globals__[name])
        return made

    def _meaning(self, value: Any) -> Any:
        if not isinstance(value, FunctionType):
            return value
        if value in COMPILED_FORMS or RULES.get(f"{value.__module__}.{value.__qualname__}") is value:
            return self.compiled(value)
        if any(value.__module__ == m or value.__module__.startswith(f"{m}.") for m in self.modules):
            return self.twin(value)
        return value

    def compiled(self, function: Function) -> Function:
        """A rule's compiled form, callable with Python's records and ints like the rule itself."""
        known = self._twins.get(function)
        if known is not None:
            return known
        caller = RuleCaller(function)

        def run(*args: Any, **kwargs: Any) -> Any:
            self.calls += 1
            try:
                return caller(*args, **kwargs)
            except BeyondWidth:
                self.handed_over += 1
                return function(*args, **kwargs)

        self._twins[function] = run
        return run


def _names(code: python_types.CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, python_types.CodeType):
            yield from _names(constant)


class RuleCaller:
    """Calls a compiled rule with Python objects; ``where`` tells the line of the last refusal or hand-over.

    ``BeyondWidth`` where a value does not fit: nothing has changed then.
    """

    def __init__(self, rule: Function) -> None:
        self.rule = rule
        self.where = ""
        self._signature = inspect.signature(rule)
        self._hints = get_type_hints(rule)
        self._returns = self._hints.pop("return", type(None))

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        bound = self._signature.bind(*args, **kwargs)
        bound.apply_defaults()
        arguments = list(bound.arguments.values())
        parameters = tuple(
            _actual_type(hint, value) for hint, value in zip(self._hints.values(), arguments, strict=True)
        )
        try:
            rows = _Rows(parameters, arguments)
        except SettlementError:
            raise BeyondWidth("a record does not fit its row") from None
        block = _Block(parameters, arguments, rows, _result_slots(self._returns))
        address = entry(self.rule, parameters)(block.address)
        if address < 0:
            self.where = stopped_at(address)
            raise BeyondWidth(self.where)
        rows.write_back()
        if address:
            failure = described(address)
            self.where = failure.where
            raise SettlementError(failure.code)
        return block.result(self._returns)


def _actual_type(hint: Any, value: Any) -> Any:
    """The declared type; where a parameter admits several kinds of records, the one that is given."""
    return RecordType(_kind(value)) if get_origin(hint) is python_types.UnionType else declared_type(hint)


def _kind(value: Record) -> type[Record]:
    return next(cls for cls in type(value).__mro__ if "LAYOUT" in vars(cls))


class _Rows:
    """The records of one call as rows. A record nested in another one that is passed too lies inside its row."""

    def __init__(self, parameters: tuple[Any, ...], arguments: list[Any]) -> None:
        self.places: dict[int, int] = {}
        self._roots: list[tuple[Record, int, bytes]] = []
        self._data: list[bytes] = []
        self._size = 0
        for typ, value in zip(parameters, arguments, strict=True):
            if isinstance(typ, RowsType):
                for item in value:
                    self._add(item)
        singles = [v for t, v in zip(parameters, arguments, strict=True) if isinstance(t, RecordType)]
        for item in sorted(singles, key=lambda record: -record.LAYOUT.size):
            if id(item) not in self.places:
                self._add(item)
        self.buffer = ctypes.create_string_buffer(b"".join(self._data), self._size + 1)

    def _add(self, item: Record) -> None:
        row = item.pack()
        self._roots.append((item, self._size, row))
        for nested, offset in _nested(item, self._size):
            self.places[id(nested)] = offset
        self._data.append(row)
        self._size += len(row)

    def address(self, item: Record) -> int:
        """Where a record's row begins."""
        return ctypes.addressof(self.buffer) + self.places[id(item)]

    def write_back(self) -> None:
        """Give the records what the rule wrote. A record that was not checked out for writing refuses, as it should."""
        for item, offset, before in self._roots:
            after = self.buffer.raw[offset : offset + len(before)]
            if after != before:
                overwrite(item, _kind(item).unpack(after))


def _nested(item: Record, offset: int) -> Iterator[tuple[Record, int]]:
    yield item, offset
    for f in item.LAYOUT.fields:
        if f.kind == "record":
            yield from _nested(getattr(item, f.name), offset + f.offset)
        elif f.kind == "array":
            for i, element in enumerate(getattr(item, f.name)):
                yield from _nested(element, offset + f.offset + i * f.size)


class _Block:
    """The arguments of one call as compiled code reads them, and the result as it writes it."""

    def __init__(self, parameters: tuple[Any, ...], arguments: list[Any], rows: _Rows, results: int) -> None:
        data = b"".join(_argument(t, v, rows) for t, v in zip(parameters, arguments, strict=True))
        self._at = SLOT * sum(slots(t) for t in parameters)
        self._buffer = ctypes.create_string_buffer(data + bytes(SLOT * results))
        self.address = ctypes.addressof(self._buffer)

    def result(self, hint: Any) -> Any:
        """The result, of the type that the rule declares."""
        if hint is type(None):
            return None
        if get_origin(hint) is tuple:
            return tuple(self._scalar(i, h) for i, h in enumerate(get_args(hint)))
        return self._scalar(0, hint)

    def _scalar(self, index: int, hint: Any) -> Any:
        start = self._at + SLOT * index
        value = int.from_bytes(self._buffer.raw[start : start + SLOT], "little", signed=True)
        return bool(value) if hint is bool else value


def _argument(typ: Any, value: Any, rows: _Rows) -> bytes:
    if typ is wide:
        try:
            return int(value).to_bytes(SLOT, "little", signed=True)
        except OverflowError:
            raise BeyondWidth(f"the argument {value}") from None
    if typ is types.boolean:
        return bool(value).to_bytes(SLOT, "little")
    if isinstance(typ, RecordType):
        return rows.address(value).to_bytes(SLOT, "little")
    if isinstance(typ, RowsType):
        first = rows.address(value[0]) if value else 0
        return first.to_bytes(8, "little") + len(value).to_bytes(8, "little")
    return b"".join(_argument(typ.dtype, item, rows) for item in value)


def _result_slots(hint: Any) -> int:
    return len(get_args(hint)) if get_origin(hint) is tuple else 1
