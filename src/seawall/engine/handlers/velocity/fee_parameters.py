"""Fee schedules and surcharges of Velocity."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers.venue_setup import default_fee_structure
from seawall.engine.rulebook import Handler
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.state.exchange import FeeStructure

_TAKER_FEES = (40, 30, 20)
"""By tier, in 1/100000."""


def default_velocity_fee_structure() -> FeeStructure:
    """The program's default perp fees; the protocol keeps the whole remainder until the numerators are set.

    Source: velocity/pools-and-fees.md §2; ``state/state.rs::FeeStructure::perps_default``.
    """
    structure = default_fee_structure(_TAKER_FEES, 15, 5)
    for tier in structure.fee_tiers[: len(_TAKER_FEES)]:
        tier.maker_rebate_numerator, tier.maker_rebate_denominator = 25, 1_000_000
    return structure


HANDLERS: dict[type[Instruction], Handler] = {}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
