"""Velocity's fee schedules: their defaults, and how they are set. Source: velocity/pools-and-fees.md §2."""

from seawall.engine.explain import Explainer
from seawall.engine.rulebook import Handler
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure

_TAKER_FEES = (40, 30, 20, 20)
"""Taker fees in 1/100000 by tier. The program names three; the fourth, which volume reaches, charges the third's."""


def default_velocity_fee_structure() -> FeeStructure:
    """The perp fee schedule of a new Velocity venue; both percentages 0: the protocol has all that is left."""
    structure = FeeStructure(
        filler_reward_structure=OrderFillerRewardStructure(
            reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        referrer_reward_epoch_upper_bound=150_000_000_000,
        flat_filler_fee=10_000,
    )
    for i in range(len(structure.fee_tiers)):
        used = i < len(_TAKER_FEES)
        structure.fee_tiers[i] = FeeTier(
            fee_numerator=_TAKER_FEES[i] if used else 0,
            fee_denominator=100_000,
            maker_rebate_numerator=25 if used else 0,
            maker_rebate_denominator=1_000_000,
            referrer_reward_numerator=15 if used else 0,
            referrer_reward_denominator=100,
            referee_fee_numerator=5 if used else 0,
            referee_fee_denominator=100,
        )
    return structure


HANDLERS: dict[type[Instruction], Handler] = {}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
