"""A running service: the venue, its one writer, the index behind it, and their threads.

``app.create_app`` puts HTTP in front of it, the dashboard and the keeper work on it directly. ``start`` opens the venue
(which verifies and recovers it) in a thread of its own, so that a health check is answered meanwhile; only when the
venue is open and the writer runs is the service ready.

A standby (``Settings.standby``) first serves reads of a venue that another process writes, and becomes the writer when
that one is gone: ``standby.follow`` does the waiting.
"""

import logging
import threading
import time
from collections.abc import Callable
from concurrent.futures import Future
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final, Literal, Protocol, Self, TypeVar

from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.engine.venue import Venue
from seawall.instructions.base import Instruction
from seawall.ledger.journal import Tip
from seawall.ledger.location import is_postgres
from seawall.service.settings import Settings
from seawall.service.views import Views
from seawall.service.writer import Writer
from seawall.signing import Proof

if TYPE_CHECKING:
    from seawall.keeper.status import KeeperStatus

_log = logging.getLogger("seawall.service")
_Answer = TypeVar("_Answer")

State = Literal["starting", "following", "ready", "failed", "stopped"]
VIEWS_WAIT: Final = 1.0
"""Seconds after which the index looks at the journal again although nobody told it to."""


class NotReady(Exception):
    """The venue is not open (yet, or any more), or another process writes it; the message says which."""


class Keeping(Protocol):
    """A keeper that runs in this process."""

    def status(self) -> "KeeperStatus":
        """What it did, skipped and will do."""
        ...

    def stop(self) -> None:
        """End it; returns when it has ended."""
        ...


