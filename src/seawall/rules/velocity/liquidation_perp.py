"""``liquidate_perp``: a liquidator takes over a perp position at the oracle price and is paid a fee for it.

Source: velocity/liquidation.md §6.1; ``controller/liquidation/{perp,perp_entry}.rs``.
"""

from typing import Final

from seawall.arithmetic import U32_MAX, U64_MAX, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.fees import update_maker_volume_30d, update_taker_volume_30d
from seawall.rules.common.liquidation_math import (
    LIQUIDATION_FEE_PRECISION,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_perp_if_fee,
    standardize_base_asset_amount_ceil,
)
from seawall.rules.common.liquidation_steps import (
    check_perp_liquidation_not_paused,
    check_price_near_twap,
    largest_perp_transfer,
    refresh_and_check_validity,
    settle_funding_of_position,
    transfer_perp_position,
    validate_perp_limit_price,
)
from seawall.rules.common.margin import TRACK_PERP
from seawall.rules.common.margin_weights import get_margin_ratio
from seawall.rules.common.open_orders import standardize_base_asset_amount
from seawall.rules.common.perp_positions import (
    force_get_perp_position_index,
    get_perp_position_index,
    has_open_order,
)
from seawall.rules.velocity.fee_ledger import accrue_liquidation_fees
from seawall.rules.velocity.isolated import scope_of
from seawall.rules.velocity.liquidation import (
    allow_part,
    cancel_orders,
    check_neither_bankrupt,
    check_pool,
    conclude,
    leave_or_refuse,
    leaves_after_cancelling,
)
from seawall.rules.velocity.liquidation_math import (
    SLOT_MS,
    get_liquidation_fee,
    get_max_liquidation_fee,
    liquidation_fee_cap,
    split_liquidation_fee,
)
from seawall.rules.velocity.margin import (
    calculate_liquidation_margin,
    margin_shortage,
    tracked_market_margin_shortage,
)
from seawall.rules.velocity.user_status import enter_liquidation
from seawall.state.enums import MARGIN_MAINTENANCE, STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.exchange import State
from seawall.state.facts import FundingPaymentFacts, LiquidationFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User, UserStats

LIQUIDATORS_POOL: Final = 0
"""The pool in which alone perp positions are taken over."""


# --- the entry, of this and of the liquidation by a fill ---------------------------------------------------------


@rule
def check_perp_market_liquidates(market: PerpMarket, now: int) -> None:
    """``InvalidLiquidation`` while paused, and once expired until the market is in Settlement.

    Source: velocity/liquidation.md §6.1.
    """
    check_perp_liquidation_not_paused(market)
    settled = market.status == STATUS_SETTLEMENT or market.status == STATUS_DELISTED
    if market.expiry_ts != 0 and now >= market.expiry_ts and not settled:
        raise SettlementError(ErrorCode.InvalidLiquidation)


