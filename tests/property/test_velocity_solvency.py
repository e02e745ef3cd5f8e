"""The invariants of velocity/invariants.md about bankruptcies: A8, A9, E2, E3, E4, E6, E7."""

from typing import NamedTuple

from hypothesis import given, settings
from hypothesis import strategies as st

from seawall.errors import ErrorCode, SettlementError
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.bankruptcy import (
    calculate_deposit_interest_delta_to_resolve_bankruptcy,
    calculate_funding_rate_delta_to_resolve_bankruptcy,
)
from seawall.rules.common.perp_positions import update_position_and_market, update_quote_asset_amount
from seawall.rules.velocity.bankruptcy import resolve_perp_bankruptcy
from seawall.rules.velocity.bankruptcy_predicates import is_cross_margin_bankrupt
from seawall.rules.velocity.spot_bankruptcy import resolve_spot_bankruptcy
from seawall.rules.velocity.user_status import enter_bankruptcy, flag_perp_bankruptcy_claim, is_scope_bankrupt
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    POSITION_BANKRUPTCY_CLAIM,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    USER_BANKRUPT,
)
from seawall.state.exchange import State
from seawall.state.facts import BANKRUPTCY_UNLATCHED, BankruptcyFacts, InterestFacts, MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

MANY = settings(max_examples=300, deadline=None)
INDEX = 10_000_000_000
CROSS = -1

amounts = st.one_of(st.integers(0, 3), st.integers(0, 10**4), st.integers(0, 10**12))
bases = st.one_of(st.just(0), st.integers(1, 10), st.integers(1, 10**16))


def spot_market(index: int = 0, deposit_index: int = INDEX) -> SpotMarket:
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY, status=STATUS_ACTIVE, decimals=6, market_index=index, oracle_index=index
    )
    market.cumulative_deposit_interest = deposit_index
    market.cumulative_borrow_interest = INDEX
    market.maintenance_asset_weight = market.maintenance_liability_weight = 10_000
    return market


def perp_market(index: int = 0) -> PerpMarket:
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY, status=STATUS_ACTIVE, market_index=index)
    market.margin_ratio_maintenance = 500
    market.unrealized_pnl_maintenance_asset_weight = 10_000
    market.amm.order_step_size = 1
    return market


def oracles(*prices: int) -> list[OraclePriceData]:
    return [OraclePriceData(price=price, has_sufficient_number_of_data_points=True) for price in prices]


def tokens(scaled: int, market: SpotMarket) -> int:
    return get_token_amount(scaled, market, DEPOSIT)


# --- formulas --------------------------------------------------------------------------------------------------


@MANY
@given(loss=st.integers(1, 10**18), longs=bases, shorts=bases)
def test_a8_the_rate_change_covers_and_barely_covers(loss: int, longs: int, shorts: int) -> None:
    """With q = δ / 1000, q per unit of open base collects the loss and less than a unit of base more than it."""
    amm = AMM(base_asset_amount_long=longs, base_asset_amount_short=-shorts)
    open_interest = longs + shorts
    if open_interest == 0:
        try:
            calculate_funding_rate_delta_to_resolve_bankruptcy(amm, loss)
        except SettlementError as error:
            assert error.code == ErrorCode.CantResolvePerpBankruptcy
            return
        raise AssertionError("nobody could have paid")
    delta = calculate_funding_rate_delta_to_resolve_bankruptcy(amm, loss)
    assert delta % 1_000 == 0
    assert loss * 10**9 <= delta // 1_000 * open_interest < loss * 10**9 + open_interest


@MANY
@given(loss=st.integers(0, 10**15), scaled=st.integers(0, 10**15), index=st.integers(1, 10**13))
def test_a9_the_haircut_never_takes_the_whole_index(loss: int, scaled: int, index: int) -> None:
    """Nothing without deposits, always less than the index; where it is not clamped it covers, and barely covers."""
    market = spot_market(deposit_index=index)
    market.deposit_balance = scaled
    deposits = tokens(scaled, market)
    delta = calculate_deposit_interest_delta_to_resolve_bankruptcy(market, loss)
    if deposits == 0:
        assert delta == 0
        return
    assert 0 <= delta < index
    if delta < index - 1:
        assert index * loss <= delta * deposits < index * loss + deposits
    else:
        assert (index - 1) * deposits < index * loss + deposits


# --- whole resolutions -----------------------------------------------------------------------------------------


