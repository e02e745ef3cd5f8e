"""A venue in each of its stores: what was acknowledged is there, what is asked twice happens once, what is wrong is
refused. The same tests run in memory (where nothing outlives the process), in SQLite and in PostgreSQL."""

import os
import signal
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from support.load import START, accounts, genesis, traffic
from support.stores import Place, statement

from seawall import Clock, Receipt, Request, Venue
from seawall.audit.replay import replay, replay_venue
from seawall.engine import venue as venue_module
from seawall.engine.receipts import decode_receipt
from seawall.instructions.deposits import Deposit
from seawall.instructions.venue_setup import InitializeUser, PostOraclePrice
from seawall.ledger.errors import JournalDamaged, LedgerError, VenueLocked, VenueUnusable
from seawall.ledger.journal import GENESIS
from seawall.ledger.snapshots import snapshots

USERS = 5
AT = Clock.at(START)


def load(venue: Venue, count: int = 40, first: int = 0) -> list[Receipt]:
    """Set the venue up if it is empty, then a mixed load."""
    if venue.sequence == 0:
        setup = [*genesis(), *accounts(USERS)]
        assert all(r.ok for r in venue.apply_many(Request(ix, by, AT) for ix, by in setup))
    mixed = [Request(*traffic(n, USERS), AT, f"key-{n}") for n in range(first, first + count)]
    return list(venue.apply_many(mixed))


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "venue.db"


@pytest.fixture
def venue(anywhere: Place) -> Iterator[Venue]:
    """A venue with a load, in each store."""
    with anywhere.open() as opened:
        load(opened)
        yield opened


@pytest.fixture
def stored(place: Place) -> Iterator[Venue]:
    """A venue with a load, in each store that outlives the process."""
    with place.open() as opened:
        load(opened)
        yield opened


def price(amount: int) -> PostOraclePrice:
    return PostOraclePrice(oracle="SOL", price=amount)


# --- what comes back -------------------------------------------------------------------------------------------


def test_a_closed_venue_comes_back_as_it_was(place: Place) -> None:
    with place.open() as venue:
        receipts = load(venue)
        root, tip = venue.root(), venue.tip
    with place.open() as venue:
        assert (venue.root(), venue.tip) == (root, tip)
        assert venue.recovery.snapshot == 0
        assert venue.recovery.replayed == venue.sequence
        assert [venue.receipt(r.sequence) for r in receipts] == receipts
        assert load(venue, 10, first=100)[0].sequence == tip.sequence + 1


def test_the_database_file_alone_is_a_whole_venue_after_close(path: Path, tmp_path: Path) -> None:
    with Venue.open(path) as venue:
        load(venue)
        root = venue.root()
    copy = tmp_path / "copy.db"
    copy.write_bytes(path.read_bytes())
    with Venue.open(copy) as venue:
        assert venue.root() == root


def test_a_copy_of_an_open_database_is_adopted(path: Path, tmp_path: Path) -> None:
    """SQLite's own backup, taken while the venue is open: nothing tells where it should end, so somebody must."""
    copy = tmp_path / "copy.db"
    with Venue.open(path) as venue:
        load(venue)
        root = venue.root()
        with closing(sqlite3.connect(path)) as source, closing(sqlite3.connect(copy)) as target:
            source.backup(target)
        load(venue, 10, first=100)
    with pytest.raises(JournalDamaged, match="adopt=True"):
        Venue.open(copy)
    with Venue.open(copy, adopt=True) as venue:
        assert venue.root() == root
        load(venue, 10, first=100)


def test_memory_and_disk_give_the_same_receipts_and_the_same_chain(place: Place) -> None:
    memory = Venue()
    with place.open() as venue:
        assert load(venue) == load(memory)
        assert venue.tip == memory.tip
        assert venue.root() == memory.root()
        assert list(venue.journal.entries()) == list(memory.journal.entries())


def test_groups_of_any_size_leave_the_same_journal(place: Place, monkeypatch: pytest.MonkeyPatch) -> None:
    one_by_one = Venue()
    monkeypatch.setattr(venue_module, "GROUP", 1)
    load(one_by_one)
    monkeypatch.setattr(venue_module, "GROUP", 7)
    with place.open() as venue:
        load(venue)
        assert venue.tip == one_by_one.tip


