"""Role keys, pause bits and recipients of protocol fees."""

from seawall.engine.explain import Explainer
from seawall.engine.handlers import administration
from seawall.engine.permissions import COLD, HOT_ROLES, WARM
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions import administration as ixs
from seawall.instructions.base import Instruction
from seawall.instructions.roles import (
    UpdateFeatureBitFlags,
    UpdateHotAdmin,
    UpdatePauseAdmin,
    UpdateProtocolFeeRecipient,
    UpdateSolvencyStatus,
    UpdateWarmAdmin,
)
from seawall.keys import key_from_text
from seawall.rules.velocity.roles import only_adds_bits
from seawall.state.enums import (
    FEATURE_BUILDER_CODES,
    FEATURE_ISOLATED_POSITIONS,
    FEATURE_MEDIAN_TRIGGER_PRICE,
    FEATURE_MM_ORACLE_UPDATE,
    FEATURE_VAMM_MAKER_REBATE,
    PERP_SETTLE_REV_POOL,
    PERP_UPDATE_FUNDING,
)

FEATURES = {
    "MmOracleUpdate": FEATURE_MM_ORACLE_UPDATE,
    "MedianTriggerPrice": FEATURE_MEDIAN_TRIGGER_PRICE,
    "BuilderCodes": FEATURE_BUILDER_CODES,
    "VammMakerRebate": FEATURE_VAMM_MAKER_REBATE,
    "IsolatedPositions": FEATURE_ISOLATED_POSITIONS,
}

WARM_PERP_BITS = PERP_UPDATE_FUNDING | PERP_SETTLE_REV_POOL
"""Pause bits of a perp market that the warm admin may change both ways; the others take the cold admin."""


def update_cold_admin(tx: Transaction, ix: ixs.UpdateAdmin) -> None:
    """Hand the cold tier over. The default key ends every cold action for ever: deliberate, it is the program's."""
    tx.require_admin()
    tx.write_state().cold_admin = key_from_text(ix.admin)


def update_warm_admin(tx: Transaction, ix: UpdateWarmAdmin) -> None:
    """Replace the warm admin."""
    tx.require_admin()
    tx.write_state().warm_admin = key_from_text(ix.warm_admin)


def update_pause_admin(tx: Transaction, ix: UpdatePauseAdmin) -> None:
    """Replace the pause admin."""
    tx.require_admin()
    tx.write_state().pause_admin = key_from_text(ix.pause_admin)


def update_hot_admin(tx: Transaction, ix: UpdateHotAdmin) -> None:
    """Replace the key of a hot role."""
    tx.require_admin()
    setattr(tx.write_state(), HOT_ROLES[ix.role], key_from_text(ix.key))


def update_protocol_fee_recipient(tx: Transaction, ix: UpdateProtocolFeeRecipient) -> None:
    """Set where protocol fees of perp or of spot markets go."""
    tx.require_admin()
    setattr(tx.write_state(), f"protocol_fee_recipient_{ix.market_type}", key_from_text(ix.recipient))


def update_solvency_status(tx: Transaction, ix: UpdateSolvencyStatus) -> None:
    """Pause or resume deficits and bankruptcies."""
    tx.require_admin()
    tx.write_state().solvency_status = ix.solvency_status


def update_feature_bit_flags(tx: Transaction, ix: UpdateFeatureBitFlags) -> None:
    """Switch a feature; the hot key may only switch it off."""
    if ix.enable:
        tx.require_role(COLD)
    else:
        tx.require_admin()
    state, bit = tx.write_state(), FEATURES[ix.feature]
    state.feature_bit_flags = state.feature_bit_flags | bit if ix.enable else state.feature_bit_flags & ~bit


# --- pause bits ------------------------------------------------------------------------------------------------


def _require_add_only(tx: Transaction, old: int, new: int) -> None:
    """The pause admin only adds bits; warm and cold write what they like; ``Unauthorized``."""
    tx.require_admin()
    if not tx.holds_role(WARM) and not only_adds_bits(old, new):
        raise SettlementError(
            ErrorCode.Unauthorized,
            f"the pause admin only adds pause bits, but {new} clears some of {old}",
            f"{old | new}, or the warm admin's signature",
        )


def update_exchange_status(tx: Transaction, ix: ixs.UpdateExchangeStatus) -> None:
    """Set the exchange's pause bits; the pause admin only adds."""
    _require_add_only(tx, tx.state.exchange_status, ix.exchange_status)
    administration.update_exchange_status(tx, ix)


def update_if_paused_operations(tx: Transaction, ix: ixs.UpdateSpotMarketIfPausedOperations) -> None:
    """Set the fund's pause bits; the pause admin only adds."""
    _require_add_only(tx, tx.spot_market(ix.market_index).if_paused_operations, ix.paused_operations)
    administration.update_if_paused_operations(tx, ix)


def update_spot_paused_operations(tx: Transaction, ix: ixs.UpdateSpotMarketPausedOperations) -> None:
    """Set the spot market's pause bits; the pause admin only adds."""
    _require_add_only(tx, tx.spot_market(ix.market_index).paused_operations, ix.paused_operations)
    administration.update_spot_paused_operations(tx, ix)


def update_perp_paused_operations(tx: Transaction, ix: ixs.UpdatePerpMarketPausedOperations) -> None:
    """Set the perp market's pause bits: cold any, warm only funding and the sweep, the pause admin only adds."""
    tx.require_admin()
    old, new = tx.perp_market(ix.market_index).paused_operations, ix.paused_operations
    warm_may = tx.holds_role(WARM) and (old ^ new) & ~WARM_PERP_BITS == 0
    pause_may = tx.signer == tx.state.pause_admin and only_adds_bits(old, new)
    if not (tx.holds_role(COLD) or warm_may or pause_may):
        raise SettlementError(
            ErrorCode.Unauthorized,
            f"from {old} to {new}: the warm admin changes only the bits {WARM_PERP_BITS}, the pause admin only adds",
            "the cold admin's signature",
        )
    administration.update_perp_paused_operations(tx, ix)


HANDLERS: dict[type[Instruction], Handler] = {
    ixs.UpdateAdmin: update_cold_admin,
    UpdateWarmAdmin: update_warm_admin,
    UpdatePauseAdmin: update_pause_admin,
    UpdateHotAdmin: update_hot_admin,
    UpdateProtocolFeeRecipient: update_protocol_fee_recipient,
    UpdateSolvencyStatus: update_solvency_status,
    UpdateFeatureBitFlags: update_feature_bit_flags,
    ixs.UpdateExchangeStatus: update_exchange_status,
    ixs.UpdateSpotMarketIfPausedOperations: update_if_paused_operations,
    ixs.UpdateSpotMarketPausedOperations: update_spot_paused_operations,
    ixs.UpdatePerpMarketPausedOperations: update_perp_paused_operations,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
