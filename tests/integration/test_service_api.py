"""Who may do what over HTTP, once: signatures, replays, idempotency, dry runs, refusals; and the audit of it."""

import json
import os
import struct
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from support.service import Running, key_of, secret_of, serving, whole_venue

from seawall.audit.replay import replay_venue
from seawall.engine.machine import Request
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.administration import UpdateLiquidationMarginBufferRatio
from seawall.instructions.base import decode_object, encode, instruction_types
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.user_settings import UpdateUserDelegate
from seawall.keys import base58
from seawall.service.client import Client, ServiceProblem, signed_body
from seawall.service.schemas import example_of
from seawall.service.settings import Settings
from seawall.signing import Proof, sign

ALICE, BOB, NOBODY, ADMIN = key_of("@alice"), key_of("@bob"), key_of("@nobody"), key_of("@admin")
ONE = 1_000_000


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole venue on disk."""
    found = tmp_path / "venue.db"
    whole_venue(found)
    return found


@pytest.fixture
def running(path: Path) -> Iterator[Running]:
    """A live service over it: nothing passes unsigned."""
    with serving(Settings(location=str(path), dashboard=False)) as found:
        yield found


def client_of(running: Running, name: str) -> Client:
    """Somebody with a key."""
    return Client(running.url, secret_of(name))


def deposit(amount: int = ONE, user: str = ALICE) -> Deposit:
    """A deposit of quote tokens."""
    return Deposit(user=f"{user}/0", market_index=0, amount=amount)


def post(running: Running, ix: str, body: bytes | dict[str, Any], **headers: str) -> httpx.Response:
    """A bare POST of an instruction."""
    content = body if isinstance(body, bytes) else json.dumps(body).encode()
    return httpx.post(f"{running.url}/v1/instructions/{ix}", content=content, headers=headers)


# --- signatures ------------------------------------------------------------------------------------------------


def test_signed_request_is_durable_and_audited(running: Running, path: Path) -> None:
    """A signed request gets its receipt; the journal keeps the signature, and the audit checks it."""
    with client_of(running, "@alice") as alice:
        receipt = alice.submit(deposit())
        assert receipt.ok and receipt.signer == ALICE
        assert receipt == running.service.venue.receipt(receipt.sequence)
        entry = alice.get(f"/v1/entries/{receipt.sequence}")
    # another process finds it on disk before the service has closed anything
    replayed = replay_venue(path)
    assert replayed.tip.sequence == receipt.sequence and replayed.signed == 1 and replayed.findings == []
    assert bytes.fromhex(entry["hash"]) == replayed.tip.hash


def test_a_client_that_knows_only_the_page_can_sign(running: Running) -> None:
    """The signed message built by hand, byte by byte as docs/service.md tells it, is accepted."""
    venue_id = bytes.fromhex(httpx.get(f"{running.url}/v1/venue").json()["venue_id"])
    key = Ed25519PrivateKey.from_private_bytes(secret_of("@alice"))
    public = key.public_key().public_bytes_raw()
    instruction = (
        f'{{"ix":"deposit","user":"{ALICE}/0","market_index":0,"amount":1000000,"reduce_only":false}}'
    ).encode()
    nonce, expiry, idempotency = os.urandom(16), int(time.time()) + 60, b"by-hand-1"
    message = (
        b"seawall signed request 1\n" + venue_id + public + nonce
        + struct.pack("<qii", expiry, len(idempotency), len(instruction)) + idempotency + sha256(instruction).digest()
    )  # fmt: skip
    body = {
        "user": f"{ALICE}/0", "market_index": 0, "amount": "1000000", "signer": base58(public),
        "nonce": nonce.hex(), "expiry": expiry, "signature": base58(key.sign(message)),
    }  # fmt: skip
    response = post(running, "deposit", body, **{"Idempotency-Key": idempotency.decode()})
    assert response.status_code == 200, response.text
    assert response.headers["seawall-mode"].startswith("live")


def test_unsigned_and_badly_signed_are_refused(running: Running) -> None:
    """No signature, another's, one for another amount, venue or key, or a label: 401 and nothing happens."""
    before = running.service.venue.sequence
    venue_id = running.service.venue.id
    assert venue_id is not None
    body = json.loads(signed_body(secret_of("@alice"), venue_id, deposit()))
    unsigned = {name: value for name, value in body.items() if name not in ("nonce", "expiry", "signature")}
    for changed in (
        unsigned,
        {**unsigned, "signer": "@alice"},
        {**body, "amount": "1000001"},
        {**body, "signer": BOB},
        json.loads(signed_body(secret_of("@alice"), bytes(32), deposit())),
        json.loads(signed_body(secret_of("@alice"), venue_id, deposit(), idempotency_key="other")),
    ):
        response = post(running, "deposit", changed)
        assert response.status_code == 401, changed
        problem = response.json()
        assert problem["error"] == "SignatureInvalid" and problem["would_pass"]
        assert response.headers["content-type"].startswith("application/problem+json")
    half = {name: value for name, value in body.items() if name != "nonce"}
    assert post(running, "deposit", half).json()["error"] == "InvalidInstruction"
    assert running.service.venue.sequence == before


