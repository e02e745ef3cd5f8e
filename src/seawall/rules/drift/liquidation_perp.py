"""``liquidate_perp``: a liquidator takes over a perp position at the oracle price and is paid a fee for it.

Source: liquidation.md §4; ``controller/liquidation.rs::liquidate_perp``.
"""

from typing import Final

from seawall.arithmetic import BASE_PRECISION, U32_MAX, div_trunc, to_i64, to_u64, to_u128
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.liquidation_math import (
    LIQUIDATION_FEE_PRECISION,
    NO_LIMIT_PRICE,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_perp_if_fee,
    standardize_base_asset_amount_ceil,
)
from seawall.rules.common.margin import TRACK_PERP, margin_shortage, tracked_market_margin_shortage
from seawall.rules.common.margin_weights import get_margin_ratio
from seawall.rules.common.open_orders import standardize_base_asset_amount
from seawall.rules.common.oracles import (
    ACTION_LIQUIDATE,
    is_oracle_valid_for_action,
    oracle_validity,
    perp_confidence_multiplier,
)
from seawall.rules.common.perp_margin import worst_case_base_asset_amount
from seawall.rules.common.perp_orders import is_oracle_too_divergent_with_twap_5min
from seawall.rules.common.perp_positions import (
    force_get_perp_position_index,
    get_perp_position_index,
    has_open_order,
    update_position_and_market,
    update_quote_asset_and_break_even_amount,
)
from seawall.rules.common.user_status import enter_liquidation
from seawall.rules.drift.fees import update_maker_volume_30d, update_taker_volume_30d
from seawall.rules.drift.liquidation import (
    allow_part,
    calculate_liquidation_margin,
    cancel_all_orders,
    check_neither_bankrupt,
    check_perp_liquidation_not_paused,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
    settle_funding_of_position,
)
from seawall.state.enums import MARGIN_MAINTENANCE, STATUS_SETTLEMENT
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User, UserStats

SMALL_POSITION: Final = 50_000_000
"""Quote 1e6: a position that is not worth more may be taken over whole, whatever the shortage."""


@rule
def refresh_and_check_validity(
    market: PerpMarket, oracle: OraclePriceData, guard_rails: OracleGuardRails, now: int, slot: int
) -> int:
    """Refresh the AMM, then judge the price against the TWAP just updated; the price (1e6) to liquidate at.

    In Settlement that is the expiry price, but the oracle is judged all the same: deliberate. ``InvalidOracle``.
    Source: liquidation.md §4 steps 8-9; ``controller/repeg.rs::update_amm_and_check_validity``.
    """
    update_amm(market, oracle, guard_rails, now, slot)
    twap = market.amm.historical_oracle_data.last_oracle_price_twap
    multiplier = perp_confidence_multiplier(market.contract_tier)
    validity = oracle_validity(oracle, twap, guard_rails.validity, multiplier)
    if not is_oracle_valid_for_action(validity, ACTION_LIQUIDATE):
        raise SettlementError(ErrorCode.InvalidOracle)
    if market.status == STATUS_SETTLEMENT:
        return market.expiry_price
    return oracle.price


@rule
def liquidation_margin_ratio(position: PerpPosition, market: PerpMarket, margin_buffer: int) -> int:
    """Maintenance ratio (1e4) of the position's worst case, with the liquidation buffer; ``MathError`` beyond u32."""
    worst = abs(worst_case_base_asset_amount(position))
    ratio = get_margin_ratio(market, worst, MARGIN_MAINTENANCE) + margin_buffer
    if ratio > U32_MAX:
        raise SettlementError(ErrorCode.MathError)
    return ratio


