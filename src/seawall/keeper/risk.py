"""The risk scan: which accounts can be liquidated, or have nothing but debts. A slice of the account table at a time.

Where the bulk lane is there, a slice is judged by its compiled loop; otherwise the accounts that owe anything are
judged one by one in the exact lane, as many as a share of time admits. Both give the same verdicts.
"""

import time
from collections.abc import Iterator
from typing import Final

import msgspec

from seawall.bulk import available
from seawall.bulk.batch import Tables
from seawall.bulk.cache import is_kept
from seawall.bulk.kernels_risk import mark_liquidatable, sweep
from seawall.engine.handlers.batches import WORTH_COMPILING, copied_tables
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.keeper.liquidations import JUDGED, Judge
from seawall.keeper.rows import ROW, Glance, copy_markets, copy_rows, glances, latched
from seawall.keys import key_to_text
from seawall.state.enums import USER_CLOSED
from seawall.state.user import User

COMPILED_SLICE: Final = 16_384
EXACT_SLICE: Final = 4_096
"""Accounts that are copied at a time, while the venue waits: a few milliseconds."""

NEAR: Final = 512
"""Accounts with little to spare that the exact lane looks at every tick, whatever else it has time for."""


class RiskFound(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice held. ``rows``, ``users``: accounts that something is to be done about, by row and by name.

    ``accounts``: how many the venue has; ``looked_at``: how many from ``first`` on were judged; ``near``: rows of
    accounts with less than a quarter to spare (exact lane only); ``unjudged``: how many refused to be judged (an oracle
    is no good, say).
    """

    accounts: int
    looked_at: int
    lane: str
    rows: list[int] = []
    users: list[str] = []
    near: list[int] = []
    unjudged: int = 0


class AskRisk(msgspec.Struct, frozen=True, kw_only=True, tag="risk"):
    """Who of the accounts from row ``first`` on is in trouble, or of those at ``only``; ``seconds``: time to spend.

    ``lane``: ``compiled`` insists on the bulk lane, ``exact`` on the exact one, ``auto`` takes what is there.
    """

    first: int = 0
    seconds: float = 0.1
    only: list[int] = []
    lane: str = "auto"

    def take(self, store: Store, clock: Clock) -> "_Taken":
        """The markets, and the rows of the slice."""
        accounts = store.users.count
        if self.only:
            rows = [row for row in self.only if row < accounts]
            data = bytearray().join(store.users.row(row) for row in rows)
            return _Taken(accounts, rows, data, copy_markets(store), None)
        compiled = self._is_compiled(accounts - self.first)
        slice_ = COMPILED_SLICE if compiled else EXACT_SLICE
        rows = list(range(self.first, min(self.first + slice_, accounts)))
        data = copy_rows(store, self.first, slice_)
        tables = copied_tables(store, [data], clock.slot) if compiled else None
        return _Taken(accounts, rows, data, copy_markets(store), tables)

    def _is_compiled(self, accounts: int) -> bool:
        if self.lane == "auto":
            return accounts >= WORTH_COMPILING and available() and is_kept(mark_liquidatable)
        return self.lane == "compiled"

    def answer(self, taken: "_Taken", clock: Clock) -> RiskFound:
        """Judge the copy."""
        if not taken.store.state.objects:
            return RiskFound(accounts=0, looked_at=0, lane="exact")
        return _compiled(taken, clock) if taken.tables is not None else _exact(taken, clock, self.seconds)


class _Taken:
    """What was copied: the rows by number and as bytes, the markets, and all as tables for the compiled loop."""

    def __init__(self, accounts: int, rows: list[int], data: bytearray, store: Store, tables: Tables | None) -> None:
        self.accounts = accounts
        self.rows = rows
        self.data = data
        self.store = store
        self.tables = tables

    def glances(self) -> Iterator[tuple[int, int, Glance]]:
        """Every account's place in the copy, its row, and a quick look at it."""
        for at, (row, seen) in enumerate(zip(self.rows, glances(self.data), strict=True)):
            if not seen.is_closed:
                yield at, row, seen

    def owes(self, at: int) -> bool:
        """Whether the account at a place in the copy is one, and needs margin or is in liquidation."""
        seen = next(glances(self.data[at * ROW : (at + 1) * ROW]))
        return not seen.is_closed and (seen.owes or seen.is_latched)

    def user(self, at: int) -> User:
        """The account at a place in the copy."""
        return User.unpack(self.data, at * ROW)


def _exact(taken: _Taken, clock: Clock, seconds: float) -> RiskFound:
    judge = Judge(taken.store, clock)
    rows, users, near = [], [], []
    unjudged = 0
    end = time.perf_counter() + seconds
    looked_at = len(taken.rows)
    for at, row, seen in taken.glances():
        if not seen.owes and not seen.is_latched:
            continue
        # one account at least, so that every round comes to its end
        if at and time.perf_counter() >= end:
            looked_at = at
            break
        user = taken.user(at)
        scopes = judge.scopes(user)
        unjudged += judge.refused
        if scopes or judge.bankrupt_scopes(user):
            rows.append(row)
            users.append(seen.ref)
        elif judge.is_near():
            near.append(row)
    return RiskFound(
        accounts=taken.accounts, looked_at=looked_at, lane="exact", rows=rows, users=users, near=near, unjudged=unjudged
    )


def _compiled(taken: _Taken, clock: Clock) -> RiskFound:
    """An account with nothing but debts is short of its margin, or latched: no other one needs to be unpacked."""
    assert taken.tables is not None
    judge = Judge(taken.store, clock)
    swept = sweep(taken.tables, compiled=True)
    rows, users = [], []
    for at in sorted({*swept.liquidatable, *latched(taken.data)}):
        user = taken.user(at)
        if user.status & USER_CLOSED == 0 and (judge.scopes(user) or judge.bankrupt_scopes(user)):
            rows.append(taken.rows[at])
            users.append(f"{key_to_text(user.authority)}/{user.sub_account_id}")
    refused = sum(int(refusal.code) + 1 not in JUDGED and taken.owes(refusal.user) for refusal in swept.refusals)
    return RiskFound(
        accounts=taken.accounts, looked_at=len(taken.rows), lane="compiled", rows=rows, users=users, unjudged=refused
    )
