"""Velocity against the numbers of the program's own tests and the random cases of an independent model."""

from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
from parity.test_parity import _wrong as wrong

from seawall.audit.parity.facts import Fact, compare, evaluate, read_facts
from seawall.audit.parity.facts_inputs import difference
from seawall.audit.parity.lanes import bulk_lane, replay
from seawall.audit.parity.velocity.left_out import VELOCITY_LEFT_OUT

DATA = Path(__file__).parent / "data/velocity"
FILES = sorted(DATA.glob("*/*.json"))
FACTS = {path.stem: read_facts(path) for path in FILES}

IN_BOTH_LANES = ("sweep_market_fees_state", "accrue_sequence", "settle_pnl_with_sweep", "resolve_perp_bankruptcy")
"""Files that the ordinary run compiles; the long run compiles all."""


def test_the_facts_and_cases_are_there() -> None:
    cases = [path for path in FILES if path.parent.name == "cases"]
    assert (len(cases), len(FILES) - len(cases)) == (58, 22)
    assert sum(len(FACTS[path.stem]) for path in cases) == 6_960
    assert all(fact.is_velocity for facts in FACTS.values() for fact in facts)


@pytest.mark.parametrize("name", FACTS)
def test_every_fact_is_reproduced(name: str) -> None:
    differences = [
        f"{fact.number} {fact.function}: {text}"
        for fact in FACTS[name]
        if fact.left_out is None and (text := compare(fact)) is not None
    ]
    assert not differences, f"{len(differences)} differ, first: {differences[:5]}"


def _samples() -> list[Fact]:
    """Of every function the first facts of each outcome: a value, and each error."""
    found: dict[tuple[str, Any], list[Fact]] = defaultdict(list)
    for facts in FACTS.values():
        for fact in facts:
            if fact.left_out is None:
                found[fact.function, fact.expected.get("error")].append(fact)
    return [fact for facts in found.values() for fact in facts[:2]]


@pytest.mark.parametrize("fact", _samples(), ids=lambda fact: f"{fact.function[:60]}-{fact.number}")
def test_a_wrong_expectation_is_noticed(fact: Fact) -> None:
    found = evaluate(fact)
    assert difference(found, fact.expected) is None
    for name, value in fact.expected.items():
        if value not in ({}, []):
            assert difference(found, {**fact.expected, name: wrong(value)}) is not None, name
        assert difference(found, {**fact.expected, f"{name}_of_another_kind": value}) is not None


@pytest.mark.parametrize("entry", VELOCITY_LEFT_OUT, ids=lambda entry: entry.functions[0])
def test_no_entry_of_the_list_is_idle(entry: Any) -> None:
    """Each function that is left out is one of the facts', and is left out by this very entry."""
    for function in entry.functions:
        assert any(fact.left_out is entry for facts in FACTS.values() for fact in facts if function in fact.function)


def test_what_is_left_out_is_older() -> None:
    """No case, and no fact of the newest text, is left out."""
    left = [(path, fact) for path in FILES for fact in FACTS[path.stem] if fact.left_out is not None]
    assert 0 < len(left) < 20
    assert not [fact for path, fact in left if path.parent.name == "cases" or fact.function.endswith("(L)")]


def _bulk(paths: list[Path]) -> None:
    lane = bulk_lane()
    for path in paths:
        assert not [text for _, _, text in replay(path, lane) if text is not None], path.name
    assert lane.calls > 1_000


def test_both_lanes_agree_on_long_functions() -> None:
    _bulk([DATA / f"cases/{name}.json" for name in IN_BOTH_LANES])


@pytest.mark.soak
def test_both_lanes_agree_on_everything() -> None:
    _bulk(FILES)


# --- inputs that no case has -----------------------------------------------------------------------------------


def test_regr_a_division_by_zero_is_an_error_of_the_program() -> None:
    """An index of 0 was no difference but the end of the comparison."""
    (fact,) = (fact for fact in FACTS["token_conversions"] if fact.number == 0)
    inputs = {**fact.inputs, "cumulative_borrow_interest": "0"}
    assert compare(fact._replace(inputs=inputs, expected={"error": "MathError"})) is None


@pytest.mark.parametrize("name", [path.stem for path in FILES if path.parent.name == "cases"])
def test_regr_a_missing_input_is_nothing(name: str) -> None:
    """Numbers are 0, or their default, lists and objects are empty: a case without one is computed all the same."""
    for fact in FACTS[name][:3]:
        for missing in fact.inputs:
            inputs = {key: value for key, value in fact.inputs.items() if key != missing}
            assert evaluate(fact._replace(inputs=inputs)) is not None


def test_regr_a_period_of_draws_is_reset_where_pools_are_settled() -> None:
    """The sweep in a settlement resets the period as the sweep by itself does."""
    fact = next(fact for fact in FACTS["update_pool_balances_state"] if "error" not in fact.expected)
    drawn = {"last_revenue_settle_ts": "2", "last_revenue_withdraw_ts": "1", "revenue_withdraw_since_last_settle": "9"}
    assert compare(fact._replace(inputs={**fact.inputs, **drawn, "now": "2"})) is None
    late = {**drawn, "last_revenue_withdraw_ts": "2"}
    kept = {**fact.expected, "revenue_withdraw_since_last_settle": "9"}
    assert compare(fact._replace(inputs={**fact.inputs, **late}, expected=kept)) is None
    clock = {"error": "BlockchainClockInconsistency"}
    assert compare(fact._replace(inputs={**fact.inputs, **drawn, "now": "1"}, expected=clock)) is None