def test_the_problem_tells_what_was_to_be_signed(running: Running) -> None:
    """A client that signed something else is told the canonical instruction."""
    venue_id = running.service.venue.id
    assert venue_id is not None
    body = json.loads(signed_body(secret_of("@alice"), venue_id, deposit()))
    problem = post(running, "deposit", {**body, "amount": "7"}).json()
    assert problem["canonical_instruction"] == encode(deposit(7)).decode()


def test_replays_and_expiries_are_refused_also_after_a_restart(path: Path) -> None:
    """A proof is good once and for its time, whatever happened to the process in between."""
    with serving(Settings(location=str(path), dashboard=False)) as running:
        venue_id = running.service.venue.id
        assert venue_id is not None
        body = signed_body(secret_of("@alice"), venue_id, deposit())
        assert post(running, "deposit", body).status_code == 200
        again = post(running, "deposit", body)
        assert again.status_code == 401 and again.json()["error"] == "SignatureReplayed"
        for lifetime in (-5, 10_000):
            late = post(running, "deposit", signed_body(secret_of("@alice"), venue_id, deposit(), lifetime=lifetime))
            assert late.status_code == 401 and late.json()["error"] == "SignatureExpired"
    with serving(Settings(location=str(path), dashboard=False)) as running:
        again = post(running, "deposit", body)
        assert again.status_code == 401 and again.json()["error"] == "SignatureReplayed"
    assert replay_venue(path).signed == 1


def test_a_tampered_signature_is_an_audit_finding(path: Path) -> None:
    """What the door did not see, the audit does: an entry whose signature is another request's."""
    with Venue.open(path) as venue:
        assert venue.id is not None
        wrong = sign(secret_of("@bob"), venue.id, bytes(16), 1 << 40, None, encode(deposit(5)))
        clock = Clock.at(venue.tip.unix_timestamp + 1)
        venue.apply_many([Request(deposit(6), ALICE, clock, None, Proof(*wrong).packed())])
    findings = replay_venue(path).findings
    assert len(findings) == 1 and "did not sign" in findings[0]


# --- permissions are the engine's --------------------------------------------------------------------------------


def test_permissions(running: Running) -> None:
    """Permissionless with any key; a user's by authority or delegate; administrative by the role's key alone."""
    with (
        client_of(running, "@nobody") as nobody,
        client_of(running, "@alice") as alice,
        client_of(running, "@bob") as bob,
        client_of(running, "@admin") as admin,
    ):
        assert nobody.submit(UpdateSpotMarketCumulativeInterest(market_index=0)).ok
        stolen = nobody.submit(Withdraw(user=f"{ALICE}/0", market_index=0, amount=ONE))
        assert stolen.refusal is not None and stolen.refusal.error == "Unauthorized" and stolen.sequence > 0
        assert not bob.submit(deposit()).ok
        assert alice.submit(UpdateUserDelegate(user=f"{ALICE}/0", delegate=BOB)).ok
        assert bob.submit(deposit()).ok
        setting = UpdateLiquidationMarginBufferRatio(liquidation_margin_buffer_ratio=300)
        assert not alice.submit(setting).ok
        assert admin.submit(setting).ok
    assert running.service.venue.id is not None
    theft = Withdraw(user=f"{ALICE}/0", market_index=0, amount=ONE)
    response = post(running, "withdraw", signed_body(secret_of("@nobody"), running.service.venue.id, theft))
    assert response.status_code == 403 and response.json()["error"] == "Unauthorized"


def test_every_instruction_can_be_asked_for(running: Running) -> None:
    """Each instruction type has its address: a signed example passes the door and gets an answer of the engine."""
    venue_id = running.service.venue.id
    assert venue_id is not None
    with client_of(running, "@admin") as admin:
        for ix, cls in instruction_types().items():
            fields = {name: value for name, value in example_of(cls, signed=False).items() if name != "signer"}
            try:
                receipt = admin.submit(decode_object({"ix": ix, **fields}))
            except ServiceProblem as problem:
                pytest.fail(f"{ix}: {problem}")
            assert receipt.sequence > 0, (ix, receipt)
    assert running.service.venue.sequence > len(instruction_types())


def test_unknown_instruction(running: Running) -> None:
    """What is no instruction is not found, by name."""
    response = post(running, "print_money", {"signer": ALICE})
    assert response.status_code == 404 and response.json()["error"] == "NotFound"


# --- idempotency -------------------------------------------------------------------------------------------------


