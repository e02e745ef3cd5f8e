"""Fills where Drift parts from Velocity: the price bands, and how fees reach the books. Prices and quote 1e6.

What a fill is apart from its fees: ``rules/common/perp_fills.py``. Source: fees.md §4, §5, §7;
``controller/orders.rs``.
"""

from seawall.arithmetic import MARGIN_PRECISION, PERCENTAGE_PRECISION, div_trunc, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.perp_fills import book_traders_of_match
from seawall.rules.common.perp_orders import can_reward_user_with_perp_pnl, twap_band_limit
from seawall.rules.common.perp_positions import force_get_perp_position_index, update_quote_asset_amount
from seawall.rules.drift.fees import increment_total_referrer_reward
from seawall.state.enums import LONG
from seawall.state.exchange import OracleGuardRails
from seawall.state.orders import FillFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User, UserStats


@rule
def validate_fill_price_within_price_bands(
    fill_price: int,
    direction: int,
    oracle_price: int,
    twap_5min: int,
    margin_ratio_initial: int,
    guard_rails: OracleGuardRails,
) -> None:
    """``PriceBandsBreached`` for a fill worse for the taker than oracle and 5-minute TWAP by too much.

    Source: amm-and-funding.md §3.5 step 14.
    """
    if direction == LONG:
        if fill_price < oracle_price and fill_price < twap_5min:
            return
        from_oracle = sub_saturating(fill_price, oracle_price)
        from_twap = sub_saturating(fill_price, twap_5min)
    else:
        if fill_price > oracle_price and fill_price > twap_5min:
            return
        from_oracle = sub_saturating(oracle_price, fill_price)
        from_twap = sub_saturating(twap_5min, fill_price)
    if div_trunc(from_oracle * MARGIN_PRECISION, oracle_price) >= margin_ratio_initial:
        raise SettlementError(ErrorCode.PriceBandsBreached)
    if div_trunc(from_twap * PERCENTAGE_PRECISION, twap_5min) >= twap_band_limit(guard_rails):
        raise SettlementError(ErrorCode.PriceBandsBreached)


@rule
def book_market_fees(market: PerpMarket, fee_to_market: int, exchange_fee: int, surplus: int) -> None:
    """A fill's income in the market's counters. Source: fees.md §4, §5.

    ``exchange_fee`` is the gross fee of a fill against the AMM, the net fee of a match; deliberate.
    """
    amm = market.amm
    amm.total_fee = amm.total_fee + fee_to_market
    amm.total_exchange_fee = amm.total_exchange_fee + exchange_fee
    amm.total_mm_fee = amm.total_mm_fee + surplus
    amm.total_fee_minus_distributions = amm.total_fee_minus_distributions + fee_to_market
    amm.net_revenue_since_last_funding = amm.net_revenue_since_last_funding + fee_to_market


@rule
def book_match_fees(
    market: PerpMarket,
    taker: User,
    taker_stats: UserStats,
    maker: User,
    maker_stats: UserStats,
    facts: FillFacts,
) -> None:
    """Market, taker and maker of a match: fee, rebate, lifetime figures. Source: fees.md §5."""
    book_market_fees(market, facts.fee_to_market, facts.fee_to_market, 0)
    book_traders_of_match(market, taker, taker_stats, maker, maker_stats, facts)


@rule
def pay_referrer(market: PerpMarket, referrer: User, referrer_stats: UserStats, reward: int, now: int) -> None:
    """Credit a referrer (quote 1e6) and its epoch; nothing for a reward of 0. Source: fees.md §4, §7.

    A referrer without a slot gets nothing and the reward stays surplus: deliberate, it is the program's.
    """
    if reward == 0 or not can_reward_user_with_perp_pnl(referrer, market.market_index):
        return
    position = referrer.perp_positions[force_get_perp_position_index(referrer, market.market_index)]
    update_quote_asset_amount(position, market, reward)
    increment_total_referrer_reward(referrer_stats, reward, now)
