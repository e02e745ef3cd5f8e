"""The associated spot backstop: off by default, last in line, within its caps (docs/associated-spot-backstop.md)."""

import pytest
from support.losses import LossVenue, source, waterfall
from support.money import ONE_SOL, SOL, USDC
from support.trading import PERP, P

from seawall.audit.conservation import History, check_state
from seawall.engine.attribution import attribute
from seawall.engine.receipts import Receipt
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot, UpdatePerpMarketAssociatedSpot
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool

DAY = 86_400


def backed(*, revenue: int = 2 * ONE_SOL, insurance: int = 3 * ONE_SOL, excess: int = 1_000 * P) -> LossVenue:
    """A deficit of ``excess`` with no quote left, SOL at 100 behind it: at most 450 quote a day."""
    venue = LossVenue(positions=False, associated_spot_backstop=True)
    venue.owe_perp(-1_000 - excess, "@long")
    venue.change_perp(total_fee_minus_distributions=-(10**12), unrealized_pnl_max_imbalance=1_000)
    venue.deposit("@short", SOL, 10 * ONE_SOL)
    if revenue:
        deposit = DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=SOL, amount=revenue)
        venue.ok(deposit, "@anyone")
    if insurance:
        venue.insure("@sol-staker", SOL, insurance)
    venue.ok(associate())
    return venue


def associate(spot_market_index: int = SOL, cap: int = 450 * P, period: int = DAY) -> UpdatePerpMarketAssociatedSpot:
    return UpdatePerpMarketAssociatedSpot(
        perp_market_index=PERP, spot_market_index=spot_market_index, max_withdraw_per_period=cap, period=period
    )


def draw(venue: LossVenue, tokens: int, quote: int, signer: str = "@admin") -> Receipt:
    return venue.do(ResolveWithAssociatedSpot(perp_market_index=PERP, token_amount=tokens, quote_amount=quote), signer)


def refusal(receipt: Receipt) -> str:
    assert receipt.refusal is not None and receipt.refusal.message
    return receipt.refusal.error


def test_revenue_goes_first_then_insurance_and_the_pnl_pool_is_topped_up() -> None:
    venue = backed()
    before = {market: venue.vaults(market).copy() for market in (USDC, SOL)}
    receipt = draw(venue, 4 * ONE_SOL, 396 * P)
    found = waterfall(receipt)
    revenue, insurance = source(found, "revenue_pool"), source(found, ".insurance_fund")
    assert (revenue.held, revenue.paid) == (200 * P, 198 * P)
    assert (insurance.held, insurance.paid) == (300 * P, 198 * P)
    assert (found.loss, found.socialised, found.uncovered) == (1_000 * P, 0, 604 * P)
    moved = {(leg.market_index, leg.account): leg.amount for leg in receipt.transfers}
    assert moved[USDC, "perp_market.0.pnl_pool"] == 396 * P
    assert moved[SOL, "spot_market.1.revenue_pool"] == -2 * ONE_SOL
    assert venue.vaults(USDC).spot_vault - before[USDC].spot_vault == 396 * P
    assert venue.vaults(SOL).spot_vault - before[SOL].spot_vault == -2 * ONE_SOL
    assert venue.vaults(SOL).insurance_fund_vault - before[SOL].insurance_fund_vault == -2 * ONE_SOL
    assert venue.perp.amm.total_fee_minus_distributions == -(10**12) + 396 * P
    names = [name for name, _ in receipt.events]
    assert names == ["InsuranceFundRecord", "AssociatedSpotRecord"]
    assert receipt.events[0][1]["amount"] == -2 * ONE_SOL
    told = receipt.events[1][1]
    assert (told["revenue_pool_amount"], told["insurance_fund_amount"]) == (2 * ONE_SOL, 2 * ONE_SOL)
    assert attribute(venue.machine.store, found).bearers == []
    history = History()
    history.add(receipt, venue.machine.store)
    assert history.findings == [] and check_state(venue.machine.store).findings == []


def test_the_period_caps_the_quote_and_starts_again_later() -> None:
    venue = backed(excess=10_000 * P, revenue=20 * ONE_SOL)
    assert refusal(draw(venue, 5 * ONE_SOL, 450 * P + 1)) == "AssociatedSpotDrawTooLarge"
    waterfall(draw(venue, 4 * ONE_SOL, 400 * P))
    venue.change_perp(**{"pnl_pool.scaled_balance": 0})
    receipt = draw(venue, ONE_SOL, 51 * P)
    assert refusal(receipt) == "AssociatedSpotDrawTooLarge"
    assert {limit.name: limit.value for limit in receipt.limits}["max_withdraw_per_period"] == 50 * P
    assert receipt.refusal is not None and receipt.refusal.would_pass == f"quote_amount up to {50 * P}"
    venue.now += DAY
    venue.post("SOL", 100 * P)
    waterfall(draw(venue, 4 * ONE_SOL, 400 * P))
    row = venue.machine.store.associated_spots.objects[0]
    assert (row.withdrawn_in_period, row.total_withdrawn) == (400 * P, 800 * P)


