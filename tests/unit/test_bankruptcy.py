"""Resolving bankruptcies: who pays, in which order, who bears the rest, and what is refused (solvency.md §4, §5)."""

from typing import NamedTuple

import msgspec
import pytest
from support.losses import BANKRUPT, LIQUIDATOR, LossVenue, source, waterfall
from support.money import ONE_SOL, SOL, USDC
from support.trading import PERP, B, P

from seawall.audit.conservation import check_state
from seawall.engine.attribution import OtherState, attribute
from seawall.engine.receipts import decode_receipt, encode_receipt
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdatePerpMarketPausedOperations,
    UpdateSpotMarketPausedOperations,
    UpdateSpotMarketRevenueSettlePeriod,
)
from seawall.instructions.amm import SettleFundingPayment
from seawall.instructions.base import decode
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.solvency import ResolveSpotBankruptcy
from seawall.state.enums import (
    EXCHANGE_LIQ_PAUSED,
    EXCHANGE_WITHDRAW_PAUSED,
    PERP_LIQUIDATION,
    SPOT_LIQUIDATION,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
)


class Perp(NamedTuple):
    """A perp debt and its sources (quote 1e6), and who pays what. The open base is 4."""

    name: str
    loss: int
    vault: int
    allowance: int
    fee_pool: int
    insured: int
    from_fees: int
    socialised: int
    rate_delta: int
    rounding: int
    limits: list[str]


PERPS = [
    Perp("insurance pays all", 100, 1_000, 1_000, 50, 100, 0, 0, 0, 0, []),
    Perp("the fund keeps one unit", 100, 60, 1_000, 0, 59, 0, 41, 11_000, -3, ["insurance_fund_vault"]),
    Perp("the market's allowance", 100, 1_000, 30, 0, 30, 0, 70, 18_000, -2, ["quote_max_insurance"]),
    Perp("then the fee pool", 100, 1_000, 30, 50, 30, 50, 20, 5_000, 0, ["quote_max_insurance"]),
    Perp("which may suffice", 100, 1_000, 30, 500, 30, 70, 0, 0, 0, ["quote_max_insurance"]),
    Perp("nothing there", 1, 0, 0, 0, 0, 0, 1, 1_000, -3, ["insurance_fund_vault", "quote_max_insurance"]),
]  # fmt: skip


def perp_venue(case: Perp) -> LossVenue:
    venue = LossVenue()
    if case.vault:
        venue.insure("@staker", USDC, case.vault)
    venue.allow(case.allowance)
    venue.fill_fee_pool(case.fee_pool)
    venue.owe_perp(case.loss)
    return venue


@pytest.mark.parametrize("case", PERPS, ids=[case.name for case in PERPS])
def test_a_perp_debt_is_paid_in_order(case: Perp) -> None:
    venue = perp_venue(case)
    amm = venue.perp.amm
    rate = amm.cumulative_funding_rate_long
    receipt = venue.resolve_perp()
    found = waterfall(receipt)
    insurance, fees = source(found, "insurance_fund"), source(found, "fee_pool")
    assert (found.loss, insurance.paid, fees.paid, found.socialised, found.rounding, found.uncovered) == (
        case.loss, case.insured, case.from_fees, case.socialised, case.rounding, 0,
    )  # fmt: skip
    assert (insurance.held, fees.held) == (case.vault, case.fee_pool)
    assert sorted(limit.name for limit in receipt.limits) == case.limits
    after = venue.perp
    assert after.amm.cumulative_funding_rate_long - rate == case.rate_delta
    assert after.insurance_claim.quote_settled_insurance == case.insured
    assert after.amm.total_social_loss == case.socialised
    assert venue.vaults(USDC).insurance_fund_vault == case.vault - case.insured
    # the fee pool's tokens go to nobody: the program's leak
    moved = {leg.account: leg.amount for leg in receipt.transfers}
    assert moved.get("perp_market.0.fee_pool", 0) == -case.from_fees
    assert moved.get("dust", 0) == case.from_fees
    assert moved.get("perp_market.0.pnl_pool", 0) == case.insured
    user = venue.user(BANKRUPT)
    assert (user.perp_positions[0].quote_asset_amount, user.total_social_loss, user.status) == (0, case.loss, 0)
    assert check_state(venue.machine.store).findings == []


def test_what_everybody_bears_is_what_everybody_then_pays() -> None:
    """Each position's share is what its next funding settlement costs more; shares and roundings sum to the loss."""
    venue = LossVenue()
    venue.owe_perp(1_000_003)
    without = {name: venue.perp_position(name).quote_asset_amount for name in ("@long", "@short")}
    found = waterfall(venue.resolve_perp())
    shares = attribute(venue.machine.store, found)
    by_base = {bearer.weight: bearer.share for bearer in shares.bearers}
    assert by_base == {3 * B: 750_003, -B: 250_001}
    assert sum(by_base.values()) + shares.index_rounding + shares.claims_rounding == found.socialised == 1_000_003
    assert (shares.index_rounding, shares.claims_rounding) == (-1, 0)
    for name, base in (("@long", 3 * B), ("@short", -B)):
        venue.ok(SettleFundingPayment(user=name), name)
        assert without[name] - venue.perp_position(name).quote_asset_amount == by_base[base]
    with pytest.raises(OtherState):
        attribute(venue.machine.store, msgspec.structs.replace(found, indices=found.indices[::-1]))


