"""Bugs that random walks over a whole venue found (tests/property/test_venue_machine.py); each stays found."""

import pytest
from support.money import ETH, ONE_ETH, ONE_SOL, ONE_USDC, SOL, USDC
from support.venues import ALICE, BOB, CAROL, DAVE, DESK, ETH_PERP, SOL_PERP, STEP, WholeVenue

from seawall.audit.conservation import ROUNDED_REPAYMENTS, check_state
from seawall.engine.conservation import surplus
from seawall.engine.handlers.insurance_refusals import _largest_request
from seawall.engine.queries.margin import withdrawable
from seawall.engine.queries.pnl import claimable_pnl
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdatePerpMarketExpiry,
    UpdateSpotMarketMaxTokenDeposits,
    UpdateSpotMarketStatus,
)
from seawall.instructions.amm import UpdateAmms
from seawall.instructions.deposits import Deposit, Withdraw
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    DepositIntoInsuranceFund,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
)
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.perp_fills import (
    AmmFill,
    FillPerpOrder,
    MatchFill,
    PlaceAndTakePerpOrder,
    ReservePerpOrder,
)
from seawall.instructions.pnl import SettleExpiredMarket, SettlePnl
from seawall.instructions.spot_fills import ExternalFill, FillSpotOrder, ReserveSpotOrder
from seawall.instructions.venue_setup import PostOraclePrice


@pytest.fixture
def venue() -> WholeVenue:
    return WholeVenue()


@pytest.mark.parametrize("price", [0, -1])
def test_regr_withdrawable_answers_under_a_senseless_price(venue: WholeVenue, price: int) -> None:
    """The query raised InvalidOracle itself instead of saying that nothing can be withdrawn and why."""
    venue.ok(PostOraclePrice(oracle="ETH", price=price))
    found = withdrawable(venue.store, venue.clock, ALICE, ETH)
    assert found.amount == 0
    assert found.bound_by == venue.refused(Withdraw(user=ALICE, market_index=ETH, amount=1), ALICE)


@pytest.mark.parametrize(("bits", "error"), [(2, "ExchangePaused"), (128, "FailedUnwrap")])
def test_regr_withdrawable_names_the_gate(venue: WholeVenue, bits: int, error: str) -> None:
    """A status byte with bit 128 fails every gate; the query saw only bit 2."""
    venue.ok(UpdateExchangeStatus(exchange_status=bits))
    found = withdrawable(venue.store, venue.clock, ALICE, USDC)
    assert (found.amount, found.bound_by) == (0, error)


def test_regr_withdrawable_in_a_reduce_only_market(venue: WholeVenue) -> None:
    """In ReduceOnly nothing can be borrowed; the query counted on borrowing, and one token more is cut, not refused."""
    venue.ok(UpdateSpotMarketStatus(market_index=ETH, status="ReduceOnly"))
    found = withdrawable(venue.store, venue.clock, CAROL, ETH)
    assert (found.amount, found.bound_by) == (10 * ONE_ETH, "ReduceOnlyWithdrawIncreasedRisk")
    receipt = venue.withdraw(CAROL, ETH, found.amount + 1)
    assert receipt.events[-1][1]["amount"] == found.amount
    nothing = withdrawable(venue.store, venue.clock, ALICE, ETH)
    assert nothing.amount == 0


def test_regr_withdrawable_names_what_refuses_the_cut_withdrawal(venue: WholeVenue) -> None:
    """Without a deposit a ReduceOnly market cuts a withdrawal to 0, and that may be refused for another reason."""
    venue.ok(UpdateSpotMarketStatus(market_index=ETH, status="ReduceOnly"))
    assert venue.withdraw(BOB, USDC, 21_000 * 10**6).ok
    venue.wait(3_600, refresh=False)
    found = withdrawable(venue.store, venue.clock, BOB, ETH)
    assert found.amount == 0
    assert found.bound_by == venue.refused(Withdraw(user=BOB, market_index=ETH, amount=1), BOB) == "InvalidOracle"


@pytest.mark.parametrize(("bits", "error"), [(64, "ExchangePaused"), (128, "FailedUnwrap")])
def test_regr_claimable_pnl_names_the_gate(venue: WholeVenue, bits: int, error: str) -> None:
    """The query settled as if the exchange were not paused."""
    venue.ok(ReservePerpOrder(user=ALICE, market_index=ETH_PERP, direction="Long", base_asset_amount=STEP), ALICE)
    venue.ok(UpdateExchangeStatus(exchange_status=bits))
    assert claimable_pnl(venue.store, venue.clock, ALICE, ETH_PERP).refusal == error


