"""What all pages of one service share: questions to the venue, asked off the event loop, each once a sequence number.

A question holds the venue's lock while it copies what it needs, and the writer waits meanwhile. So one question is in
flight at a time, everybody who looks at the same page gets the same answer, and a page comes back the sooner the less
its last question cost (``pause_after``).
"""

import asyncio
import time
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Final, Literal, NamedTuple, TypeVar

from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.ledger.journal import Tip
from seawall.service.runtime import NotReady, Service

A = TypeVar("A")

OLD: Final = 86_400
"""Seconds after which the last instruction counts as old: figures are then shown as of it, not as of now."""

FRESH: Final = 10
"""Seconds for which an answer holds although time passes."""

KEPT: Final = 256
"""Answers that are kept."""

SHARE: Final = 0.05
"""Part of the time that one page's questions may take of the venue."""

Reading = Literal["now", "last"]
"""By which clock figures are computed: the present time, or the time of the last instruction."""


class Version(NamedTuple):
    """What a page was rendered from; another version means that there is something new."""

    state: str
    sequence: int
    indexed: int


class Standing(NamedTuple):
    """Where the venue stands: as the head of every page tells it."""

    name: str
    rulebook: str
    sequence: int
    last_at: int
    now: int
    empty: bool


class Desk:
    """The dashboard's way to one service."""

    def __init__(self, service: Service) -> None:
        self.service = service
        self._threads = ThreadPoolExecutor(2, thread_name_prefix="seawall-dashboard")
        self._answers: dict[Hashable, asyncio.Future[Any]] = {}
        self._costs: dict[Hashable, float] = {}

    def close(self) -> None:
        """Let the threads go."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    # --- where the venue stands -------------------------------------------------------------------------------

    @property
    def dev(self) -> bool:
        """Whether unsigned requests are taken."""
        return self.service.settings.dev

    def trouble(self) -> str:
        """Why there is nothing to show, or empty."""
        try:
            _ = self.service.venue, self.service.views
        except NotReady as error:
            return str(error)
        return ""

    def version(self) -> Version:
        """What there is to show now; cheap, takes no lock."""
        service = self.service
        if self.trouble():
            return Version(service.state, -1, -1)
        return Version(service.state, service.venue.tip.sequence, service.views.sequence)

    def clock(self, tip: Tip, reading: Reading) -> Clock:
        """The clock that figures are computed by."""
        if reading == "last" and tip.sequence:
            return Clock(tip.unix_timestamp, tip.slot)
        return self.service.time_at(tip)

    def usual_reading(self) -> Reading:
        """The last instruction's time where that is long ago: by then every price is stale and nothing computes."""
        tip = self.service.venue.tip
        return "last" if tip.sequence and self.service.time_at(tip).unix_timestamp - tip.unix_timestamp > OLD else "now"

    async def standing(self) -> Standing:
        """Where the venue stands."""
        return await self.ask("standing", "now", _standing)

    # --- asking -----------------------------------------------------------------------------------------------

    async def ask(self, key: Hashable, reading: Reading, question: Callable[[Store, Clock, Tip], A]) -> A:
        """The answer to a question about the durable state; ``key`` names the question with all that it depends on."""
        service = self.service
        tip = service.venue.tip
        bucket = service.time_at(tip).unix_timestamp // FRESH if reading == "now" else 0

        def answer() -> A:
            return service.look(lambda store, tip: question(store, self.clock(tip, reading), tip))

        return await self._once((key, reading, tip.sequence, bucket), key, answer)

    async def index(self, key: Hashable, question: Callable[[], A]) -> A:
        """The answer of the index (``service.views``) or of the journal; asked once for what is indexed now."""
        return await self._once((key, "index", self.service.views.sequence), key, question)

    async def run(self, work: Callable[[], A]) -> A:
        """Something that must be done each time, off the event loop."""
        return await asyncio.get_running_loop().run_in_executor(self._threads, work)

    async def _once(self, at: Hashable, key: Hashable, question: Callable[[], A]) -> A:
        found = self._answers.get(at)
        loop = asyncio.get_running_loop()
        if found is None or found.get_loop() is not loop or (found.done() and _failed(found)):
            while len(self._answers) >= KEPT:
                del self._answers[next(iter(self._answers))]
            found = self._answers[at] = loop.run_in_executor(self._threads, self._timed, key, question)
        answer: A = await asyncio.shield(found)
        return answer

    def _timed(self, key: Hashable, question: Callable[[], A]) -> A:
        started = time.monotonic()
        try:
            return question()
        finally:
            if len(self._costs) >= KEPT:
                self._costs.clear()
            self._costs[key] = time.monotonic() - started

    def pause_after(self, started: float) -> float:
        """Seconds until a page whose questions began at ``started`` (monotonic) may ask again."""
        return max(1.0, (time.monotonic() - started) / SHARE)


def _failed(future: "asyncio.Future[Any]") -> bool:
    return future.cancelled() or future.exception() is not None


def _standing(store: Store, clock: Clock, tip: Tip) -> Standing:
    now = clock.unix_timestamp
    if not store.config.objects:
        return Standing("", "", tip.sequence, now, now, True)
    config = store.config.objects[0]
    return Standing(config.name, config.rulebook, tip.sequence, tip.unix_timestamp, now, False)
