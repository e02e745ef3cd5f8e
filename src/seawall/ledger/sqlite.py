"""The journal in an SQLite database: one file, group commit, one writer, any number of readers.

Beside ``venue.db`` lie ``venue.db-wal`` and ``venue.db-shm`` while it is open (SQLite's), ``venue.db-lock`` (the
writer's lock), ``venue.db-head`` (up to where entries were acknowledged) and ``venue.db-snapshot-…``. A venue that was
closed is complete in its database file alone; one that was killed needs ``-wal`` and ``-head`` as well.

Acknowledged means durable: write-ahead log, ``synchronous=FULL``, one fsync a group. What is wrong with the files is
looked for on a read-only connection, before anything could change them.
"""

import json
import os
import sqlite3
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, Final

from seawall.ledger.errors import JournalDamaged, LedgerError
from seawall.ledger.head import Head, head_path, read_head
from seawall.ledger.journal import RESTORE, START, Entry, Tip, tip_of
from seawall.ledger.lock import WriterLock

FORMAT: Final = 2
_APPLICATION: Final = 0x5EA3A11
_CHECKED_WHOLE: Final = 256 << 20
"""Databases up to this size (bytes) get SQLite's own integrity check when opened; it takes some 0.3 s at the limit."""
_PAGE: Final = 1000

_SCHEMA: Final = (
    "CREATE TABLE journal (sequence INTEGER PRIMARY KEY, unix_timestamp INTEGER NOT NULL, slot INTEGER NOT NULL, "
    "signer TEXT NOT NULL, signature BLOB NOT NULL, idempotency_key TEXT, instruction BLOB NOT NULL, "
    "outcome BLOB NOT NULL, hash BLOB NOT NULL) STRICT",
    "CREATE UNIQUE INDEX journal_idempotency_key ON journal (idempotency_key) WHERE idempotency_key IS NOT NULL",
    "CREATE TABLE results (sequence INTEGER PRIMARY KEY, data BLOB NOT NULL) STRICT",
    "CREATE TABLE venue (name TEXT PRIMARY KEY, value ANY) STRICT",
)
_COLUMNS: Final = "sequence, unix_timestamp, slot, signer, signature, idempotency_key, instruction, outcome, hash"
_INSERT: Final = "INSERT INTO journal VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)"
_CLEAN: Final = "closed_at"
"""In the table ``venue``: the last sequence number when the venue was closed in order, NULL since it was written to."""


