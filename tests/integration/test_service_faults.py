"""What goes wrong around a service: a full disk, a clock that goes backwards, clients that go away or do not read."""

import os
import resource
import signal
import socket
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import pytest
from support.forks import services
from support.load import START, accounts, genesis, traffic
from support.service import Running, key_of, secret_of, serving, with_keys

from seawall import Clock, Receipt, Request, Venue
from seawall.audit.replay import replay_venue
from seawall.engine.receipts import decode_receipt
from seawall.instructions.deposits import Deposit
from seawall.service.client import Client, ServiceProblem, signed_body
from seawall.service.settings import Limits, Settings
from seawall.service.views import Views

USERS = 4
DEPOSIT = Deposit(user=f"{key_of('@u0')}/0", market_index=0, amount=7)
FREE = Limits(rate=10**9, burst=10**9)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A venue in a file."""
    path = tmp_path / "venue.db"
    asked = [Request(ix, by, Clock.at(START)) for ix, by in [*genesis(), *accounts(USERS)]]
    with Venue.open(path) as venue:
        assert all(receipt.ok for receipt in venue.apply_many(with_keys(asked)))
    return path


@pytest.fixture
def running(path: Path) -> Iterator[Running]:
    """A service over it."""
    with serving(Settings(location=str(path), dashboard=False, limits=FREE)) as service:
        yield service


def client(url: str) -> Client:
    return Client(url, secret_of("@u0"), timeout=20)


def soon(question: Callable[[], bool], what: str) -> None:
    until = time.monotonic() + 30
    while not question():
        assert time.monotonic() < until, what
        time.sleep(0.005)


# --- a full disk -----------------------------------------------------------------------------------------------


def test_a_full_disk_stops_the_service_and_loses_nothing(path: Path) -> None:
    """The operating system lets no file grow any more. The service says so, acknowledges nothing more and ends; with
    room again it comes back with everything that it acknowledged, and each repeated request happened once."""
    command = ("serve", str(path), "--port", "0", "--no-dashboard", "--rate", "1000000", "--burst", "1000000")
    receipts: dict[str, Receipt] = {}
    with services() as forks:
        first = forks.start(path.parent / "first.log", *command)
        first.wait_for("ready")
        assert first.url is not None
        with client(first.url) as asking:
            for number in range(5):
                receipts[f"key-{number}"] = asking.submit(DEPOSIT, f"key-{number}")
            log = Path(f"{path}-wal").stat().st_size
            resource.prlimit(first.pid, resource.RLIMIT_FSIZE, (log + 100_000, resource.RLIM_INFINITY))
            with pytest.raises((ServiceProblem, httpx.TransportError)) as stopped:
                for number in range(5, 5_000):
                    receipts[f"key-{number}"] = asking.submit(DEPOSIT, f"key-{number}")
        if isinstance(stopped.value, ServiceProblem):
            assert stopped.value.error == "VenueStopped" and stopped.value.busy
        soon(lambda: not first.alive, "it goes on")
        assert "could not be written" in first.log.read_text() and len(receipts) > 5
        second = forks.start(path.parent / "second.log", *command)
        second.wait_for("ready")
        assert second.url is not None
        with client(second.url) as asking:
            unanswered = f"key-{len(receipts)}"
            receipts[unanswered] = asking.submit(DEPOSIT, unanswered)
            assert receipts[unanswered].ok
            assert all(asking.submit(DEPOSIT, key) == receipt for key, receipt in receipts.items())
        second.kill(signal.SIGTERM)
    with Venue.open(path, read_only=True) as venue:
        entries = [entry for entry in venue.journal.entries() if entry.idempotency_key is not None]
        assert {entry.idempotency_key: decode_receipt(entry.outcome) for entry in entries} == receipts
        assert len(entries) == len(receipts)
    assert replay_venue(path).findings == []


def test_an_index_that_was_full_counts_nothing_twice(path: Path) -> None:
    """What could not be written is written later, and the sums are those of an index that was never full."""
    with Venue.open(path) as venue:
        asked = [Request(*traffic(n, USERS), Clock.at(START + n), None) for n in range(3_000)]
        venue.apply_many(with_keys(asked))
        index, fresh = Views(venue.journal, path.with_name("index")), Views(venue.journal)
        index.catch_up(6)
        log = path.with_name("index-wal").stat().st_size
        limits = resource.getrlimit(resource.RLIMIT_FSIZE)
        resource.setrlimit(resource.RLIMIT_FSIZE, (log + 20_000, limits[1]))
        try:
            for _ in range(3):
                with pytest.raises(sqlite3.OperationalError, match=r"full|disk I/O"):
                    index.catch_up(venue.sequence)
        finally:
            resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        assert 0 < index.catch_up(venue.sequence) < venue.sequence
        fresh.catch_up(venue.sequence)
        assert index.flows(0, 0, 1 << 40) == fresh.flows(0, 0, 1 << 40) != []
        assert index.receipts(account=DEPOSIT.user, limit=10_000) == fresh.receipts(account=DEPOSIT.user, limit=10_000)
        index.close()
        fresh.close()


def test_two_processes_never_write_one_index(path: Path) -> None:
    """A standby on the same machine gets an index of its own; the next process takes over what is free."""
    with Venue.open(path) as venue:
        one, other = (Views(venue.journal, path.with_name("index")) for _ in range(2))
        for index in (one, other):
            index.catch_up(venue.sequence)
        assert one.receipts(limit=1_000) == other.receipts(limit=1_000)
        assert path.with_name("index-2").exists()
        one.close()
        third = Views(venue.journal, path.with_name("index"))
        assert third.sequence == venue.sequence
        third.close()
        other.close()


# --- a clock that goes backwards -------------------------------------------------------------------------------


def test_a_clock_that_goes_backwards_stops_the_venues_time_and_nothing_else(path: Path) -> None:
    """Back by a day in the middle of the work: instructions go on at the time of the last one, proofs that were used
    stay used, and a restart with the clock still wrong finds everything."""
    offset = 0

    def now() -> int:
        return int(time.time()) + offset

    settings = Settings(location=str(path), dashboard=False, limits=FREE)
    with serving(settings, now) as running, client(running.url) as asking:
        before = asking.submit(DEPOSIT, "before")
        body = signed_body(secret_of("@u0"), asking.venue_id, DEPOSIT)
        headers = {"Content-Type": "application/json"}
        asking.post("/v1/instructions/deposit", body, headers)
        offset = -86_400
        receipts = [asking.submit(DEPOSIT, f"after-{n}") for n in range(20)]
        assert all(receipt.ok for receipt in receipts)
        clocks = [receipt.clock for receipt in (before, *receipts)]
        assert [c.unix_timestamp for c in clocks] == sorted(c.unix_timestamp for c in clocks)
        assert [c.slot for c in clocks] == sorted(c.slot for c in clocks)
        assert asking.clock() == clocks[-1]
        with pytest.raises(ServiceProblem, match="SignatureReplayed"):
            asking.post("/v1/instructions/deposit", body, headers)
    with serving(settings, now) as running, client(running.url) as asking:
        assert asking.submit(DEPOSIT, "after-3") == receipts[3]
        assert asking.submit(DEPOSIT, "again").clock == clocks[-1]
        with pytest.raises(ServiceProblem, match="SignatureReplayed"):
            asking.post("/v1/instructions/deposit", body, headers)
    assert replay_venue(path).findings == []


def test_a_clock_that_ran_ahead_and_was_set_right(path: Path) -> None:
    """The venue's time cannot go back. Who signs for a time that has passed there is told which one would do."""
    offset = 5_000

    def now() -> int:
        return int(time.time()) + offset

    settings = Settings(location=str(path), dashboard=False, limits=FREE)
    with serving(settings, now) as running, client(running.url) as asking:
        ahead = signed_body(secret_of("@u0"), asking.venue_id, DEPOSIT, lifetime=offset + 120)
        headers = {"Content-Type": "application/json"}
        asking.post("/v1/instructions/deposit", ahead, headers)
        offset = 0
        stuck = int(asking.venue()["now"])
        assert stuck >= int(time.time()) + 4_900
        for lifetime, passes in ((120, False), (5_100, True)):
            body = signed_body(secret_of("@u0"), asking.venue_id, DEPOSIT, lifetime=lifetime)
            if passes:
                assert int(asking.post("/v1/instructions/deposit", body, headers)["unix_timestamp"]) == stuck
                continue
            with pytest.raises(ServiceProblem, match="SignatureExpired") as expired:
                asking.post("/v1/instructions/deposit", body, headers)
            assert str(stuck) in str(expired.value.problem)


