"""A perp order filled against the AMM or against a maker: sizes, prices, and every book that a fill moves.

A fill is a short list of calls: size, trade, fees, then one booking a participant. Base and reserves 1e9, prices and
quote 1e6. Source: amm-and-funding.md §3; fees.md §4, §5, §8; ``controller/orders.rs``, ``math/orders.rs``,
``math/amm_jit.rs``.
"""

from typing import Final

from seawall.arithmetic import (
    AMM_RESERVE_PRECISION,
    BID_ASK_SPREAD_PRECISION,
    PRICE_PRECISION,
    U64_MAX,
    checked_u64,
    clamp,
    div_trunc,
    isqrt,
    sub_checked,
    sub_saturating,
    to_u64,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_curve import (
    SWAP_ADD,
    SWAP_REMOVE,
    ask_price,
    bid_price,
    calculate_base_swap_output_with_spread,
    calculate_market_open_bids_asks,
    quoted_price,
)
from seawall.rules.common.amm_spread import update_spread_reserves
from seawall.rules.common.amm_twaps import perp_sanitize_clamp_denominator, update_mark_twap_from_estimates
from seawall.rules.common.amm_validation import max_base_asset_amount_with_amm
from seawall.rules.common.fees import update_filler_volume, update_maker_volume_30d, update_taker_volume_30d
from seawall.rules.common.open_orders import signed_base, standardize_base_asset_amount
from seawall.rules.common.perp_orders import (
    PERP_DECIMALS,
    calculate_quote_asset_amount_for_maker_order,
    can_reward_user_with_perp_pnl,
    fill_reservation,
    unfilled_base_asset_amount,
    validate_fill_price,
)
from seawall.rules.common.perp_positions import (
    force_get_perp_position_index,
    get_perp_position_index,
    update_position_and_market,
    update_quote_asset_amount,
    update_quote_asset_and_break_even_amount,
)
from seawall.rules.common.user_status import update_last_active_slot
from seawall.state.enums import LONG, RULEBOOK_VELOCITY, SHORT
from seawall.state.exchange import FeeTier
from seawall.state.orders import FillFacts, PerpOrder
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.user import PerpPosition, User, UserStats

NO_LIMIT: Final = 0
"""Stands for a limit or fixed price that is not given."""

JIT_IMBALANCE: Final = 1_500_000_000
"""1.5: the ratio of the AMM's open bids and asks (1e9) from which it takes a whole order."""


# --- prices ----------------------------------------------------------------------------------------------------


@rule
def does_price_cross(price: int, direction: int, limit_price: int) -> bool:
    """Whether a price is good enough for an order of that direction; a limit of 0 admits every price."""
    if limit_price == NO_LIMIT:
        return True
    if direction == LONG:
        return price <= limit_price
    return price >= limit_price


@rule
def is_price_better(price: int, than: int, direction: int) -> bool:
    """Whether ``price`` is strictly better for a taker of that direction."""
    if direction == LONG:
        return price < than
    return price > than


@rule
def get_fallback_price(
    market: PerpMarket, direction: int, reserve_price_before: int, oracle_price: int, seconds_to_expiry: int
) -> int:
    """The limit of a taker without one, for matches: the AMM's quote, or the oracle's where the AMM is empty.

    Both give way the more, the sooner the order expires. Source: amm-and-funding.md §3.4 step 1;
    ``state/perp_market.rs::get_fallback_price``.
    """
    amm = market.amm
    if calculate_amm_available_liquidity(amm, direction) >= amm.min_order_size:
        if direction == LONG:
            price = ask_price(market, reserve_price_before)
            return price + div_trunc(price, clamp(seconds_to_expiry * 20, 100, 200))
        price = bid_price(market, reserve_price_before)
        return price - div_trunc(price, clamp(seconds_to_expiry * 20, 100, 200))
    oracle_twap = amm.historical_oracle_data.last_oracle_price_twap
    buffer = div_trunc(oracle_price, clamp(seconds_to_expiry * 2, 10, 50))
    if direction == LONG:
        premium = amm.last_ask_price_twap - oracle_twap
        if premium < 0:
            premium = 0
        return to_u64(oracle_price + premium + buffer)
    discount = amm.last_bid_price_twap - oracle_twap
    if discount > 0:
        discount = 0
    return sub_saturating(oracle_price + discount - buffer, 0)


@rule
def limit_price_for_amm(order: PerpOrder, market: PerpMarket, tier: FeeTier, limit_price: int) -> int:
    """The limit against which a fill by the AMM is sized: a post-only order's is moved away by its tier's rebate.

    Source: amm-and-funding.md §3.2.
    """
    if limit_price == NO_LIMIT or not order.post_only:
        return limit_price
    buffer = div_trunc(limit_price * tier.maker_rebate_numerator, tier.maker_rebate_denominator)
    adjustment = market.fee_adjustment
    if adjustment < 0:
        buffer = buffer - buffer * -adjustment // 100
    elif adjustment > 0:
        buffer = buffer + buffer * adjustment // 100
    if order.direction == LONG:
        return sub_checked(limit_price, buffer)
    return checked_u64(limit_price + buffer)


@rule
def effective_limit_price(order: PerpOrder, override_price: int) -> int:
    """The order's limit, or a better one in its place; ``InvalidAmmLimitPriceOverride`` for a worse one."""
    if override_price == NO_LIMIT:
        return order.price
    if not does_price_cross(override_price, order.direction, order.price):
        raise SettlementError(ErrorCode.InvalidAmmLimitPriceOverride)
    return override_price


# --- sizes -----------------------------------------------------------------------------------------------------


@rule
def calculate_amm_available_liquidity(amm: AMM, direction: int) -> int:
    """Base that one fill may take from the AMM: a part of the reserve, and half the way to its bound.

    Source: amm-and-funding.md §3.2; ``math/amm.rs::calculate_amm_available_liquidity``.
    """
    base = amm.base_asset_reserve
    largest_fill = to_u64(div_trunc(base, amm.max_fill_reserve_fraction))
    if direction == LONG:
        room = to_u64(sub_saturating(base, amm.min_base_asset_reserve) // 2)
    else:
        room = to_u64(sub_saturating(amm.max_base_asset_reserve, base) // 2)
    if largest_fill < room:
        room = largest_fill
    return standardize_base_asset_amount(room, amm.order_step_size)


@rule
def calculate_max_base_asset_amount_to_trade(amm: AMM, limit_price: int, direction: int) -> int:
    """Base that moves the curve's quote to a limit price, 0 where the quote is beyond it already.

    ``InvalidOrderLimitPrice`` for a price of 0. Source: amm-and-funding.md §3.2;
    ``math/amm_spread.rs::calculate_max_base_asset_amount_to_trade``.
    """
    if limit_price == 0:
        raise SettlementError(ErrorCode.InvalidOrderLimitPrice)
    invariant = amm.sqrt_k * amm.sqrt_k
    target = isqrt(invariant * PRICE_PRECISION // limit_price * amm.peg_multiplier // PRICE_PRECISION)
    base = amm.base_asset_reserve
    if amm.base_spread > 0:
        if direction == LONG:
            base = amm.ask_base_asset_reserve
        else:
            base = amm.bid_base_asset_reserve
    if direction == LONG:
        amount = sub_saturating(base, target)
    else:
        amount = sub_saturating(target, base)
    if amount > U64_MAX:
        return U64_MAX
    return amount


@rule
def calculate_base_asset_amount_for_amm_to_fulfill(
    order: PerpOrder, market: PerpMarket, limit_price: int, position_base: int
) -> int:
    """Base that the AMM gives an order up to a limit (0: none), whole steps, within its liquidity.

    Source: amm-and-funding.md §3.2; ``math/orders.rs::calculate_base_asset_amount_for_amm_to_fulfill``.
    """
    amm = market.amm
    direction = order.direction
    amount = unfilled_base_asset_amount(order, position_base)
    if limit_price != NO_LIMIT:
        # one tick inside the limit, so that rounding cannot breach it; deliberate
        if direction == LONG:
            inside = sub_checked(limit_price, amm.order_tick_size)
        else:
            inside = checked_u64(limit_price + amm.order_tick_size)
        to_limit = calculate_max_base_asset_amount_to_trade(amm, inside, direction)
        if to_limit < amount:
            amount = to_limit
    amount = standardize_base_asset_amount(amount, amm.order_step_size)
    liquidity = calculate_amm_available_liquidity(amm, direction)
    if liquidity < amount:
        return liquidity
    return amount


@rule
def is_fill_too_small(market: PerpMarket, order: PerpOrder, base_asset_amount: int, position_base: int) -> bool:
    """Whether the AMM lets a fill be: less than the minimum order for large positions, than a step for others.

    Drift: whatever the order. Velocity: reduce-only orders may always be filled by a step.
    """
    amm = market.amm
    if market.rulebook == RULEBOOK_VELOCITY and order.reduce_only:
        return base_asset_amount < amm.order_step_size
    if abs(position_base) > amm.min_order_size:
        return base_asset_amount < amm.min_order_size
    return base_asset_amount < amm.order_step_size


@rule
def does_amm_want_to_jit_make(amm: AMM, taker_direction: int) -> bool:
    """Whether taking the other side of this taker would reduce the AMM's position by more than a step."""
    if amm.amm_jit_intensity == 0:
        return False
    if taker_direction == LONG:
        return amm.base_asset_amount_with_amm < -amm.order_step_size
    return amm.base_asset_amount_with_amm > amm.order_step_size


@rule
def is_amm_imbalanced(amm: AMM) -> bool:
    """Whether the AMM has 1.5 times as much to do on one side as on the other; nothing on one side counts too."""
    bids, asks = calculate_market_open_bids_asks(
        amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve
    )
    asks = -asks
    larger = bids
    smaller = asks
    if asks > bids:
        larger = asks
        smaller = bids
    if smaller == 0:
        return True
    return larger * AMM_RESERVE_PRECISION // smaller >= JIT_IMBALANCE


@rule
def calculate_clamped_jit_base_asset_amount(
    amm: AMM, base_asset_amount: int, taker_direction: int, maker_price: int, valid_oracle_price: int
) -> int:
    """Most that the AMM takes of a match: half, and less the better the maker's price is for the taker.

    Source: amm-and-funding.md §3.6.
    """
    cap = base_asset_amount // 2
    if valid_oracle_price == 0:
        return 0
    threshold = valid_oracle_price // 2_000
    if taker_direction == LONG:
        improved = maker_price < valid_oracle_price - threshold
        spread = amm.short_spread
    else:
        improved = maker_price > valid_oracle_price + threshold
        spread = amm.long_spread
    if improved:
        width = spread * valid_oracle_price // BID_ASK_SPREAD_PRECISION
        room = sub_saturating(width, abs(maker_price - valid_oracle_price))
        if width < 1:
            width = 1
        cap = cap * room // width
    return cap


@rule
def calculate_amm_jit_liquidity(
    market: PerpMarket,
    order: PerpOrder,
    maker_price: int,
    base_asset_amount: int,
    taker_unfilled: int,
    maker_unfilled: int,
    valid_oracle_price: int,
) -> int:
    """Base of a match that the AMM takes itself, at the maker's price. ``valid_oracle_price`` 0: none.

    Source: amm-and-funding.md §3.6; ``math/amm_jit.rs::calculate_amm_jit_liquidity``.
    """
    amm = market.amm
    if order.price == NO_LIMIT and maker_unfilled < taker_unfilled:
        return 0
    if not does_amm_want_to_jit_make(amm, order.direction):
        return 0
    cap = calculate_clamped_jit_base_asset_amount(
        amm, base_asset_amount, order.direction, maker_price, valid_oracle_price
    )
    if cap == 0:
        return 0
    amount = base_asset_amount
    if not is_amm_imbalanced(amm):
        amount = base_asset_amount // 4
    intensity = amm.amm_jit_intensity
    if intensity < 100:
        amount = amount * intensity // 100
    net = abs(amm.base_asset_amount_with_amm)
    if net < amount:
        amount = net
    if cap < amount:
        amount = cap
    return standardize_base_asset_amount(amount, amm.order_step_size)


# --- the trade -------------------------------------------------------------------------------------------------


@rule
def validate_amm_account_for_fill(amm: AMM, direction: int) -> None:
    """``InvalidAmmForFillDetected`` where the reserve is beyond its bound on the order's side already."""
    if direction == LONG:
        beyond = amm.base_asset_reserve < amm.min_base_asset_reserve
    else:
        beyond = amm.base_asset_reserve > amm.max_base_asset_reserve
    if beyond:
        raise SettlementError(ErrorCode.InvalidAmmForFillDetected)


@rule
def swap_base_asset(amm: AMM, base_asset_amount: int, direction: int) -> tuple[int, int]:
    """Move the plain reserves by a user's trade; the quote the user gives or gets, and the AMM's surplus.

    Source: amm-and-funding.md §3.3 step 4; ``controller/amm.rs::swap_base_asset``.
    """
    swap = SWAP_ADD
    if direction == LONG:
        swap = SWAP_REMOVE
    new_base, new_quote, quote, surplus = calculate_base_swap_output_with_spread(amm, base_asset_amount, swap)
    amm.base_asset_reserve = new_base
    amm.quote_asset_reserve = new_quote
    return to_u64(quote), surplus


@rule
def trade_with_amm(
    market: PerpMarket,
    user: User,
    order: PerpOrder,
    base_asset_amount: int,
    fixed_price: int,
    limit_price: int,
    reserve_price_before: int,
    now: int,
    facts: FillFacts,
) -> None:
    """Swap base against the AMM, book position and market, and note quote and surplus; no fees yet.

    ``fixed_price`` 0: at the curve's quote. ``InvalidAmmForFillDetected``, ``InvalidAmmDetected``,
    ``InvalidOrderFillPrice``, ``InvalidPositionLastFundingRate``. Source: amm-and-funding.md §3.3 steps 2-7.
    """
    amm = market.amm
    direction = order.direction
    validate_amm_account_for_fill(amm, direction)
    trade_price = quoted_price(market, reserve_price_before, direction)
    clamp_denominator = perp_sanitize_clamp_denominator(market.contract_tier)
    update_mark_twap_from_estimates(market, now, trade_price, direction, clamp_denominator)
    quote, surplus = swap_base_asset(amm, base_asset_amount, direction)
    if fixed_price != NO_LIMIT:
        fixed_quote = calculate_quote_asset_amount_for_maker_order(
            base_asset_amount, fixed_price, PERP_DECIMALS, direction
        )
        if direction == LONG:
            surplus = fixed_quote - quote
        else:
            surplus = quote - fixed_quote
        quote = fixed_quote
    position = user.perp_positions[get_perp_position_index(user, market.market_index)]
    delta = signed_base(direction, base_asset_amount)
    update_position_and_market(position, market, delta, -signed_base(direction, quote))
    amm.base_asset_amount_with_amm = amm.base_asset_amount_with_amm + delta
    if abs(amm.base_asset_amount_with_amm) > max_base_asset_amount_with_amm(market):
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    update_spread_reserves(market)
    if limit_price != NO_LIMIT:
        validate_fill_price(quote, base_asset_amount, direction, limit_price, not order.post_only)
    facts.base_asset_amount = base_asset_amount
    facts.quote_asset_amount = quote
    facts.quote_asset_amount_surplus = surplus


@rule
def trade_with_maker(
    market: PerpMarket,
    taker: User,
    taker_stats: UserStats,
    taker_limit: int,
    maker: User,
    maker_stats: UserStats,
    maker_order: PerpOrder,
    base_asset_amount: int,
    now: int,
    facts: FillFacts,
) -> None:
    """Book a match in both positions, the market and the volumes, at the maker's price; no fees yet.

    ``maker_stats`` are the taker's where both have one authority. ``InvalidOrderFillPrice``,
    ``InvalidPositionLastFundingRate``. Source: amm-and-funding.md §3.4 steps 5-6.
    """
    direction = maker_order.direction
    price = maker_order.price
    quote = calculate_quote_asset_amount_for_maker_order(base_asset_amount, price, PERP_DECIMALS, direction)
    taker_direction = LONG
    if direction == LONG:
        taker_direction = SHORT
    validate_fill_price(quote, base_asset_amount, taker_direction, taker_limit, True)
    validate_fill_price(quote, base_asset_amount, direction, price, False)
    delta = signed_base(direction, base_asset_amount)
    delta_quote = -signed_base(direction, quote)
    position = maker.perp_positions[get_perp_position_index(maker, market.market_index)]
    update_position_and_market(position, market, delta, delta_quote)
    update_maker_volume_30d(maker_stats, quote, now)
    position = taker.perp_positions[get_perp_position_index(taker, market.market_index)]
    update_position_and_market(position, market, -delta, -delta_quote)
    # the volumes of this very fill already count for its fee tier: deliberate, unlike against the AMM
    update_taker_volume_30d(taker_stats, quote, now)
    facts.base_asset_amount = base_asset_amount
    facts.quote_asset_amount = quote


# --- booking the fees ------------------------------------------------------------------------------------------


@rule
def book_user_fees(stats: UserStats, user_fee: int, maker_rebate: int, referee_discount: int) -> None:
    """Fee, rebate and discount in an authority's lifetime figures."""
    fees = stats.fees
    fees.total_fee_paid = checked_u64(fees.total_fee_paid + user_fee)
    fees.total_fee_rebate = checked_u64(fees.total_fee_rebate + maker_rebate)
    fees.total_referee_discount = checked_u64(fees.total_referee_discount + referee_discount)


@rule
def book_taker_of_amm_fill(
    market: PerpMarket, user: User, stats: UserStats, order: PerpOrder, now: int, facts: FillFacts
) -> None:
    """The user's side of a fill against the AMM: fee or rebate, volume. Source: amm-and-funding.md §3.3 steps 11-12.

    Drift: there is no builder. Velocity: the builder's fee is charged with the user's own.
    """
    position = user.perp_positions[get_perp_position_index(user, market.market_index)]
    update_quote_asset_and_break_even_amount(position, market, -(facts.user_fee + facts.builder_fee))
    update_quote_asset_and_break_even_amount(position, market, facts.maker_rebate)
    if order.post_only:
        update_maker_volume_30d(stats, facts.quote_asset_amount, now)
    else:
        update_taker_volume_30d(stats, facts.quote_asset_amount, now)


@rule
def book_traders_of_match(
    market: PerpMarket,
    taker: User,
    taker_stats: UserStats,
    maker: User,
    maker_stats: UserStats,
    facts: FillFacts,
) -> None:
    """Taker and maker of a match: fee, rebate, lifetime figures. Source: fees.md §5.

    Drift: there is no builder. Velocity: the builder's fee is charged with the taker's own.
    """
    position = taker.perp_positions[get_perp_position_index(taker, market.market_index)]
    update_quote_asset_and_break_even_amount(position, market, -(facts.user_fee + facts.builder_fee))
    book_user_fees(taker_stats, facts.user_fee, 0, facts.referee_discount)
    position = maker.perp_positions[get_perp_position_index(maker, market.market_index)]
    update_quote_asset_and_break_even_amount(position, market, facts.maker_rebate)
    book_user_fees(maker_stats, 0, facts.maker_rebate, 0)


@rule
def pay_filler(
    market: PerpMarket,
    filler: User,
    filler_stats: UserStats,
    reward: int,
    quote_asset_amount: int,
    now: int,
    slot: int,
) -> None:
    """Credit a filler (quote 1e6) and its volume if there is a reward; its last active slot always."""
    if reward > 0:
        position = filler.perp_positions[force_get_perp_position_index(filler, market.market_index)]
        update_quote_asset_amount(position, market, reward)
        update_filler_volume(filler_stats, quote_asset_amount, now)
    update_last_active_slot(filler, slot)


@rule
def finish_fill(market: PerpMarket, position: PerpPosition, order: PerpOrder, facts: FillFacts) -> None:
    """Book the fill on the order and what it reserves, and take the next fill record id."""
    fill_reservation(position, order, facts.base_asset_amount, facts.quote_asset_amount)
    facts.fill_record_id = market.next_fill_record_id
    market.next_fill_record_id = market.next_fill_record_id + 1


@rule
def pay_keeper_flat_reward_for_perps(market: PerpMarket, user: User, filler: User, amount: int, slot: int) -> int:
    """Charge the user the flat fee (quote 1e6) for a keeper's work; what the filler got of it.

    ``UserHasNoPositionInMarket``. Where the filler can have no slot the user is charged all the same and 0 is paid.
    Source: fees.md §8; ``controller/orders.rs::pay_keeper_flat_reward_for_perps``.
    """
    position = user.perp_positions[get_perp_position_index(user, market.market_index)]
    update_quote_asset_and_break_even_amount(position, market, -amount)
    update_last_active_slot(filler, slot)
    if not can_reward_user_with_perp_pnl(filler, market.market_index):
        return 0
    position = filler.perp_positions[force_get_perp_position_index(filler, market.market_index)]
    update_quote_asset_amount(position, market, amount)
    return amount
