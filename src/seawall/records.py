"""Records: one declaration gives the Python object, its row layout, its codec and its JSON form.

A record is a flat or nested structure of integers of fixed width. In memory it is a slotted Python object whose
fields are plain ints; packed it is a row of bytes. Packing is the range check: a field outside its width raises
``CastingFailure`` (128-bit fields: ``MathError``). u128 values from 2^127 on are refused, so that the compiled lane,
which computes in signed 128 bits, can hold whatever the exact lane holds.

>>> from seawall.records import Record, record, u64, i128
>>> @record
... class Purse(Record):
...     coins: u64
...     debt: i128
>>> Purse.unpack(Purse(coins=3, debt=-1).pack()).debt
-1
"""

import struct
from collections.abc import Iterator
from dataclasses import dataclass
from enum import IntEnum
from functools import lru_cache
from typing import Annotated, Any, ClassVar, Self, TypeVar, cast, get_args, get_origin, get_type_hints

from seawall.errors import ErrorCode, SettlementError
from seawall.keys import KEY_BYTES, key_from_text, key_to_text


@dataclass(frozen=True)
class Width:
    """Width of an integer field in bytes, and whether it is signed."""

    size: int
    signed: bool

    @property
    def minimum(self) -> int:
        """Smallest value the width holds."""
        return -(1 << (8 * self.size - 1)) if self.signed else 0

    @property
    def maximum(self) -> int:
        """Largest value the width holds (u128: as far as a record may hold, 2^127 − 1)."""
        return (1 << (8 * self.size - (1 if self.signed or self.size == 16 else 0))) - 1


@dataclass(frozen=True)
class Enumerated:
    """A one-byte field that holds a member's number; the enum serves names and JSON only."""

    members: type[IntEnum]


@dataclass(frozen=True)
class Length:
    """A fixed number of nested records."""

    count: int


@dataclass(frozen=True)
class Text:
    """UTF-8 text in a fixed number of bytes."""

    size: int


u8 = Annotated[int, Width(1, False)]
u16 = Annotated[int, Width(2, False)]
u32 = Annotated[int, Width(4, False)]
u64 = Annotated[int, Width(8, False)]
u128 = Annotated[int, Width(16, False)]
i8 = Annotated[int, Width(1, True)]
i16 = Annotated[int, Width(2, True)]
i32 = Annotated[int, Width(4, True)]
i64 = Annotated[int, Width(8, True)]
i128 = Annotated[int, Width(16, True)]
key = Annotated[bytes, "key"]
name32 = Annotated[str, Text(32)]

_CODES = {
    (1, False): "B", (2, False): "H", (4, False): "I", (8, False): "Q",
    (1, True): "b", (2, True): "h", (4, True): "i", (8, True): "q",
}  # fmt: skip


@dataclass(frozen=True)
class Field:
    """One declared field: its kind and where it lies in the row."""

    name: str
    kind: str  # "int", "bool", "enum", "key", "text", "record", "array"
    offset: int
    size: int
    signed: bool = False
    enum: type[IntEnum] | None = None
    record: "type[Record] | None" = None
    count: int = 1


@dataclass(frozen=True)
class Layout:
    """The row layout of a record."""

    fields: tuple[Field, ...]
    size: int


class Record:
    """Base of all records; use with the ``@record`` decorator."""

    __slots__ = ()
    LAYOUT: ClassVar[Layout]
    FROZEN: ClassVar["type[Record]"]

    def __init__(self, **fields: Any) -> None:
        raise TypeError(f"{type(self).__name__} is not decorated with @record")

    def pack(self) -> bytes:
        """The record as a row of bytes; ``CastingFailure`` or ``MathError`` where a value does not fit."""
        raise NotImplementedError

    @classmethod
    def unpack(cls, buffer: Any, offset: int = 0) -> Self:
        """Read a record from ``buffer`` at ``offset``."""
        raise NotImplementedError

    def copy(self) -> Self:
        """A deep copy that may be changed freely."""
        raise NotImplementedError

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Record) or other.LAYOUT is not self.LAYOUT:
            return NotImplemented
        return all(getattr(self, f.name) == getattr(other, f.name) for f in self.LAYOUT.fields)

    __hash__ = None  # type: ignore[assignment]

    def __repr__(self) -> str:
        shown = ", ".join(
            f"{f.name}={value!r}"
            for f in self.LAYOUT.fields
            if (value := getattr(self, f.name)) not in (0, "", bytes(KEY_BYTES), False) and f.kind != "array"
        )
        return f"{type(self).__name__.removeprefix('Frozen')}({shown})"


