"""The gates in front of handlers: pause bits and market status. Source: instructions.md §1."""

from collections.abc import Iterator
from contextlib import contextmanager

from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.state.enums import (
    EXCHANGE_ALL_PAUSED,
    RULEBOOK_DRIFT,
    RULEBOOK_VELOCITY,
    SOLVENCY_REPAIR_PAUSED,
    STATUS_DELISTED,
    VELOCITY_EXCHANGE_ALL_PAUSED,
)
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


def is_paused(tx: Transaction, bit: int) -> bool:
    """Whether an exchange pause bit is set. Drift knows no bit 128; a status byte that has it: ``FailedUnwrap``."""
    status = tx.state.exchange_status
    if status > EXCHANGE_ALL_PAUSED and tx.state.rulebook == RULEBOOK_DRIFT:
        raise SettlementError(ErrorCode.FailedUnwrap)
    return status & bit == bit


def require_not_paused(tx: Transaction, bit: int) -> None:
    """``ExchangePaused`` while the bit is set (``EXCHANGE_ALL_PAUSED``: while all are that the rulebook has)."""
    if bit == EXCHANGE_ALL_PAUSED and tx.state.rulebook == RULEBOOK_VELOCITY:
        bit = VELOCITY_EXCHANGE_ALL_PAUSED
    if is_paused(tx, bit):
        raise SettlementError(
            ErrorCode.ExchangePaused,
            f"exchange_status is {tx.state.exchange_status}: the pause bits {bit} are set",
            f"the same after update_exchange_status without the bits {bit}",
        )


def require_solvency_repair(tx: Transaction) -> None:
    """Velocity: ``ExchangePaused`` while deficits and bankruptcies are paused; an undefined bit: ``FailedUnwrap``.

    Source: velocity/solvency.md §1; ``state/state.rs::SolvencyStatus``.
    """
    status = tx.state.solvency_status
    if status & ~SOLVENCY_REPAIR_PAUSED:
        raise SettlementError(
            ErrorCode.FailedUnwrap,
            f"solvency_status is {status}, of which only bit {SOLVENCY_REPAIR_PAUSED} has a meaning",
            "the same after update_solvency_status has set 0",
        )
    if status & SOLVENCY_REPAIR_PAUSED:
        raise SettlementError(
            ErrorCode.ExchangePaused,
            "deficits and bankruptcies are paused by solvency_status",
            "the same after update_solvency_status has set 0",
        )


def require_spot_market_valid(tx: Transaction, market_index: int) -> None:
    """``MarketDelisted`` for a delisted spot market."""
    if tx.spot_market(market_index).status == STATUS_DELISTED:
        raise SettlementError(ErrorCode.MarketDelisted)


def require_perp_market_valid(tx: Transaction, market_index: int) -> None:
    """``MarketDelisted`` for a delisted perp market."""
    if tx.perp_market(market_index).status == STATUS_DELISTED:
        raise SettlementError(ErrorCode.MarketDelisted)


def require_same_pool(user: User, market: SpotMarket) -> None:
    """``InvalidPoolId`` unless account and spot market belong to one pool. Drift has a single pool, 0."""
    if user.pool_id != market.pool_id:
        raise SettlementError(
            ErrorCode.InvalidPoolId,
            f"the account is in pool {user.pool_id}, spot market {market.market_index} in pool {market.pool_id}",
            f"an account or a market of pool {user.pool_id}",
        )


@contextmanager
def required(condition: str) -> Iterator[None]:
    """A refusal of the checks inside says what they require."""
    try:
        yield
    except SettlementError as error:
        if error.detail:
            raise
        raise SettlementError(error.code, f"required: {condition}", condition) from None
