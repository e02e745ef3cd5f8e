"""Accounts as a keeper reads them: a copy of the markets, and of some rows with a quick look at each.

Unpacking an account costs fifty times what it costs to see that nothing of it concerns the keeper, so every scan looks
at the few fields that decide first.
"""

from collections.abc import Iterator, Sequence
from struct import Struct
from typing import Final, NamedTuple

from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.tables import HeldTable
from seawall.engine.transaction import Transaction
from seawall.keys import DEFAULT_KEY, key_to_text
from seawall.records import Field, Record
from seawall.state.enums import (
    BORROW,
    POSITION_BANKRUPT,
    POSITION_BEING_LIQUIDATED,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    USER_CLOSED,
)
from seawall.state.user import POSITIONS, User

ROW: Final = User.LAYOUT.size

_CODES: Final = {(1, False): "B", (2, False): "H", (8, False): "Q", (8, True): "q"}
_LATCHED: Final = POSITION_BEING_LIQUIDATED | POSITION_BANKRUPT


class Position(NamedTuple):
    """What a quick look sees of a perp position: base 1e9, quote 1e6."""

    base: int
    quote: int
    market_index: int
    flag: int


class Glance(NamedTuple):
    """What a quick look sees of an account."""

    authority: bytes
    number: int
    borrows: bool
    positions: tuple[Position, ...]
    """Those with base or quote."""
    status: int

    @property
    def ref(self) -> str:
        """The account's name."""
        return f"{key_to_text(self.authority)}/{self.number}"

    @property
    def owes(self) -> bool:
        """Whether the account has a position, a perp loss or a borrow: without any of them it needs no margin."""
        return self.borrows or any(p.base != 0 or p.quote < 0 for p in self.positions)

    @property
    def is_closed(self) -> bool:
        """Whether the account was deleted."""
        return self.status & USER_CLOSED != 0

    @property
    def is_latched(self) -> bool:
        """Whether any scope is in liquidation or bankrupt."""
        if self.status & (USER_BEING_LIQUIDATED | USER_BANKRUPT):
            return True
        return any(p.flag & _LATCHED for p in self.positions)

    @property
    def has_only_debts(self) -> bool:
        """Whether a scope may have nothing but debts: latched bankrupt, or without base and yet owing something."""
        if self.status & USER_BANKRUPT or any(p.flag & POSITION_BANKRUPT for p in self.positions):
            return True
        return self.borrows or any(p.base == 0 and p.quote < 0 for p in self.positions)


def _field(record: type[Record], name: str) -> Field:
    return next(f for f in record.LAYOUT.fields if f.name == name)


def _places(array: str, names: Sequence[str]) -> Iterator[tuple[int, int, str]]:
    outer = _field(User, array)
    assert outer.record is not None
    for i in range(outer.count):
        for name in names:
            inner = _field(outer.record, name)
            yield outer.offset + i * outer.size + inner.offset, inner.size, _CODES[inner.size, inner.signed]


def _reader() -> Struct:
    """A pattern that reads the fields that decide, in the order in which they lie in the row."""
    places = [(0, 32, "32s"), (_field(User, "sub_account_id").offset, 2, "H")]
    places += _places("spot_positions", ("scaled_balance", "balance_type"))
    places += _places("perp_positions", ("base_asset_amount", "quote_asset_amount", "market_index", "position_flag"))
    places.append((_field(User, "status").offset, 1, "B"))
    pattern, at = "<", 0
    for offset, size, code in places:
        if offset < at:
            raise TypeError("the fields of a quick look are listed in the order in which they lie in the row")
        pattern += f"{offset - at}x{code}"
        at = offset + size
    return Struct(f"{pattern}{ROW - at}x")


_READER: Final = _reader()
assert _READER.size == ROW and _field(User, "authority").offset == 0

_SPOT: Final = range(2, 2 + 2 * POSITIONS, 2)
_PERP: Final = range(2 + 2 * POSITIONS, 2 + 6 * POSITIONS, 4)


def glances(rows: bytes | bytearray | memoryview) -> Iterator[Glance]:
    """A quick look at each of some rows."""
    for row in _READER.iter_unpack(rows):
        borrows = False
        for i in _SPOT:
            if row[i] and row[i + 1] == BORROW:
                borrows = True
        positions = tuple(Position(*row[i : i + 4]) for i in _PERP if row[i] or row[i + 1] or row[i + 3])
        yield Glance(row[0], row[1], borrows, positions, row[-1])


_STATUS_AT: Final = _field(User, "status").offset
_FLAGS_AT: Final = [at for at, _, _ in _places("perp_positions", ("position_flag",))]
_MARKED: Final = bytes(byte & (USER_BEING_LIQUIDATED | USER_BANKRUPT) != 0 for byte in range(256))
_FLAGGED: Final = bytes(byte & _LATCHED != 0 for byte in range(256))


def latched(rows: bytearray) -> set[int]:
    """Which of some rows are of accounts of which a scope is in liquidation or bankrupt, all read at once."""
    found: set[int] = set()
    for at, marks in ((_STATUS_AT, _MARKED), *((at, _FLAGGED) for at in _FLAGS_AT)):
        column = rows[at::ROW].translate(marks)
        row = column.find(1)
        while row >= 0:
            found.add(row)
            row = column.find(1, row + 1)
    return found


def copy_rows(store: Store, first: int, count: int) -> bytearray:
    """A copy of some account rows, as many as there are."""
    users = store.users
    rows, at, end = bytearray(), first * ROW, min(first + count, users.count) * ROW
    offset = 0
    for segment in users.segments():
        if offset < end and offset + len(segment) > at:
            rows += segment[max(0, at - offset) : end - offset]
        offset += len(segment)
    return rows


def copy_markets(store: Store) -> Store:
    """A store that has the exchange and the markets as they are now, and no accounts. Records are never changed in
    place, so that the lists alone are copied."""
    copy = Store()
    for name in ("config", "state", "oracles", "spot_markets", "vaults", "perp_markets"):
        table: HeldTable[Record] = getattr(copy, name)
        original: HeldTable[Record] = getattr(store, name)
        table.objects = list(original.objects)
        table.count = original.count
    return copy


def reading(store: Store, clock: Clock) -> Transaction:
    """A transaction that only looks."""
    return Transaction(store, clock, DEFAULT_KEY)
