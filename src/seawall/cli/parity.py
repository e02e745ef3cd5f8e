"""``seawall parity``: replay recorded traces, vectors and facts, and compare every field."""

from pathlib import Path
from typing import Annotated

import typer

from seawall.audit.parity.facts import count_left_out
from seawall.audit.parity.lanes import bulk_lane, replay
from seawall.audit.parity.recorded import UnreadableError
from seawall.cli import app
from seawall.cli.lanes import Lane, require_bulk_lane


@app.command()
def parity(
    files: Annotated[list[Path], typer.Argument(help="Recorded .jsonl or .jsonl.gz files, or .json facts.")],
    show: Annotated[int, typer.Option(help="How many differences to print; 0 prints all.")] = 0,
    lane: Annotated[Lane, typer.Option(help="Run every rule as Python, or compiled.")] = Lane.EXACT,
) -> None:
    """Replay recorded files and compare. Exit code 1 on any difference, 2 on a file that cannot be read.

    Each instruction and each fact counts as one; docs/parity.md lists what is not compared, and why.
    """
    bulk = None
    if lane is Lane.BULK:
        require_bulk_lane()
        bulk = bulk_lane()
    instructions = differ = 0
    for path in files:
        try:
            for number, name, difference in replay(path, bulk):
                instructions += number >= 0
                if difference is not None:
                    differ += 1
                    if show == 0 or differ <= show:
                        typer.echo(f"{path.name} #{number} {name}: {difference}")
            left_out = count_left_out(path) if path.suffix == ".json" else 0
            if left_out:
                typer.echo(f"{path.name}: {left_out} facts are not compared; docs/parity.md says why")
        except UnreadableError as error:
            typer.echo(str(error), err=True)
            raise typer.Exit(2) from None
    if bulk is not None:
        typer.echo(f"{bulk.calls} rules ran compiled, {bulk.handed_over} of them did not fit and ran in the exact lane")
    typer.echo(f"{instructions} instructions, {differ} differ")
    if differ:
        raise typer.Exit(1)
