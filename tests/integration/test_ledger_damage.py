"""Flipped bytes, truncated, missing and exchanged files: refused with an error that says what to do, never repaired.

Where a flip hits a byte that nothing depends on (a free page, a counter of SQLite's), opening may succeed; then the
venue must be exactly what it was. There is no third outcome.
"""

import os
import random
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest
from support.load import START, accounts, genesis, traffic

from seawall import Clock, Request, Venue
from seawall.audit.replay import replay_venue
from seawall.ledger.errors import JournalDamaged, LedgerError, ReplayDiffers, SnapshotDamaged
from seawall.ledger.snapshots import read_header, snapshots

USERS = 5
FLIPS = 100


def requests(first: int, count: int) -> list[Request]:
    return [Request(*traffic(n, USERS), Clock.at(START), f"key-{n}") for n in range(first, first + count)]


def fill(venue: Venue) -> None:
    venue.apply_many(Request(ix, by, Clock.at(START)) for ix, by in [*genesis(), *accounts(USERS)])
    venue.apply_many(requests(0, 100))


@pytest.fixture(scope="module")
def closed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a venue that was closed, with a snapshot in the middle of its journal."""
    directory = tmp_path_factory.mktemp("closed")
    with Venue.open(directory / "venue.db") as venue:
        fill(venue)
        venue.snapshot()
        venue.apply_many(requests(100, 60))
    return directory


@pytest.fixture(scope="module")
def killed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The directory of a venue whose process was killed: its last commits are in the write-ahead log."""
    directory = tmp_path_factory.mktemp("killed")
    child = os.fork()
    if child == 0:
        venue = Venue.open(directory / "venue.db")
        fill(venue)
        for first in range(100, 160, 6):
            venue.apply_many(requests(first, 6))
        os.kill(os.getpid(), signal.SIGKILL)
    os.waitpid(child, 0)
    assert (directory / "venue.db-wal").stat().st_size > 0
    return directory


def copy_of(directory: Path, tmp_path: Path) -> Path:
    """A fresh copy of a venue's directory; the path of its database."""
    target = tmp_path / "copy"
    shutil.rmtree(target, ignore_errors=True)
    shutil.copytree(directory, target)
    (target / "venue.db-shm").unlink(missing_ok=True)
    return target / "venue.db"


def contents(path: Path) -> dict[str, bytes]:
    """Every file of a venue but those that say nothing about it."""
    return {p.name: p.read_bytes() for p in path.parent.iterdir() if not p.name.endswith(("-lock", "-shm"))}


def state(path: Path) -> tuple[object, ...]:
    """Everything a venue tells: tip, root, all receipts, and the first receipt under every key."""
    with Venue.open(path, read_only=True) as venue:
        entries = list(venue.journal.entries())
        keys = [e.idempotency_key for e in entries if e.idempotency_key is not None]
        return venue.tip, venue.root(), entries, venue.journal.by_key(keys)


def refused_or_unchanged(path: Path, expected: tuple[object, ...], where: str) -> bool:
    """Open for writing: refused, with the files left as they are, or exactly as it was. Whether it was refused."""
    before = contents(path)
    try:
        venue = Venue.open(path)
    except LedgerError as error:
        assert str(path.parent) in str(error), f"{where}: the message names no file: {error}"
        after = contents(path)
        assert {n: d for n, d in after.items() if d} == {n: d for n, d in before.items() if d}, (
            f"{where}: files changed"
        )
        return True
    venue.close()
    assert state(path) == expected, f"{where}: opened, but it is not what it was"
    return False


def flips(data: bytes, count: int, seed: int) -> list[int]:
    return sorted(random.Random(seed).sample(range(len(data)), min(count, len(data))))


