"""The AMM's spreads: how wide, how skewed, and the reserves that quote them.

Spreads and fractions 1e6, prices and quote 1e6, reserves 1e9. Source: amm-and-funding.md §4; ``math/amm_spread.rs``,
``controller/amm.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    AMM_RESERVE_PRECISION,
    BID_ASK_SPREAD_PRECISION,
    PERCENTAGE_PRECISION,
    U64_MAX,
    checked_i64,
    checked_u64,
    clamp,
    div_ceil,
    div_trunc,
    saturate_u64,
    sub_checked,
    sub_saturating,
    to_i32,
    to_i64,
    to_u32,
    to_u64,
    to_u128,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_curve import calculate_market_open_bids_asks
from seawall.rules.common.amm_drawdown import DEFAULT_REVENUE_SINCE_LAST_FUNDING_SPREAD_RETREAT
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.perp_market import AMM, PerpMarket

MAX_BID_ASK_INVENTORY_SKEW_FACTOR: Final = 10_000_000
LARGE_SPREAD_FACTOR: Final = 10_000_000
VELOCITY_FUNDING_OFFSET_DENOMINATOR: Final = 3_333
"""The oracle TWAP over this is added to Velocity's funding: holding a long costs something even without a premium."""

NO_SLOT: Final = -1
"""Stands for the slot where the caller knows none: the reference price offset is then smoothed by its least step."""

_VOLUME_FACTOR_MIN: Final = 10_000
_VOLUME_FACTOR_MAX: Final = 1_600_000
_VELOCITY_VOLUME_FACTOR_MAX: Final = 1_000_000
_CONF_COUNTS_FULLY_ABOVE: Final = 2_500
_LARGEST_SPREAD: Final = 4_294_967_295
_OFFSET_PER_SLOT: Final = 1_000
_LEAST_OFFSET_STEP: Final = 10


# --- spread reserves -------------------------------------------------------------------------------------------


@rule
def calculate_spread_reserves(amm: AMM, spread: int) -> tuple[int, int]:
    """Base and quote reserve that quote a signed spread: positive above the reserve price, negative below.

    The spread is quantised: the reserves move by 1/trunc(1e6/(spread/2)). Spreads of −1, 0 and 1 are none; deliberate.
    ``MathError`` where the quantum is 0 or the reserve would be empty; ``CastingFailure`` below.
    Source: amm-and-funding.md §4.1; ``math/amm_spread.rs::calculate_spread_reserves``.
    """
    quote = amm.quote_asset_reserve
    if abs(spread) > 1:
        quote = quote + div_trunc(quote, div_trunc(BID_ASK_SPREAD_PRECISION, div_trunc(spread, 2)))
    quote = to_u128(quote)
    if quote == 0:
        raise SettlementError(ErrorCode.MathError)
    return amm.sqrt_k * amm.sqrt_k // quote, quote


@rule
def update_spread_reserves(market: PerpMarket) -> None:
    """Store the reserves of both sides for the present reserves, spreads and offset.

    Drift: they are never inside the plain reserves.
    Velocity: that holds only without an offset.
    Source: amm-and-funding.md §4.1; ``controller/amm.rs::update_spread_reserves``.
    """
    amm: AMM = market.amm
    base = amm.base_asset_reserve
    quote = amm.quote_asset_reserve
    offset = amm.reference_price_offset
    ask_base, ask_quote = calculate_spread_reserves(amm, to_i32(to_i32(amm.long_spread) + offset))
    bid_base, bid_quote = calculate_spread_reserves(amm, to_i32(offset - to_i32(amm.short_spread)))
    if market.rulebook == RULEBOOK_VELOCITY and offset != 0:
        amm.ask_base_asset_reserve = ask_base
        amm.ask_quote_asset_reserve = ask_quote
        amm.bid_base_asset_reserve = bid_base
        amm.bid_quote_asset_reserve = bid_quote
        return
    amm.ask_base_asset_reserve = min(ask_base, base)
    amm.ask_quote_asset_reserve = max(ask_quote, quote)
    amm.bid_base_asset_reserve = max(bid_base, base)
    amm.bid_quote_asset_reserve = min(bid_quote, quote)


