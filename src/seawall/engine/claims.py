"""Who claims what of a vault: every kind of claim on every token, added up."""

from collections import Counter
from typing import NamedTuple

from seawall.engine.store import Store
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import BORROW, DEPOSIT


class Claim(NamedTuple):
    """All claims of one kind on one spot market's vaults (tokens); debts to the vault are negative."""

    market_index: int
    kind: str
    amount: int


def claims(store: Store) -> list[Claim]:
    """Every kind of claim: users' deposits and borrows, each market's pools, shares of the insurance fund.

    Users' rows are read one by one, so this takes time in proportion to their number.
    """
    sums: Counter[tuple[int, str]] = Counter()
    markets = store.spot_markets.objects
    for row in range(store.users.count):
        user = store.users.read(row)
        for position in user.spot_positions:
            if position.scaled_balance:
                market = markets[position.market_index]
                tokens = get_token_amount(position.scaled_balance, market, position.balance_type)
                if position.balance_type == BORROW:
                    sums[market.market_index, "users' borrows"] -= tokens
                else:
                    sums[market.market_index, "users' deposits"] += tokens
        for perp in user.perp_positions:
            if perp.isolated_position_scaled_balance:
                tokens = get_token_amount(perp.isolated_position_scaled_balance, markets[0], DEPOSIT)
                sums[0, "isolated collateral"] += tokens
    for market in markets:
        for kind, pool in (
            ("revenue pool", market.revenue_pool), ("protocol fee pool", market.protocol_fee_pool),
            ("spot fee pool", market.spot_fee_pool),
        ):  # fmt: skip
            held = markets[pool.market_index]
            sums[pool.market_index, kind] += get_token_amount(pool.scaled_balance, held, DEPOSIT)
        _add_fund(store, market.market_index, sums)
    for perp_market in store.perp_markets.objects:
        for kind, pool in (
            ("P&L pools", perp_market.pnl_pool), ("AMM fee pools", perp_market.amm.fee_pool),
            ("protocol fee pools of perp markets", perp_market.protocol_fee_pool),
        ):  # fmt: skip
            sums[pool.market_index, kind] += get_token_amount(pool.scaled_balance, markets[pool.market_index], DEPOSIT)
    return [Claim(market_index, kind, tokens) for (market_index, kind), tokens in sorted(sums.items())]


def _add_fund(store: Store, index: int, sums: "Counter[tuple[int, str]]") -> None:
    """The insurance fund's vault by owner: stakers' part, and that of shares which no staker owns."""
    fund = store.spot_markets.objects[index].insurance_fund
    vault = store.vaults.objects[index].insurance_fund_vault
    stakers = vault * fund.user_shares // fund.total_shares if fund.total_shares else 0
    sums[index, "insurance fund, stakers"] += stakers
    sums[index, "insurance fund, the rest"] += vault - stakers
