"""Invariants of velocity/invariants.md about balances, interest and limits (A13, B1–B14), and of the two carve-outs."""

from collections.abc import Callable

from hypothesis import assume, given, settings
from hypothesis import strategies as st
from support.money import ADMIN, ETH, SOL, USDC, MoneyVenue

from seawall.arithmetic import U64_MAX
from seawall.engine.conservation import surplus
from seawall.engine.queries.margin import withdrawable
from seawall.errors import SettlementError
from seawall.instructions.administration import UpdateSpotMarketIfFactor
from seawall.instructions.base import Instruction
from seawall.instructions.deposits import (
    Deposit,
    DepositIntoSpotMarketRevenuePool,
    DepositIntoSpotMarketVault,
    Swap,
    TransferDeposit,
    Withdraw,
)
from seawall.instructions.venue_setup import InitializeUser
from seawall.rules.common.balances import get_signed_token_amount, get_spot_balance, get_token_amount
from seawall.rules.common.interest import calculate_spot_market_utilization, calculate_utilization
from seawall.rules.common.withdraw_limits import (
    calculate_max_borrow_token_amount_of_pool,
    calculate_min_deposit_token_amount,
    calculate_withdraw_bounds,
    check_withdraw_limits_of_market,
    get_max_withdraw_for_market_with_token_amount,
)
from seawall.rules.velocity.interest import (
    calculate_accumulated_interest,
    calculate_borrow_rate,
    get_interest_token_amount_with_dust,
    split_deposit_interest,
    update_spot_market_cumulative_interest_without_oracle,
)
from seawall.rules.velocity.liquidation_math import validate_swap_within_liquidation_boundaries
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY, STATUS_ACTIVE
from seawall.state.facts import InterestFacts
from seawall.state.spot_market import InsuranceFund, PoolBalance, SpotMarket

ONE = 10**10
"""An index of 1."""

YEAR = 31_536_000

