"""Steps that liquidations are made of, alike in both rulebooks: gates, orders, sizes, and moving what is taken over.

Source: liquidation.md §3-§7, velocity/liquidation.md §5-§8; ``controller/liquidation.rs``.
"""

from typing import Final

from seawall.arithmetic import BASE_PRECISION, div_trunc, sub_checked, to_i64, to_u64, to_u128
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.amm_refresh import update_amm
from seawall.rules.common.balances import deposit_into_pool, get_token_amount
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.liquidation_math import (
    LIQUIDATION_FEE_PRECISION,
    NO_LIMIT_PRICE,
    calculate_max_pct_to_liquidate,
    part_to_liquidate,
)
from seawall.rules.common.oracles import ACTION_LIQUIDATE, is_oracle_valid_for_action
from seawall.rules.common.perp_orders import is_oracle_too_divergent_with_twap_5min
from seawall.rules.common.perp_positions import (
    find_perp_position,
    force_get_perp_position_index,
    get_perp_position_index,
    is_perp_position_available,
    update_position_and_market,
    update_quote_asset_amount,
    update_quote_asset_and_break_even_amount,
)
from seawall.rules.common.safe_price import safe_price_validity
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.user_balances import is_borrow, update_spot_balances_and_cumulative_deposits
from seawall.rules.common.user_status import update_last_active_slot
from seawall.state.enums import (
    ASSET_TIER_UNLISTED,
    BORROW,
    CONTRACT_TIER_HIGHLY_SPECULATIVE,
    DEPOSIT,
    PERP_LIQUIDATION,
    SPOT_LIQUIDATION,
    STATUS_SETTLEMENT,
    VELOCITY_SPOT_LIQUIDATION,
)
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import FundingPaymentFacts, LiquidationFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, SpotPosition, User

POSITIONS: Final = 8
QUOTE_DECIMALS: Final = 6
FULL_WEIGHT: Final = 10_000

SMALL_LIABILITY: Final = 10_000_000
"""Quote 1e6: a liability that is not worth more may be taken over whole, whatever the shortage."""

SMALL_POSITION: Final = 50_000_000
"""Quote 1e6: a position that is not worth more may be taken over whole, whatever the shortage."""


# --- before anything -------------------------------------------------------------------------------------------


@rule
def check_perp_liquidation_not_paused(market: PerpMarket) -> None:
    """``InvalidLiquidation`` while liquidations are paused in the market."""
    if market.paused_operations & PERP_LIQUIDATION != 0:
        raise SettlementError(ErrorCode.InvalidLiquidation)


@rule
def check_spot_liquidation_not_paused(spot_market: SpotMarket) -> None:
    """``InvalidLiquidation`` while liquidations are paused in the market."""
    if spot_operation_paused(spot_market, SPOT_LIQUIDATION, VELOCITY_SPOT_LIQUIDATION):
        raise SettlementError(ErrorCode.InvalidLiquidation)


@rule
def settle_funding_of_position(user: User, market: PerpMarket, facts: FundingPaymentFacts) -> None:
    """Settle an account's funding in a market, where it has a position."""
    index = find_perp_position(user, market.market_index)
    if index >= 0:
        settle_funding_payment(user, user.perp_positions[index], market, facts)


@rule
def tokens_to_liquidate(position: SpotPosition, spot_market: SpotMarket, balance_type: int) -> int:
    """Tokens of a position of the type asked for: ``WrongSpotBalanceType``; none: ``InvalidSpotPosition``."""
    if position.balance_type != balance_type:
        raise SettlementError(ErrorCode.WrongSpotBalanceType)
    tokens = get_token_amount(position.scaled_balance, spot_market, balance_type)
    if tokens == 0:
        raise SettlementError(ErrorCode.InvalidSpotPosition)
    return tokens


@rule
def take_slots(user: User, liquidator: User, perp_market_index: int, spot_market_index: int) -> None:
    """The user has both positions, the liquidator slots for them.

    ``UserHasNoPositionInMarket``, ``CouldNotFindSpotPosition``, ``MaxNumberOfPositions``, ``NoSpotPositionAvailable``.
    """
    get_perp_position_index(user, perp_market_index)
    get_spot_position_index(user, spot_market_index)
    force_get_perp_position_index(liquidator, perp_market_index)
    force_get_spot_position_index(liquidator, spot_market_index)


@rule
def check_only_quote_of_sign(position: PerpPosition, profit: bool) -> None:
    """The position is closed and holds a profit, or a loss; ``InvalidPerpPositionToLiquidate``."""
    quote = position.quote_asset_amount
    fits = quote < 0
    if profit:
        fits = quote > 0
    if position.base_asset_amount != 0 or not fits:
        raise SettlementError(ErrorCode.InvalidPerpPositionToLiquidate)


