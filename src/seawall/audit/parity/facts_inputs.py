"""The inputs of a fact, read one by one so that none is overlooked; and what an adapter finds."""

from collections.abc import Callable, Iterator
from typing import Any, TypeVar

from seawall.errors import SettlementError
from seawall.records import Record, flatten, set_path

_MISSING: Any = object()

Found = dict[str, Any] | Record | tuple["dict[str, Any] | Record", ...]
"""What an adapter computed: results by their name in ``expected``, or records whose fields are looked up by name."""

Adapter = Callable[["Inputs"], Found]
"""Builds records from a fact's inputs, calls the rules, and returns what they gave."""

_R = TypeVar("_R", bound=Record)


class UnreadableFact(Exception):
    """A fact does not have the shape that its function needs."""


class Inputs:
    """The named inputs of one fact. Reading one marks it; ``unread`` tells which nobody asked for."""

    def __init__(self, data: Any, name: str = "inputs") -> None:
        if not isinstance(data, dict):
            raise UnreadableFact(f"{name} is not an object")
        self._data: dict[str, Any] = data
        self._name = name
        self._read: set[str] = set()
        self._nested: dict[str, Inputs] = {}

    def __contains__(self, name: str) -> bool:
        return name in self._data

    def _take(self, name: str, default: Any) -> Any:
        self._read.add(name)
        value = self._data.get(name, default)
        if value is _MISSING:
            raise UnreadableFact(f"{self._name}: {name} is missing")
        return value

    def number(self, name: str, default: int = _MISSING) -> int:
        """An integer, written as a decimal string."""
        value = self._take(name, default)
        try:
            return int(value)
        except (TypeError, ValueError):
            raise UnreadableFact(f"{self._name}: {name} is no integer: {value!r}") from None

    def text(self, name: str, default: str = _MISSING) -> str:
        """A text, for example the name of an enum member."""
        value = self._take(name, default)
        if not isinstance(value, str):
            raise UnreadableFact(f"{self._name}: {name} is no text: {value!r}")
        return value

    def flag(self, name: str, default: bool = _MISSING) -> bool:
        """A truth value."""
        value = self._take(name, default)
        if not isinstance(value, bool):
            raise UnreadableFact(f"{self._name}: {name} is neither true nor false: {value!r}")
        return value

    def numbers(self, name: str) -> list[int]:
        """A list of integers; a missing one is empty."""
        return [Inputs({"item": item}, f"{self._name}.{name}").number("item") for item in self._list(name)]

    def _list(self, name: str) -> list[Any]:
        value = self._take(name, [])
        if not isinstance(value, list):
            raise UnreadableFact(f"{self._name}: {name} is no list: {value!r}")
        return value

    def items(self, name: str) -> "Iterator[Inputs]":
        """A list of objects, for example the steps of a sequence; a missing one is empty."""
        for number, value in enumerate(self._list(name)):
            path = f"{name}.{number}"
            self._nested[path] = Inputs(value, f"{self._name}.{path}")
            yield self._nested[path]

    def is_object(self, name: str) -> bool:
        """Whether an input is an object; if not it may be a text that stands for one, or be missing."""
        return isinstance(self._data.get(name), dict)

    def nested(self, name: str) -> "Inputs":
        """An object among the inputs; a missing one is empty."""
        if name not in self._nested:
            self._nested[name] = Inputs(self._take(name, {}), f"{self._name}.{name}")
        return self._nested[name]

    def each(self) -> "Iterator[tuple[str, Inputs]]":
        """The objects among the inputs by their names: the parties of a sequence."""
        for name in [name for name, value in self._data.items() if isinstance(value, dict)]:
            yield name, self.nested(name)

    def ignore(self, *names: str) -> None:
        """Inputs that only describe the fact, or that the program does not read here."""
        self._read.update(names)

    def fill(self, record: _R, *prefixes: str, **renamed: str) -> _R:
        """Set every field of ``record`` that an input names: by itself, below a prefix, or renamed (input → path)."""
        for name, value in self._data.items():
            if name in self._read or isinstance(value, (dict, list)):
                continue
            paths = [renamed[name]] if name in renamed else [name, *(f"{prefix}.{name}" for prefix in prefixes)]
            try:
                if any(set_path(record, path, value) for path in paths):
                    self._read.add(name)
            except (TypeError, ValueError, KeyError):
                raise UnreadableFact(f"{self._name}: {name} has no value of its kind: {value!r}") from None
        return record

    def unread(self) -> list[str]:
        """The inputs that nobody asked for."""
        names = [f"{self._name}.{name}" for name in self._data if name not in self._read]
        return names + [name for inner in self._nested.values() for name in inner.unread()]


def refuses(call: Callable[[], object]) -> bool:
    """Whether a rule refuses; a division by zero is a refusal too."""
    try:
        call()
    except (SettlementError, ZeroDivisionError):
        return True
    return False


def difference(found: Found, expected: dict[str, Any]) -> str | None:
    """The first expected result that was not found, or found otherwise."""
    sources = found if isinstance(found, tuple) else (found,)
    table: dict[str, Any] = {}
    for source in reversed(sources):
        table.update(dict(flatten(source)) if isinstance(source, Record) else source)
    for name, wanted in expected.items():
        if name not in table:
            return f"{name}: missing instead of {wanted}"
        problem = _mismatch(table[name], wanted)
        if problem is not None:
            return f"{name}{problem}"
    return None


def _mismatch(got: Any, wanted: Any) -> str | None:
    """``: x instead of y``, below the place of the value in a list; None if they agree."""
    if isinstance(wanted, dict):
        problem = difference(got, wanted)
        return None if problem is None else f".{problem}"
    if isinstance(wanted, list):
        if len(got) != len(wanted):
            return f": {len(got)} values instead of {len(wanted)}"
        for number, (one, other) in enumerate(zip(got, wanted, strict=True)):
            problem = _mismatch(one, other)
            if problem is not None:
                return f".{number}{problem}"
        return None
    if isinstance(wanted, bool):
        return None if got == wanted else f": {got} instead of {wanted}"
    shown = str(int(got)) if isinstance(got, int) else str(got)
    return None if shown == str(wanted) else f": {shown} instead of {wanted}"
