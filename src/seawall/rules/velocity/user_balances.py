"""Velocity's withdrawals: what an account must satisfy after tokens left it.

Source: velocity/balances.md §13; ``instructions/user``.
"""

from seawall.lanes import rule
from seawall.rules.common.margin import validate_spot_margin_trading
from seawall.rules.common.spot_positions import get_spot_position_index
from seawall.rules.common.user_balances import increment_total_withdraws, is_borrow, withdraw_within_limits
from seawall.rules.common.user_status import update_last_active_slot
from seawall.rules.common.vaults import validate_max_token_borrows, validate_max_token_deposits
from seawall.rules.velocity.interest_age import validate_spot_borrow_interest_fresh_for_margin
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.margin import check_withdraw_margin_requirement
from seawall.rules.velocity.user_status import exit_liquidation, is_scope_being_liquidated
from seawall.state.exchange import State
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


@rule
def withdraw_from_user(
    token_amount: int,
    market_index: int,
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    now: int,
    slot: int,
) -> None:
    """Take tokens out of an account: its totals, its balance, the limits, the margin of every scope.

    Cross margin leaves liquidation without a test of its own: deliberate, it is the program's; isolated positions stay
    in it. Errors: those of ``withdraw_within_limits``, ``SpotMarketInterestStaleForMargin``, those of
    ``check_withdraw_margin_requirement`` and ``validate_spot_margin_trading``, in order.
    Source: velocity/balances.md §13; velocity/isolated.md §6.
    """
    spot_market = spot_markets[market_index]
    increment_total_withdraws(user, token_amount, spot_market.decimals, oracles[spot_market.oracle_index].price)
    withdraw_within_limits(token_amount, spot_market, user)
    validate_spot_borrow_interest_fresh_for_margin(user, spot_markets, now)
    check_withdraw_margin_requirement(user, spot_markets, perp_markets, oracles, state)
    validate_spot_margin_trading(user, spot_markets, perp_markets, oracles)
    if is_scope_being_liquidated(user, CROSS):
        exit_liquidation(user, CROSS)
    update_last_active_slot(user, slot)


@rule
def validate_caps_after_withdrawal(user: User, spot_market: SpotMarket) -> None:
    """After tokens left: ``MaxDeposit``, and ``MaxBorrows`` where the account now owes.

    A market above its deposit cap refuses withdrawals too: deliberate, it is the program's.
    Source: velocity/balances.md §13; balances.md §7 (newer).
    """
    validate_max_token_deposits(spot_market)
    if is_borrow(user.spot_positions[get_spot_position_index(user, spot_market.market_index)]):
        validate_max_token_borrows(spot_market)