class Spot(NamedTuple):
    """A borrow of SOL (1e9) and what insurance holds; 10 SOL are deposited."""

    name: str
    loss: int
    vault: int
    insured: int
    index: int


SPOTS = [
    Spot("insurance pays all", ONE_SOL, 2 * ONE_SOL, ONE_SOL, 10_000_000_000),
    Spot("the fund keeps one unit", ONE_SOL, ONE_SOL // 2 + 1, ONE_SOL // 2, 9_500_000_000),
    Spot("no insurance", ONE_SOL, 0, 0, 9_000_000_000),
    Spot("rounded up", 1, 0, 0, 9_999_999_999),
    Spot("to the last token", 10 * ONE_SOL, 0, 0, 0),
]


@pytest.mark.parametrize("case", SPOTS, ids=[case.name for case in SPOTS])
def test_a_borrow_is_paid_in_order(case: Spot) -> None:
    venue = LossVenue(positions=False)
    venue.deposit("@long", SOL, 4 * ONE_SOL)
    venue.deposit("@short", SOL, 6 * ONE_SOL)
    if case.vault:
        venue.insure("@staker", SOL, case.vault)
    venue.owe_spot(SOL, case.loss)
    found = waterfall(venue.resolve_spot(SOL))
    assert (found.loss, found.paid, found.socialised) == (case.loss, case.insured, case.loss - case.insured)
    market = venue.market(SOL)
    assert (market.cumulative_deposit_interest, market.borrow_balance) == (case.index, 0)
    # the whole debt counts, insured part included
    assert (market.total_social_loss, market.total_quote_social_loss) == (case.loss, -(-case.loss * 100 // 1_000))
    user = venue.user(BANKRUPT)
    assert (user.status, user.total_social_loss) == (0, market.total_quote_social_loss)
    shares = attribute(venue.machine.store, found)
    assert sum(b.share for b in shares.bearers) + shares.index_rounding + shares.claims_rounding == found.socialised
    assert sum(b.share for b in shares.insurers) + shares.insurers_rounding == shares.insured == case.insured
    if case.name == "no insurance":
        assert [bearer.share for bearer in shares.bearers] == [4 * ONE_SOL // 10, 6 * ONE_SOL // 10]


def test_every_deposit_bears_pools_too() -> None:
    venue = LossVenue(positions=False)
    venue.fill_fee_pool(1_000 * P)
    venue.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=500 * P), "@anyone")
    venue.owe_spot(USDC, 20_000 * P)
    shares = attribute(venue.machine.store, waterfall(venue.resolve_spot(USDC)))
    bearers = {bearer.account.partition(".")[2]: bearer.share for bearer in shares.bearers}
    assert {"0.revenue_pool", "0.fee_pool"} < bearers.keys() and len(bearers) == 4
    assert bearers["0.fee_pool"] == 2 * bearers["0.revenue_pool"] == 99_255_584


def test_a_loss_beyond_all_deposits_cannot_be_borne() -> None:
    venue = LossVenue(positions=False)
    venue.deposit("@long", SOL, ONE_SOL)
    venue.owe_spot(SOL, ONE_SOL)
    venue.change_market(SOL, deposit_balance=ONE_SOL // 2)
    before = venue.machine.store.root()
    refusal = venue.resolve_spot(SOL).refusal
    assert refusal is not None and refusal.error == "MathError"
    assert "more than they have" in refusal.message and refusal.would_pass
    assert venue.machine.store.root() == before


def test_insurance_is_shared_by_stakers_and_the_protocol() -> None:
    venue = LossVenue()
    venue.insure("@a", USDC, 700)
    venue.insure("@b", USDC, 300)
    venue.allow(10**9)
    venue.owe_perp(501)
    shares = attribute(venue.machine.store, waterfall(venue.resolve_perp()))
    assert [bearer.share for bearer in shares.insurers] == [351, 151]
    assert shares.insurers_rounding == -1


def test_other_debts_keep_the_account_bankrupt() -> None:
    venue = LossVenue()
    venue.deposit("@long", SOL, 5 * ONE_SOL)
    venue.owe_perp(1_000)
    venue.owe_spot(SOL, ONE_SOL)
    waterfall(venue.resolve_perp())
    assert venue.user(BANKRUPT).status == USER_BANKRUPT
    assert venue.resolve_perp().refusal.error == "UserHasNoPositionInMarket"  # type: ignore[union-attr]
    waterfall(venue.resolve_spot(SOL))
    assert venue.user(BANKRUPT).status == 0


def test_revenue_counts_as_insurance_first() -> None:
    venue = LossVenue()
    venue.allow(10**9)
    venue.owe_perp(1_000)
    venue.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=USDC, revenue_settle_period=1))
    venue.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=600), "@anyone")
    venue.now += 10
    receipt = venue.resolve_perp()
    found = waterfall(receipt)
    assert (found.revenue_settled, found.paid, found.socialised) == (600, 599, 401)
    assert [name for name, _ in receipt.events] == ["InsuranceFundRecord", "LiquidationRecord"]