def test_regr_claimable_pnl_of_orders_in_an_expired_market(venue: WholeVenue) -> None:
    """Where only orders are left a settlement succeeds and pays nothing; the query answered about market 0."""
    venue.ok(ReservePerpOrder(user=ALICE, market_index=ETH_PERP, direction="Long", base_asset_amount=STEP), ALICE)
    venue.ok(UpdatePerpMarketExpiry(market_index=ETH_PERP, expiry_ts=venue.now + 60))
    venue.wait(60)
    venue.ok(SettleExpiredMarket(market_index=ETH_PERP), ALICE)
    found = claimable_pnl(venue.store, venue.clock, ALICE, ETH_PERP)
    assert (found.market_index, found.price) == (ETH_PERP, venue.perp(ETH_PERP).expiry_price)
    assert (found.payable_pnl, found.refusal) == (0, "")
    assert venue.ok(SettlePnl(user=ALICE, market_index=ETH_PERP), ALICE).events == []


def test_regr_a_post_only_order_meets_no_maker(venue: WholeVenue) -> None:
    """A post-only order is a maker itself (amm-and-funding.md §3.5 step 11); it was matched, and the event named it as
    the maker of its own fill."""
    for user, side in ((ALICE, "Short"), (BOB, "Long")):
        ix = ReservePerpOrder(user=user, market_index=SOL_PERP, direction=side, base_asset_amount=STEP)  # type: ignore[arg-type]
        venue.ok(ix, user)
    fill = FillPerpOrder(
        user=ALICE, market_index=SOL_PERP, direction="Short", base_asset_amount=STEP, price=99_000_000,
        order_slot=venue.clock.slot - 1, post_only=True,
        fills=[MatchFill(maker=BOB, price=100_000_000, base_asset_amount=STEP)],
    )  # fmt: skip
    assert venue.refused(fill) == "ImpossibleFill"


def test_regr_small_repayments_leave_a_vault_short_and_the_audit_says_why(venue: WholeVenue) -> None:
    """Repaying a part of a debt takes one scaled unit more off it than was paid, which for a token of 9 decimals is a
    whole token unit, and deposits are not held against the vault: the program's own leak (balances.md §3, §8). The
    audit called it unaccounted. Withdrawals stop until interest has made up for it."""
    assert venue.withdraw(CAROL, SOL, 5 * ONE_SOL).ok
    for _ in range(5):
        venue.ok(Deposit(user=CAROL, market_index=SOL, amount=1_000), CAROL)
    history = venue.watch.history
    assert surplus(venue.store)[SOL] == history.dust[SOL].total() == -4
    assert [f for f in check_state(venue.store).findings if "the vault holds" in f] != []
    accounted = check_state(venue.store, history)
    assert accounted.findings == []
    assert accounted.named == [f"spot market {SOL}: the vault is 4 tokens short of the claims: {ROUNDED_REPAYMENTS}"]
    assert venue.refused(Withdraw(user=BOB, market_index=SOL, amount=1), BOB) == "SpotMarketVaultInvariantViolated"
    venue.wait(86_400)
    assert venue.withdraw(BOB, SOL, 1).ok
    assert check_state(venue.store, history).named == []


def test_regr_withdrawable_judges_each_trial_by_itself(venue: WholeVenue) -> None:
    """An instruction judges an oracle once, at its first question, and spot positions ask before perp positions. The
    query's trials shared one verdict: a perp position's TWAP had let pass what a borrow's own TWAP refuses."""
    order = {"market_index": ETH_PERP, "direction": "Long", "base_asset_amount": STEP}
    venue.ok(PlaceAndTakePerpOrder(user=ALICE, **order, fills=[AmmFill()]), ALICE)  # type: ignore[arg-type]
    venue.ok(UpdateSpotMarketCumulativeInterest(market_index=ETH), ALICE)
    venue.ok(PostOraclePrice(oracle="ETH", price=250_000_000))
    for _ in range(12):
        venue.wait(3_600)
        venue.ok(UpdateAmms(market_indexes=[ETH_PERP]), ALICE)
    found = withdrawable(venue.store, venue.clock, ALICE, ETH)
    assert (found.amount, found.bound_by) == (0, "InvalidOracle")
    assert venue.refused(Withdraw(user=ALICE, market_index=ETH, amount=1), ALICE) == "InvalidOracle"


