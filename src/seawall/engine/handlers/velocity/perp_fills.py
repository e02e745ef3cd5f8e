"""Fills of perp orders with the three-way fee split, builders and referrers."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers.amm import refresh_amm
from seawall.engine.handlers.perp_fills import admit_fill, admit_taker, place, resting_order, take, taking_order
from seawall.engine.handlers.velocity.perp_order_fill import VelocityOrderFill
from seawall.engine.handlers.velocity.revenue_share_rows import builder_row
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.perp_fills import FillPerpOrder, PlaceAndTakePerpOrder


def place_and_take_perp_order(tx: Transaction, ix: PlaceAndTakePerpOrder) -> None:
    """Place an order and fill it at once.

    Errors: ``ExchangePaused``, ``InvalidOrderPostOnly``, those of ``builder_row`` and of ``place``, those of fills
    (drift/amm-and-funding.md §3.5, newer).
    """
    user = admit_taker(tx, ix)
    market = refresh_amm(tx, ix.market_index)
    order = taking_order(tx, ix)
    builder = builder_row(tx, user.authority, ix.market_index, ix.builder, ix.builder_fee_tenth_bps)
    if place(tx, user, ix.market_index, order, ix.expired):
        take(VelocityOrderFill(tx, market, user, order, ix.user, builder), ix)
    elif builder is not None:
        builder.complete()


def fill_perp_order(tx: Transaction, ix: FillPerpOrder) -> None:
    """Fill a resting order.

    Errors: ``ExchangePaused``, ``OrderDoesNotExist``, those of ``builder_row``, those of fills
    (drift/amm-and-funding.md §3.5, newer).
    """
    user = admit_fill(tx, ix)
    market = refresh_amm(tx, ix.market_index)
    order = resting_order(ix, user)
    builder = builder_row(tx, user.authority, ix.market_index, ix.builder, ix.builder_fee_tenth_bps)
    fill = VelocityOrderFill(tx, market, user, order, ix.filler, builder)
    fill.run(ix.makers, ix.cancelled_maker_orders, ix.fills)


HANDLERS: dict[type[Instruction], Handler] = {
    PlaceAndTakePerpOrder: place_and_take_perp_order,
    FillPerpOrder: fill_perp_order,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
