"""The bid/ask crank: a keeper's best bid and ask, bounded by the oracle, by time and by what they must move.

Source: velocity/amm-and-funding.md §8.2; drift/amm-and-funding.md §6.4, newer; ``instructions/keeper.rs``.
"""

from typing import Final

from seawall.arithmetic import clamp, div_trunc
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_curve import NO_PRICE, ask_price, bid_price, reserve_price
from seawall.rules.common.amm_twaps import (
    combine_bid_ask,
    is_mark_twap_stale,
    longest_claim_of_crank,
    perp_sanitize_clamp_denominator,
    reseed_mark_twap,
    update_mark_twap,
)
from seawall.state.perp_market import AMM, PerpMarket

LEAST_BID_PCT: Final = 85
"""Bids below this part (percent) of the oracle price are no bids."""
GREATEST_ASK_PCT: Final = 115
SECONDS_WITHOUT_MOVING: Final = 60
"""So long after the last update an estimate may leave its TWAP where it was."""


@rule
def fair_price(amm: AMM, oracle_price: int) -> int:
    """The oracle price with the mark's premium of five minutes, by at most 1 %: what decides a crossed book (1e6)."""
    premium = amm.last_mark_price_twap_5min - amm.historical_oracle_data.last_oracle_price_twap_5min
    band = abs(div_trunc(oracle_price, 100))
    return oracle_price + clamp(premium, -band, band)


@rule
def estimate_from_order_book(market: PerpMarket, best_bid: int, best_ask: int, oracle_price: int) -> tuple[int, int]:
    """The AMM's and the book's best prices (``NO_PRICE``: none) together, outliers dropped; bid and ask (1e6)."""
    amm: AMM = market.amm
    price = reserve_price(amm)
    if best_bid != NO_PRICE and best_bid < oracle_price * LEAST_BID_PCT // 100:
        best_bid = NO_PRICE
    if best_ask != NO_PRICE and best_ask > oracle_price * GREATEST_ASK_PCT // 100:
        best_ask = NO_PRICE
    fair = fair_price(amm, oracle_price)
    return combine_bid_ask(bid_price(market, price), ask_price(market, price), best_bid, best_ask, fair)


@rule
def crank_mark_twap(market: PerpMarket, best_bid: int, best_ask: int, oracle_price: int, now: int) -> None:
    """Take the venue's best bid and ask into the mark TWAPs; stale TWAPs start afresh from the oracle's instead.

    ``CantUpdatePerpBidAskTwap`` within a minute of the last update for an estimate that differs from its TWAP and does
    not move it. ``InvalidMarkTwapUpdateDetected``.
    """
    amm: AMM = market.amm
    if is_mark_twap_stale(market, now):
        reseed_mark_twap(amm, now)
        return
    bid, ask = estimate_from_order_book(market, best_bid, best_ask, oracle_price)
    since_last = now - amm.last_mark_price_twap_ts
    bid_twap = amm.last_bid_price_twap
    ask_twap = amm.last_ask_price_twap
    longest = longest_claim_of_crank(amm.funding_period)
    clamp_denominator = perp_sanitize_clamp_denominator(market.contract_tier)
    update_mark_twap(market, now, bid, ask, NO_PRICE, clamp_denominator, longest)
    if since_last >= SECONDS_WITHOUT_MOVING:
        return
    if amm.last_bid_price_twap == bid_twap and bid != bid_twap:
        raise SettlementError(ErrorCode.CantUpdatePerpBidAskTwap)
    if amm.last_ask_price_twap == ask_twap and ask != ask_twap:
        raise SettlementError(ErrorCode.CantUpdatePerpBidAskTwap)
