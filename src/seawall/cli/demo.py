"""``seawall demo``: a venue lives through the LUNA week of May 2022 on real AVAX prices."""

import tempfile
from collections.abc import Sequence
from enum import Enum
from pathlib import Path
from time import perf_counter
from typing import Annotated, Protocol

import typer
from rich.console import Console
from rich.progress import BarColumn, Progress, TaskProgressColumn, TextColumn, TimeRemainingColumn

from seawall.cli import app
from seawall.cli.audit import audit_and_print
from seawall.cli.compare import print_comparison
from seawall.cli.opening import fail, open_venue
from seawall.cli.overview import (
    print_fee_ledgers,
    print_flows,
    print_insurance,
    print_losses,
    print_perp_markets,
    print_pools,
    print_vaults,
)
from seawall.cli.text import amount, print_refusal, table, when
from seawall.engine.queries.insurance import SharePoint, insurance_fund
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.base import user_key
from seawall.lab.flows import Flows
from seawall.lab.keeper import Batches
from seawall.lab.luna_week import KEEPER_DOWN, KEEPER_UP, LunaWeek
from seawall.lab.prices import Round


class RulebookName(Enum):
    """A rulebook by its name."""

    drift = "drift"
    velocity = "velocity"


@app.command()
def demo(
    venue: Annotated[Path | None, typer.Option(help="Where to keep the venue; it must not exist yet.")] = None,
    seed: Annotated[int, typer.Option(help="Another seed, other people.")] = 20_220_507,
    rulebook: Annotated[RulebookName, typer.Option(help="The rulebook that the venue follows.")] = RulebookName.drift,
    compare: Annotated[
        bool, typer.Option("--compare", help="Run both rulebooks on the same people, in memory, side by side.")
    ] = False,
) -> None:
    """Run the LUNA week (7 to 14 May 2022) and show who was paid from what."""
    console = Console(highlight=False)
    if compare:
        if venue is not None or rulebook is not RulebookName.drift:
            raise fail("--compare runs both rulebooks in memory: it takes neither --venue nor --rulebook")
        print_comparison(console, seed)
        return
    if venue is None:
        venue = Path(tempfile.mkdtemp(prefix="seawall-demo-")) / "luna-week.seawall"
    elif venue.exists():
        raise fail(f"{venue}: a demo starts a venue of its own; name a path that does not exist yet")
    scenario = LunaWeek(seed, rulebook.value)
    flows = Flows()
    started = perf_counter()
    with open_venue(venue) as target:
        total = flows.apply(target, [scenario.genesis()])
        first = share_points(target, Clock.at(scenario.rounds[0].unix_timestamp))
        total += live(console, scenario, target, flows, "LUNA week", "AVAX")
        spent = perf_counter() - started
        _report(console, scenario, target, flows, first)
        console.print(f"\n{total:,} instructions in {spent:.1f} s, every one durable before it was acknowledged.")
    conclude(console, venue)


class Scenario(Protocol):
    """What people do at each round of a price series."""

    rounds: list[Round]

    def round(self, venue: Venue, number: int) -> Batches:
        """Batches of requests up to a round and at it, each to be applied before the next is asked for."""
        ...

    def ending(self, venue: Venue) -> Batches:
        """Batches after the last round."""
        ...


def live(console: Console, scenario: Scenario, venue: Venue, flows: Flows, title: str, token: str) -> int:
    """Every round and the ending, with a progress bar; the number of instructions."""
    total = 0
    columns = (
        TextColumn("{task.description}"), BarColumn(bar_width=20), TaskProgressColumn(),
        TextColumn("{task.fields[now]}"), TimeRemainingColumn(),
    )  # fmt: skip
    with Progress(*columns, console=console) as progress:
        task = progress.add_task(title, total=len(scenario.rounds), now="")
        for number, (at, price) in enumerate(scenario.rounds):
            total += flows.apply(venue, scenario.round(venue, number))
            progress.update(task, advance=1, now=f"{when(at)}  {token} {amount(price, 6)}")
        total += flows.apply(venue, scenario.ending(venue))
    return total


def conclude(console: Console, venue: Path) -> None:
    """Audit the venue and say where it is; exit code 1 if anything is not accounted for."""
    console.print("Audit: the journal is executed again from genesis on an empty venue.")
    if not audit_and_print(console, venue):
        raise typer.Exit(1)
    console.print(f"The venue is kept in {venue}; seawall show {venue} looks at it.", soft_wrap=True)


def _report(console: Console, scenario: LunaWeek, venue: Venue, flows: Flows, first: Sequence[SharePoint]) -> None:
    clock = Clock.at(scenario.rounds[-1].unix_timestamp)
    prices = [price for _, price in scenario.rounds]
    console.print(
        f"\nAVAX from {amount(prices[0], 6)} to {amount(min(prices), 6)}, at the end {amount(prices[-1], 6)} USD; "
        f"{len(scenario.people)} accounts."
    )
    console.print(
        f"Assumed: from {when(KEEPER_DOWN)} to {when(KEEPER_UP)} UTC the keeper is down: nobody is liquidated, nothing "
        "is resolved."
    )
    print_vaults(console, venue.store)
    print_pools(console, venue.store)
    print_fee_ledgers(console, venue.store)
    print_perp_markets(console, venue.store)
    print_insurance(console, venue.store, clock, first)
    print_flows(console, venue.store, flows)
    _people(console, scenario, venue)
    _settlements(console, flows)
    print_losses(console, venue.store, flows.losses)
    _refusals(console, flows)


def share_points(venue: Venue, clock: Clock) -> list[SharePoint]:
    """Vault and shares of every insurance fund now."""
    return [
        insurance_fund(venue.store, clock, market.market_index).point for market in venue.store.spot_markets.objects
    ]


def _people(console: Console, scenario: LunaWeek, venue: Venue) -> None:
    """What trading brought each group."""
    shown = table("Traders (USDC)", "group", "accounts", "settled P&L", "funding", "fees paid", "rebates")
    store = venue.store
    for group in ("long", "leveraged", "short", "maker", "liquidator"):
        people = [person for person in scenario.people if person.group == group]
        users = [store.users.read(store.users.index[user_key(person.account)]) for person in people]
        stats = [store.user_stats.read(store.user_stats.index[user.authority]) for user in users]
        sums = (
            sum(user.settled_perp_pnl for user in users), sum(user.cumulative_perp_funding for user in users),
            sum(stat.fees.total_fee_paid for stat in stats), sum(stat.fees.total_fee_rebate for stat in stats),
        )  # fmt: skip
        shown.add_row(group, str(len(people)), *(amount(value, 6) for value in sums))
    console.print(shown)


def _settlements(console: Console, flows: Flows) -> None:
    shown = table("P&L settlements", "who", "settlements", "USDC")
    shown.add_row("losers paid in", f"{flows.paid_in['settlements']:,}", amount(flows.paid_in["losers"], 6))
    shown.add_row("winners were paid", f"{flows.paid_out['settlements']:,}", amount(flows.paid_out["winners"], 6))
    console.print(shown)


def _refusals(console: Console, flows: Flows) -> None:
    shown = table("Refused, and nothing changed", "instruction", "error", "times", left=("error",))
    for (ix, error), times in flows.refused.most_common():
        shown.add_row(ix, error, f"{times:,}")
    console.print(shown)
    example = flows.examples.get(("settle_pnl", "PnlPoolCantSettleUser"))
    if example is not None:
        print_refusal(console, example)
