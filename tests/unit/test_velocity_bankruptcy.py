"""Bankruptcies under Velocity: the estate, who pays in which order, latches, refusals (velocity/solvency.md §3-§7)."""

from typing import NamedTuple

import pytest
from support.losses import BANKRUPT, LIQUIDATOR, source, waterfall
from support.money import ONE_SOL, SOL, USDC
from support.trading import PERP, B, P
from support.velocity_losses import OTHER, VelocityLossVenue

from seawall.audit.conservation import check_state
from seawall.engine.attribution import attribute
from seawall.engine.receipts import EstateStep, Receipt, decode_receipt, encode_receipt
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdatePerpMarketPausedOperations,
    UpdateSpotMarketPausedOperations,
)
from seawall.instructions.amm import SettleFundingPayment
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.roles import UpdateSolvencyStatus
from seawall.instructions.solvency import ResolvePerpBankruptcy
from seawall.keys import key_to_text
from seawall.state.enums import (
    EXCHANGE_WITHDRAW_PAUSED,
    PERP_LIQUIDATION,
    POSITION_BANKRUPT,
    POSITION_BANKRUPTCY_CLAIM,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
    VELOCITY_SPOT_LIQUIDATION,
)


class Tranches(NamedTuple):
    """A perp debt and its sources (quote 1e6), and who pays what. The open base is 4."""

    name: str
    loss: int
    pending: int
    vault: int
    allowance: int
    granted: int
    untokenized: int
    fee_pool: int
    paid: tuple[int, int, int, int]
    socialised: int
    rate_delta: int
    limits: list[str]


TRANCHES = [
    Tranches("pending fees pay all", 100, 150, 1_000, 1_000, 50, 5, 40, (100, 0, 0, 0), 0, 0, []),
    Tranches("then the fund", 100, 30, 1_000, 1_000, 50, 5, 40, (30, 70, 0, 0), 0, 0, []),
    Tranches("less one unit", 100, 30, 60, 1_000, 0, 0, 0, (30, 59, 0, 0), 11, 3_000,
             ["insurance_fund_vault", "amm_protocol_fees_received", "amm_protocol_fees_received"]),
    Tranches("within the allowance", 100, 30, 1_000, 20, 500, 50, 400, (30, 20, 50, 0), 0, 0, ["quote_max_insurance"]),
    Tranches("then the AMM's provision", 100, 0, 0, 0, 80, 10, 400, (0, 0, 10, 70), 20, 5_000,
             ["quote_max_insurance", "insurance_fund_vault", "amm_protocol_fees_received"]),
    Tranches("no further than its tokens", 100, 0, 0, 0, 80, 10, 7, (0, 0, 10, 7), 83, 21_000,
             ["quote_max_insurance", "insurance_fund_vault"]),
]  # fmt: skip

SOURCES = ("pending_if_fee", "insurance_fund", "pending_amm_provision", "fee_pool")


