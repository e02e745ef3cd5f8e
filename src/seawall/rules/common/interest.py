"""What both rulebooks' borrow interest is made of, and a spot market's TWAPs.

Source: balances.md §4, §5; velocity/balances.md §3, §7; ``controller/spot_balance.rs``, ``math/spot_balance.rs``.
"""

from seawall.arithmetic import (
    FIVE_MINUTE,
    ONE_HOUR,
    ONE_MINUTE,
    ONE_YEAR,
    SPOT_UTILIZATION_PRECISION,
    TWENTY_FOUR_HOUR,
    checked_i64,
    div_trunc,
    to_i64,
    to_u64,
)
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.statistics import calculate_new_twap, calculate_weighted_average
from seawall.state.enums import (
    ASSET_TIER_COLLATERAL,
    ASSET_TIER_CROSS,
    ASSET_TIER_PROTECTED,
    BORROW,
    DEPOSIT,
    RULEBOOK_VELOCITY,
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
def rate_below_optimum(spot_market: SpotMarket, utilization: int) -> int:
    """Annual borrow rate (1e6) where utilization (1e6) is at most the optimum; ``MathError`` for an optimum of 0.

    Source: balances.md §4.1.
    """
    slope = div_trunc(spot_market.optimal_borrow_rate * SPOT_UTILIZATION_PRECISION, spot_market.optimal_utilization)
    return utilization * slope // SPOT_UTILIZATION_PRECISION


@rule
def at_least_the_minimum(spot_market: SpotMarket, rate: int) -> int:
    """``rate``, or the market's minimum rate where that is higher (annual, 1e6)."""
    minimum = spot_market.min_borrow_rate * 5_000
    if rate < minimum:
        return minimum
    return rate


@rule
def interest_increments(spot_market: SpotMarket, rate: int, utilization: int, elapsed: int) -> tuple[int, int]:
    """Increments of the borrow and the deposit index (1e10) over ``elapsed`` seconds at an annual rate (1e6).

    The borrow increment carries a systematic +1: deliberate, it is the program's. Source: balances.md §4.2.
    """
    borrow_rate = rate * elapsed
    deposit_rate = borrow_rate * utilization // SPOT_UTILIZATION_PRECISION
    borrow_interest = spot_market.cumulative_borrow_interest * borrow_rate // ONE_YEAR // SPOT_UTILIZATION_PRECISION + 1
    deposit_interest = spot_market.cumulative_deposit_interest * deposit_rate // ONE_YEAR // SPOT_UTILIZATION_PRECISION
    return borrow_interest, deposit_interest


@rule
def note_accrual(spot_market: SpotMarket, facts: InterestFacts) -> None:
    """What the event of an accrual tells: the balances and indices after it."""
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
    """A spot market's oracle TWAPs and last oracle values.

    Drift: the TWAPs and their clock are stored at every update.
    Velocity: they are stored only where the 1-hour TWAP moved or 60 seconds have passed.
    Source: balances.md §5 step 4; velocity/balances.md §7.
    """
    history: HistoricalOracleData = spot_market.historical_oracle_data
    denominator = sanitize_clamp_denominator(spot_market.asset_tier)
    price = sanitize_new_price(oracle.price, history.last_oracle_price_twap, denominator)
    last_ts = history.last_oracle_price_twap_ts
    twap = calculate_new_twap(price, now, history.last_oracle_price_twap, last_ts, ONE_HOUR)
    twap_5min = calculate_new_twap(price, now, history.last_oracle_price_twap_5min, last_ts, FIVE_MINUTE)
    stored = True
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        stored = twap != history.last_oracle_price_twap or now - last_ts >= ONE_MINUTE
    if stored:
        history.last_oracle_price_twap = twap
        history.last_oracle_price_twap_5min = twap_5min
        history.last_oracle_price_twap_ts = now
    history.last_oracle_price = oracle.price
    history.last_oracle_conf = oracle.confidence
    history.last_oracle_delay = oracle.delay


@rule
def update_spot_market_twap_stats(spot_market: SpotMarket, oracle: OraclePriceData, now: int) -> None:
    """All statistics of a spot market, the oracle's included. Source: balances.md §5."""
    update_spot_market_twaps(spot_market, now)
    update_historical_oracle_data(spot_market, oracle, now)
    spot_market.last_twap_ts = to_u64(now)


@rule
def update_spot_market_twap_stats_without_oracle(spot_market: SpotMarket, now: int) -> None:
    """The statistics of a spot market without the oracle's. Source: balances.md §5."""
    update_spot_market_twaps(spot_market, now)
    spot_market.last_twap_ts = to_u64(now)
