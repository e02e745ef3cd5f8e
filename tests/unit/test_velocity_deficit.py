"""Deficits under Velocity: a fresh AMM, a pool short of gains, the caps; the associated spot backstop behind them."""

import pytest
from support.losses import source, waterfall
from support.money import ONE_SOL, SOL, USDC
from support.trading import PERP, P
from support.velocity_losses import VelocityLossVenue

from seawall.engine.attribution import attribute
from seawall.engine.receipts import Receipt
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot, UpdatePerpMarketAssociatedSpot
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.roles import UpdateSolvencyStatus
from seawall.instructions.solvency import ResolvePerpPnlDeficit
from seawall.state.enums import EXCHANGE_WITHDRAW_PAUSED, STATUS_SETTLEMENT


def deficit_venue(
    gain: int = 500,
    pool: int = 100,
    vault: int = 10**9,
    period: int = 10**9,
    lifetime: int = 10**9,
    associated_spot_backstop: bool = False,
) -> VelocityLossVenue:
    """@long is owed ``gain`` beyond the 1,000 admitted, the pool holds ``pool``; the curve stands still."""
    venue = VelocityLossVenue(positions=False, associated_spot_backstop=associated_spot_backstop)
    if vault:
        venue.insure("@staker", USDC, vault)
    venue.owe_perp(-1_000 - gain, "@long")
    venue.fund("pnl_pool", pool)
    venue.change_perp_market(
        PERP, total_fee_minus_distributions=-(10**6), unrealized_pnl_max_imbalance=1_000, curve_update_intensity=0
    )
    venue.change_claim(
        max_revenue_withdraw_per_period=period + 7,
        revenue_withdraw_since_last_settle=7,
        quote_max_insurance=lifetime + 11,
        quote_settled_insurance=11,
        last_revenue_withdraw_ts=venue.now,
    )
    return venue


def refusal(receipt: Receipt) -> str:
    assert receipt.refusal is not None and receipt.refusal.message
    return receipt.refusal.error


@pytest.mark.parametrize(
    ("caps", "drawn", "limits"),
    [
        ({}, 500, []),
        ({"period": 100}, 100, ["max_revenue_withdraw_per_period"]),
        ({"lifetime": 99}, 99, ["quote_max_insurance"]),
        ({"vault": 81}, 80, ["insurance_fund_vault"]),
    ],
)
def test_how_much_is_drawn_and_what_bound_it(caps: dict[str, int], drawn: int, limits: list[str]) -> None:
    venue = deficit_venue(**caps)
    before = venue.vaults(USDC).insurance_fund_vault
    receipt = venue.resolve_deficit()
    found = waterfall(receipt)
    assert (found.loss, source(found, "insurance_fund").paid, found.uncovered) == (500, drawn, 500 - drawn)
    assert [limit.name for limit in receipt.limits] == limits
    claim, amm = venue.perp.insurance_claim, venue.perp.amm
    assert (claim.revenue_withdraw_since_last_settle, claim.quote_settled_insurance) == (7 + drawn, 11 + drawn)
    assert amm.total_fee_minus_distributions == -(10**6) + drawn
    # a credit is no income: the next funding update does not count it
    assert amm.net_revenue_since_last_funding == 0
    assert venue.vaults(USDC).insurance_fund_vault == before - drawn
    assert venue.perp.pnl_pool.scaled_balance == (100 + drawn) * 1_000
    (event,) = [fields for name, fields in receipt.events if name == "InsuranceFundRecord"]
    assert (event["amount"], event["perp_market_index"]) == (-drawn, PERP)
    shares = attribute(venue.machine.store, found)
    assert sum(bearer.share for bearer in shares.insurers) + shares.insurers_rounding == drawn


def test_a_pool_that_is_short_of_the_gains_is_enough() -> None:
    """Drift asks for an empty pool; here it must hold less than all users gained at the 5-minute TWAP."""
    assert waterfall(deficit_venue(pool=1_499).resolve_deficit()).paid == 500
    receipt = deficit_venue(pool=1_500).resolve_deficit()
    assert refusal(receipt) == "SufficientPerpPnlPool"
    assert [(limit.name, limit.value, limit.asked) for limit in receipt.limits] == [("net_user_pnl", 1_500, 1_500)]


def test_a_revenue_settlement_begins_a_period() -> None:
    venue = deficit_venue(period=0)
    assert refusal(venue.resolve_deficit()) == "MaxRevenueWithdrawPerPeriodReached"
    fund = venue.market(USDC).insurance_fund
    fund.last_revenue_settle_ts = venue.now + 1
    venue.change_market(USDC, insurance_fund=fund)
    assert refusal(venue.resolve_deficit()) == "BlockchainClockInconsistency"
    venue.now += 1
    # what was drawn before no longer counts
    assert waterfall(venue.resolve_deficit()).paid == 7
    assert venue.perp.insurance_claim.last_revenue_withdraw_ts == venue.now


