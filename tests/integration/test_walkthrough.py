"""What a venue does, told as it happens: one short story a family of instructions, with the receipts it leaves.

The venue is that of ``support.venues``: Alice has 50,000 USDC, Bob 20,000 USDC and 100 SOL (Alice referred him), Carol
10 ETH, Dave 1,000 USDC and a stake of 2,000; SOL costs 100, ETH 2,000. After every step all invariants are checked.
"""

from typing import Any

import pytest
from support.money import ONE_SOL, ONE_USDC, SOL, USDC, MoneyVenue
from support.venues import (
    ALICE,
    ALICE_1,
    BOB,
    CAROL,
    DAVE,
    DESK,
    ETH_PERP,
    MALLORY,
    ONE_BASE,
    PEOPLE,
    SOL_PERP,
    WholeVenue,
    authority,
)
from support.venues import small_tables as small_tables

from seawall.engine.receipts import Receipt, VaultChange
from seawall.instructions.administration import UpdateExchangeStatus, UpdatePerpMarketExpiry
from seawall.instructions.amm import SettleFundingPayment, UpdateAmms, UpdateFundingRate
from seawall.instructions.deposits import Deposit, Swap, TransferDeposit, Withdraw
from seawall.instructions.insurance import (
    AddInsuranceFundStake,
    AdminRemoveInsuranceFundStake,
    CancelRequestRemoveInsuranceFundStake,
    DepositIntoInsuranceFund,
    InitializeInsuranceFundStake,
    InitializeProtocolIfSharesTransferConfig,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
    TransferProtocolIfShares,
    UpdateProtocolIfSharesTransferConfig,
)
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.liquidation import LiquidatePerp
from seawall.instructions.perp_fills import AmmFill, MatchFill, PlaceAndTakePerpOrder, ReservePerpOrder
from seawall.instructions.pnl import SettleExpiredMarket, SettleExpiredMarketPoolsToRevenuePool, SettlePnl
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.spot_fills import (
    ExternalFill,
    FillSpotOrder,
    ReserveSpotOrder,
    SettleSpotFeePoolToRevenuePool,
    SpotMatchFill,
    UpdateSpotFeePoolTarget,
)
from seawall.instructions.venue_setup import PostOraclePrice
from seawall.keys import key_from_text, key_to_text

NAMES = {f"user.{key_to_text(key_from_text(authority(name)))}": authority(name) for name in PEOPLE}


@pytest.fixture
def venue() -> WholeVenue:
    return WholeVenue()


def legs(receipt: Receipt) -> dict[tuple[int, str], int]:
    """Who gained and who paid, by spot market: the double entry of a receipt."""
    found = {}
    for leg in receipt.transfers:
        holder, _, sub_account = leg.account.rpartition("/")
        name = f"{NAMES[holder]}/{sub_account}".removesuffix("/0") if holder in NAMES else leg.account
        found[leg.market_index, name] = leg.amount
    return found


def event(receipt: Receipt, name: str) -> dict[str, Any]:
    """The fields of the one event of a name."""
    (fields,) = [fields for told, fields in receipt.events if told == name]
    return fields


def why(receipt: Receipt) -> tuple[str, str, str]:
    """A refusal: its error, what it means here, what would pass."""
    assert receipt.refusal is not None
    return receipt.refusal.error, receipt.refusal.message, receipt.refusal.would_pass


# --- money -------------------------------------------------------------------------------------------------------