# --- cancelling orders -----------------------------------------------------------------------------------------


@rule
def cancel_perp_orders(position: PerpPosition) -> bool:
    """The orders of a perp position leave the book: what they reserved is free. Whether there was any."""
    if position.open_orders == 0:
        return False
    position.open_orders = 0
    position.open_bids = 0
    position.open_asks = 0
    return True


@rule
def cancel_all_orders(user: User, slot: int) -> bool:
    """All of the account's orders leave the book, perp and spot: what they reserved is free. Whether there was any.

    Source: liquidation.md §3; ``controller/orders.rs::cancel_orders``.
    """
    cancelled = False
    for i in range(POSITIONS):
        if cancel_perp_orders(user.perp_positions[i]):
            cancelled = True
    for i in range(POSITIONS):
        spot_position = user.spot_positions[i]
        if spot_position.open_orders != 0:
            spot_position.open_orders = 0
            spot_position.open_bids = 0
            spot_position.open_asks = 0
            cancelled = True
    update_last_active_slot(user, slot)
    return cancelled


# --- how much --------------------------------------------------------------------------------------------------


@rule
def max_pct_to_liquidate(user: User, shortage: int, state: State, slot: int) -> int:
    """Part (1e4) of an account's shortage that may be covered by now. Source: liquidation.md §2.5."""
    return calculate_max_pct_to_liquidate(
        user.last_active_slot,
        user.liquidation_margin_freed,
        shortage,
        slot,
        state.initial_pct_to_liquidate,
        state.liquidation_duration,
    )


@rule
def note_allowed_part(shortage: int, pct: int, to_cover: int, facts: LiquidationFacts) -> int:
    """What of the amount that would cover the shortage may be liquidated by now; the steps are noted."""
    facts.margin_shortage = shortage
    facts.max_pct_to_liquidate = pct
    facts.to_cover = to_cover
    facts.allowed = part_to_liquidate(to_cover, pct)
    return facts.allowed


@rule
def smallest_transfer(asked: int, held: int, allowed: int, implied: int, value: int, facts: LiquidationFacts) -> int:
    """What of a liability is transferred: the least of what is asked, held, allowed and paid for.

    One whose ``value`` (quote 1e6) is small may go whole. Source: liquidation.md §5 steps 11-12.
    """
    facts.held = held
    facts.implied = implied
    if value <= SMALL_LIABILITY:
        allowed = max(allowed, held)
    return min(min(asked, held), min(allowed, implied))


@rule
def largest_perp_transfer(asked: int, held: int, allowed: int, price: int) -> int:
    """What of a perp position (base 1e9) is taken over: the least of what is asked, held and allowed.

    A small position may go whole. Source: liquidation.md §4 steps 20-21.
    """
    value = held * max(price, 0) // BASE_PRECISION
    if value <= SMALL_POSITION:
        allowed = max(allowed, held)
    return min(asked, min(held, allowed))


@rule
def note_transfer(asset_transfer: int, liability_transfer: int, facts: LiquidationFacts) -> None:
    """Note what is to be transferred; ``InvalidLiquidation`` for nothing."""
    if asset_transfer == 0 or liability_transfer == 0:
        raise SettlementError(ErrorCode.InvalidLiquidation)
    facts.asset_transfer = asset_transfer
    facts.liability_transfer = liability_transfer


# --- prices ----------------------------------------------------------------------------------------------------


@rule
def refresh_and_check_validity(
    market: PerpMarket, oracle: OraclePriceData, guard_rails: OracleGuardRails, now: int, slot: int
) -> int:
    """Refresh the AMM, then judge the price against the TWAP just updated; the price (1e6) to liquidate at.

    In Settlement that is the expiry price, but the oracle is judged all the same: deliberate. ``InvalidOracle``.
    Drift: the oracle's price is judged. Velocity: the safe price is, but the oracle's is the one to liquidate at.
    Source: liquidation.md §4 steps 8-9; ``controller/repeg.rs::update_amm_and_check_validity``.
    """
    update_amm(market, oracle, guard_rails, now, slot)
    validity = safe_price_validity(market, oracle, guard_rails.validity, slot)
    if not is_oracle_valid_for_action(validity, ACTION_LIQUIDATE):
        raise SettlementError(ErrorCode.InvalidOracle)
    if market.status == STATUS_SETTLEMENT:
        return market.expiry_price
    return oracle.price


