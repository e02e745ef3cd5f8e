"""The door: limits with their own errors, development mode on this machine only, and what responses tell."""

import json
import socket
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest
from support.service import Running, key_of, serving, whole_venue

from seawall.service.limits import Buckets
from seawall.service.settings import Limits, Settings, is_loopback

ALICE = key_of("@alice")
SMALL = Limits(body_bytes=2_000, body_seconds=1, rate=50, burst=30, page=10, streams=2)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole venue on disk, its people with labels."""
    found = tmp_path / "venue.db"
    whole_venue(found, keys=False)
    return found


@pytest.fixture
def running(path: Path) -> Iterator[Running]:
    """A service in development mode with small limits."""
    with serving(Settings(location=str(path), dev=True, dashboard=False, limits=SMALL)) as found:
        yield found


def problem(response: httpx.Response, status: int, error: str) -> dict[str, Any]:
    """The problem that a response is, after its status, its media type and its name were checked."""
    assert response.status_code == status, response.text
    assert response.headers["content-type"].startswith("application/problem+json")
    data: dict[str, Any] = response.json()
    assert data["error"] == error and data["status"] == status
    return data


def test_large_bodies(running: Running) -> None:
    """``BodyTooLarge``, whether the length is told or the body comes in chunks."""
    body = json.dumps({"signer": "@alice", "x": "y" * 3_000}).encode()
    url = f"{running.url}/v1/instructions/deposit"
    problem(httpx.post(url, content=body), 413, "BodyTooLarge")
    chunks = (body[i : i + 500] for i in range(0, len(body), 500))
    problem(httpx.post(url, content=chunks), 413, "BodyTooLarge")
    small = {"signer": "@alice", "user": "@alice/0", "market_index": 0, "amount": "1"}
    assert httpx.post(url, json=small).status_code == 200


def test_slow_bodies(running: Running) -> None:
    """``BodyTooSlow`` for who begins to send and then does not go on."""
    host, port = running.url.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /v1/instructions/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
        answer = connection.recv(65_536)
    assert answer.startswith(b"HTTP/1.1 408") and b"BodyTooSlow" in answer


def test_rate(running: Running) -> None:
    """``RateLimited`` beyond the burst, with the time to wait; health checks are not counted."""
    with httpx.Client(base_url=running.url) as client:
        answers = [client.get("/v1/errors/RateLimited") for _ in range(60)]
        assert [a.status_code for a in answers[:30]] == [200] * 30
        turned_away = next(a for a in answers if a.status_code == 429)
        data = problem(turned_away, 429, "RateLimited")
        assert "50 requests a second" in data["detail"] and int(turned_away.headers["retry-after"]) >= 1
        assert client.get("/healthz").status_code == 200
        time.sleep(1.1)
        assert client.get("/v1/errors/RateLimited").status_code == 200


def test_buckets_refill() -> None:
    """A client gets its burst, then its rate, and another client is not held up by it."""
    now = [0.0]
    buckets = Buckets(Limits(rate=10, burst=5), lambda: now[0])
    assert [buckets.take("a") for _ in range(5)] == [0.0] * 5
    assert buckets.take("a") == pytest.approx(0.1)
    assert buckets.take("b") == 0.0
    now[0] = 0.1
    assert buckets.take("a") == 0.0 and buckets.take("a") > 0
    now[0] = 100.0
    assert [buckets.take("a") for _ in range(6)][:5] == [0.0] * 5 and buckets.take("a") > 0


def test_pages(running: Running) -> None:
    """``PageTooLarge`` with what would pass; a page within the limit."""
    data = problem(httpx.get(f"{running.url}/v1/receipts?limit=11"), 400, "PageTooLarge")
    assert data["would_pass"] == "limit from 1 to 10"
    assert len(httpx.get(f"{running.url}/v1/receipts?limit=10").json()["items"]) == 10
    problem(httpx.get(f"{running.url}/v1/receipts?limit=0"), 400, "InvalidParameter")


def test_streams(running: Running) -> None:
    """``TooManyStreams`` for one client more than there may be; one that leaves makes room."""
    url = f"{running.url}/v1/stream"
    with httpx.Client() as client, client.stream("GET", url), httpx.Client() as second:
        with second.stream("GET", url):
            problem(httpx.get(url), 503, "TooManyStreams")
        until = time.monotonic() + 5
        while time.monotonic() < until:
            with httpx.Client() as third, third.stream("GET", url) as response:
                if response.status_code == 200:
                    return
            time.sleep(0.05)
    pytest.fail("the stream that was left is still counted")


# --- development mode ----------------------------------------------------------------------------------------------


def test_development_mode_says_so(running: Running) -> None:
    """Every response has the header, whatever its status; the venue, the metrics and the logs tell it too."""
    for target in ("/v1/venue", "/healthz", "/v1/nothing", "/metrics", "/openapi.json", "/v1/receipts?limit=11"):
        assert "development" in httpx.get(running.url + target).headers["seawall-mode"]
    assert "development" in httpx.get(f"{running.url}/v1/venue").json()["mode"]
    assert "seawall_development_mode 1.0" in httpx.get(f"{running.url}/metrics").text


@pytest.mark.parametrize(
    "headers",
    [
        {"Host": "venue.example"},
        {"Host": "127.0.0.1.venue.example"},
        {"Origin": "https://venue.example"},
        {"Origin": "null"},
        {"X-Forwarded-For": "127.0.0.1"},
        {"Forwarded": "for=127.0.0.1"},
        {"Via": "1.1 proxy"},
    ],
)
def test_development_mode_talks_to_this_machine_only(running: Running, headers: dict[str, str]) -> None:
    """No foreign page in a local browser, no rebound name, nobody behind a proxy."""
    body = {"signer": "@alice", "user": "@alice/0", "market_index": 0, "amount": "1"}
    before = running.service.venue.sequence
    problem(httpx.post(f"{running.url}/v1/instructions/deposit", json=body, headers=headers), 403, "LoopbackOnly")
    assert running.service.venue.sequence == before


def test_a_local_page_may_act(running: Running) -> None:
    """A page that this machine served itself is let in."""
    body = {"signer": "@alice", "user": "@alice/0", "market_index": 0, "amount": "1"}
    origin = {"Origin": running.url, "Host": "localhost"}
    assert httpx.post(f"{running.url}/v1/instructions/deposit", json=body, headers=origin).status_code == 200


@pytest.mark.parametrize(
    ("host", "local"),
    [
        ("127.0.0.1", True), ("127.8.9.1", True), ("::1", True), ("[::1]", True), ("localhost", True),
        ("LOCALHOST", True), ("0.0.0.0", False), ("::", False), ("10.0.0.1", False), ("localhost.evil", False),
        ("", False), ("127.0.0.1.evil", False), ("2130706433", False),
    ],
)  # fmt: skip
def test_loopback(host: str, local: bool) -> None:
    """What counts as this machine."""
    assert is_loopback(host) is local


def test_live_mode_is_for_everybody_but_signed(path: Path) -> None:
    """A live service does not care where a request comes from; it cares who signed it."""
    with serving(Settings(location=str(path), dashboard=False)) as running:
        headers = {"Host": "venue.example", "X-Forwarded-For": "203.0.113.7"}
        assert httpx.get(f"{running.url}/v1/venue", headers=headers).status_code == 200
        body = {"signer": "@alice", "user": "@alice/0", "market_index": 0, "amount": "1"}
        problem(
            httpx.post(f"{running.url}/v1/instructions/deposit", json=body, headers=headers), 401, "SignatureInvalid"
        )


# --- clients that misbehave ------------------------------------------------------------------------------------------


def test_a_client_that_leaves_gets_its_instruction_done(running: Running) -> None:
    """Whoever hangs up before the answer was heard all the same: the instruction is in the journal, once."""
    host, port = running.url.removeprefix("http://").split(":")
    before = running.service.venue.sequence
    body = json.dumps({"signer": "@alice", "user": "@alice/0", "market_index": 0, "amount": "1"}).encode()
    head = b"POST /v1/instructions/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: %d\r\n\r\n" % len(body)
    for _ in range(10):
        with socket.create_connection((host, int(port)), timeout=10) as connection:
            connection.sendall(head + body)
    until = time.monotonic() + 10
    while running.service.venue.sequence < before + 10 and time.monotonic() < until:
        time.sleep(0.02)
    time.sleep(0.1)
    assert running.service.venue.sequence == before + 10
    assert running.service.ready


def test_half_a_request_is_none(running: Running) -> None:
    """A client that dies in the middle of its body asked for nothing."""
    host, port = running.url.removeprefix("http://").split(":")
    before = running.service.venue.sequence
    with socket.create_connection((host, int(port)), timeout=10) as connection:
        connection.sendall(b"POST /v1/instructions/deposit HTTP/1.1\r\nHost: localhost\r\nContent-Length: 100\r\n\r\n{")
    assert httpx.get(f"{running.url}/readyz").status_code == 200
    assert running.service.venue.sequence == before


def test_many_clients_at_once(path: Path) -> None:
    """Fifty clients at the same time: each gets its own receipt, the receipts are without gap, commits are shared."""
    limits = Limits(rate=100_000, burst=100_000)
    with serving(Settings(location=str(path), dev=True, dashboard=False, limits=limits)) as running:
        before = running.service.venue.sequence
        got: list[int] = []

        def ask() -> None:
            body = {"signer": "@alice", "user": "@alice/0", "market_index": 0, "amount": "1"}
            with httpx.Client(base_url=running.url) as client:
                for _ in range(10):
                    got.append(int(client.post("/v1/instructions/deposit", json=body).json()["sequence"]))

        threads = [threading.Thread(target=ask) for _ in range(50)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join(60)
        assert sorted(got) == list(range(before + 1, before + 501))
        assert running.service.writer.groups < 500