@rule
def enter_liquidation_of_perp(
    user: User,
    liquidator: User,
    takes_over: bool,
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
    """From the funding to the latch: the user's row, or −1 where the scope left liquidation instead.

    ``takes_over``: the liquidator must have or get a row too. Errors in order: ``SufficientCollateral``,
    ``UserHasNoPositionInMarket``, ``MaxNumberOfPositions``, ``PositionDoesntHaveOpenPositionOrOrders``.
    Source: velocity/liquidation.md §5 steps 2-5, §6.1.
    """
    market = perp_markets[market_index]
    row = scope_of(user, market_index)
    settle_funding_of_position(user, market, user_funding)
    settle_funding_of_position(liquidator, market, liquidator_funding)
    calculation.tracked_market_type = TRACK_PERP
    calculation.tracked_market_index = market_index
    calculate_liquidation_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    if leave_or_refuse(user, row, calculation, facts):
        return -1
    index = get_perp_position_index(user, market_index)
    if takes_over:
        force_get_perp_position_index(liquidator, market_index)
    facts.liquidation_id = enter_liquidation(user, row, slot)
    position = user.perp_positions[index]
    if position.base_asset_amount == 0 and not has_open_order(position):
        raise SettlementError(ErrorCode.PositionDoesntHaveOpenPositionOrOrders)
    return index


# --- fees and size ---------------------------------------------------------------------------------------------


@rule
def note_perp_fee_rates(
    market: PerpMarket,
    tracked_shortage: int,
    base_asset_amount: int,
    margin_ratio: int,
    liquidator_fee: int,
    price: int,
    quote_price: int,
    facts: LiquidationFacts,
) -> int:
    """Note what insurance, which comes first, and the protocol are paid (1e6); the sum, which the shortage can bear.

    Source: velocity/liquidation.md §3.6, §4.
    """
    cap = liquidation_fee_cap(market.if_liquidation_fee, market.protocol_liquidation_fee)
    budget = calculate_perp_if_fee(
        tracked_shortage, base_asset_amount, margin_ratio, liquidator_fee, price, quote_price, cap
    )
    facts.if_rate, facts.protocol_rate = split_liquidation_fee(budget, market.if_liquidation_fee)
    return budget


@rule
def note_liquidator_rate(user: User, market: PerpMarket, slot: int, facts: LiquidationFacts) -> None:
    """Note what the liquidator is paid by now (1e6). Source: velocity/liquidation.md §3.9."""
    largest = get_max_liquidation_fee(market)
    facts.liquidator_rate = get_liquidation_fee(market.liquidator_fee, largest, user.last_active_slot, slot, SLOT_MS)


@rule
def allow_perp_part(
    user: User,
    row: int,
    position: PerpPosition,
    market: PerpMarket,
    quote_price: int,
    liquidator_fee: int,
    may_cover_none: bool,
    state: State,
    slot: int,
    calculation: MarginCalculation,
    facts: LiquidationFacts,
) -> int:
    """Base (1e9) that may be liquidated by now, and the rates of insurance and protocol, noted.

    What covers the shortage is rounded up to a step, but for the largest number, which stands for a fee that can cover
    none, if it ``may_cover_none``; else that number fails with ``MathError``, unless it is a multiple of the step.
    Source: velocity/liquidation.md §6.1 steps 4-5, §6.2.
    """
    price = facts.oracle_price
    held = abs(position.base_asset_amount)
    shortage = margin_shortage(calculation, row)
    ratio = get_margin_ratio(market, held, MARGIN_MAINTENANCE) + state.liquidation_margin_buffer_ratio
    if ratio > U32_MAX:
        raise SettlementError(ErrorCode.MathError)
    tracked = tracked_market_margin_shortage(calculation, shortage, row)
    budget = note_perp_fee_rates(market, tracked, held, ratio, liquidator_fee, price, quote_price, facts)
    to_cover = calculate_base_asset_amount_to_cover_margin_shortage(
        shortage, ratio, liquidator_fee, budget, price, quote_price
    )
    facts.held = held
    if to_cover != U64_MAX or not may_cover_none:
        to_cover = standardize_base_asset_amount_ceil(to_cover, market.amm.order_step_size)
    return to_u64(allow_part(user, row, shortage, to_cover, state, slot, facts))


# --- the instruction -------------------------------------------------------------------------------------------


@rule
def price_with_fee(position_base: int, facts: LiquidationFacts) -> int:
    """What the liquidator pays for a long, or is paid for a short, per base, its fee in. Source: §6.1 step 8."""
    fee = max(facts.oracle_price, 0) * facts.liquidator_rate // LIQUIDATION_FEE_PRECISION
    if position_base > 0:
        return facts.oracle_price - fee
    return facts.oracle_price + fee


@rule
def take_over_perp_position(
    user: User,
    user_stats: UserStats,
    liquidator: User,
    liquidator_stats: UserStats,
    market: PerpMarket,
    base_asset_amount: int,
    now: int,
    facts: LiquidationFacts,
) -> None:
    """Move the position, the fees into the market's ledger, and count the volumes. Source: §6.1 steps 9-11."""
    transfer_perp_position(user, liquidator, market, base_asset_amount, facts.liquidator_rate, facts)
    accrue_liquidation_fees(market.fee_ledger, facts.if_fee, facts.protocol_fee)
    quote = abs(facts.quote_asset_amount)
    update_taker_volume_30d(user_stats, quote, now)
    update_maker_volume_30d(liquidator_stats, quote, now)


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

    ``NO_LIMIT_PRICE`` or a limit (1e6), the fee in. Errors in order: ``UserBankrupt``, ``InvalidPoolId``,
    ``InvalidLiquidation``, those of ``enter_liquidation_of_perp``, ``InvalidOracle``,
    ``InvalidBaseAssetAmountForLiquidatePerp``, ``PriceBandsBreached``, ``LiquidationDoesntSatisfyLimitPrice``,
    ``InsufficientCollateral``. Source: velocity/liquidation.md §6.1.
    """
    row = scope_of(user, market_index)
    market = perp_markets[market_index]
    check_neither_bankrupt(user, row, liquidator)
    check_pool(liquidator, LIQUIDATORS_POOL)
    check_perp_market_liquidates(market, now)
    index = enter_liquidation_of_perp(
        user, liquidator, True, market_index, spot_markets, perp_markets, oracles, state, slot, user_funding,
        liquidator_funding, calculation, facts,
    )  # fmt: skip
    if index < 0:
        return
    cancelled = cancel_orders(user, row, slot)
    oracle = oracles[market.amm.oracle_index]
    facts.oracle_price = refresh_and_check_validity(market, oracle, state.oracle_guard_rails, now, slot)
    if cancelled and leaves_after_cancelling(
        user, row, spot_markets, perp_markets, oracles, state, calculation, facts
    ):  # fmt: skip
        return
    position = user.perp_positions[index]
    if position.base_asset_amount == 0:
        return
    step = market.amm.order_step_size
    asked = standardize_base_asset_amount(liquidator_max_base_asset_amount, step)
    if asked == 0:
        raise SettlementError(ErrorCode.InvalidBaseAssetAmountForLiquidatePerp)
    if market.status != STATUS_SETTLEMENT:
        twap = market.amm.historical_oracle_data.last_oracle_price_twap_5min
        check_price_near_twap(facts.oracle_price, twap, state.oracle_guard_rails)
    quote_price = oracles[spot_markets[market.quote_spot_market_index].oracle_index].price
    note_liquidator_rate(user, market, slot, facts)
    allowed = allow_perp_part(
        user, row, position, market, quote_price, facts.liquidator_rate, True, state, slot, calculation, facts
    )
    if allowed == 0:
        return
    amount = largest_perp_transfer(asked, facts.held, allowed, facts.oracle_price)
    amount = standardize_base_asset_amount_ceil(amount, step)
    validate_perp_limit_price(
        position.base_asset_amount, price_with_fee(position.base_asset_amount, facts), limit_price
    )
    take_over_perp_position(user, user_stats, liquidator, liquidator_stats, market, amount, now, facts)
    covered = amount >= facts.to_cover
    conclude(
        user, row, liquidator, covered, False, market_index, spot_markets, perp_markets, oracles, state, calculation,
        facts,
    )  # fmt: skip
