"""Why a liquidation was refused or went no further, with the numbers that the rules noted on the way."""

from typing import NamedTuple

from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.state.facts import LiquidationFacts, MarginCalculation
from seawall.state.user import User


class Liquidation(NamedTuple):
    """One liquidation under way."""

    tx: Transaction
    ix: Instruction
    user: User
    liquidator: User
    calculation: MarginCalculation
    facts: LiquidationFacts


def explain_liquidation(job: Liquidation, code: ErrorCode) -> SettlementError:
    """The refusal of a liquidation."""
    return SettlementError(code, MEANING[code])


def note_limits(job: Liquidation) -> None:
    """Nothing yet."""