def test_a_loan_of_a_year(venue: WholeVenue) -> None:
    """Alice borrows 10 of Bob's 100 SOL. At a tenth of utilization, an eighth of the optimal, the rate is an eighth of
    20 %: she owes 2.5 % more after a year, he owns 0.25 % more, and roundings are the dust."""
    taken = venue.ok(Withdraw(user=ALICE, market_index=SOL, amount=10 * ONE_SOL), ALICE)
    assert event(taken, "DepositRecord")["explanation"] == "Borrow"
    assert legs(taken) == {(SOL, ALICE): -10_000_000_001, (SOL, "dust"): 1}
    assert taken.vaults == [VaultChange(SOL, "spot_vault", -10_000_000_000)]

    venue.wait(365 * 86_400)
    grown = venue.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL), MALLORY)
    assert event(grown, "SpotInterestRecord")["cumulative_deposit_interest"] == 10_025_000_000
    assert event(grown, "SpotInterestRecord")["cumulative_borrow_interest"] == 10_250_000_001
    assert legs(grown) == {
        (SOL, "other_depositors"): 250_000_000,
        (SOL, "other_borrowers"): -250_000_002,
        (SOL, "dust"): 2,
    }

    repaid = venue.ok(Deposit(user=ALICE, market_index=SOL, amount=20 * ONE_SOL, reduce_only=True), ALICE)
    assert event(repaid, "DepositRecord")["explanation"] == "RepayBorrow"
    assert legs(repaid) == {(SOL, ALICE): 10_250_000_003}
    assert [(x.name, x.value, x.asked) for x in repaid.limits] == [("reduce_only", 10_250_000_003, 20 * ONE_SOL)]

    left = venue.ok(Withdraw(user=BOB, market_index=SOL, amount=100_250_000_000), BOB)
    assert legs(left) == {(SOL, BOB): -100_250_000_000}
    assert venue.vault(SOL) == 3, "the dust that the loan left"


def test_a_transfer_and_a_swap(venue: WholeVenue) -> None:
    """Tokens of a transfer never leave the vault; those of a swap do, and others come in. No more goes out than margin
    and the vault allow, and the refusal says how much would."""
    moved = venue.ok(TransferDeposit(from_user=ALICE, to_user=ALICE_1, market_index=USDC, amount=1_000_000_000), ALICE)
    assert legs(moved) == {(USDC, ALICE): -1_000_000_001, (USDC, ALICE_1): 1_000_000_000, (USDC, "dust"): 1}
    assert moved.vaults == []

    swap = Swap(user=ALICE, in_market_index=USDC, out_market_index=SOL, amount_in=100_000_000, amount_out=ONE_SOL)
    swapped = venue.ok(swap, ALICE)
    assert legs(swapped) == {(USDC, ALICE): -100_000_000, (SOL, ALICE): ONE_SOL}
    assert event(swapped, "SwapRecord")["fee"] == 0

    refused = venue.do(Withdraw(user=DAVE, market_index=USDC, amount=1_001 * ONE_USDC), DAVE)
    error, _, would_pass = why(refused)
    assert (error, would_pass) == ("InsufficientCollateral", f"at most {1_000 * ONE_USDC} tokens now")
    venue.ok(Withdraw(user=DAVE, market_index=USDC, amount=1_000 * ONE_USDC), DAVE)


def test_a_pause_stops_what_it_names_and_nothing_else(venue: WholeVenue) -> None:
    """While withdrawals are paused deposits go on; a refusal leaves no trace but its receipt."""
    venue.ok(UpdateExchangeStatus(exchange_status=2))
    root, effects = venue.store.root(), venue.machine.effects
    assert why(venue.do(Withdraw(user=ALICE, market_index=USDC, amount=1), ALICE))[0] == "ExchangePaused"
    assert (venue.store.root(), venue.machine.effects) == (root, effects)
    venue.ok(Deposit(user=ALICE, market_index=USDC, amount=1), ALICE)
    venue.ok(UpdateExchangeStatus(exchange_status=0))
    venue.ok(Withdraw(user=ALICE, market_index=USDC, amount=1), ALICE)


# --- perps -------------------------------------------------------------------------------------------------------


