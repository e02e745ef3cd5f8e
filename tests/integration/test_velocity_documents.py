"""What the documents of the redesign promise, sentence by sentence: accounting and settlement, then the revenue pool.

Each test is named after the promise and plays on a venue of the profile ``documents``; where the documents promise
more than the program does, the profile ``program`` is held against it. Debts, claims and lent-out vaults that only a
long history leads to are written into the tables.
"""

from typing import Any

import pytest
from support.losses import BANKRUPT, source, waterfall
from support.money import ADMIN, ONE_SOL, SOL, USDC
from support.samples import sample
from support.trading import PERP, B, P, fills_of
from support.velocity_losses import OTHER, VelocityLossVenue

from seawall.engine.queries.margin import margin
from seawall.engine.receipts import Receipt
from seawall.instructions.administration import (
    FeeStructureParams,
    FeeTierParams,
    FillerRewardParams,
    UpdatePerpFeeStructure,
    UpdatePerpMarketMaxImbalances,
    UpdateSpotMarketIfFactor,
    UpdateSpotMarketLiquidationFee,
    UpdateSpotMarketRevenueSettlePeriod,
)
from seawall.instructions.amm import UpdateFundingRate
from seawall.instructions.associated_spot import UpdatePerpMarketAssociatedSpot
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.insurance import (
    AdminRemoveInsuranceFundStake,
    RemoveInsuranceFundStake,
    RequestRemoveInsuranceFundStake,
)
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.isolated import DepositIntoIsolatedPerpPosition
from seawall.instructions.liquidation import LiquidateSpot
from seawall.instructions.parameters import (
    UpdatePerpMarketBankruptcyIfFloorPct,
    UpdatePerpMarketFeePoolBufferTarget,
)
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.protocol_fees import SweepPerpMarketFees, WithdrawProtocolFeesPerp, WithdrawProtocolFeesSpot
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.roles import (
    UpdateHotAdmin,
    UpdateProtocolFeeRecipient,
    UpdateSolvencyStatus,
    UpdateWarmAdmin,
)
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.if_floor import IF_FLOOR_OFF

AMM_PART, INSURANCE_PART = 20, 30
"""Percent of what is left of a fee; the protocol has the other 50."""

POOLS = ("pnl", "amm", "protocol", "revenue")


class House(VelocityLossVenue):
    """@long and @short with 100,000 each, a taker fee of 0.1 % split 20/30/50, no buffer and no floor."""

    def __init__(self, profile: str = "documents", **config: Any) -> None:
        super().__init__(positions=False, profile=profile, **config)
        self.ok(UpdateWarmAdmin(warm_admin="@warm"))
        self.ok(UpdateHotAdmin(role="FeeWithdraw", key="@desk"), "@warm")
        fees = FeeStructureParams(
            fee_tiers=[FeeTierParams(fee_numerator=100)] * 10,
            filler_reward_structure=FillerRewardParams(
                reward_numerator=0, reward_denominator=100, time_based_reward_lower_bound=0
            ),
            referrer_reward_epoch_upper_bound=0,
            flat_filler_fee=0,
            amm_fee_numerator=AMM_PART,
            if_fee_numerator=INSURANCE_PART,
        )
        self.ok(UpdatePerpFeeStructure(fee_structure=fees), "@warm")
        self.ok(UpdatePerpMarketBankruptcyIfFloorPct(market_index=PERP, bankruptcy_if_floor_pct=IF_FLOOR_OFF), "@warm")
        self.buffer(0)
        self.post("SOL", 100 * P)

    def buffer(self, tokens: int) -> None:
        """What insurance and the AMM leave in the P&L pool."""
        self.ok(UpdatePerpMarketFeePoolBufferTarget(market_index=PERP, fee_pool_buffer_target=tokens), "@warm")

    def held(self) -> dict[str, int]:
        """Tokens of the pools of market 0 and of the quote market."""
        perp, quote = self.perp, self.market(USDC)
        pools = (perp.pnl_pool, perp.amm.fee_pool, perp.protocol_fee_pool, quote.revenue_pool)
        return {name: get_pool_token_amount(pool, quote) for name, pool in zip(POOLS, pools, strict=True)}

    def round_trip(self, base: int = 100 * B) -> list[dict[str, Any]]:
        """@long buys from the AMM and sells again at once: it has lost fees and spread. The fills."""
        bought, sold = self.take("@long", "Long", base), self.take("@long", "Short", base)
        assert bought.ok and sold.ok, (bought.refusal, sold.refusal)
        return fills_of(bought) + fills_of(sold)

    def settle(self, name: str) -> Receipt:
        """Anyone settles an account's P&L in market 0; a gain only its owner may take."""
        return self.do(SettlePnl(user=name, market_index=PERP), name)

    def refresh(self, seconds: int, price: int = 100 * P) -> None:
        """Time passes; SOL has a new price."""
        self.now += seconds
        self.post("SOL", price)


