"""The journal in a PostgreSQL database: the same tables as in SQLite, one writer by an advisory lock, any number of
readers on any machine.

A location is ``postgresql://…`` as libpq reads it; ``#name`` at its end names the schema, ``seawall`` where nothing
does: one venue a schema. The writer's lock belongs to the very session that writes, so that a writer which lost its
lock has lost its connection too and cannot write any more. Acknowledged means durable: ``synchronous_commit`` is on in
that session, and a server that runs without ``fsync`` is refused.
"""

from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from typing import Any, Final, LiteralString
from urllib.parse import urldefrag

import psycopg
from psycopg import sql

from seawall.ledger.errors import JournalDamaged, LedgerError, VenueLocked
from seawall.ledger.journal import RESTORE, START, Entry, Tip, tip_of

FORMAT: Final = 1
DEFAULT_SCHEMA: Final = "seawall"
_PAGE: Final = 1000
_KEEPALIVE: Final = {"keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "connect_timeout": 10}
"""How soon a dead connection is noticed on either side (seconds)."""

_TABLES: Final[tuple[LiteralString, ...]] = (
    "CREATE TABLE journal (sequence bigint PRIMARY KEY, unix_timestamp bigint NOT NULL, slot bigint NOT NULL, "
    "signer text NOT NULL, signature bytea NOT NULL, idempotency_key text, instruction bytea NOT NULL, "
    "outcome bytea NOT NULL, hash bytea NOT NULL)",
    "CREATE UNIQUE INDEX journal_idempotency_key ON journal (idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE TABLE results (sequence bigint PRIMARY KEY, data bytea NOT NULL)",
    "CREATE TABLE venue (name text PRIMARY KEY, value bigint)",
)
_COLUMNS: Final[LiteralString] = (
    "sequence, unix_timestamp, slot, signer, signature, idempotency_key, instruction, outcome, hash"
)


class PostgresJournal:
    """A journal in a PostgreSQL database, for one writer or for reading only."""

    def __init__(self, location: str, *, read_only: bool = False) -> None:
        """Open or create the journal, for reading; ``start_writing`` comes before the first ``append``.

        ``VenueLocked`` where another session writes, ``LedgerError`` where the server cannot be reached or would not
        keep what it acknowledged, ``JournalDamaged`` where the tables are not a venue's.
        """
        url, fragment = urldefrag(location)
        self.schema = fragment or DEFAULT_SCHEMA
        self.read_only = read_only
        self.name = f"{_without_password(url)}#{self.schema}"
        self._url = url
        self._reader: psycopg.Connection[Any] | None = None
        self._writer: psycopg.Connection[Any] | None = None
        try:
            if not read_only:
                self.acquire()
            self._reader = self._connect()
            if not self._exists(self._reader):
                if read_only:
                    raise LedgerError(f"there is no venue at {self.name}")
                self._create()
            self._check_format()
            self._tip = self._last()
        except BaseException:
            self.close(in_order=False)
            raise

    # --- opening ----------------------------------------------------------------------------------------------

    def _connect(self) -> "psycopg.Connection[Any]":
        with self._problems():
            connection = psycopg.connect(self._url, autocommit=True, **_KEEPALIVE)  # type: ignore[arg-type]
            connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
            return connection

    def acquire(self) -> None:
        """Become the one writer; ``VenueLocked`` while another session is."""
        if self._writer is not None:
            return
        connection = self._connect()
        with self._problems():
            row = connection.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (self.name_of_lock,))
            if not _one(row):
                connection.close()
                raise VenueLocked(
                    f"{self.name} is being written by another process; a venue has one writer. Close it there first, "
                    "or open this one read-only"
                )
            connection.execute("SET synchronous_commit = on")
            if _one(connection.execute("SHOW fsync")) != "on":
                connection.close()
                raise LedgerError(f"{self.name}: the server runs with fsync off and would lose what it acknowledged")
        self._writer = connection
        self.read_only = False

    @property
    def name_of_lock(self) -> str:
        """What the advisory lock is taken on; the lock itself lies in the database."""
        return f"seawall venue {self.schema}"

    def _exists(self, connection: "psycopg.Connection[Any]") -> bool:
        with self._problems():
            found = connection.execute("SELECT to_regclass(%s)", (f'"{self.schema}".journal',))
            return _one(found) is not None

    def _create(self) -> None:
        assert self._writer is not None
        with self._problems(), self._writer.transaction():
            self._writer.execute(sql.SQL("CREATE SCHEMA IF NOT EXISTS {}").format(sql.Identifier(self.schema)))
            for statement in _TABLES:
                self._writer.execute(statement)
            self._writer.execute("INSERT INTO venue VALUES ('format', %s)", (FORMAT,))

    def _check_format(self) -> None:
        assert self._reader is not None
        with self._problems():
            row = self._reader.execute("SELECT value FROM venue WHERE name = 'format'").fetchone()
        if row is None:
            raise JournalDamaged(f"{self.name}: the tables are not those of a venue. {RESTORE}")
        if row[0] != FORMAT:
            raise JournalDamaged(f"{self.name} has format {row[0]}; this version reads format {FORMAT}")

    def start_writing(self) -> None:
        """Get ready for ``append``: the lock is held already."""
        self.acquire()

    # --- writing ----------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], results: Mapping[int, bytes] | None = None) -> None:
        """Add entries, and the results of some of them, in one durable transaction.

        After an exception the journal may or may not hold them: it must be opened again to know.
        """
        assert self._writer is not None
        with self._problems(), self._writer.transaction(), self._writer.cursor() as cursor:
            copy_journal: LiteralString = f"COPY journal ({_COLUMNS}) FROM STDIN WITH (FORMAT BINARY)"
            with cursor.copy(copy_journal) as copy:
                copy.set_types(("int8", "int8", "int8", "text", "bytea", "text", "bytea", "bytea", "bytea"))
                for entry in entries:
                    copy.write_row(entry)
            if results:
                cursor.executemany("INSERT INTO results VALUES (%s, %s)", list(results.items()))
        self._tip = tip_of(entries[-1])

    def close(self, in_order: bool = True) -> None:
        """Close the connections; the writer's lock goes with its session."""
        for connection in (self._reader, self._writer):
            if connection is not None:
                connection.close()
        self._reader = self._writer = None

    # --- reading ----------------------------------------------------------------------------------------------

    def _rows(self, query: LiteralString, *values: Any) -> list[Any]:
        if self._reader is None:
            raise LedgerError(f"{self.name} is closed")
        with self._problems():
            return self._reader.execute(query, values).fetchall()

    def _last(self) -> Tip:
        rows = self._rows(f"SELECT {_COLUMNS} FROM journal ORDER BY sequence DESC LIMIT 1")
        return tip_of(_entry(rows[0])) if rows else START

    def tip(self) -> Tip:
        """The end of the journal as this opening knows it."""
        return self._tip

    def refresh(self) -> Tip:
        """Look again where the journal ends: what another process wrote since then."""
        self._tip = self._last()
        return self._tip

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order."""
        while True:
            rows = self._rows(
                f"SELECT {_COLUMNS} FROM journal WHERE sequence > %s ORDER BY sequence LIMIT {_PAGE}", after
            )
            if not rows:
                return
            for row in rows:
                yield _entry(row)
            after = rows[-1][0]

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM journal WHERE sequence = %s", sequence)
        return _entry(rows[0]) if rows else None

    def results(self, sequence: int) -> bytes | None:
        """The results of an entry that has any."""
        rows = self._rows("SELECT data FROM results WHERE sequence = %s", sequence)
        return bytes(rows[0][0]) if rows else None

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM journal WHERE idempotency_key = ANY(%s)", list(keys))
        return {row[5]: _entry(row) for row in rows}

    def check_whole(self) -> None:
        """Read every page of every table and count: as many entries as the last number says; ``JournalDamaged``.

        The server checks its pages as it reads them, where it was set up with checksums.
        """
        rows = self._rows("SELECT count(*), coalesce(max(sequence), 0), sum(length(outcome)) FROM journal")
        if rows[0][0] != rows[0][1]:
            raise JournalDamaged(f"{self.name}: {rows[0][0]} entries, but the last is number {rows[0][1]}. {RESTORE}")

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Errors of PostgreSQL as errors of the ledger."""
        try:
            yield
        except psycopg.errors.UndefinedTable as error:
            raise JournalDamaged(f"{self.name}: the tables are not those of a venue: {error}. {RESTORE}") from error
        except psycopg.Error as error:
            raise LedgerError(f"{self.name}: {str(error).strip()}") from error


def _entry(row: Sequence[Any]) -> Entry:
    return Entry(*row)


def _one(cursor: "psycopg.Cursor[Any]") -> Any:
    row = cursor.fetchone()
    return None if row is None else row[0]


def _without_password(url: str) -> str:
    head, at, tail = url.rpartition("@")
    scheme, slashes, user = head.partition("://")
    return f"{scheme}{slashes}{user.partition(':')[0]}{at}{tail}"