def test_refusals_are_journalled_malformed_instructions_are_not(venue: Venue) -> None:
    before = venue.sequence
    refused = venue.apply(PostOraclePrice(oracle="unknown", price=1), "@admin", AT)
    assert refused.sequence == before + 1
    assert refused.refusal is not None and refused.refusal.error == "OracleNotFound"
    malformed: list[tuple[Any, Any, Any, Any]] = [
        (price(1 << 63), "@admin", AT, None),
        (price("5"), "@admin", AT, None),  # type: ignore[arg-type]
        (price(5.5), "@admin", AT, None),  # type: ignore[arg-type]
        (price(10**5000), "@admin", AT, None),
        (PostOraclePrice(oracle="\ud800", price=1), "@admin", AT, None),
        (InitializeUser(user="@x/70000"), "@x", AT, None),
        (price(5), "nobody's key", AT, None),
        (price(5), "@\ud800", AT, None),
        (price(5), "@a\0b", AT, None),
        (price(5), None, AT, None),
        (price(5), "@admin", Clock(1 << 63, 0), None),
        (price(5), "@admin", Clock(START, -1), None),
        (price(5), "@admin", Clock(START + 0.5, AT.slot), None),  # type: ignore[arg-type]
        (price(5), "@admin", AT, ""),
        (price(5), "@admin", AT, "x" * 201),
        (price(5), "@admin", AT, "line\nbreak"),
        (price(5), "@admin", AT, 5),
    ]
    for instruction, signer, at, key in malformed:
        receipt = venue.apply(instruction, signer, at, key)
        assert receipt.sequence == 0, (instruction, signer, at, key)
        assert receipt.refusal is not None and receipt.refusal.error == "InvalidInstruction"
    assert venue.sequence == before + 1


def test_what_is_executed_is_what_is_journalled(venue: Venue) -> None:
    """An instruction built in Python with a bool for a number is refused, not journalled as something else."""
    assert venue.apply(price(True), "@admin", AT).sequence == 0
    entry = venue.journal.entry(venue.sequence)
    assert entry is not None and b"true" not in entry.instruction


@pytest.mark.parametrize("name", ["a venue.db", "?mode=ro#x.db", "[a-z]*.db", "%41.db", "ä.db"])
def test_any_file_name_will_do(tmp_path: Path, name: str) -> None:
    directory = tmp_path / "100% [of] it?"
    directory.mkdir()
    with Venue.open(str(directory / name)) as venue:
        load(venue)
        venue.snapshot()
        root = venue.root()
    assert (directory / name).exists() and len(snapshots(directory / name)) == 1
    with Venue.open(directory / name) as venue:
        assert venue.root() == root and venue.recovery.replayed == 0


# --- idempotency -----------------------------------------------------------------------------------------------


def test_a_repeated_key_returns_the_first_receipt(place: Place) -> None:
    """In the same group, in a later one, after a restart; for refusals too; whatever the time of the repetition."""
    deposit = Request(Deposit(user="@u0", market_index=0, amount=7), "@u0", AT, "deposit")
    refused = Request(PostOraclePrice(oracle="unknown", price=1), "@admin", AT, "refused")
    with place.open() as venue:
        load(venue)
        first = venue.apply_many([deposit, refused, deposit])
        assert first[2] == first[0]
        sequence, root = venue.sequence, venue.root()
        assert venue.apply_many([refused, deposit._replace(at=Clock.at(0))]) == [first[1], first[0]]
    with place.open() as venue:
        assert venue.apply_many([deposit, refused]) == list(first[:2])
        assert (venue.sequence, venue.root()) == (sequence, root)


@pytest.mark.parametrize("where", ["the same group", "a later group", "after a restart"])
def test_another_instruction_under_a_used_key_is_refused(place: Place, where: str) -> None:
    request = Request(price(5), "@admin", AT, "key")
    others = [request._replace(instruction=price(6)), request._replace(signer="@u0")]
    with place.open() as venue:
        load(venue)
        receipts = venue.apply_many([request, *(others if where == "the same group" else [])])[1:]
        sequence = venue.sequence
        if where == "a later group":
            receipts = venue.apply_many(others)
    if where == "after a restart":
        with place.open() as venue:
            receipts = venue.apply_many(others)
            assert venue.sequence == sequence
    assert [r.refusal.error for r in receipts if r.refusal] == ["IdempotencyConflict"] * 2
    assert [r.sequence for r in receipts] == [0, 0]


def test_a_key_of_a_request_that_was_not_admitted_is_still_free(venue: Venue) -> None:
    assert venue.apply(price(5), "@admin", Clock.at(START - 1), "late").sequence == 0
    assert venue.apply(price(5), "@admin", AT, "late").ok


