"""``seawall migrate``: turn a Drift venue into a Velocity venue, and show that every claim is what it was."""

import time
from enum import Enum
from typing import Annotated

import typer
from rich.console import Console

from seawall.cli import app
from seawall.cli.opening import fail, open_venue, require_venue
from seawall.cli.text import amount, print_refusal, table
from seawall.engine.claims import Claim, claims
from seawall.engine.receipts import Clock
from seawall.engine.venue import Venue
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.migration import MigrateToVelocity


class ProtocolShares(Enum):
    """What becomes of insurance shares that no staker owns."""

    ballast = "ballast"
    revenue_pool = "revenue_pool"
    protocol_fee_pool = "protocol_fee_pool"


@app.command()
def migrate(
    venue: Annotated[str, typer.Argument(help="The Drift venue's database: a file, or postgresql://…")],
    signer: Annotated[str, typer.Option(help="The venue's admin, who becomes cold and warm admin.")] = "@admin",
    protocol_if_shares: Annotated[
        ProtocolShares,
        typer.Option(help="Shares that no staker owns: left in the fund for ever, or paid out to a pool."),
    ] = ProtocolShares.ballast,
    amm_fee_numerator: Annotated[int, typer.Option(help="The AMM's part of a fill's remainder, percent.")] = 0,
    if_fee_numerator: Annotated[int, typer.Option(help="Insurance's part of a fill's remainder, percent.")] = 0,
    at: Annotated[int | None, typer.Option(help="When it happens, unix seconds; without it now.")] = None,
    dry_run: Annotated[bool, typer.Option("--dry-run", help="Only say what would happen.")] = False,
) -> None:
    """Turn a Drift venue into a Velocity venue at this point of its history.

    Interest up to that time is accrued first, by instructions of their own.
    """
    console = Console(highlight=False)
    require_venue(venue)
    with open_venue(venue, read_only=dry_run) as target:
        if not target.store.config.objects:
            raise fail(f"{venue}: the venue is empty")
        instruction = MigrateToVelocity(
            protocol_if_shares=protocol_if_shares.value,
            amm_fee_numerator=amm_fee_numerator,
            if_fee_numerator=if_fee_numerator,
        )
        clock = _clock(target, at)
        receipt = target.dry_run(instruction, signer, clock)
        if receipt.refusal is not None:
            print_refusal(console, receipt)
            raise typer.Exit(1)
        if dry_run:
            console.print("The migration would be carried out; nothing has changed.")
            return
        for index in range(len(target.store.spot_markets.objects)):
            target.apply(UpdateSpotMarketCumulativeInterest(market_index=index), signer, clock)
        before = claims(target.store)
        receipt = target.apply(instruction, signer, clock)
        _print_claims(console, target, before, claims(target.store))
        console.print(f"{venue} follows the rulebook velocity from instruction {receipt.sequence} on.")


def _clock(venue: Venue, at: int | None) -> Clock:
    """The time asked for, else this machine's; the venue's last where that is later."""
    usual, tip = Clock.at(int(time.time()) if at is None else at), venue.tip
    return Clock(max(usual.unix_timestamp, tip.unix_timestamp), max(usual.slot, tip.slot))


def _print_claims(console: Console, venue: Venue, before: list[Claim], after: list[Claim]) -> None:
    """What each kind of claim amounted to before and after."""
    shown = table("Claims (tokens)", "claim", "token", "before", "after", left=("token",))
    figures: dict[tuple[int, str], list[int]] = {}
    for column, found in enumerate((before, after)):
        for claim in found:
            figures.setdefault((claim.market_index, claim.kind), [0, 0])[column] += claim.amount
    for (index, kind), (old, new) in sorted(figures.items()):
        market = venue.store.spot_markets.objects[index]
        if old or new:
            d = market.decimals
            shown.add_row(kind, market.name, amount(old, d, d), amount(new, d, d))
    console.print(shown)
