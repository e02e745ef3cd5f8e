"""Settling P&L through the machine: what is paid, by whom it may be asked for, and what the receipts say.

Alice is long and bob short in a market at a price of 100; both have a deposit of 1000. Amounts in whole quote units
are multiplied by ``Q``, base amounts by ``B``.
"""

import dataclasses
from typing import Any

import pytest

from seawall.engine.machine import Machine, Request
from seawall.engine.queries.pnl import claimable_pnl
from seawall.engine.receipts import Clock, Receipt
from seawall.engine.store import Store
from seawall.engine.tables import Table
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.pnl import (
    DepositIntoPerpMarketFeePool,
    SettleExpiredMarket,
    SettleExpiredMarketPoolsToRevenuePool,
    SettleMultiplePnls,
    SettlePnl,
    UpdatePerpMarketAmmSummaryStats,
)
from seawall.keys import key_from_text, key_to_text
from seawall.records import Record
from seawall.rules.common import pnl as rules
from seawall.rules.common.amm_k import update_bounds
from seawall.state.enums import (
    EXCHANGE_AMM_PAUSED,
    EXCHANGE_SETTLE_PNL_PAUSED,
    PERP_SETTLE_PNL,
    PERP_SETTLE_PNL_WITH_POSITION,
    STATUS_ACTIVE,
    STATUS_DELISTED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
)
from seawall.state.exchange import FeeTier, State, VenueConfig
from seawall.state.oracle import Oracle
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket, Vaults
from seawall.state.user import User

Q = 10**6
B = 10**9
CLOCK = Clock(1_000_000, 2_500_000)
ALICE, BOB = "@alice", "@bob"


def append(table: Table[Any], item: Record) -> None:
    table.store(table.count, item.pack(), item)


@dataclasses.dataclass
class Venue:
    """A machine over a hand-made state."""

    machine: Machine

    def run(self, instruction: Instruction, signer: str = ALICE, clock: Clock = CLOCK) -> Receipt:
        receipt, _ = self.machine.execute(Request(instruction, signer, clock))
        return receipt

    def settle(self, who: str, signer: str | None = None, clock: Clock = CLOCK) -> Receipt:
        return self.run(SettlePnl(user=who, market_index=0), signer or who, clock)

    def user(self, who: str) -> User:
        table = self.machine.store.users
        return table.read(table.index[key_from_text(who) + bytes(2)])

    @property
    def market(self) -> PerpMarket:
        return self.machine.store.perp_markets.objects[0]

    def pools(self) -> tuple[int, int]:
        """Tokens of fee pool and P&L pool."""
        return self.market.amm.fee_pool.scaled_balance // 1000, self.market.pnl_pool.scaled_balance // 1000


def make_state() -> State:
    state = State(admin=key_from_text("@admin"))
    state.perp_fee_structure.fee_tiers[0] = FeeTier(fee_numerator=1, fee_denominator=1000)
    rails = state.oracle_guard_rails
    rails.price_divergence.mark_oracle_percent_divergence = 100_000
    rails.validity.slots_before_stale_for_amm = 10
    rails.validity.slots_before_stale_for_margin = 120
    rails.validity.confidence_interval_max_size = 20_000
    rails.validity.too_volatile_ratio = 5
    return state


def make_market(price: int) -> PerpMarket:
    market = PerpMarket(name="SOL-PERP", status=STATUS_ACTIVE, margin_ratio_initial=1000, margin_ratio_maintenance=500)
    market.unrealized_pnl_maintenance_asset_weight = 10_000
    amm = market.amm
    amm.oracle_index, amm.order_step_size, amm.concentration_coef = 1, 1, 1_414_200
    amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = 10_000 * B
    amm.peg_multiplier = price
    update_bounds(amm)
    history = amm.historical_oracle_data
    history.last_oracle_price = history.last_oracle_price_twap = history.last_oracle_price_twap_5min = price
    history.last_oracle_price_twap_ts = CLOCK.unix_timestamp
    return market


