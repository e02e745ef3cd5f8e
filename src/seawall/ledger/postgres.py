"""The journal in a PostgreSQL database: the same tables as in SQLite, one writer by an advisory lock, any number of
readers on any machine.

A location is ``postgresql://…`` as libpq reads it; ``#name`` at its end names the schema, ``seawall`` where nothing
does: one venue a schema. The writer's lock belongs to the very session that writes, so that a writer which lost its
lock has lost its connection too and cannot write any more; should two sessions write all the same, the second entry
of a number is refused by the table itself. Acknowledged means durable: ``synchronous_commit`` is on in that session,
and a server that runs without ``fsync``, or only follows another server, is refused.

Reading reconnects by itself; writing never does, for nobody can tell what became of the last commit.
"""

import os
import socket
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from threading import Lock
from typing import Any, Final, LiteralString
from urllib.parse import unquote, urldefrag

import psycopg
from psycopg import sql
from psycopg.conninfo import conninfo_to_dict

from seawall.ledger.errors import JournalDamaged, LedgerError, VenueLocked
from seawall.ledger.journal import RESTORE, START, Entry, Tip, tip_of

FORMAT: Final = 1
DEFAULT_SCHEMA: Final = "seawall"
_PAGE: Final = 1000
_NAME_BYTES: Final = 63
"""Longest name that PostgreSQL does not cut short."""

_PARAMETERS: Final = {
    "keepalives_idle": 5, "keepalives_interval": 2, "keepalives_count": 3, "tcp_user_timeout": 15_000,
    "connect_timeout": 10,
}  # fmt: skip
"""How soon this side notices a dead connection (seconds; the one in between milliseconds), unless the location says."""

_NUMBERS: Final = ("port", *_PARAMETERS)

_SESSION: Final[Mapping[str, str]] = {
    # how soon the server notices a dead client, and lets go of its lock
    "tcp_keepalives_idle": "5", "tcp_keepalives_interval": "2", "tcp_keepalives_count": "3",
    "tcp_user_timeout": "15000",
    # a session that waits for its next commit is not to be ended for that
    "idle_session_timeout": "0", "idle_in_transaction_session_timeout": "0", "transaction_timeout": "0",
    "statement_timeout": "0", "lock_timeout": "0", "synchronous_commit": "on", "default_transaction_read_only": "off",
}  # fmt: skip

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
_TYPES: Final = ("int8", "int8", "int8", "text", "bytea", "text", "bytea", "bytea", "bytea")
_EXPECTED: Final = {
    "table journal": "p sequence bigint!, unix_timestamp bigint!, slot bigint!, signer text!, signature bytea!, "
    "idempotency_key text, instruction bytea!, outcome bytea!, hash bytea!",
    "table results": "p sequence bigint!, data bytea!",
    "table venue": "p name text!, value bigint",
    "index journal_pkey": "journal sequence",
    "index results_pkey": "results sequence",
    "index venue_pkey": "venue name",
    "index journal_idempotency_key": "journal idempotency_key (idempotency_key IS NOT NULL)",
}
"""What ``_DESCRIBE`` says of a venue's tables (p: they outlive a crash) and of its unique indices."""

_DESCRIBE: Final[LiteralString] = """
    SELECT 'table ' || c.relname, c.relpersistence::text || ' ' || string_agg(
        a.attname || ' ' || format_type(a.atttypid, a.atttypmod) || CASE WHEN a.attnotnull THEN '!' ELSE '' END,
        ', ' ORDER BY a.attnum)
    FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attnum > 0 AND NOT a.attisdropped
    WHERE c.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND c.relkind IN ('r', 'p', 'v', 'm', 'f')
    AND c.relname IN ('journal', 'results', 'venue') GROUP BY c.oid, c.relname, c.relpersistence
    UNION ALL
    SELECT 'index ' || x.relname, t.relname || ' ' || pg_get_indexdef(i.indexrelid, 1, true)
        || coalesce(' ' || pg_get_expr(i.indpred, i.indrelid), '')
    FROM pg_index i JOIN pg_class x ON x.oid = i.indexrelid JOIN pg_class t ON t.oid = i.indrelid
    WHERE x.relnamespace = to_regnamespace(quote_ident(%(schema)s)) AND i.indisunique AND i.indisvalid
    AND i.indnatts = 1 AND t.relname IN ('journal', 'results', 'venue')
"""


