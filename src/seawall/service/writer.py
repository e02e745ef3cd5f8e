"""The one writer: a thread that takes requests in the order they came and commits them together, a group at a time.

Callers wait on a future that is done once their instruction is durable. Whatever waits while a group is being forced
to disk becomes the next group, so that the busier the venue, the fewer commits an instruction costs.
"""

import logging
import queue
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from typing import Final, NamedTuple

from seawall.engine.machine import Request, refused_at_the_door
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.venue import Venue
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.ledger.errors import LedgerError
from seawall.service.admission import Nonces
from seawall.signing import Proof

LARGEST_GROUP: Final = 256
"""Instructions of one commit. A reader of the state waits for one group at most."""

LONGEST_QUEUE: Final = 10_000
"""Requests that may wait; more are turned away with ``VenueBusy``."""

IDLE: Final = 1.0
"""Seconds without a request after which the writer makes sure that it still is the one."""

_log = logging.getLogger("seawall.writer")


class Asked(NamedTuple):
    """A request that waits for its turn."""

    instruction: Instruction
    signer: str
    proof: Proof | None
    idempotency_key: str | None
    answer: "Future[Receipt]"


class Writer:
    """Sequences requests through a venue. ``start`` it before, ``stop`` it after."""

    def __init__(self, venue: Venue, now: Callable[[], int] = lambda: int(time.time())) -> None:
        self.venue = venue
        self._now = now
        self._queue: queue.Queue[Asked | None] = queue.Queue(LONGEST_QUEUE)
        self._thread = threading.Thread(target=self._run, name="seawall-writer", daemon=True)
        self._ended = threading.Event()
        self._nonces = Nonces()
        self._listeners: list[Callable[[list[Receipt]], None]] = []
        self.failed: BaseException | None = None
        """What ended the writer, if anything did: the venue must be opened again."""
        self.groups = 0
        self.written = 0

    def start(self) -> None:
        """Read back the used nonces and begin to take requests."""
        self._nonces.recall(self.venue.journal, self.clock().unix_timestamp)
        self._thread.start()

    def stop(self) -> None:
        """Carry out what waits, then end."""
        if self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()

    def listen(self, listener: Callable[[list[Receipt]], None]) -> None:
        """Tell ``listener`` the receipts of every group once they are durable, from the writer's thread."""
        self._listeners.append(listener)

    @property
    def waiting(self) -> int:
        """Requests that wait."""
        return self._queue.qsize()

    def clock(self) -> Clock:
        """The time that an instruction would get now: this machine's, or the last instruction's where that is later.

        A clock that goes backwards therefore stops the venue's time and nothing else.
        """
        tip = self.venue.tip
        usual = Clock.at(self._now())
        return Clock(max(usual.unix_timestamp, tip.unix_timestamp), max(usual.slot, tip.slot))

    def submit(
        self, instruction: Instruction, signer: str, proof: Proof | None = None, idempotency_key: str | None = None
    ) -> "Future[Receipt]":
        """Queue a request whose signature was checked; ``VenueBusy`` where too many wait.

        The future gives the receipt once it is durable, or raises what ended the writer.
        """
        answer: Future[Receipt] = Future()
        if self.failed is not None:
            answer.set_exception(self.failed)
            return answer
        try:
            self._queue.put_nowait(Asked(instruction, signer, proof, idempotency_key, answer))
        except queue.Full:
            raise SettlementError(
                ErrorCode.VenueBusy, f"{LONGEST_QUEUE} requests wait already", "the same a little later"
            ) from None
        if self._ended.is_set():
            # it ended between the first look and the queue: nobody else would answer
            self._turn_away()
        return answer

    # --- the thread -------------------------------------------------------------------------------------------

    def _run(self) -> None:
        try:
            self._take_turns()
        finally:
            self._ended.set()
            self._turn_away()

    def _take_turns(self) -> None:
        going = True
        while going:
            try:
                first = self._queue.get(timeout=IDLE)
            except queue.Empty:
                going = self._check()
                continue
            group: list[Asked] = []
            while first is not None:
                group.append(first)
                if len(group) == LARGEST_GROUP:
                    break
                try:
                    first = self._queue.get_nowait()
                except queue.Empty:
                    break
            else:
                going = False
            if group:
                going = self._carry_out(group) and going

    def _check(self) -> bool:
        """Whether this process still is the one writer, asked when there is nothing to do."""
        try:
            self.venue.check_writer()
        except LedgerError as error:
            _log.error("%s", error)
            self.failed = error
        return self.failed is None

    def _carry_out(self, group: list[Asked]) -> bool:
        """One group, one commit; False where the venue cannot go on."""
        try:
            self._commit(group)
        except BaseException as error:
            self.failed = error
            for asked in group:
                if not asked.answer.done():
                    asked.answer.set_exception(error)
            _log.error("the writer ends: %s", error)
            return False
        return True

    def _commit(self, group: list[Asked]) -> None:
        """Let in who may come in, carry it out in one commit, and tell everybody once it is durable."""
        # whoever gave up before its turn is left out; from here on nobody can
        group = [asked for asked in group if asked.answer.set_running_or_notify_cancel()]
        at = self.clock()
        self._nonces.forget(at.unix_timestamp)
        let_in: list[Asked] = []
        known = set(self.venue.journal.by_key({a.idempotency_key for a in group if a.idempotency_key is not None}))
        for asked in group:
            try:
                self._admit(asked, known, at)
                let_in.append(asked)
                if asked.idempotency_key is not None:
                    known.add(asked.idempotency_key)
            except SettlementError as error:
                request = Request(asked.instruction, asked.signer, at, asked.idempotency_key)
                asked.answer.set_result(refused_at_the_door(request, error))
        requests = [
            Request(a.instruction, a.signer, at, a.idempotency_key, b"" if a.proof is None else a.proof.packed())
            for a in let_in
        ]
        before = self.venue.sequence
        self._tell(let_in, self._apply(requests), before)

    def _apply(self, requests: list[Request]) -> list[Receipt | Exception]:
        """The receipt of each request; or the fault of the software that it met, which stops none of the others."""
        outcomes: list[Receipt | Exception] = []
        while len(outcomes) < len(requests):
            receipts: list[Receipt] = []
            try:
                self.venue.apply_many(requests[len(outcomes) :], receipts)
                outcomes += receipts
            except LedgerError:
                raise
            except Exception as fault:
                outcomes += receipts
                if len(outcomes) < len(requests):
                    outcomes.append(fault)
                _log.error("a fault of the software at request %d of a group", len(outcomes), exc_info=fault)
        return outcomes

    def _admit(self, asked: Asked, known: set[str], at: Clock) -> None:
        """A repeated request passes, for its first receipt; any other must bring a proof that was not used."""
        if asked.proof is None or asked.idempotency_key in known:
            return
        self._nonces.check(asked.signer, asked.proof, at.unix_timestamp)
        self._nonces.add(asked.signer, asked.proof)

    def _tell(self, group: list[Asked], outcomes: list[Receipt | Exception], before: int) -> None:
        self.groups += 1
        new: list[Receipt] = []
        for outcome in outcomes:
            # what was asked twice in one group has the first one's receipt twice
            if isinstance(outcome, Receipt) and outcome.sequence > before:
                new.append(outcome)
                before = outcome.sequence
        self.written += len(new)
        for listener in self._listeners:
            listener(new)
        for asked, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Receipt):
                asked.answer.set_result(outcome)
            else:
                asked.answer.set_exception(outcome)

    def _turn_away(self) -> None:
        """Answer whoever still waits once the writer has ended."""
        while True:
            try:
                asked = self._queue.get_nowait()
            except queue.Empty:
                return
            if asked is not None and asked.answer.set_running_or_notify_cancel():
                asked.answer.set_exception(self.failed or RuntimeError("the service is stopping"))