indices = st.integers(ONE // 20, 20 * ONE)
tokens = st.one_of(st.integers(0, 1_000), st.integers(0, 10**15))
scaled = st.one_of(st.integers(0, 100_000), st.integers(0, 10**18))
kinks = st.integers(1, 850_000)


def make_market(**fields: int) -> SpotMarket:
    return SpotMarket(
        **{
            "rulebook": RULEBOOK_VELOCITY,
            "status": STATUS_ACTIVE,
            "decimals": 6,
            "cumulative_deposit_interest": ONE,
            "cumulative_borrow_interest": ONE,
            **fields,
        }
    )


@st.composite
def curves(draw: st.DrawFn) -> dict[str, int]:
    """A rate curve as the setter admits it."""
    optimal = draw(st.integers(0, 5_000_000))
    return {
        "optimal_utilization": draw(kinks),
        "optimal_borrow_rate": optimal,
        "max_borrow_rate": optimal + draw(st.integers(0, 20_000_000)),
        "min_borrow_rate": draw(st.integers(0, min(255, optimal // 5_000))),
    }


@st.composite
def lending_markets(draw: st.DrawFn) -> SpotMarket:
    """A market where something is deposited, and perhaps lent out; its indices may lie anywhere."""
    market = make_market(
        **draw(curves()),
        decimals=draw(st.sampled_from([5, 6, 8, 9])),
        cumulative_deposit_interest=draw(indices),
        cumulative_borrow_interest=draw(indices),
        deposit_balance=draw(scaled),
        borrow_balance=draw(scaled),
    )
    cut = draw(st.integers(0, 999_999))
    market.insurance_fund = InsuranceFund(if_fee_factor=draw(st.integers(0, cut)))
    market.protocol_fee_factor = cut - market.insurance_fund.if_fee_factor
    return market


# --- B1–B3, B9: conversions ------------------------------------------------------------------------------------------


@given(balance=scaled, index=indices, decimals=st.integers(0, 19))
def test_b1_a_deposit_is_worth_no_more_than_the_same_borrow(balance: int, index: int, decimals: int) -> None:
    """For equal scaled balance and equal indices a deposit's tokens are at most a borrow's."""
    market = make_market(decimals=decimals, cumulative_deposit_interest=index, cumulative_borrow_interest=index)
    assert get_token_amount(balance, market, DEPOSIT) <= get_token_amount(balance, market, BORROW)


@given(amount=tokens, index=indices, decimals=st.integers(0, 19))
def test_b2_a_deposit_gives_back_no_more_than_was_put_in(amount: int, index: int, decimals: int) -> None:
    """Tokens to scaled balance, rounded down, and back never exceed the tokens."""
    market = make_market(decimals=decimals, cumulative_deposit_interest=index)
    balance = get_spot_balance(amount, market, DEPOSIT, False)
    assert get_token_amount(balance, market, DEPOSIT) <= amount


@given(amount=tokens, index=indices, decimals=st.integers(0, 19))
def test_b3_a_borrow_owes_no_less_than_was_taken(amount: int, index: int, decimals: int) -> None:
    """Tokens to scaled balance, rounded up, and back never fall short of the tokens, for dust either."""
    market = make_market(decimals=decimals, cumulative_borrow_interest=index)
    balance = get_spot_balance(amount, market, BORROW, True)
    assert get_token_amount(balance, market, BORROW) >= amount
    assert (balance > 0) == (amount > 0)


@given(balance=scaled, index=indices, more=st.integers(0, 10 * ONE), decimals=st.integers(0, 19))
def test_a13_debt_never_falls_as_the_borrow_index_grows(balance: int, index: int, more: int, decimals: int) -> None:
    """A larger cumulative borrow interest never gives a smaller token debt."""
    before = make_market(decimals=decimals, cumulative_borrow_interest=index)
    after = make_market(decimals=decimals, cumulative_borrow_interest=index + more)
    assert get_token_amount(balance, before, BORROW) <= get_token_amount(balance, after, BORROW)


@given(amount=tokens)
def test_b9_the_sign_follows_the_kind_of_balance(amount: int) -> None:
    """A deposit's signed amount is never below 0, a borrow's never above."""
    assert get_signed_token_amount(amount, DEPOSIT) == amount
    assert get_signed_token_amount(amount, BORROW) == -amount


# --- B4–B8: rates and interest ---------------------------------------------------------------------------------------


@given(curve=curves(), low=st.integers(0, 2_000_000), more=st.integers(0, 500_000))
def test_b4_the_borrow_rate_never_falls_with_utilization(curve: dict[str, int], low: int, more: int) -> None:
    """The rate is non-decreasing in utilization, at least the minimum, and at most the maximum."""
    market = make_market(**curve)
    rate = calculate_borrow_rate(market, low)
    assert curve["min_borrow_rate"] * 5_000 <= rate <= calculate_borrow_rate(market, low + more)
    assert calculate_borrow_rate(market, low + more) <= max(curve["max_borrow_rate"], 5_000 * curve["min_borrow_rate"])


@given(market=lending_markets(), elapsed=st.integers(1, YEAR))
def test_b5_lenders_earn_no_higher_rate_than_borrowers_pay(market: SpotMarket, elapsed: int) -> None:
    """Up to full utilization the deposit index grows by no larger part of itself than the borrow index."""
    assume(calculate_spot_market_utilization(market) <= 1_000_000)
    borrow, deposit = calculate_accumulated_interest(market, elapsed)
    assert deposit * market.cumulative_borrow_interest <= borrow * market.cumulative_deposit_interest


@given(market=lending_markets(), elapsed=st.integers(0, YEAR), more=st.integers(0, YEAR))
def test_b6_interest_never_falls_with_time(market: SpotMarket, elapsed: int, more: int) -> None:
    """A longer span never accrues less to borrowers, nor to lenders as long as nothing is cut to what borrowers pay.

    The cut to whole tokens can take back less than one token of the lenders' interest.
    """
    borrow, deposit = calculate_accumulated_interest(market, elapsed)
    borrow_later, deposit_later = calculate_accumulated_interest(market, elapsed + more)
    assert borrow <= borrow_later
    token = 10 ** (19 - market.decimals)
    assert market.deposit_balance * deposit <= market.deposit_balance * deposit_later + token + market.deposit_balance


@given(market=lending_markets(), elapsed=st.integers(1, YEAR))
def test_b7_borrowers_are_charged_what_lenders_are_credited(market: SpotMarket, elapsed: int) -> None:
    """Interest charged to borrowers covers interest paid to depositors, in whole tokens of the market's totals."""
    borrow, deposit = calculate_accumulated_interest(market, elapsed)
    precision = 10 ** (19 - market.decimals)
    assert market.deposit_balance * deposit // precision <= market.borrow_balance * borrow // precision


@given(deposits=tokens, borrows=tokens)
def test_b8_utilization_is_full_at_most_where_deposits_cover_borrows(deposits: int, borrows: int) -> None:
    """Utilization is at most 1 where borrows do not exceed deposits, and 0 without borrows."""
    utilization = calculate_utilization(deposits, borrows)
    if borrows <= deposits:
        assert utilization <= 1_000_000
    else:
        assert utilization >= 1_000_000
    assert calculate_utilization(deposits, 0) == 0


# --- B10: swaps ------------------------------------------------------------------------------------------------------


@given(
    amount_in=st.integers(1, 10**12),
    amount_out=st.integers(0, 10**12),
    prices=st.tuples(st.integers(1, 10**10), st.integers(1, 10**10)),
)
def test_b10_more_in_for_the_same_out_is_never_a_better_price(
    amount_in: int, amount_out: int, prices: tuple[int, int]
) -> None:
    """A swap that is refused stays refused when twice as much goes in for the same amount out."""

    def is_refused(given_in: int) -> bool:
        try:
            validate_swap_within_liquidation_boundaries(
                given_in, amount_out, 6, 6, prices[0], prices[1], 1_050_000, 1_000_000
            )
        except SettlementError:
            return True
        return False

    assert not is_refused(amount_in) or is_refused(2 * amount_in)


# --- B11–B14: limits ---------------------------------------------------------------------------------------------

bps = st.integers(0, 10_000)


@given(twap=tokens, guard=tokens, breaker=bps)
def test_b11_the_floor_of_deposits_stays_below_their_average(twap: int, guard: int, breaker: int) -> None:
    """The minimum is at most the average, and outside the guard at most three quarters of it under the default."""
    assert 0 <= calculate_min_deposit_token_amount(twap, guard, breaker) <= twap
    assert calculate_min_deposit_token_amount(twap, guard, 0) <= twap - twap // 4


@given(deposits=tokens, twaps=st.tuples(tokens, tokens), guard=tokens, cap=tokens, pool=st.integers(0, 3))
def test_b12_the_ceiling_of_borrows_stays_within_its_cap(
    deposits: int, twaps: tuple[int, int], guard: int, cap: int, pool: int
) -> None:
    """Whatever the averages say, borrows may not be asked beyond the configured cap."""
    assert calculate_max_borrow_token_amount_of_pool(deposits, *twaps, guard, cap, pool) <= cap


def _ends(call: Callable[[], object]) -> None:
    try:
        call()
    except SettlementError:
        return


@given(
    market=lending_markets(),
    limits=st.fixed_dictionaries(
        {
            "deposit_token_twap": st.integers(0, U64_MAX),
            "borrow_token_twap": st.integers(0, U64_MAX),
            "utilization_twap": st.integers(0, U64_MAX),
            "withdraw_guard_threshold": st.integers(0, U64_MAX),
            "max_token_deposits": st.integers(0, U64_MAX),
            "max_token_borrows_fraction": st.integers(0, 65_535),
            "withdraw_circuit_breaker_bps": st.integers(0, 65_535),
            "pool_id": st.integers(0, 255),
            "insurance_fund_revenue_receivable_scaled": scaled,
        }
    ),
    held=st.integers(-(10**18), 10**18),
    leaving=st.booleans(),
)
def test_b13_the_limits_answer_for_any_market(
    market: SpotMarket, limits: dict[str, int], held: int, leaving: bool
) -> None:
    """No market in range makes the limits fail otherwise than with a named error; what may leave is never negative,
    and nothing that is lent out, or that the insurance fund is owed, may."""
    for name, value in limits.items():
        setattr(market, name, value)
    _ends(lambda: calculate_withdraw_bounds(market))
    _ends(lambda: check_withdraw_limits_of_market(market))
    try:
        amount = get_max_withdraw_for_market_with_token_amount(market, held, leaving)
    except SettlementError:
        return
    assert amount >= 0
    receivable = get_token_amount(market.insurance_fund_revenue_receivable_scaled, market, DEPOSIT)
    if leaving and receivable > 0:
        deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
        borrows = get_token_amount(market.borrow_balance, market, BORROW)
        assert amount <= max(0, deposits - borrows - receivable)


@given(twap=tokens, guard=tokens, breaker=bps)
def test_b14_the_breaker_leaves_its_share_or_the_guard(twap: int, guard: int, breaker: int) -> None:
    """What may leave is the larger of the breaker's share of the average and the guard; a stored 0 means a quarter."""
    share = twap * (breaker or 2_500) // 10_000
    assert twap - calculate_min_deposit_token_amount(twap, guard, breaker) == max(share, min(guard, twap))


# --- the carve-outs --------------------------------------------------------------------------------------------------


@given(
    market=lending_markets(), increments=st.lists(st.one_of(st.integers(0, 30), st.integers(0, 10**12)), max_size=20)
)
def test_a_split_gives_away_exactly_what_came_in(market: SpotMarket, increments: list[int]) -> None:
    """Lenders, insurance and protocol sum to each increment; over time the two carve-outs get their exact part, and
    insurance its exact part of that, but for remainders of less than one unit."""
    insurance_factor = market.insurance_fund.if_fee_factor
    factor = insurance_factor + market.protocol_fee_factor
    carved_out = for_insurance = 0
    for increment in increments:
        lenders, insurance, protocol = split_deposit_interest(increment, market)
        assert min(lenders, insurance, protocol) >= 0
        assert lenders + insurance + protocol == increment
        carved_out += insurance + protocol
        for_insurance += insurance
    assert carved_out == sum(increments) * factor // 1_000_000
    assert market.revenue_pool.pending_interest_split_dust == sum(increments) * factor % 1_000_000
    if factor:
        assert for_insurance == carved_out * insurance_factor // factor


@given(balance=scaled, cuts=st.lists(st.integers(0, 1_000), max_size=20), decimals=st.sampled_from([0, 6, 9, 19]))
def test_no_part_of_a_token_is_lost(balance: int, cuts: list[int], decimals: int) -> None:
    """Tokens paid out over time are the whole tokens of all cuts together; what is left is less than one token."""
    market, pool = make_market(decimals=decimals), PoolBalance()
    paid = sum(get_interest_token_amount_with_dust(balance, cut, market, pool) for cut in cuts)
    precision = 10 ** (19 - decimals)
    assert divmod(balance * sum(cuts), precision) == (paid, pool.pending_interest_dust)


@given(market=lending_markets(), spans=st.lists(st.tuples(st.integers(0, 10**6), st.booleans()), max_size=12))
def test_accruals_credit_no_more_than_borrowers_owe(market: SpotMarket, spans: list[tuple[int, bool]]) -> None:
    """Whatever is accrued or paused when: all that depositors and pools gain is owed by borrowers, the pools hold what
    their carve-outs came to, neither index ever falls, and the clock never runs ahead."""
    market.protocol_fee_pool.market_index = market.revenue_pool.market_index = market.market_index
    now = 0
    for span, paused in spans:
        now += span
        before = market.copy()
        update_spot_market_cumulative_interest_without_oracle(market, now, paused, InterestFacts())
        gained, owed = _growth(before, market)
        # a credit of each pool is floored, and each total is floored or rounded up on its own
        assert gained <= owed + 1
        assert market.cumulative_deposit_interest >= before.cumulative_deposit_interest
        assert market.cumulative_borrow_interest >= before.cumulative_borrow_interest
        assert before.last_interest_ts <= market.last_interest_ts <= now
        if paused:
            assert gained == owed == 0 and market.last_interest_ts == now


def _growth(before: SpotMarket, after: SpotMarket) -> tuple[int, int]:
    """By how many tokens deposits and borrows grew."""
    gained = get_token_amount(after.deposit_balance, after, DEPOSIT) - get_token_amount(
        before.deposit_balance, before, DEPOSIT
    )
    owed = get_token_amount(after.borrow_balance, after, BORROW) - get_token_amount(
        before.borrow_balance, before, BORROW
    )
    return gained, owed


# --- a whole venue -----------------------------------------------------------------------------------------------

PEOPLE = ("@alice", "@bob", "@alice/1")
markets = st.sampled_from((USDC, SOL, ETH))
amounts = st.one_of(st.integers(0, 50), st.integers(0, 10**12))


@st.composite
def instructions(draw: st.DrawFn) -> tuple[Instruction, str]:
    """An instruction and who signs it."""
    user, market, amount = draw(st.sampled_from(PEOPLE)), draw(markets), draw(amounts)
    owner = user.partition("/")[0]
    kind = draw(st.sampled_from(["deposit", "deposit", "withdraw", "withdraw", "transfer", "swap", "revenue", "vault"]))
    if kind == "deposit":
        return Deposit(user=user, market_index=market, amount=amount, reduce_only=draw(st.booleans())), owner
    if kind == "withdraw":
        return Withdraw(user=user, market_index=market, amount=amount, reduce_only=draw(st.booleans())), owner
    if kind == "transfer":
        moved = TransferDeposit(from_user="@alice", to_user="@alice/1", market_index=market, amount=amount)
        return moved, "@alice"
    if kind == "swap":
        other = draw(markets)
        swap = Swap(
            user=user, in_market_index=market, out_market_index=other, amount_in=amount, amount_out=draw(amounts)
        )
        return swap, owner
    if kind == "revenue":
        return DepositIntoSpotMarketRevenuePool(authority="@alice", market_index=market, amount=amount), "@alice"
    return DepositIntoSpotMarketVault(market_index=market, amount=amount), ADMIN


def velocity_venue(guard: int) -> MoneyVenue:
    v = MoneyVenue(guard=guard, rulebook="velocity")
    for market in (USDC, SOL, ETH):
        v.ok(UpdateSpotMarketIfFactor(spot_market_index=market, if_fee_factor=150_000, protocol_fee_factor=50_000))
    v.open("@alice", "@bob")
    v.ok(InitializeUser(user="@alice/1"), "@alice")
    return v


steps = st.lists(st.tuples(instructions(), st.sampled_from([0, 1, 3_600, 86_400])), max_size=25)


@settings(max_examples=40, deadline=None)
@given(guard=st.sampled_from([0, 10**9, 10**18]), steps=steps)
def test_claims_never_exceed_the_vaults(guard: int, steps: list[tuple[tuple[Instruction, str], int]]) -> None:
    """After every instruction each vault covers all claims on it, and a refused instruction changes nothing."""
    v = velocity_venue(guard)
    for (instruction, signer), seconds in steps:
        v.now += seconds
        root = v.machine.store.root()
        receipt = v.do(instruction, signer)
        if not receipt.ok:
            assert v.machine.store.root() == root
        assert min(surplus(v.machine.store)) >= 0


@settings(max_examples=25, deadline=None)
@given(
    guard=st.sampled_from([0, 10**9, 10**18]),
    lent=st.integers(0, 10**11),
    moved=st.integers(50_000_000, 200_000_000),
    seconds=st.sampled_from([0, 60, 86_400]),
)
def test_the_promised_withdrawal_is_paid_and_one_token_more_is_not(
    guard: int, lent: int, moved: int, seconds: int
) -> None:
    """``withdrawable`` is exact: that much is paid, and one token more is refused with the error that it names."""
    v = velocity_venue(guard)
    assert v.deposit("@bob", SOL, 10**12).ok
    assert v.deposit("@alice", USDC, 10**9).ok
    v.now += 86_400
    v.withdraw("@alice", SOL, lent % (4 * 10**9))
    v.post("SOL", moved)
    v.now += seconds
    promise = withdrawable(v.machine.store, v.clock, "@bob", SOL)
    more = v.withdraw("@bob", SOL, promise.amount + 1)
    assert more.refusal is not None and more.refusal.error == promise.bound_by
    if promise.amount:
        assert v.withdraw("@bob", SOL, promise.amount).ok