def test_a_trade_its_fees_and_its_settlement(venue: WholeVenue) -> None:
    """Alice buys 10 SOL-PERP of Carol at 100, Bob 10 of the AMM. At 102 Alice has won 20, less her fee of 1. The P&L
    pool is empty: she is paid what the fee pool holds beyond what the AMM has earned, and the rest once Carol, who
    lost 20 but earned a rebate of 0.2, has settled."""
    rest = ReservePerpOrder(user=CAROL, market_index=SOL_PERP, direction="Short", base_asset_amount=10 * ONE_BASE)
    venue.ok(rest, CAROL)
    take: dict[str, Any] = {"market_index": SOL_PERP, "direction": "Long", "base_asset_amount": 10 * ONE_BASE}
    meets = MatchFill(maker=CAROL, price=100_000_000, base_asset_amount=10 * ONE_BASE)
    match = event(venue.ok(PlaceAndTakePerpOrder(user=ALICE, **take, fills=[meets])), "OrderActionRecord")
    assert (match["quote_asset_amount_filled"], match["taker_fee"], match["maker_fee"]) == (10**9, 10**6, -200_000)

    amm = event(venue.ok(PlaceAndTakePerpOrder(user=BOB, **take, fills=[AmmFill()]), BOB), "OrderActionRecord")
    # a tenth of a percent, less his discount of a twentieth; Alice, who referred him, gets 15 % of the fee
    assert (amm["quote_asset_amount_filled"], amm["taker_fee"]) == (1_000_350_064, 950_334)
    assert amm["referrer_reward"] == 150_052

    venue.ok(PostOraclePrice(oracle="SOL", price=102_000_000))
    venue.wait(600)
    first = venue.ok(SettlePnl(user=ALICE, market_index=SOL_PERP), ALICE)
    assert legs(first) == {(USDC, ALICE): 17_947_654, (USDC, "perp_market.0.fee_pool"): -17_947_654}
    # 20 − 1 + 0.150052 are claimable
    assert [(x.name, x.value, x.asked) for x in first.limits] == [("pnl_pool", 17_947_654, 19_150_052)]

    loser = venue.ok(SettlePnl(user=CAROL, market_index=SOL_PERP), MALLORY)
    assert event(loser, "SettlePnlRecord")["pnl"] == -20_000_000 + 200_000
    assert legs(loser)[USDC, "perp_market.0.pnl_pool"] == 19_800_000

    second = venue.ok(SettlePnl(user=ALICE, market_index=SOL_PERP), MALLORY)
    assert event(second, "SettlePnlRecord")["pnl"] == 19_150_052 - 17_947_654
    nothing = venue.do(SettlePnl(user=ALICE, market_index=SOL_PERP), ALICE)
    assert why(nothing)[0] == "NoUnsettledPnl"


def test_an_hour_of_funding(venue: WholeVenue) -> None:
    """Users are long, the mark stands above the oracle: after an hour longs owe the AMM funding, which Alice pays when
    her position is settled. Before the hour is over nothing is due."""
    take: dict[str, Any] = {"market_index": ETH_PERP, "direction": "Long", "base_asset_amount": 2 * ONE_BASE}
    venue.ok(PlaceAndTakePerpOrder(user=ALICE, **take, fills=[AmmFill()]), ALICE)
    assert why(venue.do(UpdateFundingRate(market_index=ETH_PERP), MALLORY))[0] == "FundingWasNotUpdated"
    venue.wait(3_600)
    earned = venue.perp(ETH_PERP).amm.total_fee_minus_distributions
    rate = event(venue.ok(UpdateFundingRate(market_index=ETH_PERP), MALLORY), "FundingRateRecord")
    assert rate["mark_price_twap"] > rate["oracle_price_twap"]
    assert rate["funding_rate_long"] == rate["funding_rate_short"] == rate["funding_rate"] > 0
    # rate (1e9) × base (1e9), in quote (1e6)
    owed = rate["funding_rate"] * 2 * ONE_BASE // 10**12
    assert venue.perp(ETH_PERP).amm.total_fee_minus_distributions == earned + owed

    paid = venue.ok(SettleFundingPayment(user=ALICE), MALLORY)
    assert event(paid, "FundingPaymentRecord")["funding_payment"] == -owed
    assert venue.ok(SettleFundingPayment(user=ALICE), MALLORY).events == []


