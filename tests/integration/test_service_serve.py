"""``seawall serve`` and ``seawall keys`` as processes: start, readiness, ends, keys, genesis, what is refused."""

import json
import os
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.service import key_of, secret_of, whole_venue

from seawall.audit.replay import replay_venue
from seawall.engine.venue import Venue
from seawall.instructions.base import encode
from seawall.instructions.deposits import Deposit
from seawall.service.client import Client
from seawall.service.keyfiles import write_key_file
from seawall.signing import public_key

ALICE = key_of("@alice")
SEAWALL = [str(Path(sys.executable).with_name("seawall"))]


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    """A command that ends by itself."""
    return subprocess.run([*SEAWALL, *arguments], capture_output=True, text=True, timeout=60, check=False)


class Serving:
    """A ``seawall serve`` process."""

    def __init__(self, *arguments: str) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port = free.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}"
        self.started = time.monotonic()
        self.process = subprocess.Popen(
            [*SEAWALL, "serve", *arguments, "--port", str(self.port), "--log", "json"],
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip

    def ready(self) -> float:
        """Wait until instructions are taken; seconds since the start."""
        while time.monotonic() - self.started < 60:
            assert self.process.poll() is None, self.process.communicate()
            try:
                if httpx.get(f"{self.url}/readyz").status_code == 200:
                    return time.monotonic() - self.started
            except httpx.TransportError:
                pass
            time.sleep(0.01)
        raise AssertionError("the service did not become ready")

    def end(self, how: int = signal.SIGTERM) -> tuple[str, str]:
        """End it; what it wrote."""
        if self.process.poll() is None:
            self.process.send_signal(how)
        return self.process.communicate(timeout=30)


@contextmanager
def serve(*arguments: str) -> Iterator[Serving]:
    """A process that ends with the block."""
    found = Serving(*arguments)
    try:
        yield found
    finally:
        if found.process.poll() is None:
            found.end(signal.SIGKILL)


@pytest.fixture
def path(tmp_path: Path) -> Path:
    """A whole venue on disk."""
    found = tmp_path / "venue.db"
    whole_venue(found)
    return found


# --- starting and ending -------------------------------------------------------------------------------------------


def test_it_starts_serves_and_ends(path: Path) -> None:
    """Ready in seconds on an existing venue, one line that says where and how, an orderly end on SIGTERM."""
    with serve(str(path)) as process:
        seconds = process.ready()
        assert seconds < 20, seconds  # the promise of 3 seconds is measured by benchmarks; machines under test are busy
        with Client(process.url, secret_of("@alice")) as alice:
            receipt = alice.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=5))
        out, err = process.end()
        assert process.url in out and "every change must be signed" in out
        lines = [json.loads(line) for line in err.splitlines()]
        posted = next(line for line in lines if line.get("path") == "/v1/instructions/deposit")
        assert posted["status"] == 200 and posted["event"] == "request" and posted["milliseconds"] > 0
    # closed in order: the database alone is the whole venue
    alone = path.with_name("alone.db")
    shutil.copy(path, alone)
    with Venue.open(alone, read_only=True) as venue:
        assert venue.sequence == receipt.sequence


def test_what_was_acknowledged_survives_a_kill(path: Path) -> None:
    """SIGKILL after the answer: everything acknowledged is there, once, and the next process goes on."""
    with serve(str(path), "--no-dashboard") as process:
        process.ready()
        with Client(process.url, secret_of("@alice")) as alice:
            receipts = [
                alice.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=i + 1), f"k{i}") for i in range(20)
            ]
        process.end(signal.SIGKILL)
    with serve(str(path), "--no-dashboard") as process:
        process.ready()
        with Client(process.url, secret_of("@alice")) as alice:
            assert [alice.receipt(r.sequence) for r in receipts] == receipts
            again = alice.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=20), "k19")
            assert again == receipts[-1]
        process.end()
    replayed = replay_venue(path)
    assert replayed.signed == 20 and replayed.findings == [] and replayed.tip.sequence == receipts[-1].sequence


def test_a_damaged_venue_is_not_served(path: Path) -> None:
    """The process says what is wrong and ends; it never becomes ready."""
    data = bytearray(path.read_bytes())
    middle = data.rfind(b'"ix":"deposit"')
    data[middle + 7] ^= 1
    path.write_bytes(data)
    with serve(str(path), "--no-dashboard") as process:
        _, err = process.process.communicate(timeout=60)
        assert process.process.returncode == 2
        assert "is not what was written" in err or "damaged" in err


def test_two_writers(path: Path) -> None:
    """A second process is refused and says that a venue has one writer."""
    with serve(str(path), "--no-dashboard") as process:
        process.ready()
        with serve(str(path), "--no-dashboard") as second:
            _, err = second.process.communicate(timeout=60)
            assert second.process.returncode == 2 and "written by another process" in err
        assert httpx.get(f"{process.url}/readyz").status_code == 200


