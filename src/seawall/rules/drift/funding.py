"""Funding rates of Drift: a fixed offset, the AMM's part out of its fees above their lower bound.

Rates are 1e9 quote per base, payments quote 1e6. Source: amm-and-funding.md §7; ``controller/funding.rs``,
``math/funding.rs``.
"""

from typing import Final

from seawall.arithmetic import div_trunc, to_i64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_budget import calculate_fee_pool, get_total_fee_lower_bound
from seawall.rules.common.amm_k import formulaic_update_k
from seawall.rules.common.funding import (
    calculate_funding_payment,
    cap_and_spread_premium,
    get_capped_rate_of_receivers,
    is_funding_due,
    note_funding_rate,
    rates_of_both_sides,
    store_funding_rates,
    update_twaps_for_funding,
)
from seawall.state.exchange import OracleGuardRails
from seawall.state.facts import FundingRateFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket

FUNDING_OFFSET_DENOMINATOR: Final = 5_000
"""The oracle TWAP over this is added to the premium: holding a long costs something even without one."""


@rule
def calculate_funding_rate(
    mark_price_twap: int, oracle_price_twap: int, funding_period: int, contract_tier: int
) -> int:
    """Rate (1e9) of one period from the two TWAPs (1e6): premium and offset, capped, spread over a day's periods.

    ``MathError`` for a period above a day. Source: amm-and-funding.md §7.1 step 3.
    """
    premium = mark_price_twap - oracle_price_twap + div_trunc(abs(oracle_price_twap), FUNDING_OFFSET_DENOMINATOR)
    return cap_and_spread_premium(premium, oracle_price_twap, funding_period, contract_tier)


@rule
def calculate_capped_funding_rate(market: PerpMarket, uncapped_pnl: int, funding_rate: int) -> tuple[int, int]:
    """What the AMM pays (< 0, quote 1e6) when it may not pay all of its side, and the receivers' rate (1e9).

    It pays at most a third of its available fees; the payers' funding goes to the receivers on top.
    Source: amm-and-funding.md §7.2; ``math/funding.rs::calculate_capped_funding_rate``.
    """
    limit = -(calculate_fee_pool(market) // 3)
    if uncapped_pnl >= limit:
        return uncapped_pnl, funding_rate
    return limit, get_capped_rate_of_receivers(market.amm, limit, funding_rate)


@rule
def calculate_funding_rate_long_short(market: PerpMarket, funding_rate: int) -> tuple[int, int, int]:
    """Rates of the longs and the shorts (1e9), and the AMM's uncapped part (quote 1e6); books what the AMM got or paid.

    The uncapped part is returned even where less was paid; deliberate. ``InvalidFundingProfitability`` where paying
    would eat the reserved fees. Source: amm-and-funding.md §7.2;
    ``math/funding.rs::calculate_funding_rate_long_short``.
    """
    amm: AMM = market.amm
    uncapped_pnl = -calculate_funding_payment(funding_rate, amm.base_asset_amount_with_amm)
    if uncapped_pnl >= 0:
        amm.total_fee_minus_distributions += uncapped_pnl
        amm.net_revenue_since_last_funding += to_i64(uncapped_pnl)
        return funding_rate, funding_rate, uncapped_pnl
    capped_pnl, capped_rate = calculate_capped_funding_rate(market, uncapped_pnl, funding_rate)
    after = amm.total_fee_minus_distributions + capped_pnl
    if capped_pnl != 0 and after < get_total_fee_lower_bound(amm):
        raise SettlementError(ErrorCode.InvalidFundingProfitability)
    amm.total_fee_minus_distributions = after
    amm.net_revenue_since_last_funding -= to_i64(abs(capped_pnl))
    rate_long, rate_short = rates_of_both_sides(funding_rate, capped_rate)
    return rate_long, rate_short, uncapped_pnl


@rule
def update_funding_rate(
    market: PerpMarket,
    oracle: OraclePriceData,
    guard_rails: OracleGuardRails,
    price: int,
    funding_paused: bool,
    now: int,
    slot: int,
    facts: FundingRateFacts,
) -> bool:
    """Update the funding rate at reserve price ``price`` if it is due; whether it was.

    ``funding_paused``: the exchange's pause bit. ``InvalidFundingProfitability``, ``MathError``.
    Source: amm-and-funding.md §7.1; ``controller/funding.rs::update_funding_rate``.
    """
    if not is_funding_due(market, oracle, guard_rails, price, funding_paused, now, slot):
        return False
    amm: AMM = market.amm
    oracle_price_twap, mark_price_twap = update_twaps_for_funding(
        market, oracle, guard_rails.validity, price, now, slot
    )
    rate = calculate_funding_rate(mark_price_twap, oracle_price_twap, amm.funding_period, market.contract_tier)
    rate_long, rate_short, uncapped_pnl = calculate_funding_rate_long_short(market, rate)
    if amm.curve_update_intensity > 0:
        formulaic_update_k(market, -uncapped_pnl, facts.curve)
    amm.cumulative_funding_rate_long += rate_long
    amm.cumulative_funding_rate_short += rate_short
    amm.net_unsettled_funding_pnl -= to_i64(uncapped_pnl)
    store_funding_rates(amm, rate, rate_long, rate_short, now)
    note_funding_rate(market, mark_price_twap, oracle_price_twap, facts)
    amm.net_revenue_since_last_funding = 0
    return True