def error_of(receipt: Receipt) -> str:
    assert receipt.refusal is not None
    return receipt.refusal.error


def parts(fills: list[dict[str, Any]]) -> dict[str, int]:
    """What the fills left to the AMM, insurance and the protocol, and what they cost."""
    names = ("amm_fee", "if_fee", "protocol_fee", "taker_fee", "quote_asset_amount_surplus")
    return {name: sum(fill[name] for fill in fills) for name in names}


# --- accounting & settlement -----------------------------------------------------------------------------------------


def test_all_deposits_are_in_one_vault_the_insurance_vault_outside() -> None:
    """Isolated collateral too, accounted for separately from the account's cross-margin balance."""
    house = House()
    vault, cross = house.vault(USDC), house.balance("@long", USDC)
    isolated = DepositIntoIsolatedPerpPosition(
        user="@long", spot_market_index=USDC, perp_market_index=OTHER, amount=7 * P
    )
    house.ok(isolated, "@long")
    assert (house.vault(USDC), house.balance("@long", USDC)) == (vault + 7 * P, cross)
    house.insure("@staker", USDC, 5 * P)
    assert (house.vault(USDC), house.vaults(USDC).insurance_fund_vault) == (vault + 7 * P, 5 * P)


def test_claimed_gains_must_come_from_settled_offsetting_losses() -> None:
    house = House(revenue_pool_draw_for_pnl=False)
    house.claim(40 * P, PERP, "@long")
    house.claim(-40 * P, PERP, "@short")
    assert error_of(house.settle("@long")) == "PnlPoolCantSettleUser"
    assert house.settle("@short").ok
    assert house.held()["pnl"] == 40 * P
    assert house.settle("@long").ok
    assert house.held()["pnl"] == 0


def test_trade_fee_value_lands_in_the_pnl_pool_first_as_fills_settle() -> None:
    """A fill moves no token; the counters wait, and the loser's tokens pay what they stand for."""
    house = House()
    counted = parts(house.round_trip())
    assert set(house.held().values()) == {0}
    assert house.perp.fee_ledger.pending_protocol_fee == counted["protocol_fee"]
    receipt = house.settle("@long")
    (swept,) = [fields for name, fields in receipt.events if name == "PerpMarketFeeSweepRecord"]
    from_pool = -sum(leg.amount for leg in receipt.transfers if leg.account == f"perp_market.{PERP}.pnl_pool")
    lost = -next(fields["pnl"] for name, fields in receipt.events if name == "SettlePnlRecord")
    assert house.held()["pnl"] == lost - sum(swept[n] for n in swept if n not in ("ts", "market_index")) == -from_pool


@pytest.mark.parametrize("profile", ["documents", "program"])
def test_the_amm_fee_pool_holds_its_cut_plus_the_spread_surplus(profile: str) -> None:
    """Tokenised out of the P&L pool by the sweep; the program tokenises the cut alone."""
    house = House(profile)
    counted = parts(house.round_trip())
    surplus = counted["quote_asset_amount_surplus"]
    assert surplus > 0
    assert house.settle("@long").ok
    tokenised = surplus if profile == "documents" else 0
    assert house.held()["amm"] == counted["amm_fee"] + tokenised
    # a bankruptcy claws back the cut, never the surplus
    assert house.perp.fee_ledger.amm_protocol_fees_received == counted["amm_fee"]