def test_regr_no_more_protocol_shares_are_promised_than_there_are(venue: WholeVenue) -> None:
    """The refusal of an amount beyond the epoch's allowance promised that allowance, though the protocol owned none of
    it, and the next epoch, though no epoch allows that much."""
    ix = TransferProtocolIfShares(authority=BOB, market_index=USDC, shares=10**12)
    refusal = venue.do(ix, DESK).refusal
    assert refusal is not None
    assert (refusal.error, refusal.would_pass) == ("DefaultError", "a larger max_transfer_per_epoch")


def test_regr_the_room_below_a_deposit_cap_is_exact(venue: WholeVenue) -> None:
    """Who owes repays first, and only the rest counts toward the cap. The promised amount was some units too large once
    a unit of scaled balance was worth more than a token; a spot fill's refusal gave no numbers at all."""
    assert venue.withdraw(CAROL, SOL, 5 * ONE_SOL + 7).ok
    venue.wait(100 * 86_400)
    venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL), CAROL)
    for cap in range(101 * ONE_SOL, 101 * ONE_SOL + 40):
        venue.ok(UpdateSpotMarketMaxTokenDeposits(market_index=SOL, max_token_deposits=cap))
        for user in (CAROL, ALICE):
            refusal = venue.do(Deposit(user=user, market_index=SOL, amount=50 * ONE_SOL), user).refusal
            assert refusal is not None and refusal.error == "MaxDeposit"
            room = int(refusal.would_pass.removeprefix("at most ").removesuffix(" tokens now"))
            assert venue.attempt(Deposit(user=user, market_index=SOL, amount=room), user).ok
            assert not venue.attempt(Deposit(user=user, market_index=SOL, amount=room + 1), user).ok


def test_regr_a_spot_fill_beyond_the_deposit_cap_says_so(venue: WholeVenue) -> None:
    """The explanation of a refused deposit looked for an amount that a fill does not have."""
    venue.ok(ReserveSpotOrder(user=ALICE, market_index=SOL, direction="Long", base_asset_amount=ONE_SOL), ALICE)
    venue.ok(UpdateSpotMarketMaxTokenDeposits(market_index=SOL, max_token_deposits=100 * ONE_SOL))
    fill = ExternalFill(base_asset_amount=ONE_SOL, quote_asset_amount=100_000_000)
    order = FillSpotOrder(
        user=ALICE, market_index=SOL, direction="Long", base_asset_amount=ONE_SOL, order_slot=0, fills=[fill]
    )
    refusal = venue.do(order).refusal
    assert refusal is not None and refusal.error == "MaxDeposit"
    assert refusal.message == f"spot market 1 may hold {100 * ONE_SOL} tokens and would hold {101 * ONE_SOL}"


def test_regr_the_largest_request_of_a_stake_is_exact(venue: WholeVenue) -> None:
    """A share is worth 1.9 tokens: an amount of one token, which was promised for one share, buys none; two do. Who
    owns every share may not ask for all of the vault, which was promised too."""
    venue.ok(DepositIntoInsuranceFund(authority=BOB, market_index=USDC, amount=1_800 * ONE_USDC), BOB)
    venue.ok(AddInsuranceFundStake(authority=CAROL, market_index=USDC, amount=2), CAROL)
    for owner, asked, most in ((CAROL, 10, 2), (DAVE, 3_800 * ONE_USDC + 10, 3_800 * ONE_USDC + 1)):
        ix = RequestRemoveInsuranceFundStake(authority=owner, market_index=USDC, amount=asked)
        refusal = venue.attempt(ix, owner).refusal
        assert refusal is not None
        assert (refusal.error, refusal.would_pass) == ("InsufficientIFShares", f"an amount of at most {most} tokens")
        at_most = RequestRemoveInsuranceFundStake(authority=owner, market_index=USDC, amount=most)
        assert venue.attempt(at_most, owner).ok
    without = RequestRemoveInsuranceFundStake(authority=ALICE, market_index=USDC, amount=10)
    refusal = venue.attempt(without, ALICE).refusal
    assert refusal is not None and refusal.would_pass == "the same after add_insurance_fund_stake"


def test_regr_the_largest_request_of_a_stake_is_not_a_share_too_large() -> None:
    """With a share worth less than a token the value rounded up may buy one share more than the stake has."""
    for if_shares, total_shares, vault in ((808_425_865, 2_810_028_848, 1_811_610_431), (3, 10, 5), (1, 100, 5)):
        most = _largest_request(if_shares, total_shares, vault)
        assert most * total_shares // vault <= if_shares
        assert most == 0 or most * total_shares // vault > 0