# --- parts of the dynamic spread -------------------------------------------------------------------------------


@rule
def calculate_long_short_vol_spread(
    last_oracle_conf_pct: int,
    price: int,
    mark_std: int,
    oracle_std: int,
    long_intensity_volume: int,
    short_intensity_volume: int,
    volume_24h: int,
    rulebook: int,
) -> tuple[int, int]:
    """Volatility spread of each side: oracle confidence or market volatility, by the side's share of the volume.

    Drift: a quarter of the deviations, the side's share counts up to 1.6, a tenth of a small confidence.
    Velocity: an eighth of them, the share up to 1, a twentieth.
    Source: amm-and-funding.md §4.4 step 1; ``math/amm_spread.rs::calculate_long_short_vol_spread``.
    """
    std_divisor = 2
    factor_max = _VOLUME_FACTOR_MAX
    conf_divisor = 10
    if rulebook == RULEBOOK_VELOCITY:
        std_divisor = 4
        factor_max = _VELOCITY_VOLUME_FACTOR_MAX
        conf_divisor = 20
    market_avg_std_pct = checked_u64(oracle_std + mark_std) * PERCENTAGE_PRECISION // price // 2
    vol_spread = max(last_oracle_conf_pct, market_avg_std_pct // std_divisor)
    volume = max(volume_24h, 1)
    long_factor = clamp(long_intensity_volume * PERCENTAGE_PRECISION // volume, _VOLUME_FACTOR_MIN, factor_max)
    short_factor = clamp(short_intensity_volume * PERCENTAGE_PRECISION // volume, _VOLUME_FACTOR_MIN, factor_max)
    conf_component = last_oracle_conf_pct
    if last_oracle_conf_pct <= _CONF_COUNTS_FULLY_ABOVE:
        conf_component = last_oracle_conf_pct // conf_divisor
    long_vol_spread = max(conf_component, vol_spread * long_factor // PERCENTAGE_PRECISION)
    short_vol_spread = max(conf_component, vol_spread * short_factor // PERCENTAGE_PRECISION)
    return to_u64(long_vol_spread), to_u64(short_vol_spread)


@rule
def calculate_inventory_liquidity_ratio(
    base_asset_amount_with_amm: int, base_asset_reserve: int, min_base_asset_reserve: int, max_base_asset_reserve: int
) -> int:
    """How much of the AMM's room the net position takes (1e6), at most 1e6.

    Source: amm-and-funding.md §4.4 step 5; ``math/amm_spread.rs::calculate_inventory_liquidity_ratio``.
    """
    bids, asks = calculate_market_open_bids_asks(base_asset_reserve, min_base_asset_reserve, max_base_asset_reserve)
    room = min(bids, -asks)
    taken = abs(base_asset_amount_with_amm)
    if taken < room:
        return min(PERCENTAGE_PRECISION, taken * PERCENTAGE_PRECISION // max(1, room))
    return PERCENTAGE_PRECISION


@rule
def calculate_spread_inventory_scale(
    base_asset_amount_with_amm: int,
    base_asset_reserve: int,
    min_base_asset_reserve: int,
    max_base_asset_reserve: int,
    directional_spread: int,
    max_spread: int,
) -> int:
    """Factor (1e6) on the spread of the side that would add to the inventory.

    Source: amm-and-funding.md §4.4 step 5; ``math/amm_spread.rs::calculate_spread_inventory_scale``.
    """
    if base_asset_amount_with_amm == 0:
        return BID_ASK_SPREAD_PRECISION
    ratio = calculate_inventory_liquidity_ratio(
        base_asset_amount_with_amm, base_asset_reserve, min_base_asset_reserve, max_base_asset_reserve
    )
    scale_max = max(
        MAX_BID_ASK_INVENTORY_SKEW_FACTOR,
        checked_u64(max_spread * BID_ASK_SPREAD_PRECISION) // max(directional_spread, 1),
    )
    product = scale_max * ratio
    if product > U64_MAX:
        # an overflowing product counts as the largest u64; deliberate
        product = U64_MAX
    return min(scale_max, BID_ASK_SPREAD_PRECISION + product // PERCENTAGE_PRECISION)


@rule
def calculate_spread_leverage_scale(
    quote_asset_reserve: int,
    terminal_quote_asset_reserve: int,
    peg_multiplier: int,
    base_asset_amount_with_amm: int,
    price: int,
    total_fee_minus_distributions: int,
) -> int:
    """Factor (1e6) on the same side's spread, growing with the AMM's loss against its fees (> 0).

    ``CastingFailure`` for a leverage beyond u64.
    Source: amm-and-funding.md §4.4 step 6; ``math/amm_spread.rs::calculate_spread_leverage_scale``.
    """
    net_value = div_trunc((quote_asset_reserve - terminal_quote_asset_reserve) * peg_multiplier, AMM_RESERVE_PRECISION)
    local_value = div_trunc(base_asset_amount_with_amm * price, AMM_RESERVE_PRECISION)
    exposure = max(0, local_value - net_value)
    leverage = to_u64(exposure * BID_ASK_SPREAD_PRECISION // (total_fee_minus_distributions + 1))
    return min(MAX_BID_ASK_INVENTORY_SKEW_FACTOR, checked_u64(BID_ASK_SPREAD_PRECISION + leverage + 1))


@rule
def calculate_spread_revenue_retreat_amount(
    base_spread: int, max_spread: int, net_revenue_since_last_funding: int
) -> int:
    """Spread added while the AMM loses money, at most a tenth of the maximum.

    Source: amm-and-funding.md §4.4 step 7; ``math/amm_spread.rs::calculate_spread_revenue_retreat_amount``.
    """
    threshold = DEFAULT_REVENUE_SINCE_LAST_FUNDING_SPREAD_RETREAT
    if net_revenue_since_last_funding >= threshold:
        return 0
    retreat = max_spread // 10
    if net_revenue_since_last_funding >= threshold * 1_000:
        retreat = min(retreat, checked_u64(base_spread * -net_revenue_since_last_funding) // -threshold)
    return retreat


@rule
def cap_to_max_spread(long_spread: int, short_spread: int, max_spread: int, rulebook: int) -> tuple[int, int]:
    """Both spreads scaled down so that their sum is the maximum: the larger one rounded up, the other the rest.

    Drift: ``MathError`` where a product leaves u64.
    Velocity: it counts as the largest u64.
    ``InvalidAmmMaxSpreadDetected`` if the sum still exceeds it.
    Source: amm-and-funding.md §4.4 step 8; ``math/amm_spread.rs::cap_to_max_spread``.
    """
    total = checked_u64(long_spread + short_spread)
    if total > max_spread:
        if long_spread > short_spread:
            long_spread = div_ceil(spread_product(long_spread, max_spread, rulebook), total)
            short_spread = sub_checked(max_spread, long_spread)
        else:
            short_spread = div_ceil(spread_product(short_spread, max_spread, rulebook), total)
            long_spread = sub_checked(max_spread, short_spread)
    if long_spread + short_spread > max_spread:
        raise SettlementError(ErrorCode.InvalidAmmMaxSpreadDetected)
    return long_spread, short_spread


@rule
def spread_product(left: int, right: int, rulebook: int) -> int:
    """A product within u64.

    Drift: a larger one is refused (``MathError``).
    Velocity: it is cut off.
    """
    if rulebook == RULEBOOK_VELOCITY:
        return saturate_u64(left * right)
    return checked_u64(left * right)


@rule
def adjust_spread(spread: int, percentage: int) -> int:
    """A spread changed by a signed percentage, the change rounded away from nothing on the way up; at least 1."""
    if percentage < 0:
        return max(1, spread - spread * -percentage // 100)
    return max(1, spread + div_ceil(spread * percentage, 100))


@rule
def scale_spread(spread: int, factor: int) -> int:
    """⌊spread·factor/1e6⌋, the product checked to u64 (``MathError``)."""
    return checked_u64(spread * factor) // BID_ASK_SPREAD_PRECISION


@rule
def calculate_max_target_spread(amm: AMM, price: int) -> int:
    """The most that both spreads together may be: the market's maximum, or what divergence and volatility ask for.

    Source: amm-and-funding.md §4.4 step 3; ``math/amm_spread.rs::calculate_max_target_spread``.
    """
    volatility = checked_u64(max(amm.mark_std, amm.oracle_std) * PERCENTAGE_PRECISION) // price
    wanted = min(BID_ASK_SPREAD_PRECISION, max(checked_u64(amm.last_oracle_conf_pct * 2), volatility))
    return max(max(amm.max_spread, abs(amm.last_oracle_reserve_price_spread_pct)), wanted)


# --- the spreads -----------------------------------------------------------------------------------------------


@rule
def calculate_spread(market: PerpMarket, price: int) -> tuple[int, int]:
    """Dynamic long and short spread (1e6) of the AMM at a reserve price.

    Drift: ``MathError`` also where the spreads of an AMM without equity leave u64.
    Velocity: those are cut off.
    ``MathError`` where a product leaves u64 or the price is 0. Source: amm-and-funding.md §4.4;
    ``math/amm_spread.rs::calculate_spread``.
    """
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    amm: AMM = market.amm
    net = amm.base_asset_amount_with_amm
    half_base_spread = amm.base_spread // 2
    long_vol_spread, short_vol_spread = calculate_long_short_vol_spread(
        amm.last_oracle_conf_pct, price, amm.mark_std, amm.oracle_std,
        amm.long_intensity_volume, amm.short_intensity_volume, amm.volume_24h, market.rulebook,
    )  # fmt: skip
    long_spread = max(half_base_spread, long_vol_spread)
    short_spread = max(half_base_spread, short_vol_spread)
    max_spread = calculate_max_target_spread(amm, price)

    divergence = amm.last_oracle_reserve_price_spread_pct
    if divergence < 0:
        long_spread = max(long_spread, checked_u64(-divergence + long_vol_spread))
    elif divergence > 0:
        short_spread = max(short_spread, checked_u64(divergence + short_vol_spread))

    if net != 0:
        directional_spread = short_spread
        if net > 0:
            directional_spread = long_spread
        scale = calculate_spread_inventory_scale(
            net, amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve,
            directional_spread, max_spread,
        )  # fmt: skip
        if net > 0:
            long_spread = scale_spread(long_spread, scale)
        else:
            short_spread = scale_spread(short_spread, scale)

    fees = amm.total_fee_minus_distributions
    if fees <= 0:
        long_spread = spread_product(long_spread, LARGE_SPREAD_FACTOR, market.rulebook) // BID_ASK_SPREAD_PRECISION
        short_spread = spread_product(short_spread, LARGE_SPREAD_FACTOR, market.rulebook) // BID_ASK_SPREAD_PRECISION
    else:
        factor = calculate_spread_leverage_scale(
            amm.quote_asset_reserve, amm.terminal_quote_asset_reserve, amm.peg_multiplier, net, price, fees
        )
        if net > 0:
            long_spread = scale_spread(long_spread, factor)
        elif net < 0:
            short_spread = scale_spread(short_spread, factor)
    long_spread, short_spread = retreat_from_losses(amm, long_spread, short_spread, max_spread)
    adjustment = amm.amm_inventory_spread_adjustment
    # only Velocity's markets have one
    if adjustment != 0:
        long_spread = max(max(half_base_spread, long_vol_spread), adjust_spread(long_spread, adjustment))
        short_spread = max(max(half_base_spread, short_vol_spread), adjust_spread(short_spread, adjustment))
    long_spread, short_spread = cap_to_max_spread(long_spread, short_spread, max_spread, market.rulebook)
    return to_u32(long_spread), to_u32(short_spread)


@rule
def retreat_from_losses(amm: AMM, long_spread: int, short_spread: int, max_spread: int) -> tuple[int, int]:
    """The spreads of an AMM that lost money since the last funding update. Source: amm-and-funding.md §4.4 step 7."""
    retreat = calculate_spread_revenue_retreat_amount(amm.base_spread, max_spread, amm.net_revenue_since_last_funding)
    if retreat != 0:
        net = amm.base_asset_amount_with_amm
        half = retreat // 2
        if net > 0:
            long_spread = checked_u64(long_spread + retreat)
            short_spread = checked_u64(short_spread + half)
        elif net < 0:
            long_spread = checked_u64(long_spread + half)
            short_spread = checked_u64(short_spread + retreat)
        else:
            long_spread = checked_u64(long_spread + half)
            short_spread = checked_u64(short_spread + half)
    return long_spread, short_spread


# --- the reference price offset --------------------------------------------------------------------------------


@rule
def max_reference_price_offset(market: PerpMarket) -> int:
    """How far (1e6) the quotes may shift; 0 up to intensity 100.

    Drift: a fifth of the largest spread, or more with intensity.
    Velocity: as intensity allows, up to half of the largest spread.
    """
    amm: AMM = market.amm
    intensity = amm.curve_update_intensity
    if intensity <= 100:
        return 0
    by_intensity = 100 * (intensity - 100)
    if market.rulebook != RULEBOOK_VELOCITY:
        return max(amm.max_spread // 5, by_intensity)
    if intensity >= 200:
        return max(amm.max_spread // 2, 10_000)
    return min(amm.max_spread // 2, by_intensity)


@rule
def signed_inventory_fraction(market: PerpMarket) -> int:
    """The net position against the AMM's room (1e6), with its sign.

    Drift: the room is asked for with the two bounds exchanged, so the fraction is 1 within them; deliberate.
    Velocity: against the average of both sides' room, less the deadband.
    """
    amm: AMM = market.amm
    net = amm.base_asset_amount_with_amm
    least = amm.min_base_asset_reserve
    greatest = amm.max_base_asset_reserve
    if market.rulebook == RULEBOOK_VELOCITY:
        bids, asks = calculate_market_open_bids_asks(amm.base_asset_reserve, least, greatest)
        room = (bids - asks) // 2
        fraction = PERCENTAGE_PRECISION
        if abs(net) < room:
            fraction = min(PERCENTAGE_PRECISION, abs(net) * PERCENTAGE_PRECISION // max(1, room))
        deadband = PERCENTAGE_PRECISION * amm.reference_price_offset_deadband_pct // 100
        fraction = max(0, fraction - deadband)
    else:
        fraction = calculate_inventory_liquidity_ratio(net, amm.base_asset_reserve, greatest, least)
    if net < 0:
        return -fraction
    if net == 0:
        return 0
    return fraction


@rule
def average_mark_premium(market: PerpMarket, price: int, max_offset: int) -> int:
    """Mean premium (1e6 of the reserve price) of the mark over a minute, an hour and, by funding, a day.

    Drift: funding counts whole.
    Velocity: without the offset that it holds.
    """
    amm: AMM = market.amm
    history = amm.historical_oracle_data
    limit = to_i64(max_offset * price // PERCENTAGE_PRECISION)
    minute = clamp(amm.last_mark_price_twap_5min - history.last_oracle_price_twap_5min, -limit, limit)
    hour = clamp(amm.last_mark_price_twap - history.last_oracle_price_twap, -limit, limit)
    by_funding = div_trunc(amm.last_24h_avg_funding_rate, 1_000) * 24
    if market.rulebook == RULEBOOK_VELOCITY:
        by_funding = checked_i64(
            by_funding - abs(history.last_oracle_price_twap) // VELOCITY_FUNDING_OFFSET_DENOMINATOR
        )
    day = clamp(by_funding, -limit, limit)
    return div_trunc(div_trunc(minute + hour + day, 3) * PERCENTAGE_PRECISION, price)


@rule
def calculate_reference_price_offset(market: PerpMarket, price: int) -> int:
    """How far both quotes shift (1e6) when mark prices and funding lean to one side; only above intensity 100.

    Drift: premium and inventory add up where they are not of opposite signs.
    Velocity: they multiply; the fraction is not divided by its precision, so the product is all but always the largest
    offset: deliberate, it is the program's. Source: amm-and-funding.md §4.5;
    ``math/amm_spread.rs::calculate_reference_price_offset``.
    """
    max_offset = max_reference_price_offset(market)
    if max_offset == 0 or market.amm.last_24h_avg_funding_rate == 0:
        return 0
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    fraction = signed_inventory_fraction(market)
    from_premium = average_mark_premium(market, price, max_offset)
    from_inventory = fraction
    if market.rulebook != RULEBOOK_VELOCITY:
        from_inventory = clamp(div_trunc(fraction * max_offset, PERCENTAGE_PRECISION), -max_offset, max_offset)
    if (from_premium > 0 and from_inventory < 0) or (from_premium < 0 and from_inventory > 0):
        return 0
    offset = from_premium + from_inventory
    if market.rulebook == RULEBOOK_VELOCITY:
        offset = div_trunc(from_premium * abs(fraction), 2)
    return to_i32(clamp(offset, -max_offset, max_offset))


@rule
def smooth_reference_price_offset(amm: AMM, target: int, slot: int) -> None:
    """Move the offset toward one of another sign in steps, widening both spreads meanwhile; only Velocity does.

    Source: drift/amm-and-funding.md §4.5, newer; ``controller/amm.rs::update_spreads``.
    """
    current = amm.reference_price_offset
    same_sign = (target > 0) == (current > 0) and (target < 0) == (current < 0)
    if same_sign or amm.curve_update_intensity <= 100:
        amm.reference_price_offset = target
        return
    slots = 0
    if slot != NO_SLOT:
        slots = sub_saturating(slot, amm.last_update_slot)
    whole = target - current
    step = max(min(abs(whole), _OFFSET_PER_SLOT * slots) // 10, _LEAST_OFFSET_STEP)
    most = abs(current)
    if current == 0:
        most = abs(target)
    step = min(step, most)
    if whole < 0:
        current = current - step
        amm.long_spread = to_u32(amm.long_spread + step)
        amm.short_spread = to_u32(amm.short_spread + abs(current))
    else:
        current = current + step
        amm.short_spread = to_u32(amm.short_spread + step)
        amm.long_spread = to_u32(amm.long_spread + abs(current))
    amm.reference_price_offset = to_i32(current)


@rule
def update_spreads(market: PerpMarket, price: int, slot: int) -> None:
    """Recompute offset, spreads and spread reserves at a reserve price. ``slot``: ``NO_SLOT`` where it is not known.

    Drift: the spreads as computed, the offset at once.
    Velocity: the spreads adjusted by ``amm_spread_adjustment``; the offset changes its sign in steps.
    Source: amm-and-funding.md §4.3; ``controller/amm.rs::update_spreads``.
    """
    amm: AMM = market.amm
    offset = calculate_reference_price_offset(market, price)
    if amm.curve_update_intensity == 0:
        half_base_spread = amm.base_spread // 2
        amm.long_spread = half_base_spread
        amm.short_spread = half_base_spread
    else:
        long_spread, short_spread = calculate_spread(market, price)
        amm.long_spread = long_spread
        amm.short_spread = short_spread
    if market.rulebook == RULEBOOK_VELOCITY:
        if amm.amm_spread_adjustment != 0:
            amm.long_spread = min(adjust_spread(amm.long_spread, amm.amm_spread_adjustment), _LARGEST_SPREAD)
            amm.short_spread = min(adjust_spread(amm.short_spread, amm.amm_spread_adjustment), _LARGEST_SPREAD)
        smooth_reference_price_offset(amm, offset, slot)
    else:
        amm.reference_price_offset = offset
    update_spread_reserves(market)