_R = TypeVar("_R", bound=Record)


def record(cls: type[_R]) -> type[_R]:
    """Turn a class of annotated fields into a slotted record with codec, copy and layout."""
    layout = _layout(cls)
    namespace: dict[str, Any] = {
        k: v for k, v in vars(cls).items() if k not in ("__dict__", "__weakref__", "__annotations__")
    }
    namespace["__slots__"] = tuple(f.name for f in layout.fields)
    namespace["LAYOUT"] = layout
    namespace["__annotations__"] = cls.__annotations__
    built: Any = type(cls.__name__, cls.__bases__, namespace)
    built.__qualname__ = cls.__qualname__
    built.__module__ = cls.__module__
    _install(built, layout)
    return cast(type[_R], built)


def _layout(cls: type) -> Layout:
    hints = get_type_hints(cls, include_extras=True)
    fields: list[Field] = []
    offset = 0
    for name in cls.__annotations__:
        field = _field(name, hints[name], offset)
        fields.append(field)
        offset += field.size * field.count
    return Layout(tuple(fields), offset)


def _field(name: str, hint: Any, offset: int) -> Field:
    if hint is bool:
        return Field(name, "bool", offset, 1)
    if isinstance(hint, type) and issubclass(hint, Record):
        return Field(name, "record", offset, hint.LAYOUT.size, record=hint)
    if get_origin(hint) is not Annotated:
        raise TypeError(f"field {name!r} needs a width, a record or an enum, not {hint!r}")
    base, mark = get_args(hint)[:2]
    if isinstance(mark, Width):
        return Field(name, "int", offset, mark.size, signed=mark.signed)
    if isinstance(mark, Enumerated):
        return Field(name, "enum", offset, 1, enum=mark.members)
    if isinstance(mark, Text):
        return Field(name, "text", offset, mark.size)
    if isinstance(mark, Length):
        (element,) = get_args(base)
        if isinstance(element, type) and issubclass(element, Record):
            return Field(name, "array", offset, element.LAYOUT.size, record=element, count=mark.count)
        return Field(name, "keys", offset, KEY_BYTES, count=mark.count)
    if mark == "key":
        return Field(name, "key", offset, KEY_BYTES)
    raise TypeError(f"field {name!r} has an unknown mark {mark!r}")


# --- generated code --------------------------------------------------------------------------------------------
#
# Unpacking, packing and copying are one flat generated function each: a user with 8 + 8 positions is one struct
# call and straight-line assignments, which is what makes a row checked out per instruction affordable.


_U64_MAX = (1 << 64) - 1


