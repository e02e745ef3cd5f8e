"""What makes a scope of an account bankrupt, and what its estate still has.

A scope is −1 for cross margin, else the row of an isolated position. Source: velocity/solvency.md §3;
``math/bankruptcy.rs``.
"""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.perp_positions import has_open_order, is_isolated
from seawall.rules.velocity.isolated import CROSS
from seawall.state.enums import DEPOSIT
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, PerpPosition, SpotPosition, User


@rule
def is_settled_positive_claim(position: PerpPosition) -> bool:
    """Whether a cross position is nothing but quote that its market owes: closed, without orders, positive."""
    if is_isolated(position) or position.quote_asset_amount <= 0:
        return False
    return position.base_asset_amount == 0 and not has_open_order(position)


@rule
def is_settled_debt(position: PerpPosition) -> bool:
    """Whether a position, isolated or not, is nothing but a debt: closed, without orders, negative quote."""
    if position.base_asset_amount != 0 or position.quote_asset_amount >= 0:
        return False
    return not has_open_order(position)


@rule
def is_realizable_deposit(position: SpotPosition, spot_markets: list[SpotMarket]) -> bool:
    """Whether a spot position is a deposit worth a token at least."""
    if position.scaled_balance == 0 or position.balance_type != DEPOSIT:
        return False
    return get_token_amount(position.scaled_balance, spot_markets[position.market_index], DEPOSIT) > 0


@rule
def is_cross_margin_bankrupt(user: User, spot_markets: list[SpotMarket]) -> bool:
    """Whether cross margin has a debt and nothing to pay it with: no deposit of a token, no base, no perp order.

    Claims on other markets count against the debts: together they must not be positive. Source: velocity/solvency.md
    §3; ``math/bankruptcy.rs::is_cross_margin_bankrupt``.
    """
    has_liability = False
    for i in range(POSITIONS):
        spot_position = user.spot_positions[i]
        if spot_position.scaled_balance != 0:
            if spot_position.balance_type != DEPOSIT:
                has_liability = True
            elif is_realizable_deposit(spot_position, spot_markets):
                return False
    total_quote = 0
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if not is_isolated(position):
            if position.base_asset_amount != 0 or has_open_order(position):
                return False
            if position.quote_asset_amount < 0:
                has_liability = True
            total_quote = total_quote + position.quote_asset_amount
    return has_liability and total_quote <= 0


@rule
def is_isolated_margin_bankrupt(position: PerpPosition) -> bool:
    """Whether an isolated position has only a debt left; ``InvalidPerpPosition`` for one that is not isolated.

    Collateral worth no token still prevents it: deliberate, it is the program's. Source: velocity/solvency.md §3;
    ``math/bankruptcy.rs::is_isolated_margin_bankrupt``.
    """
    if not is_isolated(position):
        raise SettlementError(ErrorCode.InvalidPerpPosition)
    return position.isolated_position_scaled_balance == 0 and is_settled_debt(position)


@rule
def is_scope_insolvent(user: User, row: int, spot_markets: list[SpotMarket]) -> bool:
    """The predicate of a scope: whether it is to be latched bankrupt, or to stay so."""
    if row == CROSS:
        return is_cross_margin_bankrupt(user, spot_markets)
    return is_isolated_margin_bankrupt(user.perp_positions[row])


@rule
def has_realizable_assets(user: User, row: int, spot_markets: list[SpotMarket]) -> bool:
    """Whether a scope still has something to seize: a deposit worth a token, or collateral of its own of any worth.

    Source: velocity/solvency.md §3.
    """
    if row != CROSS:
        return user.perp_positions[row].isolated_position_scaled_balance > 0
    found = False
    for i in range(POSITIONS):
        if is_realizable_deposit(user.spot_positions[i], spot_markets):
            found = True
    return found


@rule
def has_pending_perp_bankruptcy(user: User) -> bool:
    """Whether cross margin has a perp debt that only a resolution can clear. Source: velocity/solvency.md §3."""
    for i in range(POSITIONS):
        position = user.perp_positions[i]
        if not is_isolated(position) and is_settled_debt(position):
            return True
    return False