@rule
def check_price_near_twap(price: int, twap_5min: int, guard_rails: OracleGuardRails) -> None:
    """``PriceBandsBreached`` for a price too far from its 5-minute TWAP. Source: liquidation.md §2.10."""
    if is_oracle_too_divergent_with_twap_5min(price, twap_5min, guard_rails):
        raise SettlementError(ErrorCode.PriceBandsBreached)


@rule
def validate_perp_limit_price(position_base: int, price: int, limit_price: int) -> None:
    """The liquidator buys a long at no more, a short at no less than its limit.

    ``LiquidationDoesntSatisfyLimitPrice``. Drift: the price is the oracle's, fees apart.
    Velocity: the price includes the liquidator's fee. Source: liquidation.md §4 step 22.
    """
    if limit_price == NO_LIMIT_PRICE:
        return
    if position_base > 0:
        admitted = price <= limit_price
    else:
        admitted = price >= limit_price
    if not admitted:
        raise SettlementError(ErrorCode.LiquidationDoesntSatisfyLimitPrice)


# --- a perp position changes hands -----------------------------------------------------------------------------


@rule
def check_multiple_of_step(position: PerpPosition, step_size: int) -> None:
    """``InvalidPerpPosition`` for a base that is no multiple of the step."""
    size = abs(position.base_asset_amount)
    if div_trunc(size, step_size) * step_size != size:
        raise SettlementError(ErrorCode.InvalidPerpPosition)


