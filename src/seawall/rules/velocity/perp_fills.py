"""Fills where Velocity parts from Drift: when the AMM may fill, the price bands, and how fees reach the books.

Base 1e9, prices and quote 1e6. What a fill is apart from that: ``rules/common/perp_fills.py``.
Source: velocity/pools-and-fees.md §4; drift/amm-and-funding.md §3.5, §13 (newer); ``controller/orders``,
``controller/orders/settle.rs``.
"""

from typing import Final

from seawall.arithmetic import MARGIN_PRECISION, PERCENTAGE_PRECISION, div_trunc
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_curve import calculate_market_open_bids_asks
from seawall.rules.common.amm_drawdown import DEFAULT_REVENUE_SINCE_LAST_FUNDING_SPREAD_RETREAT, has_too_much_drawdown
from seawall.rules.common.oracles import (
    ACTION_FILL_ORDER_AMM,
    ACTION_FILL_ORDER_AMM_LOW_RISK,
    is_oracle_valid_for_action,
)
from seawall.rules.common.perp_fills import book_traders_of_match, does_amm_want_to_jit_make
from seawall.rules.common.perp_orders import twap_band_limit
from seawall.rules.common.safe_price import MM_PRICE_BAND, is_mm_price_as_recent, mm_price_divergence
from seawall.rules.velocity.amm_books import apply_fill_fees
from seawall.rules.velocity.fee_ledger import accrue_fill_fees
from seawall.state.enums import PERP_AMM_FILL, PERP_AMM_IMMEDIATE_FILL
from seawall.state.exchange import OracleGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.orders import FillFacts, PerpOrder
from seawall.state.perp_market import FeeLedger, PerpMarket
from seawall.state.user import User, UserStats

AMM_FILLS: Final = 0
AMM_FILL_PAUSED: Final = 1
AMM_IN_DRAWDOWN: Final = 2
AMM_PRICES_APART: Final = 3
AMM_PRICE_NOT_GOOD_ENOUGH: Final = 4
AMM_NOT_AT_ONCE: Final = 5


# --- when the AMM may fill -------------------------------------------------------------------------------------


@rule
def may_amm_fill_at_once(market: PerpMarket, order: PerpOrder, validity: int, immediate_fills_paused: bool) -> bool:
    """Whether the AMM takes an order that is younger than the oracle's price: only to get rid of a small position.

    Source: drift/amm-and-funding.md §13 (newer); ``state/perp_market.rs::amm_can_fill_order``.
    """
    amm = market.amm
    if immediate_fills_paused or market.paused_operations & PERP_AMM_IMMEDIATE_FILL != 0:
        return False
    if not is_oracle_valid_for_action(validity, ACTION_FILL_ORDER_AMM):
        return False
    if not does_amm_want_to_jit_make(amm, order.direction):
        return False
    bids, asks = calculate_market_open_bids_asks(
        amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve
    )
    if abs(amm.base_asset_amount_with_amm) >= min(bids, -asks) // 10:
        return False
    return amm.net_revenue_since_last_funding >= DEFAULT_REVENUE_SINCE_LAST_FUNDING_SPREAD_RETREAT


@rule
def amm_can_fill_order(
    market: PerpMarket,
    order: PerpOrder,
    oracle: OraclePriceData,
    safe_delay: int,
    safe_validity: int,
    slot: int,
    immediate_fills_paused: bool,
) -> int:
    """``AMM_FILLS``, or the first thing that keeps the AMM from filling an order now.

    ``safe_delay`` (slots) and ``safe_validity`` are the safe price's. An order that was there when that price was
    posted, or came with it, is of low risk. Drift asks for a valid price and for the age of the order.
    Source: drift/amm-and-funding.md §13 (newer); ``state/perp_market.rs::amm_can_fill_order``.
    """
    if market.paused_operations & PERP_AMM_FILL != 0:
        return AMM_FILL_PAUSED
    if has_too_much_drawdown(market):
        return AMM_IN_DRAWDOWN
    amm = market.amm
    if is_mm_price_as_recent(amm, oracle, slot) and mm_price_divergence(amm, oracle.price) > MM_PRICE_BAND:
        return AMM_PRICES_APART
    if not is_oracle_valid_for_action(safe_validity, ACTION_FILL_ORDER_AMM_LOW_RISK):
        return AMM_PRICE_NOT_GOOD_ENOUGH
    if slot - safe_delay >= order.slot:
        return AMM_FILLS
    if may_amm_fill_at_once(market, order, safe_validity, immediate_fills_paused):
        return AMM_FILLS
    return AMM_NOT_AT_ONCE


# --- prices of fills -------------------------------------------------------------------------------------------


@rule
def validate_fill_price_within_price_bands(
    fill_price: int, oracle_price: int, twap_5min: int, margin_ratio_initial: int, guard_rails: OracleGuardRails
) -> None:
    """``PriceBandsBreached`` for a fill too far from oracle or 5-minute TWAP (1e6), to whoever's advantage.

    Drift asks only how much worse for the taker it is. Source: drift/amm-and-funding.md §3.5 step 14 (newer).
    """
    from_oracle = div_trunc(abs(fill_price - oracle_price) * MARGIN_PRECISION, oracle_price)
    if from_oracle >= margin_ratio_initial:
        raise SettlementError(ErrorCode.PriceBandsBreached)
    from_twap = div_trunc(abs(fill_price - twap_5min) * PERCENTAGE_PRECISION, twap_5min)
    if from_twap >= twap_band_limit(guard_rails):
        raise SettlementError(ErrorCode.PriceBandsBreached)


# --- booking the fees ------------------------------------------------------------------------------------------


@rule
def book_spread_surplus(ledger: FeeLedger, surplus: int) -> None:
    """Count the spread surplus that the AMM booked and the sweep may turn into its tokens; a loss lowers it first.

    Never below 0: what a loss takes beyond it is only in the AMM's equity. Source: the parameter
    ``tokenize_spread_surplus`` (docs/rulebooks.md).
    """
    ledger.pending_amm_surplus = max(0, ledger.pending_amm_surplus + surplus)


@rule
def book_market_fees(market: PerpMarket, facts: FillFacts, tokenize_surplus: bool) -> None:
    """A fill's income in the books of the AMM, then in the fee ledger.

    Drift books the whole rest of the fee as the AMM's income. ``tokenize_surplus``: count what of the surplus the AMM
    booked. ``MathError`` beyond the fields. Source: velocity/pools-and-fees.md §4.
    """
    ledger = market.fee_ledger
    apply_fill_fees(market.amm, facts.fee_to_market, facts.quote_asset_amount_surplus)
    accrue_fill_fees(ledger, facts.user_fee, facts.protocol_fee, facts.if_fee, facts.amm_fee)
    if tokenize_surplus:
        # of a post-only user's fill the AMM books no surplus, only its cut of it
        book_spread_surplus(ledger, facts.fee_to_market - facts.amm_fee)


@rule
def book_match_fees(
    market: PerpMarket, taker: User, taker_stats: UserStats, maker: User, maker_stats: UserStats, facts: FillFacts
) -> None:
    """Market, taker and maker of a match: cuts, fee with the builder's, rebate, lifetime figures.

    Source: velocity/pools-and-fees.md §4.
    """
    book_market_fees(market, facts, False)
    book_traders_of_match(market, taker, taker_stats, maker, maker_stats, facts)