@pytest.mark.parametrize("case", TRANCHES, ids=[case.name for case in TRANCHES])
def test_a_perp_debt_is_paid_in_order(case: Tranches) -> None:
    venue = VelocityLossVenue()
    if case.vault:
        venue.insure("@staker", USDC, case.vault)
    venue.allow(case.allowance)
    venue.pend(case.pending)
    venue.provide(case.granted, case.untokenized)
    venue.fund("fee_pool", case.fee_pool)
    venue.owe_perp(case.loss)
    receipt = venue.resolve_perp()
    found = waterfall(receipt)
    assert tuple(source(found, name).paid for name in SOURCES) == case.paid
    assert (found.loss, found.socialised, found.uncovered, found.outcome) == (case.loss, case.socialised, 0, "resolved")
    assert sorted(limit.name for limit in receipt.limits) == sorted(case.limits)
    pending, insurance, untokenized, tokenized = case.paid
    market = venue.perp_market(PERP)
    ledger, amm = market.fee_ledger, market.amm
    assert ledger.pending_if_fee == case.pending - pending
    assert ledger.pending_amm_provision == case.untokenized - untokenized
    assert ledger.amm_protocol_fees_received == case.granted - untokenized - tokenized
    assert amm.total_fee_minus_distributions == case.granted - untokenized - tokenized
    assert (amm.cumulative_funding_rate_long, amm.cumulative_funding_rate_short) == (case.rate_delta, -case.rate_delta)
    # the AMM itself neither pays nor gains by the change of the rates
    assert amm.last_cumulative_funding_rate_long == case.rate_delta
    assert (amm.total_social_loss, amm.net_unsettled_funding_pnl) == (case.socialised, -case.socialised)
    moved = {leg.account: leg.amount for leg in receipt.transfers}
    assert moved.get("perp_market.0.fee_pool", 0) == -tokenized
    assert moved.get("perp_market.0.pnl_pool", 0) == insurance + tokenized
    assert "dust" not in moved
    assert venue.vaults(USDC).insurance_fund_vault == case.vault - insurance
    user = venue.user(BANKRUPT)
    assert (user.perp_positions[0].quote_asset_amount, user.total_social_loss, user.status) == (0, case.loss, 0)
    assert check_state(venue.machine.store).findings == []


def test_a_covered_debt_needs_no_open_interest() -> None:
    venue = VelocityLossVenue(positions=False)
    venue.pend(99)
    venue.owe_perp(100)
    receipt = venue.resolve_perp()
    assert receipt.refusal is not None and receipt.refusal.error == "CantResolvePerpBankruptcy"
    assert "0.000001" in receipt.refusal.message and receipt.refusal.would_pass
    venue.pend(100)
    assert waterfall(venue.resolve_perp()).paid == 100


def test_what_everybody_bears_is_what_everybody_then_pays() -> None:
    venue = VelocityLossVenue()
    venue.owe_perp(1_000_003)
    found = waterfall(venue.resolve_perp())
    shares = attribute(venue.machine.store, found)
    by_base = {bearer.weight: bearer.share for bearer in shares.bearers}
    assert by_base == {3 * B: 750_003, -B: 250_001}
    assert sum(by_base.values()) + shares.index_rounding + shares.claims_rounding == found.socialised == 1_000_003
    for name in ("@long", "@short"):
        venue.ok(SettleFundingPayment(user=name), name)
    # what both sides paid settles what was booked as unsettled, but for a unit of rounding
    assert venue.perp.amm.net_unsettled_funding_pnl == 1


# --- the estate ------------------------------------------------------------------------------------------------


def steps(receipt: Receipt) -> list[tuple[str, int]]:
    return [(step.step, step.amount) for step in waterfall(receipt).estate]


def test_claims_and_deposits_pay_before_anybody_else() -> None:
    """Another market's pool pays what it can of the claim, the deposit that makes is set off, the rest is forfeited."""
    venue = VelocityLossVenue()
    venue.owe_perp(1_000)
    venue.claim(300)
    venue.fund("pnl_pool", 100, OTHER)
    receipt = venue.resolve_perp()
    found = waterfall(receipt)
    account = f"user.{key_to_text(venue.user(BANKRUPT).authority)}/0"
    assert found.estate == [
        EstateStep("recovered", 100, "perp_market.1.pnl_pool", account),
        EstateStep("set_off", 100, account, "perp_market.0.pnl_pool"),
        EstateStep("forfeited", 200, account, "perp_market.1.pending_if_fee"),
    ]
    assert (found.loss, found.socialised) == (900, 900)
    other = venue.perp_market(OTHER)
    assert (other.fee_ledger.pending_if_fee, other.amm.quote_asset_amount, other.number_of_users) == (200, 0, 0)
    # a forfeited claim is no liquidation fee
    assert other.fee_ledger.total_liquidation_fee == 0
    user = venue.user(BANKRUPT)
    assert [position.settled_pnl for position in user.perp_positions[:2]] == [-100, 100]
    assert (user.settled_perp_pnl, user.status, user.total_social_loss) == (0, 0, 900)
    assert check_state(venue.machine.store).findings == []
    assert decode_receipt(encode_receipt(receipt)).waterfall == found


