"""Every record of the venue, over random and extreme values: codec, copy and JSON are faithful, ranges are kept."""

from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.engine.store import Store
from seawall.errors import SettlementError
from seawall.records import Field, Record, flatten, from_json, set_path, to_json

RECORDS: list[type[Record]] = [table.record for table in Store().tables]


def integers(field: Field, beyond: bool = False) -> st.SearchStrategy[int]:
    """Values of a field's width, extremes often; with ``beyond`` values just outside."""
    bits = 8 * field.size
    low = -(1 << (bits - 1)) if field.signed else 0
    high = (1 << (bits - 1 if field.signed or field.size == 16 else bits)) - 1
    if beyond:
        return st.sampled_from([low - 1, high + 1, low - (1 << bits), high + (1 << bits), 1 << 300, -(1 << 300)])
    return st.sampled_from([low, high, 0, 1]) | st.integers(low, high)


def values(field: Field) -> st.SearchStrategy[Any]:
    """Values that a scalar field may hold."""
    if field.kind == "int":
        return integers(field)
    if field.kind == "enum":
        assert field.enum is not None
        return st.sampled_from([int(m) for m in field.enum])
    if field.kind == "bool":
        return st.booleans()
    if field.kind == "key":
        return st.binary(min_size=32, max_size=32)
    if field.kind == "keys":
        return st.lists(st.binary(min_size=32, max_size=32), min_size=field.count, max_size=field.count)
    return st.text("aZ0 -é☃", max_size=8)


def scalars(cls: type[Record], prefix: str = "") -> list[tuple[str, Field]]:
    """Every scalar field of a record by its dotted path."""
    found: list[tuple[str, Field]] = []
    for field in cls.LAYOUT.fields:
        if field.kind == "record":
            assert field.record is not None
            found += scalars(field.record, f"{prefix}{field.name}.")
        elif field.kind == "array":
            assert field.record is not None
            for i in range(field.count):
                found += scalars(field.record, f"{prefix}{field.name}.{i}.")
        else:
            found.append((f"{prefix}{field.name}", field))
    return found


def put(item: Any, path: str, value: Any) -> None:
    *owners, last = path.split(".")
    for part in owners:
        item = item[int(part)] if part.isdigit() else getattr(item, part)
    setattr(item, last, value)


@st.composite
def filled(draw: st.DrawFn, cls: type[Record]) -> Record:
    """A record with some fields set."""
    fields = scalars(cls)
    item = cls()
    for at in draw(st.lists(st.integers(0, len(fields) - 1), max_size=12, unique=True)):
        put(item, fields[at][0], draw(values(fields[at][1])))
    return item


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_codec_copy_and_json_are_faithful(cls: type[Record], data: st.DataObject) -> None:
    """A record equals what comes back from its row, its copy, its JSON form and its dotted paths; rows too."""
    item = data.draw(filled(cls))
    row = item.pack()
    assert len(row) == cls.LAYOUT.size
    back = cls.unpack(row)
    assert back == item
    assert back.pack() == row
    assert item.copy() == item
    assert item.copy().pack() == row
    assert from_json(cls, to_json(item)) == item
    other = cls()
    for path, value in flatten(item):
        assert set_path(other, path, value)
    assert other == item


@pytest.mark.parametrize("cls", RECORDS, ids=lambda cls: cls.__name__)
@settings(max_examples=40)
@given(data=st.data())
def test_nothing_outside_a_width_is_ever_packed(cls: type[Record], data: st.DataObject) -> None:
    """A value beyond its field's width is refused when packed, whatever the other fields hold."""
    numbers = [(path, field) for path, field in scalars(cls) if field.kind == "int"]
    if not numbers:
        return
    item = data.draw(filled(cls))
    path, field = data.draw(st.sampled_from(numbers))
    put(item, path, data.draw(integers(field, beyond=True)))
    with pytest.raises(SettlementError):
        item.pack()
