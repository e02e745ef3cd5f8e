"""A user's spot balance with its lifetime figures: cumulative deposits and totals.

Source: balances.md §3.2, §8; ``controller/spot_position.rs``, ``state/user.rs``.
"""

from seawall.arithmetic import checked_i64, saturate_u64, to_i64, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount, update_spot_position_balance
from seawall.rules.common.spot_operations import spot_operation_paused
from seawall.rules.common.spot_positions import force_get_spot_position_index, get_spot_position_index
from seawall.rules.common.token_values import get_token_value
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
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition, User


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
def deposit_into_user(token_amount: int, spot_market: SpotMarket, position: SpotPosition) -> None:
    """Credit tokens to a user's position; what remains must not be dust. Source: balances.md §8."""
    update_spot_balances_and_cumulative_deposits(token_amount, DEPOSIT, spot_market, position, False, token_amount)
    validate_no_dust(position, spot_market)
