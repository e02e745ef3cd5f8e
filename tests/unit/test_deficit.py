"""Resolving deficits: four caps, the order of refusals, what a draw changes (solvency.md §2)."""

from typing import NamedTuple

import pytest
from support.losses import LossVenue, source, waterfall
from support.money import USDC
from support.trading import PERP, P

from seawall.audit.conservation import check_state
from seawall.engine.attribution import attribute
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdateSpotMarketRevenueSettlePeriod,
)
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.solvency import ResolvePerpPnlDeficit
from seawall.state.enums import EXCHANGE_WITHDRAW_PAUSED, STATUS_DELISTED, STATUS_SETTLEMENT


class Case(NamedTuple):
    """Users gained ``gain`` beyond what is admitted; what the caps leave; what is drawn, and which caps bound."""

    name: str
    gain: int
    period: int
    lifetime: int
    vault: int
    drawn: int
    limits: list[str]


CASES = [
    Case("the excess itself", 500, 10**9, 10**9, 10**9, 500, []),
    Case("the period", 500, 100, 10**9, 10**9, 100, ["max_revenue_withdraw_per_period"]),
    Case("the lifetime", 500, 10**9, 99, 10**9, 99, ["quote_max_insurance"]),
    Case("the fund less one unit", 500, 10**9, 10**9, 81, 80, ["insurance_fund_vault"]),
    Case("two caps at once", 500, 80, 10**9, 81, 80, ["max_revenue_withdraw_per_period", "insurance_fund_vault"]),
]


def deficit_venue(case: Case) -> LossVenue:
    """@long is owed a gain, the AMM is in the red, the P&L pool is empty. The market admits an imbalance of 1,000."""
    venue = LossVenue(positions=False)
    if case.vault:
        venue.insure("@staker", USDC, case.vault)
    venue.owe_perp(-1_000 - case.gain, "@long")
    venue.change_perp(total_fee_minus_distributions=-(10**6), unrealized_pnl_max_imbalance=1_000)
    venue.change_claim(
        max_revenue_withdraw_per_period=case.period + 7,
        revenue_withdraw_since_last_settle=7,
        quote_max_insurance=case.lifetime + 11,
        quote_settled_insurance=11,
    )
    return venue


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_how_much_is_drawn_and_what_bound_it(case: Case) -> None:
    venue = deficit_venue(case)
    receipt = venue.resolve_deficit()
    found = waterfall(receipt)
    insurance = source(found, "insurance_fund")
    assert (found.loss, found.paid, found.socialised, found.uncovered) == (
        case.gain, case.drawn, 0, case.gain - case.drawn,
    )  # fmt: skip
    assert [cap.value for cap in insurance.caps] == [case.period, case.lifetime, case.vault - 1]
    assert insurance.cap is not None and insurance.cap.value == min(case.period, case.lifetime, case.vault - 1)
    assert [limit.name for limit in receipt.limits] == case.limits
    market = venue.perp
    claim = market.insurance_claim
    assert (claim.revenue_withdraw_since_last_settle, claim.quote_settled_insurance) == (
        7 + case.drawn,
        11 + case.drawn,
    )
    assert claim.last_revenue_withdraw_ts == venue.now
    assert market.amm.total_fee_minus_distributions == -(10**6) + case.drawn
    assert market.pnl_pool.scaled_balance == case.drawn * 1_000
    assert venue.vaults(USDC).insurance_fund_vault == case.vault - case.drawn
    # the shares stay: the loss falls on all of them
    name, event = receipt.events[-1]
    assert (name, event["amount"]) == ("InsuranceFundRecord", -case.drawn)
    assert event["total_if_shares_before"] == event["total_if_shares_after"] == case.vault
    shares = attribute(venue.machine.store, found)
    assert (shares.insured, shares.bearers) == (case.drawn, [])
    assert check_state(venue.machine.store).findings == []