def test_no_more_is_recovered_than_the_deposit_lacks() -> None:
    """The account was latched before the deposit arrived; what the deposit covers is not collected."""
    venue = VelocityLossVenue()
    venue.deposit(BANKRUPT, USDC, 40)
    venue.latch()
    venue.owe_perp(100)
    venue.claim(300)
    venue.fund("pnl_pool", 500, OTHER)
    receipt = venue.resolve_perp()
    assert steps(receipt) == [("recovered", 60), ("set_off", 100)]
    assert waterfall(receipt).outcome == "covered_by_set_off" and receipt.events == []
    user = venue.user(BANKRUPT)
    # the other claim is left alone, and the account is no longer bankrupt
    assert (user.perp_positions[1].quote_asset_amount, user.status, user.total_social_loss) == (240, 0, 0)


def test_an_account_with_something_to_seize_leaves_bankruptcy_and_nobody_pays() -> None:
    venue = VelocityLossVenue()
    venue.insure("@staker", USDC, 1_000)
    venue.allow(1_000)
    venue.deposit(BANKRUPT, SOL, ONE_SOL)
    venue.latch()
    venue.owe_perp(100)
    receipt = venue.resolve_perp()
    found = waterfall(receipt)
    assert (found.outcome, found.loss, found.sources, found.indices) == ("unlatched", 0, [], [])
    assert receipt.events == [] and receipt.transfers == [] and receipt.vaults == []
    user = venue.user(BANKRUPT)
    assert (user.status, user.perp_positions[0].quote_asset_amount) == (0, -100)


def test_claims_that_outweigh_the_debts_are_no_bankruptcy() -> None:
    venue = VelocityLossVenue()
    venue.owe_perp(100)
    venue.claim(101)
    receipt = venue.resolve_perp()
    assert receipt.refusal is not None and receipt.refusal.error == "UserNotBankrupt"
    assert "still owed 0.000001" in receipt.refusal.message


def test_dust_of_a_deposit_does_not_prevent_bankruptcy() -> None:
    venue = VelocityLossVenue()
    venue.owe_perp(100)
    user = venue.user(BANKRUPT)
    user.spot_positions[0].scaled_balance = 999
    venue.change_user(BANKRUPT, spot_positions=user.spot_positions)
    venue.change_market(USDC, deposit_balance=venue.market(USDC).deposit_balance + 999)
    found = waterfall(venue.resolve_perp())
    assert (found.loss, found.outcome) == (100, "resolved")


# --- isolated positions ----------------------------------------------------------------------------------------


def test_an_isolated_debt_is_not_paid_by_cross_margin() -> None:
    """Neither claims nor deposits of cross margin pay it, yet a claim that no pool can pay is forfeited for it."""
    venue = VelocityLossVenue()
    venue.insure("@staker", USDC, 1_000)
    venue.allow(1_000)
    venue.deposit(BANKRUPT, USDC, 500)
    venue.isolate(100)
    venue.claim(70)
    receipt = venue.resolve_perp()
    assert steps(receipt) == [("forfeited", 70)]
    assert source(waterfall(receipt), "insurance_fund").paid == 100
    event = receipt.events[-1][1]
    assert (event["bit_flags"], event["bankrupt"], event["liquidation_id"]) == (1, False, 1)
    assert (event["margin_requirement"], event["total_collateral"]) == (0, -100)
    user = venue.user(BANKRUPT)
    assert user.perp_positions[0].position_flag == POSITION_ISOLATED
    assert (venue.balance(BANKRUPT, USDC), user.next_liquidation_id) == (500_000, 2)


