"""The event stream: every receipt once and in order, whatever happens to the connection."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from support.service import Running, key_of, secret_of, serving, whole_venue

from seawall.engine.machine import Request
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.deposits import Deposit
from seawall.service.client import Client
from seawall.service.settings import Limits, Settings

ALICE = key_of("@alice")
PLENTY = Limits(rate=10**6, burst=10**6)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole venue on disk."""
    found = tmp_path / "venue.db"
    whole_venue(found)
    return found


@pytest.fixture
def running(path: Path) -> Iterator[Running]:
    """A live service over it."""
    with serving(Settings(location=str(path), dashboard=False, limits=PLENTY)) as found:
        yield found


def pay(running: Running, times: int) -> None:
    """Some deposits of Alice's."""
    with Client(running.url, secret_of("@alice")) as alice:
        for _ in range(times):
            assert alice.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=1)).ok


class Reader(threading.Thread):
    """Follows the stream until it has seen a sequence number."""

    def __init__(self, running: Running, after: int, until: int) -> None:
        super().__init__(daemon=True)
        self.running, self.after, self.until = running, after, until
        self.seen: list[int] = []
        self.start()

    def run(self) -> None:
        with Client(self.running.url) as client:
            for receipt in client.stream(self.after):
                self.seen.append(receipt.sequence)
                if receipt.sequence >= self.until:
                    return


def test_everything_once_and_in_order(running: Running) -> None:
    """Readers from the beginning, from the middle and from now see the same tail, without gap or repetition."""
    tip = running.service.venue.sequence
    last = tip + 120
    readers = [Reader(running, after, last) for after in (0, tip // 2, tip)]
    payers = [threading.Thread(target=pay, args=(running, 30)) for _ in range(4)]
    for payer in payers:
        payer.start()
    for reader, after in zip(readers, (0, tip // 2, tip), strict=True):
        reader.join(30)
        assert reader.seen == list(range(after + 1, last + 1))
    for payer in payers:
        payer.join()


def test_receipts_of_the_stream_are_the_stored_ones(running: Running) -> None:
    """What is told live is what GET /v1/receipts tells."""
    tip = running.service.venue.sequence
    with Client(running.url) as client:
        events = client.stream(tip)
        thread = threading.Thread(target=pay, args=(running, 3))
        thread.start()
        for sequence in range(tip + 1, tip + 4):
            receipt = next(events)
            assert receipt.sequence == sequence and receipt == running.service.venue.receipt(sequence)
        thread.join()


def test_it_goes_on_where_it_broke(running: Running) -> None:
    """A reader that is cut off after each event and reconnects with Last-Event-ID misses nothing."""
    tip = running.service.venue.sequence
    pay(running, 10)
    seen: list[int] = []
    last = str(tip - 5)
    while len(seen) < 15:
        with httpx.stream("GET", f"{running.url}/v1/stream", headers={"Last-Event-ID": last}, timeout=10) as response:
            for line in response.iter_lines():
                if line.startswith("id: "):
                    seen.append(int(line[4:]))
                    last = line[4:]
                    break
    assert seen == list(range(tip - 4, tip + 11))


def test_it_goes_on_over_a_restart(path: Path) -> None:
    """The position of a reader outlives the process that it read from."""
    with serving(Settings(location=str(path), dashboard=False, limits=PLENTY)) as running:
        tip = running.service.venue.sequence
        pay(running, 3)
        with Client(running.url) as client:
            events = client.stream(tip, reconnect=False)
            last = [next(events).sequence for _ in range(2)][-1]
    with (
        serving(Settings(location=str(path), dashboard=False, limits=PLENTY)) as running,
        Client(running.url) as client,
    ):
        assert next(client.stream(last)).sequence == last + 1


def test_what_interests(running: Running) -> None:
    """One account's receipts, or one kind of instruction, from the past and live; ``wait=false`` ends at the tip."""
    tip = running.service.venue.sequence
    pay(running, 2)
    url = f"{running.url}/v1/stream?after=0&wait=false"
    everything = events_of(httpx.get(url).text)
    assert [int(event["sequence"]) for event in everything] == list(range(1, tip + 3))
    deposits = events_of(httpx.get(f"{url}&ix=deposit").text)
    assert deposits == [event for event in everything if event["ix"] == "deposit"]
    mine = events_of(httpx.get(f"{url}&account={ALICE}/0").text)
    assert mine and {event["sequence"] for event in mine} < {event["sequence"] for event in everything}
    both = events_of(httpx.get(f"{url}&account={ALICE}/0&ix=deposit").text)
    assert both == [event for event in mine if event["ix"] == "deposit"]


def events_of(text: str) -> list[dict[str, str]]:
    """The receipts in a stream that has ended."""
    return [json.loads(line[6:]) for line in text.splitlines() if line.startswith("data: ")]


def test_a_reader_that_does_not_read(path: Path) -> None:
    """Who opens the stream and never reads holds up neither the writer nor other readers, and loses nothing.

    More than ten megabytes wait for it, more than the sockets in between take.
    """
    with Venue.open(path) as venue:
        clock = Clock.at(venue.tip.unix_timestamp)
        deposit = Deposit(user=f"{ALICE}/0", market_index=0, amount=1)
        venue.apply_many([Request(deposit, ALICE, clock)] * 9_000)
    with serving(Settings(location=str(path), dashboard=False, limits=PLENTY)) as running:
        _hold_up(running)


def _hold_up(running: Running) -> None:
    host, port = running.url.removeprefix("http://").split(":")
    tip = running.service.venue.sequence
    stuck = []
    for _ in range(5):
        connection = socket.socket()
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4_096)
        connection.connect((host, int(port)))
        connection.sendall(b"GET /v1/stream?after=0 HTTP/1.1\r\nHost: localhost\r\n\r\n")
        stuck.append(connection)
    reader = Reader(running, tip, tip + 400)
    started = time.monotonic()
    payers = [threading.Thread(target=pay, args=(running, 100)) for _ in range(4)]
    for payer in payers:
        payer.start()
    for payer in payers:
        payer.join(60)
    reader.join(30)
    assert reader.seen == list(range(tip + 1, tip + 401)) and time.monotonic() - started < 60
    # the one that slept wakes up and reads everything from the first to the last
    text = bytearray()
    stuck[0].settimeout(10)
    while b"id: %d\n" % (tip + 400) not in text[-200_000:]:
        text += stuck[0].recv(1 << 16)
    assert len(text) > 10 << 20
    told = [int(line[4:]) for line in bytes(text).split(b"\n") if line.startswith(b"id: ")]
    assert told == list(range(1, tip + 401))
    for connection in stuck:
        connection.close()


def test_streams_end_with_the_service(path: Path) -> None:
    """Readers do not keep a service from stopping."""
    with serving(Settings(location=str(path), dashboard=False)) as running:
        with httpx.Client() as client, client.stream("GET", f"{running.url}/v1/stream", timeout=20) as response:
            lines = response.iter_lines()
            assert next(lines).startswith("retry")
            started = time.monotonic()
            running.server.should_exit = True
            # what `seawall serve` does when it is told to end
            running.server.config.app.state.stream.stop()  # type: ignore[union-attr]
            assert not [line for line in lines if line.startswith("data")]
        assert time.monotonic() - started < 10
