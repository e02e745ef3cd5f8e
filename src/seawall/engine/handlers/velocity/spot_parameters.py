"""Parameters of a spot market that only Velocity has, or bounds otherwise than Drift."""

from seawall.arithmetic import MARGIN_PRECISION
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_spot_market_valid, required
from seawall.engine.handlers.administration import if_factors
from seawall.engine.permissions import COLD
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import UpdateSpotMarketIfFactor, UpdateWithdrawGuardThreshold
from seawall.instructions.base import Instruction
from seawall.instructions.spot_parameters import (
    UpdateSpotMarketDepositCap,
    UpdateSpotMarketMaxTokenBorrows,
    UpdateSpotMarketPoolId,
    UpdateSpotMarketWithdrawCircuitBreaker,
)
from seawall.rules.common.withdraw_limits import BPS_PRECISION, DEFAULT_WITHDRAW_CIRCUIT_BREAKER_BPS
from seawall.rules.velocity.market_validation import validate_if_factor
from seawall.rules.velocity.spot_market_validation import (
    MAX_WITHDRAW_GUARD_NOTIONAL,
    validate_max_token_borrows_fraction,
    validate_withdraw_guard_threshold,
)
from seawall.state.enums import STATUS_INITIALIZED
from seawall.state.spot_market import SpotMarket


def _market(tx: Transaction, market_index: int) -> SpotMarket:
    """A market to set a parameter of; ``Unauthorized``, ``MarketDelisted``."""
    tx.require_admin()
    require_spot_market_valid(tx, market_index)
    return tx.write_spot_market(market_index)


def update_if_factor(tx: Transaction, ix: UpdateSpotMarketIfFactor) -> None:
    """Set both carve-outs of deposit interest, for the span that is not accrued yet too; ``DefaultError``."""
    market = _market(tx, ix.spot_market_index)
    insurance, protocol = if_factors(ix, "if_fee_factor", "protocol_fee_factor")
    with required("if_fee_factor + protocol_fee_factor < 1000000"):
        validate_if_factor(insurance, protocol)
    market.insurance_fund.if_fee_factor = insurance
    market.protocol_fee_factor = protocol


def update_withdraw_guard_threshold(tx: Transaction, ix: UpdateWithdrawGuardThreshold) -> None:
    """Set the withdraw guard; ``WithdrawGuardThresholdNotionalTooLarge``."""
    market = _market(tx, ix.market_index)
    price = tx.spot_oracle(ix.market_index).price
    twap = market.historical_oracle_data.last_oracle_price_twap_5min
    at = f"at the higher of the price {price} and its 5-minute average {twap} (1e6), both above 0"
    with required(f"a threshold worth at most {MAX_WITHDRAW_GUARD_NOTIONAL} (quote 1e6) {at}"):
        validate_withdraw_guard_threshold(ix.withdraw_guard_threshold, market, price)
    market.withdraw_guard_threshold = ix.withdraw_guard_threshold


def update_withdraw_circuit_breaker(tx: Transaction, ix: UpdateSpotMarketWithdrawCircuitBreaker) -> None:
    """Set the share of the day's average that may leave; ``DefaultError``, ``Unauthorized`` for a loose one."""
    market = _market(tx, ix.market_index)
    bps = ix.withdraw_circuit_breaker_bps
    if bps > BPS_PRECISION:
        condition = f"withdraw_circuit_breaker_bps ≤ {BPS_PRECISION}"
        raise SettlementError(ErrorCode.DefaultError, f"required: {condition}", condition)
    if bps > DEFAULT_WITHDRAW_CIRCUIT_BREAKER_BPS:
        tx.require_role(COLD)
    market.withdraw_circuit_breaker_bps = bps


def update_deposit_cap(tx: Transaction, ix: UpdateSpotMarketDepositCap) -> None:
    """Set the daily deposit limiter, unchecked."""
    market = _market(tx, ix.market_index)
    market.max_deposit_bps_per_day = ix.max_deposit_bps_per_day
    market.deposit_guard_threshold = ix.deposit_guard_threshold


def update_max_token_borrows(tx: Transaction, ix: UpdateSpotMarketMaxTokenBorrows) -> None:
    """Set the borrow cap; ``InvalidSpotMarketInitialization`` where more is lent out already, ``MathError``."""
    market = _market(tx, ix.market_index)
    cap = market.max_token_deposits * ix.max_token_borrows_fraction // MARGIN_PRECISION
    with required(f"borrows of at most {cap} tokens, the fraction of the deposit cap {market.max_token_deposits}"):
        validate_max_token_borrows_fraction(ix.max_token_borrows_fraction, market)
    market.max_token_borrows_fraction = ix.max_token_borrows_fraction


def update_pool_id(tx: Transaction, ix: UpdateSpotMarketPoolId) -> None:
    """Put a new market into a pool; ``DefaultError`` once it was activated."""
    market = _market(tx, ix.market_index)
    if market.status != STATUS_INITIALIZED:
        condition = "the status is Initialized"
        raise SettlementError(ErrorCode.DefaultError, f"required: {condition}", condition)
    market.pool_id = ix.pool_id


HANDLERS: dict[type[Instruction], Handler] = {
    UpdateSpotMarketIfFactor: update_if_factor,
    UpdateWithdrawGuardThreshold: update_withdraw_guard_threshold,
    UpdateSpotMarketWithdrawCircuitBreaker: update_withdraw_circuit_breaker,
    UpdateSpotMarketDepositCap: update_deposit_cap,
    UpdateSpotMarketMaxTokenBorrows: update_max_token_borrows,
    UpdateSpotMarketPoolId: update_pool_id,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
