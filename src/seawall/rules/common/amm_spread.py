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
    checked_u64,
    clamp,
    div_ceil,
    div_trunc,
    sub_checked,
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
from seawall.state.perp_market import AMM

MAX_BID_ASK_INVENTORY_SKEW_FACTOR: Final = 10_000_000
LARGE_SPREAD_FACTOR: Final = 10_000_000
_VOLUME_FACTOR_MIN: Final = 10_000
_VOLUME_FACTOR_MAX: Final = 1_600_000
_CONF_COUNTS_FULLY_ABOVE: Final = 2_500


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
def update_spread_reserves(amm: AMM) -> None:
    """Store the reserves of both sides for the present reserves, spreads and offset; never inside the plain reserves.

    Source: amm-and-funding.md §4.1; ``controller/amm.rs::update_spread_reserves``.
    """
    base = amm.base_asset_reserve
    quote = amm.quote_asset_reserve
    offset = amm.reference_price_offset
    ask_base, ask_quote = calculate_spread_reserves(amm, to_i32(to_i32(amm.long_spread) + offset))
    bid_base, bid_quote = calculate_spread_reserves(amm, to_i32(offset - to_i32(amm.short_spread)))
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
) -> tuple[int, int]:
    """Volatility spread of each side: oracle confidence or market volatility, by the side's share of the volume.

    Source: amm-and-funding.md §4.4 step 1; ``math/amm_spread.rs::calculate_long_short_vol_spread``.
    """
    market_avg_std_pct = checked_u64(oracle_std + mark_std) * PERCENTAGE_PRECISION // price // 2
    vol_spread = max(last_oracle_conf_pct, market_avg_std_pct // 2)
    volume = max(volume_24h, 1)
    long_factor = clamp(long_intensity_volume * PERCENTAGE_PRECISION // volume, _VOLUME_FACTOR_MIN, _VOLUME_FACTOR_MAX)
    short_factor = clamp(
        short_intensity_volume * PERCENTAGE_PRECISION // volume, _VOLUME_FACTOR_MIN, _VOLUME_FACTOR_MAX
    )
    conf_component = last_oracle_conf_pct
    if last_oracle_conf_pct <= _CONF_COUNTS_FULLY_ABOVE:
        conf_component = last_oracle_conf_pct // 10
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
def cap_to_max_spread(long_spread: int, short_spread: int, max_spread: int) -> tuple[int, int]:
    """Both spreads scaled down so that their sum is the maximum: the larger one rounded up, the other the rest.

    ``InvalidAmmMaxSpreadDetected`` if the sum still exceeds it.
    Source: amm-and-funding.md §4.4 step 8; ``math/amm_spread.rs::cap_to_max_spread``.
    """
    total = checked_u64(long_spread + short_spread)
    if total > max_spread:
        if long_spread > short_spread:
            long_spread = div_ceil(checked_u64(long_spread * max_spread), total)
            short_spread = sub_checked(max_spread, long_spread)
        else:
            short_spread = div_ceil(checked_u64(short_spread * max_spread), total)
            long_spread = sub_checked(max_spread, short_spread)
    if long_spread + short_spread > max_spread:
        raise SettlementError(ErrorCode.InvalidAmmMaxSpreadDetected)
    return long_spread, short_spread


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
def calculate_spread(amm: AMM, price: int) -> tuple[int, int]:
    """Dynamic long and short spread (1e6) of the AMM at a reserve price.

    ``MathError`` where a product leaves u64 or the price is 0. Source: amm-and-funding.md §4.4;
    ``math/amm_spread.rs::calculate_spread``.
    """
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    net = amm.base_asset_amount_with_amm
    half_base_spread = amm.base_spread // 2
    long_vol_spread, short_vol_spread = calculate_long_short_vol_spread(
        amm.last_oracle_conf_pct, price, amm.mark_std, amm.oracle_std,
        amm.long_intensity_volume, amm.short_intensity_volume, amm.volume_24h,
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
        long_spread = scale_spread(long_spread, LARGE_SPREAD_FACTOR)
        short_spread = scale_spread(short_spread, LARGE_SPREAD_FACTOR)
    else:
        factor = calculate_spread_leverage_scale(
            amm.quote_asset_reserve, amm.terminal_quote_asset_reserve, amm.peg_multiplier, net, price, fees
        )
        if net > 0:
            long_spread = scale_spread(long_spread, factor)
        elif net < 0:
            short_spread = scale_spread(short_spread, factor)
    return retreat_and_cap(amm, long_spread, short_spread, max_spread)


@rule
def retreat_and_cap(amm: AMM, long_spread: int, short_spread: int, max_spread: int) -> tuple[int, int]:
    """The last two steps of the dynamic spread: the retreat of a losing AMM, and the cap.

    Source: amm-and-funding.md §4.4 steps 7-8.
    """
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
    long_spread, short_spread = cap_to_max_spread(long_spread, short_spread, max_spread)
    return to_u32(long_spread), to_u32(short_spread)


@rule
def calculate_reference_price_offset(amm: AMM, price: int) -> int:
    """How far both quotes shift (1e6) when mark prices and funding lean to one side; only above intensity 100.

    The inventory fraction is asked for with the two bounds exchanged, so it is 1 within them; deliberate.
    Source: amm-and-funding.md §4.5; ``math/amm_spread.rs::calculate_reference_price_offset``.
    """
    intensity = amm.curve_update_intensity
    if intensity <= 100:
        return 0
    max_offset = max(amm.max_spread // 5, 100 * (intensity - 100))
    rate = amm.last_24h_avg_funding_rate
    if max_offset == 0 or rate == 0:
        return 0
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    fraction = calculate_inventory_liquidity_ratio(
        amm.base_asset_amount_with_amm, amm.base_asset_reserve, amm.max_base_asset_reserve, amm.min_base_asset_reserve
    )
    net = amm.base_asset_amount_with_amm
    if net < 0:
        fraction = -fraction
    elif net == 0:
        fraction = 0
    history = amm.historical_oracle_data
    limit = to_i64(max_offset * price // PERCENTAGE_PRECISION)
    minute = clamp(amm.last_mark_price_twap_5min - history.last_oracle_price_twap_5min, -limit, limit)
    hour = clamp(amm.last_mark_price_twap - history.last_oracle_price_twap, -limit, limit)
    day = clamp(div_trunc(rate, 1_000) * 24, -limit, limit)
    average = div_trunc(minute + hour + day, 3)
    from_premium = div_trunc(average * PERCENTAGE_PRECISION, price)
    from_inventory = clamp(div_trunc(fraction * max_offset, PERCENTAGE_PRECISION), -max_offset, max_offset)
    if (from_premium > 0 and from_inventory < 0) or (from_premium < 0 and from_inventory > 0):
        return 0
    return to_i32(clamp(from_premium + from_inventory, -max_offset, max_offset))


@rule
def update_spreads(amm: AMM, price: int) -> None:
    """Recompute offset, spreads and spread reserves at a reserve price. Source: amm-and-funding.md §4.3;
    ``controller/amm.rs::update_spreads``.
    """
    offset = calculate_reference_price_offset(amm, price)
    if amm.curve_update_intensity == 0:
        half_base_spread = amm.base_spread // 2
        amm.long_spread = half_base_spread
        amm.short_spread = half_base_spread
    else:
        long_spread, short_spread = calculate_spread(amm, price)
        amm.long_spread = long_spread
        amm.short_spread = short_spread
    amm.reference_price_offset = offset
    update_spread_reserves(amm)