class PostgresJournal:
    """A journal in a PostgreSQL database, for one writer or for reading only."""

    def __init__(self, location: str, *, read_only: bool = False) -> None:
        """Open or create the journal, for reading; ``start_writing`` comes before the first ``append``.

        ``VenueLocked`` where another session writes, ``LedgerError`` where the server cannot be reached or would not
        keep what it acknowledged, ``JournalDamaged`` where the tables are not a venue's.
        """
        url, fragment = urldefrag(location)
        self.schema = unquote(fragment) or DEFAULT_SCHEMA
        self.read_only = read_only
        self._parameters = _parameters(url)
        self.name = _shown(self._parameters, self.schema)
        if len(self.schema.encode()) > _NAME_BYTES or "\0" in self.schema:
            raise LedgerError(f"{self.name}: the name of a schema has at most {_NAME_BYTES} bytes, none of them zero")
        self._reader: psycopg.Connection[Any] | None = None
        self._writer: psycopg.Connection[Any] | None = None
        self._candidate: psycopg.Connection[Any] | None = None
        """A session that waits for the lock."""
        self._closed = False
        self._reconnecting = Lock()
        try:
            if not read_only:
                self.acquire()
            self._reader = self._connect()
            self._check_or_create()
            self._tip = self._last()
        except BaseException:
            self.close(in_order=False)
            raise

    # --- opening ----------------------------------------------------------------------------------------------

    def _connect(self) -> "psycopg.Connection[Any]":
        with self._problems():
            connection = psycopg.connect(**self._parameters, autocommit=True)
            try:
                connection.execute(sql.SQL("SET search_path TO {}").format(sql.Identifier(self.schema)))
                encoding = _one(connection.execute("SHOW server_encoding"))
            except BaseException:
                connection.close()
                raise
        if encoding != "UTF8":
            connection.close()
            raise LedgerError(f"{self.name}: the database keeps text as {encoding}. Create it with ENCODING 'UTF8'")
        return connection

    def acquire(self) -> None:
        """Become the one writer; ``VenueLocked`` while another session is.

        ``LedgerError`` where the server cannot be reached, or would not keep what it acknowledges.
        """
        if self._writer is not None:
            return
        candidate = self._candidate or self._connect()
        self._candidate = candidate
        try:
            with self._problems():
                self._require_durable(candidate)
                held = candidate.execute("SELECT pg_try_advisory_lock(hashtextextended(%s, 0))", (self._lock_name,))
                if not _one(held):
                    raise VenueLocked(
                        f"{self.name} is being written by another process ({self._holder(candidate)}); a venue has "
                        "one writer. Close it there first, or open this one read-only"
                    )
                candidate.execute(
                    "SELECT set_config(name, value, false) FROM unnest(%s::text[], %s::text[]) AS wanted(name, value) "
                    "WHERE name IN (SELECT name FROM pg_settings)",
                    (list(_SESSION), list(_SESSION.values())),
                )
        except VenueLocked:
            raise
        except BaseException:
            self._candidate = None
            candidate.close()
            raise
        self._writer, self._candidate = candidate, None
        self.read_only = False

    @property
    def _lock_name(self) -> str:
        """What the advisory lock is taken on; the lock itself lies in the database."""
        return f"seawall venue {self.schema}"

    def _require_durable(self, connection: "psycopg.Connection[Any]") -> None:
        fsync, follows = _row(connection.execute("SELECT current_setting('fsync'), pg_is_in_recovery()"))
        if fsync != "on":
            raise LedgerError(f"{self.name}: the server runs with fsync off and would lose what it acknowledged")
        if follows:
            raise LedgerError(f"{self.name}: this server only follows another one; a writer needs that one")

    def _holder(self, connection: "psycopg.Connection[Any]") -> str:
        found = connection.execute(
            "SELECT a.application_name, coalesce(host(a.client_addr), 'this machine') FROM pg_locks l "
            "JOIN pg_stat_activity a ON a.pid = l.pid WHERE l.locktype = 'advisory' AND l.granted AND l.objsubid = 1 "
            "AND l.database = a.datid AND (l.classid::bigint << 32 | l.objid::bigint) = hashtextextended(%s, 0)",
            (self._lock_name,),
        ).fetchone()
        return "unknown" if found is None else f"{found[0] or 'unknown'}, from {found[1]}"

    def _describe(self) -> dict[str, str]:
        assert self._reader is not None
        with self._problems():
            return dict(self._reader.execute(_DESCRIBE, {"schema": self.schema}).fetchall())

    def _check_or_create(self) -> None:
        found = self._describe()
        if not found:
            if self._writer is None:
                raise LedgerError(f"there is no venue at {self.name}")
            self._create(self._writer)
            found = self._describe()
        if wrong := [name for name, what in _EXPECTED.items() if found.get(name) != what]:
            raise JournalDamaged(f"{self.name}: the tables are not those of a venue ({', '.join(wrong)}). {RESTORE}")
        rows = self._rows("SELECT value FROM venue WHERE name = 'format'")
        if not rows:
            raise JournalDamaged(f"{self.name}: the tables do not tell their format. {RESTORE}")
        if rows[0][0] != FORMAT:
            raise JournalDamaged(f"{self.name} has format {rows[0][0]}; this version reads format {FORMAT}")

    def _create(self, writer: "psycopg.Connection[Any]") -> None:
        """All or nothing. Who holds the writer's lock is alone in this."""
        with self._problems(), writer.transaction():
            known = writer.execute("SELECT 1 FROM pg_namespace WHERE nspname = %s", (self.schema,)).fetchone()
            if known is None:
                writer.execute(sql.SQL("CREATE SCHEMA {}").format(sql.Identifier(self.schema)))
            for statement in _TABLES:
                writer.execute(statement)
            writer.execute("INSERT INTO venue VALUES ('format', %s)", (FORMAT,))

    def start_writing(self) -> None:
        """Get ready for ``append``: the lock is held already."""
        self.acquire()

    # --- writing ----------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], results: Mapping[int, bytes] | None = None) -> None:
        """Add entries, and the results of some of them, in one durable transaction.

        After an exception the journal may or may not hold them: it must be opened again to know.
        """
        writer = self._writer
        if writer is None:
            raise LedgerError(f"{self.name} is not open for writing")
        with self._problems():
            if results:
                with writer.transaction(), writer.cursor() as cursor:
                    cursor.executemany("INSERT INTO results VALUES (%s, %s)", list(results.items()))
                    _copy(cursor, entries)
            else:
                # a statement by itself is a transaction by itself: two exchanges with the server less
                with writer.cursor() as cursor:
                    _copy(cursor, entries)
        self._tip = tip_of(entries[-1])

    def check_writer(self) -> None:
        """``LedgerError`` unless this is still the one writer: its session lives and holds the lock."""
        writer = self._writer
        if writer is None:
            raise LedgerError(f"{self.name} is not open for writing")
        with self._problems():
            held = writer.execute(
                "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND granted AND pid = pg_backend_pid() "
                "AND (classid::bigint << 32 | objid::bigint) = hashtextextended(%s, 0)",
                (self._lock_name,),
            )
            if not _one(held):
                raise LedgerError(
                    f"{self.name}: this session does not hold the writer's lock any more. Is there a connection pooler "
                    "in between that shares sessions? A venue needs a session of its own"
                )

    def close(self, in_order: bool = True) -> None:
        """Close the connections; the writer's lock goes with its session."""
        self._closed = True
        for connection in (self._reader, self._writer, self._candidate):
            if connection is not None:
                connection.close()
        self._reader = self._writer = self._candidate = None

    # --- reading ----------------------------------------------------------------------------------------------

    def _rows(self, query: LiteralString, *values: Any) -> list[Any]:
        """Read; once more on a new connection where the old one turns out to be dead."""
        connection = self._live_reader()
        try:
            return connection.execute(query, values).fetchall()
        except psycopg.Error as error:
            if not connection.closed:
                with self._problems():
                    raise error
        with self._problems():
            return self._live_reader().execute(query, values).fetchall()

    def _live_reader(self) -> "psycopg.Connection[Any]":
        with self._reconnecting:
            if self._closed:
                raise LedgerError(f"{self.name} is closed")
            if self._reader is None or self._reader.closed:
                self._reader = self._connect()
            return self._reader

    def _last(self) -> Tip:
        rows = self._rows("SELECT sequence, hash, unix_timestamp, slot FROM journal ORDER BY sequence DESC LIMIT 1")
        return Tip(*rows[0]) if rows else START

    def tip(self) -> Tip:
        """The end of the journal as this opening knows it."""
        return self._tip

    def refresh(self) -> Tip:
        """Look again where the journal ends: what another process wrote since then."""
        last = self._last()
        if last.sequence < self._tip.sequence:
            raise JournalDamaged(
                f"{self.name} ended with entry {self._tip.sequence}, now with {last.sequence}: another server answers, "
                f"or it was brought back from an older copy. {RESTORE}"
            )
        self._tip = last
        return last

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order."""
        while True:
            rows = self._rows(
                f"SELECT {_COLUMNS} FROM journal WHERE sequence > %s ORDER BY sequence LIMIT {_PAGE}", after
            )
            if not rows:
                return
            for row in rows:
                yield Entry(*row)
            after = rows[-1][0]

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM journal WHERE sequence = %s", sequence)
        return Entry(*rows[0]) if rows else None

    def results(self, sequence: int) -> bytes | None:
        """The results of an entry that has any."""
        rows = self._rows("SELECT data FROM results WHERE sequence = %s", sequence)
        return bytes(rows[0][0]) if rows else None

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        rows = self._rows(f"SELECT {_COLUMNS} FROM journal WHERE idempotency_key = ANY(%s)", list(keys))
        return {row[5]: Entry(*row) for row in rows}

    def check_whole(self) -> None:
        """``JournalDamaged`` unless the entries are numbered without a gap and the tables agree with their indices.

        What the entries say, their hash chain vouches for. The server checks each page as it reads it, where the
        cluster was made with checksums.
        """
        with self._problems(), self._connect() as connection, connection.transaction():
            connection.execute("SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")
            counted = {}
            for way in ("seqscan", "indexscan"):
                connection.execute(
                    "SELECT set_config('enable_' || name, CASE WHEN name LIKE %s THEN 'on' ELSE 'off' END, true) "
                    "FROM unnest(ARRAY['seqscan', 'indexscan', 'indexonlyscan', 'bitmapscan']) AS name",
                    (f"{way[:5]}%",),
                )
                counted[way] = _row(
                    connection.execute(
                        "SELECT (SELECT count(*) FROM journal WHERE sequence >= 0), "
                        "(SELECT count(*) FROM journal WHERE idempotency_key IS NOT NULL), "
                        "(SELECT count(*) FROM results WHERE sequence >= 0), "
                        "(SELECT coalesce(max(sequence), 0) FROM journal)"
                    )
                )
        count, _, _, last = counted["seqscan"]
        if count != last:
            raise JournalDamaged(f"{self.name}: {count} entries, but the last is number {last}. {RESTORE}")
        if counted["seqscan"] != counted["indexscan"]:
            raise JournalDamaged(
                f"{self.name}: an index differs from its table (entries, keys, results, last entry: "
                f"{counted['indexscan']} instead of {counted['seqscan']}). {RESTORE}"
            )

    @contextmanager
    def _problems(self) -> Iterator[None]:
        """Errors of PostgreSQL as errors of the ledger."""
        try:
            yield
        except (
            psycopg.errors.UndefinedTable, psycopg.errors.UndefinedColumn, psycopg.errors.InvalidSchemaName,
        ) as error:  # fmt: skip
            raise JournalDamaged(f"{self.name}: the tables are not those of a venue: {error}. {RESTORE}") from error
        except (psycopg.errors.DataCorrupted, psycopg.errors.IndexCorrupted) as error:
            raise JournalDamaged(f"{self.name} is damaged: {error}. {RESTORE}") from error
        except psycopg.Error as error:
            raise LedgerError(f"{self.name}: {str(error).strip() or type(error).__name__}") from error


def _copy(cursor: "psycopg.Cursor[Any]", entries: Sequence[Entry]) -> None:
    statement: LiteralString = f"COPY journal ({_COLUMNS}) FROM STDIN WITH (FORMAT BINARY)"
    with cursor.copy(statement) as copy:
        copy.set_types(_TYPES)
        for entry in entries:
            copy.write_row(entry)


def _row(cursor: "psycopg.Cursor[Any]") -> tuple[Any, ...]:
    row = cursor.fetchone()
    assert row is not None
    return tuple(row)


def _one(cursor: "psycopg.Cursor[Any]") -> Any:
    return _row(cursor)[0]


def _parameters(url: str) -> dict[str, Any]:
    """What libpq is given for a location. No message repeats the location: a password may be in it."""
    try:
        given = conninfo_to_dict(url)
        numbers = [given[name] for name in _NUMBERS if name in given]
        if not all(number.isdigit() for value in numbers for number in str(value).split(",") if number):
            raise psycopg.ProgrammingError  # libpq would say so later, and repeat what stands there
    except psycopg.Error:
        raise LedgerError(
            "the location is no connection URI that libpq can read (postgresql://user:password@host:port/database; "
            "what is special in a URI stands as %XX in user and password)"
        ) from None
    name = f"seawall, pid {os.getpid()} on {socket.gethostname()}"[:_NAME_BYTES]
    return {**_PARAMETERS, "application_name": name, **given, "client_encoding": "UTF8"}


def _shown(parameters: Mapping[str, Any], schema: str) -> str:
    """A location as messages show it: without the password and whatever else is nobody's business."""
    host = str(parameters.get("host") or "")
    user = f"{parameters['user']}@" if parameters.get("user") else ""
    port = f":{parameters['port']}" if parameters.get("port") else ""
    place = f"?host={host}" if host.startswith("/") else ""
    at = "" if place else host
    return f"postgresql://{user}{at}{port}/{parameters.get('dbname') or ''}{place}#{schema}"
