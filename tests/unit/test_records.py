"""Records: the layout, the codec as range check, JSON, dotted paths, freezing."""

from enum import IntEnum
from typing import Annotated, Any

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.keys import key_from_text
from seawall.records import (
    Enumerated,
    Length,
    Record,
    flatten,
    freeze,
    from_json,
    i8,
    i64,
    i128,
    key,
    name32,
    record,
    set_path,
    to_json,
    u8,
    u16,
    u64,
    u128,
)


class Colour(IntEnum):
    Red = 0
    Blue = 2


@record
class Inner(Record):
    amount: u64
    change: i128


@record
class Outer(Record):
    """A record with every kind of field."""

    owner: key
    title: name32
    small: u8
    signed: i8
    wide: u128
    flag: bool
    colour: Annotated[int, Enumerated(Colour)]
    inner: Inner
    many: Annotated[list[Inner], Length(3)]
    keys: Annotated[list[bytes], Length(2)]


def full() -> Outer:
    return Outer(
        owner=key_from_text("@owner"), title="naïve", small=255, signed=-128, wide=(1 << 127) - 1, flag=True,
        colour=Colour.Blue, inner=Inner(amount=(1 << 64) - 1, change=-(1 << 127)),
        many=[Inner(amount=n, change=-n) for n in range(3)], keys=[key_from_text("@a"), bytes(32)],
    )  # fmt: skip


def test_the_layout_is_packed_without_gaps() -> None:
    offsets = [(f.name, f.offset, f.size) for f in Outer.LAYOUT.fields]
    assert offsets == [
        ("owner", 0, 32), ("title", 32, 32), ("small", 64, 1), ("signed", 65, 1), ("wide", 66, 16), ("flag", 82, 1),
        ("colour", 83, 1), ("inner", 84, 24), ("many", 108, 24), ("keys", 180, 32),
    ]  # fmt: skip
    assert Outer.LAYOUT.size == 244 == len(full().pack())


def test_a_row_comes_back_as_it_was_also_from_the_middle_of_a_buffer() -> None:
    row = full().pack()
    assert Outer.unpack(row) == full()
    assert Outer.unpack(b"xyz" + row + b"xyz", 3) == full()
    assert Outer.unpack(Outer().pack()) == Outer()


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("small", 256, ErrorCode.CastingFailure),
        ("small", -1, ErrorCode.CastingFailure),
        ("signed", 128, ErrorCode.CastingFailure),
        ("signed", -129, ErrorCode.CastingFailure),
        ("wide", 1 << 127, ErrorCode.MathError),  # one bit less than u128: the compiled lane is signed
        ("wide", 1 << 200, ErrorCode.MathError),
        ("wide", -1, ErrorCode.MathError),
        ("title", "x" * 33, ErrorCode.CastingFailure),
        ("title", "ü" * 17, ErrorCode.CastingFailure),
        ("inner.amount", 1 << 64, ErrorCode.CastingFailure),
        ("inner.change", 1 << 127, ErrorCode.MathError),
        ("inner.change", -(1 << 127) - 1, ErrorCode.MathError),
        ("many.2.amount", -1, ErrorCode.CastingFailure),
    ],
)
def test_packing_is_the_range_check(field: str, value: Any, code: ErrorCode) -> None:
    item = full()
    *path, last = field.split(".")
    owner: Any = item
    for part in path:
        owner = owner[int(part)] if part.isdigit() else getattr(owner, part)
    setattr(owner, last, value)
    with pytest.raises(SettlementError) as refused:
        item.pack()
    assert refused.value.code == code


def test_a_copy_is_deep() -> None:
    item = full()
    copy = item.copy()
    copy.inner.amount = 1
    copy.many[0].amount = 1
    copy.keys[0] = bytes(32)
    assert item == full()


def test_defaults_are_not_shared() -> None:
    one, two = Outer(), Outer()
    one.many[0].amount = 5
    one.keys[0] = bytes([1]) * 32
    assert two == Outer()


def test_json_writes_integers_as_strings_enums_by_name_keys_in_base58() -> None:
    data = to_json(full())
    assert data["wide"] == str((1 << 127) - 1)
    assert data["colour"] == "Blue"
    assert data["inner"]["change"] == str(-(1 << 127))
    assert data["keys"][1] == "1" * 32
    assert from_json(Outer, data) == full()
    assert from_json(Outer, {"small": "7", "unknown": "9"}) == Outer(small=7)


def test_dotted_paths_read_and_set_every_scalar() -> None:
    item = Outer()
    for path, value in flatten(full()):
        assert set_path(item, path, value), path
    assert item == full()
    assert not set_path(item, "inner.nothing", "1")
    assert not set_path(item, "nothing.at.all", "1")


def test_a_frozen_record_refuses_assignment_at_any_depth() -> None:
    item = freeze(full())
    for owner in (item, item.inner, item.many[1]):
        with pytest.raises(AttributeError, match="not checked out for writing"):
            owner.amount = 1
    copy = item.copy()
    copy.inner.amount = 1
    assert item == full()


def test_a_field_needs_a_width() -> None:
    with pytest.raises(TypeError, match="needs a width"):

        @record
        class Loose(Record):
            amount: int


def test_only_declared_fields_exist() -> None:
    with pytest.raises(AttributeError):
        Inner(amonut=5)
    with pytest.raises(AttributeError):
        Inner().other = 5  # type: ignore[attr-defined]


def test_equality_is_by_fields_of_one_kind() -> None:
    @record
    class Twin(Record):
        amount: u64
        change: i128

    assert Inner(amount=1) == Inner(amount=1) != Inner(amount=2)
    assert Inner(amount=1) != Twin(amount=1)


@record
class Widths(Record):
    a: u8
    b: u16
    c: i64


def test_widths_know_their_bounds() -> None:
    from typing import get_type_hints

    bounds = {
        name: (hint.__metadata__[0].minimum, hint.__metadata__[0].maximum)
        for name, hint in get_type_hints(Widths, include_extras=True).items()
        if name in ("a", "b", "c")
    }
    assert bounds == {"a": (0, 255), "b": (0, 65_535), "c": (-(1 << 63), (1 << 63) - 1)}