@pytest.mark.parametrize(
    ("tokens", "quote", "error"),
    [
        (ONE_SOL, 90 * P, ""),
        (ONE_SOL, 110 * P, ""),
        (ONE_SOL, 90 * P - 1, "SwapPriceOutOfBounds"),
        (ONE_SOL, 110 * P + 1, "SwapPriceOutOfBounds"),
        (0, 0, "SwapPriceOutOfBounds"),
        (2 * ONE_SOL + 1, 200 * P, ""),
        (5 * ONE_SOL - 1, 450 * P, ""),
        (5 * ONE_SOL, 450 * P, "NoIFWithdrawAvailable"),
    ],
)
def test_the_price_is_near_the_oracles_and_the_sources_bound_the_tokens(tokens: int, quote: int, error: str) -> None:
    venue = backed()
    receipt = draw(venue, tokens, quote)
    if error:
        assert refusal(receipt) == error
    else:
        waterfall(receipt)


def test_it_is_the_last_resort() -> None:
    """Each quote source that can still pay refuses the draw."""
    venue = backed()

    def attempt() -> str:
        return refusal(draw(venue, ONE_SOL, 100 * P))

    venue.change_perp(**{"pnl_pool.scaled_balance": 1_000})
    assert attempt() == "SufficientPerpPnlPool"
    venue.change_perp(total_fee_minus_distributions=0, **{"pnl_pool.scaled_balance": 0})
    assert attempt() == "NoAmmPerpPnlDeficit"
    venue.change_perp(total_fee_minus_distributions=-(10**12), unrealized_pnl_max_imbalance=10**12)
    assert attempt() == "PerpPnlDeficitBelowThreshold"
    venue.change_perp(unrealized_pnl_max_imbalance=1_000)
    venue.insure("@staker", USDC, 1_000)
    venue.change_claim(max_revenue_withdraw_per_period=100, quote_max_insurance=100)
    assert attempt() == "QuoteSourcesNotExhausted"
    assert venue.resolve_deficit().ok
    venue.change_perp(**{"pnl_pool.scaled_balance": 0})
    assert venue.resolve_deficit().refusal.error == "MaxRevenueWithdrawPerPeriodReached"  # type: ignore[union-attr]
    venue.change_perp(**{"fee_pool.scaled_balance": 1_000})
    assert attempt() == "QuoteSourcesNotExhausted"
    venue.change_perp(**{"fee_pool.scaled_balance": 0})
    # a revenue settlement since the last draw: the next settle_pnl would start a period
    market = venue.market(USDC).copy()
    market.insurance_fund.last_revenue_settle_ts = venue.now + 1
    venue._store("spot_markets", USDC, market)
    venue.change_claim(quote_max_insurance=200)
    assert attempt() == "QuoteSourcesNotExhausted"
    market = venue.market(USDC).copy()
    market.insurance_fund.last_revenue_settle_ts = 0
    venue._store("spot_markets", USDC, market)
    waterfall(draw(venue, ONE_SOL, 100 * P))


def test_it_is_off_unless_asked_for_and_only_the_admin_executes_swaps() -> None:
    for profile in ("documents", "program"):
        venue = LossVenue(positions=False, profile=profile)
        assert refusal(draw(venue, 1, 1)) == "UnsupportedInstruction"
        assert venue.refused(associate()) == "UnsupportedInstruction"
    venue = backed()
    assert refusal(draw(venue, ONE_SOL, 100 * P, "@anyone")) == "Unauthorized"
    assert venue.refused(associate(), "@anyone") == "Unauthorized"
    assert venue.refused(associate(period=0)) == "DefaultError"
    venue.ok(associate(spot_market_index=0))
    assert len(venue.machine.store.associated_spots.objects) == 1
    assert refusal(draw(venue, ONE_SOL, 100 * P)) == "AssociatedSpotNotSet"


def test_lent_tokens_cannot_leave() -> None:
    venue = backed(revenue=2 * ONE_SOL, insurance=0)
    venue.owe_spot(SOL, 21 * ONE_SOL // 2)
    assert refusal(draw(venue, 2 * ONE_SOL, 200 * P)) == "SpotMarketInsufficientDeposits"
    waterfall(draw(venue, ONE_SOL, 100 * P))
