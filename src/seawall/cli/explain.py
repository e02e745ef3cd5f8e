"""``seawall explain``: who paid for a loss, source by source, and who bears what is left, account by account."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.cli import app
from seawall.cli.opening import fail, require_venue
from seawall.cli.text import amount, print_refusal, when
from seawall.engine.attribution import Attribution, Bearer, attribute
from seawall.engine.receipts import Receipt, Waterfall
from seawall.engine.recovery import machine_at
from seawall.engine.store import Store
from seawall.ledger.errors import LedgerError
from seawall.ledger.location import open_journal


@app.command()
def explain(
    venue: Annotated[str, typer.Argument(help="The venue's database: a file, or postgresql://…")],
    sequence: Annotated[int, typer.Argument(help="The instruction's sequence number.")],
    json: Annotated[bool, typer.Option("--json", help="Everything, in base units, as JSON.")] = False,
    top: Annotated[int, typer.Option(help="How many bearers to list, the largest first; 0: all.")] = 20,
) -> None:
    """Execute the journal again up to an instruction; show who paid for its loss, and who bears the rest."""
    store, receipt = _replayed(venue, sequence)
    if receipt.waterfall is None:
        if json:
            typer.echo(msgspec.json.encode({"receipt": receipt}).decode())
        else:
            _no_loss(Console(highlight=False), receipt)
        return
    shares = attribute(store, receipt.waterfall)
    if json:
        typer.echo(msgspec.json.encode({"receipt": receipt, "attribution": shares}).decode())
        return
    console = Console(highlight=False)
    console.print(_title(receipt))
    print_waterfall(console, store, receipt.waterfall, shares, top)


def _replayed(venue: str, sequence: int) -> tuple[Store, Receipt]:
    require_venue(venue)
    try:
        journal, beside = open_journal(venue, read_only=True)
        try:
            machine, receipt = machine_at(journal, beside, sequence)
        finally:
            journal.close(in_order=False)
    except LedgerError as error:
        raise fail(str(error)) from None
    return machine.store, receipt


def _title(receipt: Receipt) -> str:
    return f"#{receipt.sequence} {receipt.ix} by {receipt.signer} at {when(receipt.clock.unix_timestamp)} UTC"


def _no_loss(console: Console, receipt: Receipt) -> None:
    console.print(_title(receipt))
    if receipt.refusal is not None:
        print_refusal(console, receipt)
        return
    console.print(f"no loss was resolved here: `seawall show VENUE --receipt {receipt.sequence}` shows what moved")


def print_waterfall(console: Console, store: Store, waterfall: Waterfall, shares: Attribution, top: int) -> None:
    """The sources in order, then everybody who bears what they paid or left."""
    market = store.spot_markets.objects[waterfall.market_index]
    unit = _Unit(market.name, market.decimals)
    where = f"spot market {waterfall.market_index} ({market.name})"
    if waterfall.perp_market_index is not None:
        name = store.perp_markets.objects[waterfall.perp_market_index].name
        where = f"perp market {waterfall.perp_market_index} ({name})"
    what = f"{_WHAT[waterfall.kind]}: {unit(waterfall.loss)} {market.name}"
    if waterfall.outcome != "resolved":
        what = "Nothing is lost"
    console.print(f"{what} in {where}, of {waterfall.account}")
    _print_estate(console, store, waterfall)
    if waterfall.revenue_settled:
        console.print(f"before it, {unit(waterfall.revenue_settled)} of revenue reached the insurance fund")
    if waterfall.outcome == "resolved":
        _print_sources(console, waterfall, unit)
    for index in waterfall.indices:
        if index.before != index.after:
            console.print(f"{index.name}: {index.before:,} → {index.after:,}")
    _print_bearers(console, "Who bears what insurance paid", "shares", shares.insurers, unit, top)
    _print_rounding(console, "of the shares", shares.insurers_rounding, unit)
    weight = "scaled balance (1e9)" if waterfall.perp_market_index is None else "base (1e9)"
    _print_bearers(console, "Who bears what is socialised", weight, shares.bearers, unit, top)
    _print_rounding(console, "of the index, rounded up", shares.index_rounding, unit)
    _print_rounding(console, "of each claim by itself", shares.claims_rounding, unit)


_WHAT = {
    "perp_bankruptcy": "A debt that its owner cannot pay",
    "spot_bankruptcy": "A borrow that its owner cannot repay",
    "perp_pnl_deficit": "Gains of users beyond what the market may owe",
    "associated_spot": "Gains of users beyond what the market may owe, with every quote source exhausted",
}


class _Unit:
    """Amounts of one token as people read them, to the last unit."""

    def __init__(self, name: str, decimals: int) -> None:
        self.name = name
        self.decimals = decimals

    def __call__(self, value: int) -> str:
        return amount(value, self.decimals, self.decimals)


def _print_estate(console: Console, store: Store, waterfall: Waterfall) -> None:
    """What the account's own means did first, and whether that was all."""
    quote = store.spot_markets.objects[QUOTE_SPOT_MARKET_INDEX]
    unit = _Unit(quote.name, quote.decimals)
    for step in waterfall.estate:
        console.print(f"the estate: {unit(step.amount)} {quote.name} {_ESTATE[step.step]}", soft_wrap=True)
        console.print(f"  {step.paid_by} → {step.paid_to}", soft_wrap=True)
    if waterfall.outcome in _OUTCOMES:
        console.print(_OUTCOMES[waterfall.outcome])


