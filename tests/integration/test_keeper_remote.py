"""A keeper in another process: over HTTP it finds and does what one in the venue's process would."""

import json
import re
import signal
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
from support.keeping import KEEPER, Stage, troubled
from support.service import Running, key_of, secret_of, serving, with_keys
from support.venues import small_tables  # noqa: F401
from typer.testing import CliRunner

from seawall.cli import app
from seawall.engine.venue import Venue
from seawall.keeper.liquidations import AskSteps
from seawall.keeper.markets import AskMarkets
from seawall.keeper.port import Question
from seawall.keeper.risk import AskRisk
from seawall.keeper.runner import Keeper, KeeperSettings
from seawall.keeper.settlements import AskSettlements
from seawall.keeper.shares import AskShares
from seawall.service.client import Client
from seawall.service.keeping import EmbeddedPort
from seawall.service.keyfiles import write_key_file
from seawall.service.remote_port import RemotePort
from seawall.service.settings import Settings

RULEBOOKS = pytest.mark.parametrize("rulebook", ["drift", "velocity"])


def write_venue(path: Path, rulebook: str) -> tuple[Path, int]:
    """A venue with people in trouble in a file, and the time of its last instruction."""
    venue, file = troubled(rulebook), path / "venue.seawall"
    with Venue.open(file) as target:
        assert all(receipt.ok for receipt in target.apply_many(with_keys(venue.asked)))
    return file, venue.now


@contextmanager
def remote_stage(path: Path, rulebook: str) -> Iterator[tuple[Stage, Running]]:
    """The same behind a real server whose clock the test moves. Signatures expire by the clock of this machine, so
    that the venue's time is this machine's, give or take."""
    file, _ = write_venue(path, rulebook)
    now = [int(time.time())]
    with serving(Settings(location=str(file), dashboard=False), lambda: now[0]) as running:
        yield Stage(running.service, now), running


def crash(place: Stage) -> None:
    """SOL falls from 100 to 74."""
    for price in (95, 90, 85, 80, 76, 74):
        place.at(place.now + 10)
        place.post("SOL", price)


@RULEBOOKS
def test_both_ports_answer_alike(tmp_path: Path, rulebook: str) -> None:
    """Every question of a keeper has the same answer over HTTP as in the process."""
    with remote_stage(tmp_path, rulebook) as (place, running), Client(running.url, secret_of(KEEPER)) as client:
        crash(place)
        ports = EmbeddedPort(running.service, secret_of(KEEPER), ""), RemotePort(client)
        liquidator = f"{key_of(KEEPER)}/0"
        questions: list[Question] = [  # type: ignore[type-arg]
            AskMarkets(liquidator=liquidator),
            AskRisk(seconds=0.2, lane="exact"),
            AskRisk(only=[0, 1, 7], seconds=0.2),
            AskSteps(user=f"{key_of('@erin')}/0", liquidator=liquidator),
            AskSettlements(signer=key_of(KEEPER), least=1),
            AskShares(),
        ]
        for question in questions:
            here, there = (port.look(question) for port in ports)
            assert here == there, question
        assert ports[0].clock() == ports[1].clock()
        assert ports[0].signer == ports[1].signer == key_of(KEEPER)


@RULEBOOKS
def test_a_remote_keeper_deals_with_everybody(tmp_path: Path, rulebook: str) -> None:
    """Through a crash, over HTTP, every request signed; the journal holds the signatures, and the audit checks them."""
    with remote_stage(tmp_path, rulebook) as (place, running), Client(running.url, secret_of(KEEPER)) as client:
        keeper = Keeper(RemotePort(client), KeeperSettings(settle_every=0))
        crash(place)
        assert place.in_trouble()
        for _ in range(40):
            place.at(place.now + 2)
            place.post("SOL", 74)
            keeper.tick()
            assert keeper.status().failure == ""
        assert place.in_trouble() == []
        assert all(receipt.ok for receipt in place.receipts())
        signed = [e for e in running.service.venue.journal.entries(place.began) if e.signer == key_of(KEEPER)]
        assert signed and all(entry.signature for entry in signed)
    result = CliRunner().invoke(app, ["audit", str(tmp_path / "venue.seawall")])
    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("parameters", [
    {"liquidator": "nobody"}, {"liquidator": "@a/70000"}, {"liquidator": "@a/0", "interest_every": "0"}, {},
])  # fmt: skip
def test_malformed_questions_are_problems(tmp_path: Path, parameters: dict[str, str]) -> None:
    """A question that is none is answered with a problem that names the parameter."""
    file, _ = write_venue(tmp_path, "drift")
    with serving(Settings(location=str(file), dashboard=False)) as running:
        response = httpx.get(f"{running.url}/v1/keeper/markets", params=parameters)
        assert response.status_code == 400
        assert response.json()["error"] in ("InvalidParameter", "InvalidInstruction")
        wrong = httpx.get(f"{running.url}/v1/keeper/risk", params={"only": "1,x"})
        assert (wrong.status_code, wrong.json()["error"]) == (400, "InvalidParameter")