# --- clients that go away --------------------------------------------------------------------------------------


def raw(url: str, *, receive_buffer: int | None = None) -> socket.socket:
    """A connection to a service, without a library in between."""
    parts = urlsplit(url)
    connection = socket.socket()
    if receive_buffer is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
    connection.connect((parts.hostname, parts.port))
    return connection


def request_bytes(running: Running, key: str) -> bytes:
    """A signed deposit as bytes."""
    assert running.service.venue.id is not None
    body = signed_body(secret_of("@u0"), running.service.venue.id, DEPOSIT, key)
    lines = (
        "POST /v1/instructions/deposit HTTP/1.1", "Host: x", "Content-Type: application/json",
        f"Idempotency-Key: {key}", f"Content-Length: {len(body)}", "", "",
    )  # fmt: skip
    return "\r\n".join(lines).encode() + body


def test_clients_that_go_away_do_no_harm(running: Running) -> None:
    """After a part of the request, or after all of it, without waiting: what arrived whole is carried out, once, and a
    client that comes back with the key gets its receipt; what did not is not."""
    whole, cut = [], []
    for number in range(60):
        data = request_bytes(running, f"gone-{number}")
        connection = raw(running.url)
        if number % 3 == 0:
            connection.sendall(data[: len(data) * number // 60])
            cut.append(f"gone-{number}")
        else:
            connection.sendall(data)
            whole.append(f"gone-{number}")
        if number % 2:
            # without saying goodbye: the next packet is answered with a reset
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\1\0\0\0\0\0\0\0")
        connection.close()
    journal = running.service.venue.journal
    with client(running.url) as asking:
        first = {key: asking.submit(DEPOSIT, key) for key in [*whole, *cut]}
        assert all(receipt.ok for receipt in first.values())
        assert {key: asking.submit(DEPOSIT, key) for key in first} == first
        assert len({receipt.sequence for receipt in first.values()}) == len(first)
        kept = [entry.idempotency_key for entry in journal.entries() if entry.idempotency_key is not None]
        assert sorted(kept) == sorted(first)
        assert asking.get("/readyz")["ready"] is True


def test_streams_of_clients_that_went_away_are_closed(running: Running) -> None:
    streams = running.service
    connections = [raw(running.url) for _ in range(50)]
    for connection in connections:
        connection.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: 0\r\n\r\n")
    with client(running.url) as asking:

        def open_streams() -> int:
            lines = httpx.get(f"{running.url}/metrics").text.splitlines()
            return int(float(next(line for line in lines if line.startswith("seawall_streams ")).split()[1]))

        soon(lambda: open_streams() == 50, "they were not admitted")
        for connection in connections:
            connection.close()
        for number in range(3):
            assert asking.submit(DEPOSIT, f"after-{number}").ok
        soon(lambda: open_streams() == 0, "streams stay open")
    assert streams.ready


# --- clients that do not read ----------------------------------------------------------------------------------


def test_a_slow_reader_holds_up_nobody_and_misses_nothing(running: Running) -> None:
    """It connects, and reads nothing while thousands of receipts pass by. The writer goes on, a quick reader gets each
    at once, and when the slow one reads at last, it gets every receipt, once and in order."""
    service = running.service
    start = service.venue.sequence
    slow = raw(running.url, receive_buffer=4_096)
    slow.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\nLast-Event-ID: %d\r\n\r\n" % start)
    seen: list[int] = []

    def follow() -> None:
        with client(running.url) as quick:
            for receipt in quick.stream(start):
                seen.append(receipt.sequence)
                if receipt.sequence == start + 4_000:
                    return

    reader = threading.Thread(target=follow)
    reader.start()
    waiting: list[Future[Receipt]] = []
    started = time.monotonic()
    for number in range(4_000):
        waiting.append(service.submit(DEPOSIT, key_of("@u0"), None, f"n-{number}"))
    assert all(answer.result(60).ok for answer in waiting)
    assert time.monotonic() - started < 60
    reader.join(60)
    assert seen == list(range(start + 1, start + 4_001))
    ids: list[int] = []
    kept = b""
    slow.settimeout(30)
    while len(ids) < 4_000:
        piece = slow.recv(1 << 16)
        assert piece
        *lines, kept = (kept + piece).split(b"\n")
        ids += [int(line[4:]) for line in lines if line.startswith(b"id: ")]
    assert ids == seen
    slow.close()


def test_a_body_that_arrives_too_slowly_is_given_up(path: Path) -> None:
    limits = Limits(rate=10**9, burst=10**9, body_seconds=1)
    with serving(Settings(location=str(path), dashboard=False, limits=limits)) as running:
        connection = raw(running.url)
        data = request_bytes(running, "slow")
        connection.sendall(data[:-40])
        with client(running.url) as asking:
            assert asking.submit(DEPOSIT, "meanwhile").ok
            connection.settimeout(10)
            assert b" 408 " in connection.recv(1 << 16).partition(b"\r\n")[0]
            connection.close()
            assert running.service.venue.journal.by_key(["slow"]) == {}
            assert asking.submit(DEPOSIT, "slow").ok


def test_no_descriptor_is_left_open(running: Running) -> None:
    """Connections that come and go leave nothing behind."""

    def descriptors() -> int:
        return len(os.listdir("/proc/self/fd"))

    with client(running.url) as asking:
        asking.venue()
        before = descriptors()
        for _ in range(100):
            connection = raw(running.url)
            connection.sendall(b"GET /v1/stream HTTP/1.1\r\nHost: x\r\n\r\n")
            connection.close()
        soon(lambda: descriptors() <= before + 2, f"{descriptors()} descriptors instead of {before}")
