"""The engine against the recordings of the program, file by file: nothing may differ."""

import json
import re
from pathlib import Path
from typing import Any

import pytest

from seawall.audit.parity import facts_left_out
from seawall.audit.parity.facts import Fact, compare, evaluate, read_facts
from seawall.audit.parity.facts_inputs import difference
from seawall.audit.parity.replay import read_lines, replay_file
from seawall.audit.parity.unmodelled import UNMODELLED_FIELDS

DATA = Path(__file__).parent / "data"
RECORDINGS = sorted([*DATA.glob("traces/*.gz"), *DATA.glob("vectors/*.gz")], key=lambda path: -path.stat().st_size)
FACT_FILES = sorted(DATA.glob("facts/*.json"))
FACTS = [(path.stem, fact) for path in FACT_FILES for fact in read_facts(path)]
COMPARED = [(name, fact) for name, fact in FACTS if fact.left_out is None]


def _name(case: tuple[str, Fact]) -> str:
    return f"{case[0]}-{case[1].number}"


def test_the_recordings_are_there() -> None:
    assert len(RECORDINGS) == 47
    assert len(FACT_FILES) == 20


@pytest.mark.parametrize("path", RECORDINGS, ids=lambda path: path.name.partition(".")[0])
def test_every_recorded_instruction_is_reproduced(path: Path) -> None:
    results = list(replay_file(path))
    assert sum(number >= 0 for number, _, _ in results) > 0
    differences = [f"#{number} {name}: {text}" for number, name, text in results if text is not None]
    assert not differences, f"{len(differences)} differ, first: {differences[:5]}"


@pytest.mark.parametrize("case", COMPARED, ids=_name)
def test_every_fact_is_reproduced(case: tuple[str, Fact]) -> None:
    assert compare(case[1]) is None


def _wrong(value: Any) -> Any:
    """The same value, a little different."""
    if isinstance(value, bool):
        return not value
    if isinstance(value, str):
        return str(int(value) + 1) if re.fullmatch(r"-?\d+", value) else value + "x"
    if isinstance(value, list):
        return [_wrong(value[0]), *value[1:]] if value[0] != {} else [value[0], *_wrong(value[1:])]
    name = next(iter(value))
    return {**value, name: _wrong(value[name])}


@pytest.mark.parametrize("case", COMPARED, ids=_name)
def test_a_wrong_expectation_is_noticed(case: tuple[str, Fact]) -> None:
    expected = case[1].expected
    found = evaluate(case[1])
    assert difference(found, expected) is None
    for name, value in expected.items():
        assert difference(found, {**expected, name: _wrong(value)}) is not None, name
        assert difference(found, {**expected, f"{name}_of_another_kind": value}) is not None


def test_every_fact_of_the_recorded_version_is_compared_or_listed() -> None:
    """Of the facts that hold for v2.84.0 only what it does not have, or Seawall does not model, is out."""
    left = {fact.function: fact.left_out.reason for _, fact in FACTS if fact.left_out and fact.version != "head"}
    assert set(left.values()) == {
        "liquidator fees do not grow with the slots in v2.84.0",
        "there are no prediction markets in v2.84.0",
        "index prices of an external spot venue; read by no modelled rule",
    }
    assert len(COMPARED) > 300


@pytest.mark.parametrize("entry", facts_left_out.LEFT_OUT, ids=lambda entry: entry.functions[0])
def test_no_entry_of_the_list_is_idle(entry: facts_left_out.LeftOut) -> None:
    """Each function that is left out is one of the facts', and is left out by this very entry."""
    for function in entry.functions:
        hit = [f for _, f in FACTS if f.left_out is entry and function in (f.function, f.function.partition(" (")[0])]
        assert hit, function


def _leaves(data: Any, prefix: str = "") -> list[tuple[str, Any]]:
    if isinstance(data, dict):
        return [leaf for name, value in data.items() for leaf in _leaves(value, f"{prefix}.{name}" if prefix else name)]
    if isinstance(data, list) and data and isinstance(data[0], dict):
        return [leaf for i, value in enumerate(data) for leaf in _leaves(value, f"{prefix}.{i}")]
    return [(prefix, data)]


def _recorded_fields() -> dict[str, dict[str, set[str]]]:
    """Every recorded field by the type of its account, with the values that it ever had."""
    fields: dict[str, dict[str, set[str]]] = {}
    for path in RECORDINGS:
        types: dict[str, str] = {}
        for line in read_lines(path):
            for label, account in line.get("accounts", {}).items() if line["kind"] != "final" else ():
                types[label] = account["type"]
                for field, value in _leaves(account["data"]):
                    fields.setdefault(account["type"], {}).setdefault(field, set()).add(json.dumps(value))
            if line["kind"] == "new_account":
                types[line["account"]] = line["type"]
            for changes in (line.get("pre", {}), line.get("changed", {})):
                for label, changed in changes.items():
                    for field, value in changed.items():
                        fields.setdefault(types[label], {}).setdefault(field, set()).add(json.dumps(value))
    return fields


def test_the_list_of_unmodelled_fields_is_honest() -> None:
    """Each entry names recorded fields, and what is said to be always 0 (LP shares) is 0 in every recording."""
    fields = _recorded_fields()
    for record, pattern, why in UNMODELLED_FIELDS:
        values = [values for field, values in fields[record].items() if re.fullmatch(pattern, field)]
        assert values, (record, pattern)
        if "always 0" in why:
            assert set().union(*values) == {'"0"'}, (record, pattern)
