"""Role keys, recipients and switches of the exchange (Velocity)."""

from typing import Literal

from seawall.instructions.base import Instruction, Key
from seawall.records import u8

HotRole = Literal[
    "AmmCrank",
    "LpCache",
    "LpSwap",
    "LpSettle",
    "FeatureFlag",
    "UserFlag",
    "VaultDeposit",
    "MmOracleCrank",
    "AmmSpreadAdjust",
    "FeeWithdraw",
    "AccountExtension",
    "VammQuoteManagement",
]
"""A hot role by the program's name."""

Feature = Literal["MmOracleUpdate", "MedianTriggerPrice", "BuilderCodes", "VammMakerRebate", "IsolatedPositions"]
"""A feature by the program's name."""


class UpdateWarmAdmin(Instruction, frozen=True, kw_only=True):
    """Replace the warm admin, who sets parameters. Signer: cold admin.

    Source: velocity/protocol-fees-and-roles.md §4; ``admin/authority.rs::handle_update_warm_admin``.
    """

    warm_admin: Key


class UpdatePauseAdmin(Instruction, frozen=True, kw_only=True):
    """Replace the pause admin, who may pause and never resume. Signer: cold admin.

    Source: velocity/protocol-fees-and-roles.md §4, §6; ``admin/authority.rs::handle_update_pause_admin``.
    """

    pause_admin: Key


class UpdateHotAdmin(Instruction, frozen=True, kw_only=True):
    """Replace the key of a hot role. Signer: warm admin.

    Source: velocity/protocol-fees-and-roles.md §4; ``admin/authority.rs::handle_update_hot_admin``.
    """

    role: HotRole
    key: Key


class UpdateProtocolFeeRecipient(Instruction, frozen=True, kw_only=True):
    """Set the only wallet that protocol fees of perp or spot markets may go to. Signer: cold admin.

    The all-zero key is taken and makes the withdrawals of that side fail: deliberate, it is the program's.
    Source: velocity/protocol-fees-and-roles.md §3; ``admin/fees.rs::handle_update_protocol_fee_recipient``.
    """

    market_type: Literal["perp", "spot"]
    recipient: Key


class UpdateSolvencyStatus(Instruction, frozen=True, kw_only=True):
    """Set ``solvency_status``: bit 1 pauses deficits and bankruptcies; any byte is taken. Signer: cold admin.

    Source: velocity/solvency.md §1; ``admin/exchange.rs::handle_update_solvency_status``.
    """

    solvency_status: u8


class UpdateFeatureBitFlags(Instruction, frozen=True, kw_only=True):
    """Switch a feature on (signer: cold admin) or off (the hot key FeatureFlag may too).

    Source: velocity/protocol-fees-and-roles.md §4, §8; isolated.md §1.
    """

    feature: Feature
    enable: bool
