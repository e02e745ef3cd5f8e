"""The AMM's equity is what the market's pools hold beyond all claims, whatever happens at a fixed price."""

from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st
from support.trading import PERP, B, P, TradingVenue

from seawall.instructions.administration import (
    FeeStructureParams,
    FeeTierParams,
    FillerRewardParams,
    UpdatePerpFeeStructure,
)
from seawall.instructions.amm import SettleFundingPayment, UpdateFundingRate
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.pnl import DepositIntoPerpMarketFeePool, SettlePnl
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.rules.velocity.amm_stats import calculate_amm_equity
from tests.support.money import ADMIN

HOUR = 3_600
PRICE = 100 * P
DEPTH = 1_000_000 * B
TRADERS = ("@ann", "@ben", "@cid")
ROUNDING = 6
"""Units that one step may round: a swap, a payment of each position, the rate of a side."""


def fees(amm_fee: int) -> FeeStructureParams:
    """A schedule that leaves so much (percent) of a fill's remainder to the AMM, and a fifth to insurance."""
    return FeeStructureParams(
        fee_tiers=[FeeTierParams(fee_numerator=100, maker_rebate_numerator=20)] * 10,
        filler_reward_structure=FillerRewardParams(
            reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        referrer_reward_epoch_upper_bound=0,
        flat_filler_fee=10_000,
        amm_fee_numerator=amm_fee,
        if_fee_numerator=20,
    )


traders = st.sampled_from(TRADERS)
sizes = st.integers(1, 500_000).map(lambda steps: steps * B // 1_000)
sides = st.sampled_from(("Long", "Short"))
steps = st.one_of(
    st.tuples(st.just("take"), traders, sides, sizes),
    st.tuples(st.just("match"), traders, sides, sizes, traders, st.integers(98 * P, 102 * P)),
    st.tuples(st.just("settle"), traders),
    st.tuples(st.just("sweep")),
    st.tuples(st.just("fund")),
    st.tuples(st.just("give"), st.integers(1, 10**9)),
)


class Books(TradingVenue):
    """A Velocity venue at a fixed price, curve updates off, so that only trades move the reserves."""

    def __init__(self, profile: str, base_spread: int, cap: int, amm_fee: int) -> None:
        market = {"base_spread": base_spread, "amm_jit_intensity": 0}
        super().__init__(rulebook="velocity", profile=profile, market=market)
        self.subsidy = 0
        self.trader(*TRADERS, "@keeper", usdc=10_000_000)
        self.ok(UpdatePerpFeeStructure(fee_structure=fees(amm_fee)))
        self.ok(DepositIntoSpotMarketRevenuePool(authority=ADMIN, market_index=0, amount=1_000 * P))
        given = self.perp.copy()
        given.insurance_claim.max_revenue_withdraw_per_period = cap
        given.fee_pool_buffer_target = 5 * P
        self._store("perp_markets", PERP, given)

    def carry_out(self, step: tuple[Any, ...]) -> None:
        """One step; what is refused changes nothing and is fine."""
        kind, *args = step
        if kind == "take":
            name, side, base = args
            self.take(name, side, base)
        elif kind == "match":
            name, side, base, maker, price = args
            other = "Short" if side == "Long" else "Long"
            if name != maker and self.reserve(maker, other, base).ok:
                self.take(name, side, base, self.match(maker, price, base))
        elif kind == "settle":
            before = self.drawn()
            self.do(SettlePnl(user=args[0], market_index=PERP), args[0])
            self.subsidy += self.drawn() - before
        elif kind == "sweep":
            self.do(SweepPerpMarketFees(market_index=PERP), "@keeper")
        elif kind == "fund":
            self.now = (self.now // HOUR + 1) * HOUR
            self.post("SOL", PRICE)
            self.do(UpdateFundingRate(market_index=PERP), "@keeper")
            for name in TRADERS:
                self.do(SettleFundingPayment(user=name), name)
        else:
            self.ok(DepositIntoPerpMarketFeePool(market_index=PERP, amount=args[0]))

    def drawn(self) -> int:
        """What the market has drawn on the revenue pool."""
        return self.perp.insurance_claim.revenue_withdraw_since_last_settle

    def gap(self) -> int:
        """The AMM's equity by its books and its unrealised P&L, less what the balance sheet shows.

        A draw for P&L enters the P&L pool and nobody's books: it is no income of the AMM.
        """
        market = self.perp
        amm = market.amm
        # what users paid on the plain curve for their net position, and what that is worth
        unrealised = (
            (amm.quote_asset_reserve - DEPTH) * amm.peg_multiplier - amm.base_asset_amount_with_amm * PRICE
        ) // B
        booked = amm.total_fee_minus_distributions + unrealised + self.subsidy
        return booked - calculate_amm_equity(market, self.market(0), PRICE)


@settings(max_examples=40, deadline=None)
@given(
    profile=st.sampled_from(("program", "documents")),
    base_spread=st.sampled_from((0, 2_000)),
    cap=st.sampled_from((0, 30_000, 10**12)),
    amm_fee=st.sampled_from((0, 30)),
    course=st.lists(steps, min_size=1, max_size=14),
)
def test_the_balance_sheet_identity_holds(
    profile: str, base_spread: int, cap: int, amm_fee: int, course: list[tuple[Any, ...]]
) -> None:
    """Tokens in the P&L and the fee pool, less what users, protocol, insurance and revenue shares claim, are the AMM's
    booked equity and its unrealised P&L against the curve, up to units of rounding a step; no step is skewed: fills
    with the AMM, matches, settlements, sweeps, funding and settlements with and without draws on the revenue pool.
    """
    venue = Books(profile, base_spread, cap, amm_fee)
    for number, step in enumerate(course, 1):
        venue.carry_out(step)
        assert abs(venue.gap()) <= ROUNDING * number, step


def test_the_identity_holds_where_every_kind_of_step_works() -> None:
    """A course on which everything happens: trades, settlements that pay and are paid, sweeps that hand out."""
    venue = Books("documents", 2_000, 10**12, 30)
    for step in (
        ("give", 10 * P), ("take", "@ann", "Long", 400 * B), ("take", "@ben", "Short", 450 * B),
        ("match", "@ben", "Short", 300 * B, "@cid", 101 * P), ("fund",), ("fund",), ("settle", "@ann"),
        ("settle", "@cid"), ("settle", "@ben"), ("sweep",), ("take", "@ann", "Short", 400 * B), ("settle", "@ann"),
        ("sweep",),
    ):  # fmt: skip
        venue.carry_out(step)
        assert abs(venue.gap()) <= ROUNDING, step
    market = venue.perp
    assert market.amm.cumulative_funding_rate_long != 0
    assert market.protocol_fee_pool.scaled_balance > 0
    assert market.amm.fee_pool.scaled_balance > 10 * P * 1_000
    ledger = market.fee_ledger
    assert 0 <= ledger.pending_amm_provision <= ledger.amm_protocol_fees_received > 0


def test_the_identity_holds_where_the_revenue_pool_pays_funding() -> None:
    """An AMM without equity owes shorts funding: the draw enters its pool and its books alike."""
    venue = Books("documents", 0, 10**12, 0)
    for step in (("take", "@ann", "Long", 400 * B), ("take", "@ben", "Short", 450 * B), ("fund",), ("fund",)):
        venue.carry_out(step)
        assert abs(venue.gap()) <= ROUNDING, step
    drawn = venue.perp.insurance_claim.revenue_withdraw_since_last_settle
    assert drawn > 0
    assert abs(venue.perp.amm.fee_pool.scaled_balance - drawn * 1_000) <= 1_000
