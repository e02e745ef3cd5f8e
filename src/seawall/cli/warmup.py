"""``seawall warmup``: compile the loops of the bulk lane once, so that nobody waits for it later."""

import time
from typing import Annotated

import typer

from seawall.bulk import unavailable_reason
from seawall.cli import app


@app.command()
def warmup(
    rules: Annotated[
        bool, typer.Option("--rules", help="Also every rule by itself, as `parity --lane bulk` needs.")
    ] = False,
) -> None:
    """Compile the bulk lane's loops; what is compiled already is only loaded. Exit code 2 where nothing can compile."""
    reason = unavailable_reason()
    if reason is not None:
        typer.echo(f"the bulk lane is not available: {reason}", err=True)
        raise typer.Exit(2)
    from seawall.bulk.cache import directory
    from seawall.bulk.warm import warm_loops, warm_rules

    start = time.perf_counter()
    count = warm_loops()
    if rules:
        count += warm_rules()
    typer.echo(f"{count} compiled pieces are ready after {time.perf_counter() - start:.1f} s, kept in {directory()}")
