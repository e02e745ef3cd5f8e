"""``seawall audit`` and ``seawall replay``: trust nothing, execute the journal again, and account for every token."""

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from rich.console import Console
from rich.progress import Progress

from seawall.audit.conservation import ROUNDED_REPAYMENTS
from seawall.audit.replay import Replayed, replay_venue
from seawall.audit.replay_bulk import ReplayedCompiled, replay_venue_compiled
from seawall.cli import app
from seawall.cli.lanes import Lane, require_bulk_lane
from seawall.cli.opening import require_venue
from seawall.cli.text import amount, when
from seawall.engine.conservation import totals
from seawall.ledger.errors import LedgerError
from seawall.ledger.journal import Tip

_Replayed = TypeVar("_Replayed", Replayed, ReplayedCompiled)

VenuePath = Annotated[str, typer.Argument(help="The venue's database: a file, or postgresql://…")]


@app.command()
def replay(
    venue: VenuePath,
    lane: Annotated[
        Lane,
        typer.Option(help="Execute everything as Python, or settlements compiled: quicker, receipts not compared."),
    ] = Lane.EXACT,
) -> None:
    """Execute the whole journal again from its first entry and compare every outcome. Exit code 1 if one differs."""
    console = Console(highlight=False)
    if lane is Lane.BULK:
        require_bulk_lane()
        print_compiled_replay(console, replay_with_progress(console, venue, replay_venue_compiled))
    else:
        print_replay(console, replay_with_progress(console, venue, replay_venue))


@app.command()
def audit(venue: VenuePath) -> None:
    """Replay the journal, then account for every token. Exit code 1 if anything is not as it should be."""
    console = Console(highlight=False)
    if not audit_and_print(console, venue):
        raise typer.Exit(1)


def replay_with_progress(
    console: Console, venue: str | Path, replay: Callable[[str | Path, Callable[[int], None]], _Replayed]
) -> _Replayed:
    """Replay with a progress bar; what is wrong ends the command with one line and exit code 1."""
    require_venue(venue)
    try:
        with Progress(console=console, transient=True) as progress:
            task = progress.add_task("Executing the journal again", total=None)
            return replay(venue, lambda sequence: progress.update(task, completed=sequence))
    except LedgerError as error:
        typer.echo(str(error), err=True)
        raise typer.Exit(1) from None


def print_replay(console: Console, done: Replayed) -> None:
    """What a replay did."""
    _print_journal(console, done.tip)
    console.print(f"replay    every instruction executed again from genesis ({done.refused:,} refused again alike)")
    if done.snapshots:
        console.print(f"snapshots {len(done.snapshots)} state roots compared, all equal")
    if done.reworded:
        console.print(f"wording   {len(done.reworded)} outcomes are the same but explained in other words")
    unsigned = done.tip.sequence - done.signed
    console.print(f"signed    {done.signed:,} entries, every signature checked; {unsigned:,} unsigned")
    console.print(f"root      {done.root}")


def print_compiled_replay(console: Console, done: ReplayedCompiled) -> None:
    """What a compiled replay did."""
    _print_journal(console, done.tip)
    console.print(
        f"replay    {done.compiled:,} settlements executed again compiled ({done.handed_over:,} of them did not fit), "
        f"{done.tip.sequence - done.compiled:,} other instructions from genesis in the exact lane"
    )
    console.print(f"outcomes  every error and every row written as recorded ({done.refused:,} refused again alike)")
    if done.snapshots:
        console.print(f"snapshots {len(done.snapshots)} state roots compared, all equal")
    console.print(f"root      {done.machine.store.root()}")


def _print_journal(console: Console, tip: Tip) -> None:
    console.print(f"journal   {tip.sequence:,} entries, the hash chain holds; last at {when(tip.unix_timestamp)} UTC")


def audit_and_print(console: Console, venue: str | Path) -> bool:
    """Audit a venue and say what was done; whether everything is accounted for."""
    done = replay_with_progress(console, venue, replay_venue)
    print_replay(console, done)
    store = done.machine.store
    for index, market in enumerate(store.spot_markets.objects):
        sums = totals(market, store.vaults.objects[index].spot_vault)
        held, surplus = (amount(value, market.decimals, market.decimals) for value in (sums.vault, sums.surplus))
        if sums.surplus < 0:
            console.print(f"vault     {market.name}: {held}, {surplus} against the claims: {ROUNDED_REPAYMENTS}")
        else:
            console.print(f"vault     {market.name}: {held} cover every claim; surplus (dust) {surplus}")
        for kind, booked in (("dust", done.history.dust[index]), ("leak", done.history.leaked[index])):
            for ix, tokens in booked.items():
                if tokens:
                    console.print(f"  {kind}    {ix}: {amount(tokens, market.decimals, market.decimals)}")
    for finding in done.findings:
        console.print(f"finding   {finding}", markup=False)
    ok = not done.findings
    console.print("[bold green]verdict   nothing was created or lost[/]" if ok else "[bold red]verdict   FAILED[/]")
    return ok
