"""What differs between two rulebooks, rule by rule: read from the registry and the docstrings, never kept by hand.

Rules of one name in both ``rules.drift`` and ``rules.velocity`` are the same rule done otherwise; a rule that only one
has is that one's own; a rule in ``rules.common`` is shared, and parts the ways itself where its docstring has sentences
that begin with ``Drift:`` and ``Velocity:``.
"""

import importlib
import pkgutil
import re
from typing import NamedTuple

from seawall import rules
from seawall.engine.rulebook import Rulebook, rulebook
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction, instruction_types
from seawall.lanes import RULES

RULEBOOKS = ("drift", "velocity")

_PREFIX = "seawall.rules."
_SAID = re.compile(r"(?P<book>Drift|Velocity): (?P<text>.+?)(?=\.\s+[A-Z`⌊]|\.?$|\.?\n\n)", re.DOTALL)


class Told(NamedTuple):
    """One rule as a rulebook has it: its module below ``rules``, and what its docstring says first."""

    module: str
    purpose: str


class Difference(NamedTuple):
    """A rule that the rulebooks do not have alike; None where one does not have it."""

    room: str
    name: str
    first: Told | None
    second: Told | None


class RulesDiff(NamedTuple):
    """Two rulebooks compared."""

    first: str
    second: str
    rules: list[Difference]
    shared: int
    """Rules that both run as they are."""
    instructions: list[tuple[str, str]]
    """Instructions that are not alike: name, and which rulebook has it, or that both carry it out otherwise."""


def compare_rulebooks(first: str, second: str) -> RulesDiff:
    """The differences between two rulebooks; ``InvalidInstruction`` for a name that is none."""
    books = [_known(name) for name in (first, second)]
    _load()
    found: list[Difference] = []
    shared = 0
    own: dict[str, dict[tuple[str, str], Told]] = {name: {} for name in RULEBOOKS}
    for qualified in sorted(RULES):
        if not qualified.startswith(_PREFIX):
            continue
        book, room, name = qualified.removeprefix(_PREFIX).split(".", 2)
        doc = RULES[qualified].__doc__ or ""
        if book in own:
            own[book][room, name] = Told(f"{book}.{room}", _purpose(doc))
            continue
        said = {match["book"].lower(): " ".join(match["text"].split()).rstrip(".") for match in _SAID.finditer(doc)}
        if first != second and said:
            here = f"common.{room}"
            told = [Told(here, said.get(one, f"as in {other}")) for one, other in ((first, second), (second, first))]
            found.append(Difference(room, name, *told))
        else:
            shared += 1
    if first != second:
        found += _own_rules(own[first], own[second])
    return RulesDiff(first, second, sorted(found), shared, _instructions(*books))


def _known(name: str) -> Rulebook:
    if name not in RULEBOOKS:
        raise SettlementError(
            ErrorCode.InvalidInstruction, f"there is no rulebook {name!r}", f"one of {', '.join(RULEBOOKS)}"
        )
    return rulebook(name)


def _load() -> None:
    """Import every module of rules, so that the registry is whole."""
    for found in pkgutil.walk_packages(rules.__path__, _PREFIX):
        importlib.import_module(found.name)


def _purpose(doc: str) -> str:
    """The first paragraph of a docstring on one line."""
    return " ".join(doc.strip().partition("\n\n")[0].split())


def _own_rules(one: dict[tuple[str, str], Told], other: dict[tuple[str, str], Told]) -> list[Difference]:
    """Rules that only one rulebook has, or both under one name; modules may differ as long as the name is unique."""
    by_name = {name: at for at in other for name in (at[1],)}
    matched: set[tuple[str, str]] = set()
    found = []
    for (room, name), told in one.items():
        at = (room, name) if (room, name) in other else by_name.get(name)
        if at is not None:
            matched.add(at)
        found.append(Difference(room, name, told, None if at is None else other[at]))
    found += [Difference(room, name, None, told) for (room, name), told in other.items() if (room, name) not in matched]
    return found


def _instructions(first: Rulebook, second: Rulebook) -> list[tuple[str, str]]:
    names: dict[type[Instruction], str] = {cls: name for name, cls in instruction_types().items()}
    found = []
    for cls in sorted(set(first.handlers) | set(second.handlers), key=lambda cls: names[cls]):
        ours, theirs = first.handlers.get(cls), second.handlers.get(cls)
        if theirs is None:
            found.append((names[cls], f"only {first.name}"))
        elif ours is None:
            found.append((names[cls], f"only {second.name}"))
        elif ours is not theirs:
            found.append((names[cls], "both, carried out otherwise"))
    return found
