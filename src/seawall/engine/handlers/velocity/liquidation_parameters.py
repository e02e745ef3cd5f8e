"""Velocity's liquidation fees, the protocol's part among them. Source: velocity/protocol-fees-and-roles.md §5."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_perp_market_valid, require_spot_market_valid, required
from seawall.engine.handlers.markets import MARGIN_RATIOS
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.administration import UpdatePerpLiquidationFee, UpdateSpotMarketLiquidationFee
from seawall.instructions.base import Instruction
from seawall.rules.common.market_validation import MAX_LIQUIDATION_IF_FEE, validate_margin
from seawall.rules.velocity.market_validation import (
    MAX_PROTOCOL_LIQUIDATION_FEE,
    validate_liquidation_fees,
    validate_spot_liquidation_fees,
)

_FEES = (
    "liquidator_fee + if_liquidation_fee + protocol_liquidation_fee < 1000000 and protocol_liquidation_fee ≤ "
    f"{MAX_PROTOCOL_LIQUIDATION_FEE}"
)


def update_perp_liquidation_fee(tx: Transaction, ix: UpdatePerpLiquidationFee) -> None:
    """Set the perp market's liquidation fees; ``DefaultError``, ``InvalidMarginRatio``.

    The maintenance margin must cover liquidator and insurance, but not the protocol: deliberate, it is the program's.
    """
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    market = tx.write_perp_market(ix.market_index)
    with required(_FEES):
        validate_liquidation_fees(ix.liquidator_fee, ix.if_liquidation_fee, ix.protocol_liquidation_fee)
    with required(f"{MARGIN_RATIOS}, where liquidator_fee counts with if_liquidation_fee"):
        validate_margin(
            market.margin_ratio_initial,
            market.margin_ratio_maintenance,
            ix.liquidator_fee + ix.if_liquidation_fee,
            market.amm.max_spread,
        )
    market.liquidator_fee = ix.liquidator_fee
    market.if_liquidation_fee = ix.if_liquidation_fee
    market.protocol_liquidation_fee = ix.protocol_liquidation_fee


def update_spot_liquidation_fee(tx: Transaction, ix: UpdateSpotMarketLiquidationFee) -> None:
    """Set the spot market's liquidation fees; ``DefaultError``."""
    tx.require_admin()
    require_spot_market_valid(tx, ix.market_index)
    market = tx.write_spot_market(ix.market_index)
    with required(f"{_FEES} and if_liquidation_fee ≤ {MAX_LIQUIDATION_IF_FEE}"):
        validate_spot_liquidation_fees(ix.liquidator_fee, ix.if_liquidation_fee, ix.protocol_liquidation_fee)
    market.liquidator_fee = ix.liquidator_fee
    market.if_liquidation_fee = ix.if_liquidation_fee
    market.protocol_liquidation_fee = ix.protocol_liquidation_fee


HANDLERS: dict[type[Instruction], Handler] = {
    UpdatePerpLiquidationFee: update_perp_liquidation_fee,
    UpdateSpotMarketLiquidationFee: update_spot_liquidation_fee,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