def test_a_draw_repeats_only_after_the_pool_was_emptied_and_within_the_caps() -> None:
    venue = deficit_venue(CASES[1])
    waterfall(venue.resolve_deficit())
    refusal = venue.resolve_deficit().refusal
    assert refusal is not None and refusal.error == "SufficientPerpPnlPool"
    assert refusal.message == "the P&L pool of perp market 0 still holds 0.0001"
    venue.change_perp(**{"pnl_pool.scaled_balance": 999})
    # less than a token is no token
    refusal = venue.resolve_deficit().refusal
    assert refusal is not None and refusal.error == "MaxRevenueWithdrawPerPeriodReached"


def test_refusals_in_the_programs_order() -> None:
    """Each refusal hides all later ones; removing its cause shows the next. A refused draw changes nothing."""
    venue = deficit_venue(Case("nothing", 0, -5, -5, 0, 0, []))
    venue.change_perp(
        total_fee_minus_distributions=0,
        unrealized_pnl_max_imbalance=0,
        status=STATUS_DELISTED,
        curve_update_intensity=100,
        last_oracle_valid=False,
    )
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_WITHDRAW_PAUSED))

    def refused() -> str:
        before = venue.machine.store.root()
        refusal = venue.resolve_deficit().refusal
        assert refusal is not None and venue.machine.store.root() == before
        assert refusal.message
        return refusal.error

    assert refused() == "ExchangePaused"
    venue.ok(UpdateExchangeStatus(exchange_status=0))
    assert (
        venue.refused(ResolvePerpPnlDeficit(spot_market_index=1, perp_market_index=PERP)) == "InvalidSpotMarketAccount"
    )
    assert refused() == "InvalidOracle"
    venue.change_perp(last_oracle_valid=True)
    assert refused() == "AMMNotUpdatedInSameSlot"
    venue.change_perp(last_update_slot=venue.clock.slot)
    assert refused() == "MarketActionPaused"
    venue.change_perp(status=STATUS_SETTLEMENT)
    assert refused() == "MarketActionPaused"
    venue.change_perp(status=1, curve_update_intensity=0, expiry_ts=venue.now)
    assert refused() == "MarketActionPaused"
    venue.change_perp(expiry_ts=0, **{"historical_oracle_data.last_oracle_price_twap_5min": 85 * P})
    assert refused() == "PriceBandsBreached"
    venue.change_perp(**{"historical_oracle_data.last_oracle_price_twap_5min": 100 * P})
    assert refused() == "NoAmmPerpPnlDeficit"
    venue.change_perp(total_fee_minus_distributions=-1, **{"pnl_pool.scaled_balance": 1_000})
    assert refused() == "SufficientPerpPnlPool"
    venue.change_perp(**{"pnl_pool.scaled_balance": 0})
    assert refused() == "PerpPnlDeficitBelowThreshold"
    venue.change_perp(unrealized_pnl_max_imbalance=1_000)
    assert refused() == "PerpPnlDeficitBelowThreshold"
    venue.change_perp(unrealized_pnl_max_imbalance=999)
    assert refused() == "MaxRevenueWithdrawPerPeriodReached"
    venue.change_claim(max_revenue_withdraw_per_period=8)
    assert refused() == "MathError"
    venue.change_claim(quote_max_insurance=11)
    assert refused() == "MaxIFWithdrawReached"
    venue.change_claim(quote_max_insurance=12)
    assert refused() == "NoIFWithdrawAvailable"
    venue.insure("@staker", USDC, 2)
    assert waterfall(venue.resolve_deficit()).paid == 1


def test_revenue_that_is_due_counts_as_insurance() -> None:
    venue = deficit_venue(Case("", 500, 10**9, 10**9, 0, 0, []))
    venue.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=USDC, revenue_settle_period=1))
    venue.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=300), "@anyone")
    venue.now += 10
    found = waterfall(venue.resolve_deficit())
    assert (found.revenue_settled, found.paid, found.uncovered) == (300, 299, 201)
