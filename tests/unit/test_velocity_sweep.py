"""The fee sweep: who is served first, what stays in the P&L pool, what the receipt says. velocity/pools-and-fees.md §6.

Amounts are whole quote units unless the name says otherwise.
"""

from typing import NamedTuple

import pytest

from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import UpdateExchangeStatus, UpdatePerpMarketPausedOperations
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.if_floor import (
    IF_FLOOR_OFF,
    get_bankruptcy_if_floor,
    get_bankruptcy_if_tranche_reservation,
    get_pending_if_fee_floor,
)
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.state.enums import (
    PERP_SETTLE_REV_POOL,
    RULEBOOK_VELOCITY,
    STATUS_DELISTED,
    STATUS_SETTLEMENT,
    VELOCITY_EXCHANGE_ALL_PAUSED,
)
from seawall.state.facts import SweepFacts
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from tests.support.trading import PERP
from tests.support.velocity_losses import VelocityLossVenue

Q = 10**6
SWEEP = SweepPerpMarketFees(market_index=PERP)


class Case(NamedTuple):
    """A pool with pending fees, and what is swept of them: protocol, insurance, AMM provision, AMM surplus."""

    name: str
    pool: int
    protocol: int
    insurance: int
    provision: int
    swept: tuple[int, int, int, int]
    buffer: int = 0
    users: int = 0
    shares: int = 0
    floor: int = 0
    claims: int = 0
    surplus: int = 0
    paused: bool = False
    force: bool = False


CASES = [
    Case("everything fits", 50, 3, 2, 1, (3, 2, 1, 0)),
    Case("protocol first, and without the buffer", 15, 7, 8, 6, (7, 3, 0, 0), buffer=5),
    Case("the protocol empties a pool below the buffer", 4, 3, 2, 1, (3, 0, 0, 0), buffer=5),
    Case("users come before all", 47, 2, 4, 0, (2, 2, 0, 0), buffer=5, users=38),
    Case("users that owe reserve nothing", 10, 4, 6, 0, (4, 6, 0, 0), users=-100),
    Case("revenue shares come before all", 10, 8, 0, 0, (4, 0, 0, 0), shares=6),
    Case("the floor holds the pool and the counter", 10, 2, 6, 5, (2, 2, 2, 0), floor=4),
    Case("a floor above the counter reserves only the counter", 10, 9, 3, 0, (7, 0, 0, 0), floor=100),
    Case("a bankruptcy that waits freezes insurance's cut", 20, 2, 6, 5, (2, 0, 5, 0), claims=1),
    Case("force passes over the floor, not the buffer", 20, 2, 6, 5, (2, 6, 2, 0), 10, 0, 0, 4, 1, 0, True, True),
    Case("paused", 50, 3, 2, 1, (0, 0, 0, 0), paused=True),
    Case("the surplus comes last, above the buffer", 10, 2, 3, 1, (2, 3, 1, 2), buffer=2, surplus=9),
]  # fmt: skip


def make(case: Case) -> tuple[PerpMarket, SpotMarket]:
    """A market at a price of 1 whose standing floor is ``case.floor``, and its quote market with other deposits."""
    market = PerpMarket(rulebook=RULEBOOK_VELOCITY)
    spot = SpotMarket(decimals=6, rulebook=RULEBOOK_VELOCITY, cumulative_deposit_interest=10**10)
    market.pnl_pool.scaled_balance = case.pool * 10**9
    spot.deposit_balance = (case.pool + 1_000) * 10**9
    ledger = market.fee_ledger
    ledger.pending_protocol_fee, ledger.pending_if_fee = case.protocol * Q, case.insurance * Q
    ledger.pending_amm_provision = ledger.amm_protocol_fees_received = case.provision * Q
    ledger.pending_amm_surplus = case.surplus * Q
    market.fee_pool_buffer_target, market.pending_revenue_share = case.buffer * Q, case.shares * Q
    market.pending_bankruptcy_claims = case.claims
    market.bankruptcy_if_floor_pct = Q
    market.amm.base_asset_amount_short = -case.floor * 10**9
    market.amm.historical_oracle_data.last_oracle_price_twap = Q
    market.paused_operations = PERP_SETTLE_REV_POOL if case.paused else 0
    return market, spot