def test_the_event_and_the_receipt_survive_the_journal() -> None:
    venue = LossVenue()
    venue.owe_perp(1_000)
    receipt = venue.resolve_perp()
    name, event = receipt.events[-1]
    assert name == "LiquidationRecord" and event["liquidation_type"] == "PerpBankruptcy"
    assert event["perp_bankruptcy"] == {
        "market_index": 0, "pnl": -1_000, "if_payment": 0, "clawback_user": None, "clawback_user_payment": None,
        "cumulative_funding_rate_delta": 250_000,
    }  # fmt: skip
    # flagged on the way, never liquidated: number 0
    assert (event["liquidation_id"], event["bankrupt"]) == (0, True)
    assert decode_receipt(encode_receipt(receipt)).waterfall == receipt.waterfall


def test_regr_a_new_account_counts_its_liquidations_from_one() -> None:
    """A new account once began with number 0, and its bankruptcy could not be told (``MathError``)."""
    assert LossVenue(positions=False).user(BANKRUPT).next_liquidation_id == 1


# --- refusals ----------------------------------------------------------------------------------------------------


def test_perp_refusals_in_the_programs_order() -> None:
    """Each refusal hides all later ones; removing its cause shows the next."""
    venue = LossVenue(positions=False)
    venue.open("@other")
    venue.change_user(LIQUIDATOR, status=USER_BEING_LIQUIDATED)
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_LIQUIDATION))
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_WITHDRAW_PAUSED))

    def refused(user: str = BANKRUPT) -> tuple[str, str]:
        before = venue.machine.store.root()
        refusal = venue.resolve_perp(user).refusal
        assert refusal is not None and venue.machine.store.root() == before
        return refusal.error, refusal.message

    assert refused(LIQUIDATOR)[0] == "ExchangePaused"
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_LIQ_PAUSED))
    assert refused(LIQUIDATOR)[0] == "UserCantLiquidateThemself"
    assert refused() == ("UserNotBankrupt", "the account has no debts")
    assert refused("@long") == ("UserNotBankrupt", "the account still has a deposit in spot market 0")
    venue.change_user(BANKRUPT, status=USER_BANKRUPT)
    assert refused() == ("UserIsBeingLiquidated", f"the liquidator {LIQUIDATOR} is being liquidated itself")
    venue.change_user(LIQUIDATOR, status=0)
    assert refused() == ("InvalidLiquidation", "liquidation is paused in perp market 0")
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=0))
    assert refused() == ("UserHasNoPositionInMarket", f"{BANKRUPT} has nothing in perp market 0")
    venue.owe_perp(-5)
    assert refused() == ("InvalidPerpPositionToLiquidate", f"{BANKRUPT} owes nothing in perp market 0")
    venue.owe_perp(1_000)
    assert refused()[0] == "CantResolvePerpBankruptcy"
    venue.allow(10, settled=11)
    assert refused()[0] == "MathError"


def test_net_open_base_of_zero_blocks_even_an_insured_debt() -> None:
    venue = LossVenue(positions=False)
    venue.insure("@staker", USDC, 10**9)
    venue.allow(10**9)
    venue.owe_perp(1_000)
    refusal = venue.resolve_perp().refusal
    assert refusal is not None and refusal.error == "CantResolvePerpBankruptcy"
    assert "nobody has an open position" in refusal.message


def test_spot_refusals_in_the_programs_order() -> None:
    venue = LossVenue(positions=False)
    venue.change_user(LIQUIDATOR, status=USER_BANKRUPT)
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=SPOT_LIQUIDATION))

    def refused(market: int = SOL) -> tuple[str, str]:
        refusal = venue.resolve_spot(market).refusal
        assert refusal is not None
        return refusal.error, refusal.message

    assert refused()[0] == "UserNotBankrupt"
    venue.owe_perp(1_000)
    assert refused() == ("UserIsBeingLiquidated", f"the liquidator {LIQUIDATOR} is bankrupt itself")
    venue.change_user(LIQUIDATOR, status=0)
    assert refused()[0] == "InvalidLiquidation"
    venue.ok(UpdateSpotMarketPausedOperations(market_index=SOL, paused_operations=0))
    assert refused()[0] == "CouldNotFindSpotPosition"
    # the quote market's slot exists even when it is empty
    assert refused(USDC) == ("UserHasInvalidBorrow", f"{BANKRUPT} borrows nothing in spot market 0")


def test_only_the_liquidators_authority_signs() -> None:
    venue = LossVenue()
    venue.owe_perp(1_000)
    ix = ResolveSpotBankruptcy(user=BANKRUPT, liquidator=LIQUIDATOR, market_index=SOL)
    assert venue.refused(ix, BANKRUPT) == "Unauthorized"


def test_the_documents_name() -> None:
    text = '{"ix":"resolve_borrow_bankruptcy","user":"@a","liquidator":"@b","market_index":1}'
    assert decode(text) == ResolveSpotBankruptcy(user="@a", liquidator="@b", market_index=1)
