"""Velocity's fee schedules: their defaults, and how they are set. Source: velocity/pools-and-fees.md §2."""

from typing import Final

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_perp_market_valid, required
from seawall.engine.handlers.administration import make_fee_structure
from seawall.engine.handlers.venue_setup import default_fee_structure
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import FeeStructureParams, UpdatePerpFeeStructure, UpdateSpotFeeStructure
from seawall.instructions.base import Instruction
from seawall.instructions.parameters import UpdatePerpMarketTakerFeeAddon, UpdatePromoFeeTier
from seawall.rules.velocity.market_validation import highest_populated_tier, validate_fee_structure
from seawall.state.exchange import FeeStructure

MAX_TAKER_FEE_ADDON: Final = 100
"""Tenths of a basis point. Source: velocity/protocol-fees-and-roles.md §5."""

_TAKER_FEES = (40, 30, 20, 20)
"""Taker fees in 1/100000 by tier. The program names three; the fourth, which volume reaches, charges the third's."""


def default_velocity_fee_structure() -> FeeStructure:
    """The perp fee schedule of a new Velocity venue; both percentages 0: the protocol has all that is left."""
    return default_fee_structure(_TAKER_FEES, 15, 5, rebate=(25, 1_000_000), epoch_bound=150_000_000_000)


# --- setters ---------------------------------------------------------------------------------------------------


def update_perp_fee_structure(tx: Transaction, ix: UpdatePerpFeeStructure) -> None:
    """Replace the perp fee schedule; ``InvalidFeeStructure``."""
    tx.require_admin()
    tx.write_state().perp_fee_structure = _fee_structure(ix.fee_structure)


def update_spot_fee_structure(tx: Transaction, ix: UpdateSpotFeeStructure) -> None:
    """Replace the spot fee schedule, which nothing charges without a spot order book; ``InvalidFeeStructure``."""
    tx.require_admin()
    tx.write_state().spot_fee_structure = _fee_structure(ix.fee_structure)


def _fee_structure(params: FeeStructureParams) -> FeeStructure:
    structure = make_fee_structure(params)
    with required(
        "taker fees ≤ 300 and rebates ≤ 30 over at least 100000, discounts and referrer rewards ≤ 100/100, filler "
        "rewards ≤ 20/100, what a taker's fee leaves ≥ the rebate, flat_filler_fee ≤ 10000, "
        "amm_fee_numerator + if_fee_numerator ≤ 100"
    ):
        validate_fee_structure(structure)
    return structure


def update_taker_fee_addon(tx: Transaction, ix: UpdatePerpMarketTakerFeeAddon) -> None:
    """Set a market's add-on to the taker fee; ``MarketDelisted``, ``DefaultError``."""
    tx.require_admin()
    require_perp_market_valid(tx, ix.market_index)
    if ix.taker_fee_addon_tenth_bps > MAX_TAKER_FEE_ADDON:
        condition = f"taker_fee_addon_tenth_bps ≤ {MAX_TAKER_FEE_ADDON}"
        raise SettlementError(ErrorCode.DefaultError, f"required: {condition}", condition)
    tx.write_perp_market(ix.market_index).taker_fee_addon_tenth_bps = ix.taker_fee_addon_tenth_bps


def update_promo_fee_tier(tx: Transaction, ix: UpdatePromoFeeTier) -> None:
    """Set the promotional fee tier; ``DefaultError`` beyond the last one that charges anything."""
    tx.require_admin()
    highest = highest_populated_tier(tx.state.perp_fee_structure)
    if ix.promo_fee_tier > highest:
        condition = f"promo_fee_tier ≤ {highest}"
        raise SettlementError(ErrorCode.DefaultError, f"required: {condition}", condition)
    tx.write_state().promo_fee_tier = ix.promo_fee_tier


HANDLERS: dict[type[Instruction], Handler] = {
    UpdatePerpFeeStructure: update_perp_fee_structure,
    UpdateSpotFeeStructure: update_spot_fee_structure,
    UpdatePerpMarketTakerFeeAddon: update_taker_fee_addon,
    UpdatePromoFeeTier: update_promo_fee_tier,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