@pytest.mark.parametrize("case", CASES, ids=[case.name for case in CASES])
def test_who_is_served(case: Case) -> None:
    market, spot = make(case)
    facts = SweepFacts()
    sweep_market_fees(market, spot, case.users * Q, 0, case.force, True, facts)
    pools = (market.protocol_fee_pool, spot.revenue_pool)
    protocol, insurance = (get_pool_token_amount(pool, spot) // Q for pool in pools)
    found = (protocol, insurance, facts.amm_provision_tokenized // Q, facts.amm_surplus_tokenized // Q)
    assert found == case.swept
    assert get_pool_token_amount(market.pnl_pool, spot) == (case.pool - sum(case.swept)) * Q
    assert get_pool_token_amount(market.amm.fee_pool, spot) == (case.swept[2] + case.swept[3]) * Q
    ledger = market.fee_ledger
    pending = (
        ledger.pending_protocol_fee,
        ledger.pending_if_fee,
        ledger.pending_amm_provision,
        ledger.pending_amm_surplus,
    )
    wanted = (case.protocol, case.insurance, case.provision, case.surplus)
    assert pending == tuple((had - got) * Q for had, got in zip(wanted, case.swept, strict=True))
    # tokenising uses nothing up of what a bankruptcy may claw back, and earns the AMM nothing
    assert ledger.amm_protocol_fees_received == case.provision * Q
    assert market.amm.total_fee_minus_distributions == 0
    assert facts.swept == any(case.swept)


def test_without_the_parameter_the_surplus_stays_pending() -> None:
    market, spot = make(Case("", 10, 0, 0, 0, (0, 0, 0, 0), surplus=9))
    facts = SweepFacts()
    sweep_market_fees(market, spot, 0, 0, False, False, facts)
    assert (market.fee_ledger.pending_amm_surplus, facts.swept) == (9 * Q, False)


@pytest.mark.parametrize("paused", [False, True])
def test_the_period_is_reset_though_nothing_is_swept(paused: bool) -> None:
    market, spot = make(Case("", 10, 0, 0, 0, (0, 0, 0, 0), paused=paused))
    claim = market.insurance_claim
    claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts = 7, 5
    spot.insurance_fund.last_revenue_settle_ts = 6
    with pytest.raises(SettlementError) as raised:
        sweep_market_fees(market, spot, 0, 5, False, False, SweepFacts())
    assert raised.value.code is ErrorCode.BlockchainClockInconsistency
    sweep_market_fees(market, spot, 0, 6, False, False, SweepFacts())
    assert (claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts) == (0, 5)


@pytest.mark.parametrize(
    ("pct", "long", "short", "twap", "floor"),
    [
        (0, 5_000, -3_000, 100, 500),  # 0 is a tenth of a percent
        (12_000, 5_000, -5_000, 100, 6_000),
        (IF_FLOOR_OFF, 5_000, -5_000, 100, 0),
        (1_000_000, 0, -7, 100, 700),
        (1_000_000, 5, -5, -3, 0),  # a negative TWAP counts as 0
    ],
)
def test_the_standing_floor(pct: int, long: int, short: int, twap: int, floor: int) -> None:
    market = PerpMarket(bankruptcy_if_floor_pct=pct)
    market.amm.base_asset_amount_long, market.amm.base_asset_amount_short = long * 10**9, short * 10**9
    market.amm.historical_oracle_data.last_oracle_price_twap = twap * Q
    market.fee_ledger.pending_if_fee = 550 * Q
    assert get_bankruptcy_if_floor(market) == floor * Q
    assert get_bankruptcy_if_tranche_reservation(market, False) == min(floor, 550) * Q
    assert get_bankruptcy_if_tranche_reservation(market, True) == 0
    market.pending_bankruptcy_claims = 1
    assert get_pending_if_fee_floor(market, False) == 550 * Q


# --- the instruction ---------------------------------------------------------------------------------------------


def make_venue(
    pool: int = 20, protocol: int = 0, insurance: int = 0, provision: int = 0, **fields: int
) -> VelocityLossVenue:
    """A market without users, its floor off, with whole quote units in the P&L pool."""
    venue = VelocityLossVenue(positions=False)
    venue.fund("pnl_pool", pool * Q)
    given = {"fee_pool_buffer_target": 0, "bankruptcy_if_floor_pct": IF_FLOOR_OFF, **fields}
    venue.change_perp_market(
        PERP, pending_protocol_fee=protocol * Q, pending_if_fee=insurance * Q, pending_amm_provision=provision * Q,
        amm_protocol_fees_received=provision * Q, **given,
    )  # fmt: skip
    return venue


def test_anyone_sweeps_and_the_event_tells_what() -> None:
    venue = make_venue(20, 7, 8, 6, fee_pool_buffer_target=5 * Q)
    receipt = venue.ok(SWEEP, "@anyone")
    assert receipt.events == [
        (
            "PerpMarketFeeSweepRecord",
            {
                "ts": venue.now,
                "market_index": PERP,
                "if_swept": 8 * Q,
                "protocol_swept": 7 * Q,
                "amm_provision_tokenized": 0,
            },
        )
    ]
    market, quote = venue.perp_market(PERP), venue.market(0)
    assert get_pool_token_amount(market.protocol_fee_pool, quote) == 7 * Q
    assert get_pool_token_amount(quote.revenue_pool, quote) == 8 * Q
    assert get_pool_token_amount(market.pnl_pool, quote) == 5 * Q
    moved = {leg.account: leg.amount for leg in receipt.transfers}
    assert moved["perp_market.0.pnl_pool"] == -15 * Q
    assert sum(moved.values()) == 0
    (limit,) = receipt.limits
    assert (limit.name, limit.value, limit.asked) == ("fee_pool_buffer_target", 0, 6 * Q)
    assert "a buffer of 5 stays" in limit.note


def test_a_sweep_that_moves_nothing_says_why() -> None:
    venue = make_venue(10, 3, 4, 5)
    venue.claim(10 * Q, PERP, "@long")
    receipt = venue.ok(SWEEP, "@anyone")
    assert receipt.events == [] and receipt.transfers == []
    assert [limit.name for limit in receipt.limits] == ["pnl_pool", "fee_pool_buffer_target", "fee_pool_buffer_target"]
    assert "held 10; reserved: 10 for the users' net P&L" in receipt.limits[0].note


def test_the_floor_and_a_pending_bankruptcy_explain_themselves() -> None:
    venue = make_venue(10, 0, 4, bankruptcy_if_floor_pct=Q, base_asset_amount_long=10**9)
    (limit,) = venue.ok(SWEEP, "@anyone").limits
    assert (limit.name, limit.value, limit.asked) == ("bankruptcy_if_floor", 0, 4 * Q)
    assert "standing floor of 100" in limit.note
    venue = make_venue(10, 0, 4, pending_bankruptcy_claims=2)
    (limit,) = venue.ok(SWEEP, "@anyone").limits
    assert "2 bankrupt positions await their resolution" in limit.note


def test_pauses_and_status() -> None:
    venue = make_venue(20, 7)
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_SETTLE_REV_POOL))
    assert [limit.name for limit in venue.ok(SWEEP, "@anyone").limits] == ["settle_rev_pool"]
    venue.ok(UpdateExchangeStatus(exchange_status=VELOCITY_EXCHANGE_ALL_PAUSED))
    assert venue.refused(SWEEP, "@anyone") == "ExchangePaused"
    # one bit short of all: the sweep goes on
    venue.ok(UpdateExchangeStatus(exchange_status=VELOCITY_EXCHANGE_ALL_PAUSED - 1))
    venue.ok(SWEEP, "@anyone")
    venue.change_perp_market(PERP, status=STATUS_DELISTED)
    assert venue.refused(SWEEP, "@anyone") == "MarketDelisted"