def test_idempotency_key(running: Running) -> None:
    """A repeat gets the first receipt, also in parallel; another body, or another signer, under the key is refused."""
    venue_id = running.service.venue.id
    assert venue_id is not None
    headers = {"Idempotency-Key": "pay-1"}
    bodies = [signed_body(secret_of("@alice"), venue_id, deposit(), "pay-1") for _ in range(8)]
    with ThreadPoolExecutor(8) as pool:
        answers = list(pool.map(lambda body: post(running, "deposit", body, **headers), bodies))
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["sequence"] for answer in answers}) == 1
    # the very same bytes too: a repeat is no replay
    again = post(running, "deposit", bodies[0], **headers)
    assert again.json() == answers[0].json() and again.headers["idempotent-replay"] == "true"
    other = post(running, "deposit", signed_body(secret_of("@alice"), venue_id, deposit(2), "pay-1"), **headers)
    assert other.status_code == 409 and other.json()["error"] == "IdempotencyConflict"
    by_bob = post(running, "deposit", signed_body(secret_of("@bob"), venue_id, deposit(), "pay-1"), **headers)
    assert by_bob.status_code == 409 and by_bob.json()["error"] == "IdempotencyConflict"


def test_a_refusal_is_repeated_too(running: Running) -> None:
    """A refused request under a key stays refused with its first receipt."""
    with client_of(running, "@alice") as alice:
        first = alice.submit(Withdraw(user=f"{ALICE}/0", market_index=0, amount=10**15), "too-much")
        second = alice.submit(Withdraw(user=f"{ALICE}/0", market_index=0, amount=10**15), "too-much")
    assert not first.ok and first == second


# --- dry runs and refusals -----------------------------------------------------------------------------------------


def test_dry_run_changes_nothing_and_says_what_would_be(running: Running) -> None:
    """The would-be receipt, unsigned; what then happens is the same but for its place in the history."""
    service = running.service
    before = service.venue.root()
    with client_of(running, "@alice") as alice:
        dry = alice.dry_run(deposit())
        assert dry.ok and dry.sequence == 0 and service.venue.root() == before
        done = alice.submit(deposit())
        assert (dry.events[0][0], dry.transfers, dry.vaults) == (done.events[0][0], done.transfers, done.vaults)
        refused = alice.dry_run(Withdraw(user=f"{ALICE}/0", market_index=0, amount=10**15))
        assert refused.refusal is not None and refused.refusal.would_pass


def test_a_refusal_is_a_problem_with_numbers(running: Running) -> None:
    """RFC 9457: the engine's name and code, the limit that bound, and an amount that then passes."""
    with client_of(running, "@alice") as alice:
        venue_id = alice.venue_id
        asked = Withdraw(user=f"{ALICE}/0", market_index=0, amount=10**15)
        response = post(running, "withdraw", signed_body(secret_of("@alice"), venue_id, asked))
        assert response.status_code == 409
        problem = response.json()
        assert problem["type"] == f"/v1/errors/{problem['error']}"
        assert httpx.get(running.url + problem["type"]).json()["code"] == problem["code"]
        assert problem["limits"] and problem["receipt"]["refusal"]["error"] == problem["error"]
        assert response.headers["location"] == problem["instance"]
        assert httpx.get(running.url + problem["instance"]).json() == problem["receipt"]
        most = int("".join(c for c in problem["would_pass"] if c.isdigit()))
        assert alice.submit(Withdraw(user=f"{ALICE}/0", market_index=0, amount=most)).ok


@pytest.mark.parametrize(
    ("body", "says"),
    [
        (b"", "not JSON"),
        (b"[1]", "not a JSON object"),
        (b"[" * 100_000, ""),
        (b'{"signer": 5}', "signer"),
        (b'{"signer": "@"}', "signer"),
        (b'{"signer": "@a", "user": "@a/0", "market_index": 0, "amount": 1.5}', "integer"),
        (b'{"signer": "@a", "user": "@a/0", "market_index": 0, "amount": 18446744073709551615}', "decimal string"),
        (b'{"signer": "@a", "user": "@a/0", "market_index": 0, "amount": "18446744073709551616"}', "within"),
        (b'{"signer": "@a", "user": "@a/0", "market_index": 0, "amount": "-1"}', "within"),
        (b'{"signer": "@a", "user": "@a/0", "market_index": 0, "amount": "1", "tip": 1}', "tip"),
        (b'{"signer": "@a", "user": "\\ud800/0", "market_index": 0, "amount": "1"}', ""),
        (b'{"signer": "@a", "nonce": "zz", "expiry": 1, "signature": "1"}', "nonce"),
        (b'{"ix": "withdraw", "signer": "@a"}', "another instruction"),
    ],
)  # fmt: skip
def test_malformed_bodies_are_named(running: Running, body: bytes, says: str) -> None:
    """400 ``InvalidInstruction`` with what is wrong; never a crash."""
    response = post(running, "deposit", body)
    assert response.status_code == 400
    assert response.json()["error"] == "InvalidInstruction" and says in response.json()["detail"]
