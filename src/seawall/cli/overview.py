"""Tables that show a venue: vaults, pools, perp markets, insurance funds, and where the money went."""

from collections.abc import Sequence

from rich.console import Console

from seawall.cli.text import amount, percent, table, when
from seawall.engine.conservation import totals
from seawall.engine.queries.insurance import SharePoint, insurance_fund, realised_apr
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.lab.flows import Flows
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.state.enums import DEPOSIT, MarketStatus
from seawall.state.spot_market import PoolBalance


def print_vaults(console: Console, store: Store) -> None:
    """Each token: what the vault holds, who claims it, the surplus."""
    shown = table(
        "Collateral vaults (tokens)", "token", "vault", "deposits", "borrows", "surplus (dust)", "utilisation",
        note="vault = deposits − borrows + surplus; deposits include the pools",
    )  # fmt: skip
    for i, market in enumerate(store.spot_markets.objects):
        sums = totals(market, store.vaults.objects[i].spot_vault)
        d = market.decimals
        shown.add_row(
            market.name, amount(sums.vault, d), amount(sums.deposits, d), amount(sums.borrows, d),
            amount(sums.surplus, d, d), percent(calculate_spot_market_utilization(market)),
        )  # fmt: skip
    console.print(shown)


def print_pools(console: Console, store: Store) -> None:
    """Each pool and what it holds."""
    shown = table("Pools", "pool", "holds", "token", "is for")
    quote = store.spot_markets.objects[0] if store.spot_markets.objects else None
    for market in store.perp_markets.objects:
        assert quote is not None
        for name, pool, purpose in (
            ("P&L pool", market.pnl_pool, "users' settled gains"),
            ("fee pool", market.amm.fee_pool, "the AMM, then the revenue pool"),
        ):
            tokens = _tokens(store, pool)
            shown.add_row(f"{market.name} {name}", amount(tokens, quote.decimals), quote.name, purpose)
    for spot in store.spot_markets.objects:
        shown.add_row(
            f"{spot.name} revenue pool", amount(_tokens(store, spot.revenue_pool), spot.decimals), spot.name,
            "the insurance fund, perp markets in need",
        )  # fmt: skip
        if spot.market_index:
            assert quote is not None
            tokens = _tokens(store, spot.spot_fee_pool)
            shown.add_row(f"{spot.name} spot fee pool", amount(tokens, quote.decimals), quote.name, "fillers")
    console.print(shown)


def _tokens(store: Store, pool: PoolBalance) -> int:
    return get_token_amount(pool.scaled_balance, store.spot_markets.objects[pool.market_index], DEPOSIT)


def print_perp_markets(console: Console, store: Store) -> None:
    """Each perp market: interest, funding, fees, and its claim on insurance."""
    shown = table(
        "Perp markets (quote)", "market", "status", "long", "short", "net with AMM", "fees earned",
        "AMM's earnings", "users with base", "insurance drawn / cap",
    )  # fmt: skip
    for market in store.perp_markets.objects:
        amm, claim = market.amm, market.insurance_claim
        shown.add_row(
            market.name, MarketStatus(market.status).name, amount(amm.base_asset_amount_long, 9),
            amount(amm.base_asset_amount_short, 9), amount(amm.base_asset_amount_with_amm, 9),
            amount(amm.total_exchange_fee, 6), amount(amm.total_fee_minus_distributions, 6),
            str(market.number_of_users_with_base),
            f"{amount(claim.quote_settled_insurance, 6)} / {amount(claim.quote_max_insurance, 6)}",
        )  # fmt: skip
    console.print(shown)


def print_insurance(console: Console, store: Store, clock: Clock, since: Sequence[SharePoint] = ()) -> None:
    """Each insurance fund: vault, owners, share price, APR since the points given, and what settles next."""
    shown = table(
        "Insurance funds", "token", "vault", "stakers own", "protocol owns", "share price", "APR so far",
        "next settlement", "amount", "APR of it", "bound by",
    )  # fmt: skip
    for market in store.spot_markets.objects:
        fund = insurance_fund(store, clock, market.market_index)
        coming = fund.next_settlement
        d = market.decimals
        shown.add_row(
            market.name, amount(fund.insurance_fund_vault, d), amount(fund.user_value, d),
            amount(fund.protocol_value, d), amount(fund.share_price, 6, 6),
            percent(realised_apr(since[market.market_index], fund.point)) if since else "",
            "off" if coming is None else when(coming.at), "" if coming is None else amount(coming.amount, d),
            "" if coming is None else percent(coming.apr),
            "" if coming is None else coming.refusal or ", ".join(limit.name for limit in coming.limits) or "nothing",
        )  # fmt: skip
    console.print(shown)


FLOW_COLUMNS = (
    ("users", "users"),
    ("pnl_pool", "P&L pool"),
    ("fee_pool", "fee pool"),
    ("revenue_pool", "revenue pool"),
    ("spot_fee_pool", "spot fee pool"),
    ("other_depositors", "lenders (index)"),
    ("other_borrowers", "borrowers (index)"),
    ("dust", "dust"),
    ("spot_vault", "= vault"),
    ("insurance_fund_vault", "insurance vault"),
)


def print_flows(console: Console, store: Store, flows: Flows) -> None:
    """Who was paid from what: each instruction's effect on each kind of claim; every row sums to the vault's change."""
    for index in sorted(flows.moved):
        market = store.spot_markets.objects[index]
        used = [(kind, title) for kind, title in FLOW_COLUMNS if any(row[kind] for row in flows.moved[index].values())]
        shown = table(f"Who was paid from what: {market.name}", "instruction", *(title for _, title in used))
        for ix, row in flows.moved[index].items():
            if any(row[kind] for kind, _ in used):
                cells = (amount(row[kind], market.decimals) if row[kind] else "" for kind, _ in used)
                shown.add_row(ix, *cells)
        shown.add_section()
        shown.add_row("total", *(amount(flows.total(index, kind), market.decimals) for kind, _ in used))
        console.print(shown)
