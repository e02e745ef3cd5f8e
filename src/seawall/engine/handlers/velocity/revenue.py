"""Revenue settlement under Velocity."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers import revenue as drift_revenue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction


def attempt_settle_revenue(tx: Transaction, market_index: int) -> int:
    """Settle revenue in front of another instruction, where it is due; the tokens moved to the insurance vault."""
    return drift_revenue.attempt_settle_revenue(tx, market_index)


HANDLERS: dict[type[Instruction], Handler] = {}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
