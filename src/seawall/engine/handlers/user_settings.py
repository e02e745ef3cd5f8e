"""What the owner of an account may set, and what an administrator may note about one."""

from seawall.arithmetic import sub_saturating
from seawall.engine.explain import Explainer
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.user_settings import (
    AdminDisableUpdatePerpBidAskTwap,
    DeleteUser,
    UpdateUserCustomMarginRatio,
    UpdateUserDelegate,
    UpdateUserMarginTradingEnabled,
    UpdateUserName,
    UpdateUserReduceOnly,
)
from seawall.keys import key_from_text
from seawall.rules.common.margin import validate_spot_margin_trading
from seawall.rules.common.user_status import (
    close_user,
    is_being_liquidated,
    update_reduce_only,
    validate_user_deletion,
)
from seawall.state.user import User


def write_own_user(tx: Transaction, ref: str) -> User:
    """An account for writing, whose authority must sign."""
    user = tx.write_user(ref)
    tx.require_signer(user.authority, "authority of the account,")
    return user


def update_user_name(tx: Transaction, ix: UpdateUserName) -> None:
    """Rename an account; ``CastingFailure`` beyond 32 bytes."""
    write_own_user(tx, ix.user).name = ix.name


def update_user_delegate(tx: Transaction, ix: UpdateUserDelegate) -> None:
    """Set an account's delegate."""
    write_own_user(tx, ix.user).delegate = key_from_text(ix.delegate)


def update_user_custom_margin_ratio(tx: Transaction, ix: UpdateUserCustomMarginRatio) -> None:
    """Set an account's own margin ratio; any value."""
    write_own_user(tx, ix.user).max_margin_ratio = ix.margin_ratio


def update_user_margin_trading_enabled(tx: Transaction, ix: UpdateUserMarginTradingEnabled) -> None:
    """Set the switch, which must then fit the open orders and positions: any failure is ``MarginOrdersOpen``."""
    user = write_own_user(tx, ix.user)
    user.is_margin_trading_enabled = ix.margin_trading_enabled
    try:
        validate_spot_margin_trading(user, tx.spot_markets, tx.perp_markets, tx.oracles)
    except SettlementError:
        raise SettlementError(ErrorCode.MarginOrdersOpen) from None


def set_reduce_only(tx: Transaction, ix: UpdateUserReduceOnly) -> None:
    """Set the reduce-only bit; ``LiquidationsOngoing`` while in liquidation or bankrupt."""
    user = write_own_user(tx, ix.user)
    if is_being_liquidated(user):
        raise SettlementError(ErrorCode.LiquidationsOngoing)
    update_reduce_only(user, ix.reduce_only)


def delete_user(tx: Transaction, ix: DeleteUser) -> None:
    """Close an account; ``UserCantBeDeleted`` unless it is empty."""
    user = write_own_user(tx, ix.user)
    stats = tx.write_user_stats(user.authority)
    validate_user_deletion(user, stats)
    close_user(user, stats)
    state = tx.write_state()
    state.number_of_sub_accounts = sub_saturating(state.number_of_sub_accounts, 1)


def disable_bid_ask_twap(tx: Transaction, ix: AdminDisableUpdatePerpBidAskTwap) -> None:
    """Set whether an authority may crank mark TWAPs; ``Unauthorized``, ``UserNotFound``."""
    tx.require_admin()
    tx.write_user_stats(key_from_text(ix.authority)).disable_update_perp_bid_ask_twap = ix.disable


HANDLERS: dict[type[Instruction], Handler] = {
    UpdateUserName: update_user_name,
    UpdateUserDelegate: update_user_delegate,
    UpdateUserCustomMarginRatio: update_user_custom_margin_ratio,
    UpdateUserMarginTradingEnabled: update_user_margin_trading_enabled,
    UpdateUserReduceOnly: set_reduce_only,
    DeleteUser: delete_user,
    AdminDisableUpdatePerpBidAskTwap: disable_bid_ask_twap,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
