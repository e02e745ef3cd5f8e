"""Kill the process that writes a venue, two hundred times and more, and look at what is left.

A child applies groups of instructions and tells through a pipe which receipts it was handed. At a random moment it gets
SIGKILL: while it opens the venue, replays, commits, takes a snapshot, or closes; on SQLite and on PostgreSQL. Then
every acknowledged instruction must be in the journal, once, with the receipt that was handed out; and the state that
comes back must have the root that a machine of its own reaches by executing the journal from its first entry on. The
next child goes on from there.
"""

import os
import random
import select
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from hashlib import sha256
from pathlib import Path

import pytest
from support.stores import Place, statement

from seawall import Clock, Request, Venue
from seawall.audit.replay import replay_venue
from seawall.engine.machine import Machine
from seawall.engine.receipts import encode_receipt
from seawall.engine.recovery import reexecute
from seawall.instructions.base import Instruction, encode
from seawall.instructions.venue_setup import AddOracle, Initialize, InitializeUser, PostOraclePrice
from seawall.ledger.head import Head

VENUES = {"sqlite": 8, "postgres": 2}
KILLS = 26
LONGEST_LIFE = 0.07
SNAPSHOT_EVERY = 300
GROUPS = (1, 1, 2, 7, 40, 150)


def instruction_of(key: str) -> tuple[Instruction, str]:
    """What is asked under an idempotency key, and by whom: always the same, so that both sides know it."""
    number = int(key.partition("-")[2])
    kind = random.Random(key).randrange(10)
    if kind < 6:
        return PostOraclePrice(oracle="SOL", price=1 + number), "@admin"
    if kind < 8:
        return InitializeUser(user=f"@{key}"), f"@{key}"
    if kind == 8:
        return PostOraclePrice(oracle="unknown", price=1), "@admin"  # OracleNotFound: refusals are journalled too
    return PostOraclePrice(oracle="SOL", price=1), "@mallory"  # Unauthorized


def requests(life: str, rng: random.Random, numbers: range, clock: int) -> Iterator[Request]:
    """New requests with these numbers, now and then with one from before sent again."""
    for i in numbers:
        key = f"{life}-{i}"
        yield Request(*instruction_of(key), Clock.at(clock), key)
        if rng.random() < 0.05:
            again = f"{life}-{rng.randint(0, i)}"
            yield Request(*instruction_of(again), Clock.at(0), again)


def live(place: Place, life: str, acknowledge: int) -> None:
    """The child: apply groups for ever, acknowledge each receipt by its number, key and hash; now and then reopen."""
    rng = random.Random(life)
    number = 0
    while True:
        # a server takes a moment to notice that the child before was killed
        venue = place.open_soon(snapshot_every=SNAPSHOT_EVERY)
        while rng.random() < 0.95:
            numbers = range(number, number + rng.choice(GROUPS))
            group = list(requests(life, rng, numbers, max(0, venue.tip.unix_timestamp) + rng.randint(0, 1)))
            receipts = venue.apply_many(group)
            number = numbers.stop
            lines = [
                f"{receipt.sequence} {request.idempotency_key} {sha256(encode_receipt(receipt)).hexdigest()}\n"
                for request, receipt in zip(group, receipts, strict=True)
            ]
            os.write(acknowledge, "".join(lines).encode())
        venue.close()


def kill_once(place: Place, life: str, delay: float, from_first: bool) -> list[str]:
    """Kill a child ``delay`` seconds after its birth, or after its first acknowledgement; what it acknowledged."""
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            os.close(heard)
            live(place, life, tell)
        except BaseException:
            os.write(tell, f"\nFAILED {traceback.format_exc()}".encode())
        finally:
            os._exit(1)
    os.close(tell)
    said = bytearray()
    end = None if from_first else time.monotonic() + delay
    killed = False
    while True:
        patience = None if killed else 60.0 if end is None else max(0.0, end - time.monotonic())
        ready, _, _ = select.select([heard], [], [], patience)
        if ready:
            piece = os.read(heard, 1 << 16)
            if not piece:
                break
            said += piece
            end = end or time.monotonic() + delay
        elif not killed:
            os.kill(child, signal.SIGKILL)
            killed = True
    os.close(heard)
    os.waitpid(child, 0)
    text = said.decode()
    assert "FAILED" not in text, text
    # a line without its end was being written when the child died: nobody received it
    return text[: text.rfind("\n") + 1].splitlines()


def found(venue: Venue, lines: list[str]) -> None:
    """Every acknowledged instruction is in the journal, once, with the receipt that was handed out."""
    seen: dict[str, int] = {}
    for line in lines:
        sequence, key, digest = line.split()
        entry = venue.journal.entry(int(sequence))
        assert entry is not None, f"acknowledged and gone: {line}"
        assert entry.idempotency_key == key
        assert entry.instruction == encode(instruction_of(key)[0])
        assert sha256(entry.outcome).hexdigest() == digest
        assert seen.setdefault(key, entry.sequence) == entry.sequence
        assert venue.journal.by_key([key])[key].sequence == entry.sequence


