"""``seawall luna``: the LUNA minutes of May 2022 with the P&L pool, and what would have left the vault without it."""

import tempfile
from pathlib import Path
from time import perf_counter
from typing import Annotated

import typer
from rich.console import Console

from seawall.cli import app
from seawall.cli.demo import conclude, live
from seawall.cli.opening import fail, open_venue
from seawall.cli.text import amount, table, when
from seawall.engine.venue import Venue
from seawall.lab.flows import Flows
from seawall.lab.luna_crash import KEEPER_DOWN, KEEPER_UP, LunaCrash
from seawall.lab.luna_week import HOUR, USDC
from seawall.lab.paid_on_demand import Hour


@app.command()
def luna(
    venue: Annotated[Path | None, typer.Option(help="Where to keep the venue; it must not exist yet.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other people.")] = 20_220_511,
    every: Annotated[int, typer.Option(min=1, help="Show every so many hours.")] = 3,
) -> None:
    """Run the LUNA crash (9 to 11 May 2022), with the P&L pool and without it."""
    console = Console(highlight=False)
    if venue is None:
        venue = Path(tempfile.mkdtemp(prefix="seawall-luna-")) / "luna.seawall"
    elif venue.exists():
        raise fail(f"{venue}: the scenario starts a venue of its own; name a path that does not exist yet")
    scenario = LunaCrash(seed)
    flows = Flows()
    started = perf_counter()
    with open_venue(venue) as target:
        total = flows.apply(target, [scenario.genesis()])
        total += live(console, scenario, target, flows, "LUNA crash", "LUNA")
        spent = perf_counter() - started
        _assumptions(console, scenario)
        _hours(console, scenario.ledger.hours, every)
        _conclusion(console, scenario, target)
        console.print(f"\n{total:,} instructions in {spent:.1f} s, every one durable before it was acknowledged.")
    conclude(console, venue)


def _usdc(value: int) -> str:
    return amount(value, 6, 0)


def _assumptions(console: Console, scenario: LunaCrash) -> None:
    prices = [price for _, price in scenario.rounds]
    console.print(
        f"\nLUNA from {amount(prices[0], 6)} to {amount(min(prices), 6)}, at the end {amount(prices[-1], 6)} USD; "
        f"{len(scenario.longs)} longs, {len(scenario.shorts)} shorts, {len(scenario.lenders)} lenders."
    )
    console.print(
        "With the P&L pool: the engine, where a winner is paid from what losers have paid in. Without: the same "
        "accounts, fills and prices in a plain ledger that pays every profit on demand, as Drift v1 did."
    )
    console.print(
        f"Assumed: from {when(KEEPER_DOWN)} to {when(KEEPER_UP)} UTC nobody liquidates; winners withdraw every hour; "
        "the withdraw guard is open; the people are invented."
    )


def _hours(console: Console, hours: list[Hour], every: int) -> None:
    shown = table(
        "The same hours with the P&L pool and without it (thousand USDC)", "UTC", "LUNA", "with: taken", "vault",
        "without: taken", "vault", "missing",
        note="taken: profits withdrawn so far; missing: what the vault lacks to pay every claim",
    )  # fmt: skip
    last = len(hours) - 1
    for number, hour in enumerate(hours):
        if number % every == 0 or number == last:
            figures = (hour.withdrawn, hour.vault, hour.drawn, hour.ledger_vault, hour.missing)
            shown.add_row(
                when(hour.unix_timestamp)[5:16], amount(hour.price, 6), *(amount(figure, 9, 0) for figure in figures)
            )
    console.print(shown)


def _conclusion(console: Console, scenario: LunaCrash, venue: Venue) -> None:
    ledger, last = scenario.ledger, scenario.ledger.hours[-1]
    lent = sum(scenario.accounts.tokens(venue.store, lender.account, USDC) for lender in scenario.lenders)
    console.print(
        f"With it: winners took {_usdc(last.withdrawn)}; {_usdc(last.waiting)} of profits wait for losers that cannot "
        f"pay; the vault holds {_usdc(last.vault)} and covers every claim, the lenders' {_usdc(lent)} among them."
    )
    dry = "never" if ledger.dry_at is None else f"at {when(ledger.dry_at)} UTC"
    console.print(
        f"Without it: winners would have taken {_usdc(last.drawn)}, {_usdc(last.drawn - last.withdrawn)} more, and "
        f"left {_usdc(last.ledger_vault)} for claims of {_usdc(last.claims)}. The vault would have run dry {dry}. "
        f"{_usdc(last.missing)} would be missing; of the lenders' {_usdc(lent)}, if they come last, "
        f"{_usdc(min(lent, last.missing))}."
    )
    console.print(
        f"Most that was taken in {WINDOW} hours: {_millions(ledger.hours, 'withdrawn')} million with it, "
        f"{_millions(ledger.hours, 'drawn')} million without. Drift v1, by its report of 26 May 2022: on 11 May a net "
        "8.72 million left in about 12 hours, and the vault fell from 13.66 to 4.94 million."
    )


WINDOW = 12
"""Hours, as in the report that the run is compared with."""


def _millions(hours: list[Hour], name: str) -> str:
    """The largest growth of a running total within the window."""
    most = max(
        getattr(later, name) - getattr(earlier, name)
        for i, earlier in enumerate(hours)
        for later in hours[i:]
        if later.unix_timestamp - earlier.unix_timestamp <= WINDOW * HOUR
    )
    return amount(most, 12)