class Service:
    """Everything that one process runs for a venue. ``start`` it before, ``stop`` it after; or use it with ``with``."""

    def __init__(self, settings: Settings, now: Callable[[], int] = lambda: int(time.time())) -> None:
        self.settings = settings
        self.started_at = time.time()
        self.state: State = "starting"
        self.failure: BaseException | None = None
        """What keeps the service from running, where ``state`` is ``failed``."""
        self.stopping = threading.Event()
        self.keeping: Keeping | None = None
        self._now = now
        self._venue: Venue | None = None
        self._writer: Writer | None = None
        self._views: Views | None = None
        self._opened = threading.Event()
        self._news = threading.Event()
        self._listeners: list[Callable[[list[Receipt]], None]] = []
        self._opener: threading.Thread | None = None
        self._indexer: threading.Thread | None = None

    @classmethod
    def over(cls, venue: Venue, settings: Settings, now: Callable[[], int] = lambda: int(time.time())) -> Self:
        """A service over a venue that is open already; ``stop`` closes it."""
        service = cls(settings, now)
        service._venue = venue
        return service

    # --- starting and stopping --------------------------------------------------------------------------------

    def start(self, wait: bool = True) -> None:
        """Open the venue and begin to serve. With ``wait``: return when reads are served, or raise what failed."""
        self._opener = threading.Thread(target=self._open, name="seawall-open", daemon=True)
        self._opener.start()
        if wait:
            self._opened.wait()
            if self.failure is not None:
                self._opener.join()
                raise self.failure

    def _open(self) -> None:
        try:
            self._open_venue()
            if self.settings.standby:
                from seawall.service.standby import follow

                self.state = "following"
                self._opened.set()
                if not follow(self):
                    return
            self._begin_writing()
        except BaseException as error:
            _log.error("the venue cannot be served: %s", error)
            self.failure = error
            self.state = "failed"
        finally:
            self._opened.set()

    def _open_venue(self) -> None:
        settings = self.settings
        if self._venue is None:
            settings.computed.parent.mkdir(parents=True, exist_ok=True)
            snapshots = settings.snapshots if is_postgres(settings.location) else None
            self._venue = Venue.open(settings.location, read_only=settings.standby, snapshots=snapshots)
        in_memory = self._venue.journal.name == "the journal in memory"
        index = settings.computed.with_name(f"{settings.computed.name}-index")
        self._views = Views(self._venue.journal, None if in_memory else index)
        self._indexer = threading.Thread(target=self._index, name="seawall-index", daemon=True)
        self._indexer.start()

    def _begin_writing(self) -> None:
        """Start the writer of a venue that is open for writing, then the keeper if one is wanted."""
        writer = Writer(self.venue, self._now)
        writer.listen(self._tell)
        writer.start()
        self._writer = writer
        self.state = "ready"
        self._opened.set()
        if self.settings.keeper and not self.stopping.is_set():
            from seawall.service.keeping import start_keeper

            self.keeping = start_keeper(self)

    def stop(self) -> None:
        """Carry out what waits, then close everything."""
        self.stopping.set()
        self._news.set()
        if self._opener is not None:
            self._opener.join()
        if self.keeping is not None:
            self.keeping.stop()
        if self._writer is not None:
            self._writer.stop()
        if self._indexer is not None:
            self._indexer.join()
        if self._views is not None:
            self._views.close()
        if self._venue is not None:
            self._venue.close()
        self.state = "stopped"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    # --- what it has ------------------------------------------------------------------------------------------

    @property
    def ready(self) -> bool:
        """Whether instructions are taken: the venue is open, verified, and written by this process."""
        return self.state == "ready" and self._writer is not None and self._writer.failed is None

    @property
    def venue(self) -> Venue:
        """The venue, for looking; ``NotReady`` before it is open."""
        if self._venue is None or self._views is None:
            raise NotReady(self.why_not())
        return self._venue

    @property
    def views(self) -> Views:
        """The index; it may be some entries behind (``views.sequence``). ``NotReady`` before the venue is open."""
        if self._views is None:
            raise NotReady(self.why_not())
        return self._views

    @property
    def writer(self) -> Writer:
        """The writer; ``NotReady`` before the venue is open, and while this process follows another one's."""
        if self._writer is None:
            raise NotReady(self.why_not())
        return self._writer

    @property
    def started(self) -> bool:
        """Whether ``start`` was called."""
        return self._opener is not None

    def stopped_because(self) -> str | None:
        """Why this process cannot go on with the venue and must be started again; None while it can."""
        if self.failure is not None:
            return str(self.failure)
        failed = None if self._writer is None else self._writer.failed
        return None if failed is None else str(failed)

    def why_not(self) -> str:
        """Why instructions are not taken."""
        if self.failure is not None:
            return f"the venue could not be opened: {self.failure}"
        if self.state == "following":
            return "this process follows the venue, another one writes it"
        return "the venue is being opened and verified" if self.state == "starting" else "the service is stopping"

    @property
    def keeper(self) -> "KeeperStatus | None":
        """What the keeper of this process did, skipped and will do; None without one."""
        return None if self.keeping is None else self.keeping.status()

    def clock(self) -> Clock:
        """The time that an instruction would get now."""
        return self.time_at(self.venue.tip)

    def time_at(self, tip: Tip) -> Clock:
        """The present time as the venue whose journal ends with ``tip`` counts it: never before its last entry's."""
        usual = Clock.at(self._now())
        return Clock(max(usual.unix_timestamp, tip.unix_timestamp), max(usual.slot, tip.slot))

    # --- what it does -----------------------------------------------------------------------------------------

    def look(self, question: Callable[[Store, Tip], _Answer]) -> _Answer:
        """Ask something of the durable state while nothing changes it."""
        return self.venue.look(question)

    def dry_run(self, instruction: Instruction, signer: str) -> Receipt:
        """The receipt that ``submit`` would get now. Changes nothing."""
        return self.venue.dry_run(instruction, signer, self.clock())

    def submit(
        self, instruction: Instruction, signer: str, proof: Proof | None = None, idempotency_key: str | None = None
    ) -> "Future[Receipt]":
        """Queue an instruction whose signature was checked (``admission.check_signature``); the future of its receipt.

        ``NotReady``, ``VenueBusy``. Without a proof it is the service's own doing, or development mode's.
        """
        return self.writer.submit(instruction, signer, proof, idempotency_key)

    def listen(self, listener: Callable[[list[Receipt]], None]) -> None:
        """Tell ``listener`` the receipts of every group once they are durable; it must return at once.

        An empty list says that another process wrote: what is new stands in the journal.
        """
        self._listeners.append(listener)

    def noticed(self) -> None:
        """Called by a follower after it has caught up with another process's writing."""
        self._tell([])

    def _tell(self, receipts: list[Receipt]) -> None:
        self._news.set()
        for listener in self._listeners:
            try:
                listener(receipts)
            except Exception:
                _log.exception("a listener failed; the writer goes on")

    # --- the index --------------------------------------------------------------------------------------------

    def _index(self) -> None:
        """The index's thread: follows the durable journal until the service stops."""
        assert self._venue is not None and self._views is not None
        while not self.stopping.is_set():
            self._news.clear()
            try:
                self._views.catch_up(self._venue.tip.sequence, self.stopping.is_set)
            except Exception:
                _log.exception("the index could not follow the journal; it is tried again")
            self._news.wait(VIEWS_WAIT)

    def indexed(self, sequence: int, timeout: float = 10.0) -> bool:
        """Wait until the index covers an instruction; whether it does."""
        until = time.monotonic() + timeout
        while self.views.sequence < sequence:
            if time.monotonic() >= until or self.stopping.is_set():
                return False
            time.sleep(0.005)
        return True


def describe(service: Service) -> dict[str, Any]:
    """What a health check and the log say of a service."""
    venue = service._venue
    return {
        "state": service.state,
        "ready": service.ready,
        "sequence": None if venue is None else venue.tip.sequence,
        "indexed": None if service._views is None else service._views.sequence,
        "failure": None if service.failure is None else str(service.failure),
    }
