"""The venue: instructions in, receipts out, and a journal that keeps both.

``Venue()`` lives in memory, ``Venue.open(path)`` in an SQLite database: there a receipt is handed out only after its
journal entry is on disk, and a venue that was killed comes back with every receipt it ever handed out.

>>> from seawall import Venue
>>> from seawall.instructions.venue_setup import Initialize
>>> with Venue() as venue:
...     venue.apply(Initialize(admin="@admin"), "@admin", at=1_700_000_000).ok
True
"""

import logging
import os
from collections.abc import Callable, Iterable, Sequence
from itertools import islice
from pathlib import Path
from threading import Lock
from types import TracebackType
from typing import TYPE_CHECKING, Final, Self, TypeVar

import msgspec

if TYPE_CHECKING:
    import pyarrow

from seawall.engine.machine import Machine, Request, refused_at_the_door
from seawall.engine.receipts import Clock, Receipt, decode_receipt, encode_receipt
from seawall.engine.recovery import Recovery, recover, reexecute, take_snapshot
from seawall.engine.results import decode_results, fingerprint_in, require_results, verified_results
from seawall.engine.store import Store
from seawall.engine.transaction import Change, signer_key
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, decode_canonical, encode, validate
from seawall.ledger.errors import LedgerError, VenueUnusable
from seawall.ledger.journal import (
    KEY_LENGTH,
    START,
    Entry,
    Journal,
    MemoryJournal,
    Tip,
    chain,
    check_entry,
    tip_of,
    verified,
)
from seawall.ledger.location import open_journal
from seawall.ledger.snapshots import remove_old_snapshots

__all__ = ["Machine", "Request", "Venue"]

GROUP: Final = 1000
"""Most instructions that one commit makes durable."""

SNAPSHOT_EVERY: Final = 250_000
"""Instructions between two snapshots of a running venue, unless ``open`` is told otherwise."""

SNAPSHOT_AT_CLOSE: Final = 1_000
"""Instructions since the last snapshot from which on closing takes another."""

SNAPSHOTS_KEPT: Final = 2

_LARGEST: Final = (1 << 63) - 1
_CLOSED: Final = "it is closed"
_INTERRUPTED: Final = "it was interrupted while it changed its state. Open the venue again"

_log = logging.getLogger("seawall.venue")

_Answer = TypeVar("_Answer")