class Estate(NamedTuple):
    """A bankrupt account: a debt in market 0, a claim on market 1 and a deposit of quote; what everybody has."""

    debt: int
    claim: int
    deposit: int
    other_pool: int
    pending: int
    vault: int
    allowance: int
    granted: int
    untokenized: int
    fee_pool: int
    latched: bool


estates = st.builds(
    Estate,
    debt=st.one_of(st.integers(1, 3), st.integers(1, 10**12)),
    claim=amounts,
    deposit=amounts,
    other_pool=amounts,
    pending=amounts,
    vault=amounts,
    allowance=amounts,
    granted=amounts,
    untokenized=amounts,
    fee_pool=amounts,
    latched=st.booleans(),
)


class Books:
    """The records of an estate, and what resolving it did; ``refused`` where it was not bankrupt."""

    def __init__(self, estate: Estate) -> None:
        self.quote, self.market, self.other = spot_market(), perp_market(0), perp_market(1)
        self.user = User(next_liquidation_id=1, status=USER_BANKRUPT if estate.latched else 0)
        self.user.perp_positions[0].quote_asset_amount = -estate.debt
        self.user.perp_positions[1].market_index = 1
        self.user.perp_positions[1].quote_asset_amount = estate.claim
        self.user.spot_positions[0].scaled_balance = estate.deposit * 1_000
        self.market.amm.quote_asset_amount = -estate.debt
        self.market.amm.base_asset_amount_long, self.market.amm.base_asset_amount_short = 7 * 10**9, -4 * 10**9
        self.market.amm.fee_pool.scaled_balance = estate.fee_pool * 1_000
        self.market.fee_ledger.pending_if_fee = estate.pending
        self.market.fee_ledger.amm_protocol_fees_received = estate.granted
        self.market.fee_ledger.pending_amm_provision = min(estate.untokenized, estate.granted)
        self.market.insurance_claim.quote_max_insurance = estate.allowance
        self.other.amm.quote_asset_amount = estate.claim
        self.other.pnl_pool.scaled_balance = estate.other_pool * 1_000
        self.quote.deposit_balance = (estate.fee_pool + estate.other_pool + estate.deposit) * 1_000
        self.facts = BankruptcyFacts()
        self.refused = False
        self.payment = 0
        try:
            self.payment = resolve_perp_bankruptcy(
                self.user, User(), 0, [self.quote], [self.market, self.other], oracles(10**6), State(), estate.vault,
                0, MarginCalculation(), InterestFacts(), self.facts,
            )  # fmt: skip
        except SettlementError as error:
            assert error.code == ErrorCode.UserNotBankrupt and not estate.latched
            self.refused = True


@MANY
@given(estate=estates)
def test_e2_every_tranche_is_within_its_source_and_they_sum_to_the_loss(estate: Estate) -> None:
    """Pending fees, fund, provision and everybody together bear exactly the loss; provision stays within its grant."""
    books = Books(estate)
    facts, ledger = books.facts, books.market.fee_ledger
    assert ledger.pending_amm_provision <= ledger.amm_protocol_fees_received
    if books.refused or facts.loss == 0:
        return
    assert facts.recovered <= min(estate.claim, estate.other_pool)
    assert facts.set_off <= estate.deposit + facts.recovered
    assert facts.loss == estate.debt - facts.set_off
    assert facts.pending_if_payment <= estate.pending
    assert facts.insurance_payment <= min(max(estate.vault - 1, 0), estate.allowance)
    assert facts.untokenized_payment + facts.fee_pool_payment <= estate.granted
    assert facts.fee_pool_payment <= estate.fee_pool
    paid = facts.pending_if_payment + facts.insurance_payment + facts.untokenized_payment + facts.fee_pool_payment
    assert paid + facts.socialized_loss == facts.loss
    assert books.user.perp_positions[0].quote_asset_amount == 0


@MANY
@given(estate=estates)
def test_e3_whoever_pays_the_vault_keeps_a_unit(estate: Estate) -> None:
    """A fund that had something has at least one token left after any resolution."""
    books = Books(estate)
    assert books.payment >= 0
    if estate.vault > 0:
        assert estate.vault - books.payment >= 1
    else:
        assert books.payment == 0