def test_the_end_of_a_market(venue: WholeVenue) -> None:
    """ETH-PERP expires at 2,100: Alice, long at 2,000, is owed 100 less two fees; she is paid in full or not at all, so
    Carol's loss comes first. What is left, the fees, becomes revenue a day later."""
    rest = ReservePerpOrder(user=CAROL, market_index=ETH_PERP, direction="Short", base_asset_amount=ONE_BASE)
    venue.ok(rest, CAROL)
    meets = MatchFill(maker=CAROL, price=2_000_000_000, base_asset_amount=ONE_BASE)
    take: dict[str, Any] = {"market_index": ETH_PERP, "direction": "Long", "base_asset_amount": ONE_BASE}
    venue.ok(PlaceAndTakePerpOrder(user=ALICE, **take, fills=[meets]))

    end = SettleExpiredMarket(market_index=ETH_PERP)
    assert why(venue.do(end, MALLORY))[0] == "MarketSettlementAttemptOnActiveMarket"
    venue.ok(UpdatePerpMarketExpiry(market_index=ETH_PERP, expiry_ts=venue.now + 7_200))
    order = ReservePerpOrder(user=BOB, market_index=ETH_PERP, direction="Long", base_asset_amount=ONE_BASE)
    assert why(venue.do(order, BOB))[0] == "InvalidOrderNotRiskReducing"
    assert why(venue.do(end, MALLORY))[0] == "MarketSettlementAttemptTooEarly"
    venue.ok(PostOraclePrice(oracle="ETH", price=2_100_000_000))
    venue.wait(7_200)
    venue.ok(end, MALLORY)
    assert venue.perp(ETH_PERP).expiry_price == 2_100_000_000

    close = SettlePnl(user=ALICE, market_index=ETH_PERP)
    error, _, would_pass = why(venue.do(close, MALLORY))
    assert (error, would_pass) == ("PerpMarketSettlementBufferNotReached", f"the same from {venue.now + 3_601} on")
    venue.wait(3_601)
    assert why(venue.do(close, MALLORY)) == (
        "InsufficientPerpPnlPool",
        "the P&L pool of perp market 1 holds 0, the expired position is owed 95.9",
        "the same after the losers of this market were settled",
    )
    lost = event(venue.ok(SettlePnl(user=CAROL, market_index=ETH_PERP), MALLORY), "SettlePnlRecord")
    assert (lost["pnl"], lost["explanation"]) == (-100_000_000 + 400_000 - 2_100_000, "ExpiredPosition")
    won = event(venue.ok(close, MALLORY), "SettlePnlRecord")
    assert won["pnl"] == 100_000_000 - 2_000_000 - 2_100_000

    release = SettleExpiredMarketPoolsToRevenuePool(market_index=ETH_PERP)
    assert why(venue.do(release))[0] == "DefaultError"
    venue.wait(90_000)
    fees = 2_000_000 - 400_000 + 2 * 2_100_000
    released = legs(venue.ok(release))
    assert released[USDC, "spot_market.0.revenue_pool"] == -released[USDC, "perp_market.1.pnl_pool"] == fees


def test_a_liquidation(venue: WholeVenue) -> None:
    """Dave is long 80 SOL-PERP with 1,000 USDC. At 100 nobody may touch him; at 88 he has 26 left and needs 352: Alice
    takes over as much as brings him back to his requirement, at the oracle price, and no more."""
    take: dict[str, Any] = {"market_index": SOL_PERP, "direction": "Long", "base_asset_amount": 80 * ONE_BASE}
    venue.ok(PlaceAndTakePerpOrder(user=DAVE, **take, fills=[AmmFill()]), DAVE)
    liquidate = LiquidatePerp(
        user=DAVE, liquidator=ALICE, market_index=SOL_PERP, liquidator_max_base_asset_amount=1_000 * ONE_BASE
    )
    assert why(venue.do(liquidate, ALICE))[0] == "SufficientCollateral"
    for price in (96_000_000, 92_000_000, 88_000_000):
        venue.ok(PostOraclePrice(oracle="SOL", price=price))
        venue.wait(600)
        venue.ok(UpdateAmms(market_indexes=[SOL_PERP]), MALLORY)

    done = venue.ok(liquidate, ALICE)
    record = event(done, "LiquidationRecord")
    assert (record["margin_requirement"], record["total_collateral"]) == (352_000_000, 25_986_461)
    taken = record["liquidate_perp"]
    assert (taken["base_asset_amount"], taken["quote_asset_amount"]) == (-75_790_000_000, 6_669_520_000)
    assert not record["bankrupt"]
    # the rest of 4.21 SOL needs 18.5, or 25.9 with the buffer that a liquidation restores
    assert why(venue.do(liquidate, ALICE))[0] == "SufficientCollateral"
    assert venue.perp(SOL_PERP).amm.base_asset_amount_long == 80 * ONE_BASE


