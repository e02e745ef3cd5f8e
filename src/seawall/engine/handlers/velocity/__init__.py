"""Velocity's handlers: Drift's where both are alike, its own in their place or beside them, without what it dropped."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers import DRIFT_EXPLAINERS, DRIFT_HANDLERS
from seawall.engine.handlers.velocity import (
    amm,
    amm_parameters,
    batches,
    deposits,
    fee_parameters,
    insurance,
    isolated,
    liquidation,
    liquidation_parameters,
    parameters,
    perp_fills,
    pnl,
    protocol_fees,
    revenue,
    revenue_payout,
    revenue_share,
    roles,
    solvency,
    spot_parameters,
    sweep,
    user_settings,
    venue_setup,
)
from seawall.engine.rulebook import Handler
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.insurance import (
    AdminRemoveInsuranceFundStake,
    InitializeProtocolIfSharesTransferConfig,
    TransferProtocolIfShares,
    UpdateProtocolIfSharesTransferConfig,
)
from seawall.instructions.migration import MigrateToVelocity
from seawall.instructions.spot_fills import (
    FillSpotOrder,
    ReserveSpotOrder,
    SettleSpotFeePoolToRevenuePool,
    UpdateSpotFeePoolTarget,
)

_FAMILIES = (
    amm,
    amm_parameters,
    batches,
    deposits,
    fee_parameters,
    insurance,
    isolated,
    liquidation,
    liquidation_parameters,
    parameters,
    perp_fills,
    pnl,
    protocol_fees,
    revenue,
    revenue_payout,
    revenue_share,
    roles,
    solvency,
    sweep,
    spot_parameters,
    user_settings,
    venue_setup,
)

DROPPED: frozenset[type[Instruction]] = frozenset(
    {
        AdminRemoveInsuranceFundStake,
        InitializeProtocolIfSharesTransferConfig,
        TransferProtocolIfShares,
        UpdateProtocolIfSharesTransferConfig,
        MigrateToVelocity,
        # there is no spot order book, and so no spot fee pool
        FillSpotOrder,
        ReserveSpotOrder,
        SettleSpotFeePoolToRevenuePool,
        UpdateSpotFeePoolTarget,
    }
)
"""Instructions of Drift that Velocity does not have: they answer ``UnsupportedInstruction``.

``release_spot_order`` stays, for orders that were reserved before a migration.
"""

_OWN: dict[type[Instruction], Handler] = {
    cls: handler for family in _FAMILIES for cls, handler in family.HANDLERS.items()
}

VELOCITY_HANDLERS: dict[type[Instruction], Handler] = {
    **{cls: handler for cls, handler in DRIFT_HANDLERS.items() if cls not in DROPPED},
    **_OWN,
}

_EXPLAINERS: dict[ErrorCode, Explainer] = {
    code: explainer for family in _FAMILIES for code, explainer in family.EXPLAINERS.items()
}

VELOCITY_EXPLAINERS: dict[ErrorCode, Explainer] = {**DRIFT_EXPLAINERS, **_EXPLAINERS}

if len(_EXPLAINERS) != sum(len(family.EXPLAINERS) for family in _FAMILIES):
    raise TypeError("two families explain the same error; raise it with its detail in the handler instead")
