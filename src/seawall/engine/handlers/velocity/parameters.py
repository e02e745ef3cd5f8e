"""Parameters that only Velocity has, or bounds otherwise than Drift."""

from seawall.arithmetic import PERCENTAGE_PRECISION, U32_MAX
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_perp_market_valid
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.parameters import UpdatePerpMarketBankruptcyIfFloorPct, UpdatePerpMarketFeePoolBufferTarget


def update_fee_pool_buffer_target(tx: Transaction, ix: UpdatePerpMarketFeePoolBufferTarget) -> None:
    """Set the retention buffer, unchecked and also for a delisted market: deliberate, it is the program's."""
    tx.require_admin()
    tx.write_perp_market(ix.market_index).fee_pool_buffer_target = ix.fee_pool_buffer_target


def update_bankruptcy_if_floor_pct(tx: Transaction, ix: UpdatePerpMarketBankruptcyIfFloorPct) -> None:
    """Set the standing floor of the pending insurance cut; ``DefaultError``."""
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    if PERCENTAGE_PRECISION < ix.bankruptcy_if_floor_pct < U32_MAX:
        condition = f"bankruptcy_if_floor_pct ≤ {PERCENTAGE_PRECISION}, or {U32_MAX} (off)"
        raise SettlementError(ErrorCode.DefaultError, f"required: {condition}", condition)
    tx.write_perp_market(ix.market_index).bankruptcy_if_floor_pct = ix.bankruptcy_if_floor_pct


HANDLERS: dict[type[Instruction], Handler] = {
    UpdatePerpMarketFeePoolBufferTarget: update_fee_pool_buffer_target,
    UpdatePerpMarketBankruptcyIfFloorPct: update_bankruptcy_if_floor_pct,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
