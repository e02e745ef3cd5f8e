"""The venue as it was: ``as_of`` an instruction or a time.

Genesis and journal give every state there ever was; a past one is computed by executing the journal again from the
nearest known state before it. That takes time in proportion to the distance, so that a request gets ``PATIENCE``
seconds of it: what was reached is kept, and the same request asked again goes on from there. Never does this hold the
writer up: past states are machines of their own.
"""

import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Lock
from typing import Final, NamedTuple, TypeVar

from seawall.engine.machine import Machine
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.recovery import machine_before, reexecute
from seawall.engine.store import Store
from seawall.ledger.journal import START, Journal, Tip, tip_of, verified
from seawall.service.problems import Problem, ServiceError
from seawall.service.runtime import Service

PATIENCE: Final = 5.0
"""Seconds that one request may spend on executing the journal again, or wait for another that does."""

KEPT: Final = 4
"""Past states that are kept for the next question."""

NEAR: Final = 2_000
"""Instructions that are executed sooner than a snapshot is read and verified."""

_Answer = TypeVar("_Answer")


class Moment(NamedTuple):
    """What ``as_of`` asks for: the state after instruction ``sequence``, and the clock by which prices have aged."""

    sequence: int
    clock: Clock


class _Held:
    def __init__(self, machine: Machine, tip: Tip) -> None:
        self.machine = machine
        self.tip = tip


class Past:
    """Past states of one venue, the latest used first."""

    def __init__(self, service: Service) -> None:
        self._service = service
        self._lock = Lock()
        self._held: list[_Held] = []

    def moment(self, as_of: str | None) -> Moment | None:
        """What ``as_of`` means: a sequence number, or a time as RFC 3339 writes it; None for the present.

        ``InvalidParameter``, ``AsOfBeyondJournal``.
        """
        if as_of is None:
            return None
        journal, tip = self._service.venue.journal, self._service.venue.tip
        if as_of.isascii() and as_of.isdigit():
            sequence = int(as_of) if len(as_of) < 19 else 1 << 62
            if sequence > tip.sequence:
                raise Problem(
                    ServiceError.AsOfBeyondJournal, f"the last instruction is {tip.sequence}, not {as_of}",
                    f"as_of from 0 to {tip.sequence}",
                )  # fmt: skip
            entry = journal.entry(sequence) if sequence else None
            return Moment(sequence, Clock.at(0) if entry is None else Clock(entry.unix_timestamp, entry.slot))
        at = unix_seconds("as_of", as_of)
        now = self._service.time_at(tip).unix_timestamp
        if at > now:
            raise Problem(
                ServiceError.AsOfBeyondJournal, f"{as_of} lies ahead: now it is unix time {now}", "a time in the past"
            )
        sequence = last_at(journal, tip, at)
        entry = journal.entry(sequence) if sequence else None
        slot = Clock.at(at).slot if entry is None else max(Clock.at(at).slot, entry.slot)
        return Moment(sequence, Clock(at, slot))

    def ask(self, moment: Moment | None, question: Callable[[Store, Clock], _Answer]) -> _Answer:
        """The answer of the state at a moment, or of the present one.

        ``AsOfTakesLonger`` says how far the computation has come; the same again goes on from there.
        """
        if moment is None:
            return self._service.look(lambda store, tip: question(store, self._service.time_at(tip)))
        venue = self._service.venue
        if moment.sequence == venue.tip.sequence:
            present: list[_Answer] = venue.look(
                lambda store, tip: [question(store, moment.clock)] if tip.sequence == moment.sequence else []
            )
            if present:
                return present[0]
        return self.after(moment.sequence, lambda machine, _: question(machine.store, moment.clock))

    def after(self, sequence: int, question: Callable[[Machine, Receipt | None], _Answer]) -> _Answer:
        """Ask the machine as it was right after an instruction; its receipt comes along if it was just executed."""
        if not self._lock.acquire(timeout=PATIENCE):
            raise Problem(ServiceError.AsOfTakesLonger, "other questions about the past are being answered")
        try:
            held, receipt = self._reach(sequence)
            return question(held.machine, receipt)
        finally:
            self._lock.release()

    def _reach(self, sequence: int) -> tuple[_Held, Receipt | None]:
        journal = self._service.venue.journal
        held = self._nearest(journal, sequence)
        self._held.remove(held)
        receipt: Receipt | None = None
        until = time.monotonic() + PATIENCE
        if held.tip.sequence < sequence:
            for entry in verified(journal, held.tip):
                receipt = reexecute(held.machine, entry, journal.name)
                held.tip = tip_of(entry)
                if entry.sequence == sequence:
                    break
                if time.monotonic() > until or self._service.stopping.is_set():
                    self._keep(held)
                    raise Problem(
                        ServiceError.AsOfTakesLonger,
                        f"the journal was executed again up to instruction {entry.sequence} of {sequence}",
                        "the same request again: it goes on from there",
                    )
        self._keep(held)
        return held, receipt

    def _nearest(self, journal: Journal, sequence: int) -> _Held:
        """The state to start from: one that is kept, a snapshot's, or the empty one."""
        kept = max((h for h in self._held if h.tip.sequence <= sequence), key=lambda h: h.tip.sequence, default=None)
        if kept is not None and sequence - kept.tip.sequence <= NEAR:
            return kept
        machine, tip = machine_before(journal, self._service.settings.snapshots, sequence + 1)
        if kept is not None and kept.tip.sequence >= tip.sequence:
            return kept
        fresh = _Held(machine, tip)
        self._held.append(fresh)
        return fresh

    def _keep(self, held: _Held) -> None:
        self._held.insert(0, held)
        del self._held[KEPT:]


def unix_seconds(name: str, text: str) -> int:
    """A time as RFC 3339 writes it, in unix seconds; ``InvalidParameter``."""
    # RFC 3339 knows leap seconds, the standard library does not: they count as the second before
    normal = text.replace(":60", ":59").replace("t", "T").replace("z", "Z")
    try:
        at = datetime.fromisoformat(normal)
        if at.tzinfo is None or "T" not in normal:
            raise ValueError("no time zone")
        return int((at - datetime(1970, 1, 1, tzinfo=UTC)).total_seconds() // 1)
    except (ValueError, OverflowError):
        raise Problem(
            ServiceError.InvalidParameter, f"{name}: {text[:40]!r} is neither a sequence number nor a time",
            "a sequence number, or a time such as 2022-05-11T12:00:00Z",
        ) from None  # fmt: skip


def last_at(journal: Journal, tip: Tip, unix_timestamp: int) -> int:
    """The last sequence number at or before a time, found by halving; 0 before the first."""
    low, high = START.sequence, tip.sequence
    while low < high:
        middle = (low + high + 1) // 2
        entry = journal.entry(middle)
        if entry is not None and entry.unix_timestamp <= unix_timestamp:
            low = middle
        else:
            high = middle - 1
    return low
