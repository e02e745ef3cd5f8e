"""The order that closes a position in liquidation: filled as any other, but for what cannot hold for such an account.

Neither the account's latch nor its margin keeps it from being filled, its referrer gets nothing, and the AMM counts it
as an order of low risk. Source: velocity/liquidation.md §6.2; drift/amm-and-funding.md §3.5, §13 (newer).
"""

from seawall.engine.handlers.velocity.perp_order_fill import VelocityOrderFill
from seawall.engine.transaction import Transaction
from seawall.instructions.liquidation import LiquidatePerpWithFill
from seawall.rules.common.open_orders import reserve_order
from seawall.rules.common.perp_positions import get_perp_position_index
from seawall.state.enums import LONG, SHORT
from seawall.state.orders import PerpOrder
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User


class LiquidationOrderFill(VelocityOrderFill):
    """A reduce-only limit order in flight; what is left of it is dropped. The liquidator is the filler."""

    def __init__(
        self, tx: Transaction, market: PerpMarket, user: User, base: int, price: int, ix: LiquidatePerpWithFill
    ) -> None:
        position = user.perp_positions[get_perp_position_index(user, market.market_index)]
        direction = SHORT if position.base_asset_amount > 0 else LONG
        order = PerpOrder(
            direction=direction, base_asset_amount=base, price=price, slot=tx.slot, reduce_only=True, is_limit=True
        )
        reserve_order(position, direction, base)
        super().__init__(tx, market, user, order, ix.liquidator, None)
        self.ix = ix

    def close_position(self) -> None:
        """Fill what the AMM and the makers give, drop the rest."""
        self.run(self.ix.makers, self.ix.cancelled_maker_orders, self.ix.fills)
        if self.is_open:
            self.release_rest()

    def _account_obstacle(self) -> str:
        return ""

    def _amm_obstacle(self, validity: int) -> str:
        placed, self.order.slot = self.order.slot, 0
        obstacle = super()._amm_obstacle(validity)
        self.order.slot = placed
        return obstacle

    def _meet_referrer(self) -> None:
        """There is none in a liquidation."""

    def _meets_margin_requirement(self, user: User, requirement_type: int) -> bool:
        return user is self.user or super()._meets_margin_requirement(user, requirement_type)