def test_every_fill_carves_out_both_cuts_and_the_protocol_is_the_residual() -> None:
    for fill in House().round_trip(123_457 * B // 1_000):
        left = fill["taker_fee"] - (fill["filler_reward"] or 0)
        assert fill["amm_fee"] == left * AMM_PART // 100
        assert fill["if_fee"] == left * INSURANCE_PART // 100
        assert fill["protocol_fee"] == left - fill["amm_fee"] - fill["if_fee"]


def test_the_cuts_of_protocol_and_insurance_never_pass_through_the_amm_fee_pool() -> None:
    house = House("program")
    counted = parts(house.round_trip())
    receipt = house.settle("@long")
    moved = {leg.account: leg.amount for leg in receipt.transfers}
    assert moved["perp_market.0.protocol_fee_pool"] == counted["protocol_fee"]
    assert moved["spot_market.0.revenue_pool"] == counted["if_fee"]
    assert moved["perp_market.0.fee_pool"] == counted["amm_fee"]


def test_the_sweep_reserves_the_users_net_pnl_on_every_drain() -> None:
    """What the winners are owed stays in the pool, to the unit, whatever is pending."""
    house = House("program")
    house.round_trip()
    assert house.reserve("@short", "Short", 10 * B).ok
    assert house.take("@long", "Long", 10 * B, house.match("@short", 100 * P, 10 * B)).ok
    house.refresh(60, 110 * P)
    house.claim(-50 * P, PERP, BANKRUPT)
    before = house.held()
    house.do(SweepPerpMarketFees(market_index=PERP), "@anyone")
    assert house.held() == before


def test_the_protocols_cut_is_first_and_exempt_from_the_retention_buffer() -> None:
    """Insurance's cut and the AMM's provision sweep next, above the buffer."""
    house = House("program")
    counted = parts(house.round_trip())
    house.buffer(10**12)
    assert house.settle("@long").ok
    assert {name: house.held()[name] for name in ("protocol", "revenue", "amm")} == {
        "protocol": counted["protocol_fee"], "revenue": 0, "amm": 0,
    }  # fmt: skip
    house.buffer(house.held()["pnl"] - counted["if_fee"] - 1)
    house.ok(SweepPerpMarketFees(market_index=PERP), "@anyone")
    assert (house.held()["revenue"], house.held()["amm"]) == (counted["if_fee"], 1)


def test_perp_fees_route_to_spot_market_0_and_lending_revenue_stays_in_its_own_market() -> None:
    house = House()
    lending(house)
    quote_before = house.held()["revenue"]
    house.refresh(30 * 86_400)
    house.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
    sol = house.market(SOL)
    assert get_pool_token_amount(sol.revenue_pool, sol) > 0 < get_pool_token_amount(sol.protocol_fee_pool, sol)
    assert house.held()["revenue"] == quote_before
    house.round_trip()
    assert house.settle("@long").ok
    assert house.held()["revenue"] > quote_before


def lending(house: House, insurance: int = 200_000, protocol: int = 100_000) -> None:
    """@lender's 100 SOL, of which @long borrows 50; a part of the interest is insurance's and the protocol's."""
    house.open("@lender")
    assert house.deposit("@lender", SOL, 100 * ONE_SOL).ok
    factors = UpdateSpotMarketIfFactor(spot_market_index=SOL, if_fee_factor=insurance, protocol_fee_factor=protocol)
    house.ok(factors, "@warm")
    assert house.withdraw("@long", SOL, 50 * ONE_SOL).ok


def test_the_revenue_pool_pays_stakers_all_of_every_settle() -> None:
    """There are no protocol-owned shares: all that settles raises the price of the stakers' shares."""
    house = staked(1_000_000 * P)
    fund = house.market(USDC).insurance_fund
    shares, before = fund.total_shares, house.vaults(USDC).insurance_fund_vault
    assert shares == fund.user_shares
    settled = revenue(house, 100 * P)
    fund = house.market(USDC).insurance_fund
    assert (fund.total_shares, fund.user_shares) == (shares, shares)
    assert house.vaults(USDC).insurance_fund_vault == before + settled > before


def staked(tokens: int) -> House:
    """A fund that revenue settles to every hour, with its first settlement behind it."""
    house = House()
    house.insure("@staker", USDC, tokens)
    house.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=USDC, revenue_settle_period=3_600), "@warm")
    house.now = (house.now // 3_600 + 2) * 3_600
    house.ok(SettleRevenueToInsuranceFund(spot_market_index=USDC), "@anyone")
    return house


def revenue(house: House, tokens: int) -> int:
    """Revenue comes in and an hour later anyone settles it; the tokens settled."""
    gift = DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=tokens)
    house.ok(gift, "@anyone")
    house.refresh(3_600)
    receipt = house.ok(SettleRevenueToInsuranceFund(spot_market_index=USDC), "@anyone")
    return sum(fields["amount"] for name, fields in receipt.events if name == "InsuranceFundRecord")