class _Codegen:
    def __init__(self) -> None:
        self.format = "<"
        self.objects: list[str] = []  # makes the nested records that unpacking fills
        self.slots: list[str] = []  # where unpacking puts each value of the row, in order
        self.unpack: list[str] = []
        self.pack: list[str] = []
        self.pack_args: list[str] = []
        self.unsigned_wide: list[str] = []
        self.signed_wide: list[str] = []
        self.copy: list[str] = []
        self.init: list[str] = []
        self.names: dict[str, Any] = {}
        self.temporaries = 0

    def take(self) -> str:
        """A local name for the next value of the row."""
        name = self.temporary()
        self.slots.append(name)
        return name

    def walk(self, cls: type[Record], target: str, source: str) -> None:
        for f in cls.LAYOUT.fields:
            self.field(f, f"{target}.{f.name}", f"{source}.{f.name}")

    def field(self, f: Field, target: str, source: str) -> None:
        if f.kind in ("int", "enum", "bool"):
            self.scalar(f, target, source)
        elif f.kind == "key":
            self.opaque(f.size, target, source, "bytes(KEY_BYTES)")
        elif f.kind == "text":
            self.format += f"{f.size}s"
            slot = self.take()
            self.unpack.append(f"{target} = {slot}.rstrip(b'\\0').decode()")
            self.pack_args.append(f"text({source}, {f.size})")
            self.copy.append(f"{target} = {source}")
            self.init.append(f"{target} = ''")
        elif f.kind == "keys":
            slots = []
            for _ in range(f.count):
                self.format += f"{f.size}s"
                slots.append(self.take())
            self.unpack.append(f"{target} = [{', '.join(slots)}]")
            self.pack_args.extend(f"{source}[{i}]" for i in range(f.count))
            self.copy.append(f"{target} = list({source})")
            self.init.append(f"{target} = [bytes(KEY_BYTES)] * {f.count}")
        elif f.kind == "record":
            assert f.record is not None
            (name,) = self.nested(f.record, f"{source},", 1)
            for lines in (self.unpack, self.copy, self.init):
                lines.append(f"{target} = {name}")
        else:
            assert f.record is not None
            names = self.nested(f.record, source, f.count)
            for lines in (self.unpack, self.copy, self.init):
                lines.append(f"{target} = [{', '.join(names)}]")

    def scalar(self, f: Field, target: str, source: str) -> None:
        self.copy.append(f"{target} = {source}")
        self.init.append(f"{target} = {'False' if f.kind == 'bool' else '0'}")
        if f.kind == "bool":
            self.format += "?"
            self.slots.append(target)
            self.pack_args.append(source)
        elif f.size < 16:
            self.format += _CODES[f.size, f.signed]
            self.slots.append(target)
            self.pack_args.append(source)
        else:
            self.format += "Qq"
            low, high = self.take(), self.take()
            self.unpack.append(f"{target} = {low} | {high} << 64")
            value = self.temporary()
            self.pack.append(f"{value} = {source}")
            self.pack_args.append(f"{value} & {_U64_MAX}")
            self.pack_args.append(f"{value} >> 64")
            (self.signed_wide if f.signed else self.unsigned_wide).append(value)

    def opaque(self, size: int, target: str, source: str, default: str) -> None:
        self.format += f"{size}s"
        self.slots.append(target)
        self.pack_args.append(source)
        self.copy.append(f"{target} = {source}")
        self.init.append(f"{target} = {default}")

    def nested(self, cls: type[Record], source: str, count: int) -> list[str]:
        """Local names of ``count`` new records; the old ones are the elements of ``source``."""
        self.names[cls.__name__] = cls
        olds = [self.temporary() for _ in range(count)]
        for lines in (self.pack, self.copy):
            lines.append(f"{', '.join(olds)}, = {source}")
        news = []
        for old in olds:
            new = self.temporary()
            for lines in (self.objects, self.copy, self.init):
                lines.append(f"{new} = new({cls.__name__})")
            self.walk(cls, new, old)
            news.append(new)
        return news

    def temporary(self) -> str:
        """A fresh local name: a value that is used twice is looked up once."""
        self.temporaries += 1
        return f"t{self.temporaries}"


@lru_cache(maxsize=4096)
def _text(value: str, size: int) -> bytes:
    data = value.encode()
    if len(data) > size:
        raise SettlementError(ErrorCode.CastingFailure)
    return data


def _install(cls: type[Record], layout: Layout) -> None:
    gen = _Codegen()
    gen.walk(cls, "o", "s")
    codec = struct.Struct(gen.format)
    if codec.size != layout.size:
        raise TypeError(f"{cls.__name__}: layout {layout.size} and codec {codec.size} differ")
    names: dict[str, Any] = {
        **gen.names, "codec": codec, "new": cls.__new__, "this": cls, "text": _text,
        "KEY_BYTES": KEY_BYTES, "StructError": struct.error, "SettlementError": SettlementError,
        "MathError": ErrorCode.MathError, "CastingFailure": ErrorCode.CastingFailure,
    }  # fmt: skip
    wide = " | ".join(gen.unsigned_wide)
    check = [f"if ({wide}) >> 127: raise SettlementError(MathError)"] if wide else []
    beyond = " or ".join(f"{name} >> 127 not in (0, -1)" for name in gen.signed_wide)
    source = "\n".join(
        [
            "def unpack(cls, buffer, offset=0):",
            " o = new(this)",
            *(f" {line}" for line in gen.objects),
            f" {', '.join(gen.slots)}, = codec.unpack_from(buffer, offset)",
            *(f" {line}" for line in gen.unpack),
            " return o",
            "def pack(s):",
            *(f" {line}" for line in gen.pack),
            *(f" {line}" for line in check),
            " try:",
            f"  return codec.pack({', '.join(gen.pack_args)})",
            " except StructError:",
            *([f"  if {beyond}: raise SettlementError(MathError) from None"] if beyond else []),
            "  raise SettlementError(CastingFailure) from None",
            "def copy(s):",
            " o = new(this)",
            *(f" {line}" for line in gen.copy),
            " return o",
            "def init(o, **fields):",
            *(f" {line}" for line in gen.init),
            " for name, value in fields.items(): setattr(o, name, value)",
        ]
    )
    exec(compile(source, f"<record {cls.__name__}>", "exec"), names)
    target: Any = cls
    target.unpack = classmethod(names["unpack"])
    target.pack = names["pack"]
    target.copy = names["copy"]
    target.__init__ = names["init"]
    target.FROZEN = type(f"Frozen{cls.__name__}", (cls,), {"__slots__": (), "__setattr__": _refuse})


