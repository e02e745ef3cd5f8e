"""Liquidation and bankruptcy of one scope of an account, and the claim that a bankrupt perp debt has on pending fees.

A scope is an int ``row``: −1 is the account's cross margin, else the row of an isolated position in
``user.perp_positions``. Source: velocity/solvency.md §3, §7; velocity/isolated.md §6; ``state/user.rs``.
"""

from seawall.arithmetic import U16_MAX, checked_u64, sub_checked
from seawall.lanes import rule
from seawall.rules.common.perp_positions import find_perp_position
from seawall.rules.common.user_status import (
    allocate_liquidation_id,
    is_cross_margin_being_liquidated,
    is_cross_margin_flagged_bankrupt,
    is_position_being_liquidated,
)
from seawall.rules.common.user_status import enter_bankruptcy as enter_cross_margin_bankruptcy
from seawall.rules.common.user_status import exit_liquidation as exit_cross_margin_liquidation
from seawall.rules.common.user_status import is_bankrupt as is_bankrupt
from seawall.rules.common.user_status import is_being_liquidated as is_being_liquidated
from seawall.rules.velocity.isolated import CROSS as CROSS
from seawall.state.enums import (
    POSITION_BANKRUPT,
    POSITION_BANKRUPTCY_CLAIM,
    POSITION_BEING_LIQUIDATED,
    USER_BEING_LIQUIDATED,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition, User


@rule
def is_scope_bankrupt(user: User, row: int) -> bool:
    """Whether a scope is latched bankrupt."""
    if row == CROSS:
        return is_cross_margin_flagged_bankrupt(user)
    return user.perp_positions[row].position_flag & POSITION_BANKRUPT != 0


@rule
def is_scope_being_liquidated(user: User, row: int) -> bool:
    """Whether a scope is in liquidation or bankrupt: both bits count, deliberately."""
    if row == CROSS:
        return is_cross_margin_being_liquidated(user)
    return is_position_being_liquidated(user.perp_positions[row])


@rule
def clear_position_flag(position: PerpPosition, flag: int) -> None:
    """Clear one flag of a position, set or not."""
    if position.position_flag & flag != 0:
        position.position_flag = position.position_flag - flag


@rule
def enter_liquidation(user: User, row: int, slot: int) -> int:
    """Latch a scope as being liquidated from ``slot`` on; the number of the liquidation.

    A scope under way goes on; another scope under way lends its number and its slot. Cross margin starts with nothing
    freed. ``MathError`` after 65535. Source: velocity/liquidation.md §5; velocity/isolated.md §6.
    """
    if is_scope_being_liquidated(user, row):
        return sub_checked(user.next_liquidation_id, 1)
    if is_being_liquidated(user):
        liquidation_id = sub_checked(user.next_liquidation_id, 1)
    else:
        user.last_active_slot = checked_u64(slot)
        liquidation_id = allocate_liquidation_id(user)
    if row == CROSS:
        user.status = user.status + USER_BEING_LIQUIDATED
        user.liquidation_margin_freed = 0
    else:
        position = user.perp_positions[row]
        position.position_flag = position.position_flag + POSITION_BEING_LIQUIDATED
    return liquidation_id


@rule
def exit_liquidation(user: User, row: int) -> None:
    """Clear both bits of a scope; cross margin also forgets the margin freed. The other scopes stay as they are."""
    if row == CROSS:
        exit_cross_margin_liquidation(user)
    else:
        position = user.perp_positions[row]
        clear_position_flag(position, POSITION_BEING_LIQUIDATED)
        clear_position_flag(position, POSITION_BANKRUPT)


@rule
def enter_bankruptcy(user: User, row: int) -> None:
    """Latch a scope as bankrupt instead of being liquidated; the margin freed so far stays.

    Where nothing of the account was in liquidation this counts as a new one, so that its events have a number of their
    own. ``MathError`` after 65535. Source: velocity/solvency.md §3; ``state/user.rs``.
    """
    if not is_being_liquidated(user):
        allocate_liquidation_id(user)
    if row == CROSS:
        enter_cross_margin_bankruptcy(user)
    else:
        position = user.perp_positions[row]
        clear_position_flag(position, POSITION_BEING_LIQUIDATED)
        if position.position_flag & POSITION_BANKRUPT == 0:
            position.position_flag = position.position_flag + POSITION_BANKRUPT


@rule
def exit_bankruptcy(user: User, row: int) -> None:
    """Clear both bits of a scope; cross margin also forgets the margin freed. Source: velocity/solvency.md §3."""
    exit_liquidation(user, row)


@rule
def flag_perp_bankruptcy_claim(user: User, market: PerpMarket) -> None:
    """Count a closed position's debt among those that reserve the market's pending insurance fees, once.

    Called after a scope was latched bankrupt in a liquidation of this market. The count stays at 65535: deliberate, it
    is the program's. Source: velocity/solvency.md §7.
    """
    row = find_perp_position(user, market.market_index)
    if row < 0:
        return
    position = user.perp_positions[row]
    if position.position_flag & POSITION_BANKRUPTCY_CLAIM != 0:
        return
    if position.base_asset_amount == 0 and position.quote_asset_amount < 0:
        position.position_flag = position.position_flag + POSITION_BANKRUPTCY_CLAIM
        if market.pending_bankruptcy_claims < U16_MAX:
            market.pending_bankruptcy_claims += 1
