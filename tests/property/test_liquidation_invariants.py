"""What holds for every liquidation, whatever the prices, sizes, fees, settings and the liquidator's own maximum."""

from typing import Any

from hypothesis import assume, given, settings
from hypothesis import strategies as st

from seawall.audit.conservation import check_state
from seawall.engine.receipts import Receipt
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import Withdraw
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.instructions.liquidation import (
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidateSpot,
)
from seawall.rules.common.liquidation_math import (
    LIQUIDATION_PCT_PRECISION,
    calculate_base_asset_amount_to_cover_margin_shortage,
    calculate_liability_transfer_implied_by_asset_amount,
    calculate_max_pct_to_liquidate,
    calculate_perp_if_fee,
)
from seawall.rules.common.margin import calculate_margin, meets_initial_margin_requirement
from seawall.rules.drift.liquidation_math import calculate_asset_transfer_for_liability_transfer
from seawall.state.enums import DEPOSIT, MARGIN_MAINTENANCE, USER_BANKRUPT, USER_BEING_LIQUIDATED
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.user import User
from tests.support.money import ONE_SOL, SOL, USDC
from tests.support.trading import PERP, B, P, TradingVenue

VERA, LISA, MAKER = "@vera", "@lisa", "@maker"
fees = st.integers(0, 15_000)
mosts = st.one_of(st.integers(0, 100), st.integers(0, 100 * B), st.just(10**15), st.just(10**15))


# --- whole liquidations ----------------------------------------------------------------------------------------


class Case:
    """A venue in which Vera may be under water, and a liquidation of her."""

    def __init__(self, venue: TradingVenue, instruction: Instruction) -> None:
        self.venue = venue
        self.instruction = instruction

    def __repr__(self) -> str:
        """What a failure shows."""
        user, store = self.venue.user(VERA), self.venue.machine.store
        oracles = [oracle.price for oracle in store.oracles.objects]
        return f"{self.instruction} at {oracles} of {user.spot_positions[:2]}, {user.perp_positions[0]}"

    def shortage(self) -> int:
        """How far Vera's collateral is below her requirement with buffer, below 0 if it is above."""
        calculation = self._margin(VERA)
        return calculation.margin_requirement_plus_buffer - calculation.total_collateral

    def _oracles(self) -> list[OraclePriceData]:
        return [
            OraclePriceData(price=oracle.price, confidence=1, has_sufficient_number_of_data_points=True)
            for oracle in self.venue.machine.store.oracles.objects
        ]

    def _margin(self, name: str) -> MarginCalculation:
        store = self.venue.machine.store
        state = store.state.objects[0]
        calculation = MarginCalculation()
        buffer = state.liquidation_margin_buffer_ratio
        calculate_margin(
            self.venue.user(name), store.spot_markets.objects, store.perp_markets.objects, self._oracles(), state,
            MARGIN_MAINTENANCE, False, buffer, calculation,
        )  # fmt: skip
        return calculation

    def liquidator_can_bear_it(self) -> bool:
        """Whether Lisa meets Initial margin."""
        store = self.venue.machine.store
        markets = store.spot_markets.objects, store.perp_markets.objects
        return meets_initial_margin_requirement(
            self.venue.user(LISA), *markets, self._oracles(), store.state.objects[0]
        )

    def totals(self) -> tuple[int, ...]:
        """What Vera and Lisa have together: scaled balances, base, quote."""
        pair = [self.venue.user(VERA), self.venue.user(LISA)]
        return (
            *(sum(_signed(user, market) for user in pair) for market in (USDC, SOL)),
            sum(user.perp_positions[0].base_asset_amount for user in pair),
            sum(user.perp_positions[0].quote_asset_amount for user in pair),
        )


def _signed(user: User, market: int) -> int:
    return sum(
        p.scaled_balance if p.balance_type == DEPOSIT else -p.scaled_balance
        for p in user.spot_positions
        if p.market_index == market
    )


@st.composite
def cases(draw: st.DrawFn) -> Case:
    """Vera trades, borrows, or has the P&L of a closed position; the price moves against her; Lisa liquidates."""
    venue = TradingVenue(market={"liquidator_fee": draw(fees), "if_liquidation_fee": draw(fees)})
    venue.trader(VERA, usdc=1_000)
    venue.trader(LISA, usdc=draw(st.sampled_from([200, 5_000, 1_000_000, 1_000_000])))
    venue.trader(MAKER, usdc=1_000_000)
    assert venue.deposit(MAKER, SOL, 10_000 * ONE_SOL).ok
    for market in (USDC, SOL):
        venue.change_market(market, liquidator_fee=draw(fees), if_liquidation_fee=draw(fees))
    venue.change_state(
        initial_pct_to_liquidate=draw(st.integers(0, 10_000)), liquidation_duration=draw(st.sampled_from([0, 1, 150]))
    )
    instruction, price = draw(st.sampled_from([_perp, _borrow, _profit, _loss]))(draw, venue)
    if draw(st.booleans()):
        venue.reserve(VERA, draw(st.sampled_from(["Long", "Short"])), draw(st.integers(1, 9)) * B)
    venue.now += draw(st.integers(1, 7_200))
    _move_price(venue, price)
    for market in (USDC, SOL):
        venue.ok(UpdateSpotMarketCumulativeInterest(market_index=market))
    return Case(venue, instruction)


