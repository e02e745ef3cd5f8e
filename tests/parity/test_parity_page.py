"""docs/parity.md tells what the command really leaves out."""

import importlib.util
from pathlib import Path
from types import ModuleType

import pytest

from seawall.audit.parity.facts_left_out import LEFT_OUT
from seawall.audit.parity.unmodelled import UNMODELLED_FIELDS

ROOT = Path(__file__).resolve().parents[2]


def _load() -> ModuleType:
    spec = importlib.util.spec_from_file_location("parity_page", ROOT / "tools/parity_page.py")
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


parity_page = _load()


def test_the_page_is_up_to_date() -> None:
    page = (ROOT / "docs/parity.md").read_text(encoding="utf-8")
    assert parity_page.render(page) == page, "run: python tools/parity_page.py"


def test_the_tables_name_everything_that_is_left_out() -> None:
    tables = "\n".join(parity_page.tables().values())
    for entry in LEFT_OUT:
        assert entry.reason in tables
        assert all(f"`{function}`" in tables for function in entry.functions)
    assert parity_page.unmodelled_table().count("\n") == len(UNMODELLED_FIELDS) + 1


def test_a_page_without_a_place_for_a_table_is_refused() -> None:
    with pytest.raises(ValueError, match="no place for the table"):
        parity_page.render("# Parity\n")