class SqliteJournal:
    """A journal in an SQLite database, for one writer or for reading only."""

    def __init__(self, path: str | os.PathLike[str], *, read_only: bool = False, adopt: bool = False) -> None:
        """Open or create the journal at ``path``, for reading; ``start_writing`` comes before the first ``append``.

        ``VenueLocked`` where another process writes to it, ``JournalDamaged`` where it is not what was acknowledged.
        With ``adopt`` a journal is taken as it is although it ends before what was acknowledged, or nothing tells what
        was: the operator's decision after restoring a backup.
        """
        self.path = Path(path).absolute().resolve()
        self.read_only = read_only
        self.name = str(self.path)
        if not self.path.parent.is_dir():
            raise LedgerError(f"there is no directory {self.path.parent}")
        self._lock = None if read_only else WriterLock(self.path)
        self._reader: sqlite3.Connection | None = None
        self._writer: sqlite3.Connection | None = None
        self._head: Head | None = None
        try:
            if not self._exists():
                self._create()
            self._reader = self._connect("ro")
            self._tip, self._clean = self._check(adopt)
        except BaseException:
            self.close(in_order=False)
            raise

    # --- opening ----------------------------------------------------------------------------------------------

    def _exists(self) -> bool:
        """Whether there is a database; ``JournalDamaged`` where it is empty or only what belongs to one is left."""
        if self.path.exists():
            if self.path.stat().st_size > 0:
                self._check_header()
                return True
            raise JournalDamaged(
                f"{self.path} is empty: a venue's database never is, so it was truncated. Restore it from a backup; "
                f"to begin a new venue here, remove it and every file {self.path.name}-*"
            )
        for companion in (head_path(self.path), Path(f"{self.path}-wal")):
            if companion.exists() and companion.stat().st_size > 0:
                raise JournalDamaged(
                    f"{self.path} is missing, but {companion.name} shows that it was a venue. Restore the database "
                    f"from a backup; to begin a new venue here, remove every file {self.path.name}-*"
                )
        if self.read_only:
            raise LedgerError(f"there is no venue at {self.path}")
        return False

    def _check_header(self) -> None:
        """Look at the first bytes before SQLite does: beside a database of less than a page it removes the log."""
        with self.path.open("rb") as file:
            header = file.read(18)
        page = int.from_bytes(header[16:18], "big")
        if header[:16] != b"SQLite format 3\0" or self.path.stat().st_size < (65_536 if page == 1 else max(page, 512)):
            raise JournalDamaged(
                f"{self.path} is not a database: its beginning is damaged, or it was truncated. {RESTORE}"
            )

    def _create(self) -> None:
        """Create the database beside its place and move it there: it is never seen half made."""
        new = Path(f"{self.path}-new")
        for leftover in (new, Path(f"{new}-wal"), Path(f"{new}-shm"), Path(f"{new}-journal")):
            leftover.unlink(missing_ok=True)
        with _damage(self.path), closing(self._connect("rwc", new)) as connection:
            connection.execute("PRAGMA page_size = 8192")
            connection.execute("PRAGMA journal_mode = WAL")
            connection.execute("BEGIN IMMEDIATE")
            for statement in _SCHEMA:
                connection.execute(statement)
            connection.execute("INSERT INTO venue VALUES (?, 0)", (_CLEAN,))
            connection.execute(f"PRAGMA application_id = {_APPLICATION}")
            connection.execute(f"PRAGMA user_version = {FORMAT}")
            connection.execute("COMMIT")
        os.replace(new, self.path)
        force_directory(self.path.parent)

    def _connect(self, mode: str, path: Path | None = None) -> sqlite3.Connection:
        uri = f"{(path or self.path).as_uri()}?mode={mode}"
        connection = sqlite3.connect(uri, uri=True, isolation_level=None, check_same_thread=False, timeout=30)
        if mode != "ro":
            connection.execute("PRAGMA synchronous = FULL")
            connection.execute("PRAGMA fullfsync = ON")
        return connection

    def _check(self, adopt: bool) -> tuple[Tip, bool]:
        """The tip of the journal and whether it was closed in order, after every check that needs no replay."""
        head = read_head(self.path)
        with _damage(self.path):
            self._check_format()
            if self.path.stat().st_size <= _CHECKED_WHOLE:
                self._check_integrity()
            row = self._fetch(
                f"SELECT closed.value, {_COLUMNS} FROM venue AS closed LEFT JOIN journal ON sequence = "
                "(SELECT max(sequence) FROM journal) WHERE closed.name = ?",
                _CLEAN,
            )
        if row is None:
            raise JournalDamaged(f"{self.path} is damaged: it does not tell how it was closed. {RESTORE}")
        closed_at = row[0]
        tip = START if row[1] is None else tip_of(Entry(*row[1:]))
        if closed_at is not None and closed_at != tip.sequence:
            raise JournalDamaged(
                f"{self.path} was closed after {closed_at} entries, but ends with {tip.sequence}. {RESTORE}"
            )
        if not adopt:
            self._check_head(head, tip, closed_at is not None)
        return tip, closed_at is not None

    def _check_format(self) -> None:
        assert self._reader is not None
        (application,) = self._reader.execute("PRAGMA application_id").fetchone()
        (version,) = self._reader.execute("PRAGMA user_version").fetchone()
        found = {row[0] for row in self._reader.execute("SELECT sql FROM sqlite_master WHERE sql IS NOT NULL")}
        if application != _APPLICATION:
            raise JournalDamaged(f"{self.path} is an SQLite database, but not a venue's (or its header is damaged)")
        if version != FORMAT:
            raise JournalDamaged(f"{self.path} has format {version}; this version reads format {FORMAT}")
        if found != set(_SCHEMA):
            raise JournalDamaged(f"{self.path}: its tables are not those of a venue (or their description is damaged)")

    def _check_integrity(self) -> None:
        assert self._reader is not None
        found = [str(row[0]) for row in self._reader.execute("PRAGMA integrity_check(3)")]
        if found != ["ok"]:
            raise JournalDamaged(f"{self.path} is damaged: {'; '.join(found)}. {RESTORE}")

    def _check_head(self, head: tuple[int, bytes] | None, tip: Tip, clean: bool) -> None:
        if head is None:
            if clean:
                return
            raise JournalDamaged(
                f"{head_path(self.path)} is missing and {self.path.name} was not closed in order, so that nothing "
                "proves that its last entries are there. Restore the file; or open the venue with adopt=True to take "
                "it as it is"
            )
        sequence, digest = head
        entry = self.entry(sequence) if sequence else None
        if sequence and (entry is None or entry.hash != digest):
            ends = f"ends with {tip.sequence}" if entry is None else f"has another entry {sequence}"
            raise JournalDamaged(
                f"{self.path}: {sequence} entries were acknowledged, but the journal {ends}: the database or its -wal "
                "file was truncated, damaged or exchanged. Restore them; or, if you brought back an older copy on "
                "purpose, open the venue with adopt=True"
            )

    def acquire(self) -> None:
        """Become the one writer of a journal that was opened for reading; ``VenueLocked`` while another process is."""
        if self._lock is not None:
            return
        lock = WriterLock(self.path)
        try:
            self._tip, self._clean = self._check(adopt=False)
        except BaseException:
            lock.release()
            raise
        self._lock = lock
        self.read_only = False

    def start_writing(self) -> None:
        """Get ready for ``append``, once the entries were found good: nothing is written before."""
        head = Head(self.path)
        self._head = head
        head.write(self._tip.sequence, self._tip.hash)
        head.write(self._tip.sequence, self._tip.hash)
        head.force()
        with _damage(self.path):
            self._writer = self._connect("rw")
            self._writer.execute("PRAGMA wal_autocheckpoint = 2000")

    # --- writing ----------------------------------------------------------------------------------------------

    def append(self, entries: Sequence[Entry], results: Mapping[int, bytes] | None = None) -> None:
        """Add entries, and the results of some of them, in one transaction and note their end in the head file. After
        an exception the journal may or may not hold them: it must be opened again to know."""
        assert self._writer is not None and self._head is not None
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        if self._clean:
            writer.execute("UPDATE venue SET value = NULL WHERE name = ?", (_CLEAN,))
        writer.executemany(_INSERT, entries)
        if results:
            writer.executemany("INSERT INTO results VALUES (?, ?)", results.items())
        writer.execute("COMMIT")
        self._clean = False
        self._tip = tip_of(entries[-1])
        self._head.write(self._tip.sequence, self._tip.hash)

    def check_writer(self) -> None:
        """The operating system keeps the lock for as long as the process lives."""

    def close(self, in_order: bool = True) -> None:
        """Close the files; ``in_order`` notes that the journal is complete and folds the write-ahead log in.

        ``LedgerError`` where that cannot be noted, for the disk is full: nothing is lost, and the next opening finds a
        venue that was not closed in order.
        """
        reader, writer, head = self._reader, self._writer, self._head
        self._reader = self._writer = self._head = None
        try:
            if reader is not None:
                reader.close()
            if writer is not None:
                with _damage(self.path), closing(writer):
                    if in_order and not self._clean:
                        writer.execute("UPDATE venue SET value = ? WHERE name = ?", (self._tip.sequence, _CLEAN))
                        # somebody may be reading; the log then stays, and is folded in another time
                        writer.execute("PRAGMA busy_timeout = 1000")
                        writer.execute("PRAGMA wal_checkpoint(TRUNCATE)")
            if head is not None and in_order:
                head.force()
        finally:
            if head is not None:
                head.close()
            if self._lock is not None:
                self._lock.release()

    # --- reading ----------------------------------------------------------------------------------------------

    def _fetch(self, sql: str, *values: Any) -> Any:
        assert self._reader is not None
        return self._reader.execute(sql, values).fetchone()

    def tip(self) -> Tip:
        """The end of the journal as this opening knows it."""
        return self._tip

    def refresh(self) -> Tip:
        """Look again where the journal ends: what another process wrote since then."""
        with _damage(self.path):
            row = self._fetch(f"SELECT {_COLUMNS} FROM journal ORDER BY sequence DESC LIMIT 1")
        self._tip = START if row is None else tip_of(Entry(*row))
        return self._tip

    def entries(self, after: int = 0) -> Iterator[Entry]:
        """The entries with a sequence number above ``after``, in order; ``JournalDamaged`` where one cannot be read."""
        while True:
            with _damage(self.path):
                assert self._reader is not None
                rows = self._reader.execute(
                    f"SELECT {_COLUMNS} FROM journal WHERE sequence > ? ORDER BY sequence LIMIT {_PAGE}", (after,)
                ).fetchall()
            if not rows:
                return
            for row in rows:
                yield Entry(*row)
            after = rows[-1][0]

    def entry(self, sequence: int) -> Entry | None:
        """One entry by its sequence number."""
        with _damage(self.path):
            row = self._fetch(f"SELECT {_COLUMNS} FROM journal WHERE sequence = ?", sequence)
        return None if row is None else Entry(*row)

    def results(self, sequence: int) -> bytes | None:
        """The results of an entry that has any."""
        with _damage(self.path):
            row = self._fetch("SELECT data FROM results WHERE sequence = ?", sequence)
        return None if row is None else bytes(row[0])

    def by_key(self, keys: Collection[str]) -> dict[str, Entry]:
        """The entries that were given under any of these idempotency keys."""
        with _damage(self.path):
            assert self._reader is not None
            rows = self._reader.execute(
                f"SELECT {_COLUMNS} FROM journal WHERE idempotency_key IN (SELECT value FROM json_each(?))",
                (json.dumps(list(keys)),),
            ).fetchall()
        return {row[5]: Entry(*row) for row in rows}

    def check_whole(self) -> None:
        """SQLite's own check of the whole database, indices included; ``JournalDamaged``."""
        with _damage(self.path):
            self._check_integrity()


def force_directory(directory: Path) -> None:
    """Force a directory's entries to disk, so that a new or renamed file outlives a power cut."""
    handle = os.open(directory, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


@contextmanager
def _damage(path: Path) -> Iterator[None]:
    """Errors of SQLite as errors of the ledger."""
    try:
        yield
    except sqlite3.Error as error:
        code = (getattr(error, "sqlite_errorcode", None) or 0) & 0xFF
        if code in (sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB) or "decode" in str(error):
            raise JournalDamaged(f"{path} is damaged: {error}. {RESTORE}") from error
        raise LedgerError(f"{path}: {error}") from error