def _perp(draw: st.DrawFn, venue: TradingVenue) -> tuple[Instruction, int]:
    direction = draw(st.sampled_from(["Long", "Short"]))
    assert venue.take(VERA, direction, draw(st.integers(600, 900)) * B // 10).ok
    move = draw(st.integers(8 * P, 40 * P))
    price = 100 * P - move if direction == "Long" else 100 * P + move
    return LiquidatePerp(
        user=VERA, liquidator=LISA, market_index=PERP, liquidator_max_base_asset_amount=draw(mosts)
    ), price  # fmt: skip


def _owe(draw: st.DrawFn, venue: TradingVenue) -> None:
    venue.ok(Withdraw(user=VERA, market_index=SOL, amount=draw(st.integers(55, 70)) * ONE_SOL // 10), VERA)


def _borrow(draw: st.DrawFn, venue: TradingVenue) -> tuple[Instruction, int]:
    _owe(draw, venue)
    instruction = LiquidateSpot(
        user=VERA, liquidator=LISA, asset_market_index=USDC, liability_market_index=SOL,
        liquidator_max_liability_transfer=draw(mosts),
    )  # fmt: skip
    return instruction, draw(st.integers(150 * P, 400 * P))


def _claim(venue: TradingVenue, quote: int) -> None:
    """Give Vera the P&L of a position that she has closed."""
    positions = venue.user(VERA).perp_positions
    positions[0].quote_asset_amount = quote
    venue.change_user(VERA, perp_positions=positions)
    venue.change_perp(quote_asset_amount=quote, number_of_users=1)


def _profit(draw: st.DrawFn, venue: TradingVenue) -> tuple[Instruction, int]:
    _owe(draw, venue)
    _claim(venue, draw(st.integers(1, 300 * P)))
    instruction = LiquidateBorrowForPerpPnl(
        user=VERA, liquidator=LISA, perp_market_index=PERP, spot_market_index=SOL,
        liquidator_max_liability_transfer=draw(mosts),
    )  # fmt: skip
    return instruction, draw(st.integers(180 * P, 600 * P))


def _loss(draw: st.DrawFn, venue: TradingVenue) -> tuple[Instruction, int]:
    _claim(venue, -draw(st.integers(980 * P, 2_000 * P)))
    instruction = LiquidatePerpPnlForDeposit(
        user=VERA, liquidator=LISA, perp_market_index=PERP, spot_market_index=USDC,
        liquidator_max_pnl_transfer=draw(mosts),
    )  # fmt: skip
    return instruction, draw(st.integers(50 * P, 150 * P))


def _owns_something(user: User) -> bool:
    held = any(p.scaled_balance and p.balance_type == DEPOSIT for p in user.spot_positions)
    return held and all(p.quote_asset_amount != 0 or p.base_asset_amount for p in user.perp_positions[:1])


def _move_price(venue: TradingVenue, price: int) -> None:
    venue.post("SOL", price)
    history = venue.market(SOL).historical_oracle_data.copy()
    history.last_oracle_price_twap = history.last_oracle_price_twap_5min = price
    venue.change_market(SOL, historical_oracle_data=history)
    names = ("last_oracle_price_twap", "last_oracle_price_twap_5min")
    venue.change_perp(**{f"historical_oracle_data.{name}": price for name in names})


def _record(receipt: Receipt) -> dict[str, Any] | None:
    return next((fields for name, fields in receipt.events if name == "LiquidationRecord"), None)


@settings(max_examples=40, deadline=None)
@given(cases())
def test_a_refused_liquidation_changes_nothing_and_says_why(case: Case) -> None:
    """Not a row, not the flag of an account that was about to be flagged."""
    machine = case.venue.machine
    root, effects = machine.store.root(), machine.effects
    receipt = case.venue.do(case.instruction, LISA)
    if receipt.refusal is None:
        return
    assert (machine.store.root(), machine.effects) == (root, effects)
    assert (receipt.events, receipt.transfers, receipt.vaults) == ([], [], [])
    assert receipt.refusal.message


@settings(max_examples=60, deadline=None)
@given(cases())
def test_a_liquidation_conserves_and_relieves(case: Case) -> None:
    """No claim comes from nothing, no vault falls short of its claims, and no token moves. The shortage of the account
    does not grow (a loss paid from the quote deposit frees nothing: it grows by the liquidator's fee), the liquidator
    can bear what it took, the flags are those that the event tells."""
    venue = case.venue
    assert check_state(venue.machine.store).findings == []
    before, shortage = case.totals(), case.shortage()
    receipt = venue.do(case.instruction, LISA)
    assume(receipt.ok)
    assert check_state(venue.machine.store).findings == []
    assert receipt.vaults == []
    record = _record(receipt)
    user = venue.user(VERA)
    part = {} if record is None else record["liquidate_perp_pnl_for_deposit"]
    fee = part.get("asset_transfer", 0) - part.get("pnl_transfer", 0)
    dust = 0 if _owns_something(user) else P  # less than one unit of quote goes along with the last of it
    assert case.shortage() <= max(shortage, 0) + fee + dust + 4  # 4: a unit of rounding a leg
    if record is None:
        return
    assert case.liquidator_can_bear_it()
    assert record["bankrupt"] == (user.status == USER_BANKRUPT)
    assert user.status in (0, USER_BEING_LIQUIDATED, USER_BANKRUPT)
    assert record["liquidation_id"] == user.next_liquidation_id - 1
    assert not any(p.open_orders or p.open_bids or p.open_asks for p in user.perp_positions)
    usdc, sol, base, quote = case.totals()
    assert base == before[2]
    assert before[3] - quote == record["liquidate_perp"]["if_fee"]
    assert abs(usdc - before[0]) <= 2_000 + abs(venue.market(USDC).revenue_pool.scaled_balance)
    to_insurance = record["liquidate_spot"]["if_fee"]
    assert 0 <= before[1] - sol <= to_insurance + 4


# --- the formulas ----------------------------------------------------------------------------------------------


@given(
    st.integers(0, 10**15), st.integers(50 * P, 10**15), st.integers(0, 1_000), st.integers(0, 20_000),
    st.integers(0, 255),
)  # fmt: skip
def test_no_more_than_all_at_once(freed: int, shortage: int, elapsed: int, initial: int, duration: int) -> None:
    """The part is at most everything, never falls as slots pass, and all of it once the duration is over."""
    now = calculate_max_pct_to_liquidate(0, freed, shortage, elapsed, initial, duration)
    later = calculate_max_pct_to_liquidate(0, freed, shortage, elapsed + 1, initial, duration)
    assert 0 <= now <= later <= LIQUIDATION_PCT_PRECISION
    if elapsed >= duration:
        assert now == LIQUIDATION_PCT_PRECISION


@given(
    st.integers(0, 10**12), st.integers(1, 10**13), st.integers(100, 5_000), fees, fees, st.integers(P, 10**11)
)  # fmt: skip
def test_the_base_that_covers_a_shortage_covers_it(
    shortage: int, base: int, ratio: int, fee: int, if_fee: int, price: int
) -> None:
    """One base unit more frees at least the shortage, and the insurance rate leaves the liquidator its fee."""
    assume(ratio * 100 > fee + if_fee)
    rate = calculate_perp_if_fee(shortage, base, ratio, fee, price, P, if_fee)
    assert 0 <= rate <= if_fee
    assert rate + fee < ratio * 100
    amount = calculate_base_asset_amount_to_cover_margin_shortage(shortage, ratio, fee, rate, price, P)
    freed = price * (ratio * 100 - fee) // 10**6 - price * rate // 10**6
    assert amount * freed <= shortage * B < (amount + 1) * freed


@given(
    st.integers(1, 10**15), st.sampled_from([6, 8, 9]), st.sampled_from([6, 8, 9]), st.integers(P, 10**11),
    st.integers(P, 10**11), fees, fees,
)  # fmt: skip
def test_what_an_asset_pays_for_costs_all_of_it(
    asset: int, asset_decimals: int, decimals: int, asset_price: int, price: int, fee: int, other: int
) -> None:
    """Taking over as much as the asset pays for takes at least all of the asset, and no more than a token's rounding
    beyond it (dust goes along)."""
    premium, discount = 10**6 + fee, 10**6 - other
    liability = calculate_liability_transfer_implied_by_asset_amount(
        asset, premium, asset_decimals, asset_price, discount, decimals, price
    )
    paid = calculate_asset_transfer_for_liability_transfer(
        asset, premium, asset_decimals, asset_price, liability, discount, decimals, price
    )
    one_token = price * premium * 10**asset_decimals // (asset_price * discount * 10**decimals) + 1
    assert asset <= paid <= asset + one_token