def test_pulling_from_an_associated_spot_market_is_future_work() -> None:
    """Off unless the venue was created with ``associated_spot_backstop``."""
    ix = sample(UpdatePerpMarketAssociatedSpot)
    assert House().refused(ix) == "UnsupportedInstruction"


# --- the revenue pool ------------------------------------------------------------------------------------------------


def test_a_settlement_is_capped_to_a_tenth_or_the_apr_cap_whichever_is_less() -> None:
    """An astronomically large inflow relative to the stakes trickles in over a longer period."""
    assert revenue(staked(1_000_000 * P), 100 * P) == 10 * P
    small = 1_000 * P
    assert revenue(staked(small), 10**12) == small * 10 // (365 * 24)


def test_a_settlement_is_halved_at_high_utilization() -> None:
    """Where the depositors' net claim is below the pool, half of that claim counts, and a tenth of it settles."""
    house = staked(1_000_000 * P)
    market = house.market(USDC)
    lent = market.deposit_balance - 10 * P * 1_000
    house.change_market(USDC, borrow_balance=lent)
    house.change_vaults(USDC, spot_vault=10 * P)
    house.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=90 * P), "@anyone")
    house.change_market(USDC, borrow_balance=lent + 60 * P * 1_000, last_interest_ts=house.now + 3_600)
    house.change_vaults(USDC, spot_vault=40 * P)
    house.refresh(3_600)
    receipt = house.ok(SettleRevenueToInsuranceFund(spot_market_index=USDC), "@anyone")
    (record,) = [fields for name, fields in receipt.events if name == "InsuranceFundRecord"]
    assert record["amount"] == 40 * P // 2 // 10
    assert "half_of_depositors_claim" in [limit.name for limit in receipt.limits]


def test_the_fund_is_its_stakers_own_and_no_administrator_withdraws() -> None:
    assert House().refused(AdminRemoveInsuranceFundStake(market_index=USDC, shares=1)) == "UnsupportedInstruction"


def test_stakers_must_adhere_to_the_cooldown() -> None:
    house = House()
    house.insure("@staker", USDC, 1_000 * P)
    request = RequestRemoveInsuranceFundStake(authority="@staker", market_index=USDC, amount=500 * P)
    house.ok(request, "@staker")
    remove = RemoveInsuranceFundStake(authority="@staker", market_index=USDC)
    house.refresh(13 * 86_400 - 1)
    assert house.refused(remove, "@staker") == "TryingToRemoveLiquidityTooFast"
    house.refresh(1)
    house.ok(remove, "@staker")


@pytest.mark.parametrize("side", ["perp", "spot"])
def test_protocol_fees_exit_only_to_the_recipient_that_the_cold_admin_set(side: str) -> None:
    """By the FeeWithdraw key, capped to the pool's own balance."""
    house = House("program")
    lending(house)
    house.round_trip()
    assert house.settle("@long").ok
    house.refresh(86_400)
    house.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
    of_spot = side == "spot"
    market, pool = (SOL, house.market(SOL).protocol_fee_pool) if of_spot else (PERP, house.perp.protocol_fee_pool)
    has = get_pool_token_amount(pool, house.market(SOL if of_spot else USDC))
    assert has > 0
    instruction = WithdrawProtocolFeesSpot if of_spot else WithdrawProtocolFeesPerp

    def ask(**options: Any) -> Instruction:
        return instruction(market_index=market, amount=10 * has, **options)

    assert house.refused(ask(), "@desk") == "InvalidProtocolFeeRecipient"
    recipient = UpdateProtocolFeeRecipient(market_type=side, recipient="@treasury")  # type: ignore[arg-type]
    assert house.refused(recipient, "@warm") == "Unauthorized"
    house.ok(recipient, ADMIN)
    assert house.refused(ask(), "@long") == "Unauthorized"
    assert house.refused(ask(recipient="@desk"), "@desk") == "InvalidProtocolFeeRecipient"
    receipt = house.ok(ask(recipient="@treasury"), "@desk")
    (record,) = [fields for name, fields in receipt.events if name == "ProtocolFeeWithdrawRecord"]
    assert record["amount"] == has
    assert house.refused(ask(), "@desk") == "InsufficientProtocolFees"


