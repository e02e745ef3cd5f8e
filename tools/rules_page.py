"""Write docs/rules-diff.md: what differs between the rulebooks, rule by rule, from their docstrings.

python tools/rules_page.py            rewrite docs/rules-diff.md
"""

import re
import sys
from collections.abc import Iterable
from itertools import groupby
from pathlib import Path

from seawall.audit.rules_diff import Difference, RulesDiff, Told, compare_rulebooks

PAGE = Path(__file__).resolve().parents[1] / "docs/rules-diff.md"

INTRODUCTION = """# What differs between the rulebooks, rule by rule

Written by `python tools/rules_page.py` from the registry of rules and their docstrings; `seawall rules diff` prints the
same. A rule that stands in `rules/common` is shared; where it parts the ways itself, both ways are given here. A dash:
the rulebook has no such rule.
"""


def render(found: RulesDiff) -> str:
    """The whole page."""
    parts = [INTRODUCTION, _summary(found)]
    for room, rows in groupby(found.rules, key=lambda one: one.room):
        parts.append(f"## {room}\n\n| rule | {found.first} | {found.second} |\n| --- | --- | --- |\n{_rows(rows)}")
    kinds = "\n".join(f"| `{name}` | {text} |" for name, text in found.instructions)
    parts.append(f"## Instructions\n\n| instruction | who has it |\n| --- | --- |\n{kinds}")
    return "\n".join(parts) + "\n"


def _summary(found: RulesDiff) -> str:
    first = sum(one.second is None for one in found.rules)
    second = sum(one.first is None for one in found.rules)
    return (
        f"{found.shared} rules are shared as they are. {len(found.rules) - first - second} are in both and differ, "
        f"{first} only in `{found.first}`, {second} only in `{found.second}`.\n"
    )


def _rows(rows: Iterable[Difference]) -> str:
    return "".join(f"| `{one.name}` | {_told(one.first)} | {_told(one.second)} |\n" for one in rows)


def _told(told: Told | None) -> str:
    if told is None:
        return "—"
    return re.sub(r"``([^`]+)``", r"`\1`", told.purpose).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(compare_rulebooks("drift", "velocity")), encoding="utf-8")
    sys.exit(0)
