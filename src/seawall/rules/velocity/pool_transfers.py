"""The administrator's transfer between the pools of perp markets.

Source: velocity/balances.md §6; velocity/pools-and-fees.md §10; ``execute_transfer_between_pools``.
"""

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import transfer_between_pools
from seawall.rules.common.pools import get_pool_token_amount
from seawall.state.spot_market import PoolBalance, SpotMarket


@rule
def execute_transfer_between_pools(
    amount: int, spot_market: SpotMarket, source: PoolBalance, target: PoolBalance
) -> None:
    """Move ``amount`` tokens from one pool to another; ``DefaultError`` where the source holds fewer.

    Then as ``transfer_between_pools``.
    """
    if amount > get_pool_token_amount(source, spot_market):
        raise SettlementError(ErrorCode.DefaultError)
    transfer_between_pools(amount, spot_market, source, target)
