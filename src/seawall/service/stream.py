"""Server-sent events of receipts: everything from a sequence number on, then what comes, in order and without a gap.

A client is nothing but a position in the journal. Whoever reads slowly holds up nobody and costs no memory: it reads on
from its position when it is ready, from the journal if what it wants is not among the latest any more.
"""

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Callable
from itertools import islice
from typing import Final

import msgspec
from starlette.concurrency import run_in_threadpool

from seawall.engine.receipts import Receipt, decode_receipt
from seawall.ledger.journal import Entry
from seawall.service.metrics import Metrics
from seawall.service.problems import Problem, ServiceError
from seawall.service.runtime import Service
from seawall.service.shapes import receipt_data
from seawall.service.units import Units
from seawall.service.views import accounts_of

HEARTBEAT: Final = 15.0
"""Seconds after which a comment is sent, so that a dead connection is noticed."""

LATEST: Final = 2_000
"""Receipts that are kept as events for whoever follows closely."""

PAGE: Final = 1_000
RETRY: Final = b"retry: 1000\n\n"

Accept = Callable[[Entry, Receipt], bool]


class Stream:
    """The event stream of one service, used on one event loop."""

    def __init__(self, service: Service, metrics: Metrics) -> None:
        self._service = service
        self._metrics = metrics
        self._latest: deque[tuple[int, bytes]] = deque(maxlen=LATEST)
        self._loop: asyncio.AbstractEventLoop | None = None
        self._waiting: set[asyncio.Event] = set()
        self._open = 0
        service.listen(self._told)

    def start(self) -> None:
        """Begin to wake clients; called on the event loop."""
        self._loop = asyncio.get_running_loop()

    def stop(self) -> None:
        """End every stream."""
        loop, self._loop = self._loop, None
        if loop is not None:
            self._wake()

    def _told(self, receipts: list[Receipt]) -> None:
        """From the writer's thread: new receipts are durable."""
        loop = self._loop
        if loop is not None:
            try:
                loop.call_soon_threadsafe(self._add, receipts)
            except RuntimeError:
                # the loop has ended: so have its streams
                self._loop = None

    def _add(self, receipts: list[Receipt]) -> None:
        """On the event loop: keep the events, if somebody is there to get them, and wake everybody."""
        if self._open and receipts:
            units = Units.of(self._service.venue.store)
            if self._latest and self._latest[-1][0] + 1 != receipts[0].sequence:
                self._latest.clear()
            self._latest.extend((receipt.sequence, event(receipt, units)) for receipt in receipts)
        self._wake()

    def _wake(self) -> None:
        for waiting in self._waiting:
            waiting.set()

    def admit(self) -> None:
        """``TooManyStreams`` where no more clients are admitted."""
        most = self._service.settings.limits.streams
        if self._open >= most:
            raise Problem(ServiceError.TooManyStreams, f"{most} clients follow the stream", "the same a little later")

    async def events(self, after: int, accept: Accept | None, wait: bool) -> AsyncIterator[bytes]:
        """The events after a sequence number; without ``wait`` the stream ends with what there is now."""
        news = asyncio.Event()
        self._waiting.add(news)
        self._open += 1
        self._metrics.streams.inc()
        try:
            yield RETRY
            end = self._service.venue.tip.sequence if not wait else None
            while True:
                news.clear()
                tip = self._service.venue.tip.sequence
                while after < tip and not self._service.stopping.is_set():
                    after, data = await self._page(after, tip, accept)
                    yield data
                if end is not None or self._loop is None or self._service.stopping.is_set():
                    return
                try:
                    async with asyncio.timeout(HEARTBEAT):
                        await news.wait()
                except TimeoutError:
                    yield b": still here\n\n"
        finally:
            self._waiting.discard(news)
            self._open -= 1
            self._metrics.streams.dec()

    async def _page(self, after: int, tip: int, accept: Accept | None) -> tuple[int, bytes]:
        """The next events, and the position after them."""
        if accept is None:
            latest = self._latest
            if latest and latest[0][0] <= after + 1 <= latest[-1][0]:
                page = list(islice(latest, after + 1 - latest[0][0], after + 1 - latest[0][0] + PAGE))
                if page and page[0][0] == after + 1:
                    return page[-1][0], b"".join(data for _, data in page)
        return await run_in_threadpool(self._read, after, tip, accept)

    def _read(self, after: int, tip: int, accept: Accept | None) -> tuple[int, bytes]:
        venue = self._service.venue
        units = Units.of(venue.store)
        parts = []
        for entry in islice(venue.journal.entries(after), min(PAGE, tip - after)):
            after = entry.sequence
            receipt = decode_receipt(entry.outcome)
            if accept is None or accept(entry, receipt):
                parts.append(event(receipt, units))
        # a page in which nothing is told still tells how far it went
        return after, b"".join(parts) or f": {after}\n\n".encode()


def event(receipt: Receipt, units: Units) -> bytes:
    """A receipt as a server-sent event; its id is its sequence number."""
    data = msgspec.json.encode(receipt_data(receipt, units))
    return b"id: %d\nevent: receipt\ndata: %s\n\n" % (receipt.sequence, data)


def about(account: str) -> Accept:
    """Lets pass what names or moves a user account (canonical, as ``views.canonical_account`` writes it)."""
    return lambda entry, receipt: account in accounts_of(entry, receipt)


def of(ix: str) -> Accept:
    """Lets pass one kind of instruction."""
    return lambda _, receipt: receipt.ix == ix


def both(first: Accept | None, second: Accept | None) -> Accept | None:
    """What both let pass; None lets everything pass."""
    if first is None or second is None:
        return first or second
    return lambda entry, receipt: first(entry, receipt) and second(entry, receipt)