@rule
def calculate_base_asset_amount_to_liquidate(
    user: User,
    position: PerpPosition,
    market: PerpMarket,
    quote_price: int,
    max_base_asset_amount: int,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> int:
    """Base (1e9) to take over, in whole steps; 0 where nothing may go yet.

    The part that may go by now is rounded up to a step, as is what covers the shortage: deliberate. Errors:
    ``InvalidMarginCalculation`` without a buffer, ``MathError``. Source: liquidation.md §4 steps 15-21.
    """
    step = market.amm.order_step_size
    price = facts.oracle_price
    held = abs(position.base_asset_amount)
    shortage = margin_shortage(calculation)
    ratio = liquidation_margin_ratio(position, market, state.liquidation_margin_buffer_ratio)
    tracked = tracked_market_margin_shortage(calculation, shortage)
    facts.if_rate = calculate_perp_if_fee(
        tracked, held, ratio, market.liquidator_fee, price, quote_price, market.if_liquidation_fee
    )
    to_cover = calculate_base_asset_amount_to_cover_margin_shortage(
        shortage, ratio, market.liquidator_fee, facts.if_rate, price, quote_price
    )
    facts.held = held
    allowed = to_u64(allow_part(user, shortage, standardize_base_asset_amount_ceil(to_cover, step), state, slot, facts))
    if allowed == 0:
        return 0
    value = held * max(price, 0) // BASE_PRECISION
    if value <= SMALL_POSITION and allowed < held:
        allowed = held
    amount = max_base_asset_amount
    if held < amount:
        amount = held
    if allowed < amount:
        amount = allowed
    return standardize_base_asset_amount_ceil(amount, step)


@rule
def validate_perp_limit_price(position_base: int, oracle_price: int, limit_price: int) -> None:
    """The liquidator buys a long at no more, a short at no less than its limit, fees apart.

    ``LiquidationDoesntSatisfyLimitPrice``. Source: liquidation.md §4 step 22.
    """
    if limit_price == NO_LIMIT_PRICE:
        return
    if position_base > 0:
        admitted = oracle_price <= limit_price
    else:
        admitted = oracle_price >= limit_price
    if not admitted:
        raise SettlementError(ErrorCode.LiquidationDoesntSatisfyLimitPrice)


@rule
def check_multiple_of_step(position: PerpPosition, step_size: int) -> None:
    """``InvalidPerpPosition`` for a base that is no multiple of the step."""
    size = abs(position.base_asset_amount)
    if div_trunc(size, step_size) * step_size != size:
        raise SettlementError(ErrorCode.InvalidPerpPosition)


@rule
def transfer_perp_position(
    user: User, liquidator: User, market: PerpMarket, base_asset_amount: int, facts: LiquidationFacts
) -> None:
    """Move ``base_asset_amount`` from user to liquidator at the noted price, then the fees; the amounts are noted.

    The insurance part moves no token: the user's quote falls and nobody's rises, so the AMM has more to claim;
    deliberate. ``InvalidPerpPosition``, those of ``update_position_and_market``. Source: liquidation.md §4 steps 23-26.
    """
    index = market.market_index
    price = to_u128(facts.oracle_price)
    quote = to_u64(base_asset_amount * price // BASE_PRECISION)
    liquidator_fee = to_i64(quote * market.liquidator_fee // LIQUIDATION_FEE_PRECISION)
    if_fee = to_i64(quote * facts.if_rate // LIQUIDATION_FEE_PRECISION)
    step = market.amm.order_step_size
    position = user.perp_positions[get_perp_position_index(user, index)]
    delta_base = to_i64(base_asset_amount)
    delta_quote = to_i64(quote)
    if position.base_asset_amount > 0:
        delta_base = -delta_base
    else:
        delta_quote = -delta_quote
    update_position_and_market(position, market, delta_base, delta_quote)
    update_quote_asset_and_break_even_amount(position, market, -liquidator_fee)
    update_quote_asset_and_break_even_amount(position, market, -if_fee)
    check_multiple_of_step(position, step)
    taken = liquidator.perp_positions[force_get_perp_position_index(liquidator, index)]
    update_position_and_market(taken, market, -delta_base, -delta_quote)
    update_quote_asset_and_break_even_amount(taken, market, liquidator_fee)
    check_multiple_of_step(taken, step)
    market.amm.total_liquidation_fee = market.amm.total_liquidation_fee + if_fee
    facts.base_asset_amount = delta_base
    facts.quote_asset_amount = delta_quote
    facts.liquidator_fee = liquidator_fee
    facts.if_fee = if_fee
    facts.fill_record_id = market.next_fill_record_id
    market.next_fill_record_id = market.next_fill_record_id + 1


@rule
def open_liquidation_of_perp(
    user: User,
    liquidator: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    slot: int,
    user_funding: FundingPaymentFacts,
    liquidator_funding: FundingPaymentFacts,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> int:
    """Everything up to the flag: the slot of the user's position, or −1 where the account left liquidation instead.

    Errors in order: ``UserBankrupt``, ``InvalidLiquidation``, ``SufficientCollateral``, ``UserHasNoPositionInMarket``,
    ``MaxNumberOfPositions``, ``PositionDoesntHaveOpenPositionOrOrders``. Source: liquidation.md §4 steps 1-6.
    """
    market = perp_markets[market_index]
    check_neither_bankrupt(user, liquidator)
    check_perp_liquidation_not_paused(market)
    settle_funding_of_position(user, market, user_funding)
    settle_funding_of_position(liquidator, market, liquidator_funding)
    calculation.tracked_market_type = TRACK_PERP
    calculation.tracked_market_index = market_index
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, calculation, facts):
        return -1
    index = get_perp_position_index(user, market_index)
    force_get_perp_position_index(liquidator, market_index)
    facts.liquidation_id = enter_liquidation(user, slot)
    position = user.perp_positions[index]
    if position.base_asset_amount == 0 and not has_open_order(position):
        raise SettlementError(ErrorCode.PositionDoesntHaveOpenPositionOrOrders)
    return index


@rule
def liquidate_perp(
    user: User,
    user_stats: UserStats,
    liquidator: User,
    liquidator_stats: UserStats,
    market_index: int,
    liquidator_max_base_asset_amount: int,
    limit_price: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
    user_funding: FundingPaymentFacts,
    liquidator_funding: FundingPaymentFacts,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> None:
    """Take over base (1e9) of a position, at most ``liquidator_max_base_asset_amount``; often nothing is done.

    ``NO_LIMIT_PRICE`` or a limit (1e6). Errors after those of ``open_liquidation_of_perp``, in order:
    ``InvalidOracle``, ``InvalidBaseAssetAmountForLiquidatePerp``, ``PriceBandsBreached``,
    ``LiquidationDoesntSatisfyLimitPrice``, ``InsufficientCollateral``. Source: liquidation.md §4.
    """
    index = open_liquidation_of_perp(
        user, liquidator, market_index, spot_markets, perp_markets, oracles, state, slot, user_funding,
        liquidator_funding, calculation, facts,
    )  # fmt: skip
    if index < 0:
        return
    cancelled = cancel_all_orders(user, slot)
    market = perp_markets[market_index]
    guard_rails = state.oracle_guard_rails
    oracle = oracles[market.amm.oracle_index]
    facts.oracle_price = refresh_and_check_validity(market, oracle, guard_rails, now, slot)
    if cancelled and leaves_after_cancelling(
        user, spot_markets, perp_markets, oracles, state, calculation, facts
    ):  # fmt: skip
        return
    position = user.perp_positions[index]
    if position.base_asset_amount == 0:
        return
    asked = standardize_base_asset_amount(liquidator_max_base_asset_amount, market.amm.order_step_size)
    if asked == 0:
        raise SettlementError(ErrorCode.InvalidBaseAssetAmountForLiquidatePerp)
    twap = market.amm.historical_oracle_data.last_oracle_price_twap_5min
    if is_oracle_too_divergent_with_twap_5min(facts.oracle_price, twap, guard_rails):
        raise SettlementError(ErrorCode.PriceBandsBreached)
    quote_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    amount = calculate_base_asset_amount_to_liquidate(
        user, position, market, quote_price, asked, state, slot, calculation, facts
    )
    if amount == 0:
        return
    validate_perp_limit_price(position.base_asset_amount, facts.oracle_price, limit_price)
    transfer_perp_position(user, liquidator, market, amount, facts)
    quote = abs(facts.quote_asset_amount)
    update_taker_volume_30d(user_stats, quote, now)
    update_maker_volume_30d(liquidator_stats, quote, now)
    covered = amount >= facts.to_cover
    conclude(user, liquidator, covered, spot_markets, perp_markets, oracles, state, calculation, facts)
