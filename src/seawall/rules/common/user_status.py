"""The status bits of a user account and its last activity. Source: liquidation.md §1; ``state/user.rs``."""

from typing import Final

from seawall.arithmetic import checked_u64, sub_checked
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.perp_positions import is_perp_position_available
from seawall.state.enums import USER_BANKRUPT, USER_BEING_LIQUIDATED, USER_CLOSED, USER_REDUCE_ONLY
from seawall.state.user import User, UserStats

POSITIONS: Final = 8


@rule
def is_being_liquidated(user: User) -> bool:
    """Whether the account is in liquidation or bankrupt: both bits count, deliberately."""
    return user.status & (USER_BEING_LIQUIDATED | USER_BANKRUPT) != 0


@rule
def is_bankrupt(user: User) -> bool:
    """Whether the account is flagged bankrupt."""
    return user.status & USER_BANKRUPT != 0


@rule
def is_reduce_only(user: User) -> bool:
    """Whether the account only wants to reduce."""
    return user.status & USER_REDUCE_ONLY != 0


@rule
def exit_liquidation(user: User) -> None:
    """Clear both liquidation bits and the margin freed so far."""
    if user.status & USER_BEING_LIQUIDATED != 0:
        user.status = user.status - USER_BEING_LIQUIDATED
    if user.status & USER_BANKRUPT != 0:
        user.status = user.status - USER_BANKRUPT
    user.liquidation_margin_freed = 0


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
