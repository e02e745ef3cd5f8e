"""``liquidate_perp``: a liquidator takes over a perp position at the oracle price and is paid a fee for it.

Source: liquidation.md §4; ``controller/liquidation.rs::liquidate_perp``.
"""

from seawall.arithmetic import U32_MAX, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.fees import update_maker_volume_30d, update_taker_volume_30d
from seawall.rules.common.liquidation_math import (
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_perp_if_fee,
    standardize_base_asset_amount_ceil,
)
from seawall.rules.common.liquidation_steps import (
    cancel_all_orders,
    check_perp_liquidation_not_paused,
    check_price_near_twap,
    largest_perp_transfer,
    refresh_and_check_validity,
    settle_funding_of_position,
    transfer_perp_position,
    validate_perp_limit_price,
)
from seawall.rules.common.margin import TRACK_PERP, margin_shortage, tracked_market_margin_shortage
from seawall.rules.common.margin_weights import get_margin_ratio
from seawall.rules.common.open_orders import standardize_base_asset_amount
from seawall.rules.common.perp_margin import worst_case_base_asset_amount
from seawall.rules.common.perp_positions import (
    force_get_perp_position_index,
    get_perp_position_index,
    has_open_order,
)
from seawall.rules.common.user_status import enter_liquidation
from seawall.rules.drift.liquidation import (
    allow_part,
    calculate_liquidation_margin,
    check_neither_bankrupt,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
)
from seawall.state.enums import MARGIN_MAINTENANCE
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User, UserStats


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
    amount = largest_perp_transfer(max_base_asset_amount, held, allowed, price)
    return standardize_base_asset_amount_ceil(amount, step)


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
    check_price_near_twap(facts.oracle_price, twap, guard_rails)
    quote_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    amount = calculate_base_asset_amount_to_liquidate(
        user, position, market, quote_price, asked, state, slot, calculation, facts
    )
    if amount == 0:
        return
    validate_perp_limit_price(position.base_asset_amount, facts.oracle_price, limit_price)
    transfer_perp_position(user, liquidator, market, amount, market.liquidator_fee, facts)
    # the only trace of insurance's part: the AMM has more to claim
    market.amm.total_liquidation_fee = market.amm.total_liquidation_fee + facts.if_fee
    quote = abs(facts.quote_asset_amount)
    update_taker_volume_30d(user_stats, quote, now)
    update_maker_volume_30d(liquidator_stats, quote, now)
    covered = amount >= facts.to_cover
    conclude(user, liquidator, covered, spot_markets, perp_markets, oracles, state, calculation, facts)
