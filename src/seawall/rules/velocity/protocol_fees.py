"""The protocol's own pools: how much may be withdrawn, and the withdrawal.

Source: velocity/protocol-fees-and-roles.md §1-§3; ``instructions/protocol_fees``.
"""

from seawall.arithmetic import checked_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount, withdraw_from_pool
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.state.enums import DEPOSIT
from seawall.state.spot_market import PoolBalance, SpotMarket


@rule
def calculate_protocol_fee_withdrawal(requested: int, available: int) -> int:
    """What of a request (tokens) is paid: at most what the pool holds; ``InsufficientProtocolFees`` where that is 0.

    A larger request is clamped without a word: deliberate, it is the program's.
    """
    amount = min(requested, available)
    if amount == 0:
        raise SettlementError(ErrorCode.InsufficientProtocolFees)
    return amount


@rule
def withdraw_protocol_fees(amount: int, spot_market: SpotMarket, pool: PoolBalance, spot_vault: int) -> int:
    """Debit a protocol fee pool that lies in ``spot_market``; the tokens that leave the vault, at most ``amount``.

    Interest is accrued already. What the pool holds can be lent out: then the withdrawal fails whole, it is not cut.
    ``InsufficientProtocolFees``, ``SpotMarketInsufficientDeposits``, ``SpotMarketVaultInvariantViolated``,
    ``MathError``. Source: ``withdraw_protocol_fees_perp.rs``, ``withdraw_protocol_fees_spot.rs``.
    """
    available = get_token_amount(pool.scaled_balance, spot_market, DEPOSIT)
    withdrawn = calculate_protocol_fee_withdrawal(amount, available)
    withdraw_from_pool(withdrawn, spot_market, pool, True)
    validate_spot_market_vault_amount(spot_market, checked_u64(spot_vault - withdrawn))
    return withdrawn
