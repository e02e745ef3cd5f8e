"""Replay with compiled rules: quicker, and an independent execution of what most journals are full of.

Settlements that follow one another at one time are run as one loop; what each of them wrote is put together from the
rows that the loop keeps between two users. Every entry's error and its effects (a hash over all rows ever written) are
compared with the journal, every snapshot's state root, and the results of batches. Everything else is executed in the
exact lane; receipts are not compared in full, and tokens not accounted for: that is what ``audit.replay`` does.
"""

import os
from collections.abc import Callable, Iterator
from struct import Struct
from typing import Any, Final, NamedTuple

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.audit.replay import checked_journal, compare_results, compare_snapshot, require_no_snapshot_left
from seawall.bulk import batch, kernels
from seawall.engine.handlers.batches import copied_tables, is_owner
from seawall.engine.machine import Machine
from seawall.engine.recovery import Outcome, difference, read_entry, reexecute
from seawall.engine.tables import Table
from seawall.engine.transaction import Change, signer_key
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.amm import SettleFundingPayment
from seawall.instructions.base import user_key, validate
from seawall.instructions.pnl import SettlePnl
from seawall.ledger.errors import ReplayDiffers
from seawall.ledger.journal import START, Entry, Journal, Tip, tip_of, verified
from seawall.ledger.snapshots import Header
from seawall.state.enums import MUST_SETTLE, RULEBOOK_DRIFT, STATUS_SETTLEMENT
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User

SHORTEST: Final = 8
"""Settlements in a row from which on a loop is quicker than the exact lane."""

LONGEST: Final = 4_096
"""Settlements of one loop, which keeps 1.3 kB (funding: 8 kB) of each."""

_outcomes: Final = Struct("<Q?q?").iter_unpack


class ReplayedCompiled(NamedTuple):
    """What a compiled replay found: the machine at the end, the journal's tip, how many instructions were refused, at
    which sequence numbers a snapshot's state root was compared, how many instructions ran in loops, and how many of
    those did not fit compiled code and were done in the exact lane."""

    machine: Machine
    tip: Tip
    refused: int
    snapshots: list[int]
    compiled: int
    handed_over: int


class _Kind(NamedTuple):
    """What settlements have in common that run as one loop: the loop, the market (−1: all), and the time."""

    loop: batch.Loop
    market_index: int
    unix_timestamp: int
    slot: int


class _Waiting(NamedTuple):
    """A settlement that is to run in a loop: its entry, what the journal says of it, the user's row, the signer."""

    entry: Entry
    ix: str
    recorded: Outcome
    row: int
    signer: bytes


def replay_venue_compiled(
    path: str | os.PathLike[str], progress: Callable[[int], None] | None = None
) -> ReplayedCompiled:
    """Verify and execute again the whole journal of the venue stored at ``path``, settlements compiled.

    ``JournalDamaged``, ``SnapshotDamaged`` or ``ReplayDiffers`` for the first thing that is not what it should be.
    """
    with checked_journal(path) as (journal, headers):
        return replay_compiled(journal, headers, progress)


def replay_compiled(
    journal: Journal, headers: list[Header] | None = None, progress: Callable[[int], None] | None = None
) -> ReplayedCompiled:
    """Execute a journal from genesis and compare; ``headers`` are those of the snapshots to compare with."""
    snapshots = {header.sequence: header for header in headers or []}
    run = _Run(journal)
    tip, compared = START, []
    for entry in verified(journal):
        run.add(entry)
        tip = tip_of(entry)
        header = snapshots.pop(entry.sequence, None)
        if header is not None:
            run.finish()
            compare_snapshot(header, tip, run.machine, journal.name)
            compared.append(entry.sequence)
        if progress is not None:
            progress(entry.sequence)
    run.finish()
    require_no_snapshot_left(snapshots, tip, journal.name)
    return ReplayedCompiled(run.machine, tip, run.refused, compared, run.compiled, run.handed_over)