def make_venue(
    alice: tuple[int, int, int] = (0, 0, 0),
    bob: tuple[int, int, int] = (0, 0, 0),
    *,
    deposit: int = 1000,
    fee_pool: int = 0,
    pnl_pool: int = 0,
    earned: int = 0,
    price: int = 100,
    **market_fields: Any,
) -> Venue:
    """Positions are (base, quote, entry), pools and deposits tokens, all in whole units."""
    store = Store()
    append(store.config, VenueConfig(name="test", rulebook="drift", profile="program"))
    append(store.state, make_state())
    append(store.oracles, Oracle(name="quote", price=Q, conf=1, twap=Q))
    append(store.oracles, Oracle(name="SOL", price=price * Q, conf=1, twap=price * Q, valid_slot=CLOCK.slot))
    spot = SpotMarket(name="USDC", decimals=6, status=STATUS_ACTIVE, optimal_utilization=800_000)
    spot.initial_asset_weight = spot.maintenance_asset_weight = 10_000
    spot.initial_liability_weight = spot.maintenance_liability_weight = 10_000
    spot.cumulative_deposit_interest = spot.cumulative_borrow_interest = 10**10
    spot.historical_oracle_data.last_oracle_price_twap_5min = spot.historical_oracle_data.last_oracle_price_twap = Q
    spot.last_twap_ts = spot.last_interest_ts = CLOCK.unix_timestamp
    total = 2 * deposit + fee_pool + pnl_pool
    spot.deposit_balance, spot.deposit_token_twap = total * B, total * Q
    market = make_market(price * Q)
    market.amm.fee_pool.scaled_balance, market.pnl_pool.scaled_balance = fee_pool * B, pnl_pool * B
    market.amm.total_fee_minus_distributions = earned * Q
    for name, value in market_fields.items():
        setattr(market.amm if hasattr(market.amm, name) else market, name, value)
    for who, (base, quote, entry) in ((ALICE, alice), (BOB, bob)):
        user = User(authority=key_from_text(who), address=key_from_text(who))
        user.spot_positions[0].scaled_balance = deposit * B
        position = user.perp_positions[0]
        position.base_asset_amount, position.quote_asset_amount = base * B, quote * Q
        position.quote_entry_amount = entry * Q
        market.number_of_users += base != 0 or quote != 0
        market.number_of_users_with_base += base != 0
        side = "long" if base > 0 else "short"
        setattr(market.amm, f"base_asset_amount_{side}", getattr(market.amm, f"base_asset_amount_{side}") + base * B)
        market.amm.quote_asset_amount += quote * Q
        append(store.users, user)
    market.amm.base_asset_amount_with_amm = market.amm.base_asset_amount_long + market.amm.base_asset_amount_short
    update_bounds(market.amm)
    append(store.spot_markets, spot)
    append(store.vaults, Vaults(spot_vault=total * Q))
    append(store.perp_markets, market)
    return Venue(Machine(store, strict=True))


