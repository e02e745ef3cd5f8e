"""How a fill's fees reach Drift's books: the market's counters, the referrer's position. Quote 1e6.

What a fill is apart from its fees: ``rules/common/perp_fills.py``. Source: fees.md §4, §5, §7;
``controller/orders.rs``.
"""

from seawall.lanes import rule
from seawall.rules.common.perp_fills import book_traders_of_match
from seawall.rules.common.perp_orders import can_reward_user_with_perp_pnl
from seawall.rules.common.perp_positions import force_get_perp_position_index, update_quote_asset_amount
from seawall.rules.drift.fees import increment_total_referrer_reward
from seawall.state.orders import FillFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User, UserStats


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
