"""Facts of fees and of whole fills."""

from seawall.arithmetic import U64_MAX
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.rules.drift.fees import (
    calculate_fee_for_fulfillment_with_amm,
    calculate_fee_for_fulfillment_with_external_market,
    calculate_fee_for_fulfillment_with_match,
)
from seawall.state.exchange import FeeStructure
from seawall.state.orders import FillFacts
from seawall.state.user import UserStats


def make_fee_structure(inputs: Inputs) -> FeeStructure:
    """Every tier as the inputs say, and no bound on a referrer's epoch."""
    structure = FeeStructure(referrer_reward_epoch_upper_bound=U64_MAX)
    inputs.fill(
        structure.filler_reward_structure,
        filler_reward_numerator="reward_numerator",
        filler_reward_denominator="reward_denominator",
    )
    tier = inputs.fill(structure.fee_tiers[0])
    structure.fee_tiers = [tier.copy() for _ in structure.fee_tiers]
    return structure


def _without_high_leverage(inputs: Inputs) -> None:
    if inputs.flag("user_high_leverage_mode", False):
        raise UnreadableFact("v2.84.0 has no high leverage mode")


def _with_match(inputs: Inputs) -> Found:
    _without_high_leverage(inputs)
    facts = inputs.fill(FillFacts())
    calculate_fee_for_fulfillment_with_match(
        facts,
        UserStats(),
        UserStats(),
        make_fee_structure(inputs),
        inputs.int("fee_adjustment"),
        inputs.int("order_slot"),
        inputs.int("clock_slot"),
        inputs.int("filler_multiplier"),
        UserStats(),
        inputs.flag("reward_referrer"),
    )
    return facts


def _with_amm(inputs: Inputs) -> Found:
    _without_high_leverage(inputs)
    facts = inputs.fill(FillFacts())
    calculate_fee_for_fulfillment_with_amm(
        facts,
        UserStats(),
        make_fee_structure(inputs),
        inputs.int("fee_adjustment"),
        inputs.int("order_slot"),
        inputs.int("clock_slot"),
        inputs.flag("is_post_only"),
        UserStats(),
        inputs.flag("reward_referrer"),
        inputs.flag("reward_filler"),
    )
    return facts


def _with_external_market(inputs: Inputs) -> Found:
    facts = inputs.fill(FillFacts())
    delta = calculate_fee_for_fulfillment_with_external_market(
        facts,
        make_fee_structure(inputs),
        inputs.int("fee_adjustment"),
        inputs.int("order_slot"),
        inputs.int("clock_slot"),
        inputs.flag("reward_filler"),
        inputs.int("external_market_fee"),
        inputs.int("unsettled_referrer_rebate"),
        inputs.int("fee_pool_amount"),
    )
    return {"fee_pool_delta": delta}, facts


ADAPTERS: dict[str, Adapter] = {
    "calculate_fee_for_fulfillment_with_match": _with_match,
    "calculate_fee_for_fulfillment_with_amm": _with_amm,
    "calculate_fee_for_fulfillment_with_external_market": _with_external_market,
}
