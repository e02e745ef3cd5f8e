"""Tables that show a venue: vaults, pools, perp markets, insurance funds, and where the money went."""

from collections import Counter
from collections.abc import Mapping, Sequence

from rich.console import Console

from seawall.cli.text import amount, percent, table, when
from seawall.engine.conservation import totals
from seawall.engine.queries.insurance import SharePoint, insurance_fund, realised_apr
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.lab.flows import Flows
from seawall.lab.losses import Losses
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.state.enums import DEPOSIT, RULEBOOK_VELOCITY, MarketStatus
from seawall.state.spot_market import PoolBalance


def print_vaults(console: Console, store: Store) -> None:
    """Each token: what the vault holds, who claims it, the surplus."""
    shown = table(
        "Collateral vaults (tokens)", "token", "vault", "deposits", "borrows", "surplus", "lent",
        note="vault = deposits − borrows + surplus (dust, and what the program credits to nobody); deposits include "
        "the pools",
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
    shown = table("Pools", "pool", "holds", "token", "is for", left=("token", "is for"))
    velocity = _is_velocity(store)
    quote = store.spot_markets.objects[0] if store.spot_markets.objects else None
    for market in store.perp_markets.objects:
        assert quote is not None
        pools = [
            ("P&L pool", market.pnl_pool, "users' settled gains, fees not swept yet" if velocity else "settled gains"),
            ("fee pool", market.amm.fee_pool, "the AMM alone" if velocity else "the AMM, then the revenue pool"),
        ]
        if velocity:
            pools.append(("protocol fee pool", market.protocol_fee_pool, "the protocol"))
        for name, pool, purpose in pools:
            shown.add_row(f"{market.name} {name}", amount(_tokens(store, pool), quote.decimals), quote.name, purpose)
    for spot in store.spot_markets.objects:
        purpose = "insurance" if velocity else "insurance, perp markets in need"
        held = amount(_tokens(store, spot.revenue_pool), spot.decimals)
        shown.add_row(f"{spot.name} revenue pool", held, spot.name, purpose)
        if velocity:
            held = amount(_tokens(store, spot.protocol_fee_pool), spot.decimals)
            shown.add_row(f"{spot.name} protocol fee pool", held, spot.name, "the protocol")
        elif spot.market_index:
            assert quote is not None
            tokens = _tokens(store, spot.spot_fee_pool)
            shown.add_row(f"{spot.name} spot fee pool", amount(tokens, quote.decimals), quote.name, "fillers")
    console.print(shown)


def _is_velocity(store: Store) -> bool:
    return store.state.objects[0].rulebook == RULEBOOK_VELOCITY


def print_fee_ledgers(console: Console, store: Store) -> None:
    """Each market's fee ledger, where the rulebook keeps one."""
    if not _is_velocity(store) or not store.perp_markets.objects:
        return
    shown = table(
        "Fee ledgers (quote)", "market", "fees", "of liquidations", "AMM got", "not swept: protocol", "insurance", "AMM"
    )
    for market in store.perp_markets.objects:
        ledger = market.fee_ledger
        figures = (
            ledger.total_exchange_fee, ledger.total_liquidation_fee, ledger.amm_protocol_fees_received,
            ledger.pending_protocol_fee, ledger.pending_if_fee, ledger.pending_amm_provision,
        )  # fmt: skip
        shown.add_row(market.name, *(amount(figure, 6) for figure in figures))
    console.print(shown)


def _tokens(store: Store, pool: PoolBalance) -> int:
    return get_token_amount(pool.scaled_balance, store.spot_markets.objects[pool.market_index], DEPOSIT)


def print_perp_markets(console: Console, store: Store) -> None:
    """Each perp market: positions, then money: fees, what the AMM made, what insurance gave."""
    if not store.perp_markets.objects:
        return
    shown = table("Perp markets (base)", "market", "status", "long", "short", "with AMM", "users", left=("status",))
    money = table(
        "Perp markets (quote)", "market", "fees", "AMM's earnings", "insurance drawn", "may draw", "socialised"
    )
    for market in store.perp_markets.objects:
        amm, claim = market.amm, market.insurance_claim
        shown.add_row(
            market.name, MarketStatus(market.status).name, amount(amm.base_asset_amount_long, 9),
            amount(amm.base_asset_amount_short, 9), amount(amm.base_asset_amount_with_amm, 9),
            str(market.number_of_users_with_base),
        )  # fmt: skip
        fees = market.fee_ledger.total_exchange_fee if _is_velocity(store) else amm.total_exchange_fee
        money.add_row(
            market.name, amount(fees, 6), amount(amm.total_fee_minus_distributions, 6),
            amount(claim.quote_settled_insurance, 6),
            amount(claim.quote_max_insurance - claim.quote_settled_insurance, 6), amount(amm.total_social_loss, 6),
        )  # fmt: skip
    console.print(shown)
    console.print(money)


def print_insurance(console: Console, store: Store, clock: Clock, since: Sequence[SharePoint] = ()) -> None:
    """Each insurance fund: vault, owners, share price, APR since the points given; then what settles next."""
    velocity = _is_velocity(store)
    shown = table(
        "Insurance funds", "token", "vault", "stakers own", "ballast" if velocity else "protocol owns", "share price",
        *(("APR so far",) if since else ()),
    )  # fmt: skip
    coming = table(
        "Next revenue settlements", "token", "at (UTC)", "amount", "APR of it", "bound by", left=("bound by",)
    )
    for market in store.spot_markets.objects:
        fund = insurance_fund(store, clock, market.market_index)
        d = market.decimals
        shown.add_row(
            market.name, amount(fund.insurance_fund_vault, d), amount(fund.user_value, d),
            amount(fund.protocol_value, d), amount(fund.share_price, 6, 6),
            *((percent(realised_apr(since[market.market_index], fund.point)),) if since else ()),
        )  # fmt: skip
        settlement = fund.next_settlement
        if settlement is None:
            coming.add_row(market.name, "off")
            continue
        coming.add_row(
            market.name, when(settlement.at), amount(settlement.amount, d), percent(settlement.apr),
            settlement.refusal or ", ".join(limit.name for limit in settlement.limits) or "nothing",
        )  # fmt: skip
    console.print(shown)
    console.print(coming)


# --- what a run moved ------------------------------------------------------------------------------------------

_NAMES = {
    "pnl_pool": "P&L pool",
    "fee_pool": "fee pool",
    "revenue_pool": "revenue pool",
    "spot_fee_pool": "spot fee pool",
    "protocol_fee_pool": "protocol fee pool",
    "revenue_receivable": "revenue receivable",
    "other_depositors": "lenders (interest)",
    "other_borrowers": "borrowers (interest)",
    "dust": "surplus",
    "insurance_fund_vault": "insurance fund",
}
"""Kinds of claims as people read them."""


def print_flows(console: Console, store: Store, flows: Flows) -> None:
    """Who was paid from what: for each instruction who gave and who received; both sides sum to the same."""
    for index in sorted(flows.moved):
        market = store.spot_markets.objects[index]
        total = Counter[str]()
        for row in flows.moved[index].values():
            total.update(row)
        shown = table(
            f"Who was paid from what: {market.name}", "gave", "received", left=("received",),
            note="both sides are equal; what is less than 0.01 is not shown",
        )  # fmt: skip
        for ix, row in [*flows.moved[index].items(), ("all of them, net", total)]:
            legs = [(name, tokens) for name, tokens in _legs(row) if abs(tokens) * 100 >= 10**market.decimals]
            if legs:
                gave = [(name, -tokens) for name, tokens in legs if tokens < 0]
                received = [(name, tokens) for name, tokens in legs if tokens > 0]
                shown.add_row(f"[bold]{ix}[/]")
                shown.add_row(_listed(gave, market.decimals), _listed(received, market.decimals), end_section=True)
        console.print(shown)


def _legs(row: Mapping[str, int]) -> list[tuple[str, int]]:
    """What each party's claim changed by, with the world outside; they sum to 0, the largest first."""
    legs = [(_NAMES.get(kind, kind), tokens) for kind, tokens in row.items() if tokens and kind != "spot_vault"]
    outside = -row.get("spot_vault", 0) - row.get("insurance_fund_vault", 0)
    if outside:
        legs.append(("outside", outside))
    return sorted(legs, key=lambda leg: -abs(leg[1]))


def _listed(legs: list[tuple[str, int]], decimals: int) -> str:
    return "\n".join(f"{amount(tokens, decimals):>12} {name}" for name, tokens in legs)


def print_losses(console: Console, store: Store, losses: Losses) -> None:
    """Liquidations with their fees, then the losses that their owners could not pay, and who paid for them."""
    shown = table(
        "Liquidations", "of a", "times", "accounts", "taken over", "liquidator", "insurance",
        note="liquidator, insurance: their fees, a position's in quote, a borrow's in its token; of a borrow the "
        "liquidator earns on the asset",
    )  # fmt: skip
    for (ix, index), sums in losses.liquidated.items():
        kind, unit, decimals = _taken(store, ix, index)
        fee_decimals = 6 if ix == "liquidate_perp" else decimals
        shown.add_row(
            kind, f"{sums.count:,}", str(len(sums.accounts)), f"{amount(sums.taken, decimals)} {unit}",
            amount(sums.liquidator_fee, 6) if ix == "liquidate_perp" else "",
            amount(sums.if_fee, fee_decimals) if ix in ("liquidate_perp", "liquidate_spot") else "",
        )  # fmt: skip
    console.print(shown)
    tokens = sorted({index for _, index in losses.resolved}) or [0]
    for index in tokens:
        _print_resolved(console, store, losses, index)


LOSSES = (("perp_bankruptcy", "perp debt"), ("spot_bankruptcy", "borrow"), ("perp_pnl_deficit", "P&L deficit"))
"""Kinds of losses as people read them."""


def _print_resolved(console: Console, store: Store, losses: Losses, index: int) -> None:
    market = store.spot_markets.objects[index]
    found = {kind: losses.resolved[kind, index] for kind, _ in LOSSES if (kind, index) in losses.resolved}
    still_open = any(one.uncovered for one in found.values())
    others = any(one.other for one in found.values())
    sources = ("insurance", "fee pool", *(("other pools",) if others else ()), "socialised")
    columns = ("kind", "times", "loss", *sources, *(("open",) if still_open else ()))
    shown = table(
        f"Losses that their owners could not pay ({market.name})", *columns,
        note=f"loss = {' + '.join(sources)}" + (" + open (it waits)" if still_open else ""),
    )  # fmt: skip
    for kind, title in LOSSES:
        one = found.get(kind)
        if one is None:
            shown.add_row(title, "0")
            continue
        parts = (one.loss, one.insurance, one.fee_pool, *((one.other,) if others else ()), one.socialised)
        cells = (*parts, one.uncovered) if still_open else parts
        shown.add_row(title, f"{one.count:,}", *(amount(part, market.decimals) for part in cells))
    console.print(shown)


def _taken(store: Store, ix: str, index: int) -> tuple[str, str, int]:
    """What a liquidation takes over: a word for it, unit and decimals."""
    if ix == "liquidate_perp":
        return "position", store.perp_markets.objects[index].name, 9
    if ix == "liquidate_perp_pnl_for_deposit":
        return "perp loss", store.spot_markets.objects[0].name, 6
    market = store.spot_markets.objects[index]
    return "borrow" if ix == "liquidate_spot" else "borrow for profit", market.name, market.decimals
