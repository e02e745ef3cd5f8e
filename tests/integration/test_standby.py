"""Kill the process that writes a venue, under load, fifty times and more: a standby takes over, and nothing
acknowledged is lost or happens twice.

Everything is real: ``seawall serve`` processes, SIGKILL, a PostgreSQL server (or one SQLite file), clients that sign
what they ask for over HTTP and repeat under its ``Idempotency-Key`` whatever nobody answered.
"""

import os
import random
import signal
import threading
import time
from collections.abc import Callable, Iterator

import httpx
import pytest
from support.forks import Command, Forks, services
from support.load import START, genesis
from support.service import key_of, secret_of
from support.stores import Place, crash, statement

from seawall import Clock, Receipt, Request, Venue
from seawall.audit.replay import replay_venue
from seawall.engine.receipts import decode_receipt
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.venue_setup import InitializeUser
from seawall.service.client import Client, ServiceProblem

KILLS = {"sqlite": 6, "postgres": 10}
"""Of one venue."""

VENUES = {"sqlite": 1, "postgres": 5}
CLIENTS = 5
STANDBYS = 2
PATIENCE = 60.0
"""Seconds after which a test gives up waiting for something."""


class Trader(threading.Thread):
    """A client with a key: asks for one thing after the other, each until it is answered, wherever it gets an answer.

    Now and then it asks again for something from before, under the key that it had.
    """

    def __init__(self, fleet: "Fleet", number: int) -> None:
        super().__init__(daemon=True)
        self.fleet = fleet
        self.label = f"@trader-{number}"
        self.user = f"{key_of(self.label)}/0"
        self.receipts: dict[str, Receipt] = {}
        self.repeated = 0
        self.unanswered = 0
        self.failure: BaseException | None = None
        self._rng = random.Random(number)
        self._clients: dict[str, Client] = {}

    def run(self) -> None:
        try:
            for number in range(1 << 30):
                if self.fleet.done.is_set():
                    return
                asked = self._rng.randint(0, number) if self._rng.random() < 0.05 else number
                self._ask(f"{self.label}-{asked}", asked)
        except BaseException as error:
            self.failure = error
            self.fleet.done.set()
        finally:
            for client in self._clients.values():
                client.close()

    def instruction(self, number: int) -> Instruction:
        """What is asked under a number: always the same. Some of it is refused."""
        kind = number % 5
        if kind < 3:
            return Deposit(user=self.user, market_index=0, amount=1_000_000 + number)
        if kind == 3:
            return SettlePnl(user=self.user, market_index=0)
        return Withdraw(user=self.user, market_index=0, amount=1 + number if number % 10 < 5 else 1 << 60)

    def _ask(self, key: str, number: int) -> None:
        until = time.monotonic() + PATIENCE
        while True:
            for process in self.fleet.in_turn():
                if self.fleet.done.is_set():
                    return
                receipt = self._answer(process, key, self.instruction(number))
                if receipt is not None:
                    if key in self.receipts:
                        self.repeated += 1
                        assert receipt == self.receipts[key]
                    self.receipts[key] = receipt
                    self.fleet.answered(process)
                    return
            assert time.monotonic() < until, "nobody answers"
            time.sleep(0.002)

    def _answer(self, process: Command, key: str, instruction: Instruction) -> Receipt | None:
        url = process.url
        if url is None or not process.alive:
            return None
        if url not in self._clients:
            self._clients[url] = Client(url, secret_of(self.label), timeout=20)
        try:
            return self._clients[url].submit(instruction, key)
        except httpx.TransportError:
            # killed with the request on its way: nobody knows whether it was carried out
            self.unanswered += 1
            return None
        except ServiceProblem as problem:
            assert problem.error in ("VenueNotReady", "VenueStopped"), problem
            return None


