"""Why an instruction was refused, in numbers: the pool and what it holds, the cap, what would have to happen first.

``explain`` is asked with the transaction as it stood when the rule failed. Each explainer knows one error; the handler
modules list theirs in ``EXPLAINERS``. An error without one is explained by its meaning.
"""

from collections.abc import Callable
from typing import Any

from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import MEANING, ErrorCode, SettlementError
from seawall.instructions.base import Instruction

Explanation = tuple[str, str, list[Limit]]
"""The message, what would pass, and the limits that refused."""

Explainer = Callable[[Transaction, Any], Explanation]


def explain(
    explainers: dict[ErrorCode, Explainer], tx: Transaction, instruction: Instruction, error: SettlementError
) -> Explanation:
    """The message, what would pass, and the limits, for an instruction refused with ``error``."""
    explainer = explainers.get(error.code)
    if explainer is not None and not error.detail:
        try:
            return explainer(tx, instruction)
        except (SettlementError, ArithmeticError, AttributeError, IndexError):
            # the state at the failure may not even bear a look; the meaning of the error still holds
            pass
    return error.detail or MEANING[error.code], error.would_pass, list(tx.limits)