# --- time ------------------------------------------------------------------------------------------------------


def test_time_does_not_run_backwards(place: Place) -> None:
    """Neither unix time nor slot; the same time again is fine; also within a group and after a restart."""
    with place.open() as venue:
        load(venue)
        assert venue.apply(price(5), "@admin", AT).ok
        late = [Clock(START - 1, AT.slot), Clock(START, AT.slot - 1), Clock(START + 1, AT.slot - 1)]
        ahead = Request(price(5), "@admin", Clock.at(START + 10))
        receipts = venue.apply_many([*(Request(price(6), "@admin", at) for at in late), ahead, ahead._replace(at=AT)])
        assert [r.refusal.error if r.refusal else "ok" for r in receipts] == [
            "ClockWentBackwards", "ClockWentBackwards", "ClockWentBackwards", "ok", "ClockWentBackwards",
        ]  # fmt: skip
        assert venue.receipt(venue.sequence) == receipts[3]
    with place.open() as venue:
        refused = venue.apply(price(5), "@admin", AT)
        assert refused.refusal is not None and refused.refusal.error == "ClockWentBackwards"
        assert str(START + 10) in refused.refusal.message


# --- dry runs --------------------------------------------------------------------------------------------------


def test_a_dry_run_tells_the_receipt_and_changes_nothing(venue: Venue) -> None:
    root, tip = venue.root(), venue.tip
    deposit = Deposit(user="@u0", market_index=0, amount=7)
    told = [venue.dry_run(deposit, "@u0", AT), venue.dry_run(deposit, "@u1", AT), venue.dry_run(deposit, "@u0", 5)]
    assert (venue.root(), venue.tip) == (root, tip)
    real = venue.apply(deposit, "@u0", AT)
    assert told[0].transfers == real.transfers and told[0].events == real.events
    assert told[1].refusal is not None and told[1].refusal.error == "Unauthorized"
    assert told[2].refusal is not None and told[2].refusal.error == "ClockWentBackwards"
    assert {r.sequence for r in told} == {0}


# --- one writer ------------------------------------------------------------------------------------------------


def test_a_second_writer_is_refused_a_reader_is_not(place: Place, stored: Venue) -> None:
    with pytest.raises(VenueLocked, match=str(os.getpid())):
        place.open()
    with place.open(read_only=True) as reader:
        assert reader.root() == stored.root()
        refused = reader.apply(price(5), "@admin", AT)
        assert refused.refusal is not None and refused.refusal.error == "AccountFrozen"
        assert reader.dry_run(price(5), "@admin", AT).ok
        with pytest.raises(LedgerError, match="for writing"):
            reader.snapshot()
    assert stored.apply(price(5), "@admin", AT).ok


def test_a_reader_sees_the_venue_as_it_was_when_opened(place: Place, stored: Venue) -> None:
    with place.open(read_only=True) as reader:
        before = reader.root()
        load(stored, 50, first=500)
        assert reader.root() == before
    with place.open(read_only=True) as reader:
        assert reader.root() == stored.root()


def test_the_lock_dies_with_its_process(place: Place) -> None:
    heard, tell = os.pipe()
    child = os.fork()
    if child == 0:
        held = place.open()
        load(held)
        os.write(tell, b"open")
        signal.pause()
    assert os.read(heard, 4) == b"open"
    try:
        with pytest.raises(VenueLocked, match=f"pid {child}"):
            place.open()
    finally:
        os.kill(child, signal.SIGKILL)
        os.waitpid(child, 0)
        os.close(heard)
        os.close(tell)
    with place.open_soon() as venue:
        assert venue.sequence > USERS


