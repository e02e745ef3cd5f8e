"""How much a market's deposits may grow in a day. Source: velocity/balances.md §11; ``math/spot_withdraw.rs``."""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.withdraw_limits import BPS_PRECISION, NO_LIMIT
from seawall.state.enums import DEPOSIT
from seawall.state.spot_market import SpotMarket


@rule
def calculate_max_deposit_token_amount(
    deposit_token_twap: int, deposit_guard_threshold: int, max_deposit_bps_per_day: int
) -> int:
    """Deposits (tokens) that may be reached: the day's average and a share (1e4) of it, or the guard if that is more.

    A share of 0 switches the limit off.
    """
    if max_deposit_bps_per_day == 0:
        return NO_LIMIT
    by_twap = deposit_token_twap + deposit_token_twap * max_deposit_bps_per_day // BPS_PRECISION
    return max(by_twap, deposit_guard_threshold)


@rule
def validate_deposit_cap_after_increase(spot_market: SpotMarket, deposit_tokens_before: int) -> None:
    """``DailyDepositLimit`` where an operation raised the deposits (tokens) beyond what a day admits.

    Deposits that did not grow pass, however many there are: so a repayment is never refused.
    """
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    if deposits > deposit_tokens_before and deposits > calculate_max_deposit_token_amount(
        spot_market.deposit_token_twap, spot_market.deposit_guard_threshold, spot_market.max_deposit_bps_per_day
    ):
        raise SettlementError(ErrorCode.DailyDepositLimit)
