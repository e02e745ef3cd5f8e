"""What differs between the rulebooks is read from the rules themselves."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest
from typer.testing import CliRunner

from seawall.audit.rules_diff import Told, compare_rulebooks
from seawall.cli import app
from seawall.errors import SettlementError

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("rules_page", ROOT / "tools/rules_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs/rules-diff.md").read_text(encoding="utf-8")
    assert _load().render(compare_rulebooks("drift", "velocity")) == page, "run: python tools/rules_page.py"


def test_a_rule_that_only_one_has_is_told() -> None:
    found = {(one.room, one.name): one for one in compare_rulebooks("drift", "velocity").rules}
    sweep = found["sweep", "sweep_market_fees"]
    assert sweep.first is None and sweep.second is not None and sweep.second.module == "velocity.sweep"


def test_a_shared_rule_that_parts_the_ways_says_both() -> None:
    found = {(one.room, one.name): one for one in compare_rulebooks("velocity", "drift").rules}
    bits = found["spot_operations", "spot_operation_paused"]
    assert bits.first == Told("common.spot_operations", "Deposit is 4, Withdraw 8, Liquidation 16")
    assert bits.second is not None and bits.second.purpose.startswith("Withdraw is 4, Liquidation 8")


def test_a_rulebook_does_not_differ_from_itself() -> None:
    found = compare_rulebooks("drift", "drift")
    assert not found.rules and not found.instructions and found.shared > 300


def test_every_shared_rule_that_asks_for_the_rulebook_says_both_ways() -> None:
    """A rule in ``rules/common`` that reads ``.rulebook`` has a ``Drift:`` and a ``Velocity:`` sentence."""
    told = {one.name for one in compare_rulebooks("drift", "velocity").rules if one.first and one.second}
    for path in sorted((ROOT / "src/seawall/rules/common").glob("*.py")):
        for part in path.read_text(encoding="utf-8").split("\n@rule\n")[1:]:
            name = part.removeprefix("def ").partition("(")[0]
            if ".rulebook ==" in part or ".rulebook !=" in part:
                assert name in told, f"{path.name}: {name}"


def test_an_unknown_rulebook_is_refused() -> None:
    with pytest.raises(SettlementError, match="there is no rulebook 'serum'"):
        compare_rulebooks("drift", "serum")
    run = CliRunner().invoke(app, ["rules", "diff", "drift", "serum"])
    assert run.exit_code == 2 and "one of drift, velocity" in run.output


def test_the_command_prints_a_line_a_rule() -> None:
    run = CliRunner().invoke(app, ["rules", "diff", "--names"])
    assert run.exit_code == 0
    assert "sweep.sweep_market_fees: only velocity" in run.output
    assert "rules are shared as they are" in run.output
