"""Who may ask for what: every instruction against every kind of signer. An instruction without a row fails the test."""

from typing import Any

import pytest
from support.money import ADMIN, ETH, ONE_USDC, USDC
from support.samples import ALL, sample
from support.venues import ALICE, ALICE_1, BOB, CAROL, DAVE, DESK, MALLORY, SOL_PERP, STEP, WholeVenue, copied
from support.venues import small_tables as small_tables

from seawall.engine.machine import Request
from seawall.engine.receipts import Refusal
from seawall.engine.rulebook import rulebook
from seawall.instructions.administration import UpdateAdmin
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Deposit
from seawall.instructions.perp_fills import MatchFill, ReservePerpOrder
from seawall.instructions.user_settings import UpdateUserDelegate, UpdateUserName
from seawall.instructions.venue_setup import FundWallet

DEPUTY = "@deputy"
"""The delegate of Alice's accounts. It has no account of its own, but a wallet."""

SIGNERS = {"admin": ADMIN, "authority": ALICE, "delegate": DEPUTY, "stranger": MALLORY}
"""Each role by who has it. The instructions below are about Alice's accounts and stakes."""

ANYONE = frozenset(SIGNERS)
ADMIN_ONLY = frozenset({"admin"})
OWNER = frozenset({"authority"})
OWNER_OR_DELEGATE = frozenset({"authority", "delegate"})
OPERATOR = frozenset({"authority", "delegate", "admin"})
"""The admin runs the order book, so it may reserve, release and fill for everybody."""

Row = tuple[frozenset[str], dict[str, Any]]