def balance(user: User) -> int:
    """Signed quote balance in tokens."""
    position = user.spot_positions[0]
    tokens = -(-position.scaled_balance // 1000)
    return -tokens if position.balance_type else position.scaled_balance // 1000


def error(receipt: Receipt) -> str:
    return receipt.refusal.error if receipt.refusal is not None else "ok"


def limits(receipt: Receipt) -> dict[str, tuple[int, int]]:
    return {limit.name: (limit.value, limit.asked) for limit in receipt.limits}


# --- what is paid ------------------------------------------------------------------------------------------------


def test_a_loss_fills_the_pool_and_the_pool_pays_the_winner() -> None:
    venue = make_venue(alice=(0, 60, 0), bob=(0, -60, 0))
    assert error(venue.settle(BOB)) == "ok"
    assert (balance(venue.user(BOB)), venue.pools()) == (940 * Q, (0, 60 * Q))
    receipt = venue.settle(ALICE)
    assert (balance(venue.user(ALICE)), venue.pools()) == (1060 * Q, (0, 0))
    assert receipt.limits == []
    alice = venue.user(ALICE)
    assert (alice.settled_perp_pnl, alice.perp_positions[0].settled_pnl) == (60 * Q, 60 * Q)
    assert alice.spot_positions[0].cumulative_deposits == 0
    assert (venue.market.number_of_users, venue.market.amm.quote_asset_amount) == (0, 0)
    assert [leg.account for leg in receipt.transfers] == ["perp_market.0.pnl_pool", f"user.{receipt_key(ALICE)}/0"]


def receipt_key(who: str) -> str:
    return key_to_text(key_from_text(who))


def test_the_event_tells_the_position_after_the_settlement() -> None:
    venue = make_venue(alice=(2, -150, -180), bob=(-2, 150, 150), pnl_pool=500)
    receipt = venue.settle(ALICE)
    assert receipt.events == [
        (
            "SettlePnlRecord",
            {
                "ts": CLOCK.unix_timestamp,
                "user": receipt_key(ALICE),
                "market_index": 0,
                "pnl": 50 * Q,
                "base_asset_amount": 2 * B,
                "quote_asset_amount_after": -200 * Q,
                "quote_entry_amount": -180 * Q,
                "settle_price": 100 * Q,
                "explanation": "None",
            },
        )
    ]


def test_a_claim_beyond_the_pool_is_paid_in_part_and_says_so() -> None:
    venue = make_venue(alice=(0, 100, 0), bob=(0, -60, 0), pnl_pool=40)
    receipt = venue.settle(ALICE)
    assert (error(receipt), balance(venue.user(ALICE))) == ("ok", 1040 * Q)
    assert limits(receipt) == {"pnl_pool": (40 * Q, 100 * Q)}
    assert "perp market 0 held 40" in receipt.limits[0].note


def test_a_claim_is_capped_by_realised_gain_and_excess_and_says_so() -> None:
    # alice: P&L 100, 20 of it realised; all users claim 100; the pools hold 120 + 50/5
    venue = make_venue(alice=(1, 0, -20), fee_pool=50, earned=1000, pnl_pool=120)
    receipt = venue.settle(ALICE)
    assert balance(venue.user(ALICE)) == 1050 * Q
    assert limits(receipt) == {"claimable_pnl": (50 * Q, 100 * Q)}
    assert "realised gain of 20 and the pools' excess of 30" in receipt.limits[0].note


def test_a_hundredth_of_a_loss_goes_to_a_fee_pool_below_its_target() -> None:
    venue = make_venue(bob=(-10, 950, 950), deposit=200, earned=1000)
    assert error(venue.settle(BOB)) == "ok"
    assert (balance(venue.user(BOB)), venue.pools()) == (150 * Q, (Q // 2, 99 * Q // 2))


def test_a_loss_that_cannot_be_borrowed_in_full_is_settled_in_part() -> None:
    """The gain in another market is collateral enough; of the quote token a sixth of the deposits may be borrowed."""
    venue = make_venue(bob=(0, -160, 0), deposit=120)
    add_market(venue, BOB, quote=100)
    receipt = venue.settle(BOB)
    assert (error(receipt), balance(venue.user(BOB))) == ("ok", -40 * Q - 1), "a borrow is rounded up"
    assert limits(receipt) == {}
    venue = make_venue(bob=(0, -170, 0), deposit=120)
    add_market(venue, BOB, quote=100)
    receipt = venue.settle(BOB)
    assert (error(receipt), balance(venue.user(BOB))) == ("ok", -40 * Q - 1), "a borrow is rounded up"
    assert limits(receipt) == {"quote_withdrawable": (160 * Q, 170 * Q)}
    assert error(venue.settle(BOB)) == "PnlPoolCantSettleUser"
    assert "no more of the quote token may be borrowed" in message(venue.settle(BOB))


def add_market(venue: Venue, who: str, quote: int) -> None:
    """A second market in which a user has nothing but a realised gain."""
    market = make_market(100 * Q)
    market.market_index = 1
    market.number_of_users, market.amm.quote_asset_amount = 1, quote * Q
    append(venue.machine.store.perp_markets, market)
    positions = venue.user(who).perp_positions
    positions[1].market_index, positions[1].quote_asset_amount = 1, quote * Q
    set_user(venue, who, perp_positions=positions)


# --- refusals ----------------------------------------------------------------------------------------------------


def test_an_empty_pool_names_itself_the_claim_and_what_must_happen() -> None:
    venue = make_venue(alice=(0, 100, 0), bob=(0, -60, 0))
    receipt = venue.settle(ALICE)
    refusal = receipt.refusal
    assert refusal is not None
    assert refusal.error == "PnlPoolCantSettleUser"
    assert "P&L pool of perp market 0 holds 0;" in refusal.message
    assert "user claims 100, all users together 40" in refusal.message
    assert "loss" in refusal.would_pass
    assert limits(receipt) == {"pnl_pool": (0, 100 * Q)}


def test_a_pool_that_refills_the_fee_pool_first_says_so() -> None:
    venue = make_venue(alice=(0, 100, 0), pnl_pool=30, earned=1000, total_exchange_fee=100 * Q)
    refusal = venue.settle(ALICE).refusal
    assert refusal is not None
    assert "30 went to a fee pool below its reserved fees; before that 30" in refusal.message
    assert venue.pools() == (0, 30 * Q), "a refusal moves nothing"


def test_nothing_to_settle() -> None:
    venue = make_venue(alice=(1, -100, -100), bob=(-1, 100, 100))
    refusal = venue.settle(ALICE).refusal
    assert refusal is not None
    assert (refusal.error, "P&L is 0" in refusal.message) == ("NoUnsettledPnl", True)
    venue = make_venue(alice=(1, -80, -80), bob=(-1, 80, 80))
    receipt = venue.settle(ALICE)
    assert receipt.refusal is not None
    assert "nothing of the P&L of 20 is claimable" in receipt.refusal.message
    assert limits(receipt) == {"realised_gain": (0, 20 * Q), "pnl_pool_excess": (0, 20 * Q)}


@pytest.mark.parametrize(
    ("alice", "pnl_pool", "status", "outcome"),
    [
        ((0, 100, 0), 50, 0, "UserMustSettleTheirOwnPositiveUnsettledPNL"),
        ((0, 100, 0), 150, 0, "ok"),  # an excess
        ((0, 100, 0), 50, USER_BEING_LIQUIDATED, "ok"),
        ((1, 0, -20), 50, USER_BEING_LIQUIDATED, "UserMustSettleTheirOwnPositiveUnsettledPNL"),  # with base
        ((0, -100, 0), 0, 0, "ok"),  # a loss
    ],
)
def test_who_may_settle_for_another(alice: tuple[int, int, int], pnl_pool: int, status: int, outcome: str) -> None:
    venue = make_venue(alice=alice, pnl_pool=pnl_pool)
    set_user(venue, ALICE, status=status)
    assert error(venue.settle(ALICE, signer=BOB)) == outcome
    set_user(venue, ALICE, delegate=key_from_text(BOB))
    if outcome != "ok":
        assert error(venue.settle(ALICE, signer=BOB)) == "ok"


def set_user(venue: Venue, who: str, **fields: Any) -> None:
    table = venue.machine.store.users
    index = table.index[key_from_text(who) + bytes(2)]
    user = table.read(index)
    for name, value in fields.items():
        setattr(user, name, value)
    table.store(index, user.pack(), user)


@pytest.mark.parametrize(
    ("alice", "fields", "outcome"),
    [
        ((0, 100, 0), {"status": STATUS_REDUCE_ONLY}, "ok"),
        ((1, 0, -20), {"status": STATUS_REDUCE_ONLY}, "InvalidMarketStatusToSettlePnl"),
        ((0, 100, 0), {"status": STATUS_DELISTED}, "InvalidMarketStatusToSettlePnl"),
        ((0, 100, 0), {"paused_operations": PERP_SETTLE_PNL}, "InvalidMarketStatusToSettlePnl"),
        ((0, 100, 0), {"paused_operations": PERP_SETTLE_PNL_WITH_POSITION}, "ok"),
        ((1, 0, -20), {"paused_operations": PERP_SETTLE_PNL_WITH_POSITION}, "InvalidMarketStatusToSettlePnl"),
    ],
)
def test_pauses_and_statuses(alice: tuple[int, int, int], fields: dict[str, int], outcome: str) -> None:
    venue = make_venue(alice=alice, pnl_pool=100, **fields)
    receipt = venue.settle(ALICE)
    assert error(receipt) == outcome
    assert receipt.refusal is None or "perp market 0" in receipt.refusal.message


def test_hard_refusals_hold_in_both_modes() -> None:
    venue = make_venue(alice=(0, 100, 0), pnl_pool=100)
    set_user(venue, ALICE, status=USER_BANKRUPT)
    assert error(venue.settle(ALICE)) == error(try_settle(venue, ALICE)) == "UserBankrupt"
    venue = make_venue(bob=(0, 100, 0), pnl_pool=100)
    assert error(venue.settle(ALICE)) == error(try_settle(venue, ALICE)) == "UserHasNoPositionInMarket"
    venue = make_venue(alice=(0, 100, 0), pnl_pool=100)
    history = venue.market.amm.historical_oracle_data
    object.__setattr__(history, "last_oracle_price_twap_5min", 120 * Q)
    receipt = venue.settle(ALICE)
    assert error(receipt) == error(try_settle(venue, ALICE)) == "PriceBandsBreached"
    assert limits(receipt) == {"mark_oracle_percent_divergence": (100_000, 200_000)}


def test_the_exchange_pause_comes_first() -> None:
    venue = make_venue()
    object.__setattr__(venue.machine.store.state.objects[0], "exchange_status", EXCHANGE_SETTLE_PNL_PAUSED)
    assert error(venue.settle(ALICE)) == error(venue.run(SettleExpiredMarket(market_index=0))) == "ExchangePaused"


def test_a_loss_below_the_maintenance_requirement_names_collateral_and_requirement() -> None:
    venue = make_venue(bob=(-10, 900, 900), deposit=120)
    receipt = venue.settle(BOB)
    assert error(receipt) == "InsufficientCollateralForSettlingPNL"
    # 120 less the loss of 100 against 5 % of 1000
    assert limits(receipt) == {"maintenance_margin_requirement": (50 * Q, 20 * Q)}
    assert receipt.refusal is not None
    assert "worth 30 or more" in receipt.refusal.would_pass


# --- TrySettle ---------------------------------------------------------------------------------------------------


def try_settle(venue: Venue, who: str, mode: Any = "TrySettle") -> Receipt:
    return venue.run(SettleMultiplePnls(user=who, market_indexes=[0], mode=mode), who)


def test_try_settle_keeps_what_moved_between_the_pools() -> None:
    venue = make_venue(alice=(0, 100, 0), fee_pool=0, pnl_pool=30, earned=1000, total_exchange_fee=100 * Q)
    assert error(try_settle(venue, ALICE, "MustSettle")) == "PnlPoolCantSettleUser"
    assert venue.pools() == (0, 30 * Q)
    receipt = try_settle(venue, ALICE)
    assert (error(receipt), venue.pools()) == ("ok", (30 * Q, 0))
    assert balance(venue.user(ALICE)) == 1000 * Q
    assert venue.user(ALICE).last_active_slot == CLOCK.slot
    assert receipt.events == []
    note = receipt.limits[0].note
    assert limits(receipt)["settle_pnl"] == (0, 100 * Q)
    assert "perp market 0 was passed over, PnlPoolCantSettleUser" in note


def test_try_settle_without_the_counter_entry_of_a_third_party() -> None:
    """The pool pays, and the user gets nothing: what a third party may not settle stays taken from the pool."""
    venue = make_venue(alice=(0, 100, 0), pnl_pool=50)
    receipt = venue.run(SettleMultiplePnls(user=ALICE, market_indexes=[0], mode="TrySettle"), BOB)
    assert (error(receipt), venue.pools(), balance(venue.user(ALICE))) == ("ok", (0, 0), 1000 * Q)
    assert any(leg.account == "dust" and leg.amount == 50 * Q for leg in receipt.transfers)


def test_the_numbers_of_refusals_are_the_errors() -> None:
    names = {
        "NO_POSITION": ErrorCode.UserHasNoPositionInMarket,
        "INSUFFICIENT_COLLATERAL": ErrorCode.InsufficientCollateralForSettlingPNL,
        "AMM_NOT_UPDATED": ErrorCode.AMMNotUpdatedInSameSlot,
        "INVALID_STATUS": ErrorCode.InvalidMarketStatusToSettlePnl,
        "NO_UNSETTLED_PNL": ErrorCode.NoUnsettledPnl,
        "POOL_CANT_SETTLE": ErrorCode.PnlPoolCantSettleUser,
        "MUST_SETTLE_OWN": ErrorCode.UserMustSettleTheirOwnPositiveUnsettledPNL,
        "NON_POSITIVE": ErrorCode.OracleNonPositive,
        "TOO_VOLATILE": ErrorCode.OracleTooVolatile,
        "TOO_UNCERTAIN": ErrorCode.OracleTooUncertain,
        "STALE_FOR_MARGIN": ErrorCode.OracleStaleForMargin,
        "INSUFFICIENT_DATA_POINTS": ErrorCode.OracleInsufficientDataPoints,
        "STALE_FOR_AMM": ErrorCode.OracleStaleForAMM,
    }
    for name, code in names.items():
        number = getattr(rules, name)
        assert number == code
        with pytest.raises(SettlementError) as raised:
            rules.raise_refusal(number)
        assert raised.value.code is code


# --- a stale AMM -------------------------------------------------------------------------------------------------


def stale_venue(price: int, delay: int, **fields: int) -> Venue:
    """A market whose curve moves and whose oracle is ``delay`` slots old, at a price a little off its TWAP."""
    venue = make_venue(alice=(0, 100, 0), pnl_pool=200, price=100, curve_update_intensity=1, **fields)
    oracle = venue.machine.store.oracles.objects[1]
    object.__setattr__(oracle, "price", price)
    object.__setattr__(oracle, "valid_slot", CLOCK.slot - delay)
    return venue


@pytest.mark.parametrize(
    ("price", "delay", "fields", "outcome"),
    [
        (100_400_000, 0, {}, "ok"),
        (100_400_000, 50, {}, "ok"),  # stale, but close to the TWAP and calm
        (101_000_000, 50, {}, "OracleStaleForAMM"),
        (101_000_000, 130, {}, "OracleStaleForMargin"),
        (100_400_000, 50, {"mark_std": 2 * Q}, "OracleStaleForAMM"),
        (100_400_000, 50, {"mark_std": 2 * Q - 1}, "ok"),
        (101_000_000, 50, {"contract_tier": 2, "mark_std": 2 * Q}, "OracleStaleForAMM"),
        (100_900_000, 50, {"contract_tier": 2, "mark_std": 2 * Q}, "ok"),
        (101_000_000, 0, {}, "ok"),  # a fresh AMM is not asked
    ],
)
def test_a_stale_oracle_must_be_near_its_twap_and_calm(
    price: int, delay: int, fields: dict[str, int], outcome: str
) -> None:
    receipt = stale_venue(price, delay, **fields).settle(ALICE)
    assert error(receipt) == outcome
    if receipt.refusal is not None:
        assert f"{delay} slots old" in receipt.refusal.message


# --- expiry ------------------------------------------------------------------------------------------------------

EXPIRY = CLOCK.unix_timestamp - 100


def expired_venue(**fields: Any) -> Venue:
    fields = {"status": STATUS_REDUCE_ONLY, "expiry_ts": EXPIRY, **fields}
    return make_venue(alice=(3, -270, -270), bob=(-1, 110, 110), **fields)


def test_an_expired_market_ends_at_what_its_pool_can_pay() -> None:
    venue = expired_venue(pnl_pool=20, earned=-20)
    assert error(venue.run(SettleExpiredMarket(market_index=0))) == "ok"
    # users are net long 2 for −160 in all, the pool has 20: 90 a unit, less one millionth
    assert (venue.market.status, venue.market.expiry_price) == (STATUS_SETTLEMENT, 90 * Q - 1)
    assert venue.settle(ALICE, signer=BOB).ok
    assert venue.settle(BOB, signer=ALICE).ok
    market = venue.market
    assert (market.number_of_users, market.number_of_users_with_base, market.amm.quote_asset_amount) == (0, 0, 0)
    assert market.amm.base_asset_amount_with_amm == 0
    # V = −269.999997…; fees of 0.1 % stay in the pool as smaller claims
    assert balance(venue.user(ALICE)) == 1000 * Q + (3 * (90 * Q - 1) - 270 * Q) - 269_999
    assert venue.user(ALICE).perp_positions[0].base_asset_amount == 0


def test_with_enough_money_it_ends_at_the_hour_twap() -> None:
    venue = expired_venue(pnl_pool=500)
    assert venue.run(SettleExpiredMarket(market_index=0)).ok
    assert venue.market.expiry_price == 100 * Q - 1
    receipt = venue.settle(ALICE)
    fields = receipt.events[0][1]
    assert (fields["explanation"], fields["base_asset_amount"]) == ("ExpiredPosition", 3 * B)
    assert (fields["quote_asset_amount_after"], fields["quote_entry_amount"]) == (0, -270 * Q)
    assert error(venue.settle(ALICE)) == "ok", "a user without a position is done"


def test_the_fee_pool_keeps_its_reserve_and_the_rest_deepens_the_curve() -> None:
    venue = expired_venue(fee_pool=50, earned=30, total_liquidation_fee=10 * Q)
    before = venue.market.amm.sqrt_k
    assert venue.run(SettleExpiredMarket(market_index=0)).ok
    amm = venue.market.amm
    assert venue.pools() == (30 * Q, 20 * Q)
    assert amm.sqrt_k > before
    assert 10 * Q <= amm.total_fee_minus_distributions <= 30 * Q


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({"expiry_ts": 0}, "MarketSettlementAttemptOnActiveMarket"),
        ({"expiry_ts": CLOCK.unix_timestamp + 1}, "MarketSettlementAttemptTooEarly"),
        ({"expiry_ts": CLOCK.unix_timestamp}, "ok"),
        ({"total_fee_withdrawn": 1}, "MathError"),
    ],
)
def test_when_a_market_may_end(fields: dict[str, int], outcome: str) -> None:
    assert error(expired_venue(**fields).run(SettleExpiredMarket(market_index=0))) == outcome


def test_expired_positions_wait_for_the_settlement_duration() -> None:
    venue = expired_venue(pnl_pool=500, status=STATUS_SETTLEMENT, expiry_price=100 * Q)
    state = venue.machine.store.state.objects[0]
    object.__setattr__(state, "settlement_duration", 100)
    receipt = venue.settle(ALICE)
    assert error(receipt) == "PerpMarketSettlementBufferNotReached"
    assert limits(receipt) == {"expiry_ts": (CLOCK.unix_timestamp, CLOCK.unix_timestamp)}
    assert venue.settle(ALICE, clock=Clock(CLOCK.unix_timestamp + 1, CLOCK.slot)).ok
    object.__setattr__(state, "exchange_status", EXCHANGE_AMM_PAUSED)
    assert error(venue.settle(BOB)) == "ExchangePaused"


def test_an_expired_winner_is_paid_in_full_or_not_at_all() -> None:
    venue = expired_venue(pnl_pool=29, status=STATUS_SETTLEMENT, expiry_price=100 * Q)
    receipt = venue.settle(ALICE)
    assert error(receipt) == "InsufficientPerpPnlPool"
    assert limits(receipt) == {"pnl_pool": (29 * Q, 29_700_000)}
    venue = expired_venue(pnl_pool=30, status=STATUS_SETTLEMENT, expiry_price=100 * Q)
    assert venue.settle(ALICE).ok
    assert venue.pools() == (0, 300_000)


def test_resting_orders_of_an_expired_position_are_released() -> None:
    venue = make_venue(status=STATUS_SETTLEMENT, expiry_ts=EXPIRY, expiry_price=100 * Q)
    user = venue.user(ALICE)
    user.perp_positions[0].open_orders, user.perp_positions[0].open_bids = 1, B
    set_user(venue, ALICE, perp_positions=user.perp_positions)
    assert venue.settle(ALICE).ok
    position = venue.user(ALICE).perp_positions[0]
    assert (position.open_orders, position.open_bids) == (0, 0)


def test_the_pools_of_a_market_without_users_go_to_the_revenue_pool() -> None:
    venue = make_venue(fee_pool=5, pnl_pool=7, status=STATUS_SETTLEMENT, expiry_ts=EXPIRY)
    release = SettleExpiredMarketPoolsToRevenuePool(market_index=0)
    state = venue.machine.store.state.objects[0]
    assert error(venue.run(release)) == "Unauthorized"
    assert "no settlement duration" in message(venue.run(release, "@admin"))
    object.__setattr__(state, "settlement_duration", 1)
    assert "stay until" in message(venue.run(release, "@admin", Clock(EXPIRY + 1, CLOCK.slot)))
    object.__setattr__(state, "settlement_duration", 2)
    assert error(venue.run(release, "@admin", Clock(EXPIRY + 86_401, CLOCK.slot))) == "DefaultError"
    assert venue.run(release, "@admin", Clock(EXPIRY + 86_402, CLOCK.slot)).ok
    assert (venue.pools(), venue.market.status) == ((0, 0), STATUS_DELISTED)
    assert venue.machine.store.spot_markets.objects[0].revenue_pool.scaled_balance == 12 * B
    assert error(venue.run(release, "@admin")) == "MarketDelisted"


def message(receipt: Receipt) -> str:
    assert receipt.refusal is not None
    return receipt.refusal.message


@pytest.mark.parametrize(
    ("alice", "bob", "fields", "words"),
    [
        ((0, 0, 0), (0, 0, 0), {"status": STATUS_REDUCE_ONLY}, "ReduceOnly, not in Settlement"),
        ((1, 0, 0), (-1, 0, 0), {}, "2 users still hold positions"),
        ((0, 5, 0), (0, -3, 0), {}, "still owed 2 in all"),
    ],
)
def test_pools_are_not_released_before_the_last_user(
    alice: tuple[int, int, int], bob: tuple[int, int, int], fields: dict[str, int], words: str
) -> None:
    venue = make_venue(alice=alice, bob=bob, **{"status": STATUS_SETTLEMENT, "expiry_ts": EXPIRY, **fields})
    receipt = venue.run(SettleExpiredMarketPoolsToRevenuePool(market_index=0), "@admin")
    assert error(receipt) == "DefaultError"
    assert words in message(receipt)


# --- the AMM's own account ---------------------------------------------------------------------------------------


def test_a_deposit_into_the_fee_pool_is_earned() -> None:
    venue = make_venue(fee_pool=5, earned=3)
    deposit = DepositIntoPerpMarketFeePool(market_index=0, amount=7 * Q)
    assert error(venue.run(deposit)) == "Unauthorized"
    receipt = venue.run(deposit, "@admin")
    assert receipt.ok
    assert (venue.pools()[0], venue.market.amm.total_fee_minus_distributions) == (12 * Q, 10 * Q)
    assert [(v.vault, v.amount) for v in receipt.vaults] == [("spot_vault", 7 * Q)]


def test_summary_stats_are_recomputed_on_request() -> None:
    venue = make_venue(alice=(1, -80, -80), pnl_pool=50, fee_pool=5)
    update = UpdatePerpMarketAmmSummaryStats(market_index=0, net_unsettled_funding_pnl=-2 * Q)
    assert venue.run(update, "@admin").ok
    assert venue.market.amm.total_fee_minus_distributions == 0
    update = UpdatePerpMarketAmmSummaryStats(market_index=0, update_amm_summary_stats=True)
    assert venue.run(update, "@admin").ok
    assert venue.market.amm.total_fee_minus_distributions == (55 - (20 - 2)) * Q


# --- the query ---------------------------------------------------------------------------------------------------


def test_claimable_pnl_names_every_cap_and_changes_nothing() -> None:
    venue = make_venue(alice=(1, 0, -20), fee_pool=50, earned=1000, pnl_pool=120)
    before = venue.machine.store.perp_markets.objects[0].pack()
    found = claimable_pnl(venue.machine.store, CLOCK, ALICE, 0)
    assert (found.unrealized_pnl, found.realized_gain, found.pnl_pool_excess) == (100 * Q, 20 * Q, 30 * Q)
    assert (found.claimable_pnl, found.payable_pnl, found.pnl_pool_available) == (50 * Q, 50 * Q, 120 * Q)
    assert (found.net_user_pnl, found.owner_must_sign, found.refusal) == (100 * Q, False, "")
    assert len(found.reasons) == 1
    assert venue.machine.store.perp_markets.objects[0].pack() == before
    assert venue.settle(ALICE).events[0][1]["pnl"] == found.payable_pnl


def test_claimable_pnl_says_why_nothing_is_payable() -> None:
    venue = make_venue(alice=(0, 100, 0), bob=(0, -60, 0))
    found = claimable_pnl(venue.machine.store, CLOCK, ALICE, 0)
    assert (found.payable_pnl, found.refusal, found.owner_must_sign) == (0, "PnlPoolCantSettleUser", True)
    assert "P&L pool of perp market 0 holds 0" in found.reasons[0]
    set_user(venue, ALICE, status=USER_BANKRUPT)
    found = claimable_pnl(venue.machine.store, CLOCK, ALICE, 0)
    assert (found.refusal, found.unrealized_pnl, found.payable_pnl) == ("UserBankrupt", 100 * Q, 0)
    with pytest.raises(SettlementError, match="UserHasNoPositionInMarket"):
        claimable_pnl(make_venue().machine.store, CLOCK, ALICE, 0)
