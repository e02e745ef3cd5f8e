"""The AMM's memory of prices and trades: oracle and mark TWAPs, deviations, confidence, volumes.

Prices 1e6, times in seconds, volumes quote 1e6. Source: amm-and-funding.md §6.2-6.5; ``math/amm.rs``,
``controller/amm.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    BID_ASK_SPREAD_PRECISION,
    FIVE_MINUTE,
    ONE_HOUR,
    QUOTE_PRECISION,
    TWENTY_FOUR_HOUR,
    checked_i64,
    checked_u64,
    div_trunc,
    sub_checked,
    sub_saturating,
    to_i64,
    to_u32,
    to_u64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_curve import NO_PRICE, ask_price, bid_price, reserve_price
from seawall.rules.common.interest import sanitize_new_price
from seawall.rules.common.statistics import (
    calculate_average_with_bias,
    calculate_new_twap,
    calculate_rolling_sum,
    calculate_weighted_average,
)
from seawall.state.enums import (
    CONTRACT_TIER_A,
    CONTRACT_TIER_B,
    CONTRACT_TIER_C,
    LONG,
    RULEBOOK_VELOCITY,
    SHORT,
)
from seawall.state.oracle import HistoricalOracleData, OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket

_RESEED_AFTER_PERIODS: Final = 3
_LEAST_MARK_TWAP_LAG: Final = 60
NO_LIMIT: Final = -1
"""Stands for a limit that does not apply."""


@rule
def perp_sanitize_clamp_denominator(contract_tier: int) -> int:
    """Denominator of the clamp band of a perp market's TWAPs by contract tier. Source: amm-and-funding.md §6."""
    if contract_tier == CONTRACT_TIER_A:
        return 10
    if contract_tier == CONTRACT_TIER_B:
        return 5
    if contract_tier == CONTRACT_TIER_C:
        return 2
    return 3


# --- oracle ----------------------------------------------------------------------------------------------------


@rule
def normalise_oracle_price(oracle: OraclePriceData, price: int) -> int:
    """The oracle's price pulled toward the reserve price ``price``, by at most its confidence (all 1e6).

    Source: amm-and-funding.md §6.2 step 1; ``math/amm.rs::normalise_oracle_price``.
    """
    quarter_bps = price // 4_000
    if price > oracle.price:
        return min(max(price - quarter_bps, oracle.price), oracle.price + oracle.confidence)
    return max(min(price + quarter_bps, oracle.price), oracle.price - oracle.confidence)


@rule
def calculate_new_oracle_price_twap(
    amm: AMM, now: int, oracle_price: int, period: int, mark_twap: int, oracle_twap: int
) -> int:
    """An oracle TWAP over ``period`` seconds after a price; mark trades since the last update weigh in.

    Source: amm-and-funding.md §6.2 step 4; ``math/amm.rs::calculate_new_oracle_price_twap``.
    """
    last_ts = amm.historical_oracle_data.last_oracle_price_twap_ts
    mark_ts = amm.last_mark_price_twap_ts
    since_last = checked_i64(now - last_ts)
    least = 0
    if period == 0:
        least = 1
    if since_last < least:
        since_last = least
    from_start = checked_i64(period - since_last)
    if from_start < 0:
        from_start = 0
    price = oracle_price
    if mark_ts > last_ts:
        since_valid = mark_ts - last_ts
        price = calculate_weighted_average(mark_twap, oracle_price, since_valid, max(1, period - since_valid))
    return calculate_weighted_average(price, oracle_twap, since_last, from_start)


@rule
def update_oracle_confidence(amm: AMM, confidence: int, price: int, now: int) -> None:
    """Confidence as a fraction of the reserve price (1e6): the new one, or the old one decayed if that is larger.

    Source: amm-and-funding.md §6.2 step 5.
    """
    since_last = now - amm.historical_oracle_data.last_oracle_price_twap_ts
    decayed = amm.last_oracle_conf_pct
    if since_last > 0:
        decayed = decayed - decayed // max(sub_saturating(21, since_last), 5)
    conf_pct = checked_u64(confidence * BID_ASK_SPREAD_PRECISION) // price
    amm.last_oracle_conf_pct = max(conf_pct, decayed)