TABLE: dict[str, list[Row]] = {
    # money
    "deposit": [(OWNER_OR_DELEGATE, {"amount": 1})],
    "withdraw": [(OWNER, {"amount": 1})],
    "transfer_deposit": [(OWNER, {"to_user": ALICE_1, "amount": 1})],
    "swap": [(OWNER_OR_DELEGATE, {"out_market_index": ETH, "amount_in": 2_000, "amount_out": 1})],
    "deposit_into_spot_market_revenue_pool": [(OWNER, {"amount": 1})],
    "deposit_into_insurance_fund": [(OWNER, {"amount": 1})],
    "fund_wallet": [(ADMIN_ONLY, {})],
    # orders and fills
    "reserve_perp_order": [(OPERATOR, {"base_asset_amount": STEP})],
    "release_perp_order": [(OPERATOR, {"base_asset_amount": STEP})],
    "release_perp_orders": [(OPERATOR, {})],
    "place_and_take_perp_order": [
        (OPERATOR, {"base_asset_amount": STEP}),
        (ADMIN_ONLY, {"base_asset_amount": STEP, "makers": [BOB]}),
        (
            ADMIN_ONLY,
            {"base_asset_amount": STEP, "fills": [MatchFill(maker=BOB, price=10**8, base_asset_amount=STEP)]},
        ),
    ],
    "fill_perp_order": [(ADMIN_ONLY, {"base_asset_amount": STEP})],
    "reserve_spot_order": [(OPERATOR, {"market_index": ETH, "base_asset_amount": 1})],
    "release_spot_order": [(OPERATOR, {"market_index": USDC})],
    "fill_spot_order": [(ADMIN_ONLY, {"market_index": ETH})],
    # cranks
    "settle_pnl": [(ANYONE, {})],
    "settle_multiple_pnls": [(ANYONE, {})],
    "settle_funding_payment": [(ANYONE, {})],
    "settle_expired_market": [(ANYONE, {})],
    "settle_revenue_to_insurance_fund": [(ANYONE, {})],
    "settle_spot_fee_pool_to_revenue_pool": [(ANYONE, {})],
    "update_amms": [(ANYONE, {})],
    "update_funding_rate": [(ANYONE, {})],
    "update_spot_market_cumulative_interest": [(ANYONE, {})],
    "settle_pnl_batch": [(ANYONE, {"users": []})],
    "settle_expired_batch": [(ANYONE, {"users": []})],
    "settle_funding_batch": [(ANYONE, {"users": []})],
    "resolve_perp_pnl_deficit": [(ANYONE, {})],
    "set_user_status_to_being_liquidated": [(ANYONE, {})],
    "clear_user_status_being_liquidated": [(ANYONE, {})],
    # Alice takes over what Bob cannot bear
    "liquidate_perp": [(OWNER_OR_DELEGATE, {"user": BOB, "liquidator": ALICE})],
    "liquidate_spot": [(OWNER_OR_DELEGATE, {"user": BOB, "liquidator": ALICE})],
    "liquidate_borrow_for_perp_pnl": [(OWNER_OR_DELEGATE, {"user": BOB, "liquidator": ALICE})],
    "liquidate_perp_pnl_for_deposit": [(OWNER_OR_DELEGATE, {"user": BOB, "liquidator": ALICE})],
    "resolve_perp_bankruptcy": [(OWNER_OR_DELEGATE, {"user": BOB, "liquidator": ALICE})],
    "resolve_spot_bankruptcy": [(OWNER_OR_DELEGATE, {"user": BOB, "liquidator": ALICE})],
    # stakes
    "initialize_insurance_fund_stake": [(OWNER, {"market_index": ETH})],
    "add_insurance_fund_stake": [(OWNER, {"amount": 1})],
    "request_remove_insurance_fund_stake": [(OWNER, {"amount": 1})],
    "cancel_request_remove_insurance_fund_stake": [(OWNER, {})],
    "remove_insurance_fund_stake": [(OWNER, {})],
    "update_user_quote_asset_insurance_stake": [(OWNER, {})],
    "admin_remove_insurance_fund_stake": [(ADMIN_ONLY, {})],
    "initialize_protocol_if_shares_transfer_config": [(ADMIN_ONLY, {})],
    "update_protocol_if_shares_transfer_config": [(ADMIN_ONLY, {})],
    # accounts
    "initialize_user": [(OWNER, {"user": f"{ALICE}/2"})],
    "delete_user": [(OWNER, {"user": ALICE_1})],
    "update_user_name": [(OWNER, {})],
    "update_user_delegate": [(OWNER, {})],
    "update_user_custom_margin_ratio": [(OWNER, {})],
    "update_user_margin_trading_enabled": [(OWNER, {})],
    "update_user_reduce_only": [(OWNER, {})],
    # by what the signer has, not by who it is: see below
    "initialize": [(ANYONE, {})],
    "transfer_protocol_if_shares": [],
    "update_perp_bid_ask_twap": [],
}
"""By instruction: who may ask for it, and the arguments that matter. What is not here is in ``ADMINISTRATION``."""

ADMINISTRATION = {
    "add_oracle", "admin_disable_update_perp_bid_ask_twap",
    "delete_initialized_perp_market", "delete_initialized_spot_market",
    "deposit_into_perp_market_fee_pool", "initialize_perp_market", "initialize_spot_market", "migrate_to_velocity",
    "post_oracle_price",
    "repeg_amm_curve", "resolve_with_associated_spot", "settle_expired_market_pools_to_revenue_pool", "update_admin",
    "update_amm_jit_intensity", "update_exchange_status", "update_initial_pct_to_liquidate",
    "update_insurance_fund_unstaking_period", "update_k", "update_liquidation_duration",
    "update_liquidation_margin_buffer_ratio", "update_oracle_guard_rails", "update_perp_auction_duration",
    "update_perp_fee_structure", "update_perp_liquidation_fee", "update_perp_market_amm_summary_stats",
    "update_perp_market_associated_spot", "update_perp_market_contract_tier",
    "update_perp_market_curve_update_intensity", "update_perp_market_expiry", "update_perp_market_fee_adjustment",
    "update_perp_market_funding_period", "update_perp_market_imf_factor", "update_perp_market_margin_ratio",
    "update_perp_market_max_imbalances", "update_perp_market_max_open_interest", "update_perp_market_max_spread",
    "update_perp_market_paused_operations", "update_perp_market_status",
    "update_perp_market_unrealized_asset_weight", "update_spot_fee_pool_target", "update_spot_fee_structure",
    "update_spot_market_asset_tier", "update_spot_market_borrow_rate", "update_spot_market_expiry",
    "update_spot_market_fee_adjustment", "update_spot_market_if_factor",
    "update_spot_market_if_paused_operations", "update_spot_market_liquidation_fee",
    "update_spot_market_margin_weights", "update_spot_market_max_token_deposits",
    "update_spot_market_paused_operations", "update_spot_market_revenue_settle_period",
    "update_spot_market_scale_initial_asset_weight_start", "update_spot_market_status",
    "update_state_settlement_duration", "update_withdraw_guard_threshold",
}  # fmt: skip
"""The admin alone, whatever the arguments: it is asked who signs before anything is looked at."""