def test_a_withdrawal_of_protocol_fees_can_never_dip_into_user_deposits() -> None:
    """With every token lent out the pool has a claim, and no token of the lenders' pays it."""
    house = House("program")
    lending(house)
    house.refresh(86_400)
    house.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
    house.ok(UpdateProtocolFeeRecipient(market_type="spot", recipient="@treasury"), ADMIN)
    market = house.market(SOL)
    all_of_it = market.deposit_balance * market.cumulative_deposit_interest // market.cumulative_borrow_interest
    house.change_market(SOL, borrow_balance=all_of_it)
    house.change_vaults(SOL, spot_vault=10**12)
    withdraw = WithdrawProtocolFeesSpot(market_index=SOL, amount=10**12)
    assert house.refused(withdraw, "@desk") == "SpotMarketInsufficientDeposits"


def test_lenders_receive_the_remainder_after_both_factors() -> None:
    """``update_spot_market_if_factor`` sets both at once; together they leave the lenders something."""
    house = House()
    lending(house, insurance=200_000, protocol=100_000)
    whole = UpdateSpotMarketIfFactor(spot_market_index=SOL, if_fee_factor=600_000, protocol_fee_factor=400_000)
    assert house.refused(whole, "@warm") == "DefaultError"
    before = house.market(SOL).cumulative_deposit_interest
    house.refresh(365 * 86_400)
    house.ok(UpdateSpotMarketCumulativeInterest(market_index=SOL))
    sol = house.market(SOL)
    pools = [get_pool_token_amount(pool, sol) for pool in (sol.revenue_pool, sol.protocol_fee_pool)]
    lenders = 100 * ONE_SOL * (sol.cumulative_deposit_interest - before) // before
    everything = lenders + sum(pools)
    for part, percent in ((pools[0], 20), (pools[1], 10), (lenders, 70)):
        assert abs(part * 100 - everything * percent) <= 1_000


def test_a_spot_liquidation_credits_both_cuts_directly() -> None:
    """``if_liquidation_fee`` to the borrow market's revenue pool, ``protocol_liquidation_fee`` to its protocol pool."""
    house = House()
    fees = UpdateSpotMarketLiquidationFee(
        market_index=SOL, liquidator_fee=10_000, if_liquidation_fee=10_000, protocol_liquidation_fee=5_000
    )
    house.ok(fees, "@warm")
    house.open("@lender", "@vera")
    house.change_state(liquidation_margin_buffer_ratio=200, initial_pct_to_liquidate=10_000)
    assert house.deposit("@lender", SOL, 100 * ONE_SOL).ok
    assert house.deposit("@vera", USDC, 1_000 * P).ok
    assert house.withdraw("@vera", SOL, 8 * ONE_SOL).ok
    house.refresh(10, 117 * P)
    liquidate = LiquidateSpot(
        user="@vera",
        liquidator="@short",
        asset_market_index=USDC,
        liability_market_index=SOL,
        liquidator_max_liability_transfer=8 * ONE_SOL,
    )
    receipt = house.ok(liquidate, "@short")
    (record,) = [fields for name, fields in receipt.events if name == "LiquidationRecord"]
    taken, sol = record["liquidate_spot"], house.market(SOL)
    for name, pool, rate in (("if_fee", sol.revenue_pool, 10_000), ("protocol_fee", sol.protocol_fee_pool, 5_000)):
        assert taken[name] == taken["liability_transfer"] * rate // 10**6
        assert taken[name] - 1 <= get_pool_token_amount(pool, sol) <= taken[name]


