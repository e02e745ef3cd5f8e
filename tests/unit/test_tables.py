"""Tables: rows in chunks, the key index, loading from copied and from mapped memory, digests and the state root."""

import mmap
from pathlib import Path
from typing import Annotated

import pytest

from seawall.engine.store import Store
from seawall.engine.tables import CHUNK_ROWS, HeldTable, Table
from seawall.records import Length, Record, key, record, u8, u16, u64
from seawall.state.insurance import InsuranceFundStake
from seawall.state.user import User, Wallet


@record
class Purse(Record):
    owner: key
    coins: u64
    kind: u16


def purse(number: int) -> Purse:
    return Purse(owner=number.to_bytes(32, "big"), coins=number * 3, kind=number % 7)


def filled(count: int, keys: tuple[str, ...] = ("owner",)) -> "Table[Purse]":
    table = Table(1, "purses", Purse, keys)
    for number in range(count):
        item = purse(number)
        table.store(number, item.pack(), item)
    return table


def rows_of(table: "Table[Purse]") -> bytes:
    return b"".join(bytes(segment) for segment in table.segments())


def test_a_stored_row_is_read_back_and_found_by_its_key() -> None:
    table = filled(100)
    assert table.count == 100
    assert table.read(57) == purse(57)
    assert table.row(57) == purse(57).pack()
    assert table.index[(57).to_bytes(32, "big")] == 57


def test_overwriting_changes_one_row_and_no_key() -> None:
    table = filled(10)
    item = purse(4)
    item.coins = 1
    table.store(4, item.pack(), item)
    assert table.count == 10 == len(table.index)
    assert [table.read(n).coins for n in range(10)] == [0, 3, 6, 9, 1, 15, 18, 21, 24, 27]


def test_what_is_read_is_a_copy() -> None:
    table = filled(3)
    table.read(1).coins = 99
    assert table.read(1) == purse(1)


@pytest.mark.parametrize("count", [0, 1, CHUNK_ROWS - 1, CHUNK_ROWS, CHUNK_ROWS + 1, 2 * CHUNK_ROWS + 5])
@pytest.mark.parametrize("mapped", [False, True])
def test_loading_equals_storing_row_by_row(count: int, mapped: bool, tmp_path: Path) -> None:
    """At every side of a chunk's edge: same rows, same index, same digest; and the table goes on growing."""
    table = filled(count)
    data = rows_of(table)
    assert len(data) == count * table.row_size
    source: bytes | mmap.mmap = data
    if mapped and data:
        (tmp_path / "rows").write_bytes(data)
        with (tmp_path / "rows").open("rb") as file:
            source = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_COPY)
    other = Table(1, "purses", Purse, ("owner",))
    other.load(source, count)
    assert (other.count, other.index, other.digest()) == (count, table.index, table.digest())
    for grown in (table, other):
        for number in (count, count + 1):
            grown.store(number, purse(number).pack(), purse(number))
        if count:
            changed = Purse(owner=bytes(32), coins=5)
            grown.store(0, changed.pack(), changed)
    assert other.digest() == table.digest()
    assert other.index == table.index
    if mapped and data:
        assert (tmp_path / "rows").read_bytes() == data


def test_loading_refuses_two_rows_with_one_key() -> None:
    with pytest.raises(ValueError, match="1 rows have the key"):
        Table(1, "purses", Purse, ("owner",)).load(purse(3).pack() * 2, 2)


def test_a_key_of_fields_that_lie_apart() -> None:
    table = filled(20, ("owner", "kind"))
    wanted = {(n).to_bytes(32, "big") + (n % 7).to_bytes(2, "little"): n for n in range(20)}
    assert table.index == wanted
    other = Table(1, "purses", Purse, ("owner", "kind"))
    other.load(rows_of(table), 20)
    assert other.index == wanted


def test_a_key_lies_in_at_most_two_places_in_order() -> None:
    with pytest.raises(TypeError, match="too many places"):
        Table(1, "purses", Purse, ("kind", "owner"))


def test_the_keys_of_the_venue_are_those_that_transactions_ask_for() -> None:
    """Authority and number: 34 bytes, little-endian, as ``user_key`` and the transaction make them."""
    store = Store()
    authority = bytes(range(32))
    asked = [
        (store.users, User(authority=authority, sub_account_id=258), authority + b"\x02\x01"),
        (store.stakes, InsuranceFundStake(authority=authority, market_index=258), authority + b"\x02\x01"),
        (store.wallets, Wallet(authority=authority, market_index=258), authority + b"\x02\x01"),
    ]
    for table, item, wanted in asked:
        table.store(0, item.pack(), item)
        assert table.index == {wanted: 0}


def test_a_held_table_keeps_the_object_beside_the_row() -> None:
    table = HeldTable(2, "held", Purse)
    item = purse(1)
    table.store(0, item.pack(), item)
    assert table.objects[0] is item
    other = HeldTable(2, "held", Purse)
    other.load(table.row(0), 1)
    assert other.objects == [item]


def test_the_digest_depends_on_name_count_and_every_row() -> None:
    digests = {filled(n).digest() for n in range(5)}
    assert len(digests) == 5
    table = filled(4)
    item = purse(3)
    item.coins += 1
    table.store(3, item.pack(), item)
    assert table.digest() not in digests
    assert Table(1, "others", Purse).digest() != Table(1, "purses", Purse).digest()


def test_the_state_root_depends_on_the_state_not_on_its_history() -> None:
    one, two = Store(), Store()
    for coins in (1, 2, 3):
        wallet = Wallet(authority=bytes(32), amount=coins)
        one.wallets.store(0, wallet.pack(), wallet)
    two.wallets.store(0, wallet.pack(), wallet)
    assert one.root() == two.root() != Store().root()


def test_the_layout_fingerprint_tells_records_apart() -> None:
    @record
    class Renamed(Record):
        holder: key
        coins: u64
        kind: u16

    @record
    class Wider(Record):
        owner: key
        coins: u64
        kind: u64

    @record
    class Nested(Record):
        purses: Annotated[list[Purse], Length(2)]
        kind: u8

    @record
    class NestedOther(Record):
        purses: Annotated[list[Renamed], Length(2)]
        kind: u8

    prints = [Table(1, "t", cls).layout for cls in (Purse, Renamed, Wider, Nested, NestedOther)]
    assert len(set(prints)) == len(prints)
    assert Table(9, "u", Purse).layout == prints[0]