def test_genesis_begins_an_empty_venue_only(tmp_path: Path) -> None:
    """An instruction file begins a new venue, signed requests go on with it; a second start leaves it alone."""
    admin = key_of("@admin")
    genesis = tmp_path / "genesis.jsonl"
    lines = [{"ix": "initialize", "admin": admin, "name": "genesis"}, {"ix": "add_oracle", "name": "SOL", "price": 1}]
    genesis.write_text("".join(json.dumps({"at": 1_700_000_000, "signer": admin, **line}) + "\n" for line in lines))
    path = tmp_path / "new.db"
    for _ in range(2):
        with serve(str(path), "--no-dashboard", "--genesis", str(genesis)) as process:
            process.ready()
            venue = httpx.get(f"{process.url}/v1/venue").json()
            assert venue["name"] == "genesis" and venue["sequence"] == "2"
            process.end()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--dev", "--host", "0.0.0.0"], "this machine only"),
        (["--keeper"], "--keeper-key"),
        (["--keeper", "--keeper-key", "/nowhere/key"], "/nowhere/key"),
        (["--genesis", "/nowhere/genesis"], "/nowhere/genesis"),
        (["--host", "203.0.113.1"], "203.0.113.1"),
    ],
)
def test_what_serve_refuses(path: Path, arguments: list[str], says: str) -> None:
    """Each with its reason on stderr and exit code 2; a venue that is there is not touched by --genesis."""
    target = str(path.with_name("other.db")) if "--genesis" in arguments else str(path)
    result = run("serve", target, *arguments, "--port", "0")
    assert result.returncode == 2 and says in result.stderr


def test_development_mode_needs_no_keys(path: Path) -> None:
    """--dev takes unsigned requests, says so where it starts and in every response."""
    with serve(str(path), "--dev", "--no-dashboard") as process:
        process.ready()
        with Client(process.url, signer=ALICE) as alice:
            assert alice.submit(Deposit(user=f"{ALICE}/0", market_index=0, amount=5)).ok
        out, _ = process.end()
        assert "development" in out


# --- keys ----------------------------------------------------------------------------------------------------------


def test_keys(tmp_path: Path) -> None:
    """Created once, readable by the owner alone, shown, also from the 64 numbers of Solana's command line."""
    file = tmp_path / "key"
    created = run("keys", "create", str(file))
    assert created.returncode == 0 and len(created.stdout.strip()) in (43, 44)
    assert file.stat().st_mode & 0o777 == 0o600
    assert run("keys", "show", str(file)).stdout == created.stdout
    again = run("keys", "create", str(file))
    assert again.returncode == 2 and "never overwritten" in again.stderr
    assert created.stdout.strip() not in file.read_text()
    numbers = tmp_path / "id.json"
    write_key_file(tmp_path / "alice", secret_of("@alice"))
    secret = secret_of("@alice")
    numbers.write_text(json.dumps(list(secret + public_key(secret))))
    numbers.chmod(0o600)
    assert (
        run("keys", "show", str(numbers)).stdout.strip()
        == ALICE
        == run("keys", "show", str(tmp_path / "alice")).stdout.strip()
    )
    os.chmod(numbers, 0o644)
    open_to_all = run("keys", "show", str(numbers))
    assert open_to_all.returncode == 2 and "chmod 600" in open_to_all.stderr
    numbers.chmod(0o600)
    numbers.write_text("[1, 2, 3]")
    assert run("keys", "show", str(numbers)).returncode == 2


def test_keys_sign(path: Path, tmp_path: Path) -> None:
    """The body that ``keys sign`` prints is accepted as it stands."""
    key = tmp_path / "alice"
    write_key_file(key, secret_of("@alice"))
    asked = encode(Deposit(user=f"{ALICE}/0", market_index=0, amount=5)).decode()
    with serve(str(path), "--no-dashboard") as process:
        process.ready()
        signed = run("keys", "sign", str(key), asked, "--venue", process.url, "--idempotency-key", "x")
        assert signed.returncode == 0, signed.stderr
        url = f"{process.url}/v1/instructions/deposit"
        response = httpx.post(url, content=signed.stdout, headers={"Idempotency-Key": "x"})
        assert response.status_code == 200, response.text
        assert httpx.post(url, content=signed.stdout).json()["error"] == "SignatureInvalid"
        venue_id = httpx.get(f"{process.url}/v1/venue").json()["venue_id"]
        by_id = run("keys", "sign", str(key), asked, "--venue", venue_id)
        assert httpx.post(url, content=by_id.stdout).status_code == 200
    assert run("keys", "sign", str(key), "{}", "--venue", venue_id).returncode == 2
    assert "neither an address" in run("keys", "sign", str(key), asked, "--venue", "abc").stderr
