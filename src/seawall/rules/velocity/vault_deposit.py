"""Tokens for all depositors of a market: they raise the deposit index. Source: velocity/balances.md §13."""

from seawall.arithmetic import BASE_PRECISION, SPOT_CUMULATIVE_INTEREST_PRECISION, div_trunc, pow10
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.state.enums import DEPOSIT
from seawall.state.spot_market import SpotMarket


@rule
def raise_deposit_index(amount: int, spot_market: SpotMarket) -> int:
    """Share ``amount`` tokens out among all deposits, each in proportion; the deposits before, in tokens.

    Every claim that is a deposit gains, the pools too; what the index cannot show stays in the vault. ``DefaultError``
    where it would not rise, ``MathError`` without deposits.
    Source: velocity/balances.md §13; ``instructions/admin::handle_deposit_into_spot_market_vault``.
    """
    before = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    if amount == 0:
        raise SettlementError(ErrorCode.DefaultError)
    scaled = div_trunc((before + amount) * SPOT_CUMULATIVE_INTEREST_PRECISION, spot_market.deposit_balance)
    index = scaled * BASE_PRECISION // pow10(spot_market.decimals)
    if index <= spot_market.cumulative_deposit_interest:
        raise SettlementError(ErrorCode.DefaultError)
    spot_market.cumulative_deposit_interest = index
    return before
