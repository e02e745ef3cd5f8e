"""A user's spot balance with its lifetime figures: cumulative deposits, totals, the withdraw fee.

Source: balances.md §3.2, §8; ``controller/spot_position.rs``, ``state/user.rs``.
"""

from typing import Final

from seawall.arithmetic import checked_i64, checked_u64, pow10, saturate_u64, sub_saturating, to_i64, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import deposit_into_pool, get_token_amount, update_spot_position_balance
from seawall.rules.common.margin import check_withdraw_margin_requirement, validate_spot_margin_trading
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_status import exit_liquidation, is_being_liquidated, update_last_active_slot
from seawall.rules.common.withdraw_limits import check_withdraw_limits
from seawall.state.enums import (
    ASSET_TIER_PROTECTED,
    BORROW,
    DEPOSIT,
    RULEBOOK_VELOCITY,
    SPOT_WITHDRAW,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    VELOCITY_SPOT_WITHDRAW,
)
from seawall.state.exchange import State
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition, User, UserStats

WITHDRAW_FEE: Final = 500
"""Quote 1e6 that a withdrawal costs which qualifies for the fee."""

WITHDRAW_FEE_SLOTS: Final = 50
WITHDRAW_FEE_MIN_TOTAL: Final = 10_000_000_000_000
WITHDRAW_FEE_RATIO: Final = 10_000


@rule
def is_borrow(position: SpotPosition) -> bool:
    """Whether the position owes something: an empty one of stored type Borrow does not."""
    return position.scaled_balance > 0 and position.balance_type == BORROW


@rule
def increment_total_deposits(user: User, token_amount: int, decimals: int, price: int) -> None:
    """Add a deposit's value to the user's lifetime total, saturating; ``CastingFailure`` beyond u64."""
    user.total_deposits = saturate_u64(user.total_deposits + to_u64(get_token_value(token_amount, decimals, price)))


@rule
def increment_total_withdraws(user: User, token_amount: int, decimals: int, price: int) -> None:
    """Add a withdrawal's value to the user's lifetime total, saturating; ``CastingFailure`` beyond u64."""
    user.total_withdraws = saturate_u64(user.total_withdraws + to_u64(get_token_value(token_amount, decimals, price)))


@rule
def update_spot_balances_and_cumulative_deposits(
    token_amount: int,
    direction: int,
    spot_market: SpotMarket,
    position: SpotPosition,
    leaving: bool,
    cumulative_delta: int,
) -> None:
    """Deposit or borrow tokens ≥ 0; ``cumulative_deposits`` moves by ``cumulative_delta`` ≥ 0 in the same direction.

    Errors: those of ``update_spot_position_balance``, ``CastingFailure``, ``MathError``.
    Source: balances.md §3.2; ``controller/spot_position.rs::update_spot_balances_and_cumulative_deposits``.
    """
    update_spot_position_balance(token_amount, direction, spot_market, position, leaving)
    delta = to_i64(cumulative_delta)
    if direction == BORROW:
        delta = -delta
    position.cumulative_deposits = checked_i64(position.cumulative_deposits + delta)


@rule
def withdraw_within_limits(token_amount: int, spot_market: SpotMarket, user: User) -> None:
    """Take tokens from a user's position, leaving the program, and check what a withdrawal must satisfy.

    Errors in order: ``CouldNotFindSpotPosition``, ``SpotMarketInsufficientDeposits``, ``DailyWithdrawLimit``,
    ``MarketWithdrawPaused``, ``ProtectedAssetTierViolation``.
    Drift: the position must be there already.
    Velocity: it is opened where it is missing, ``NoSpotPositionAvailable``.
    Source: balances.md §3.2; ``::update_spot_balances_and_cumulative_deposits_with_limits``.
    """
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        index = force_get_spot_position_index(user, spot_market.market_index)
    else:
        index = get_spot_position_index(user, spot_market.market_index)
    position = user.spot_positions[index]
    update_spot_balances_and_cumulative_deposits(token_amount, BORROW, spot_market, position, True, token_amount)
    check_withdraw_limits(spot_market, user, token_amount)
    status = spot_market.status
    if status != STATUS_ACTIVE and status != STATUS_REDUCE_ONLY and status != STATUS_SETTLEMENT:
        raise SettlementError(ErrorCode.MarketWithdrawPaused)
    if spot_operation_paused(spot_market, SPOT_WITHDRAW, VELOCITY_SPOT_WITHDRAW):
        raise SettlementError(ErrorCode.MarketWithdrawPaused)
    if spot_market.asset_tier == ASSET_TIER_PROTECTED and position.balance_type == BORROW:
        raise SettlementError(ErrorCode.ProtectedAssetTierViolation)