def test_a_moving_curve_needs_a_refresh_with_this_very_price() -> None:
    venue = deficit_venue()
    price = venue.perp.amm.historical_oracle_data.last_oracle_price
    slot = venue.clock.slot
    oracle = venue.machine.store.oracles.objects[1]
    fresh = {
        "curve_update_intensity": 100,
        "last_oracle_valid": True,
        "last_update_slot": slot,
        "attested_oracle_price": oracle.price,
        "attested_oracle_confidence": oracle.conf,
        "attested_oracle_slot": oracle.valid_slot,
    }
    for change, error in (
        ({"last_oracle_valid": False}, "InvalidOracle"),
        ({"last_update_slot": slot - 1}, "AMMNotUpdatedInSameSlot"),
        ({"attested_oracle_price": price + 1}, "InvalidOracle"),
        ({"attested_oracle_confidence": oracle.conf + 1}, "InvalidOracle"),
    ):
        venue.change_perp_market(PERP, **fresh | change)
        receipt = venue.resolve_deficit()
        assert refusal(receipt) == error
        assert receipt.refusal is not None and "update_amms" in receipt.refusal.would_pass
    venue.change_perp_market(PERP, **fresh)
    assert waterfall(venue.resolve_deficit()).paid == 500


def test_refusals_in_the_programs_order() -> None:
    venue = deficit_venue(lifetime=0)
    venue.ok(UpdateSolvencyStatus(solvency_status=1))
    assert refusal(venue.resolve_deficit()) == "ExchangePaused"
    venue.ok(UpdateSolvencyStatus(solvency_status=0))
    venue.change_state(exchange_status=EXCHANGE_WITHDRAW_PAUSED)
    other_token = ResolvePerpPnlDeficit(spot_market_index=SOL, perp_market_index=PERP)
    assert venue.refused(other_token, "@anyone") == "InvalidSpotMarketAccount"
    venue.change_perp(status=STATUS_SETTLEMENT)
    assert refusal(venue.resolve_deficit()) == "MarketActionPaused"
    venue.change_perp(status=1, total_fee_minus_distributions=0)
    assert refusal(venue.resolve_deficit()) == "NoAmmPerpPnlDeficit"
    venue.change_perp(total_fee_minus_distributions=-1, unrealized_pnl_max_imbalance=0)
    assert refusal(venue.resolve_deficit()) == "PerpPnlDeficitBelowThreshold"
    venue.change_perp(unrealized_pnl_max_imbalance=1_000)
    assert refusal(venue.resolve_deficit()) == "MaxIFWithdrawReached"
    venue.allow(10**9)
    venue.change_vaults(USDC, insurance_fund_vault=1)
    assert refusal(venue.resolve_deficit()) == "NoIFWithdrawAvailable"
    venue.change_vaults(USDC, insurance_fund_vault=10**6)
    assert venue.resolve_deficit().ok


# --- the associated spot backstop --------------------------------------------------------------------------------


def backed() -> VelocityLossVenue:
    """A deficit of 1,000 with no quote left, and 2 SOL of revenue and 3 of insurance at 100 behind it."""
    venue = deficit_venue(gain=1_000 * P, pool=0, vault=0, associated_spot_backstop=True)
    venue.deposit("@short", SOL, 10 * ONE_SOL)
    deposit = DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=SOL, amount=2 * ONE_SOL)
    venue.ok(deposit, "@anyone")
    venue.insure("@sol-staker", SOL, 3 * ONE_SOL)
    associate = UpdatePerpMarketAssociatedSpot(
        perp_market_index=PERP, spot_market_index=SOL, max_withdraw_per_period=450 * P, period=86_400
    )
    venue.ok(associate)
    return venue


def swap(venue: VelocityLossVenue, tokens: int, quote: int) -> Receipt:
    return venue.do(ResolveWithAssociatedSpot(perp_market_index=PERP, token_amount=tokens, quote_amount=quote))


def test_the_associated_spot_market_helps_where_quote_cannot() -> None:
    venue = backed()
    venue.change_market(SOL, if_last_settle_vault_amount=3 * ONE_SOL)
    found = waterfall(swap(venue, 4 * ONE_SOL, 396 * P))
    assert (source(found, "revenue_pool").paid, source(found, ".insurance_fund").paid) == (198 * P, 198 * P)
    assert (found.loss, found.uncovered) == (1_000 * P, 604 * P)
    assert venue.perp.amm.total_fee_minus_distributions == -(10**6) + 396 * P
    # the dip of the fund stays visible at its next revenue settlement
    assert venue.market(SOL).if_last_settle_vault_amount == ONE_SOL


def test_the_associated_spot_market_waits_for_insurance_and_for_the_solvency_bit() -> None:
    venue = backed()
    venue.change_vaults(USDC, insurance_fund_vault=2)
    assert refusal(swap(venue, ONE_SOL, 100 * P)) == "QuoteSourcesNotExhausted"
    venue.change_vaults(USDC, insurance_fund_vault=1)
    venue.ok(UpdateSolvencyStatus(solvency_status=1))
    assert refusal(swap(venue, ONE_SOL, 100 * P)) == "ExchangePaused"
    venue.ok(UpdateSolvencyStatus(solvency_status=0))
    assert swap(venue, ONE_SOL, 100 * P).ok
