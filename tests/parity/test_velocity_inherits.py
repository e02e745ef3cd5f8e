"""What Velocity's AMM inherits from the newest Drift: that version's facts, computed under the rulebook velocity."""

from pathlib import Path

import pytest

from seawall.audit.parity.facts import Fact, compare, read_facts

DATA = Path(__file__).parent / "data" / "facts"
FILES = ("amm-spread", "k-and-repeg", "twap", "funding")
FUNCTIONS = {
    "_update_amm",
    "adjust_amm",
    "adjust_k_cost",
    "calculate_long_short_vol_spread",
    "calculate_spread",
    "calculate_spread_reserves",
    "cap_to_max_spread",
    "formulaic_update_k",
    "get_update_k_result",
    "has_too_much_drawdown",
    "update_mark_twap_from_estimates",
    "update_oracle_price_twap",
    "update_oracle_price_twap and update_mark_twap_from_estimates",
    "update_spreads",
}
"""Functions of a market, by their name without the remark in parentheses."""


def inherited() -> list[Fact]:
    """Facts of the newest Drift about those functions, the rulebook named with the inputs."""
    facts = [fact for name in FILES for fact in read_facts(DATA / f"{name}.json")]
    return [
        fact._replace(inputs={**fact.inputs, "rulebook": "velocity"})
        for fact in facts
        if fact.version in ("both", "head") and fact.function.partition("(")[0].rstrip() in FUNCTIONS
    ]


@pytest.mark.parametrize("fact", inherited(), ids=lambda fact: f"{fact.function[:40]}-{fact.number}")
def test_a_fact_of_the_newest_drift_holds_under_velocity(fact: Fact) -> None:
    assert compare(fact) is None


def test_there_are_facts_that_drift_itself_does_not_have() -> None:
    newer = [fact for fact in inherited() if fact.version == "head" and fact.left_out]
    assert len(newer) > 15
    assert sum(compare(fact._replace(inputs={**fact.inputs, "rulebook": "drift"})) is not None for fact in newer) > 10