def test_a_forked_child_may_not_use_its_parents_venue(venue: Venue) -> None:
    child = os.fork()
    if child == 0:
        try:
            venue.apply(price(5), "@admin", AT)
        except VenueUnusable:
            os._exit(0)
        os._exit(1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


# --- failures while running ------------------------------------------------------------------------------------


def test_after_a_failed_commit_the_venue_is_unusable_and_comes_back_on_opening(path: Path) -> None:
    """A full disk: memory is ahead of the disk, so nothing more is done with it; nothing acknowledged is lost."""
    venue = Venue.open(path)
    acknowledged = load(venue)
    tip, root = venue.tip, venue.root()
    writer = venue.journal._writer  # type: ignore[attr-defined]
    (pages,) = writer.execute("PRAGMA page_count").fetchone()
    writer.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(VenueUnusable, match=r"disk is full.*open the venue again"):
        load(venue, 2000, first=1000)
    for attempt in (
        lambda: venue.apply(price(5), "@admin", AT),
        venue.snapshot,
        lambda: venue.dry_run(price(5), "@a", AT),
    ):
        with pytest.raises(VenueUnusable):
            attempt()
    venue.close()
    with Venue.open(path) as venue:
        assert (venue.tip, venue.root()) == (tip, root)
        assert venue.receipt(acknowledged[-1].sequence) == acknowledged[-1]
        assert all(r.sequence for r in load(venue, 2000, first=1000))


def test_a_fault_of_the_software_stops_nothing_but_its_instruction(
    stored: Venue, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """An exception that is no refusal reaches the caller; what was executed before it is durable; the venue goes on."""
    before = stored.sequence
    attempt = stored._machine.attempt

    def faulty(instruction: Any, *others: Any) -> Any:
        if instruction == price(13):
            raise RuntimeError("a bug")
        return attempt(instruction, *others)

    monkeypatch.setattr(stored._machine, "attempt", faulty)
    with pytest.raises(RuntimeError, match="a bug"):
        stored.apply_many([Request(price(n), "@admin", AT) for n in (11, 12, 13, 14)])
    assert stored.sequence == before + 2
    assert stored.apply(price(15), "@admin", AT).sequence == before + 3
    with place.open(read_only=True) as reader:
        assert reader.root() == stored.root()


def test_an_interruption_between_state_and_journal_makes_the_venue_unusable(
    stored: Venue, place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    tip = stored.tip
    settle = stored._machine.settle

    def interrupted(receipt: Receipt, changes: Any) -> None:
        settle(receipt, changes)
        raise KeyboardInterrupt

    monkeypatch.setattr(stored._machine, "settle", interrupted)
    with pytest.raises(KeyboardInterrupt):
        stored.apply(price(5), "@admin", AT)
    with pytest.raises(VenueUnusable, match="interrupted"):
        stored.apply(price(5), "@admin", AT)
    stored.close()
    with place.open(read_only=True) as reader:
        assert reader.tip == tip


def test_all_or_none_undoes_everything_or_leaves_the_venue_unusable(
    place: Place, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A receipt that is not acceptable: the state is as before, and so is the journal. Interrupted half way through a
    change nobody knows what to undo, and the venue says so."""
    group = [*[Request(*traffic(n, USERS), AT, f"group-{n}") for n in range(200, 230)], Request(price(0), "@u0", AT)]
    with place.open() as venue:
        load(venue)
        before = venue.tip, venue.root(), venue._machine.effects
        refused = venue.apply_all_or_none(group, lambda receipt: receipt.signer != "@u0" or receipt.sequence == 0)
        assert 0 < len(refused) < len(group)
        assert (venue.tip, venue.root(), venue._machine.effects) == before
        assert venue.apply(price(5), "@admin", AT, "group-200").sequence == before[0].sequence + 1
        whole = venue.apply_all_or_none(group[1:-1], lambda receipt: True)
        assert venue.sequence == whole[-1].sequence
        root, tip = venue.root(), venue.tip
        settle = venue._machine.settle

        def interrupted(receipt: Receipt, changes: Any) -> None:
            if receipt.sequence == tip.sequence + 3:
                raise KeyboardInterrupt
            settle(receipt, changes)

        monkeypatch.setattr(venue._machine, "settle", interrupted)
        again = [request._replace(idempotency_key=None) for request in group]
        with pytest.raises(KeyboardInterrupt):
            venue.apply_all_or_none(again, lambda receipt: True)
        with pytest.raises(VenueUnusable, match="interrupted"):
            venue.apply(price(5), "@admin", AT)
    with place.open() as venue:
        assert (venue.root(), venue.tip) == (root, tip)


def test_a_closed_venue_says_so(venue: Venue) -> None:
    venue.close()
    venue.close()
    with pytest.raises(VenueUnusable, match="closed"):
        venue.apply(price(5), "@admin", AT)


# --- snapshots -------------------------------------------------------------------------------------------------


def test_recovery_from_a_snapshot_equals_recovery_from_genesis(place: Place) -> None:
    with place.open() as venue:
        load(venue)
        taken = venue.sequence
        assert venue.snapshot().name.endswith(f"{taken:015d}")
        load(venue, 20, first=100)
        root, tip = venue.root(), venue.tip
    with place.open() as venue:
        assert venue.recovery[:2] == (taken, tip.sequence - taken)
        assert (venue.root(), venue.tip) == (root, tip)
        again = load(venue, 20, first=200)
        later = venue.root()
    for snapshot in snapshots(place.beside):
        snapshot.unlink()
    with place.open() as venue:
        assert venue.recovery.snapshot == 0
        assert venue.root() == later
        assert venue.receipt(again[-1].sequence) == again[-1]


def test_a_running_venue_takes_snapshots_and_keeps_two(place: Place) -> None:
    with place.open(snapshot_every=50) as venue:
        for first in range(0, 400, 20):
            load(venue, 20, first)
        assert len(snapshots(place.beside)) == 2
        assert venue.sequence - int(snapshots(place.beside)[-1].name.rpartition("-")[2]) < 50 + 20


def test_a_mapped_snapshot_is_never_written_to(place: Place) -> None:
    """Enough accounts that whole chunks are mapped: changing them changes memory, not the file."""
    with place.open() as venue:
        load(venue)
        many = 40_000
        venue.apply_many(Request(InitializeUser(user=f"@many{n}"), f"@many{n}", AT) for n in range(many))
        snapshot = venue.snapshot()
        before = snapshot.read_bytes()
    with place.open() as venue:
        assert venue.recovery.replayed == 0
        for number in (0, 1, many // 2, many - 1):
            user = f"@many{number}"
            assert venue.apply(Deposit(user=user, market_index=0, amount=9), user, AT).ok
        root = venue.root()
    assert snapshot.read_bytes() == before
    with place.open() as venue:
        assert venue.recovery.replayed == 4
        assert venue.root() == root


def test_a_snapshot_that_cannot_be_written_stops_nothing(
    place: Place, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def full(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(venue_module, "take_snapshot", full)
    with place.open(snapshot_every=10) as venue:
        assert all(r.sequence for r in load(venue))
        assert "No space left" in caplog.text
        with pytest.raises(OSError, match="No space left"):
            venue.snapshot()
        assert venue.apply(price(5), "@admin", AT).ok


# --- the journal itself ----------------------------------------------------------------------------------------


def test_the_chain_starts_at_genesis_and_covers_every_column(venue: Venue) -> None:
    from seawall.ledger.journal import hash_of

    previous = GENESIS
    for entry in venue.journal.entries():
        assert hash_of(entry, previous) == entry.hash
        for changed in (
            entry._replace(sequence=entry.sequence + 1), entry._replace(unix_timestamp=entry.unix_timestamp + 1),
            entry._replace(slot=entry.slot + 1), entry._replace(signer=entry.signer + "x"),
            entry._replace(signature=b"x"), entry._replace(idempotency_key=(entry.idempotency_key or "") + "x"),
            entry._replace(instruction=entry.instruction + b" "), entry._replace(outcome=entry.outcome[:-1]),
            entry._replace(outcome=entry.instruction[-1:] + entry.outcome, instruction=entry.instruction[:-1]),
        ):  # fmt: skip
            assert hash_of(changed, previous) != entry.hash
        if entry.idempotency_key is None:
            assert hash_of(entry._replace(idempotency_key=""), previous) != entry.hash
        previous = entry.hash
    assert previous == venue.tip.hash


def test_the_whole_journal_replays_from_genesis(place: Place, stored: Venue) -> None:
    stored.snapshot()
    load(stored, 400, first=1000)
    replayed = replay_venue(place.location, snapshots=place.beside)
    assert replayed.root == stored.root()
    assert replayed.tip == stored.tip
    assert len(replayed.snapshots) == 1
    assert replayed.reworded == [] and replayed.findings == []
    assert replayed.refused == sum(
        not decode_receipt(entry.outcome).ok for entry in stored.journal.entries()
    ) > 0  # fmt: skip
    assert replay(stored.journal).root == replayed.root


def test_the_journal_is_plain_sqlite(path: Path) -> None:
    """Anyone may read it with SQLite's own tools, also while the venue is open."""
    with Venue.open(path) as venue:
        load(venue)
        connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True)
        (count,) = connection.execute("SELECT count(*) FROM journal WHERE signature = x''").fetchone()
        connection.close()
        assert count == venue.sequence


def test_the_journal_is_plain_postgresql(in_postgres: Place) -> None:
    """Anyone who may read the tables may read it with any client, also while the venue is open."""
    with in_postgres.open() as venue:
        load(venue)
        ((count,),) = statement(in_postgres, "SELECT count(*) FROM journal WHERE signature = ''")
        assert count == venue.sequence