@contextmanager
def settled(place: Place) -> Iterator[Venue]:
    """The venue for reading, once nobody writes to it any more: a server goes on with what it was sent before."""
    if place.kind == "postgres":
        lock = f"seawall venue {place.location.partition('#')[2]}"
        free = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"  # let go of with its session
        until = time.monotonic() + 20
        while statement(place, free, lock) != [(True,)]:
            assert time.monotonic() < until
    with place.open(read_only=True) as venue:
        yield venue


def set_up(place: Place) -> int:
    """A venue with an oracle; how many instructions that took."""
    with place.open() as venue:
        venue.apply(Initialize(admin="@admin"), "@admin", at=0)
        venue.apply(AddOracle(name="SOL", price=5), "@admin", at=0)
        return venue.sequence


CASES = [(kind, number) for kind, count in VENUES.items() for number in range(count)]


@pytest.mark.parametrize(("place", "number"), CASES, indirect=["place"], ids=[f"{kind}-{n}" for kind, n in CASES])
def test_killed_at_any_moment_nothing_acknowledged_is_lost(place: Place, number: int) -> None:
    """SIGKILL at random moments: acknowledged instructions are all there, once; root equals a replay from genesis."""
    set_up(place)
    rng = random.Random(number)
    referee = Machine()
    acknowledged: list[str] = []
    for kill in range(KILLS):
        from_first = kill % 3 > 0
        lines = kill_once(place, f"{number}.{kill}", rng.uniform(0, LONGEST_LIFE), from_first)
        assert lines or not from_first
        acknowledged += lines
        # read-only: the next child must find the files as the killed one left them
        with settled(place) as venue:
            found(venue, lines)
            for entry in venue.journal.entries(referee.sequence):
                reexecute(referee, entry, "the referee")
            assert referee.sequence == venue.sequence
            assert referee.store.root() == venue.root()
    with place.open_soon() as venue:
        found(venue, acknowledged)
        keys = [entry.idempotency_key for entry in venue.journal.entries() if entry.idempotency_key is not None]
        assert len(keys) == len(set(keys))
        assert referee.store.root() == venue.root()


def test_at_least_two_hundred_kills() -> None:
    """The numbers above amount to what is promised."""
    assert VENUES["sqlite"] * KILLS >= 200


# --- at each step of a commit, a snapshot and a close ----------------------------------------------------------


def die(*_: object) -> None:
    """The end of the process, as sudden as it gets."""
    os.kill(os.getpid(), signal.SIGKILL)


def die_before_statement(start: str) -> Callable[[Venue, pytest.MonkeyPatch], None]:
    """Die right before SQLite runs a statement that starts like this."""

    def arrange(venue: Venue, _: pytest.MonkeyPatch) -> None:
        writer = venue.journal._writer  # type: ignore[attr-defined]
        writer.set_trace_callback(lambda sql: die() if sql.startswith(start) else None)

    return arrange


def die_in(module: object, name: str, *, afterwards: bool = False) -> Callable[[Venue, pytest.MonkeyPatch], None]:
    """Die when a function is called, or right after it did its work."""

    def arrange(_: Venue, patch: pytest.MonkeyPatch) -> None:
        works = getattr(module, name)

        def last(*values: object, **named: object) -> None:
            if afterwards:
                works(*values, **named)
            die()

        patch.setattr(module, name, last)

    return arrange


STEPS: list[tuple[str, Callable[[Venue, pytest.MonkeyPatch], None], str]] = [
    ("before the transaction", die_before_statement("BEGIN"), "lost"),
    ("before the first row", die_before_statement("INSERT"), "lost"),
    ("before the commit", die_before_statement("COMMIT"), "lost"),
    ("before the head is noted", die_in(Head, "write"), "there"),
    ("after the head is noted", die_in(Head, "write", afterwards=True), "there"),
    ("before a snapshot is forced to disk", die_in(os, "fsync"), "there"),
    ("before a snapshot gets its name", die_in(os, "replace"), "there"),
    ("after a snapshot got its name", die_in(os, "replace", afterwards=True), "there"),
    ("before the end is noted", die_before_statement("UPDATE venue SET value = 4"), "there"),
    ("before the log is folded in", die_before_statement("PRAGMA wal_checkpoint"), "there"),
    ("after the log was folded in", die_in(Head, "force"), "there"),
]


@pytest.mark.parametrize(("step", "arrange", "group"), STEPS, ids=[step for step, _, _ in STEPS])
def test_killed_at_each_step(
    step: str,
    arrange: Callable[[Venue, pytest.MonkeyPatch], None],
    group: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A group is there wholly or not at all, as the step says; the next opening goes on without ado."""
    path = tmp_path / "venue.db"
    before, last = (
        set_up(Place("sqlite", str(path), path)),
        [Request(PostOraclePrice(oracle="SOL", price=n), "@admin", Clock.at(0)) for n in (7, 8)],
    )
    child = os.fork()
    if child == 0:
        venue = Venue.open(path)
        arrange(venue, monkeypatch)
        venue.apply_many(last)
        venue.snapshot()
        venue.close()
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == -signal.SIGKILL
    with Venue.open(path) as venue:
        assert venue.sequence == before + (len(last) if group == "there" else 0)
        assert venue.apply(PostOraclePrice(oracle="SOL", price=9), "@admin", at=0).sequence == venue.sequence
        root = venue.root()
    assert replay_venue(path).root == root
