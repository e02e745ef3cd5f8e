"""What both rulebooks' P&L settlement is made of: refusals as numbers, what the mode makes of them, the booking.

A refusal is the number of an error: an error in mode MustSettle, noted in TrySettle.
Source: pools-and-pnl.md §5; velocity/pools-and-fees.md §9; ``controller/pnl.rs::settle_pnl``.
"""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_signed_token_amount, get_token_amount, update_spot_position_balance
from seawall.rules.common.perp_positions import update_quote_asset_amount, update_settled_pnl
from seawall.rules.common.spot_positions import find_spot_position
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    MUST_SETTLE,
    ORACLE_INSUFFICIENT_DATA_POINTS,
    ORACLE_NON_POSITIVE,
    ORACLE_STALE_FOR_AMM,
    ORACLE_STALE_FOR_AMM_IMMEDIATE,
    ORACLE_STALE_FOR_MARGIN,
    ORACLE_TOO_UNCERTAIN,
    ORACLE_TOO_VOLATILE,
    PERP_SETTLE_PNL,
    PERP_SETTLE_PNL_WITH_POSITION,
    STATUS_ACTIVE,
    STATUS_REDUCE_ONLY,
)
from seawall.state.facts import SettlePnlFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

MARGIN_NOT_JUDGED: Final = -1
"""The margin verdict of a settlement whose caller has not judged the user: it is judged when it matters."""

# the numbers of the errors that a mode decides about (`errors.py`; a test holds the two equal)
NOT_REFUSED: Final = 0
NO_POSITION: Final = 6_010
INSUFFICIENT_COLLATERAL: Final = 6_095
AMM_NOT_UPDATED: Final = 6_096
INVALID_STATUS: Final = 6_158
NO_UNSETTLED_PNL: Final = 6_259
POOL_CANT_SETTLE: Final = 6_260
MUST_SETTLE_OWN: Final = 6_093
NON_POSITIVE: Final = 6_261
TOO_VOLATILE: Final = 6_262
TOO_UNCERTAIN: Final = 6_263
STALE_FOR_MARGIN: Final = 6_264
INSUFFICIENT_DATA_POINTS: Final = 6_265
STALE_FOR_AMM: Final = 6_266


# --- refusals ----------------------------------------------------------------------------------------------------


@rule
def refusal_of_oracle_validity(validity: int) -> int:
    """The error number of an oracle class. The program panics on a Valid one, which has none: ``FailedUnwrap``."""
    if validity == ORACLE_NON_POSITIVE:
        return NON_POSITIVE
    if validity == ORACLE_TOO_VOLATILE:
        return TOO_VOLATILE
    if validity == ORACLE_TOO_UNCERTAIN:
        return TOO_UNCERTAIN
    if validity == ORACLE_STALE_FOR_MARGIN:
        return STALE_FOR_MARGIN
    if validity == ORACLE_INSUFFICIENT_DATA_POINTS:
        return INSUFFICIENT_DATA_POINTS
    if validity == ORACLE_STALE_FOR_AMM or validity == ORACLE_STALE_FOR_AMM_IMMEDIATE:
        return STALE_FOR_AMM
    raise SettlementError(ErrorCode.FailedUnwrap)


@rule
def refusal_of_market_state(market: PerpMarket, position: PerpPosition) -> int:
    """Pauses and status; the refusal, or 0. An open position needs an Active market."""
    if market.paused_operations & PERP_SETTLE_PNL != 0:
        return INVALID_STATUS
    if position.base_asset_amount != 0:
        if market.paused_operations & PERP_SETTLE_PNL_WITH_POSITION != 0 or market.status != STATUS_ACTIVE:
            return INVALID_STATUS
    elif market.status != STATUS_ACTIVE and market.status != STATUS_REDUCE_ONLY:
        return INVALID_STATUS
    return NOT_REFUSED


@rule
def refusal_of_settlement(
    position: PerpPosition, pnl: int, being_liquidated: bool, signer_is_owner: bool, facts: SettlePnlFacts
) -> int:
    """After the pools were served: nothing to settle, or not for this signer; the refusal, or 0.

    Others may settle a winner only while the pool has an excess, or when no position is left and the user is being
    liquidated.
    """
    if facts.claimable_pnl == 0:
        return NO_UNSETTLED_PNL
    if pnl == 0:
        return POOL_CANT_SETTLE
    if pnl < 0 or facts.pnl_pool_excess > 0 or signer_is_owner:
        return NOT_REFUSED
    if position.base_asset_amount == 0 and being_liquidated:
        return NOT_REFUSED
    return MUST_SETTLE_OWN


