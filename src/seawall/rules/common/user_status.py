"""The status bits of a user account and its last activity. Source: liquidation.md §1; ``state/user.rs``."""

from typing import Final

from seawall.arithmetic import U16_MAX, checked_u64, sub_checked
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.perp_positions import has_open_order, is_perp_position_available
from seawall.state.enums import (
    BORROW,
    POSITION_BANKRUPT,
    POSITION_BEING_LIQUIDATED,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    USER_CLOSED,
    USER_REDUCE_ONLY,
)
from seawall.state.user import PerpPosition, User, UserStats

POSITIONS: Final = 8


@rule
def is_cross_margin_being_liquidated(user: User) -> bool:
    """Whether the account's cross margin is in liquidation or bankrupt: both bits count, deliberately."""
    return user.status & (USER_BEING_LIQUIDATED | USER_BANKRUPT) != 0


@rule
def is_cross_margin_flagged_bankrupt(user: User) -> bool:
    """Whether the account's cross margin is flagged bankrupt."""
    return user.status & USER_BANKRUPT != 0


@rule
def is_position_being_liquidated(position: PerpPosition) -> bool:
    """Whether an isolated position is in liquidation or bankrupt: both flags count, deliberately."""
    return position.position_flag & (POSITION_BEING_LIQUIDATED | POSITION_BANKRUPT) != 0


@rule
def position_flags(user: User) -> int:
    """The flags that any of the account's perp positions has."""
    positions = user.perp_positions
    flags = 0
    for i in range(POSITIONS):
        flags = flags | positions[i].position_flag
    return flags


@rule
def is_being_liquidated(user: User) -> bool:
    """Whether any part of the account is in liquidation or bankrupt: both bits count, deliberately.

    Drift: the account as a whole. Velocity: its cross margin or any isolated position.
    Source: velocity/isolated.md §3, §6; ``state/user.rs::is_being_liquidated``.
    """
    return is_cross_margin_being_liquidated(user) or (
        position_flags(user) & (POSITION_BEING_LIQUIDATED | POSITION_BANKRUPT) != 0
    )


@rule
def is_bankrupt(user: User) -> bool:
    """Whether any part of the account is flagged bankrupt.

    Drift: the account as a whole. Velocity: its cross margin or any isolated position.
    Source: velocity/solvency.md §3; ``state/user.rs::is_bankrupt``.
    """
    return is_cross_margin_flagged_bankrupt(user) or position_flags(user) & POSITION_BANKRUPT != 0


@rule
def is_reduce_only(user: User) -> bool:
    """Whether the account only wants to reduce."""
    return user.status & USER_REDUCE_ONLY != 0


@rule
def allocate_liquidation_id(user: User) -> int:
    """The number of a new liquidation; the next one is one higher. ``MathError`` after 65535."""
    liquidation_id = user.next_liquidation_id
    if liquidation_id == U16_MAX:
        raise SettlementError(ErrorCode.MathError)
    user.next_liquidation_id = liquidation_id + 1
    return liquidation_id


@rule
def enter_liquidation(user: User, slot: int) -> int:
    """Flag the account as being liquidated from ``slot`` on; the number of its liquidation.

    A liquidation under way goes on: its slot, its number and the margin it freed stay. ``MathError`` after 65535.
    Source: liquidation.md §1; ``state/user.rs::enter_liquidation``.
    """
    if is_being_liquidated(user):
        return sub_checked(user.next_liquidation_id, 1)
    user.status = user.status + USER_BEING_LIQUIDATED
    user.liquidation_margin_freed = 0
    user.last_active_slot = checked_u64(slot)
    return allocate_liquidation_id(user)


@rule
def exit_liquidation(user: User) -> None:
    """Clear both liquidation bits and the margin freed so far."""
    if user.status & USER_BEING_LIQUIDATED != 0:
        user.status = user.status - USER_BEING_LIQUIDATED
    if user.status & USER_BANKRUPT != 0:
        user.status = user.status - USER_BANKRUPT
    user.liquidation_margin_freed = 0


@rule
def is_user_bankrupt(user: User) -> bool:
    """Whether the account has only debts left: no deposit, no base, no positive quote, no perp order, and some debt.

    Any dust of a deposit prevents it; a spot order alone does not: both deliberate, they are the program's.
    Source: solvency.md §3.1; ``math/bankruptcy.rs::is_user_bankrupt``.
    """
    has_liability = False
    for i in range(POSITIONS):
        spot_position = user.spot_positions[i]
        if spot_position.scaled_balance > 0:
            if spot_position.balance_type != BORROW:
                return False
            has_liability = True
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if position.base_asset_amount != 0 or position.quote_asset_amount > 0 or has_open_order(position):
            return False
        if position.quote_asset_amount < 0:
            has_liability = True
    return has_liability


@rule
def enter_bankruptcy(user: User) -> None:
    """Flag the account as bankrupt instead of being liquidated; the margin freed so far stays.

    Source: liquidation.md §1; ``state/user.rs::enter_bankruptcy``.
    """
    if user.status & USER_BEING_LIQUIDATED != 0:
        user.status = user.status - USER_BEING_LIQUIDATED
    if user.status & USER_BANKRUPT == 0:
        user.status = user.status + USER_BANKRUPT


@rule
def exit_bankruptcy(user: User) -> None:
    """Clear both liquidation bits and the margin freed so far. Source: liquidation.md §1."""
    exit_liquidation(user)


@rule
def update_reduce_only(user: User, reduce_only: bool) -> None:
    """Set or clear the reduce-only bit."""
    if reduce_only != is_reduce_only(user):
        if reduce_only:
            user.status = user.status + USER_REDUCE_ONLY
        else:
            user.status = user.status - USER_REDUCE_ONLY


@rule
def update_last_active_slot(user: User, slot: int) -> None:
    """Note activity in ``slot`` unless the account is being liquidated; it is no longer idle in any case.

    Source: liquidation.md §1; ``state/user.rs::update_last_active_slot``.
    """
    if not is_being_liquidated(user):
        user.last_active_slot = checked_u64(slot)
    user.idle = False


@rule
def validate_user_deletion(user: User, user_stats: UserStats) -> None:
    """Only an account without positions, orders and liquidation may go, and no referrer's first: ``UserCantBeDeleted``.

    Source: ``validation/user.rs::validate_user_deletion``.
    """
    if user_stats.is_referrer and user.sub_account_id == 0:
        raise SettlementError(ErrorCode.UserCantBeDeleted)
    if is_being_liquidated(user):
        raise SettlementError(ErrorCode.UserCantBeDeleted)
    for i in range(POSITIONS):
        position = user.spot_positions[i]
        if position.scaled_balance != 0 or position.open_orders != 0:
            raise SettlementError(ErrorCode.UserCantBeDeleted)
        if not is_perp_position_available(user.perp_positions[i]):
            raise SettlementError(ErrorCode.UserCantBeDeleted)


@rule
def close_user(user: User, user_stats: UserStats) -> None:
    """Mark an account as deleted; the authority has one sub-account less. Its number is not given out again."""
    user_stats.number_of_sub_accounts = sub_checked(user_stats.number_of_sub_accounts, 1)
    user.status = USER_CLOSED
