"""Opening a venue for a command, and ending a command that cannot go on: one clear line, exit code 2."""

from pathlib import Path

import typer

from seawall.engine.venue import Venue
from seawall.ledger.errors import LedgerError
from seawall.ledger.location import is_postgres


def fail(message: str) -> typer.Exit:
    """Say on stderr why the command cannot go on; raise what this returns."""
    typer.echo(message, err=True)
    return typer.Exit(2)


def require_venue(location: str | Path) -> None:
    """End the command unless there is a file at ``location``; a database server is asked when it is opened."""
    if not is_postgres(location) and not Path(location).exists():
        raise fail(f"{location}: there is no venue")


def open_venue(location: str | Path, *, read_only: bool = False) -> Venue:
    """Open the venue at ``location`` (a file, or a server); a missing, damaged or locked one ends the command."""
    if read_only:
        require_venue(location)
    try:
        return Venue.open(location, read_only=read_only)
    except LedgerError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{location}: {error.strerror}") from None