# --- processes ---------------------------------------------------------------------------------------------------


class Started:
    """``seawall`` in a process of its own, and everything that it said so far."""

    def __init__(self, *arguments: str) -> None:
        self.process = subprocess.Popen(
            [Path(sys.executable).with_name("seawall"), *arguments],
            stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True,
        )  # fmt: skip
        self.said = ""
        self._reader = threading.Thread(target=self._read, daemon=True)
        self._reader.start()

    def _read(self) -> None:
        assert self.process.stdout is not None
        for line in self.process.stdout:
            self.said += line

    def wait_for(self, pattern: str, seconds: float = 30) -> re.Match[str]:
        """Until it has said something that matches; the test fails where it does not in time."""
        until = time.monotonic() + seconds
        while (found := re.search(pattern, self.said)) is None:
            assert time.monotonic() < until, self.said
            time.sleep(0.02)
        return found

    def end(self) -> int:
        """Ask it to end; its exit code."""
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(30)


@contextmanager
def process(*arguments: str) -> Iterator[Started]:
    """``seawall`` in a process of its own; killed if it outlives the block."""
    started = Started(*arguments)
    try:
        yield started
    finally:
        started.process.kill()
        started.process.wait(10)


def test_serve_with_a_keeper_and_keepers_beside_it(tmp_path: Path) -> None:
    """``serve --keeper`` cranks; ``keeper`` beside it finds that done, serves metrics, and ends when it is asked to."""
    file, _ = write_venue(tmp_path, "drift")
    for label in ("@dave", KEEPER):
        write_key_file(tmp_path / f"{label[1:]}.key", secret_of(label))
    own = ("--keeper", "--keeper-key", str(tmp_path / "dave.key"))
    with process("serve", str(file), "--port", "0", "--no-dashboard", "--log", "json", *own) as server:
        url = server.wait_for(r"(http://127\.0\.0\.1:\d+)/")[1]
        crank = json.loads(server.wait_for(r'\{.*"crank": "interest".*\}')[0])
        assert (crank["event"], crank["subject"], crank["logger"]) == ("done", "spot market 0", "seawall.keeper")
        status = httpx.get(f"{url}/v1/keeper").json()
        assert status["signer"] == key_of("@dave") and status["running"]
        assert any(crank["name"] == "interest" and crank["done"] != "0" for crank in status["cranks"])
        metrics = httpx.get(f"{url}/metrics").text
        assert 'seawall_keeper_cranks_total{crank="interest",outcome="done",subject="spot market 0"} 1.0' in metrics
        assert 'seawall_keeper_scan_left{scan="risk"} 0.0' in metrics
        with process("keeper", url, "--key", str(tmp_path / "keeper.key"), "--once") as once:
            assert once.process.wait(30) == 0, once.said
            once.wait_for(f"Keeper {key_of(KEEPER)}"[:40])
            once.wait_for("not due")
        with process("keeper", url, "--key", str(tmp_path / "keeper.key"), "--metrics-port", "0") as beside:
            scraped = beside.wait_for(r"(http://127\.0\.0\.1:\d+/metrics)")[1]
            until = time.monotonic() + 20
            while "seawall_keeper_running 1.0" not in httpx.get(scraped).text:
                assert time.monotonic() < until
                time.sleep(0.1)
            assert beside.end() == 0
        # uvicorn ends in order, then by the signal that it was sent
        assert server.end() in (0, -signal.SIGTERM)
        assert '"event": "stopped"' in server.said


def test_a_service_that_was_killed_is_tried_again(tmp_path: Path) -> None:
    """While the service is away the keeper says so; it goes on once the service is back, and repeats nothing."""
    file, _ = write_venue(tmp_path, "drift")
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = str(free.getsockname()[1])
    server = ("serve", str(file), "--port", port, "--no-dashboard")
    with Client(f"http://127.0.0.1:{port}", secret_of(KEEPER), timeout=5) as client:
        with process(*server) as first:
            first.wait_for("http://")
            keeper = Keeper(RemotePort(client))
            keeper.tick()
            assert keeper.status().failure == ""
            done = {(c.name, c.subject): c.done for c in keeper.status().cranks}
            assert done["interest", "spot market 0"] == 1
            first.process.kill()
            first.process.wait(10)
            keeper.tick()
            assert "does not answer" in keeper.status().failure
        with process(*server) as second:
            second.wait_for("http://")
            keeper.tick()
            assert keeper.status().failure == ""
    assert {(c.name, c.subject): c.done for c in keeper.status().cranks} == done


def test_a_keeper_needs_a_key(tmp_path: Path) -> None:
    """Without a key, or with one that is none, the command says what it needs."""
    runner = CliRunner()
    result = runner.invoke(app, ["keeper", "http://127.0.0.1:1"])
    assert result.exit_code == 2 and "--key" in result.output
    (tmp_path / "no.key").write_text("nothing")
    result = runner.invoke(app, ["keeper", "http://127.0.0.1:1", "--key", str(tmp_path / "no.key")])
    assert result.exit_code == 2