ROWS = [
    *((name, allowed, given) for name, entries in TABLE.items() for allowed, given in entries),
    *((name, ADMIN_ONLY, {}) for name in sorted(ADMINISTRATION)),
]


@pytest.fixture(scope="module")
def prepared() -> WholeVenue:
    """Alice's accounts have a delegate with a wallet, an order rests, and nothing else stands in the way."""
    venue = WholeVenue()
    for user in (ALICE, ALICE_1):
        venue.ok(UpdateUserDelegate(user=user, delegate=DEPUTY), ALICE)
    venue.ok(FundWallet(authority=DEPUTY, market_index=USDC, amount=ONE_USDC))
    for user, side in ((ALICE, "Long"), (BOB, "Short")):
        ix = ReservePerpOrder(user=user, market_index=SOL_PERP, direction=side, base_asset_amount=STEP)  # type: ignore[arg-type]
        venue.ok(ix, user)
    return venue


def asked(venue: WholeVenue, instruction: Instruction, signer: str) -> Refusal | None:
    """What comes of an instruction on a copy of the venue; a refused one must leave the copy as it was."""
    machine = copied(venue.machine)
    before = machine.store.root()
    receipt, _ = machine.execute(Request(instruction, signer, venue.clock))
    if receipt.refusal is not None:
        assert machine.store.root() == before
    return receipt.refusal


# --- the table ---------------------------------------------------------------------------------------------------


def test_every_instruction_has_a_row() -> None:
    """Whoever adds an instruction says here who may ask for it."""
    drift = {name for name, cls in ALL.items() if cls in rulebook("drift").handlers}
    assert TABLE.keys() | ADMINISTRATION == drift
    assert not TABLE.keys() & ADMINISTRATION


@pytest.mark.parametrize(("name", "allowed", "given"), ROWS, ids=[name for name, *_ in ROWS])
@pytest.mark.parametrize("role", SIGNERS)
def test_who_may_ask(
    prepared: WholeVenue, role: str, name: str, allowed: frozenset[str], given: dict[str, Any]
) -> None:
    """Who may not ask is refused as Unauthorized and told who may; who may is never refused for that."""
    refusal = asked(prepared, sample(ALL[name], **given), SIGNERS[role])
    if role in allowed:
        assert refusal is None or refusal.error != "Unauthorized", refusal
    else:
        assert refusal is not None and refusal.error == "Unauthorized", refusal
        assert refusal.message.startswith("this needs the ")


REACHED = {
    "add_insurance_fund_stake", "deposit", "deposit_into_insurance_fund", "deposit_into_spot_market_revenue_pool",
    "fund_wallet", "initialize_insurance_fund_stake", "initialize_user", "place_and_take_perp_order",
    "release_perp_order", "release_perp_orders", "reserve_perp_order", "reserve_spot_order",
    "settle_funding_payment", "settle_multiple_pnls", "settle_spot_fee_pool_to_revenue_pool", "swap",
    "transfer_deposit", "update_amms", "update_spot_market_cumulative_interest", "update_user_custom_margin_ratio",
    "update_user_delegate", "update_user_margin_trading_enabled", "update_user_name", "update_user_reduce_only",
    "update_user_quote_asset_insurance_stake", "withdraw",
}  # fmt: skip