# --- spot orders -------------------------------------------------------------------------------------------------


def test_a_spot_order_its_fees_and_where_they_go(venue: WholeVenue) -> None:
    """Alice buys 15 SOL at 100: 10 of Bob, 5 at another venue that keeps 0.1 and owes a rebate of 0.05. She pays a
    tenth of a percent on all, Bob is paid a fiftieth, Dave who filled the order his reward, and the rest is the spot
    fee pool's: what it holds beyond its target becomes revenue."""
    sell = ReserveSpotOrder(user=BOB, market_index=SOL, direction="Short", base_asset_amount=10 * ONE_SOL)
    buy = ReserveSpotOrder(user=ALICE, market_index=SOL, direction="Long", base_asset_amount=15 * ONE_SOL)
    venue.ok(sell, BOB)
    venue.ok(buy, ALICE)
    slot = venue.clock.slot
    venue.wait(10)
    filled = venue.ok(
        FillSpotOrder(
            user=ALICE, market_index=SOL, direction="Long", base_asset_amount=15 * ONE_SOL, price=100_000_000,
            order_slot=slot, filler=DAVE,
            fills=[
                SpotMatchFill(maker=BOB, price=100_000_000, base_asset_amount=10 * ONE_SOL),
                ExternalFill(
                    base_asset_amount=5 * ONE_SOL, quote_asset_amount=500_000_000, fee=100_000,
                    unsettled_referrer_rebate=50_000,
                ),
            ],
        )
    )  # fmt: skip
    reward = 44_600 + 22_300
    assert [e["filler_reward"] for _, e in filled.events] == [44_600, 22_300]
    assert legs(filled) == {
        (USDC, ALICE): -1_501_500_001,
        (USDC, BOB): 1_000_200_000,
        (USDC, DAVE): reward,
        (USDC, "spot_market.1.spot_fee_pool"): 1_500_000 - 200_000 - reward - 100_000 - 50_000,
        (USDC, "dust"): 1,
        (SOL, ALICE): 15 * ONE_SOL,
        (SOL, BOB): -10 * ONE_SOL,
    }
    assert filled.vaults == [
        VaultChange(USDC, "spot_vault", -500_150_000),
        VaultChange(SOL, "spot_vault", 5 * ONE_SOL),
    ]

    venue.ok(UpdateSpotFeePoolTarget(market_index=SOL, spot_fee_pool_target=200_000))
    settled = venue.ok(SettleSpotFeePoolToRevenuePool(market_index=SOL), MALLORY)
    assert legs(settled) == {
        (USDC, "spot_market.0.revenue_pool"): 883_100,
        (USDC, "spot_market.1.spot_fee_pool"): -883_100,
    }
    again = venue.ok(SettleSpotFeePoolToRevenuePool(market_index=SOL), MALLORY)
    assert again.transfers == [] and [x.name for x in again.limits] == ["spot_fee_pool_target"]


# --- insurance ---------------------------------------------------------------------------------------------------