@rule
def note_perp_fees(quote: int, liquidator_fee: int, facts: LiquidationFacts) -> None:
    """Note what liquidator, insurance and protocol are paid of a position's value (quote 1e6), each rounded down.

    Drift: the protocol's rate is 0. Velocity: insurance and protocol share what the liquidation can bear.
    """
    facts.liquidator_fee = to_i64(quote * liquidator_fee // LIQUIDATION_FEE_PRECISION)
    facts.if_fee = to_i64(quote * facts.if_rate // LIQUIDATION_FEE_PRECISION)
    facts.protocol_fee = to_i64(quote * facts.protocol_rate // LIQUIDATION_FEE_PRECISION)


@rule
def transfer_perp_position(
    user: User,
    liquidator: User,
    market: PerpMarket,
    base_asset_amount: int,
    liquidator_fee: int,
    facts: LiquidationFacts,
) -> None:
    """Move ``base_asset_amount`` from user to liquidator at the noted price, then the fees; the amounts are noted.

    What insurance and protocol are paid moves no token: the user's quote falls and nobody's rises, deliberate.
    ``InvalidPerpPosition``, those of ``update_position_and_market``. Source: liquidation.md §4 steps 23-26.
    """
    index = market.market_index
    quote = to_u64(base_asset_amount * to_u128(facts.oracle_price) // BASE_PRECISION)
    note_perp_fees(quote, liquidator_fee, facts)
    step = market.amm.order_step_size
    position = user.perp_positions[get_perp_position_index(user, index)]
    delta_base = to_i64(base_asset_amount)
    delta_quote = to_i64(quote)
    if position.base_asset_amount > 0:
        delta_base = -delta_base
    else:
        delta_quote = -delta_quote
    update_position_and_market(position, market, delta_base, delta_quote)
    update_quote_asset_and_break_even_amount(position, market, -facts.liquidator_fee)
    update_quote_asset_and_break_even_amount(position, market, -facts.if_fee)
    update_quote_asset_and_break_even_amount(position, market, -facts.protocol_fee)
    check_multiple_of_step(position, step)
    taken = liquidator.perp_positions[force_get_perp_position_index(liquidator, index)]
    update_position_and_market(taken, market, -delta_base, -delta_quote)
    update_quote_asset_and_break_even_amount(taken, market, facts.liquidator_fee)
    check_multiple_of_step(taken, step)
    facts.base_asset_amount = delta_base
    facts.quote_asset_amount = delta_quote
    facts.fill_record_id = market.next_fill_record_id
    market.next_fill_record_id = market.next_fill_record_id + 1


# --- balances change hands -------------------------------------------------------------------------------------


@rule
def repay_borrow_of_user(user: User, liability_market: SpotMarket, facts: LiquidationFacts) -> None:
    """The user's borrow falls by the noted transfer less what insurance and protocol are paid of it, at once.

    Drift: the protocol's rate is 0. Velocity: the protocol's part goes to the market's protocol fee pool.
    Source: liquidation.md §5 steps 17-18; velocity/liquidation.md §4.
    """
    transfer = facts.liability_transfer
    facts.if_fee = transfer * facts.if_rate // LIQUIDATION_FEE_PRECISION
    facts.protocol_fee = transfer * facts.protocol_rate // LIQUIDATION_FEE_PRECISION
    repaid = sub_checked(sub_checked(transfer, facts.if_fee), facts.protocol_fee)
    debt = user.spot_positions[get_spot_position_index(user, liability_market.market_index)]
    update_spot_balances_and_cumulative_deposits(repaid, DEPOSIT, liability_market, debt, False, repaid)
    deposit_into_pool(facts.if_fee, liability_market, liability_market.revenue_pool)
    if facts.protocol_fee != 0:
        deposit_into_pool(facts.protocol_fee, liability_market, liability_market.protocol_fee_pool)


@rule
def lend_to_liquidator(liquidator: User, liability_market: SpotMarket, transfer: int) -> None:
    """The liquidator owes ``transfer`` tokens of a liability more."""
    taken = liquidator.spot_positions[force_get_spot_position_index(liquidator, liability_market.market_index)]
    update_spot_balances_and_cumulative_deposits(transfer, BORROW, liability_market, taken, False, transfer)


@rule
def give_asset_to_liquidator(liquidator: User, asset_market: SpotMarket, transfer: int) -> None:
    """The liquidator is given ``transfer`` tokens of an asset."""
    gained = liquidator.spot_positions[force_get_spot_position_index(liquidator, asset_market.market_index)]
    update_spot_balances_and_cumulative_deposits(transfer, DEPOSIT, asset_market, gained, False, transfer)


@rule
def take_asset_of_user(user: User, asset_market: SpotMarket, transfer: int) -> None:
    """The user's deposit falls by ``transfer`` tokens."""
    given = user.spot_positions[get_spot_position_index(user, asset_market.market_index)]
    update_spot_balances_and_cumulative_deposits(transfer, BORROW, asset_market, given, False, transfer)


@rule
def transfer_spot_balances_of_liquidation(
    user: User, liquidator: User, asset_market: SpotMarket, liability_market: SpotMarket, facts: LiquidationFacts
) -> None:
    """Move the noted amounts; what insurance and protocol are paid becomes theirs at once.

    The liquidator owes all of the liability, the user's debt falls by the fees less: deliberate. No limit of
    withdrawals or borrows is asked. A liquidator without either market was given the same free slot for both, so the
    second is looked for only after the first was filled. Source: liquidation.md §5 steps 17-18.
    """
    repay_borrow_of_user(user, liability_market, facts)
    lend_to_liquidator(liquidator, liability_market, facts.liability_transfer)
    give_asset_to_liquidator(liquidator, asset_market, facts.asset_transfer)
    take_asset_of_user(user, asset_market, facts.asset_transfer)


@rule
def transfer_pnl(giver: User, taker: User, market: PerpMarket, amount: int) -> None:
    """Move quote (1e6, signed) of closed or other positions; the taker's books first. Source: liquidation.md §6, §7."""
    index = market.market_index
    taken = taker.perp_positions[force_get_perp_position_index(taker, index)]
    update_quote_asset_amount(taken, market, amount)
    given = giver.perp_positions[get_perp_position_index(giver, index)]
    update_quote_asset_amount(given, market, -amount)


@rule
def move_borrow_and_pnl(
    user: User, liquidator: User, market: PerpMarket, spot_market: SpotMarket, facts: LiquidationFacts
) -> None:
    """The borrow goes over to the liquidator, then the profit. Source: liquidation.md §6 step 8."""
    transfer = facts.liability_transfer
    debt = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
    update_spot_balances_and_cumulative_deposits(transfer, DEPOSIT, spot_market, debt, False, transfer)
    lend_to_liquidator(liquidator, spot_market, transfer)
    transfer_pnl(user, liquidator, market, facts.asset_transfer)


# --- tiers -----------------------------------------------------------------------------------------------------


@rule
def calculate_user_safest_position_tiers(
    user: User, spot_markets: list[SpotMarket], perp_markets: list[PerpMarket]
) -> tuple[int, int]:
    """The safest asset tier among the borrows and the safest contract tier among all perp positions.

    Without any: Unlisted, HighlySpeculative. Source: liquidation.md §7 step 7;
    ``math/margin.rs::calculate_user_safest_position_tiers``.
    """
    spot_tier = ASSET_TIER_UNLISTED
    for i in range(POSITIONS):
        spot_position = user.spot_positions[i]
        if is_borrow(spot_position):
            spot_tier = min(spot_tier, spot_markets[spot_position.market_index].asset_tier)
    perp_tier = CONTRACT_TIER_HIGHLY_SPECULATIVE
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if not is_perp_position_available(position):
            perp_tier = min(perp_tier, perp_markets[position.market_index].contract_tier)
    return spot_tier, perp_tier
