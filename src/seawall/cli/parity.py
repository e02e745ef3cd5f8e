"""``seawall parity``: replay recorded traces, vectors and facts, and compare every field."""

from collections.abc import Iterator
from pathlib import Path
from typing import Annotated

import typer

from seawall.audit.parity.facts import count_left_out, replay_facts
from seawall.audit.parity.recorded import UnreadableError
from seawall.audit.parity.replay import replay_file
from seawall.cli import app


@app.command()
def parity(
    files: Annotated[list[Path], typer.Argument(help="Recorded .jsonl or .jsonl.gz files, or .json facts.")],
    show: Annotated[int, typer.Option(help="How many differences to print; 0 prints all.")] = 0,
) -> None:
    """Replay recorded files and compare. Exit code 1 on any difference, 2 on a file that cannot be read.

    Each instruction and each fact counts as one; docs/parity.md lists what is not compared, and why.
    """
    instructions = differ = 0
    for path in files:
        try:
            for number, name, difference in _replay(path):
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
    typer.echo(f"{instructions} instructions, {differ} differ")
    if differ:
        raise typer.Exit(1)


def _replay(path: Path) -> Iterator[tuple[int, str, str | None]]:
    return replay_facts(path) if path.suffix == ".json" else replay_file(path)