def test_isolated_collateral_ends_the_bankruptcy_of_its_position_only() -> None:
    venue = VelocityLossVenue()
    venue.isolate(100, collateral=1, flags=POSITION_BANKRUPT)
    venue.latch()
    receipt = venue.resolve_perp()
    assert waterfall(receipt).outcome == "unlatched" and receipt.events == []
    user = venue.user(BANKRUPT)
    assert (user.perp_positions[0].position_flag, user.status) == (POSITION_ISOLATED, USER_BANKRUPT)


def test_an_isolated_position_with_collateral_is_not_bankrupt() -> None:
    venue = VelocityLossVenue()
    venue.isolate(100, collateral=1)
    refusal = venue.resolve_perp().refusal
    assert refusal is not None and refusal.error == "UserNotBankrupt"
    assert "still has collateral" in refusal.message and "liquidate_perp_pnl_for_deposit" in refusal.would_pass


# --- latches and claims on pending fees --------------------------------------------------------------------------


def test_other_debts_keep_the_account_bankrupt_and_perp_comes_first() -> None:
    venue = VelocityLossVenue()
    venue.deposit("@long", SOL, 5 * ONE_SOL)
    venue.owe_perp(1_000)
    venue.owe_spot(SOL, ONE_SOL)
    refusal = venue.resolve_spot(SOL).refusal
    assert refusal is not None and refusal.error == "PerpBankruptcyMustPrecedeSpot"
    assert "resolve_perp_bankruptcy in perp market 0" in refusal.would_pass
    event = venue.resolve_perp().events[-1][1]
    assert event["bankrupt"] and venue.user(BANKRUPT).status == USER_BANKRUPT
    event = venue.resolve_spot(SOL).events[-1][1]
    assert not event["bankrupt"] and venue.user(BANKRUPT).status == 0


def test_a_claim_on_pending_fees_is_released_with_its_debt() -> None:
    venue = VelocityLossVenue()
    venue.claim(-100, PERP, flags=POSITION_BANKRUPTCY_CLAIM)
    venue.change_perp_market(PERP, pending_bankruptcy_claims=2)
    waterfall(venue.resolve_perp())
    assert venue.perp_market(PERP).pending_bankruptcy_claims == 1
    assert venue.user(BANKRUPT).perp_positions[0].position_flag == 0


def test_admission_counts_a_liquidation_only_where_none_is_under_way() -> None:
    for status, expected in ((0, 1), (USER_BEING_LIQUIDATED, 0), (USER_BANKRUPT, 0)):
        venue = VelocityLossVenue()
        venue.owe_perp(100)
        venue.change_user(BANKRUPT, status=status)
        assert venue.resolve_perp().events[-1][1]["liquidation_id"] == expected


# --- borrows ---------------------------------------------------------------------------------------------------


class Borrow(NamedTuple):
    """A borrow of SOL (1e9), what revenue pool and insurance hold; 10 SOL are deposited by users."""

    name: str
    loss: int
    revenue: int
    vault: int
    paid: tuple[int, int]
    index: int