# --- the claim and its booking -----------------------------------------------------------------------------------


@rule
def excess_over_net_user_pnl(available: int, net_user_pnl: int) -> int:
    """What ``available`` holds beyond the net P&L of all users (1e6); 0 where it does not.

    Source: pools-and-pnl.md §5 step 10; velocity/pools-and-fees.md §9 step 9.
    """
    if net_user_pnl >= available:
        return 0
    if net_user_pnl > 0:
        return available - net_user_pnl
    return available


@rule
def get_quote_token_amount(user: User, spot_market: SpotMarket) -> int:
    """The user's quote balance in tokens: positive a deposit, negative a borrow."""
    quote = user.spot_positions[find_spot_position(user, QUOTE_SPOT_MARKET_INDEX)]
    tokens = get_token_amount(quote.scaled_balance, spot_market, quote.balance_type)
    return get_signed_token_amount(tokens, quote.balance_type)


@rule
def book_quote_pnl(user: User, spot_market: SpotMarket, pnl: int) -> None:
    """Credit a gain to the user's quote balance, or debit a loss (1e6, signed).

    ``cumulative_deposits`` is not touched: deliberate, it is the program's.
    """
    quote = user.spot_positions[find_spot_position(user, QUOTE_SPOT_MARKET_INDEX)]
    direction = BORROW
    if pnl > 0:
        direction = DEPOSIT
    update_spot_position_balance(abs(pnl), direction, spot_market, quote, False)


@rule
def book_position_pnl(user: User, position: PerpPosition, market: PerpMarket, pnl: int) -> None:
    """What was settled (1e6, signed) leaves the position's quote and counts as settled."""
    update_quote_asset_amount(position, market, -pnl)
    update_settled_pnl(user, position, pnl)


@rule
def note_settlement(position: PerpPosition, pnl: int, facts: SettlePnlFacts) -> None:
    """What the event tells of a settlement that was made."""
    facts.settled = True
    facts.pnl = pnl
    facts.base_asset_amount = position.base_asset_amount
    facts.quote_asset_amount_after = position.quote_asset_amount
    facts.quote_entry_amount = position.quote_entry_amount


# --- what the mode decides ---------------------------------------------------------------------------------------


@rule
def stop(refused: int, mode: int, facts: SettlePnlFacts) -> int:
    """End a settlement that cannot be made: an error in MustSettle, noted and 0 settled in TrySettle."""
    if mode == MUST_SETTLE:
        raise_refusal(refused)
    facts.refused = refused
    return 0


@rule
def raise_refusal(refused: int) -> None:
    """Raise the error that a number stands for."""
    if refused == NO_POSITION:
        raise SettlementError(ErrorCode.UserHasNoPositionInMarket)
    if refused == INSUFFICIENT_COLLATERAL:
        raise SettlementError(ErrorCode.InsufficientCollateralForSettlingPNL)
    if refused == AMM_NOT_UPDATED:
        raise SettlementError(ErrorCode.AMMNotUpdatedInSameSlot)
    if refused == INVALID_STATUS:
        raise SettlementError(ErrorCode.InvalidMarketStatusToSettlePnl)
    if refused == NO_UNSETTLED_PNL:
        raise SettlementError(ErrorCode.NoUnsettledPnl)
    if refused == POOL_CANT_SETTLE:
        raise SettlementError(ErrorCode.PnlPoolCantSettleUser)
    if refused == MUST_SETTLE_OWN:
        raise SettlementError(ErrorCode.UserMustSettleTheirOwnPositiveUnsettledPNL)
    if refused == NON_POSITIVE:
        raise SettlementError(ErrorCode.OracleNonPositive)
    if refused == TOO_VOLATILE:
        raise SettlementError(ErrorCode.OracleTooVolatile)
    if refused == TOO_UNCERTAIN:
        raise SettlementError(ErrorCode.OracleTooUncertain)
    if refused == STALE_FOR_MARGIN:
        raise SettlementError(ErrorCode.OracleStaleForMargin)
    if refused == INSUFFICIENT_DATA_POINTS:
        raise SettlementError(ErrorCode.OracleInsufficientDataPoints)
    raise SettlementError(ErrorCode.OracleStaleForAMM)