@rule
def update_oracle_price_twap(
    market: PerpMarket,
    now: int,
    oracle: OraclePriceData,
    price: int,
    clamp_denominator: int,
    safe_price: int = -1,
    safe_confidence: int = 0,
) -> int:
    """Take an oracle price into the AMM's TWAPs at reserve price ``price``; the 1-hour TWAP afterwards.

    The deviation is the latest absolute change, not an average; deliberate, it is the program's. ``safe_price`` and
    ``safe_confidence``: what replaces the oracle's own for the distance from the reserve price (``NO_PRICE``: nothing).
    ``MathError`` for a reserve price of 0. Source: amm-and-funding.md §6.2; ``math/amm.rs::update_oracle_price_twap``.

    Drift: the change since the new 1-hour TWAP.
    Velocity: the larger of the changes since the old 1-hour and the old 5-minute TWAP.
    """
    amm: AMM = market.amm
    if safe_price == NO_PRICE:
        safe_price = oracle.price
        safe_confidence = oracle.confidence
    history: HistoricalOracleData = amm.historical_oracle_data
    oracle_twap = history.last_oracle_price_twap
    normalised = normalise_oracle_price(oracle, price)
    capped = sanitize_new_price(normalised, oracle_twap, clamp_denominator)
    if capped <= 0 or normalised <= 0:
        return oracle_twap
    new_twap = calculate_new_oracle_price_twap(
        amm, now, capped, amm.funding_period, amm.last_mark_price_twap, oracle_twap
    )
    new_twap_5min = calculate_new_oracle_price_twap(
        amm, now, capped, FIVE_MINUTE, amm.last_mark_price_twap_5min, history.last_oracle_price_twap_5min
    )
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    update_oracle_confidence(amm, safe_confidence, price, now)
    amm.last_oracle_normalised_price = capped
    amm.last_oracle_reserve_price_spread_pct = to_i64(div_trunc((price - safe_price) * BID_ASK_SPREAD_PRECISION, price))
    amm.oracle_std = abs(normalised - new_twap)
    if market.rulebook == RULEBOOK_VELOCITY:
        amm.oracle_std = max(abs(normalised - oracle_twap), abs(normalised - history.last_oracle_price_twap_5min))
    history.last_oracle_price = oracle.price
    history.last_oracle_delay = oracle.delay
    history.last_oracle_price_twap = new_twap
    history.last_oracle_price_twap_5min = new_twap_5min
    history.last_oracle_price_twap_ts = now
    return new_twap


# --- mark ------------------------------------------------------------------------------------------------------