class Fleet:
    """The processes that serve one venue, one of them writing."""

    def __init__(self, forks: Forks, place: Place) -> None:
        self.forks = forks
        self.place = place
        self.processes: list[Command] = []
        self.done = threading.Event()
        self.writer: Command | None = None
        """Who answered last."""
        self.answers = 0
        self._started = 0
        self._lock = threading.Lock()

    def start(self, *options: str) -> Command:
        """One more process."""
        self._started += 1
        directory = self.place.beside.parent
        where = ["--db", self.place.location] if self.place.kind == "postgres" else [self.place.location]
        process = self.forks.start(
            directory / f"serve-{self._started}.log", "serve", *where, "--port", "0", "--data", str(directory / "data"),
            "--rate", "1000000", "--burst", "1000000", "--no-dashboard", "--log", "json", *options,
        )  # fmt: skip
        self.processes.append(process)
        return process

    def in_turn(self) -> list[Command]:
        """The processes, the one that answered last first."""
        with self._lock:
            return sorted(self.processes, key=lambda process: process is not self.writer)

    def answered(self, process: Command) -> None:
        """A client got a receipt."""
        with self._lock:
            self.writer = process
            self.answers += 1

    def wait_for_answers(self, count: int) -> None:
        """Wait until clients got so many more receipts."""
        until, goal = time.monotonic() + PATIENCE, self.answers + count
        while self.answers < goal:
            assert not self.done.is_set(), "a client failed"
            assert time.monotonic() < until, "\n".join(p.log.read_text()[-2_000:] for p in self.processes)
            time.sleep(0.001)

    def kill_the_writer(self) -> float:
        """SIGKILL to whoever writes; the seconds until a standby acknowledges something."""
        with self._lock:
            writer = self.writer
            assert writer is not None
            self.processes.remove(writer)
            self.writer = None
        started = time.monotonic()
        os.kill(writer.pid, signal.SIGKILL)
        while self.writer is None or self.writer is writer:
            assert not self.done.is_set(), "a client failed"
            assert time.monotonic() < started + PATIENCE, "\n".join(p.log.read_text()[-2_000:] for p in self.processes)
            time.sleep(0.001)
        return time.monotonic() - started


def set_up(place: Place) -> None:
    """A venue with accounts for the traders."""
    with place.open() as venue:
        asked = [
            *genesis(),
            *((InitializeUser(user=key_of(f"@trader-{n}")), key_of(f"@trader-{n}")) for n in range(CLIENTS)),
        ]
        assert all(r.ok for r in venue.apply_many(Request(ix, by, Clock.at(START)) for ix, by in asked))


def check(venue: Venue, traders: list[Trader]) -> None:
    """Every receipt that a client got is in the journal, once and as it was told; nothing is there twice."""
    entries = list(venue.journal.entries())
    keys = [entry.idempotency_key for entry in entries if entry.idempotency_key is not None]
    assert len(keys) == len(set(keys))
    assert all((entry.idempotency_key is None) == (entry.signature == b"") for entry in entries)
    for trader in traders:
        for key, receipt in trader.receipts.items():
            entry = venue.journal.entry(receipt.sequence)
            assert entry is not None, f"acknowledged and gone: {key}"
            assert entry.idempotency_key == key
            assert decode_receipt(entry.outcome) == receipt


@pytest.fixture(scope="module")
def forks() -> Iterator[Forks]:
    with services() as started:
        yield started


CASES = [(kind, number) for kind, count in VENUES.items() for number in range(count)]


@pytest.mark.parametrize(("place", "number"), CASES, indirect=["place"], ids=[f"{kind}-{n}" for kind, n in CASES])
def test_the_writer_is_killed_under_load(place: Place, number: int, forks: Forks) -> None:
    """Each time a standby takes over: what was acknowledged is there, exactly once; the audit finds nothing."""
    set_up(place)
    rng = random.Random(number)
    fleet = Fleet(forks, place)
    fleet.start().wait_for("ready")
    standbys = [fleet.start("--standby") for _ in range(STANDBYS)]
    traders = [Trader(fleet, n) for n in range(CLIENTS)]
    try:
        for standby in standbys:
            standby.wait_for("following")
        for trader in traders:
            trader.start()
        pauses = []
        for _ in range(KILLS[place.kind]):
            fleet.wait_for_answers(rng.randint(1, 150))
            pauses.append(fleet.kill_the_writer())
            fleet.start("--standby")
        fleet.wait_for_answers(50)
    finally:
        fleet.done.set()
        for trader in traders:
            if trader.ident is not None:
                trader.join(PATIENCE)
    assert [trader.failure for trader in traders] == [None] * CLIENTS
    for process in fleet.processes:
        process.kill(signal.SIGTERM)
    with place.open(read_only=True) as venue:
        check(venue, traders)
        root, signed = venue.root(), venue.sequence
    replayed = replay_venue(place.location, snapshots=place.beside)
    assert (replayed.root, replayed.findings) == (root, [])
    assert 0 < replayed.signed < signed
    assert sum(trader.repeated for trader in traders) > 0
    assert sum(trader.unanswered for trader in traders) > 0, "no request was under way at any kill"
    print(f"\n{place.kind}: {signed} instructions, takeovers of {min(pauses):.3f} to {max(pauses):.3f} s")


def test_at_least_fifty_kills() -> None:
    """The numbers above amount to what is promised."""
    assert KILLS["postgres"] * VENUES["postgres"] >= 50


# --- what a standby does otherwise -----------------------------------------------------------------------------