@pytest.mark.parametrize("name", sorted(REACHED))
def test_whoever_may_ask_is_served(prepared: WholeVenue, name: str) -> None:
    """Where nothing else is wrong, everybody who may ask gets what he asked for."""
    for allowed, given in TABLE[name][:1]:
        for role in allowed:
            assert asked(prepared, sample(ALL[name], **given), SIGNERS[role]) is None, role


# --- by what the signer has --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("signer", "error"),
    [
        (DESK, "InsufficientIFShares"),
        (ADMIN, "DefaultError"),
        (ALICE, "DefaultError"),
        (MALLORY, "DefaultError"),
        ("1" * 32, "DefaultError"),
    ],
)
def test_protocol_shares_move_by_the_whitelist(prepared: WholeVenue, signer: str, error: str) -> None:
    """Neither admin nor owner may hand out protocol shares, only who is whitelisted; empty places stand for nobody."""
    ix = sample(ALL["transfer_protocol_if_shares"], shares=10**9)
    refusal = asked(prepared, ix, signer)
    assert refusal is not None and refusal.error == error
    assert ("may not transfer protocol shares" in refusal.message) == (error == "DefaultError")


@pytest.mark.parametrize(
    ("signer", "error"),
    [(DAVE, None), (ALICE, "CantUpdatePerpBidAskTwap"), (CAROL, "CantUpdatePerpBidAskTwap"), (ADMIN, "UserNotFound")],
)
def test_the_books_prices_are_reported_by_keepers_with_a_stake(
    prepared: WholeVenue, signer: str, error: str | None
) -> None:
    """Who has staked 1,000 of quote may report the best prices, and nobody else, the admin included."""
    refusal = asked(prepared, sample(ALL["update_perp_bid_ask_twap"]), signer)
    assert (refusal and refusal.error) == error


def test_the_empty_key_is_nobodys_delegate(prepared: WholeVenue) -> None:
    """An account without a delegate has the all-zero key there; who signs with that key is no delegate."""
    refusal = asked(prepared, Deposit(user=BOB, market_index=USDC, amount=1), "1" * 32)
    assert refusal is not None and refusal.error == "Unauthorized"


def test_a_delegate_is_one_of_the_account_it_was_named_for(prepared: WholeVenue) -> None:
    """A delegate of Alice's is nobody to Bob, and once replaced nobody to Alice."""
    refusal = asked(prepared, Deposit(user=BOB, market_index=USDC, amount=1), DEPUTY)
    assert refusal is not None and refusal.error == "Unauthorized"
    venue = WholeVenue()
    venue.ok(UpdateUserDelegate(user=ALICE, delegate=DEPUTY), ALICE)
    venue.ok(UpdateUserDelegate(user=ALICE, delegate=BOB), ALICE)
    assert venue.refused(Deposit(user=ALICE, market_index=USDC, amount=1), DEPUTY) == "Unauthorized"
    venue.ok(Deposit(user=ALICE, market_index=USDC, amount=1), BOB)


def test_who_handed_the_exchange_over_is_admin_no_more() -> None:
    """The new admin may everything the old one may no longer; owners notice nothing."""
    venue = WholeVenue()
    venue.ok(UpdateAdmin(admin=DESK))
    assert venue.refused(UpdateAdmin(admin=ADMIN), ADMIN) == "Unauthorized"
    venue.ok(FundWallet(authority=ALICE, market_index=USDC, amount=1), DESK)
    venue.ok(UpdateUserName(user=ALICE, name="pier"), ALICE)
