"""The vault invariants and the caps of a spot market. Source: balances.md §7; ``math/spot_withdraw.rs``."""

from seawall.arithmetic import MARGIN_PRECISION, checked_u64, to_i64, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.spot_market import SpotMarket


@rule
def validate_spot_balances(spot_market: SpotMarket) -> int:
    """Depositors' net claim D − B in tokens; ``CastingFailure`` beyond i64.

    Drift: the revenue pool may not exceed all deposits (``SpotMarketVaultInvariantViolated``); the claim may be
    negative.
    Velocity: nor may the revenue pool, the protocol fee pool and the receivable together, and the claim may not fall
    short of the receivable; the same error.
    Source: balances.md §7; velocity/balances.md §12; ``math/spot_withdraw.rs::validate_spot_balances``.
    """
    deposits = to_u64(get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT))
    borrows = to_u64(get_token_amount(spot_market.borrow_balance, spot_market, BORROW))
    reserved = to_u64(get_token_amount(spot_market.revenue_pool.scaled_balance, spot_market, DEPOSIT))
    claim = to_i64(deposits) - to_i64(borrows)
    if spot_market.rulebook == RULEBOOK_VELOCITY:
        receivable = get_token_amount(spot_market.insurance_fund_revenue_receivable_scaled, spot_market, DEPOSIT)
        protocol = to_u64(get_token_amount(spot_market.protocol_fee_pool.scaled_balance, spot_market, DEPOSIT))
        reserved = reserved + protocol + receivable
        if claim < receivable:
            raise SettlementError(ErrorCode.SpotMarketVaultInvariantViolated)
    if reserved > deposits:
        raise SettlementError(ErrorCode.SpotMarketVaultInvariantViolated)
    return claim


@rule
def validate_spot_market_vault_amount(spot_market: SpotMarket, vault_amount: int) -> int:
    """The net claim, after checking that the vault (tokens) covers it; ``SpotMarketVaultInvariantViolated``.

    Velocity's claim covers the receivable already, so that the vault does too.
    """
    claim = validate_spot_balances(spot_market)
    if to_i64(vault_amount) < claim:
        raise SettlementError(ErrorCode.SpotMarketVaultInvariantViolated)
    return claim


@rule
def validate_max_token_deposits(spot_market: SpotMarket) -> None:
    """The deposit cap (tokens; 0: none), ``MaxDeposit``. Source: balances.md §7; velocity/balances.md §11."""
    cap = spot_market.max_token_deposits
    if cap != 0 and get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT) > cap:
        raise SettlementError(ErrorCode.MaxDeposit)


@rule
def validate_max_token_borrows(spot_market: SpotMarket) -> None:
    """The borrow cap, a fraction (1e4) of the deposit cap, ``MaxBorrows``; none without a deposit cap.

    Source: balances.md §7; velocity/balances.md §11.
    """
    if spot_market.max_token_borrows_fraction > 0 and spot_market.max_token_deposits > 0:
        product = checked_u64(spot_market.max_token_deposits * spot_market.max_token_borrows_fraction)
        borrow_cap = product // MARGIN_PRECISION
        borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
        if borrow_cap != 0 and borrows > borrow_cap:
            raise SettlementError(ErrorCode.MaxBorrows)


@rule
def validate_max_token_deposits_and_borrows(spot_market: SpotMarket) -> None:
    """The deposit cap, then the borrow cap; ``MaxDeposit``, ``MaxBorrows``. Source: balances.md §7."""
    validate_max_token_deposits(spot_market)
    validate_max_token_borrows(spot_market)
