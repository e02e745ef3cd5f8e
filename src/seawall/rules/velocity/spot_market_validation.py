"""Bounds of a spot market's limits. Source: velocity/balances.md §14; ``instructions/admin/lending.rs``."""

from typing import Final

from seawall.arithmetic import MARGIN_PRECISION, checked_u64
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.token_values import get_token_value
from seawall.state.enums import BORROW
from seawall.state.spot_market import SpotMarket

MAX_WITHDRAW_GUARD_NOTIONAL: Final = 10_000_000_000
"""Quote (1e6) that a guard threshold may be worth."""


@rule
def validate_withdraw_guard_threshold(withdraw_guard_threshold: int, spot_market: SpotMarket, price: int) -> None:
    """A guard (tokens) is worth at most 10,000 quote at the higher of the price and its 5-minute average (1e6).

    ``WithdrawGuardThresholdNotionalTooLarge``, also where either is not above 0. Source: velocity/balances.md §14.
    """
    twap = spot_market.historical_oracle_data.last_oracle_price_twap_5min
    if price <= 0 or twap <= 0:
        raise SettlementError(ErrorCode.WithdrawGuardThresholdNotionalTooLarge)
    value = get_token_value(withdraw_guard_threshold, spot_market.decimals, max(price, twap))
    if value > MAX_WITHDRAW_GUARD_NOTIONAL:
        raise SettlementError(ErrorCode.WithdrawGuardThresholdNotionalTooLarge)


@rule
def validate_max_token_borrows_fraction(max_token_borrows_fraction: int, spot_market: SpotMarket) -> None:
    """What is lent out stays within the fraction (1e4) of the deposit cap; ``InvalidSpotMarketInitialization``.

    A fraction of 0 therefore needs that nothing is lent out: deliberate, it is the program's. ``MathError``.
    Source: velocity/balances.md §14; balances.md §7.
    """
    cap = checked_u64(spot_market.max_token_deposits * max_token_borrows_fraction) // MARGIN_PRECISION
    if get_token_amount(spot_market.borrow_balance, spot_market, BORROW) > cap:
        raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
