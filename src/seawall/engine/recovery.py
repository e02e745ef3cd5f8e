"""Bringing a venue back: the last good snapshot, then every later instruction once more, each outcome compared."""

import time
from pathlib import Path
from typing import NamedTuple

import msgspec

from seawall.engine.machine import Machine, Request
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.results import require_results
from seawall.engine.store import Store
from seawall.errors import SettlementError
from seawall.instructions.base import Instruction, decode_canonical
from seawall.ledger.errors import JournalDamaged, LedgerError, ReplayDiffers
from seawall.ledger.journal import START, Entry, Journal, Tip, check_entry, tip_of, verified
from seawall.ledger.snapshots import (
    Header,
    Part,
    Tables,
    map_tables,
    read_header,
    snapshot_damaged,
    snapshots,
    write_snapshot,
)


class Recovery(NamedTuple):
    """How a venue was brought back: from which snapshot (0: from genesis), how many instructions after it, how long.

    The journal's hash chain was verified from the snapshot on; what lies before it only ``seawall audit`` reads.
    """

    snapshot: int
    replayed: int
    seconds: float


class _Refused(msgspec.Struct):
    error: str


class Outcome(msgspec.Struct):
    """As much of a receipt as recovery compares: the state it led to, and the error's name."""

    sequence: int
    effects: str
    refusal: _Refused | None = None

    @property
    def error(self) -> str:
        """The error's name, or ``ok``."""
        return "ok" if self.refusal is None else self.refusal.error


_outcome = msgspec.json.Decoder(Outcome)


def recover(journal: Journal, database: Path | None) -> tuple[Machine, Tip, Recovery]:
    """The state machine as it stands at the end of the journal.

    ``JournalDamaged``, ``SnapshotDamaged`` or ``ReplayDiffers`` where something is not what it should be.
    """
    started = time.perf_counter()
    machine, tip = Machine(), START
    latest = _latest_snapshot(database) if database is not None else None
    if latest is not None:
        machine, tip = _from_snapshot(journal, *latest)
    snapshot = tip.sequence
    for entry in verified(journal, tip):
        reexecute(machine, entry, journal.name)
        tip = tip_of(entry)
    return machine, tip, Recovery(snapshot, tip.sequence - snapshot, time.perf_counter() - started)


def machine_at(journal: Journal, database: Path | None, sequence: int) -> tuple[Machine, Receipt]:
    """The state machine right after instruction ``sequence``, and that instruction's receipt: executed again.

    Starts at the last snapshot before it. ``LedgerError`` where there is no such instruction; as ``recover``.
    """
    if journal.entry(sequence) is None:
        raise LedgerError(f"{journal.name}: there is no instruction {sequence}; the last is {journal.tip().sequence}")
    machine, tip = machine_before(journal, database, sequence)
    for entry in verified(journal, tip):
        receipt = reexecute(machine, entry, journal.name)
        if entry.sequence == sequence:
            return machine, receipt
    raise JournalDamaged(f"{journal.name} ends before its instruction {sequence}")


def machine_before(journal: Journal, database: Path | None, sequence: int) -> tuple[Machine, Tip]:
    """The state machine of the last snapshot before instruction ``sequence``, or the empty one; and where it stands.

    To be brought on with ``reexecute``. As ``recover``.
    """
    latest = _latest_snapshot(database, before=sequence) if database is not None else None
    return (Machine(), START) if latest is None else _from_snapshot(journal, *latest)


