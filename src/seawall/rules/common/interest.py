"""Borrow interest: utilization, rate, accrual with the revenue pool's carve-out, and a spot market's TWAPs.

Source: balances.md §4, §5; ``controller/spot_balance.rs``, ``math/spot_balance.rs``.
"""

from seawall.arithmetic import (
    FIVE_MINUTE,
    IF_FACTOR_PRECISION,
    ONE_HOUR,
    ONE_YEAR,
    SPOT_UTILIZATION_PRECISION,
    TWENTY_FOUR_HOUR,
    checked_i64,
    checked_u128,
    div_trunc,
    pow10,
    sub_checked,
    to_i64,
    to_u64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool, get_token_amount
from seawall.rules.common.statistics import calculate_new_twap, calculate_weighted_average
from seawall.state.enums import (
    ASSET_TIER_COLLATERAL,
    ASSET_TIER_CROSS,
    ASSET_TIER_PROTECTED,
    BORROW,
    DEPOSIT,
    SPOT_UPDATE_CUMULATIVE_INTEREST,
)
from seawall.state.facts import InterestFacts
from seawall.state.oracle import HistoricalOracleData, OraclePriceData
from seawall.state.spot_market import SpotMarket


@rule
def calculate_utilization(deposit_tokens: int, borrow_tokens: int) -> int:
    """⌊borrows·1e6/deposits⌋; without deposits 0 or 1e6. Not capped. Source: balances.md §4."""
    if deposit_tokens == 0:
        if borrow_tokens == 0:
            return 0
        return SPOT_UTILIZATION_PRECISION
    return borrow_tokens * SPOT_UTILIZATION_PRECISION // deposit_tokens


@rule
def calculate_spot_market_utilization(spot_market: SpotMarket) -> int:
    """Utilization (1e6) of a market's present totals."""
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    return calculate_utilization(deposits, borrows)


@rule
def calculate_borrow_rate(spot_market: SpotMarket, utilization: int) -> int:
    """Annual borrow rate (1e6) on the one-kink curve; it goes on rising above full utilization.

    ``MathError`` for a curve that falls or has its kink at 100 %. Source: balances.md §4.1.
    """
    optimal = spot_market.optimal_utilization
    if utilization > optimal:
        spread = sub_checked(spot_market.max_borrow_rate, spot_market.optimal_borrow_rate)
        room = sub_checked(SPOT_UTILIZATION_PRECISION, optimal)
        if room == 0:
            raise SettlementError(ErrorCode.MathError)
        slope = spread * SPOT_UTILIZATION_PRECISION // room
        rate = spot_market.optimal_borrow_rate + (utilization - optimal) * slope // SPOT_UTILIZATION_PRECISION
    else:
        slope = spot_market.optimal_borrow_rate * SPOT_UTILIZATION_PRECISION // optimal
        rate = utilization * slope // SPOT_UTILIZATION_PRECISION
    minimum = spot_market.min_borrow_rate * 5_000
    if rate < minimum:
        return minimum
    return rate


@rule
def calculate_accumulated_interest(spot_market: SpotMarket, now: int) -> tuple[int, int]:
    """Increments of the borrow and the deposit index (1e10) since ``last_interest_ts``.

    The borrow increment carries a systematic +1: deliberate, it is the program's.
    ``MathError`` when the clock is before the last interest. Source: balances.md §4.2.
    """
    utilization = calculate_spot_market_utilization(spot_market)
    if utilization == 0:
        return 0, 0
    rate = calculate_borrow_rate(spot_market, utilization)
    if now < 0:
        raise SettlementError(ErrorCode.UnableToCastUnixTime)
    elapsed = sub_checked(now, spot_market.last_interest_ts)
    borrow_rate = rate * elapsed
    deposit_rate = borrow_rate * utilization // SPOT_UTILIZATION_PRECISION
    borrow_interest = spot_market.cumulative_borrow_interest * borrow_rate // ONE_YEAR // SPOT_UTILIZATION_PRECISION + 1
    deposit_interest = spot_market.cumulative_deposit_interest * deposit_rate // ONE_YEAR // SPOT_UTILIZATION_PRECISION
    return borrow_interest, deposit_interest


@rule
def accrue_interest(spot_market: SpotMarket, now: int, facts: InterestFacts) -> None:
    """Apply the interest since the last accrual; the stakers' part becomes revenue at the new deposit index.

    Nothing is applied, and no time is lost, while the increments are too small or all would go to the stakers.
    Source: balances.md §4.3.
    """
    borrow_interest, deposit_interest = calculate_accumulated_interest(spot_market, now)
    if deposit_interest <= 0 or borrow_interest <= 1:
        return
    for_stakers = deposit_interest * spot_market.insurance_fund.total_factor // IF_FACTOR_PRECISION
    for_lenders = sub_checked(deposit_interest, for_stakers)
    if for_lenders <= 0:
        return
    spot_market.cumulative_deposit_interest += for_lenders
    spot_market.cumulative_borrow_interest += borrow_interest
    spot_market.last_interest_ts = now
    revenue = spot_market.deposit_balance * for_stakers // pow10(19 - spot_market.decimals)
    deposit_into_pool(revenue, spot_market, spot_market.revenue_pool)
    facts.accrued = True
    facts.market_index = spot_market.market_index
    facts.deposit_balance = spot_market.deposit_balance
    facts.cumulative_deposit_interest = spot_market.cumulative_deposit_interest
    facts.borrow_balance = spot_market.borrow_balance
    facts.cumulative_borrow_interest = spot_market.cumulative_borrow_interest


@rule
def update_spot_market_twaps(spot_market: SpotMarket, now: int) -> None:
    """Deposit, borrow and utilization TWAPs over a day. Source: balances.md §5 steps 1-3."""
    since_last = checked_i64(now - spot_market.last_twap_ts)
    if since_last < 0:
        since_last = 0
    from_start = checked_i64(TWENTY_FOUR_HOUR - since_last)
    if from_start < 1:
        from_start = 1
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    utilization = calculate_utilization(deposits, borrows)
    spot_market.deposit_token_twap = to_u64(
        calculate_weighted_average(to_i64(deposits), to_i64(spot_market.deposit_token_twap), since_last, from_start)
    )
    spot_market.borrow_token_twap = to_u64(
        calculate_weighted_average(to_i64(borrows), to_i64(spot_market.borrow_token_twap), since_last, from_start)
    )
    spot_market.utilization_twap = to_u64(
        calculate_weighted_average(to_i64(utilization), to_i64(spot_market.utilization_twap), since_last, from_start)
    )


@rule
def sanitize_new_price(price: int, twap: int, denominator: int) -> int:
    """``price`` limited to a band of twap/denominator around the TWAP; a TWAP of 0 limits nothing.

    Source: balances.md §5; ``math/amm.rs::sanitize_new_price``.
    """
    if twap == 0:
        return price
    distance = checked_i64(price - twap)
    band = div_trunc(twap, denominator)
    if abs(distance) > abs(band):
        if price > twap:
            return checked_i64(twap + band)
        return checked_i64(twap - band)
    return price


@rule
def sanitize_clamp_denominator(asset_tier: int) -> int:
    """Denominator of the clamp band of a spot market's oracle TWAPs by asset tier."""
    if asset_tier == ASSET_TIER_COLLATERAL or asset_tier == ASSET_TIER_PROTECTED:
        return 10
    if asset_tier == ASSET_TIER_CROSS:
        return 5
    return 3


@rule
def update_historical_oracle_data(spot_market: SpotMarket, oracle: OraclePriceData, now: int) -> None:
    """A spot market's oracle TWAPs and last oracle values. Source: balances.md §5 step 4."""
    history: HistoricalOracleData = spot_market.historical_oracle_data
    denominator = sanitize_clamp_denominator(spot_market.asset_tier)
    price = sanitize_new_price(oracle.price, history.last_oracle_price_twap, denominator)
    last_ts = history.last_oracle_price_twap_ts
    history.last_oracle_price_twap = calculate_new_twap(price, now, history.last_oracle_price_twap, last_ts, ONE_HOUR)
    history.last_oracle_price_twap_5min = calculate_new_twap(
        price, now, history.last_oracle_price_twap_5min, last_ts, FIVE_MINUTE
    )
    history.last_oracle_price_twap_ts = now
    history.last_oracle_price = oracle.price
    history.last_oracle_conf = oracle.confidence
    history.last_oracle_delay = oracle.delay


@rule
def update_spot_market_twap_stats(spot_market: SpotMarket, oracle: OraclePriceData, now: int) -> None:
    """All statistics of a spot market, the oracle's included. Source: balances.md §5."""
    update_spot_market_twaps(spot_market, now)
    update_historical_oracle_data(spot_market, oracle, now)
    spot_market.last_twap_ts = checked_u128(now)


@rule
def update_spot_market_cumulative_interest(
    spot_market: SpotMarket, oracle: OraclePriceData, now: int, facts: InterestFacts
) -> None:
    """Accrue interest, then the statistics with the oracle price.

    A paused accrual (UpdateCumulativeInterest) only skips the first. Source: balances.md §4.3.
    """
    if spot_market.paused_operations & SPOT_UPDATE_CUMULATIVE_INTEREST == 0:
        accrue_interest(spot_market, now, facts)
    update_spot_market_twap_stats(spot_market, oracle, now)


@rule
def update_spot_market_cumulative_interest_without_oracle(
    spot_market: SpotMarket, now: int, facts: InterestFacts
) -> None:
    """Accrue interest, then the statistics without an oracle price. Source: balances.md §4.3."""
    if spot_market.paused_operations & SPOT_UPDATE_CUMULATIVE_INTEREST == 0:
        accrue_interest(spot_market, now, facts)
    update_spot_market_twaps(spot_market, now)
    spot_market.last_twap_ts = checked_u128(now)