@rule
def estimate_best_bid_price(market: PerpMarket, trade_price: int, amm_bid: int) -> int:
    """The best bid that a trade at ``trade_price`` lets one infer (1e6), at least the AMM's.

    The spread fractions are used as price units; deliberate, it is the program's.
    Drift: ``MathError`` where it would be negative.
    Velocity: it is at least one tick.
    Source: amm-and-funding.md §6.3; ``math/amm.rs::estimate_best_bid_ask_price``.
    """
    amm: AMM = market.amm
    oracle_price = to_u64(amm.historical_oracle_data.last_oracle_price)
    premium = trade_price - oracle_price
    best = trade_price
    if premium > 0:
        discount = min(min(amm.base_spread, amm.short_spread // 2), premium)
        if market.rulebook == RULEBOOK_VELOCITY:
            best = max(amm.order_tick_size, sub_saturating(oracle_price, discount))
        else:
            best = sub_checked(oracle_price, discount)
    return max(best, amm_bid)


@rule
def estimate_best_ask_price(amm: AMM, trade_price: int, amm_ask: int) -> int:
    """The best ask that a trade at ``trade_price`` lets one infer (1e6), at most the AMM's; as the bid."""
    oracle_price = to_u64(amm.historical_oracle_data.last_oracle_price)
    premium = trade_price - oracle_price
    best = trade_price
    if premium < 0:
        best = checked_u64(oracle_price + min(min(amm.base_spread, amm.long_spread // 2), -premium))
    return min(best, amm_ask)


@rule
def estimate_best_bid_ask_price(market: PerpMarket, trade_price: int, direction: int) -> tuple[int, int]:
    """Best bid and ask (1e6) inferred from a trade, or from the oracle price without one (``NO_PRICE``).

    ``InvalidOracle`` for an oracle price of 0, ``CastingFailure`` for a negative one;
    ``InvalidMarkTwapUpdateDetected`` for a bid above the ask.
    """
    amm: AMM = market.amm
    oracle_price = to_u64(amm.historical_oracle_data.last_oracle_price)
    if oracle_price == 0:
        raise SettlementError(ErrorCode.InvalidOracle)
    trade = oracle_price
    if trade_price != NO_PRICE:
        trade = trade_price
    price = reserve_price(amm)
    amm_bid = bid_price(market, price)
    amm_ask = ask_price(market, price)
    bid_estimate = estimate_best_bid_price(market, trade, amm_bid)
    ask_estimate = estimate_best_ask_price(amm, trade, amm_ask)
    if direction == LONG:
        bid = bid_estimate
        ask = max(trade, bid_estimate)
    elif direction == SHORT:
        bid = min(trade, ask_estimate)
        ask = ask_estimate
    else:
        bid = min(max(trade, amm_bid), amm_ask)
        ask = bid
    if bid > ask:
        raise SettlementError(ErrorCode.InvalidMarkTwapUpdateDetected)
    return bid, ask


@rule
def update_mark_twap_from_estimates(
    market: PerpMarket, now: int, trade_price: int, direction: int, clamp_denominator: int
) -> int:
    """Take a trade (or none: ``NO_PRICE``, ``NO_DIRECTION``) into the mark TWAPs; the new mark TWAP (1e6).

    Drift: however old the TWAPs are.
    Velocity: stale TWAPs start afresh from the oracle's instead.
    Source: amm-and-funding.md §6.3; ``math/amm.rs::update_mark_twap_from_estimates``.
    """
    if is_mark_twap_stale(market, now):
        return reseed_mark_twap(market.amm, now)
    bid, ask = estimate_best_bid_ask_price(market, trade_price, direction)
    return update_mark_twap(market, now, bid, ask, trade_price, clamp_denominator)


@rule
def is_mark_twap_stale(market: PerpMarket, now: int) -> bool:
    """Whether the mark TWAPs are so old that they start afresh: three funding periods, at least an hour.

    Drift: never.
    Velocity: by age. Source: velocity/amm-and-funding.md §8.2 step 1.
    """
    if market.rulebook != RULEBOOK_VELOCITY:
        return False
    amm: AMM = market.amm
    return now - amm.last_mark_price_twap_ts > max(_RESEED_AFTER_PERIODS * amm.funding_period, ONE_HOUR)


@rule
def reseed_mark_twap(amm: AMM, now: int) -> int:
    """Set the mark TWAPs to the oracle's, without the sample at hand, so that the premium is 0; the mark TWAP (1e6).

    ``CastingFailure`` for a negative oracle TWAP. Source: velocity/amm-and-funding.md §8.2 step 1.
    """
    history: HistoricalOracleData = amm.historical_oracle_data
    twap = to_u64(history.last_oracle_price_twap)
    amm.last_bid_price_twap = twap
    amm.last_ask_price_twap = twap
    amm.last_mark_price_twap = twap
    amm.last_mark_price_twap_5min = to_u64(history.last_oracle_price_twap_5min)
    amm.last_mark_price_twap_ts = now
    return twap


@rule
def longest_claim_of_crank(funding_period: int) -> int:
    """The longest time (seconds) that one crank's bid and ask may weigh: a sixtieth of the period, at least a minute.

    Source: velocity/amm-and-funding.md §8.2 step 6.
    """
    return max(div_trunc(funding_period, 60), _LEAST_MARK_TWAP_LAG)


@rule
def catch_up_with_oracle_twap(market: PerpMarket, last_twap: int) -> int:
    """A bid or ask TWAP that is older than the oracle's, moved toward it; unchanged while the lag is small.

    Drift: pulled one unit toward the heavier product.
    Velocity: pulled one unit toward the oracle's TWAP.
    Source: amm-and-funding.md §6.3; ``math/amm.rs::calculate_new_twap`` with the oracle's.
    """
    amm: AMM = market.amm
    history: HistoricalOracleData = amm.historical_oracle_data
    lag = history.last_oracle_price_twap_ts - amm.last_mark_price_twap_ts
    if lag <= max(div_trunc(amm.funding_period, 60), _LEAST_MARK_TWAP_LAG):
        return last_twap
    oracle_twap = history.last_oracle_price_twap
    rest = max(0, amm.funding_period - lag)
    if market.rulebook != RULEBOOK_VELOCITY:
        return to_u64(calculate_weighted_average(oracle_twap, last_twap, lag, rest))
    bias = 0
    if oracle_twap > last_twap:
        bias = 1
    elif oracle_twap < last_twap:
        bias = -1
    return to_u64(calculate_average_with_bias(oracle_twap, last_twap, lag, rest, bias))


@rule
def update_mark_twap(
    market: PerpMarket,
    now: int,
    bid: int,
    ask: int,
    trade_price: int,
    clamp_denominator: int,
    longest: int = -1,
) -> int:
    """Take a best bid and ask (1e6) into the mark TWAPs; the new mark TWAP, the middle of bid and ask TWAP.

    ``longest``: how long (seconds) they may weigh at most, however long ago the last update was.
    ``InvalidMarkTwapUpdateDetected`` where the clamped bid exceeds the clamped ask.
    Drift: the deviation is the change since the mark TWAP.
    Velocity: the larger one of that and of the change since the 5-minute TWAP.
    Source: amm-and-funding.md §6.3; ``math/amm.rs::update_mark_twap``.
    """
    amm: AMM = market.amm
    capped_bid = sanitize_new_price(to_i64(bid), to_i64(amm.last_bid_price_twap), clamp_denominator)
    capped_ask = sanitize_new_price(to_i64(ask), to_i64(amm.last_ask_price_twap), clamp_denominator)
    if capped_bid > capped_ask:
        raise SettlementError(ErrorCode.InvalidMarkTwapUpdateDetected)
    last_ts = amm.last_mark_price_twap_ts
    if longest != NO_LIMIT:
        last_ts = max(last_ts, now - longest)
    period = amm.funding_period
    bid_twap = calculate_new_twap(
        capped_bid, now, catch_up_with_oracle_twap(market, amm.last_bid_price_twap), last_ts, period
    )
    ask_twap = calculate_new_twap(
        capped_ask, now, catch_up_with_oracle_twap(market, amm.last_ask_price_twap), last_ts, period
    )
    mid_twap = div_trunc(bid_twap + ask_twap, 2)
    trade = trade_price
    if trade_price == NO_PRICE:
        trade = (bid + ask) // 2
    deviation = abs(trade - amm.last_mark_price_twap)
    if market.rulebook == RULEBOOK_VELOCITY:
        deviation = max(deviation, abs(trade - amm.last_mark_price_twap_5min))
    amm.mark_std = deviation
    amm.last_bid_price_twap = to_u64(bid_twap)
    amm.last_ask_price_twap = to_u64(ask_twap)
    amm.last_mark_price_twap = to_u64(mid_twap)
    amm.last_mark_price_twap_5min = to_u64(
        calculate_new_twap(
            div_trunc(capped_bid + capped_ask, 2), now, to_i64(amm.last_mark_price_twap_5min), last_ts, FIVE_MINUTE
        )
    )
    amm.last_mark_price_twap_ts = now
    return mid_twap


@rule
def combine_bid_ask(amm_bid: int, amm_ask: int, best_bid: int, best_ask: int, fair_price: int) -> tuple[int, int]:
    """The AMM's quotes and the venue's best ones (``NO_PRICE``: none) together: the better bid and the better ask.

    Crossing, the bid gives way if it is not below the fair price, else the ask. Source: amm-and-funding.md §6.4.
    """
    bid = amm_bid
    if best_bid != NO_PRICE:
        bid = max(best_bid, amm_bid)
    ask = amm_ask
    if best_ask != NO_PRICE:
        ask = min(best_ask, amm_ask)
    if bid > ask:
        if bid >= fair_price:
            bid = ask
        else:
            ask = bid
    return bid, ask


# --- volumes ---------------------------------------------------------------------------------------------------


@rule
def update_intensity_count(count: int, quote: int, since_last: int) -> int:
    """Count of one side over the last hour after a trade of ``quote`` on it (0: on the other side).

    The old count carries the weight of the time since, the new value that of the hour; deliberate.
    """
    return to_u32(calculate_weighted_average(count, quote // QUOTE_PRECISION, since_last, ONE_HOUR))


@rule
def update_volume_24h(market: PerpMarket, quote_asset_amount: int, direction: int, now: int) -> None:
    """Take a trade (quote 1e6, may be 0) into the AMM's volumes and its last trade time.

    Drift: with counts of the trades; ``CastingFailure`` for a count beyond u32.
    Velocity: without. Source: amm-and-funding.md §6.5;
    ``controller/amm.rs::update_volume_24h``, ``math/amm.rs::update_amm_long_short_intensity``.
    """
    amm: AMM = market.amm
    since_last = max(1, checked_i64(now - amm.last_trade_ts))
    long_quote = 0
    short_quote = 0
    if direction == LONG:
        long_quote = quote_asset_amount
    else:
        short_quote = quote_asset_amount
    if market.rulebook != RULEBOOK_VELOCITY:
        amm.long_intensity_count = update_intensity_count(amm.long_intensity_count, long_quote, since_last)
        amm.short_intensity_count = update_intensity_count(amm.short_intensity_count, short_quote, since_last)
    amm.long_intensity_volume = calculate_rolling_sum(amm.long_intensity_volume, long_quote, since_last, ONE_HOUR)
    amm.short_intensity_volume = calculate_rolling_sum(amm.short_intensity_volume, short_quote, since_last, ONE_HOUR)
    amm.volume_24h = calculate_rolling_sum(amm.volume_24h, quote_asset_amount, since_last, TWENTY_FOUR_HOUR)
    amm.last_trade_ts = now
