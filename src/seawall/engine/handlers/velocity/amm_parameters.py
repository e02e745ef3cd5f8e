"""Parameters of the AMM and of funding that only Velocity has."""

from typing import Final

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_perp_market_valid
from seawall.engine.permissions import COLD
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.amm import (
    UpdateAmmSpreadAdjustment,
    UpdateMmOracle,
    UpdatePerpMarketDisableFormulaicKUpdate,
    UpdatePerpMarketFundingDeadZone,
    UpdatePerpMarketOracleSlotDelayOverrides,
    UpdatePerpMarketReferencePriceOffsetDeadband,
)
from seawall.instructions.base import Instruction
from seawall.state.enums import FEATURE_MM_ORACLE_UPDATE
from seawall.state.perp_market import PerpMarket

FUNDING_CLAMP_LIMIT: Final = 10_000
"""Basis points that the dead zone stays below."""
LARGEST_ADJUSTMENT: Final = 100
"""Percent by which spreads may be adjusted either way."""


def _market(tx: Transaction, market_index: int) -> PerpMarket:
    tx.require_admin()
    require_perp_market_valid(tx, market_index)
    return tx.write_perp_market(market_index)


def _require(holds: bool, condition: str) -> None:
    if not holds:
        raise SettlementError(ErrorCode.DefaultError, f"required: {condition}", condition)


def update_funding_dead_zone(tx: Transaction, ix: UpdatePerpMarketFundingDeadZone) -> None:
    """Set the premium that funding ignores and the slope beyond it; ``MarketDelisted``, ``DefaultError``."""
    market = _market(tx, ix.market_index)
    _require(ix.funding_clamp_threshold < FUNDING_CLAMP_LIMIT, f"funding_clamp_threshold < {FUNDING_CLAMP_LIMIT}")
    _require(ix.funding_ramp_slope > 0, "funding_ramp_slope > 0")
    market.funding_clamp_threshold = ix.funding_clamp_threshold
    market.funding_ramp_slope = ix.funding_ramp_slope


def update_spread_adjustment(tx: Transaction, ix: UpdateAmmSpreadAdjustment) -> None:
    """Set both adjustments of the spreads, from the next refresh on; ``MarketDelisted``, ``DefaultError``."""
    market = _market(tx, ix.market_index)
    for name in ("amm_spread_adjustment", "amm_inventory_spread_adjustment"):
        _require(abs(getattr(ix, name)) <= LARGEST_ADJUSTMENT, f"−{LARGEST_ADJUSTMENT} ≤ {name} ≤ {LARGEST_ADJUSTMENT}")
        setattr(market.amm, name, getattr(ix, name))


def update_mm_oracle(tx: Transaction, ix: UpdateMmOracle) -> None:
    """Write the market maker's price; ``MarketDelisted``, ``DefaultError`` (feature off, negative, out of sequence)."""
    amm = _market(tx, ix.market_index).amm
    _require(tx.state.feature_bit_flags & FEATURE_MM_ORACLE_UPDATE != 0, "the feature bit MmOracleUpdate is set")
    _require(ix.mm_oracle_price >= 0, "mm_oracle_price ≥ 0")
    least = amm.mm_oracle_sequence_id
    _require(ix.mm_oracle_sequence_id > least, f"mm_oracle_sequence_id > {least}, the last one written")
    amm.mm_oracle_price = ix.mm_oracle_price
    amm.mm_oracle_slot = tx.slot
    amm.mm_oracle_sequence_id = ix.mm_oracle_sequence_id


def update_disable_formulaic_k_update(tx: Transaction, ix: UpdatePerpMarketDisableFormulaicKUpdate) -> None:
    """Keep k where it is, which the cold admin alone may order, or let it move again; ``MarketDelisted``."""
    market = _market(tx, ix.market_index)
    if ix.disable:
        tx.require_role(COLD)
    market.disable_formulaic_k_update = ix.disable


def update_slot_delay_overrides(tx: Transaction, ix: UpdatePerpMarketOracleSlotDelayOverrides) -> None:
    """Set how old a price may be for the AMM's fills in this market; ``MarketDelisted``."""
    amm = _market(tx, ix.market_index).amm
    amm.oracle_slot_delay_override = ix.oracle_slot_delay_override
    amm.oracle_low_risk_slot_delay_override = ix.oracle_low_risk_slot_delay_override


def update_offset_deadband(tx: Transaction, ix: UpdatePerpMarketReferencePriceOffsetDeadband) -> None:
    """Set the inventory that does not move both quotes; ``MarketDelisted``, ``DefaultError``."""
    amm = _market(tx, ix.market_index).amm
    _require(ix.reference_price_offset_deadband_pct <= 100, "reference_price_offset_deadband_pct ≤ 100")
    amm.reference_price_offset_deadband_pct = ix.reference_price_offset_deadband_pct


HANDLERS: dict[type[Instruction], Handler] = {
    UpdatePerpMarketFundingDeadZone: update_funding_dead_zone,
    UpdateAmmSpreadAdjustment: update_spread_adjustment,
    UpdateMmOracle: update_mm_oracle,
    UpdatePerpMarketDisableFormulaicKUpdate: update_disable_formulaic_k_update,
    UpdatePerpMarketOracleSlotDelayOverrides: update_slot_delay_overrides,
    UpdatePerpMarketReferencePriceOffsetDeadband: update_offset_deadband,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
