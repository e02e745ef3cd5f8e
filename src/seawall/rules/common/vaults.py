"""The vault invariants and the caps of a spot market. Source: balances.md §7; ``math/spot_withdraw.rs``."""

from seawall.arithmetic import MARGIN_PRECISION, checked_u64, to_i64, to_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import BORROW, DEPOSIT
from seawall.state.spot_market import SpotMarket


@rule
def validate_spot_balances(spot_market: SpotMarket) -> int:
    """Depositors' net claim D − B in tokens (may be negative).

    ``SpotMarketVaultInvariantViolated`` when the revenue pool exceeds all deposits; ``CastingFailure`` beyond i64.
    """
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
    revenue = to_u64(get_token_amount(spot_market.revenue_pool.scaled_balance, spot_market, DEPOSIT))
    claim = to_i64(deposits) - to_i64(borrows)
    if revenue > deposits:
        raise SettlementError(ErrorCode.SpotMarketVaultInvariantViolated)
    return claim


@rule
def validate_spot_market_vault_amount(spot_market: SpotMarket, vault_amount: int) -> int:
    """The net claim, after checking that the vault (tokens) covers it; ``SpotMarketVaultInvariantViolated``."""
    claim = validate_spot_balances(spot_market)
    if to_i64(vault_amount) < claim:
        raise SettlementError(ErrorCode.SpotMarketVaultInvariantViolated)
    return claim


@rule
def validate_max_token_deposits_and_borrows(spot_market: SpotMarket) -> None:
    """The deposit cap (0: none), then the borrow cap; ``MaxDeposit``, ``MaxBorrows``. Source: balances.md §7."""
    cap = spot_market.max_token_deposits
    if cap != 0 and get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT) > cap:
        raise SettlementError(ErrorCode.MaxDeposit)
    if spot_market.max_token_borrows_fraction > 0 and cap > 0:
        borrow_cap = checked_u64(cap * spot_market.max_token_borrows_fraction) // MARGIN_PRECISION
        borrows = get_token_amount(spot_market.borrow_balance, spot_market, BORROW)
        if borrow_cap != 0 and borrows > borrow_cap:
            raise SettlementError(ErrorCode.MaxBorrows)
