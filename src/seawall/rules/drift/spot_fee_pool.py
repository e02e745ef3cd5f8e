"""The documents' rule that the program lacks: a spot fee pool above its target becomes revenue of the quote market.

Source: spec/README, parameter ``spot_fee_pool_settlement``.
"""

from seawall.arithmetic import sub_saturating
from seawall.lanes import rule
from seawall.rules.common.balances import transfer_between_pools
from seawall.rules.drift.spot_fills import spot_fee_pool_tokens
from seawall.state.spot_market import SpotMarket


@rule
def settle_spot_fee_pool(base_market: SpotMarket, quote_market: SpotMarket) -> int:
    """Move what the pool holds beyond ``spot_fee_pool_target`` to the quote market's revenue pool; the tokens moved."""
    amount = sub_saturating(spot_fee_pool_tokens(base_market, quote_market), base_market.spot_fee_pool_target)
    transfer_between_pools(amount, quote_market, base_market.spot_fee_pool, quote_market.revenue_pool)
    return amount