class _Run:
    """The settlements that wait to be run as one loop, and the machine that they follow on."""

    def __init__(self, journal: Journal) -> None:
        self.journal = journal
        self.machine = Machine(lane="bulk")
        self.refused = 0
        self.compiled = 0
        self.handed_over = 0
        self._kind: _Kind | None = None
        self._waiting: list[_Waiting] = []
        self._rows: set[int] = set()

    def add(self, entry: Entry) -> None:
        """Execute an entry, or let it wait for others of its kind."""
        instruction, recorded = read_entry(entry, self.journal.name)
        kind = None
        if isinstance(instruction, (SettlePnl, SettleFundingPayment)):
            # settlements change nothing that a kind is made of, nor where users lie
            kind = self._kind_of(instruction, entry)
        if kind is None:
            self.finish()
            self._in_exact_lane(entry)
            return
        row = self.machine.store.users.index[user_key(instruction.user)]  # type: ignore[attr-defined]
        if kind != self._kind or row in self._rows or len(self._waiting) == LONGEST:
            self.finish()
            self._kind = kind
        self._waiting.append(_Waiting(entry, instruction.ix, recorded, row, signer_key(entry.signer)))
        self._rows.add(row)

    def _kind_of(self, ix: SettlePnl | SettleFundingPayment, entry: Entry) -> _Kind | None:
        """None for what a loop does not do: the handler refuses it before it comes to the user."""
        store = self.machine.store
        try:
            validate(ix)
            signer_key(entry.signer)
            known = user_key(ix.user) in store.users.index
        except SettlementError:
            return None
        state = store.state.objects[0]
        # the loops are of Drift's rules
        if not known or state.exchange_status != 0 or state.rulebook != RULEBOOK_DRIFT:
            return None
        if isinstance(ix, SettleFundingPayment):
            return _Kind(kernels.settle_funding, -1, entry.unix_timestamp, entry.slot)
        if ix.market_index >= len(store.perp_markets.objects) or not store.spot_markets.objects:
            return None
        expired = store.perp_markets.objects[ix.market_index].status == STATUS_SETTLEMENT
        loop = kernels.settle_expired_positions if expired else kernels.settle_pnl
        return _Kind(loop, ix.market_index, entry.unix_timestamp, entry.slot)

    def _in_exact_lane(self, entry: Entry) -> None:
        receipt = reexecute(self.machine, entry, self.journal.name)
        if self.machine.results is not None:
            compare_results(self.journal, entry, receipt, self.machine.results)
        self.refused += not receipt.ok

    def finish(self) -> None:
        """Execute what waits; ``ReplayDiffers`` for the first that has another outcome than the journal says."""
        if len(self._waiting) < SHORTEST:
            for waiting in self._waiting:
                self._in_exact_lane(waiting.entry)
        elif self._kind is not None:
            self._in_a_loop(self._kind)
        self._waiting.clear()
        self._rows.clear()
        self._kind = None

    def _in_a_loop(self, kind: _Kind) -> None:
        store, waiting = self.machine.store, self._waiting
        before = [store.users.row(w.row) for w in waiting]
        users = bytearray().join(before)
        tables = copied_tables(store, [users], kind.slot)
        owned = [i for i, (w, row) in enumerate(zip(waiting, before, strict=True)) if is_owner(row, w.signer)]
        quotes = bytearray(SpotMarket.LAYOUT.size * len(waiting))
        markets = bytearray(PerpMarket.LAYOUT.size * len(waiting) * (POSITIONS if kind.market_index < 0 else 1))
        after = {"after_perp_markets": markets}
        if kind.market_index >= 0:
            after["after_spot_markets"] = quotes
        result = batch.run(kind.loop, tables, compiled=True, owned=owned, after=after, **self._numbers(kind))
        size = User.LAYOUT.size
        kept = _Kept(kind, quotes, markets)
        now: dict[tuple[Table[Any], int], bytes] = {}
        for i, (error, _, _, _) in enumerate(_outcomes(result.outcomes[0])):
            data = bytes(users[i * size : (i + 1) * size])
            # a refused settlement must not have written anything either: then its effects are the ones before it
            changes = self._changes(i, kept, before[i], data, now)
            self._compare(waiting[i], ErrorCode(error - 1).name if error else "ok", changes)
            store.users.store(waiting[i].row, data, None)
            self.refused += error != 0
        for (table, index), data in now.items():
            table.store(index, data, table.record.unpack(data))
        self.compiled += len(waiting)
        self.handed_over += result.handed_over

    def _numbers(self, kind: _Kind) -> dict[str, int]:
        if kind.market_index < 0:
            return {"slot": kind.slot}
        vault = self.machine.store.vaults.objects[QUOTE_SPOT_MARKET_INDEX].spot_vault
        numbers = {"market_index": kind.market_index, "quote_vault": vault, "now": kind.unix_timestamp}
        if kind.loop is kernels.settle_pnl:
            numbers["mode"] = MUST_SETTLE
        return {**numbers, "slot": kind.slot}

    def _changes(
        self, i: int, kept: "_Kept", before: bytes, data: bytes, now: "dict[tuple[Table[Any], int], bytes]"
    ) -> list[Change]:
        """What settlement ``i`` wrote, in the order of a commit: the rows that are not what they were ``now``."""
        store = self.machine.store
        written: list[tuple[Table[Any], int, bytes]] = [
            *((store.spot_markets, QUOTE_SPOT_MARKET_INDEX, row) for row in kept.quote(i)),
            *((store.perp_markets, index, row) for index, row in kept.markets(i, data)),
        ]
        changes: list[Change] = []
        for table, index, after in written:
            held = now.get((table, index)) or table.row(index)
            if after != held:
                changes.append(Change(table, index, held, after, None))
                now[table, index] = after
        if data != before:
            changes.append(Change(store.users, self._waiting[i].row, before, data, None))
        return changes

    def _compare(self, waiting: _Waiting, got: str, changes: list[Change]) -> None:
        effects = self.machine.effects_after(changes)
        sequence, recorded = self.machine.sequence + 1, waiting.recorded
        if got != recorded.error or effects.hex() != recorded.effects or sequence != recorded.sequence:
            raise ReplayDiffers(
                f"{self.journal.name}: executed again in the bulk lane, entry {waiting.entry.sequence} ({waiting.ix}) "
                f"{difference(got, recorded)}. If `seawall replay` without --lane bulk finds nothing, the two lanes "
                "differ: please report it with the journal"
            )
        self.machine.sequence, self.machine.effects = sequence, effects


class _Kept:
    """The market rows as they were after each user of a loop."""

    def __init__(self, kind: _Kind, quotes: bytearray, markets: bytearray) -> None:
        self._market_index = kind.market_index
        self._quotes = quotes
        self._markets = markets

    def quote(self, i: int) -> Iterator[bytes]:
        """The quote market's row after user ``i``, where the loop may write it."""
        if self._market_index >= 0:
            yield _row(self._quotes, SpotMarket.LAYOUT.size, i)

    def markets(self, i: int, user: bytes) -> Iterator[tuple[int, bytes]]:
        """The perp markets that the loop may have written for user ``i``, ascending, with their rows after it."""
        size = PerpMarket.LAYOUT.size
        if self._market_index >= 0:
            yield self._market_index, _row(self._markets, size, i)
            return
        positions = User.unpack(user).perp_positions
        held = ((p.market_index, k) for k, p in enumerate(positions) if p.base_asset_amount)
        for market_index, k in sorted(held):
            yield market_index, _row(self._markets, size, i * POSITIONS + k)


def _row(rows: bytearray, size: int, index: int) -> bytes:
    return bytes(rows[index * size : (index + 1) * size])
