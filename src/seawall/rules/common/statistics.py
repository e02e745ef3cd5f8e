"""Weighted averages, TWAPs, rolling sums and the hour-aligned timer. Source: balances.md §5; insurance.md §0.3."""

from seawall.arithmetic import checked_i64, checked_u64, div_trunc, sub_saturating, to_i64
from seawall.lanes import rule


@rule
def calculate_weighted_average(new: int, old: int, new_weight: int, old_weight: int) -> int:
    """Average of two values (i64) by weight, pulled one unit toward the heavier product.

    The bias compares the weighted products, not the prices; deliberate, it is the program's.
    Source: balances.md §5; ``math/stats.rs::calculate_weighted_average``.
    """
    bias = 0
    if old_weight > 1:
        new_part = new * new_weight
        old_part = old * old_weight
        if old_part < new_part:
            bias = -1
        elif old_part > new_part:
            bias = 1
    return calculate_average_with_bias(new, old, new_weight, old_weight, bias)


@rule
def calculate_average_with_bias(new: int, old: int, new_weight: int, old_weight: int, bias: int) -> int:
    """As ``calculate_weighted_average``, pulled by a given unit (−1, 0, 1) instead."""
    weight = checked_i64(new_weight + old_weight)
    if new_weight == 0:
        return old
    if old_weight == 0:
        return new
    average = to_i64(div_trunc(new * new_weight + old * old_weight, weight))
    if average == 0 and bias < 0:
        return average
    return average + bias


@rule
def calculate_new_twap(current: int, now: int, last_twap: int, last_ts: int, period: int) -> int:
    """The TWAP over ``period`` seconds after a new value. Source: ``math/stats.rs::calculate_new_twap``."""
    since_last = checked_i64(now - last_ts)
    if since_last < 0:
        since_last = 0
    from_start = checked_i64(period - since_last)
    if from_start < 1:
        from_start = 1
    return calculate_weighted_average(current, last_twap, since_last, from_start)


@rule
def calculate_rolling_sum(old: int, new: int, elapsed: int, period: int) -> int:
    """⌊old·max(0, period − elapsed)/period⌋ + new (u64). Source: ``math/stats.rs::calculate_rolling_sum``."""
    decayed = old * sub_saturating(period, elapsed) // period
    return checked_u64(decayed + new)


@rule
def on_the_hour_update(now: int, last_ts: int, period: int) -> int:
    """Seconds still to wait until the next aligned update (0: allowed now).

    An update later than a third into a period pushes the next one to the following boundary.
    Source: insurance.md §0.3; ``math/helpers.rs::on_the_hour_update``.
    """
    elapsed = checked_i64(now - last_ts)
    wait = period
    if period > 1:
        delay = last_ts % period
        if delay != 0:
            if delay > div_trunc(period, 3):
                wait = period * 2 - delay
            else:
                wait = period - delay
            if wait > period * 2:
                wait = wait - period
    remaining = wait - elapsed
    if remaining < 0:
        return 0
    return remaining
