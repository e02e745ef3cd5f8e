"""Opening a venue for a command, and ending a command that cannot go on: one clear line, exit code 2."""

from pathlib import Path

import typer

from seawall.engine.venue import Venue
from seawall.ledger.errors import LedgerError


def fail(message: str) -> typer.Exit:
    """Say on stderr why the command cannot go on; raise what this returns."""
    typer.echo(message, err=True)
    return typer.Exit(2)


def open_venue(path: Path, *, read_only: bool = False) -> Venue:
    """Open the venue at ``path``; a missing, damaged or locked one ends the command."""
    if read_only and not path.exists():
        raise fail(f"{path}: there is no venue")
    try:
        return Venue.open(path, read_only=read_only)
    except LedgerError as error:
        raise fail(str(error)) from None
    except OSError as error:
        raise fail(f"{path}: {error.strerror}") from None