# --- flipped bytes ---------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("which", "file"), [("closed", "venue.db"), ("killed", "venue.db-wal")])
def test_a_flipped_byte_in_the_journal_is_refused(
    which: str, file: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    """Replay from genesis (no snapshot left): any byte of any entry is covered by the hash chain."""
    directory = request.getfixturevalue(which)
    path = copy_of(directory, tmp_path)
    for snapshot in snapshots(path):
        snapshot.unlink()
    whole = contents(path)
    expected = state(path)
    refused = 0
    places = flips(whole[file], FLIPS, 1)
    for at in places:
        for name, data in whole.items():
            (path.parent / name).write_bytes(data)
        damaged = bytearray(whole[file])
        damaged[at] ^= 1 << (at % 8)
        (path.parent / file).write_bytes(damaged)
        refused += refused_or_unchanged(path, expected, f"{file} byte {at}")
    assert refused > len(places) // 2


def test_a_flipped_byte_of_every_entry_is_found_by_its_number(closed: Path, tmp_path: Path) -> None:
    """A byte changed through SQLite itself, so that every page is in order: only the chain can tell."""
    import sqlite3

    for sequence in (1, 20, 100, 150):
        path = copy_of(closed, tmp_path)
        for snapshot in snapshots(path):
            snapshot.unlink()
        connection = sqlite3.connect(path)
        (outcome,) = connection.execute("SELECT outcome FROM journal WHERE sequence = ?", (sequence,)).fetchone()
        changed = bytearray(outcome)
        changed[len(changed) // 2] ^= 1
        connection.execute("UPDATE journal SET outcome = ? WHERE sequence = ?", (bytes(changed), sequence))
        connection.commit()
        connection.close()
        with pytest.raises(JournalDamaged, match=rf"entry {sequence} is not what was written"):
            Venue.open(path)


def test_what_lies_before_the_snapshot_is_verified_by_the_audit(closed: Path, tmp_path: Path) -> None:
    """Opening verifies from the snapshot on, and says so; the audit verifies all."""
    import sqlite3

    path = copy_of(closed, tmp_path)
    connection = sqlite3.connect(path)
    connection.execute("UPDATE journal SET signer = '@mallory' WHERE sequence = 30")
    connection.commit()
    connection.close()
    with Venue.open(path, read_only=True) as venue:
        assert venue.recovery.snapshot > 30
    with pytest.raises(JournalDamaged, match="entry 30 is not what was written"):
        replay_venue(path)


def test_a_flipped_byte_in_a_snapshot_is_refused_by_name(closed: Path, tmp_path: Path) -> None:
    path = copy_of(closed, tmp_path)
    expected = state(path)
    (snapshot,) = snapshots(path)
    whole = snapshot.read_bytes()
    header_end = whole.index(b"\n")
    rows = [at for table in read_header(snapshot).tables for at in range(table.offset, table.offset + table.size)]
    refused = 0
    places = [*flips(whole[:header_end], 40, 2), *random.Random(3).sample(rows, 40), len(whole) - 1]
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 0x10
        snapshot.write_bytes(damaged)
        try:
            Venue.open(path).close()
        except SnapshotDamaged as error:
            assert snapshot.name in str(error) and "Delete this file" in str(error)
            assert snapshot.read_bytes() == damaged
            refused += 1
        else:
            assert at == len(whole) - 1, f"byte {at}"  # the padding behind the last row means nothing
    assert refused == 80
    snapshot.unlink()
    assert state(path) == expected


def test_a_flipped_byte_in_the_head_weakens_or_refuses(killed: Path, tmp_path: Path) -> None:
    """One of its two notes may go (the other is one commit older); with both gone the venue is refused."""
    path = copy_of(killed, tmp_path)
    expected = state(path)
    head = path.parent / "venue.db-head"
    whole = bytearray(head.read_bytes())
    for at in (3, 20, 512 + 9):
        damaged = bytearray(whole)
        damaged[at] ^= 1
        head.write_bytes(damaged)
        assert state(path) == expected
    whole[5] ^= 1
    whole[512 + 5] ^= 1
    head.write_bytes(whole)
    with pytest.raises(JournalDamaged, match=r"venue\.db-head is damaged"):
        Venue.open(path)


# --- truncated files -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("which", "file"), [("closed", "venue.db"), ("killed", "venue.db"), ("killed", "venue.db-wal")]
)
def test_a_truncated_journal_is_refused(which: str, file: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """Cut anywhere, also exactly between two commits of the write-ahead log, where SQLite itself notices nothing."""
    path = copy_of(request.getfixturevalue(which), tmp_path)
    expected = state(path)
    whole = contents(path)
    size = len(whole[file])
    frame = 24 + 8192
    cuts = {0, 1, 100, size // 2, size - 1, size - frame, size - 3 * frame, *flips(whole[file], 25, 4)}
    refused = 0
    for cut in sorted(c for c in cuts if 0 <= c < size):
        for name, data in whole.items():
            (path.parent / name).write_bytes(data)
        with (path.parent / file).open("r+b") as handle:
            handle.truncate(cut)
        refused += refused_or_unchanged(path, expected, f"{file} cut at {cut}")
    assert refused >= len(cuts) - 1


def test_a_truncated_snapshot_is_refused_by_name(closed: Path, tmp_path: Path) -> None:
    path = copy_of(closed, tmp_path)
    (snapshot,) = snapshots(path)
    whole = snapshot.read_bytes()
    for cut in (0, 1, 50, 1 << 16, (1 << 16) + 1, len(whole) // 2):
        snapshot.write_bytes(whole[:cut])
        with pytest.raises(SnapshotDamaged, match=snapshot.name):
            Venue.open(path)


# --- missing and exchanged files -------------------------------------------------------------------------------


def remove(*names: str) -> Callable[[Path], None]:
    def act(path: Path) -> None:
        for name in names:
            (path.parent / name).unlink()

    return act


MISSING: list[tuple[str, Callable[[Path], None], str]] = [
    ("killed", remove("venue.db-wal"), "entries were acknowledged|damaged"),
    ("killed", remove("venue.db-head"), "venue.db-head is missing"),
    ("killed", remove("venue.db"), "is missing, but venue.db-head shows"),
    ("closed", remove("venue.db"), "is missing, but venue.db-head shows"),
]


@pytest.mark.parametrize(("which", "act", "message"), MISSING)
def test_a_missing_file_is_noticed(
    which: str, act: Callable[[Path], None], message: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    path = copy_of(request.getfixturevalue(which), tmp_path)
    act(path)
    before = contents(path)
    with pytest.raises(JournalDamaged, match=message):
        Venue.open(path)
    assert {n: d for n, d in contents(path).items() if d} == {n: d for n, d in before.items() if d}


def test_an_older_copy_is_refused_unless_adopted(tmp_path: Path) -> None:
    path = tmp_path / "venue.db"
    with Venue.open(path) as venue:
        fill(venue)
        older = venue.tip
    backup = path.read_bytes()
    with Venue.open(path) as venue:
        venue.apply_many(requests(100, 10))
    path.write_bytes(backup)
    with pytest.raises(JournalDamaged, match="adopt=True"):
        Venue.open(path)
    with Venue.open(path, adopt=True) as venue:
        assert venue.tip == older
        venue.apply_many(requests(200, 10))
    with Venue.open(path) as venue:
        assert venue.sequence == older.sequence + 10


def test_a_snapshot_of_another_venue_or_of_the_future_is_refused(closed: Path, tmp_path: Path) -> None:
    path = copy_of(closed, tmp_path)
    (snapshot,) = snapshots(path)
    other = tmp_path / "other.db"
    with Venue.open(other) as venue:
        venue.apply_many(Request(ix, by, Clock.at(START - 1)) for ix, by in [*genesis(), *accounts(USERS)])
        venue.apply_many(requests(500, 200))
        sequence = int(snapshot.name.rpartition("-")[2])
    shutil.copy(snapshot, f"{other}-snapshot-{sequence:015d}")
    with pytest.raises(SnapshotDamaged, match="does not belong to this journal"):
        Venue.open(other)
    short = tmp_path / "short.db"
    with Venue.open(short) as venue:
        venue.apply_many(Request(ix, by, Clock.at(START)) for ix, by in genesis())
    shutil.copy(snapshot, f"{short}-snapshot-{sequence:015d}")
    with pytest.raises(JournalDamaged, match="delete the snapshot"):
        Venue.open(short)


def test_other_files_are_not_taken_for_a_venue(tmp_path: Path) -> None:
    import sqlite3

    path = tmp_path / "venue.db"
    path.write_bytes(b"")
    with pytest.raises(JournalDamaged, match="is empty"):
        Venue.open(path)
    path.write_text("not a database, but long enough to be looked at " * 10)
    with pytest.raises(JournalDamaged, match="not a database"):
        Venue.open(path)
    path.unlink()
    connection = sqlite3.connect(path)
    connection.execute("CREATE TABLE journal (sequence INTEGER)")
    connection.commit()
    connection.close()
    with pytest.raises(JournalDamaged, match="not a venue's"):
        Venue.open(path)
    with pytest.raises(LedgerError, match="no venue at"):
        Venue.open(tmp_path / "nowhere.db", read_only=True)
    assert not (tmp_path / "nowhere.db").exists()
    with pytest.raises(LedgerError, match="no directory"):
        Venue.open(tmp_path / "no" / "venue.db")


def test_a_journal_of_other_rules_is_not_taken_for_damage(
    closed: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The chain is right but an instruction has another outcome: the software is another, and the message says that."""
    from seawall.engine.handlers import DRIFT_HANDLERS
    from seawall.instructions.venue_setup import PostOraclePrice

    path = copy_of(closed, tmp_path)
    for snapshot in snapshots(path):
        snapshot.unlink()
    handler = DRIFT_HANDLERS[PostOraclePrice]

    def other(tx, ix):  # type: ignore[no-untyped-def]
        handler(tx, ix)
        tx.write_oracle(tx.oracle_by_name(ix.oracle)).conf += 1

    monkeypatch.setitem(DRIFT_HANDLERS, PostOraclePrice, other)
    with pytest.raises(ReplayDiffers, match="written by a version with other rules"):
        Venue.open(path)