@rule
def validate_no_dust(position: SpotPosition, spot_market: SpotMarket) -> None:
    """A balance that is worth no token must be empty: ``InvalidSpotPosition``. Source: balances.md §8."""
    tokens = get_token_amount(position.scaled_balance, spot_market, position.balance_type)
    if tokens == 0 and position.scaled_balance != 0:
        raise SettlementError(ErrorCode.InvalidSpotPosition)


@rule
def validate_deposit_allowed(position: SpotPosition, spot_market: SpotMarket) -> None:
    """Only an active market may end up owing the depositor: ``MarketActionPaused``. Source: balances.md §8."""
    if position.balance_type == DEPOSIT and position.scaled_balance > 0 and spot_market.status != STATUS_ACTIVE:
        raise SettlementError(ErrorCode.MarketActionPaused)


@rule
def qualifies_for_withdraw_fee(user: User, user_stats: UserStats, slot: int) -> bool:
    """Whether a busy account that withdrew much and paid few fees pays for this withdrawal.

    Source: instructions.md §2.1; ``state/user.rs::qualifies_for_withdraw_fee``.
    """
    if sub_saturating(slot, user.last_active_slot) >= WITHDRAW_FEE_SLOTS:
        return False
    if user.total_withdraws < WITHDRAW_FEE_MIN_TOTAL:
        return False
    return user.total_withdraws // max(1, user_stats.fees.total_fee_paid) > WITHDRAW_FEE_RATIO


@rule
def charge_withdraw_fee(spot_market: SpotMarket, price: int, user: User, user_stats: UserStats) -> int:
    """Move the withdraw fee (tokens, worth 0.0005 quote) from the user's balance to the revenue pool; the fee.

    The fee counts in tokens among figures that are quote otherwise: deliberate, it is the program's. ``MathError`` for
    a price of 0. Source: balances.md §8; ``controller/spot_position.rs::charge_withdraw_fee``.
    """
    if price == 0:
        raise SettlementError(ErrorCode.MathError)
    fee = WITHDRAW_FEE * pow10(spot_market.decimals) // abs(price)
    user.cumulative_spot_fees = checked_i64(user.cumulative_spot_fees - fee)
    user_stats.fees.total_fee_paid = checked_u64(user_stats.fees.total_fee_paid + fee)
    deposit_into_pool(fee, spot_market, spot_market.revenue_pool)
    position = user.spot_positions[get_spot_position_index(user, spot_market.market_index)]
    update_spot_balances_and_cumulative_deposits(fee, BORROW, spot_market, position, False, 0)
    return fee


@rule
def withdraw_from_user(
    token_amount: int,
    market_index: int,
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    slot: int,
) -> None:
    """Take tokens out of an account: its totals, its balance, the limits, the margin; it leaves liquidation.

    The liquidation flag falls without a test of its own: deliberate, it is the program's. Errors: those of
    ``withdraw_within_limits``, ``check_withdraw_margin_requirement`` and ``validate_spot_margin_trading``, in order.
    Source: balances.md §8; instructions.md §2.1 (withdraw steps 7-15, transfer steps 5-6).
    """
    spot_market = spot_markets[market_index]
    increment_total_withdraws(user, token_amount, spot_market.decimals, oracles[spot_market.oracle_index].price)
    withdraw_within_limits(token_amount, spot_market, user)
    check_withdraw_margin_requirement(user, spot_markets, perp_markets, oracles, state)
    validate_spot_margin_trading(user, spot_markets, perp_markets, oracles)
    if is_being_liquidated(user):
        exit_liquidation(user)
    update_last_active_slot(user, slot)


@rule
def deposit_into_user(token_amount: int, spot_market: SpotMarket, position: SpotPosition) -> None:
    """Credit tokens to a user's position; what remains must not be dust. Source: balances.md §8."""
    update_spot_balances_and_cumulative_deposits(token_amount, DEPOSIT, spot_market, position, False, token_amount)
    validate_no_dust(position, spot_market)