def reexecute(machine: Machine, entry: Entry, name: str) -> Receipt:
    """Carry out a journalled instruction again; ``ReplayDiffers`` if it ends elsewhere than the journal says.

    Compared are the error's name and the hash of all effects so far, not the wording of explanations.
    """
    instruction, recorded = read_entry(entry, name)
    try:
        require_results(instruction)
    except SettlementError as error:
        raise LedgerError(f"{name}: entry {entry.sequence} is a batch: {error.detail}") from None
    clock = Clock(entry.unix_timestamp, entry.slot)
    receipt, _ = machine.execute(Request(instruction, entry.signer, clock))
    got = "ok" if receipt.refusal is None else receipt.refusal.error
    if got != recorded.error or receipt.effects != recorded.effects or receipt.sequence != recorded.sequence:
        raise ReplayDiffers(
            f"{name}: executed again, entry {entry.sequence} ({instruction.ix}) {difference(got, recorded)}. Its hash "
            "is right, so the journal is intact: it was written by a version with other rules. Open it with that "
            "version"
        )
    return receipt


def read_entry(entry: Entry, name: str) -> tuple[Instruction, Outcome]:
    """The instruction of an entry and what it led to; ``ReplayDiffers`` where this version cannot read it."""
    try:
        return decode_canonical(entry.instruction), _outcome.decode(entry.outcome)
    except (SettlementError, msgspec.DecodeError, UnicodeDecodeError) as error:
        raise ReplayDiffers(
            f"{name}: entry {entry.sequence} cannot be read by this version of Seawall ({error})"
        ) from None


def difference(got: str, recorded: Outcome) -> str:
    """How an outcome (an error's name or ``ok``) that is not the recorded one differs from it."""
    if got != recorded.error:
        return f"gives {got} instead of {recorded.error}"
    return "changes other rows or in another way"


def _latest_snapshot(database: Path, before: int | None = None) -> tuple[Path, Header, Tables] | None:
    """The newest snapshot, or the newest ``before`` an instruction, mapped.

    A writer may remove old ones while a reader looks: then it looks again.
    """
    for last_try in (False, False, True):
        try:
            for path in reversed(snapshots(database)):
                header = read_header(path)
                if before is None or header.sequence < before:
                    return path, header, map_tables(path, header)
            break
        except FileNotFoundError:
            if last_try:
                raise
    return None


def _from_snapshot(journal: Journal, path: Path, header: Header, tables: Tables) -> tuple[Machine, Tip]:
    entry = journal.entry(header.sequence)
    if entry is None:
        raise JournalDamaged(
            f"{path} was taken after {header.sequence} instructions, but {journal.name} ends with "
            f"{journal.tip().sequence}. Restore the database from a backup; if you brought back an older copy on "
            "purpose, delete the snapshot"
        )
    before = journal.entry(header.sequence - 1) if header.sequence > 1 else None
    check_entry(journal, entry, START if before is None else tip_of(before))
    if entry.hash.hex() != header.chain or _outcome.decode(entry.outcome).effects != header.effects:
        raise snapshot_damaged(path, "it does not belong to this journal")
    machine = Machine(_load_store(path, header, tables))
    machine.sequence = header.sequence
    machine.effects = bytes.fromhex(header.effects)
    return machine, tip_of(entry)


def _load_store(path: Path, header: Header, tables: Tables) -> Store:
    store = Store()
    for table in store.tables:
        place = tables[table.name][0] if table.name in tables else None
        if place is None or place.layout != table.layout or place.size != place.rows * table.row_size:
            raise snapshot_damaged(path, f"its table {table.name!r} was written by a version with other records")
    try:
        store.load({name: (place.rows, rows) for name, (place, rows) in tables.items()})
    except ValueError as error:
        raise snapshot_damaged(path, f"it is damaged: {error}") from None
    if store.root() != header.root:
        raise snapshot_damaged(path, "it is damaged: its rows are not what was written")
    return store


def take_snapshot(machine: Machine, tip: Tip, database: Path) -> Path:
    """Write the machine's state as a snapshot of the journal's tip; its path."""
    parts = [
        Part(table.name, table.layout, table.count, table.count * table.row_size, table.segments())
        for table in machine.store.tables
    ]
    return write_snapshot(database, tip.sequence, tip.hash, machine.effects, machine.store.root(), parts)
