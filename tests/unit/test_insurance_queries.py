"""Questions about insurance: they must agree with what the instructions then do."""

import pytest
from support.insurance import InsuranceVenue

from seawall.engine.queries.insurance import SharePoint, insurance_fund, insurance_stake, realised_apr
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import UpdateInsuranceFundUnstakingPeriod, UpdateSpotMarketIfFactor
from seawall.instructions.revenue import SettleRevenueToInsuranceFund

YEAR = 31_536_000


@pytest.fixture
def venue() -> InsuranceVenue:
    venue = InsuranceVenue()
    venue.open("@sam")
    venue.open("@sue")
    venue.add("@sam", 600_000)
    venue.add("@sue", 400_000)
    venue.ok(UpdateSpotMarketIfFactor(spot_market_index=0, user_if_factor=100_000, total_if_factor=100_000))
    return venue


def test_a_fund_is_shown_with_price_owners_and_the_next_settlement(venue: InsuranceVenue) -> None:
    venue.set_insurance_vault(1_500_000)
    venue.revenue(10_000)
    view = insurance_fund(*venue.query(), 0)
    assert (view.share_price, view.user_value, view.protocol_value) == (1_500_000, 1_500_000, 0)
    upcoming = view.next_settlement
    assert upcoming is not None and upcoming.refusal == ""
    assert [limit.name for limit in upcoming.limits] == ["tenth_of_revenue_pool"]
    assert upcoming.at > venue.now
    # nothing but time passes: what was foretold happens
    venue.now = upcoming.at - 1
    assert venue.refused(SettleRevenueToInsuranceFund(spot_market_index=0)) == "RevenueSettingsCannotSettleToIF"
    venue.now = upcoming.at
    receipt = venue.ok(SettleRevenueToInsuranceFund(spot_market_index=0))
    assert receipt.events[-1][1]["amount"] == upcoming.amount == 1_000
    # 1000 of 1.5 million in an hour
    assert upcoming.apr == 1_000 * 1_000_000 * YEAR // (1_500_000 * 3_600)


def test_the_next_settlement_says_why_it_will_fail(venue: InsuranceVenue) -> None:
    upcoming = insurance_fund(*venue.query(), 0).next_settlement
    assert upcoming is not None and (upcoming.amount, upcoming.refusal) == (0, "NoRevenueToSettleToIF")
    venue.set_market(insurance_fund__revenue_settle_period=0)
    assert insurance_fund(*venue.query(), 0).next_settlement is None


def test_the_realised_apr_of_a_share_is_what_two_points_say(venue: InsuranceVenue) -> None:
    first = insurance_fund(*venue.query(), 0).point
    venue.set_insurance_vault(1_100_000)
    venue.now += YEAR // 2
    assert realised_apr(first, insurance_fund(*venue.query(), 0).point) == 200_000
    venue.set_insurance_vault(900_000)
    assert realised_apr(first, insurance_fund(*venue.query(), 0).point) == -200_000
    assert realised_apr(first, first) == 0


def test_a_rebase_does_not_look_like_a_gain() -> None:
    before = SharePoint(at=0, insurance_fund_vault=50, total_shares=10_000, shares_base=0)
    after = SharePoint(at=YEAR, insurance_fund_vault=50, total_shares=100, shares_base=2)
    assert realised_apr(before, after) == 0


def test_a_stake_is_shown_with_what_removing_and_cancelling_cost(venue: InsuranceVenue) -> None:
    venue.ok(UpdateInsuranceFundUnstakingPeriod(market_index=0, insurance_fund_unstaking_period=100))
    view = insurance_stake(*venue.query(), "@sam", 0)
    assert (view.value, view.cost_basis, view.gain, view.request) == (600_000, 600_000, 0, None)
    venue.request("@sam", 300_000)
    asked = venue.now
    venue.set_insurance_vault(2_000_000)
    venue.now += 40
    view = insurance_stake(*venue.query(), "@sam", 0)
    assert (view.value, view.gain) == (1_200_000, 600_000)
    request = view.request
    assert request is not None
    assert (request.frozen_value, request.value, request.payout) == (300_000, 600_000, 300_000)
    assert (request.forfeited_by_removal, request.removable_at) == (300_000, asked + 100)
    assert request.seconds_to_wait == 60
    shares = venue.stake("@sam").if_shares
    venue.cancel("@sam")
    assert request.shares_lost_by_cancelling == shares - venue.stake("@sam").if_shares


def test_a_stake_that_lags_behind_a_rebase_is_valued_in_the_present_base(venue: InsuranceVenue) -> None:
    venue.set_insurance_vault(100)
    view = insurance_stake(*venue.query(), "@sam", 0)
    assert (view.stored_base, view.shares_base, view.value) == (0, 3, 60)
    assert insurance_fund(*venue.query(), 0).shares_base == 3
    assert venue.fund.shares_base == 0  # asking changes nothing


def test_unknown_stakes_and_markets(venue: InsuranceVenue) -> None:
    with pytest.raises(SettlementError) as stake:
        insurance_stake(*venue.query(), "@nobody", 0)
    assert stake.value.code == ErrorCode.InsuranceFundStakeNotFound
    with pytest.raises(SettlementError) as market:
        insurance_fund(*venue.query(), 9)
    assert market.value.code == ErrorCode.SpotMarketNotFound