class Venue:
    """A venue: its state, and the journal that the state follows from. One thread at a time gets in."""

    def __init__(self) -> None:
        self._machine = Machine()
        self._journal: Journal = MemoryJournal()
        self._tip: Tip = START
        self._results: dict[int, bytes] = {}
        """Of batches that are not committed yet."""
        self._id: bytes | None = None
        self._path: Path | None = None
        self._read_only = False
        self._snapshot_every: int | None = None
        self._snapshot_at = 0
        self._fault: str | None = None
        self._process = os.getpid()
        self._lock = Lock()
        self.recovery = Recovery(0, 0, 0.0)
        """How the venue was brought back when it was opened."""

    @classmethod
    def open(
        cls,
        path: str | os.PathLike[str],
        *,
        read_only: bool = False,
        snapshot_every: int | None = SNAPSHOT_EVERY,
        adopt: bool = False,
        snapshots: str | os.PathLike[str] | None = None,
    ) -> Self:
        """Open the venue stored at ``path`` (a file, or ``postgresql://…``), or create one there.

        The state is the last snapshot plus the instructions after it, executed again and compared with the journal.
        ``read_only`` looks at the state as of now and needs no lock. ``snapshot_every`` None takes snapshots only at
        ``close`` and ``snapshot``. ``adopt`` takes a journal that ends before what was acknowledged as it is: for an
        older copy brought back on purpose. ``snapshots``: the file name that snapshots begin with, for a venue in a
        database server, which has no file of its own; without it that venue takes none.

        ``VenueLocked`` where another process writes; ``JournalDamaged``, ``SnapshotDamaged``, ``ReplayDiffers`` where
        what is stored is not what was acknowledged. Nothing is repaired.
        """
        journal, beside = open_journal(path, read_only=read_only, adopt=adopt)
        if beside is None and snapshots is not None:
            beside = Path(snapshots).absolute()
        venue = cls()
        try:
            venue._machine, venue._tip, venue.recovery = recover(journal, beside)
            if not read_only:
                journal.start_writing()
        except BaseException:
            journal.close(in_order=False)
            raise
        venue._journal = journal
        venue._path = beside
        venue._read_only = read_only
        venue._snapshot_every = snapshot_every
        venue._snapshot_at = venue.recovery.snapshot
        _log.info(
            "%s: %d instructions; snapshot at %d, %d executed again and verified in %.2f s", journal.name,
            venue._tip.sequence, *venue.recovery,
        )  # fmt: skip
        return venue

    # --- looking ----------------------------------------------------------------------------------------------

    @property
    def store(self) -> Store:
        """The tables."""
        return self._machine.store

    @property
    def sequence(self) -> int:
        """Sequence number of the last instruction."""
        return self._tip.sequence

    @property
    def tip(self) -> Tip:
        """Where the journal ends: sequence, hash, clock."""
        return self._tip

    @property
    def id(self) -> bytes | None:
        """What names this venue for signatures: the hash of its first entry (32 bytes); None before there is one."""
        if self._id is None:
            first = self._journal.entry(1)
            self._id = None if first is None else first.hash
        return self._id

    @property
    def journal(self) -> Journal:
        """The journal, for reading."""
        return self._journal

    def look(self, question: Callable[[Store, Tip], _Answer]) -> _Answer:
        """Ask something of the state while nothing changes it. What the question sees is durable."""
        with self._lock:
            self._require_usable()
            return question(self.store, self._tip)

    def root(self) -> str:
        """The state root: one hash over the whole state."""
        return self.store.root()

    def receipt(self, sequence: int) -> Receipt | None:
        """The receipt of an instruction by its sequence number."""
        entry = self._journal.entry(sequence)
        return None if entry is None else decode_receipt(entry.outcome)

    def results(self, sequence: int) -> "pyarrow.Table | None":
        """What became of each account of a batch by its sequence number; None for any other instruction.

        ``JournalDamaged`` where it is not what the receipt vouches for; ``RuntimeError`` where pyarrow is missing.
        """
        receipt = self.receipt(sequence)
        if receipt is None or fingerprint_in(receipt) is None:
            return None
        return decode_results(verified_results(self._journal, receipt))

    # --- applying ---------------------------------------------------------------------------------------------

    def apply(
        self, instruction: Instruction, signer: str, at: Clock | int, idempotency_key: str | None = None
    ) -> Receipt:
        """Apply one instruction at a time (a clock, or unix seconds); the receipt, or the first one for a repeated key.

        A refusal is a receipt too. Its sequence is 0 if the instruction was not even admitted to the journal:
        ``InvalidInstruction``, ``ClockWentBackwards``, ``IdempotencyConflict``, ``AccountFrozen`` (read-only).
        """
        clock = at if isinstance(at, Clock) else Clock.at(at)
        return self.apply_many([Request(instruction, signer, clock, idempotency_key)])[0]

    def apply_many(self, requests: Iterable[Request], receipts: list[Receipt] | None = None) -> Sequence[Receipt]:
        """Apply instructions in order, a thousand a commit; their receipts, once all of them are durable.

        Each instruction stands for itself: a refused one does not stop the next. ``VenueUnusable`` after a failed
        commit: what of its group became durable, only opening the venue again tells. ``receipts``: the list to add them
        to, for a caller who wants those before an instruction that met a fault of the software (any other exception).
        """
        if receipts is None:
            receipts = []
        waiting = iter(requests)
        while group := list(islice(waiting, GROUP)):
            with self._lock:
                self._require_usable()
                self._apply_group(group, receipts)
                if self._snapshot_every is not None and self.sequence - self._snapshot_at >= self._snapshot_every:
                    self._snapshot_if_possible()
        return receipts

    def apply_all_or_none(
        self, requests: Iterable[Request], acceptable: Callable[[Receipt], bool]
    ) -> Sequence[Receipt]:
        """Apply instructions in order, all in one commit; at the first receipt that is not acceptable undo them all.

        The receipts, once all of them are durable; or those up to the one that was not acceptable, the last, and
        then nothing has happened. ``VenueUnusable`` after a failed commit.
        """
        group = list(requests)
        receipts: list[Receipt] = []
        with self._lock:
            self._require_usable()
            sequence, effects = self._machine.sequence, self._machine.effects
            entries: list[Entry] = []
            done: list[list[Change]] = []
            known = self._known(group)
            try:
                for request in group:
                    receipts.append(self._receipt_of(request, known, entries, done))
                    if not acceptable(receipts[-1]):
                        self._undo(done, sequence, effects)
                        return receipts
            except BaseException:
                # interrupted while it changed its state the venue stays unusable: nobody knows what to undo
                if self._fault is None:
                    self._undo(done, sequence, effects)
                raise
            self._commit(entries)
        return receipts

    def _undo(self, done: "list[list[Change]]", sequence: int, effects: bytes) -> None:
        self._fault = _INTERRUPTED
        for changes in reversed(done):
            self._machine.undo(changes)
        self._machine.sequence, self._machine.effects = sequence, effects
        self._results.clear()
        self._fault = None

    def dry_run(self, instruction: Instruction, signer: str, at: Clock | int) -> Receipt:
        """The receipt that ``apply`` would give now. Nothing changes and nothing is journalled; its sequence is 0."""
        request = Request(instruction, signer, at if isinstance(at, Clock) else Clock.at(at))
        with self._lock:
            self._require_usable()
            try:
                exact, key = _admitted(request, _encoded(request), self._tip)
            except SettlementError as error:
                return refused_at_the_door(request, error)
            receipt, _ = self._machine.attempt(exact, signer, key, request.at)
        return msgspec.structs.replace(receipt, sequence=0, effects="")

    def _apply_group(self, group: list[Request], receipts: list[Receipt]) -> None:
        known = self._known(group)
        entries: list[Entry] = []
        try:
            for request in group:
                receipts.append(self._receipt_of(request, known, entries))
        except Exception:
            # a fault of the software: nothing of this instruction happened, those before it stand
            self._commit(entries)
            raise
        except BaseException:
            self._fault = _INTERRUPTED
            raise
        self._commit(entries)

    def _known(self, group: list[Request]) -> dict[str, Entry]:
        """The entries that were made under the group's idempotency keys."""
        keys = {r.idempotency_key for r in group if r.idempotency_key is not None and _is_key(r.idempotency_key)}
        return self._journal.by_key(keys) if keys else {}

    def _receipt_of(
        self,
        request: Request,
        known: dict[str, Entry],
        entries: list[Entry],
        done: "list[list[Change]] | None" = None,
    ) -> Receipt:
        try:
            return self._apply_one(request, known, entries, done)
        except SettlementError as error:
            return refused_at_the_door(request, error)

    def _apply_one(
        self,
        request: Request,
        known: dict[str, Entry],
        entries: list[Entry],
        done: "list[list[Change]] | None",
    ) -> Receipt:
        """One instruction up to the entry that is to be committed; ``SettlementError`` where it is not admitted.

        What it changed is added to ``done``, for a caller who may want to undo it.
        """
        if self._read_only:
            raise SettlementError(ErrorCode.AccountFrozen)
        data = _encoded(request)
        key = request.idempotency_key
        if key is not None and key in known:
            return self._first_receipt(request, data, known[key])
        last = entries[-1] if entries else self._tip
        instruction, signer = _admitted(request, data, last)
        receipt, changes = self._machine.attempt(instruction, request.signer, signer, request.at)
        at = request.at
        outcome = encode_receipt(receipt)
        parts = (receipt.sequence, at.unix_timestamp, at.slot, request.signer, request.signature, key, data, outcome)
        entry = Entry(*parts, chain(last.hash, *parts))
        self._fault = _INTERRUPTED
        self._machine.settle(receipt, changes)
        if done is not None:
            done.append(changes)
        entries.append(entry)
        if self._machine.results is not None:
            self._results[receipt.sequence] = self._machine.results
        if key is not None:
            known[key] = entry
        self._fault = None
        return receipt

    def _first_receipt(self, request: Request, data: bytes, first: Entry) -> Receipt:
        """The receipt of the first use of a key; ``IdempotencyConflict`` if that was for another instruction."""
        if first.instruction != data or first.signer != request.signer:
            raise SettlementError(
                ErrorCode.IdempotencyConflict,
                f"the idempotency key {request.idempotency_key!r} was used for another instruction, {first.sequence}",
                "a key that was not used yet",
            )
        if first.sequence <= self._tip.sequence:
            before = self._journal.entry(first.sequence - 1)
            check_entry(self._journal, first, START if before is None else tip_of(before))
        return decode_receipt(first.outcome)

    def _commit(self, entries: list[Entry]) -> None:
        if not entries:
            return
        try:
            self._journal.append(entries, self._results)
        except BaseException as error:
            self._fault = (
                f"instructions {entries[0].sequence} to {entries[-1].sequence} could not be written ({error}), and the "
                "state in memory is ahead of the disk. Remove the cause and open the venue again: it comes back with "
                "everything that was acknowledged"
            )
            if isinstance(error, Exception):
                raise VenueUnusable(f"{self._journal.name}: {self._fault}") from error
            raise
        self._tip = tip_of(entries[-1])
        self._results.clear()

    def _require_usable(self) -> None:
        if self._fault is not None:
            raise VenueUnusable(f"{self._journal.name}: {self._fault}")
        if self._process != os.getpid():
            raise VenueUnusable(f"{self._journal.name}: it was opened by the parent process. Open it after the fork")

    # --- following another writer -----------------------------------------------------------------------------

    def catch_up(self) -> int:
        """Carry out what another process wrote since this venue was opened read-only; how many instructions.

        Errors as ``open``; after one the venue is unusable.
        """
        done = 0
        while True:
            # whoever looks at the state meanwhile waits for some of it, not for all
            with self._lock:
                self._require_usable()
                if not self._read_only:
                    return done
                some = self._catch_up(GROUP)
            done += some
            if some < GROUP:
                return done

    def _catch_up(self, most: int | None = None) -> int:
        """Carry out what the journal has beyond the state. Where it cannot be read, the state is that of the tip."""
        before = self._tip.sequence
        self._journal.refresh()
        for entry in islice(verified(self._journal, self._tip), most):
            self._fault = _INTERRUPTED
            try:
                reexecute(self._machine, entry, self._journal.name)
            except LedgerError as error:
                self._fault = str(error)
                raise
            self._tip = tip_of(entry)
            self._fault = None
        return self._tip.sequence - before

    def promote(self) -> None:
        """Become the writer of a venue that was opened read-only, with everything that was acknowledged.

        ``VenueLocked`` while another process writes; nothing has changed then. Otherwise errors as ``open``.
        """
        with self._lock:
            self._require_usable()
            if not self._read_only:
                return
            self._journal.acquire()
            self._catch_up()
            self._journal.start_writing()
            self._read_only = False

    def check_writer(self) -> None:
        """``VenueUnusable`` where this process lost the right to write: its session with the server has ended."""
        with self._lock:
            self._require_usable()
            if self._read_only:
                return
            try:
                self._journal.check_writer()
            except LedgerError as error:
                self._fault = (
                    f"the writer's lock is lost ({error}); another process may write now. Nothing acknowledged is "
                    "lost: open the venue again"
                )
                raise VenueUnusable(f"{self._journal.name}: {self._fault}") from error

    # --- snapshots and the end --------------------------------------------------------------------------------

    def snapshot(self) -> Path:
        """Write a snapshot of the state as of now, so that the next ``open`` starts there; its path."""
        with self._lock:
            self._require_usable()
            if self._path is None or self._read_only:
                raise LedgerError("only a venue that was opened for writing takes snapshots")
            return self._snapshot(self._path)

    def _snapshot(self, database: Path) -> Path:
        path = take_snapshot(self._machine, self._tip, database)
        self._snapshot_at = self._tip.sequence
        remove_old_snapshots(database, SNAPSHOTS_KEPT)
        return path

    def _snapshot_if_possible(self) -> None:
        """A snapshot that nobody waits for: the journal has everything, so a full disk is reported and no more."""
        if self._path is None or self._read_only:
            return
        try:
            self._snapshot(self._path)
        except OSError as error:
            self._snapshot_at = self._tip.sequence
            _log.error("%s: no snapshot at %d: %s", self._path, self._tip.sequence, error)

    def close(self) -> None:
        """Close the venue; a second call does nothing. The journal is noted as complete."""
        with self._lock:
            if self._fault == _CLOSED or self._process != os.getpid():
                return
            in_order = self._fault is None
            if in_order and self.sequence - self._snapshot_at >= SNAPSHOT_AT_CLOSE:
                self._snapshot_if_possible()
            self._fault = _CLOSED
            try:
                self._journal.close(in_order)
            except LedgerError as error:
                _log.error("closed, but not in order, and nothing is lost: %s", error)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _is_key(key: str) -> bool:
    return isinstance(key, str) and 0 < len(key) <= KEY_LENGTH and key.isprintable()


