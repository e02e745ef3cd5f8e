"""``seawall demo --compare``: both rulebooks on the same people, and where each dollar went."""

from collections import Counter
from time import perf_counter

from rich.console import Console
from rich.progress import track

from seawall.cli.text import amount, table
from seawall.engine.venue import Venue
from seawall.lab.compare import PARTIES, Comparison
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import DEPOSIT

SUBJECTS = (
    ("fees", "Fees of fills", "what takers paid, by who has it in the end"),
    ("interest", "Interest", "what borrowers were charged, by who has it"),
    ("liquidations", "Liquidation fees", "beside what liquidators earn"),
    ("losses", "Losses that accounts could not bear", "by who paid"),
)
"""Subjects of the accounting, with the title and the note of their table."""


def print_comparison(console: Console, seed: int) -> None:
    """Run the week in both venues and print one table a subject and token."""
    started = perf_counter()
    comparison = Comparison(seed)
    for number in track(range(len(comparison.week.rounds)), "LUNA week, twice", console=console, transient=True):
        comparison.round(number)
    comparison.ending()
    for subject, title, note in SUBJECTS:
        _print_subject(console, comparison, subject, title, note)
    _print_pools(console, comparison)
    _print_end(console, comparison, perf_counter() - started)


def _print_subject(console: Console, comparison: Comparison, subject: str, title: str, note: str) -> None:
    markets = sorted({index for account in comparison.accounts.values() for index in account.of[subject]})
    for index in markets:
        spot = comparison.venues["drift"].store.spot_markets.objects[index]
        columns = {name: account.of[subject][index] for name, account in comparison.accounts.items()}
        parties = [p for p in PARTIES if any(column[p] for column in columns.values())]
        if not parties:
            continue
        shown = table(f"{title} ({spot.name})", "to", *columns, note=note)
        for party in parties:
            shown.add_row(party, *(amount(column[party], spot.decimals) for column in columns.values()))
        shown.add_section()
        shown.add_row("all", *(amount(_total(column), spot.decimals) for column in columns.values()))
        console.print(shown)


def _total(column: "Counter[str]") -> int:
    return sum(column.values())


def _print_pools(console: Console, comparison: Comparison) -> None:
    """What each venue holds at the end, pool by pool."""
    shown = table(
        "Held at the end", "pool", *comparison.venues, note="quote tokens, unless the pool's market says else"
    )
    columns = [_held(venue) for venue in comparison.venues.values()]
    for name in columns[0]:
        shown.add_row(name, *(column[name] for column in columns))
    console.print(shown)


def _held(venue: Venue) -> dict[str, str]:
    held: dict[str, str] = {}
    quote = venue.store.spot_markets.objects[0]
    for market in venue.store.perp_markets.objects:
        for name, pool in (
            ("P&L pool", market.pnl_pool), ("fee pool", market.amm.fee_pool),
            ("protocol fee pool", market.protocol_fee_pool),
        ):  # fmt: skip
            tokens = get_token_amount(pool.scaled_balance, quote, DEPOSIT)
            held[f"{market.name} {name}"] = amount(tokens, quote.decimals)
        pending = market.fee_ledger.pending_if_fee + market.fee_ledger.pending_protocol_fee
        held[f"{market.name} fees not swept yet"] = amount(pending, quote.decimals)
    for index, spot in enumerate(venue.store.spot_markets.objects):
        for name, pool in (("revenue pool", spot.revenue_pool), ("protocol fee pool", spot.protocol_fee_pool)):
            held[f"{spot.name} {name}"] = amount(get_token_amount(pool.scaled_balance, spot, DEPOSIT), spot.decimals)
        vault = venue.store.vaults.objects[index].insurance_fund_vault
        held[f"{spot.name} insurance fund"] = amount(vault, spot.decimals)
    return held


def _print_end(console: Console, comparison: Comparison, seconds: float) -> None:
    for name, account in comparison.accounts.items():
        refused = sum(account.refused.values())
        venue = comparison.venues[name]
        console.print(f"{name:<9} {venue.sequence:,} instructions, {refused} refused")
    console.print(f"The same people did the same things in both; each venue's keeper cranked it. {seconds:.1f} s.")