@pytest.fixture
def fleet(place: Place, forks: Forks) -> Iterator[Fleet]:
    """A writer and a standby."""
    set_up(place)
    started = Fleet(forks, place)
    started.start().wait_for("ready")
    started.start("--standby").wait_for("following")
    yield started
    for process in started.processes:
        process.kill()


def client_of(process: Command) -> Client:
    assert process.url is not None
    return Client(process.url, secret_of("@trader-0"), timeout=20)


DEPOSIT = Deposit(user=f"{key_of('@trader-0')}/0", market_index=0, amount=7)


def soon(question: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + PATIENCE
    while not question():
        assert time.monotonic() < until, what
        time.sleep(0.005)


def test_a_standby_answers_reads_and_turns_writes_away(fleet: Fleet) -> None:
    writer, standby = fleet.processes
    with client_of(writer) as live, client_of(standby) as following:
        receipt = live.submit(DEPOSIT, "a")
        soon(lambda: following.venue()["sequence"] == str(receipt.sequence), "it does not follow")
        assert following.receipt(receipt.sequence) == receipt
        assert following.venue() == {**live.venue(), "state": "following", "now": following.venue()["now"]}
        assert following.dry_run(DEPOSIT).ok
        assert following.get("/healthz")["state"] == "following"
        for attempt in (lambda: following.submit(DEPOSIT, "b"), lambda: following.get("/readyz")):
            with pytest.raises(ServiceProblem, match="another one writes it") as caught:
                attempt()
            assert caught.value.busy
        assert live.submit(DEPOSIT, "b").sequence == receipt.sequence + 1


def test_a_stream_goes_on_at_the_standby(fleet: Fleet) -> None:
    """A client that followed the writer's receipts goes on with the standby's: no gap, no repetition."""
    writer, standby = fleet.processes
    with client_of(writer) as live, client_of(standby) as following, client_of(standby) as other:
        first = live.submit(DEPOSIT, "a").sequence
        seen = [next(live.stream(first - 1)).sequence]
        fleet.writer = writer
        writer.kill()
        stream = following.stream(first)
        standby.wait_for("ready")
        told = [other.submit(DEPOSIT, f"b-{n}").sequence for n in range(5)]
        seen += [next(stream).sequence for _ in told]
        assert seen == [first, *told] == list(range(first, first + 6))


def test_a_writer_that_stops_in_order_is_followed(fleet: Fleet) -> None:
    writer, standby = fleet.processes
    with client_of(writer) as live:
        receipt = live.submit(DEPOSIT, "a")
    writer.kill(signal.SIGTERM)
    standby.wait_for("ready")
    with client_of(standby) as live:
        assert live.submit(DEPOSIT, "a") == receipt


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_a_writer_that_was_frozen_writes_no_more(fleet: Fleet) -> None:
    """Its session ends while it cannot notice (a machine that was suspended, a network that broke). The standby takes
    over; woken up, the old writer acknowledges nothing, says why and ends."""
    writer, standby = fleet.processes
    with client_of(writer) as live:
        live.submit(DEPOSIT, "a")
    os.kill(writer.pid, signal.SIGSTOP)
    answers: list[object] = []

    def ask() -> None:
        try:
            answers.append(client_of(writer).submit(DEPOSIT, "b"))
        except (ServiceProblem, httpx.TransportError) as error:
            answers.append(error)

    asked = threading.Thread(target=ask)
    asked.start()
    ended = statement(
        fleet.place,
        "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE application_name LIKE %s",
        f"%pid {writer.pid} %",
    )
    assert len(ended) == 2
    standby.wait_for("ready")
    os.kill(writer.pid, signal.SIGCONT)
    asked.join(PATIENCE)
    assert len(answers) == 1 and isinstance(answers[0], Exception)
    soon(lambda: not writer.alive, "it goes on")
    assert "open the venue again" in writer.log.read_text()
    with client_of(standby) as live:
        first = live.submit(DEPOSIT, "b")
        assert first == live.submit(DEPOSIT, "b")
    fleet.processes.remove(writer)


@pytest.mark.parametrize("place", ["postgres"], indirect=True)
def test_the_server_crashes(fleet: Fleet) -> None:
    """Both processes lose it. The writer ends, for it cannot know what became of its last commit; the standby waits
    until the server is back, and becomes the writer. What was acknowledged before the crash is there."""
    writer, standby = fleet.processes
    with client_of(writer) as live:
        receipts = [live.submit(DEPOSIT, f"a-{n}") for n in range(20)]
    crash(fleet.place)
    soon(lambda: not writer.alive, "it goes on")
    standby.wait_for("ready")
    with client_of(standby) as live:
        assert [live.submit(DEPOSIT, f"a-{n}") for n in range(20)] == receipts
        assert live.submit(DEPOSIT, "b").sequence == receipts[-1].sequence + 1
    fleet.processes.remove(writer)