BORROWS = [
    Borrow("the revenue pool pays all", ONE_SOL, 2 * ONE_SOL, 0, (ONE_SOL, 0), 10_000_000_000),
    Borrow("then insurance", ONE_SOL, ONE_SOL // 4, 2 * ONE_SOL, (ONE_SOL // 4, 3 * ONE_SOL // 4), 10_000_000_000),
    Borrow("less one unit", ONE_SOL, 0, ONE_SOL // 2 + 1, (0, ONE_SOL // 2), 9_500_000_000),
    Borrow("then every deposit", ONE_SOL, 0, 0, (0, 0), 9_000_000_000),
    Borrow("rounded up", 1, 0, 0, (0, 0), 9_999_999_999),
]


@pytest.mark.parametrize("case", BORROWS, ids=[case.name for case in BORROWS])
def test_a_borrow_is_paid_in_order(case: Borrow) -> None:
    venue = VelocityLossVenue(positions=False)
    venue.deposit("@long", SOL, 4 * ONE_SOL)
    venue.deposit("@short", SOL, 6 * ONE_SOL)
    if case.revenue:
        deposit = DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=SOL, amount=case.revenue)
        venue.ok(deposit, "@anyone")
    if case.vault:
        venue.insure("@staker", SOL, case.vault)
    venue.owe_spot(SOL, case.loss)
    receipt = venue.resolve_spot(SOL)
    found = waterfall(receipt)
    assert (source(found, "revenue_pool").paid, source(found, "insurance_fund").paid) == case.paid
    socialised = case.loss - sum(case.paid)
    assert (found.loss, found.socialised, found.uncovered) == (case.loss, socialised, 0)
    market = venue.market(SOL)
    assert (market.cumulative_deposit_interest, market.borrow_balance) == (case.index, 0)
    # the market counts what was socialised, the user the whole debt
    assert market.total_social_loss == socialised
    assert market.total_quote_social_loss == -(-socialised // 10)
    assert venue.user(BANKRUPT).total_social_loss == -(-case.loss // 10)
    event = receipt.events[-1][1]
    assert (event["bit_flags"], event["spot_bankruptcy"]["if_payment"]) == (0, case.paid[1])
    shares = attribute(venue.machine.store, found)
    assert sum(b.share for b in shares.bearers) + shares.index_rounding + shares.claims_rounding == socialised
    assert check_state(venue.machine.store).findings == []


def test_a_loss_of_all_deposits_leaves_a_unit_of_the_index() -> None:
    """What that unit keeps of the deposits nobody bears: the vault must have it beyond all claims."""
    venue = VelocityLossVenue(positions=False)
    venue.deposit("@long", SOL, 100 * ONE_SOL)
    venue.owe_spot(SOL, 100 * ONE_SOL)
    refusal = venue.resolve_spot(SOL).refusal
    assert refusal is not None and refusal.error == "SpotMarketVaultInvariantViolated"
    venue.change_vaults(SOL, spot_vault=10)
    found = waterfall(venue.resolve_spot(SOL))
    assert venue.market(SOL).cumulative_deposit_interest == 1
    assert (found.socialised, found.uncovered, found.rounding) == (100 * ONE_SOL - 10, 10, 0)
    shares = attribute(venue.machine.store, found)
    assert [bearer.share for bearer in shares.bearers] == [found.socialised]


def test_a_recovered_claim_ends_a_spot_bankruptcy() -> None:
    """It becomes a deposit, which ordinary liquidation seizes."""
    venue = VelocityLossVenue(positions=False)
    venue.deposit("@long", SOL, ONE_SOL)
    venue.owe_spot(SOL, ONE_SOL // 10**6)
    venue.latch()
    venue.claim(300)
    venue.fund("pnl_pool", 500, OTHER)
    receipt = venue.resolve_spot(SOL)
    # the borrow is worth 100 units: no more is collected
    assert steps(receipt) == [("recovered", 100)]
    assert (waterfall(receipt).outcome, receipt.events) == ("unlatched", [])
    assert (venue.balance(BANKRUPT, USDC), venue.user(BANKRUPT).status) == (100_000, 0)


def test_a_borrower_forfeits_what_no_pool_can_pay() -> None:
    venue = VelocityLossVenue(positions=False)
    venue.deposit("@long", SOL, ONE_SOL)
    venue.owe_spot(SOL, ONE_SOL // 10**6)
    venue.latch()
    venue.claim(300)
    receipt = venue.resolve_spot(SOL)
    assert steps(receipt) == [("forfeited", 100)]
    assert venue.perp_market(OTHER).fee_ledger.pending_if_fee == 100
    # the claim that is left keeps nothing latched: claims are no debts
    assert venue.user(BANKRUPT).perp_positions[OTHER].quote_asset_amount == 200


# --- gates and refusals ------------------------------------------------------------------------------------------


def test_only_the_solvency_bit_stops_repair() -> None:
    venue = VelocityLossVenue()
    venue.owe_perp(100)
    venue.ok(UpdateSolvencyStatus(solvency_status=1))
    refusal = venue.resolve_perp().refusal
    assert refusal is not None and refusal.error == "ExchangePaused" and "solvency_status" in refusal.would_pass
    assert venue.resolve_spot(SOL).refusal.error == "ExchangePaused"  # type: ignore[union-attr]
    assert venue.resolve_deficit().refusal.error == "ExchangePaused"  # type: ignore[union-attr]
    venue.ok(UpdateSolvencyStatus(solvency_status=2))
    assert venue.resolve_perp().refusal.error == "FailedUnwrap"  # type: ignore[union-attr]
    venue.ok(UpdateSolvencyStatus(solvency_status=0))
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_WITHDRAW_PAUSED))
    assert venue.resolve_perp().ok


def test_perp_refusals_in_the_programs_order() -> None:
    venue = VelocityLossVenue()
    refused = lambda **options: venue.resolve_perp(**options).refusal.error  # type: ignore[union-attr]  # noqa: E731
    assert refused(liquidator=BANKRUPT) == "UserCantLiquidateThemself"
    other_token = ResolvePerpBankruptcy(
        user=BANKRUPT, liquidator=LIQUIDATOR, quote_spot_market_index=SOL, market_index=PERP
    )
    assert venue.refused(other_token, LIQUIDATOR) == "InvalidSpotMarketAccount"
    assert refused() == "UserNotBankrupt"
    venue.claim(-100, OTHER)
    venue.latch(LIQUIDATOR)
    assert refused() == "UserBankrupt"
    venue.change_user(LIQUIDATOR, status=USER_BEING_LIQUIDATED)
    assert refused() == "UserIsBeingLiquidated"
    venue.change_user(LIQUIDATOR, status=0)
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_LIQUIDATION))
    assert refused() == "InvalidLiquidation"
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=0))
    assert refused() == "UserHasNoPositionInMarket"
    venue.claim(5, PERP)
    receipt = venue.resolve_perp()
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidPerpPositionToLiquidate"
    assert "owes it" in receipt.refusal.message and "perp market 1" in receipt.refusal.would_pass
    venue.change_perp_market(OTHER, pending_if_fee=100)
    assert venue.resolve_perp(market=OTHER).ok