def test_repairs_are_gated_by_solvency_status() -> None:
    house = House()
    house.ok(UpdateSolvencyStatus(solvency_status=1), ADMIN)
    one = {"user": BANKRUPT, "liquidator": "@short"}
    for repair, signer in (
        (ResolvePerpPnlDeficit(spot_market_index=0, perp_market_index=PERP), "@anyone"),
        (ResolvePerpBankruptcy(quote_spot_market_index=0, market_index=PERP, **one), "@short"),
        (ResolveSpotBankruptcy(market_index=SOL, **one), "@short"),
    ):
        assert house.refused(repair, signer) == "ExchangePaused"
    assert house.refused(UpdateSolvencyStatus(solvency_status=0), "@warm") == "Unauthorized"


def imbalances(house: House, period: int = 0, lifetime: int = 0, unrealized: int = 0) -> None:
    """The market's caps on revenue a period, on insurance for ever, and on what winners may be owed."""
    caps = {"max_revenue_withdraw_per_period": period, "quote_max_insurance": lifetime}
    house.change_perp_market(PERP, contract_tier=0)
    house.ok(UpdatePerpMarketMaxImbalances(market_index=PERP, unrealized_max_imbalance=unrealized, **caps), "@warm")


@pytest.mark.parametrize("profile", ["documents", "program"])
def test_a_perp_market_draws_on_the_revenue_pool_up_to_its_cap_every_period(profile: str) -> None:
    """Tracked since the last settle of the pool, which begins a new period; the program never draws."""
    house = House(profile)
    imbalances(house, period=15 * P)
    house.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=100 * P), "@anyone")
    house.claim(40 * P, PERP, "@long")
    if profile == "program":
        assert error_of(house.settle("@long")) == "PnlPoolCantSettleUser"
        return
    assert house.settle("@long").ok
    claim = house.perp.insurance_claim
    assert (house.held()["revenue"], claim.revenue_withdraw_since_last_settle) == (85 * P, 15 * P)
    assert claim.last_revenue_withdraw_ts == house.now
    house.refresh(3_600)
    assert error_of(house.settle("@long")) == "PnlPoolCantSettleUser"
    house.ok(UpdateSpotMarketRevenueSettlePeriod(market_index=USDC, revenue_settle_period=3_600), "@warm")
    house.now = (house.now // 3_600 + 2) * 3_600
    house.post("SOL", 100 * P)
    house.change_market(USDC, **{"insurance_fund": fund_settled(house)})
    assert house.settle("@long").ok
    assert house.perp.insurance_claim.revenue_withdraw_since_last_settle == 15 * P


def fund_settled(house: House) -> Any:
    """The quote fund, to which revenue settled this very second."""
    fund = house.market(USDC).insurance_fund.copy()
    fund.last_revenue_settle_ts = house.now
    return fund


def bankrupt(house: House, debt: int, insured: int, allowed: int, provision: int) -> Receipt:
    """@bankrupt owes ``debt``; the fund has ``insured`` of which the market may use ``allowed``; the AMM its cut."""
    house.hold("@long", 3 * B)
    house.hold("@short", -B)
    house.insure("@staker", USDC, insured)
    imbalances(house, lifetime=allowed)
    house.fund("fee_pool", provision)
    house.provide(provision)
    house.claim(-debt, PERP, BANKRUPT)
    house.open("@judge")
    ix = ResolvePerpBankruptcy(user=BANKRUPT, liquidator="@judge", quote_spot_market_index=0, market_index=PERP)
    return house.ok(ix, "@judge")


def test_insurance_is_capped_then_the_amm_fee_pool_pays_then_losses_are_socialised() -> None:
    """``quote_settled_insurance`` tracks the draw; the AMM's fee pool is a clawback of last resort."""
    house = House()
    found = waterfall(bankrupt(house, debt=100 * P, insured=1_000 * P, allowed=30 * P, provision=20 * P))
    assert source(found, "insurance_fund").paid == house.perp.insurance_claim.quote_settled_insurance == 30 * P
    assert source(found, "fee_pool").paid == 20 * P
    assert found.socialised == 50 * P
    assert [source.name for source in found.sources][-1].endswith("fee_pool")


def test_a_depleted_insurance_fund_is_the_other_limit() -> None:
    """The fund keeps a unit."""
    found = waterfall(bankrupt(House(), debt=100 * P, insured=10 * P, allowed=30 * P, provision=0))
    assert (source(found, "insurance_fund").paid, found.socialised) == (10 * P - 1, 90 * P + 1)


def test_a_deficit_is_resolved_by_insurance_alone_and_only_beyond_the_admitted_imbalance() -> None:
    """Never by social loss with other users."""
    house = House("program")
    house.insure("@staker", USDC, 1_000 * P)
    imbalances(house, period=250 * P, lifetime=250 * P, unrealized=60 * P)
    house.claim(100 * P, PERP, "@long")
    house.change_perp_market(PERP, total_fee_minus_distributions=-P, curve_update_intensity=0)
    rates = house.perp.amm.cumulative_funding_rate_long
    found = waterfall(house.resolve_deficit())
    assert (found.loss, source(found, "insurance_fund").paid, found.socialised) == (40 * P, 40 * P, 0)
    assert house.perp.amm.cumulative_funding_rate_long == rates
    imbalances(house, period=250 * P, lifetime=250 * P, unrealized=100 * P)
    house.change_perp_market(PERP, total_fee_minus_distributions=-P)
    assert error_of(house.resolve_deficit()) == "PerpPnlDeficitBelowThreshold"


@pytest.mark.parametrize("profile", ["documents", "program"])
def test_the_amm_can_draw_on_the_revenue_pool_for_asymmetric_funding_shortfalls(profile: str) -> None:
    """Where a third of its equity does not pay what funding asks, the same cap a period bounds the draw."""
    house = House(profile)
    assert house.take("@long", "Long", 100 * B).ok
    assert house.take("@short", "Short", 1_000 * B).ok
    imbalances(house, period=2 * P)
    house.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=100 * P), "@anyone")
    marks = dict.fromkeys(("last_mark_price_twap", "last_bid_price_twap", "last_ask_price_twap"), 103 * P)
    house.change_perp(total_fee_minus_distributions=30 * P, **marks)
    house.refresh(3_600 - house.now % 3_600)
    house.change_perp(last_mark_price_twap_ts=house.now, last_funding_rate_ts=house.now - 3_600)
    before = house.held()
    house.ok(UpdateFundingRate(market_index=PERP), "@anyone")
    drawn = 2 * P if profile == "documents" else 0
    assert before["revenue"] - house.held()["revenue"] == house.held()["amm"] - before["amm"] == drawn
    assert house.perp.insurance_claim.revenue_withdraw_since_last_settle == drawn
    # the users are paid that much more of what they are owed
    assert house.perp.amm.net_unsettled_funding_pnl == 10 * P + drawn


def test_no_bankruptcy_counts_against_the_cap_on_revenue() -> None:
    """``max_revenue_withdraw_per_period`` does not include bankruptcy resolution."""
    house = House()
    house.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=500 * P), "@anyone")
    waterfall(bankrupt(house, debt=100 * P, insured=1_000 * P, allowed=200 * P, provision=0))
    assert house.held()["revenue"] == 500 * P
    assert house.perp.insurance_claim.revenue_withdraw_since_last_settle == 0


def test_winners_beyond_the_admitted_imbalance_count_for_less_initially() -> None:
    """``unrealized_pnl_max_imbalance``: initial asset weights of this P&L get discounted, maintenance does not."""
    house = House("program")
    house.claim(80 * P, PERP, "@long")
    house.change_perp_market(PERP, unrealized_pnl_initial_asset_weight=10_000)
    imbalances(house, unrealized=500 * P)
    store, clock = house.machine.store, house.clock
    whole = margin(store, clock, "@long").initial.total_collateral
    imbalances(house, unrealized=40 * P)
    discounted = margin(store, house.clock, "@long")
    assert whole - discounted.initial.total_collateral == 40 * P
    assert discounted.maintenance.total_collateral == whole
