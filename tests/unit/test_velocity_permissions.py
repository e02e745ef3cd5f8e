"""Who may ask for what under Velocity: the whole table of role by instruction. One without a row fails the test."""

from typing import Any

import pytest
from support.money import ADMIN, ETH, USDC
from support.samples import ALL, sample
from support.venues import ALICE, BOB, MALLORY, SOL_PERP, WholeVenue
from support.venues import small_tables as small_tables
from unit.test_permissions import DEPUTY, TABLE, asked, prepared

from seawall.engine.permissions import HOT_ROLES
from seawall.engine.rulebook import rulebook
from seawall.instructions.administration import UpdateAdmin, UpdateExchangeStatus, UpdatePerpMarketPausedOperations
from seawall.instructions.migration import MigrateToVelocity
from seawall.instructions.protocol_fees import WithdrawProtocolFeesSpot
from seawall.instructions.roles import (
    UpdateFeatureBitFlags,
    UpdateHotAdmin,
    UpdatePauseAdmin,
    UpdateProtocolFeeRecipient,
    UpdateWarmAdmin,
)

prepared_drift = prepared
"""The venue of the Drift table: Alice's accounts have a delegate, an order rests."""

HOT = {role: f"@hot-{role}" for role in HOT_ROLES}
SIGNERS = {
    "cold": ADMIN, "warm": "@warm", "pause": "@pause", **HOT,
    "authority": ALICE, "delegate": DEPUTY, "stranger": MALLORY,
}  # fmt: skip
"""Each role by who has it and no higher one."""

ANYONE = frozenset(SIGNERS)
COLD = frozenset({"cold"})
WARM = frozenset({"cold", "warm"})
PAUSE = WARM | {"pause"}

NOT_WARM: dict[str, frozenset[str]] = {
    "update_admin": COLD,
    "update_warm_admin": COLD,
    "update_pause_admin": COLD,
    "update_protocol_fee_recipient": COLD,
    "update_solvency_status": COLD,
    "update_exchange_status": PAUSE,
    "update_spot_market_paused_operations": PAUSE,
    "update_spot_market_if_paused_operations": PAUSE,
    "update_perp_market_paused_operations": PAUSE,
    "update_perp_market_disable_formulaic_k_update": WARM,
    "update_feature_bit_flags": WARM | {"FeatureFlag"},
    "update_perp_market_amm_summary_stats": WARM | {"AmmCrank"},
    "update_amm_spread_adjustment": WARM | {"AmmSpreadAdjust"},
    "update_mm_oracle": WARM | {"MmOracleCrank"},
    "deposit_into_perp_market_fee_pool": WARM | {"VaultDeposit"},
    "deposit_into_spot_market_vault": WARM | {"VaultDeposit"},
    "withdraw_protocol_fees_perp": WARM | {"FeeWithdraw"},
    "withdraw_protocol_fees_spot": WARM | {"FeeWithdraw"},
    "admin_disable_update_perp_bid_ask_twap": WARM | {"UserFlag"},
}
"""Administrative instructions whose lowest role is another than the warm admin."""

OWN: dict[str, tuple[frozenset[str], dict[str, Any]]] = {
    # anyone
    "sweep_perp_market_fees": (ANYONE, {}),
    "pause_spot_market_deposit_withdraw": (ANYONE, {}),
    "settle_revenue_share": (ANYONE, {}),
    "update_user_quote_asset_insurance_stake": (ANYONE, {}),
    # owners
    "deposit_into_isolated_perp_position": (frozenset({"authority", "delegate"}), {"amount": 1}),
    "transfer_isolated_perp_position_deposit": (frozenset({"authority", "delegate"}), {"amount": 1}),
    "withdraw_from_isolated_perp_position": (frozenset({"authority"}), {"amount": 1}),
    "update_user_perp_position_custom_margin_ratio": (frozenset({"authority"}), {}),
    "initialize_revenue_share_escrow": (frozenset({"authority"}), {}),
    "set_user_vault_owned": (frozenset({"authority"}), {}),
    "update_user_pool_id": (frozenset({"authority"}), {}),
    "change_approved_builder": (frozenset({"authority"}), {"builder": BOB.partition("/")[0]}),
    "complete_revenue_share_order": (frozenset({"authority"}) | WARM, {}),
    "forfeit_revenue_share_order": (ANYONE, {}),
    "settle_expired_market": (WARM, {}),
    # Alice takes over what Bob cannot bear
    "liquidate_perp_with_fill": (frozenset({"authority", "delegate"}), {"user": BOB, "liquidator": ALICE}),
    "liquidate_spot_with_swap": (frozenset({"authority", "delegate"}), {"user": BOB, "liquidator": ALICE}),
}
"""Instructions that only Velocity has, or asks others to sign; what is in neither table is the warm admin's."""


def rows() -> list[tuple[str, frozenset[str], dict[str, Any]]]:
    """Every instruction of Velocity with the roles that may sign it."""
    found: list[tuple[str, frozenset[str], dict[str, Any]]] = []
    for name, cls in ALL.items():
        if cls not in rulebook("velocity").handlers:
            continue
        if name in OWN:
            found.append((name, *OWN[name]))
        elif name in TABLE:
            for allowed, given in TABLE[name]:
                everybody = len(allowed) == 4
                roles = ANYONE if everybody else (allowed - {"admin"}) | (WARM if "admin" in allowed else frozenset())
                found.append((name, roles, given))
        else:
            found.append((name, NOT_WARM.get(name, WARM), {}))
    return found


