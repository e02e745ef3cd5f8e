"""Before the venue is open, when it cannot go on, when the past takes its time; and the vector in the documents."""

import asyncio
import re
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path

import httpx
import pytest
from support.service import key_of, secret_of, serving, whole_venue

from seawall.engine.handlers import deposits
from seawall.engine.machine import Request
from seawall.engine.receipts import Clock
from seawall.engine.rulebook import rulebook
from seawall.engine.transaction import Transaction
from seawall.engine.venue import Venue
from seawall.instructions.base import decode, encode
from seawall.instructions.deposits import Deposit
from seawall.keys import base58
from seawall.ledger.errors import LedgerError
from seawall.service import past
from seawall.service.app import create_app
from seawall.service.client import Client, ServiceProblem
from seawall.service.runtime import Service
from seawall.service.settings import Limits, Settings
from seawall.signing import public_key, sign, signed_message

ALICE = key_of("@alice")
DOCS = Path(__file__).parents[2] / "docs" / "service.md"


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole venue on disk."""
    found = tmp_path / "venue.db"
    whole_venue(found)
    return found


def asked(service: Service, *paths: str) -> list[httpx.Response]:
    """What an application whose service nobody has started answers."""

    async def ask() -> list[httpx.Response]:
        transport = httpx.ASGITransport(create_app(service))
        async with httpx.AsyncClient(transport=transport, base_url="http://localhost") as client:
            return [await client.get(target) for target in paths]

    return asyncio.run(ask())


def test_before_the_venue_is_open(path: Path) -> None:
    """The process lives but is not ready, and says why; nothing is answered from a state that was not verified."""
    service = Service(Settings(location=str(path), dashboard=False))
    health, ready, venue, users, metrics = asked(service, "/healthz", "/readyz", "/v1/venue", "/v1/users", "/metrics")
    assert health.status_code == 200 and health.json()["state"] == "starting"
    assert metrics.status_code == 200 and "seawall_ready 0.0" in metrics.text
    for response in (ready, venue, users):
        assert response.status_code == 503 and response.json()["error"] == "VenueNotReady"
        assert "opened and verified" in response.json()["detail"] and int(response.headers["retry-after"]) >= 1


def test_a_venue_that_cannot_be_opened(path: Path) -> None:
    """The service stays down and the health check says what is wrong, so that it is looked at."""
    path.write_bytes(b"no database " * 1_000)
    service = Service(Settings(location=str(path), dashboard=False))
    with pytest.raises(LedgerError):
        service.start()
    health, ready = asked(service, "/healthz", "/readyz")
    assert health.status_code == ready.status_code == 503
    assert health.json()["error"] == "VenueStopped" and "not a database" in health.json()["detail"]
    service.stop()


def test_when_a_commit_fails_nothing_is_acknowledged(path: Path) -> None:
    """The store goes away under the service: the request is not acknowledged, and nothing is any more."""
    with serving(Settings(location=str(path), dashboard=False)) as running, Client(running.url) as looking:
        running.service.venue.journal._writer.close()  # type: ignore[attr-defined]
        with Client(running.url, secret_of("@alice")) as alice:
            deposit = Deposit(user=f"{ALICE}/0", market_index=0, amount=1)
            for _ in range(2):
                with pytest.raises(Exception, match="VenueStopped"):
                    alice.submit(deposit)
        assert httpx.get(f"{running.url}/healthz").status_code == 503
        with pytest.raises(Exception, match="VenueStopped"):
            looking.venue()
    with Venue.open(path) as venue:
        assert venue.receipt(venue.sequence).ix != "deposit"  # type: ignore[union-attr]


def test_a_long_way_back_is_gone_in_steps(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What takes longer than a request may wait is told how far it has come, and comes out in the end."""
    with Venue.open(path) as venue:
        clock = Clock.at(venue.tip.unix_timestamp)
        venue.apply_many([Request(Deposit(user=f"{ALICE}/0", market_index=0, amount=1), ALICE, clock)] * 300)
        last = venue.sequence
    monkeypatch.setattr(past, "PATIENCE", 0.01)
    with serving(Settings(location=str(path), dashboard=False, limits=Limits(rate=10**6))) as running:
        url = f"{running.url}/v1/users/{ALICE}/0"
        details = []
        while (response := httpx.get(url, params={"as_of": last - 1})).status_code == 503:
            assert response.json()["error"] == "AsOfTakesLonger" and len(details) < 1_000
            details.append(int(re.findall(r"instruction (\d+) of", response.json()["detail"])[0]))
        assert response.status_code == 200 and details == sorted(set(details)) != []
        assert int(response.json()["total_deposits"]) == int(httpx.get(url).json()["total_deposits"]) - 1


def test_the_vector_in_the_documents() -> None:
    """docs/service.md has a message and a signature to test a client with: they are what Seawall computes."""
    text = DOCS.read_text()
    secret, nonce = bytes(range(32)), bytes(range(16))
    venue_id = bytes.fromhex(re.findall(r"venue id +([0-9a-f]{64})", text)[0])
    instruction = re.findall(r"instruction +(\{.*\})", text)[0].encode()
    assert encode(decode(instruction)) == instruction and sha256(instruction).hexdigest() in text
    assert base58(public_key(secret)) in text
    message = signed_message(venue_id, public_key(secret), nonce, 1_800_000_000, "pay-1", instruction)
    assert message.hex() in re.sub(r"\s+", "", text)
    assert base58(sign(secret, venue_id, nonce, 1_800_000_000, "pay-1", instruction).signature) in text


def test_a_fault_of_the_software_stops_nobody_else(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """An instruction whose handler breaks is answered with 500 and did not happen; all others are carried out."""

    def breaks(tx: Transaction, ix: Deposit) -> None:
        if ix.amount == 13:
            raise RuntimeError("broken")
        carry_out(tx, ix)

    carry_out = deposits.deposit
    monkeypatch.setitem(rulebook("drift").handlers, Deposit, breaks)
    with serving(Settings(location=str(path), dashboard=False)) as running:
        before = running.service.venue.sequence

        def pay(amount: int) -> str:
            with Client(running.url, secret_of("@alice")) as alice:
                try:
                    return str(alice.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=amount)).ok)
                except ServiceProblem as problem:
                    return f"{problem.status} {problem.error}"

        with ThreadPoolExecutor(8) as pool:
            answers = list(pool.map(pay, [10, 11, 12, 13, 14, 15, 13, 16]))
        assert answers == ["True"] * 3 + ["500 Unexpected"] + ["True"] * 2 + ["500 Unexpected", "True"]
        assert running.service.venue.sequence == before + 6 and running.service.ready
        assert running.service.writer.written == 6


def test_a_request_asked_twice_in_one_group(path: Path) -> None:
    """Whoever listens is told every receipt once, also where the writer answers two requests with it."""
    told: list[int] = []
    with serving(Settings(location=str(path), dev=True, dashboard=False)) as running:
        service = running.service
        service.listen(lambda receipts: told.extend(receipt.sequence for receipt in receipts))
        before = service.venue.sequence
        with service.venue._lock:
            # the writer waits for the lock: everything that is asked meanwhile comes in one group
            futures = [
                service.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=1), ALICE, None, key)
                for key in ("a", "b", "a", "c", "b", "a")
            ]
        sequences = [future.result(10).sequence - before for future in futures]
        assert sequences == [1, 2, 1, 3, 2, 1] and told == [before + 1, before + 2, before + 3]
