"""Rulebooks: the instructions a venue admits and the handler that carries out each. Differences are resolved here."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from seawall.engine.explain import Explainer
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction

Handler = Callable[[Transaction, Any], None]


@dataclass(frozen=True)
class Rulebook:
    """A named set of handlers, one an instruction."""

    name: str
    handlers: dict[type[Instruction], Handler]
    explainers: dict[ErrorCode, Explainer]

    def handler(self, instruction: Instruction) -> Handler:
        """The handler of an instruction; ``UnsupportedInstruction`` where the rulebook has none."""
        handler = self.handlers.get(type(instruction))
        if handler is None:
            raise SettlementError(
                ErrorCode.UnsupportedInstruction, f"the rulebook {self.name!r} has no instruction {instruction.ix!r}"
            )
        return handler


def rulebook(name: str) -> Rulebook:
    """The rulebook called ``name``; ``InvalidInstruction`` where there is none."""
    from seawall.engine.handlers import DRIFT_EXPLAINERS, DRIFT_HANDLERS  # the handlers import this module's Handler
    from seawall.engine.handlers.velocity import VELOCITY_EXPLAINERS, VELOCITY_HANDLERS

    if name == "drift":
        return Rulebook("drift", DRIFT_HANDLERS, DRIFT_EXPLAINERS)
    if name == "velocity":
        return Rulebook("velocity", VELOCITY_HANDLERS, VELOCITY_EXPLAINERS)
    raise SettlementError(
        ErrorCode.InvalidInstruction, f"there is no rulebook {name!r}; there are 'drift' and 'velocity'"
    )