@pytest.mark.parametrize(
    ("fields", "error"),
    [
        ({"curve_update_intensity": 0}, ""),
        ({"last_update_slot": 0, "last_oracle_valid": True}, "AMMNotUpdatedInSameSlot"),
        ({"last_oracle_valid": False}, "OracleStaleForAMM"),
    ],
)
def test_the_price_must_be_trusted(fields: dict[str, int], error: str) -> None:
    """The oracle stands 2 % from its 5-minute TWAP: too far to settle at, unless the AMM was refreshed with it."""
    venue = make_venue(20, 7, **{"curve_update_intensity": 100, **fields})
    market = venue.perp_market(PERP).copy()
    market.amm.historical_oracle_data.last_oracle_price_twap_5min = 98 * Q
    market.contract_tier = 0
    venue._store("perp_markets", PERP, market)
    receipt = venue.do(SWEEP, "@anyone")
    assert (receipt.refusal.error if receipt.refusal else "") == error


def test_a_price_out_of_its_band_is_refused_and_settlement_needs_none() -> None:
    venue = make_venue(20, 7)
    venue.post("SOL", 150 * Q)
    assert venue.refused(SWEEP, "@anyone") == "PriceBandsBreached"
    venue.change_perp_market(PERP, status=STATUS_SETTLEMENT, expiry_price=90 * Q)
    venue.ok(SWEEP, "@anyone")
