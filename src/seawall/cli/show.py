"""``seawall show``: look at a venue, an account, a stake or a receipt. Nothing is changed and no lock is needed."""

from typing import Annotated

import msgspec
import typer
from rich.console import Console

from seawall.cli import app
from seawall.cli.opening import fail, open_venue
from seawall.cli.overview import print_fee_ledgers, print_insurance, print_perp_markets, print_pools, print_vaults
from seawall.cli.text import amount, print_refusal, table, when
from seawall.engine.queries.insurance import insurance_stake
from seawall.engine.queries.margin import margin, withdrawable
from seawall.engine.queries.pnl import ClaimablePnl, claimable_pnl
from seawall.engine.queries.revenue_share import revenue_shares
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.engine.venue import Venue
from seawall.errors import SettlementError
from seawall.instructions.base import user_key
from seawall.keys import key_to_text
from seawall.rules.common.balances import get_signed_token_amount, get_token_amount
from seawall.state.enums import BalanceType
from seawall.state.user import User


@app.command()
def show(
    venue: Annotated[str, typer.Argument(help="The venue's database: a file, or postgresql://…")],
    user: Annotated[str, typer.Option(help="An account: AUTHORITY/SUB-ACCOUNT, e.g. @long1/0.")] = "",
    stake: Annotated[str, typer.Option(help="An authority: its insurance stakes.")] = "",
    receipt: Annotated[int, typer.Option(help="A receipt by its sequence number.")] = 0,
    at: Annotated[int, typer.Option(help="Look as of this unix time (prices age); 0: the last instruction's.")] = 0,
) -> None:
    """Show vaults, pools, perp markets and insurance funds; or an account, a stake, a receipt."""
    console = Console(highlight=False)
    with open_venue(venue, read_only=True) as target:
        if not target.store.config.objects:
            raise fail(f"{venue}: the venue is empty; its first instruction is initialize")
        clock = Clock.at(at) if at else Clock(target.tip.unix_timestamp, target.tip.slot)
        try:
            if receipt:
                _receipt(console, target, receipt)
            elif user:
                _user(console, target.store, clock, user)
            elif stake:
                _stakes(console, target.store, clock, stake)
            else:
                _venue(console, target, clock)
        except SettlementError as error:
            raise fail(str(error)) from None


def _venue(console: Console, venue: Venue, clock: Clock) -> None:
    config = venue.store.config.objects[0]
    console.print(
        f"{config.name}: rulebook {config.rulebook}, profile {config.profile}; {venue.sequence:,} instructions, "
        f"{venue.store.users.count:,} accounts, as of {when(clock.unix_timestamp)} UTC"
    )
    print_vaults(console, venue.store)
    print_pools(console, venue.store)
    print_fee_ledgers(console, venue.store)
    print_perp_markets(console, venue.store)
    print_insurance(console, venue.store, clock)


def _user(console: Console, store: Store, clock: Clock, ref: str) -> None:
    row = store.users.index.get(user_key(ref))
    if row is None:
        raise fail(f"there is no user account {ref!r}")
    account = store.users.read(row)
    _balances(console, store, clock, ref, account)
    _positions(console, store, clock, ref, account)
    figures = margin(store, clock, ref)
    shown = table("Margin (quote)", "requirement", "collateral", "required", "free")
    for name, part in (("Initial", figures.initial), ("Maintenance", figures.maintenance)):
        shown.add_row(
            name, amount(part.total_collateral, 6), amount(part.margin_requirement, 6), amount(part.free_collateral, 6)
        )
    for position in figures.isolated:
        name = store.perp_markets.objects[position.perp_market_index].name
        for kind, scope in (("Initial", position.initial), ("Maintenance", position.maintenance)):
            shown.add_row(
                f"{name} isolated, {kind}", amount(scope.total_collateral, 6), amount(scope.margin_requirement, 6),
                amount(scope.free_collateral, 6),
            )  # fmt: skip
    console.print(shown)
    if account.authority in store.revenue_share_escrows.index:
        _revenue_shares(console, store, key_to_text(account.authority))