@MANY
@given(estate=estates)
def test_e6_the_latch_falls_if_and_only_if_nothing_is_owed_and_an_unlatch_draws_nothing(estate: Estate) -> None:
    """After a resolution the scope is latched exactly where the predicate holds; an unlatch leaves sources alone."""
    books = Books(estate)
    if books.refused:
        return
    assert is_scope_bankrupt(books.user, CROSS) == is_cross_margin_bankrupt(books.user, [books.quote])
    if books.facts.outcome == BANKRUPTCY_UNLATCHED:
        assert books.payment == 0 and books.facts.loss == 0
        assert books.market.fee_ledger.pending_if_fee == estate.pending
        assert books.market.amm.total_social_loss == 0
        assert books.market.amm.fee_pool.scaled_balance == estate.fee_pool * 1_000


@MANY
@given(estate=estates)
def test_e7_a_forfeited_claim_changes_nobodys_total(estate: Estate) -> None:
    """What users of the other market are owed falls by what its insurance is owed more; its pool stays."""
    books = Books(estate)
    other, facts = books.other, books.facts
    assert other.fee_ledger.pending_if_fee == facts.forfeited
    owed = books.user.perp_positions[1].quote_asset_amount
    assert other.amm.quote_asset_amount == owed == estate.claim - facts.recovered - facts.forfeited
    assert tokens(other.pnl_pool.scaled_balance, books.quote) == estate.other_pool - facts.recovered
    # only what its pool could not pay
    assert facts.forfeited == 0 or facts.forfeited <= estate.claim - min(estate.claim, estate.other_pool)


@MANY
@given(
    borrow=st.one_of(st.integers(1, 3), st.integers(1, 10**12)),
    deposits=st.integers(0, 10**12),
    index=st.integers(10**9, 10**11),
    revenue=amounts,
    vault=amounts,
    price=st.integers(1, 10**9),
)
def test_e2_e3_a_borrow_is_borne_exactly_and_the_vault_keeps_a_unit(
    borrow: int, deposits: int, index: int, revenue: int, vault: int, price: int
) -> None:
    """Revenue pool, fund and depositors together bear the borrow; each within what it has."""
    quote, market = spot_market(), spot_market(1, index)
    market.revenue_pool.market_index = 1
    market.revenue_pool.scaled_balance = revenue * 1_000
    market.deposit_balance = (deposits + revenue) * 1_000
    market.borrow_balance = borrow * 1_000
    user = User(next_liquidation_id=1)
    position = user.spot_positions[1]
    position.market_index, position.balance_type, position.scaled_balance = 1, BORROW, borrow * 1_000
    held = tokens(revenue * 1_000, market)
    facts = BankruptcyFacts()
    payment = resolve_spot_bankruptcy(
        user, User(), 1, [quote, market], [], oracles(10**6, price), State(), vault, 0, MarginCalculation(),
        InterestFacts(), InterestFacts(), facts,
    )  # fmt: skip
    assert facts.revenue_pool_payment + facts.insurance_payment + facts.socialized_loss == facts.loss == borrow
    assert facts.revenue_pool_payment <= held and payment == facts.insurance_payment <= max(vault - 1, 0)
    assert (facts.revenue_pool_payment == held) or facts.insurance_payment == 0
    assert (facts.insurance_payment == max(vault - 1, 0)) or facts.socialized_loss == 0
    assert market.borrow_balance == 0 and market.cumulative_deposit_interest >= 1
    assert market.total_social_loss == facts.socialized_loss
    assert not is_scope_bankrupt(user, CROSS)


@MANY
@given(
    debts=st.lists(st.integers(-5, 5), min_size=1, max_size=6),
    moves=st.lists(st.tuples(st.integers(0, 5), st.integers(-6, 6), st.integers(-2, 2)), max_size=25),
)
def test_e4_the_counter_is_the_number_of_flagged_debts(debts: list[int], moves: list[tuple[int, int, int]]) -> None:
    """However the positions move, the market counts exactly the flagged rows, and each owes something."""
    market = perp_market()
    users = [User(next_liquidation_id=1) for _ in debts]
    for user, debt in zip(users, debts, strict=True):
        update_quote_asset_amount(user.perp_positions[0], market, debt)
        enter_bankruptcy(user, CROSS)
        flag_perp_bankruptcy_claim(user, market)
        flag_perp_bankruptcy_claim(user, market)
    for number, quote, base in moves:
        user = users[number % len(users)]
        position = user.perp_positions[0]
        try:
            update_position_and_market(position, market, base, quote)
        except SettlementError:
            continue
        flagged = [u.perp_positions[0] for u in users if u.perp_positions[0].position_flag & POSITION_BANKRUPTCY_CLAIM]
        assert market.pending_bankruptcy_claims == len(flagged)
        assert all(one.quote_asset_amount < 0 for one in flagged)