def _refuse(self: Record, name: str, value: object) -> None:
    raise AttributeError(f"{type(self).__name__}.{name}: the record was not checked out for writing")


def freeze(item: _R) -> _R:
    """Make ``item`` and its nested records refuse assignment (used by tests; ``copy`` gives a free one back)."""
    _set_class(item, item.FROZEN)
    for f in item.LAYOUT.fields:
        if f.kind == "record":
            freeze(getattr(item, f.name))
        elif f.kind == "array":
            for element in getattr(item, f.name):
                freeze(element)
    return item


def _set_class(item: Record, cls: type[Record]) -> None:
    object.__setattr__(item, "__class__", cls)


def row_format(cls: type[Record], names: tuple[str, ...]) -> str:
    """The struct format (without byte order) that reads some narrow integers of a row and skips everything else."""
    return "".join(_CODES[f.size, f.signed] if f.name in names else f"{f.size * f.count}x" for f in cls.LAYOUT.fields)


# --- JSON and dotted paths -------------------------------------------------------------------------------------


def _scalar_to_json(f: Field, value: Any) -> Any:
    if f.kind == "int":
        return str(value)
    if f.kind == "enum":
        assert f.enum is not None
        return f.enum(value).name
    if f.kind == "key":
        return key_to_text(value)
    if f.kind == "keys":
        return [key_to_text(k) for k in value]
    return value


def to_json(item: Record) -> dict[str, Any]:
    """The record as JSON data: integers as decimal strings, enums by name, keys as base58."""
    out: dict[str, Any] = {}
    for f in item.LAYOUT.fields:
        value = getattr(item, f.name)
        if f.kind == "record":
            out[f.name] = to_json(value)
        elif f.kind == "array":
            out[f.name] = [to_json(v) for v in value]
        else:
            out[f.name] = _scalar_to_json(f, value)
    return out


def from_json(cls: type[_R], data: dict[str, Any]) -> _R:
    """Build a record from JSON data; fields it does not declare are ignored, absent ones stay at their default."""
    item = cls()
    for f in cls.LAYOUT.fields:
        if f.name not in data:
            continue
        given = data[f.name]
        if f.kind == "record":
            assert f.record is not None
            setattr(item, f.name, from_json(f.record, given))
        elif f.kind == "array":
            assert f.record is not None
            setattr(item, f.name, [from_json(f.record, g) for g in given])
        else:
            setattr(item, f.name, scalar_from_json(f, given))
    return item


def scalar_from_json(f: Field, given: Any) -> Any:
    """The stored value of a scalar field from its JSON form."""
    if f.kind == "int":
        return int(given)
    if f.kind == "enum":
        assert f.enum is not None
        return int(f.enum[given]) if isinstance(given, str) else int(given)
    if f.kind == "key":
        return key_from_text(given)
    if f.kind == "keys":
        return [key_from_text(k) for k in given]
    return given


def flatten(item: Record, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Every scalar field as (dotted path, JSON value), e.g. ``amm.fee_pool.scaled_balance``."""
    for f in item.LAYOUT.fields:
        value = getattr(item, f.name)
        path = f"{prefix}{f.name}"
        if f.kind == "record":
            yield from flatten(value, f"{path}.")
        elif f.kind == "array":
            for i, element in enumerate(value):
                yield from flatten(element, f"{path}.{i}.")
        else:
            yield path, _scalar_to_json(f, value)


def set_path(item: Record, path: str, given: Any) -> bool:
    """Set the scalar field at a dotted path from its JSON form; False if the record has no such field."""
    parts = path.split(".")
    owner: Any = item
    for part in parts[:-1]:
        if part.isdigit():
            owner = owner[int(part)]
        elif isinstance(owner, Record) and hasattr(owner, part):
            owner = getattr(owner, part)
        else:
            return False
    for f in owner.LAYOUT.fields:
        if f.name == parts[-1]:
            setattr(owner, f.name, scalar_from_json(f, given))
            return True
    return False