def _revenue_shares(console: Console, store: Store, authority: str) -> None:
    shown = table("Owed to builders and referrer", "to", "as", "market", "accrued", "state", left=("to", "as", "state"))
    for share in revenue_shares(store, authority).rows:
        rate = f" ({share.fee_tenth_bps // 10}.{share.fee_tenth_bps % 10} bp)" if share.kind == "builder" else ""
        shown.add_row(
            share.beneficiary, share.kind + rate, store.perp_markets.objects[share.market_index].name,
            amount(share.fees_accrued, 6), "due" if share.due else "accruing",
        )  # fmt: skip
    if shown.row_count:
        console.print(shown)


def _balances(console: Console, store: Store, clock: Clock, ref: str, account: User) -> None:
    shown = table(
        f"Balances of {ref}", "token", "balance", "kind", "withdrawable now", "bound by", left=("kind", "bound by")
    )
    for position in account.spot_positions:
        if position.scaled_balance == 0 and position.open_orders == 0:
            continue
        market = store.spot_markets.objects[position.market_index]
        tokens = get_token_amount(position.scaled_balance, market, position.balance_type)
        signed = get_signed_token_amount(tokens, position.balance_type)
        most = withdrawable(store, clock, ref, position.market_index)
        shown.add_row(
            market.name, amount(signed, market.decimals, market.decimals), BalanceType(position.balance_type).name,
            amount(most.amount, market.decimals), most.bound_by,
        )  # fmt: skip
    console.print(shown)


def _positions(console: Console, store: Store, clock: Clock, ref: str, account: User) -> None:
    shown = table(
        "Perp positions", "market", "base", "P&L", "claimable", "payable now", "why not more", left=("why not more",)
    )
    found = False
    for position in account.perp_positions:
        if position.base_asset_amount == 0 and position.quote_asset_amount == 0:
            continue
        found = True
        view = claimable_pnl(store, clock, ref, position.market_index)
        shown.add_row(
            store.perp_markets.objects[position.market_index].name, amount(position.base_asset_amount, 9),
            amount(view.unrealized_pnl, 6), amount(view.claimable_pnl, 6), amount(view.payable_pnl, 6), _why(view),
        )  # fmt: skip
    if found:
        console.print(shown)


def _why(view: ClaimablePnl) -> str:
    return "\n".join([view.refusal] * bool(view.refusal) + view.reasons)


def _stakes(console: Console, store: Store, clock: Clock, authority: str) -> None:
    shown = table(
        f"Insurance stakes of {authority}", "token", "shares", "value", "paid in", "gain", "request", "payout",
        "forfeited", "removable at",
    )  # fmt: skip
    for market in store.spot_markets.objects:
        try:
            view = insurance_stake(store, clock, authority, market.market_index)
        except SettlementError:
            continue
        d, asked = market.decimals, view.request
        request = () if asked is None else (
            amount(asked.frozen_value, d), amount(asked.payout, d), amount(asked.forfeited_by_removal, d),
            when(asked.removable_at),
        )  # fmt: skip
        shown.add_row(
            market.name, str(view.if_shares), amount(view.value, d), amount(view.cost_basis, d), amount(view.gain, d),
            *request,
        )  # fmt: skip
    console.print(shown)


def _receipt(console: Console, venue: Venue, sequence: int) -> None:
    found: Receipt | None = venue.receipt(sequence)
    if found is None:
        raise fail(f"there is no receipt {sequence}; the venue has {venue.sequence}")
    console.print(f"#{found.sequence} {found.ix} by {found.signer} at {when(found.clock.unix_timestamp)} UTC")
    if found.refusal is not None:
        print_refusal(console, found)
        return
    if found.transfers:
        shown = table("Transfers (tokens; each market sums to its vault's change)", "account", "market", "amount")
        for leg in found.transfers:
            shown.add_row(leg.account, str(leg.market_index), f"{leg.amount:,}")
        for change in found.vaults:
            shown.add_row(f"= {change.vault}", str(change.market_index), f"{change.amount:,}")
        console.print(shown)
    for limit in found.limits:
        console.print(f"limit {limit.name}: {limit.value:,} (asked {limit.asked:,}) {limit.note}", markup=False)
    for name, fields in found.events:
        console.print(f"event {name} {msgspec.json.encode(fields).decode()}", markup=False)
