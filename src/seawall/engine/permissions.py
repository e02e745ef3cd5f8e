"""Who may sign what: Drift's one admin, and Velocity's tiers (cold, warm, pause, and a hot key a purpose).

A key that holds a higher tier holds every lower one; the all-zero key is unset and never matches. What is not listed
in ``VELOCITY_ROLES`` and asks for an administrator needs the warm key. Source: velocity/protocol-fees-and-roles.md §4.
"""

from typing import Final

from seawall.keys import DEFAULT_KEY
from seawall.state.enums import RULEBOOK_DRIFT
from seawall.state.exchange import State

COLD: Final = "cold_admin"
WARM: Final = "warm_admin"
PAUSE: Final = "pause_admin"

HOT_ROLES: Final = {
    "AmmCrank": "hot_amm_crank",
    "LpCache": "hot_lp_cache",
    "LpSwap": "hot_lp_swap",
    "LpSettle": "hot_lp_settle",
    "FeatureFlag": "hot_feature_flag",
    "UserFlag": "hot_user_flag",
    "VaultDeposit": "hot_vault_deposit",
    "MmOracleCrank": "hot_mm_oracle_crank",
    "AmmSpreadAdjust": "hot_amm_spread_adjust",
    "FeeWithdraw": "hot_fee_withdraw",
    "AccountExtension": "hot_account_extension",
    "VammQuoteManagement": "hot_vamm_quote_management",
}
"""Hot roles by the program's name, with the field of the state that holds the key."""

VELOCITY_ROLES: Final[dict[str, str]] = {
    "update_admin": COLD,
    "update_warm_admin": COLD,
    "update_pause_admin": COLD,
    "update_protocol_fee_recipient": COLD,
    "update_solvency_status": COLD,
    "update_exchange_status": PAUSE,
    "update_spot_market_paused_operations": PAUSE,
    "update_spot_market_if_paused_operations": PAUSE,
    "update_perp_market_paused_operations": PAUSE,
    "update_feature_bit_flags": "hot_feature_flag",
    "update_perp_market_amm_summary_stats": "hot_amm_crank",
    "update_amm_spread_adjustment": "hot_amm_spread_adjust",
    "update_mm_oracle": "hot_mm_oracle_crank",
    "deposit_into_perp_market_fee_pool": "hot_vault_deposit",
    "deposit_into_spot_market_vault": "hot_vault_deposit",
    "withdraw_protocol_fees_perp": "hot_fee_withdraw",
    "withdraw_protocol_fees_spot": "hot_fee_withdraw",
    "admin_disable_update_perp_bid_ask_twap": "hot_user_flag",
}
"""The lowest role that may sign an administrative instruction of Velocity, where that is not the warm admin."""


def role_of(state: State, instruction: str) -> str:
    """The lowest role that may sign an administrative instruction: the name of the state's field with its key."""
    if state.rulebook == RULEBOOK_DRIFT:
        return "admin"
    return VELOCITY_ROLES.get(instruction, WARM)


def keys_of(state: State, role: str) -> list[bytes]:
    """The keys that hold a role, the highest tier first; unset ones left out."""
    if role == "admin":
        return [state.admin]
    fields = [COLD]
    if role != COLD:
        fields.append(WARM)
    if role not in (COLD, WARM):
        fields.append(role)
    return [key for field in fields if (key := getattr(state, field)) != DEFAULT_KEY]


def holds(state: State, role: str, key: bytes) -> bool:
    """Whether ``key`` holds a role, by itself or by a higher tier."""
    return key in keys_of(state, role)