def test_a_stake_from_first_to_last(venue: WholeVenue) -> None:
    """An hour's revenue, capped at 1,000 % a year of Dave's stake, settles before Alice buys in, so it is Dave's. What
    she asks back is frozen: she is paid that and no more, and the gain meanwhile is the others'."""
    venue.wait(3_600)
    joined = venue.ok(AddInsuranceFundStake(authority=ALICE, market_index=USDC, amount=1_000 * ONE_USDC), ALICE)
    hour = 2_000 * ONE_USDC * 10 // (365 * 24)
    assert event(joined, "InsuranceFundRecord")["amount"] == hour
    bought = event(joined, "InsuranceFundStakeRecord")
    assert bought["if_shares_after"] == 1_000 * ONE_USDC * 2_000 * ONE_USDC // (2_000 * ONE_USDC + hour)
    assert joined.vaults == [
        VaultChange(USDC, "spot_vault", -hour),
        VaultChange(USDC, "insurance_fund_vault", 1_000 * ONE_USDC + hour),
    ]
    assert why(venue.do(SettleRevenueToInsuranceFund(spot_market_index=USDC), MALLORY))[0] == (
        "RevenueSettingsCannotSettleToIF"
    )

    ask = RequestRemoveInsuranceFundStake(authority=ALICE, market_index=USDC, amount=500 * ONE_USDC)
    venue.ok(ask, ALICE)
    venue.ok(CancelRequestRemoveInsuranceFundStake(authority=ALICE, market_index=USDC), ALICE)
    frozen = event(venue.ok(ask, ALICE), "InsuranceFundStakeRecord")["amount"]
    leave = RemoveInsuranceFundStake(authority=ALICE, market_index=USDC)
    assert why(venue.do(leave, ALICE))[0] == "TryingToRemoveLiquidityTooFast"
    venue.wait(3_601)
    venue.ok(SettleRevenueToInsuranceFund(spot_market_index=USDC), MALLORY)
    left = venue.ok(leave, ALICE)
    assert left.vaults == [VaultChange(USDC, "insurance_fund_vault", -frozen)]
    (limit,) = left.limits
    assert (limit.name, limit.value) == ("last_withdraw_request_value", frozen) and limit.asked > frozen


def test_the_protocols_own_shares() -> None:
    """Of a gift to a fund without stakers the protocol is the owner. Who is whitelisted hands its shares to a staker,
    and the admin may have the rest paid out."""
    venue = MoneyVenue(profile="documents")
    venue.open(ALICE)
    venue.ok(DepositIntoInsuranceFund(authority=BOB, market_index=USDC, amount=100 * ONE_USDC), BOB)
    venue.ok(InitializeInsuranceFundStake(authority=ALICE, market_index=USDC), ALICE)
    venue.ok(AddInsuranceFundStake(authority=ALICE, market_index=USDC, amount=50 * ONE_USDC), ALICE)
    fund = venue.market(USDC).insurance_fund
    assert (fund.total_shares, fund.user_shares) == (150 * ONE_USDC, 50 * ONE_USDC)

    venue.ok(InitializeProtocolIfSharesTransferConfig())
    limits = UpdateProtocolIfSharesTransferConfig(whitelisted_signers=[DESK], max_transfer_per_epoch=20 * ONE_USDC)
    venue.ok(limits)
    gift = TransferProtocolIfShares(authority=ALICE, market_index=USDC, shares=10 * ONE_USDC)
    assert why(venue.do(gift, ALICE))[0] == "DefaultError"
    given = venue.ok(gift, DESK)
    assert [(e["action"], e["amount"]) for _, e in given.events] == [
        ("UnstakeTransfer", 10 * ONE_USDC),
        ("StakeTransfer", 10 * ONE_USDC),
    ]
    assert (
        why(venue.do(gift, DESK))[2]
        == f"at most {10 * ONE_USDC - 1} shares, or the same after time {venue.now + 28 * 86_400}"
    )

    paid = venue.ok(AdminRemoveInsuranceFundStake(market_index=USDC, shares=90 * ONE_USDC))
    assert paid.vaults == [VaultChange(USDC, "insurance_fund_vault", -90 * ONE_USDC)]
    assert why(venue.do(AdminRemoveInsuranceFundStake(market_index=USDC, shares=1)))[0] == "InsufficientIFShares"
