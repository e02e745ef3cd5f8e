"""One handler an instruction: it checks out records, asks permission, calls rules, emits events.

Each family module lists its own in ``HANDLERS`` and explains its refusals in ``EXPLAINERS``; this module joins them.
"""

from seawall.engine.explain import Explainer
from seawall.engine.handlers import (
    administration,
    amm,
    associated_spot,
    batches,
    deposits,
    insurance,
    interest,
    liquidation,
    markets,
    migration,
    perp_fills,
    pnl,
    revenue,
    solvency,
    spot_fills,
    user_settings,
    venue_setup,
)
from seawall.engine.rulebook import Handler
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction

_FAMILIES = (
    administration,
    amm,
    associated_spot,
    batches,
    deposits,
    insurance,
    interest,
    liquidation,
    markets,
    migration,
    perp_fills,
    pnl,
    revenue,
    solvency,
    spot_fills,
    user_settings,
    venue_setup,
)

DRIFT_HANDLERS: dict[type[Instruction], Handler] = {
    cls: handler for family in _FAMILIES for cls, handler in family.HANDLERS.items()
}

DRIFT_EXPLAINERS: dict[ErrorCode, Explainer] = {
    code: explainer for family in _FAMILIES for code, explainer in family.EXPLAINERS.items()
}

if len(DRIFT_EXPLAINERS) != sum(len(family.EXPLAINERS) for family in _FAMILIES):
    raise TypeError("two families explain the same error; raise it with its detail in the handler instead")