@pytest.fixture(scope="module")
def velocity(prepared_drift: WholeVenue) -> WholeVenue:
    """The same venue, migrated, with a key for every role."""
    venue = prepared_drift
    venue.ok(MigrateToVelocity())
    venue.ok(UpdateWarmAdmin(warm_admin="@warm"))
    venue.ok(UpdatePauseAdmin(pause_admin="@pause"))
    for role, key in HOT.items():
        venue.ok(UpdateHotAdmin(role=role, key=key))  # type: ignore[arg-type]
    return venue


@pytest.mark.parametrize(("name", "allowed", "given"), rows(), ids=[name for name, *_ in rows()])
def test_who_may_ask(velocity: WholeVenue, name: str, allowed: frozenset[str], given: dict[str, Any]) -> None:
    """Every role that may not ask is refused as Unauthorized; every role that may is never refused for that."""
    for role, signer in SIGNERS.items():
        refusal = asked(velocity, sample(ALL[name], **given), signer)
        if role in allowed:
            assert refusal is None or refusal.error != "Unauthorized", (role, refusal)
        else:
            assert refusal is not None and refusal.error == "Unauthorized", (role, refusal)


# --- by what is asked --------------------------------------------------------------------------------------------


def served(venue: WholeVenue, instruction: Any) -> set[str]:
    """The roles that an instruction is carried out for."""
    return {role for role, signer in SIGNERS.items() if asked(venue, instruction, signer) is None}


def test_a_feature_is_switched_on_by_cold_alone_and_off_by_its_hot_key(velocity: WholeVenue) -> None:
    """The hot key FeatureFlag may only clear a bit."""
    assert served(velocity, UpdateFeatureBitFlags(feature="BuilderCodes", enable=True)) == {"cold"}
    off = UpdateFeatureBitFlags(feature="BuilderCodes", enable=False)
    assert served(velocity, off) == {"cold", "warm", "FeatureFlag"}


@pytest.mark.parametrize(
    ("old", "new", "roles"),
    [
        (0, 1, {"cold", "warm", "pause"}),
        (1, 0, {"cold", "warm"}),
        (0, 8, {"cold", "pause"}),
        (8, 9, {"cold", "warm", "pause"}),
        (8, 0, {"cold"}),
        (128, 0, {"cold", "warm"}),
        (9, 1, {"cold"}),
    ],
)
def test_perp_pauses_are_lifted_by_cold_but_for_funding_and_the_sweep(
    velocity: WholeVenue, old: int, new: int, roles: set[str]
) -> None:
    """Warm changes UpdateFunding and SettleRevPool both ways and nothing else; the pause admin only adds bits."""
    venue = velocity
    venue.ok(UpdatePerpMarketPausedOperations(market_index=SOL_PERP, paused_operations=old))
    assert served(venue, UpdatePerpMarketPausedOperations(market_index=SOL_PERP, paused_operations=new)) == roles
    venue.ok(UpdatePerpMarketPausedOperations(market_index=SOL_PERP, paused_operations=0))


def test_the_pause_admin_only_adds(velocity: WholeVenue) -> None:
    """Whoever may resume the exchange may pause it, but not the other way round."""
    assert served(velocity, UpdateExchangeStatus(exchange_status=3)) == {"cold", "warm", "pause"}
    velocity.ok(UpdateExchangeStatus(exchange_status=3))
    assert served(velocity, UpdateExchangeStatus(exchange_status=1)) == {"cold", "warm"}
    assert served(velocity, UpdateExchangeStatus(exchange_status=7)) == {"cold", "warm", "pause"}
    velocity.ok(UpdateExchangeStatus(exchange_status=0))


def test_protocol_fees_go_to_their_recipient_alone(velocity: WholeVenue) -> None:
    """Without a recipient nothing is paid out; with one, to nobody else, whoever signs."""
    asks = WithdrawProtocolFeesSpot(market_index=USDC, amount=1)
    hot = HOT["FeeWithdraw"]
    assert (refusal := asked(velocity, asks, hot)) and refusal.error == "InvalidProtocolFeeRecipient"
    velocity.ok(UpdateProtocolFeeRecipient(market_type="spot", recipient="@treasury"))
    assert (refusal := asked(velocity, asks, hot)) and refusal.error == "InsufficientProtocolFees"
    elsewhere = WithdrawProtocolFeesSpot(market_index=ETH, amount=1, recipient="@mallory")
    assert (refusal := asked(velocity, elsewhere, hot)) and refusal.error == "InvalidProtocolFeeRecipient"


def test_an_unset_key_is_nobody(velocity: WholeVenue) -> None:
    """The all-zero key never matches, also where a role is unset: a cold tier given away is gone for ever."""
    nobody = "1" * 32
    assert (refusal := asked(velocity, UpdateAdmin(admin=MALLORY), nobody)) and refusal.error == "Unauthorized"
    venue = WholeVenue()
    venue.ok(MigrateToVelocity())
    venue.ok(UpdateAdmin(admin=nobody))
    assert venue.refused(UpdateAdmin(admin=ADMIN), ADMIN) == "Unauthorized"
    assert venue.refused(UpdateAdmin(admin=ADMIN), nobody) == "Unauthorized"
