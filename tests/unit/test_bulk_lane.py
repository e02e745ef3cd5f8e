"""The bulk lane over recordings, and what it leaves alone: start-up, handlers, machines without a compiler."""

import subprocess
import sys
from itertools import islice
from pathlib import Path

import pytest
from typer.testing import CliRunner

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.audit.parity.lanes import MODULES, bulk_lane, replay
from seawall.bulk import available, cache, library, unavailable_reason
from seawall.cli import app
from seawall.engine.handlers.pnl import check_quote_vault
from seawall.lanes import RULES

DATA = Path(__file__).resolve().parents[1] / "parity" / "data"
needs_compiler = pytest.mark.skipif(not available(), reason=str(unavailable_reason()))


@needs_compiler
@pytest.mark.parametrize("name", ["interest", "settle_revenue", "settle_pnl", "settle_funding"])
def test_recorded_vectors_in_the_bulk_lane(name: str) -> None:
    """The first 250 of each: results, accounts, vaults, events and errors as recorded, every rule compiled."""
    lane = bulk_lane()
    lines = list(islice(replay(DATA / "vectors" / f"{name}.jsonl.gz", lane), 250))
    assert [line for line in lines if line[2] is not None] == []
    assert len(lines) == 250
    assert lane.calls >= 250
    assert lane.handed_over == 0


@needs_compiler
@pytest.mark.soak
@pytest.mark.parametrize("path", sorted((DATA).glob("*/*.json*")), ids=lambda path: path.name)
def test_every_recording_in_the_bulk_lane(path: Path) -> None:
    """What a recording gives in the exact lane it gives in the bulk lane, differences included."""
    assert list(replay(path, bulk_lane())) == list(replay(path))


@needs_compiler
def test_a_twin_changes_nothing_else() -> None:
    """The handler's module keeps its rules; only the twin's names mean the compiled ones."""
    before = dict(check_quote_vault.__globals__)
    lane = bulk_lane()
    twin = lane.twin(check_quote_vault)
    assert check_quote_vault.__globals__ == before
    assert twin.__code__ is check_quote_vault.__code__
    assert twin.__globals__["QUOTE_SPOT_MARKET_INDEX"] == QUOTE_SPOT_MARKET_INDEX
    rule = "validate_spot_market_vault_amount"
    assert twin.__globals__[rule] is not before[rule]
    assert MODULES[0] == "seawall.engine"


def test_starting_up_imports_no_compiler() -> None:
    """Neither the package nor the command line pays for Numba."""
    code = "import sys, seawall, seawall.cli, seawall.engine.handlers, seawall.bulk; print(sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], check=True, capture_output=True, text=True).stdout
    assert "'seawall.bulk'" in loaded
    assert not any(f"'{package}'" in loaded for package in ("numba", "llvmlite", "numpy"))


@pytest.mark.parametrize("package", ["numba", "llvmlite", "numpy"])
def test_without_a_compiler_it_says_why(package: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """``available`` is False with a sentence, and the commands end with code 2."""
    found = library.find_spec
    monkeypatch.setattr(library, "find_spec", lambda name: None if name == package else found(name))
    library.unavailable_reason.cache_clear()
    try:
        assert not available()
        assert f"the package {package} is not installed" in str(unavailable_reason())
        for arguments in (["warmup"], ["parity", "--lane", "bulk", str(DATA / "vectors" / "interest.jsonl.gz")]):
            result = CliRunner().invoke(app, arguments)
            assert result.exit_code == 2
            assert "bulk lane is not available" in result.output
    finally:
        library.unavailable_reason.cache_clear()


def test_without_libgcc_it_says_why(monkeypatch: pytest.MonkeyPatch) -> None:
    """A missing division would end the process later: it is found out first."""

    def missing() -> None:
        raise OSError("no libgcc_s")

    monkeypatch.setattr(library, "libgcc", missing)
    library.unavailable_reason.cache_clear()
    try:
        assert "128-bit division is missing" in str(unavailable_reason())
    finally:
        library.unavailable_reason.cache_clear()


def test_the_cache_is_named_by_every_source_of_a_rule() -> None:
    """Every module of Seawall that a rule's module imports is hashed."""
    root = Path(cache.__file__).parents[1]
    hashed = {name.removesuffix(".py") for name in cache.SOURCES}
    for rule in RULES.values():
        for value in vars(sys.modules[rule.__module__]).values():
            module = getattr(value, "__module__", None) or ""
            if module.startswith("seawall."):
                assert module.split(".")[1] in hashed, module
    assert all((root / name).exists() for name in cache.SOURCES)


def test_a_changed_source_is_another_directory(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Edit: another name. Revert: the old name again."""
    package = tmp_path / "seawall"
    (package / "bulk").mkdir(parents=True)
    for name in cache.SOURCES:
        place = package / name
        if name.endswith(".py"):
            place.write_text("x = 1\n")
        else:
            place.mkdir(exist_ok=True)
            (place / "one.py").write_text("x = 1\n")
    monkeypatch.setattr(cache, "__file__", str(package / "bulk" / "cache.py"))
    first = cache.source_hash.__wrapped__()
    (package / "rules" / "one.py").write_text("x = 2\n")
    assert cache.source_hash.__wrapped__() != first
    (package / "rules" / "one.py").write_text("x = 1\n")
    assert cache.source_hash.__wrapped__() == first
