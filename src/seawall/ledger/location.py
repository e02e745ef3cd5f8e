"""Where a venue is kept: an SQLite file, or a PostgreSQL database (``postgresql://…``)."""

import os
from pathlib import Path

from seawall.ledger.journal import Journal
from seawall.ledger.sqlite import SqliteJournal


def is_postgres(location: str | os.PathLike[str]) -> bool:
    """Whether a location names a PostgreSQL database."""
    return isinstance(location, str) and location.startswith(("postgresql://", "postgres://"))


def open_journal(
    location: str | os.PathLike[str], *, read_only: bool = False, adopt: bool = False
) -> tuple[Journal, Path | None]:
    """The journal at a location, and the file beside which its snapshots lie (None: it has no file).

    Errors: those of ``SqliteJournal`` and ``PostgresJournal``. ``adopt`` matters for a file alone.
    """
    if is_postgres(location):
        # psycopg is imported by who needs it
        from seawall.ledger.postgres import PostgresJournal

        return PostgresJournal(str(location), read_only=read_only), None
    journal = SqliteJournal(location, read_only=read_only, adopt=adopt)
    return journal, journal.path