def test_an_isolated_liquidation_of_the_liquidator_counts() -> None:
    venue = VelocityLossVenue()
    venue.owe_perp(100)
    user = venue.user(LIQUIDATOR)
    user.perp_positions[3].position_flag = POSITION_ISOLATED + POSITION_BEING_LIQUIDATED
    venue.change_user(LIQUIDATOR, perp_positions=user.perp_positions)
    assert venue.resolve_perp().refusal.error == "UserIsBeingLiquidated"  # type: ignore[union-attr]


def test_spot_refusals_in_the_programs_order() -> None:
    venue = VelocityLossVenue()
    refused = lambda: venue.resolve_spot(SOL).refusal.error  # type: ignore[union-attr]  # noqa: E731
    assert refused() == "UserNotBankrupt"
    venue.owe_spot(USDC, 100 * P)
    assert refused() == "CouldNotFindSpotPosition"
    venue.deposit("@long", SOL, ONE_SOL)
    venue.owe_spot(SOL, ONE_SOL)
    venue.latch(LIQUIDATOR)
    assert refused() == "UserBankrupt"
    venue.change_user(LIQUIDATOR, status=0)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=VELOCITY_SPOT_LIQUIDATION))
    assert refused() == "InvalidLiquidation"
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=0))
    assert venue.resolve_spot(SOL).ok
    assert refused() == "UserHasInvalidBorrow"
