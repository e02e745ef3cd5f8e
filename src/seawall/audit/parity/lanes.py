"""The lane that recordings are replayed in: exact, or bulk, where every rule that a handler calls is compiled."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

from seawall.audit.parity.facts import replay_facts
from seawall.audit.parity.replay import replay_file
from seawall.engine.rulebook import Rulebook, rulebook

if TYPE_CHECKING:
    from seawall.bulk.lane import BulkLane

MODULES = ("seawall.engine", "seawall.audit.parity")
"""Where the functions live that call rules by name."""


def bulk_lane() -> "BulkLane":
    """A bulk lane for handlers and fact adapters. Imports the compiler."""
    from seawall.bulk.lane import BulkLane

    return BulkLane(MODULES)


def bulk_rulebook(name: str, lane: "BulkLane") -> Rulebook:
    """The rulebook called ``name``, its handlers over compiled rules. What explains a refusal stays as it is."""
    book = rulebook(name)
    handlers = {instruction: lane.twin(handler) for instruction, handler in book.handlers.items()}
    return Rulebook(book.name, handlers, book.explainers)


def replay(path: Path, lane: "BulkLane | None" = None) -> Iterator[tuple[int, str, str | None]]:
    """Every instruction or fact of a recorded file in the exact lane, or in the bulk lane where one is given."""
    facts = path.suffix == ".json"
    if lane is None:
        return replay_facts(path) if facts else replay_file(path)
    if facts:
        return replay_facts(path, lane.twin)
    return replay_file(path, lambda name: bulk_rulebook(name, lane))