def _encoded(request: Request) -> bytes:
    """The bytes of the instruction that the journal keeps; ``InvalidInstruction`` where it has no such form."""
    if not isinstance(request.instruction, Instruction):
        raise TypeError(f"an instruction was expected, not {request.instruction!r}")
    try:
        return encode(request.instruction)
    except (TypeError, ValueError) as error:
        raise SettlementError(ErrorCode.InvalidInstruction, str(error)) from None


def _admitted(request: Request, data: bytes, last: Entry | Tip) -> tuple[Instruction, bytes]:
    """The instruction exactly as the journal keeps it, and its signer's key, if the request may enter the journal.

    ``InvalidInstruction`` for anything malformed, ``ClockWentBackwards`` for a time before the last entry's.
    """
    instruction = decode_canonical(data)
    validate(instruction)
    require_results(instruction)
    if not isinstance(request.signer, str):
        raise SettlementError(ErrorCode.InvalidInstruction, "signer: base58 or an @label is expected")
    key = signer_key(request.signer)
    if "\0" in request.signer:  # no text in PostgreSQL has it
        raise SettlementError(ErrorCode.InvalidInstruction, "signer: a zero character is in it")
    if request.idempotency_key is not None and not _is_key(request.idempotency_key):
        raise SettlementError(
            ErrorCode.InvalidInstruction, f"idempotency_key: it has 1 to {KEY_LENGTH} printable characters"
        )
    now, slot = request.at.unix_timestamp, request.at.slot
    if type(now) is not int or type(slot) is not int or not (-_LARGEST <= now <= _LARGEST and 0 <= slot <= _LARGEST):
        raise SettlementError(ErrorCode.InvalidInstruction, "at: a clock has two integers of 64 bits, the slot no sign")
    if now < last.unix_timestamp or slot < last.slot:
        raise SettlementError(
            ErrorCode.ClockWentBackwards,
            f"the last instruction was at unix time {last.unix_timestamp}, slot {last.slot}; "
            f"this one is at unix time {now}, slot {slot}",
            "a time and a slot not before the last instruction's",
        )
    return instruction, key
