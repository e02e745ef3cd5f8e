"""Random arguments for any rule, from its signature; and ints and records that notice what 128 bits cannot hold."""

import operator
import random
import types
from collections.abc import Callable
from typing import Any, get_args, get_origin

from seawall.bulk.wide import BeyondWidth
from seawall.records import Field, Record, Width
from support.bulk_tables import recorded_world

LOWEST, HIGHEST = -(1 << 127), (1 << 127) - 1
MARKETS = 3
SMALL = ("type", "direction", "mode", "tier", "status", "verdict", "version", "action", "operation", "unit")


# --- random arguments ----------------------------------------------------------------------------------------------


class Inputs:
    """A source of arguments: half of the records are recorded ones with some fields changed, half are random."""

    def __init__(self, seed: int) -> None:
        self.rng = random.Random(seed)
        self.recorded: dict[type, list[Record]] = {}
        recording, self.now, self.slot = recorded_world()
        for table in recording.store.tables:
            for i in range(table.count):
                self._learn(table.read(i))

    def _learn(self, item: Record) -> None:
        self.recorded.setdefault(type(item), []).append(item)
        for f in item.LAYOUT.fields:
            if f.kind == "record":
                self._learn(getattr(item, f.name))
            elif f.kind == "array":
                for element in getattr(item, f.name):
                    self._learn(element)

    def arguments(self, hints: dict[str, Any]) -> list[Any]:
        """One argument for each parameter."""
        return [self.argument(name, hint) for name, hint in hints.items()]

    def argument(self, name: str, hint: Any) -> Any:
        """An argument for a parameter of a name and a type."""
        rng = self.rng
        if hint is bool:
            return rng.random() < 0.5
        if hint is int:
            return self.number(name)
        if get_origin(hint) is list:
            return [self.record(get_args(hint)[0]) for _ in range(MARKETS)]
        if get_origin(hint) is tuple:
            return tuple(self.number(name) for _ in get_args(hint))
        if isinstance(hint, types.UnionType):
            return self.record(rng.choice(get_args(hint)))
        return self.record(hint)

    def number(self, name: str) -> int:
        """An int of any size, or one that fits a telling name."""
        rng = self.rng
        if rng.random() < 0.9:
            if "index" in name:
                return rng.randrange(MARKETS)
            if any(word in name for word in SMALL):
                return rng.randrange(4)
            if name in ("now", "slot"):
                return (self.now if name == "now" else self.slot) + rng.choice((0, 1, 3_600, 86_400, -5))
        return self.sized(128, True)

    def sized(self, bits: int, signed: bool) -> int:
        """An int of a width: extremes, small ones, and all sizes between."""
        rng = self.rng
        top = bits - 1 if signed or bits == 128 else bits
        kind = rng.random()
        if kind < 0.1:
            value = 0
        elif kind < 0.15:
            value = (1 << top) - 1
        elif kind < 0.3:
            value = rng.randrange(100)
        else:
            value = rng.getrandbits(rng.randrange(1, (min(top, 62) if kind < 0.9 else top) + 1))
        if signed and rng.random() < 0.4:
            return max(-value - (kind < 0.15), -(1 << top))
        return value

    def record(self, cls: type[Record]) -> Record:
        """A record: a recorded one with up to five fields changed, or one of random fields."""
        rng = self.rng
        known = self.recorded.get(cls)
        if known and rng.random() < 0.7:
            item = rng.choice(known).copy()
            for _ in range(rng.choice((0, 0, 1, 2, 5))):
                self._change(item)
            return item
        item = cls()
        for f in cls.LAYOUT.fields:
            self._fill(item, f)
        return item

    def _change(self, item: Record) -> None:
        f = self.rng.choice(item.LAYOUT.fields)
        if f.kind == "record":
            self._change(getattr(item, f.name))
        elif f.kind == "array":
            self._change(self.rng.choice(getattr(item, f.name)))
        else:
            self._fill(item, f)

    def _fill(self, item: Record, f: Field) -> None:
        rng = self.rng
        if f.kind == "bool":
            setattr(item, f.name, rng.random() < 0.5)
        elif f.kind == "enum":
            assert f.enum is not None
            setattr(item, f.name, int(rng.choice(list(f.enum))))
        elif f.kind == "int":
            value = self.sized(8 * f.size, f.signed)
            if f.name == "decimals":
                value = rng.choice((6, 8, 9, 19))  # no others are admitted
            elif "index" in f.name and rng.random() < 0.95:
                value = rng.randrange(MARKETS)
            setattr(item, f.name, value)
        elif f.record is not None:
            nested = getattr(item, f.name)
            for element in nested if f.kind == "array" else [nested]:
                for g in f.record.LAYOUT.fields:
                    self._fill(element, g)


# --- what 128 bits can hold ----------------------------------------------------------------------------------------


class Checked(int):
    """An int that raises ``BeyondWidth`` where a result leaves 128 bits: what compiled code promises to notice."""


def _checked(value: Any) -> Any:
    if not LOWEST <= value <= HIGHEST:
        raise BeyondWidth
    return Checked(value)


def _binary(function: Callable[[int, int], int]) -> tuple[Any, Any]:
    def forward(self: int, other: Any) -> Any:
        return _checked(function(int(self), int(other)))

    def backward(self: int, other: Any) -> Any:
        return _checked(function(int(other), int(self)))

    return forward, backward


for _name in ("add", "sub", "mul", "floordiv", "mod", "and", "or"):
    _forward, _backward = _binary(getattr(operator, f"{_name}_" if _name in ("and", "or") else _name))
    setattr(Checked, f"__{_name}__", _forward)
    setattr(Checked, f"__r{_name}__", _backward)
Checked.__neg__ = lambda self: _checked(-int(self))  # type: ignore[method-assign,assignment,return-value]
Checked.__abs__ = lambda self: _checked(abs(int(self)))  # type: ignore[method-assign,assignment,return-value]


class CheckedList(list[Any]):
    """A list that raises ``BeyondWidth`` outside, and does not count back."""

    def __getitem__(self, index: Any) -> Any:
        if not 0 <= index < len(self):
            raise BeyondWidth
        return super().__getitem__(index)


_CHECKED: dict[type, type] = {}


def _checking(cls: type[Record]) -> type:
    if cls not in _CHECKED:
        widths = {f.name: Width(f.size, f.signed) for f in cls.LAYOUT.fields if f.kind in ("int", "enum")}

        def store(self: Record, name: str, value: Any) -> None:
            width = widths.get(name)
            if width is not None:
                if not width.minimum <= value <= width.maximum:
                    raise BeyondWidth
                value = Checked(value)
            object.__setattr__(self, name, value)

        _CHECKED[cls] = type(f"Checked{cls.__name__}", (cls,), {"__slots__": (), "__setattr__": store})
    return _CHECKED[cls]


def checked(value: Any) -> Any:
    """An argument, or a copy of it, that notices."""
    if isinstance(value, bool):
        return value
    if isinstance(value, int):
        return _checked(value)
    if isinstance(value, tuple):
        return tuple(checked(item) for item in value)
    if isinstance(value, list):
        return CheckedList(checked(item) for item in value)
    item = value.copy()
    _make_checked(item)
    return item


def _make_checked(item: Record) -> None:
    object.__setattr__(item, "__class__", _checking(type(item)))
    for f in item.LAYOUT.fields:
        value = getattr(item, f.name)
        if f.kind in ("int", "enum"):
            setattr(item, f.name, value)
        elif f.kind == "record":
            _make_checked(value)
        elif f.kind == "array":
            for element in value:
                _make_checked(element)
            object.__setattr__(item, f.name, CheckedList(value))