_ESTATE = {
    "recovered": "recovered of a claim on another market",
    "set_off": "of its deposit set off against the debt",
    "forfeited": "of a claim that no pool could pay forfeited to that market's insurance",
}

_OUTCOMES = {
    "covered_by_set_off": "the account's own deposit paid the whole debt: nobody else pays",
    "unlatched": "the account still has something to seize: it is no longer bankrupt, and liquidation goes on",
}


def _print_sources(console: Console, waterfall: Waterfall, unit: _Unit) -> None:
    """One source a line pair: no table of these seven figures fits a terminal."""
    console.print(f"[bold]Waterfall ({unit.name})[/]")
    left = waterfall.loss
    for number, source in enumerate(waterfall.sources, 1):
        left -= source.paid
        paid = f"paid {unit(source.paid)}" + (f" to {source.paid_to}" if source.paid else "")
        console.print(f"{number}. {source.name} held {unit(source.held)}: {paid}, left {unit(left)}")
        if source.cap is not None:
            console.print(f"   it could pay at most {unit(source.cap.value)} ({source.cap.name})")
    if waterfall.socialised:
        left -= waterfall.socialised
        everybody = "every deposit" if waterfall.perp_market_index is None else "every open position"
        number = len(waterfall.sources) + 1
        console.print(f"{number}. {everybody} bears {unit(waterfall.socialised)} (socialised), left {unit(left)}")
    if waterfall.uncovered:
        console.print(f"{unit(waterfall.uncovered)} stay uncovered: {_UNCOVERED[waterfall.kind]}")
    if any(source.paid and source.paid_to == "dust" for source in waterfall.sources):
        console.print("paid to dust: the program credits it to nobody, and it stays in the vault as a surplus")


_UNCOVERED = {
    "spot_bankruptcy": "there are no deposits to bear them, the vault's surplus does",
    "associated_spot": "winners wait for them until losers settle or the caps admit another draw",
    "perp_pnl_deficit": "winners wait for them until losers settle or the caps admit another draw",
}


def _print_bearers(console: Console, title: str, weight: str, bearers: list[Bearer], unit: _Unit, top: int) -> None:
    if not bearers:
        return
    ordered = sorted(bearers, key=lambda bearer: -bearer.share)
    listed = ordered[:top] if top > 0 else ordered
    console.print(f"[bold]{title} ({unit.name}, by {weight})[/]")
    for bearer in listed:
        console.print(f"  {unit(bearer.share)}  {bearer.account}  {bearer.weight:,}", soft_wrap=True)
    rest = ordered[len(listed) :]
    if rest:
        console.print(f"  {unit(sum(bearer.share for bearer in rest))}  {len(rest):,} more")


def _print_rounding(console: Console, what: str, value: int, unit: _Unit) -> None:
    if value:
        console.print(f"rounding {what}: {unit(value)}")
