"""Perp orders of a Velocity venue through the machine: who pays, where the fee goes, who is owed, and every refusal."""

from typing import Any

import pytest

from seawall.engine.queries.revenue_share import revenue_shares
from seawall.engine.receipts import Receipt
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.administration import (
    FeeStructureParams,
    FeeTierParams,
    FillerRewardParams,
    UpdateExchangeStatus,
    UpdatePerpFeeStructure,
    UpdateSpotFeeStructure,
)
from seawall.instructions.parameters import UpdatePerpMarketTakerFeeAddon, UpdatePromoFeeTier
from seawall.instructions.perp_fills import AmmFill, PlaceAndTakePerpOrder, ReleasePerpOrder
from seawall.instructions.revenue_share import (
    ChangeApprovedBuilder,
    CompleteRevenueShareOrder,
    InitializeRevenueShareEscrow,
)
from seawall.instructions.user_settings import UpdateUserAcceleratedReferralStatus
from seawall.keys import key_from_text, key_to_text
from seawall.state.enums import (
    EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED,
    EXCHANGE_AMM_PAUSED,
    FEATURE_BUILDER_CODES,
    FEATURE_VAMM_MAKER_REBATE,
    PERP_AMM_FILL,
    STATUS_DELISTED,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import (
    REVENUE_SHARE_ROWS,
    ROW_COMPLETED,
    ROW_IN_USE,
    ROW_REFERRAL,
    RevenueShareEscrow,
    RevenueShareRow,
)
from tests.support.trading import PERP, B, P, TradingVenue, fills_of

ALICE, MAKER, FILLER, REFERRER, BUILDER = "@alice", "@maker", "@filler", "@referrer", "@builder"
EVERYBODY = (ALICE, MAKER, FILLER, REFERRER, BUILDER)


class VelocityVenue(TradingVenue):
    """A Velocity venue where a fifth of what is left of a fee is the AMM's and a tenth insurance's."""

    def __init__(self, **config: Any) -> None:
        super().__init__(**{"rulebook": "velocity", **config})
        structure = self.machine.store.state.objects[0].perp_fee_structure.copy()
        structure.amm_fee_numerator, structure.if_fee_numerator = 20, 10
        self.change_state(perp_fee_structure=structure, feature_bit_flags=FEATURE_BUILDER_CODES)
        self.trader(REFERRER, MAKER, FILLER, BUILDER)
        self.trader(ALICE, referrer=REFERRER)

    def approve(self, max_fee: int = 50, user: str = ALICE) -> None:
        """Alice lets the builder charge."""
        self.ok(InitializeRevenueShareEscrow(authority=user), user)
        self.ok(ChangeApprovedBuilder(authority=user, builder=BUILDER, max_fee_tenth_bps=max_fee), user)

    def wait(self, seconds: int, price: int = 100 * P) -> None:
        """Time passes, and then a price comes."""
        self.now += seconds
        self.post("SOL", price)

    def match(self, *args: Any, **options: Any) -> Any:
        """The maker's order, resting."""
        if not args:
            self.reserve(MAKER, "Short", 10 * B)
            return super().match(MAKER, 100 * P, 10 * B, **options)
        return super().match(*args, **options)

    def rows(self, name: str = ALICE) -> list[RevenueShareRow]:
        """The rows in use of an authority's escrow."""
        table = self.machine.store.revenue_share_escrows
        key = key_from_text(name)
        if key not in table.index:
            return []
        return [row for row in table.read(table.index[key]).rows if row.bit_flags]

    def fill_rows(self) -> None:
        """Put other people's claims in every row of Alice's escrow."""
        escrow = RevenueShareEscrow(authority=key_from_text(ALICE))
        escrow.rows = [
            RevenueShareRow(beneficiary=key_from_text("@x"), fees_accrued=1, bit_flags=ROW_IN_USE)
            for _ in range(REVENUE_SHARE_ROWS)
        ]
        table = self.machine.store.revenue_share_escrows
        table.store(table.count, escrow.pack(), None)


@pytest.fixture
def venue() -> VelocityVenue:
    return VelocityVenue()


def told(receipt: Receipt) -> dict[str, Any]:
    """The one fill of a receipt."""
    (fields,) = fills_of(receipt)
    return fields


def check_books(before: PerpMarket, after: PerpMarket, *fills: dict[str, Any], builder_fee: int = 0) -> None:
    """What the fills cost the users is what the books gained, apart from the quote exchanged with the curve."""
    ledger, old = after.fee_ledger, before.fee_ledger
    pending = ledger.pending_protocol_fee + ledger.pending_if_fee - old.pending_protocol_fee - old.pending_if_fee
    owed = after.pending_revenue_share - before.pending_revenue_share
    equity = after.amm.total_fee_minus_distributions - before.amm.total_fee_minus_distributions
    surplus = sum(fill["quote_asset_amount_surplus"] or 0 for fill in fills)
    fees = sum((fill["taker_fee"] or 0) + (fill["maker_fee"] or 0) - fill["filler_reward"] for fill in fills)
    assert pending + owed + equity == fees + surplus
    assert ledger.pending_protocol_fee - old.pending_protocol_fee == sum(fill["protocol_fee"] for fill in fills)
    assert ledger.pending_if_fee - old.pending_if_fee == sum(fill["if_fee"] for fill in fills)
    assert ledger.pending_amm_provision - old.pending_amm_provision == sum(fill["amm_fee"] for fill in fills)
    assert owed == builder_fee + sum(fill["referrer_reward"] or 0 for fill in fills)


# --- the split -------------------------------------------------------------------------------------------------


def test_a_taker_pays_amm_insurance_protocol_and_referrer(venue: VelocityVenue) -> None:
    before = venue.perp
    fill = told(venue.take(ALICE, "Long", 2 * B))
    quote = fill["quote_asset_amount_filled"]
    full = -(-quote * 40 // 100_000)
    assert fill["taker_fee"] == full - full * 5 // 100
    assert fill["referrer_reward"] == full * 15 // 100
    rest = fill["taker_fee"] - fill["referrer_reward"]
    assert (fill["amm_fee"], fill["if_fee"]) == (rest // 5, rest // 10)
    assert fill["protocol_fee"] == rest - rest // 5 - rest // 10
    market = venue.perp
    check_books(before, market, fill)
    assert market.fee_ledger.total_exchange_fee == fill["taker_fee"]
    assert market.amm.total_fee_minus_distributions == fill["amm_fee"] + fill["quote_asset_amount_surplus"]
    assert market.amm.total_exchange_fee == 0
    assert venue.perp_position(ALICE).quote_asset_amount == -quote - fill["taker_fee"]


def test_a_match_gives_the_amm_its_cut_although_it_did_not_trade(venue: VelocityVenue) -> None:
    before = venue.perp
    fill = told(venue.take(ALICE, "Long", 10 * B, venue.match()))
    assert fill["maker_fee"] == -25_000
    rest = 380_000 - 60_000 - 25_000
    assert (fill["amm_fee"], fill["if_fee"], fill["protocol_fee"]) == (rest // 5, rest // 10, rest - rest * 3 // 10)
    check_books(before, venue.perp, fill)
    assert venue.perp.amm.total_fee == fill["amm_fee"]
    assert venue.perp.amm.total_mm_fee == 0
    # the referee's fee less the maker's rebate is all that the two positions lost together
    quotes = [venue.perp_position(name).quote_asset_amount for name in (ALICE, MAKER)]
    assert sum(quotes) == -380_000 + 25_000 == venue.perp.amm.quote_asset_amount


def test_a_post_only_user_is_paid_out_of_the_surplus_and_so_is_the_protocol(venue: VelocityVenue) -> None:
    slot = venue.clock.slot
    venue.reserve(ALICE, "Long", 2 * B)
    venue.wait(5)
    before = venue.perp
    fill = told(
        venue.fill(ALICE, "Long", 2 * B, AmmFill(), price=101 * P, post_only=True, order_slot=slot, filler=FILLER)
    )
    assert (fill["taker_fee"], fill["referrer_reward"], fill["builder_fee"]) == (None, None, None)
    assert fill["maker_fee"] == -(202 * P * 25 // 1_000_000)
    assert fill["filler_reward"] > 0
    rest = fill["quote_asset_amount_surplus"] + fill["maker_fee"] - fill["filler_reward"]
    assert fill["amm_fee"] + fill["if_fee"] + fill["protocol_fee"] == rest
    market = venue.perp
    assert market.amm.total_fee_minus_distributions - before.amm.total_fee_minus_distributions == fill["amm_fee"]
    assert market.amm.total_mm_fee - before.amm.total_mm_fee == fill["quote_asset_amount_surplus"]
    assert venue.rows() == []


def test_the_amm_may_be_rebated(venue: VelocityVenue) -> None:
    venue.change_state(feature_bit_flags=FEATURE_VAMM_MAKER_REBATE)
    fill = told(venue.take(MAKER, "Long", 2 * B))
    rebate = fill["quote_asset_amount_filled"] * 25 // 1_000_000
    rest = fill["taker_fee"] - rebate
    assert fill["amm_fee"] == rebate + rest // 5
    assert fill["amm_fee"] + fill["if_fee"] + fill["protocol_fee"] == fill["taker_fee"]


def test_the_filler_is_paid_once_for_an_order_of_two_legs(venue: VelocityVenue) -> None:
    slot = venue.clock.slot
    venue.reserve(MAKER, "Long", 200 * B)
    venue.wait(5)
    fills = fills_of(
        venue.fill(
            MAKER,
            "Long",
            200 * B,
            AmmFill(base_asset_amount=100 * B),
            AmmFill(),
            price=110 * P,
            order_slot=slot,
            filler=FILLER,
        )
    )
    age = venue.clock.slot - slot
    allowed = int((age * 100_000_000) ** 0.25) * 10_000 // 100
    rewards = [fill["filler_reward"] for fill in fills]
    assert rewards[0] == allowed and rewards[1] == 0
    assert all(fill["taker_fee"] // 10 > allowed for fill in fills)


@pytest.mark.parametrize(("profile", "counted"), [("documents", True), ("program", False)])
def test_the_documents_count_the_surplus_for_the_sweep(profile: str, counted: bool) -> None:
    venue = VelocityVenue(profile=profile)
    fill = told(venue.take(ALICE, "Long", 2 * B))
    surplus = fill["quote_asset_amount_surplus"]
    assert surplus > 0
    assert venue.perp.fee_ledger.pending_amm_surplus == (surplus if counted else 0)


# --- tiers and parameters --------------------------------------------------------------------------------------


def test_the_add_on_and_the_promotion_change_the_fee_at_once(venue: VelocityVenue) -> None:
    venue.ok(UpdatePerpMarketTakerFeeAddon(market_index=PERP, taker_fee_addon_tenth_bps=100))
    fill = told(venue.take(MAKER, "Long", B))
    quote = fill["quote_asset_amount_filled"]
    assert fill["taker_fee"] == -(-quote * 40 // 100_000) + quote * 100 // 100_000
    venue.ok(UpdatePerpMarketTakerFeeAddon(market_index=PERP, taker_fee_addon_tenth_bps=0))
    venue.ok(UpdatePromoFeeTier(promo_fee_tier=3))
    fill = told(venue.take(MAKER, "Long", B))
    assert fill["taker_fee"] == -(-fill["quote_asset_amount_filled"] * 20 // 100_000)


def test_an_old_volume_no_longer_gives_a_tier(venue: VelocityVenue) -> None:
    venue.change_stats(MAKER, taker_volume_30d=8_000_000 * P, last_taker_volume_30d_ts=venue.now)
    fill = told(venue.take(MAKER, "Long", B))
    assert fill["taker_fee"] == -(-fill["quote_asset_amount_filled"] * 30 // 100_000)
    venue.wait(15 * 86_400)
    fill = told(venue.take(MAKER, "Long", B))
    assert fill["taker_fee"] == -(-fill["quote_asset_amount_filled"] * 40 // 100_000)


def params(**changes: Any) -> FeeStructureParams:
    given: dict[str, Any] = {
        "fee_tiers": [FeeTierParams(fee_numerator=50, maker_rebate_numerator=10, maker_rebate_denominator=1_000_000)],
        "filler_reward_structure": FillerRewardParams(
            reward_numerator=10, reward_denominator=100, time_based_reward_lower_bound=10_000
        ),
        "referrer_reward_epoch_upper_bound": 0,
        "flat_filler_fee": 10_000,
    }
    return FeeStructureParams(**given | changes)


def test_a_schedule_is_replaced_with_its_split(venue: VelocityVenue) -> None:
    venue.ok(UpdatePerpFeeStructure(fee_structure=params(amm_fee_numerator=40, if_fee_numerator=60)))
    fill = told(venue.take(MAKER, "Long", B))
    assert fill["taker_fee"] == -(-fill["quote_asset_amount_filled"] * 50 // 100_000)
    assert fill["protocol_fee"] <= 1
    venue.ok(UpdateSpotFeeStructure(fee_structure=params()))
    state = venue.machine.store.state.objects[0]
    assert (state.perp_fee_structure.amm_fee_numerator, state.spot_fee_structure.amm_fee_numerator) == (40, 0)


def test_setters_keep_their_bounds(venue: VelocityVenue) -> None:
    over = params(amm_fee_numerator=51, if_fee_numerator=50)
    assert venue.refused(UpdatePerpFeeStructure(fee_structure=over)) == "InvalidFeeStructure"
    assert venue.refused(UpdateSpotFeeStructure(fee_structure=over)) == "InvalidFeeStructure"
    addon = UpdatePerpMarketTakerFeeAddon(market_index=PERP, taker_fee_addon_tenth_bps=101)
    assert venue.refused(addon) == "DefaultError"
    assert venue.refused(UpdatePromoFeeTier(promo_fee_tier=4)) == "DefaultError"
    for ix in (UpdatePromoFeeTier(promo_fee_tier=1), UpdatePerpFeeStructure(fee_structure=params())):
        assert venue.refused(ix, ALICE) == "Unauthorized"
    venue.change_perp(status=STATUS_DELISTED)
    addon = UpdatePerpMarketTakerFeeAddon(market_index=PERP, taker_fee_addon_tenth_bps=1)
    assert venue.refused(addon) == "MarketDelisted"


def test_drift_splits_no_fee() -> None:
    venue = TradingVenue()
    whole = params(
        fee_tiers=[FeeTierParams(fee_numerator=50)] * 10, flat_filler_fee=0, referrer_reward_epoch_upper_bound=0
    )
    venue.ok(UpdatePerpFeeStructure(fee_structure=whole))
    split = params(fee_tiers=[FeeTierParams(fee_numerator=50)] * 10, if_fee_numerator=1)
    assert venue.refused(UpdatePerpFeeStructure(fee_structure=split)) == "InvalidInstruction"
    venue.trader(ALICE)
    receipt = venue.take(ALICE, "Long", B, builder=BUILDER)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidInstruction"


# --- referrers -------------------------------------------------------------------------------------------------


def test_a_referrers_reward_waits_in_the_takers_escrow(venue: VelocityVenue) -> None:
    first = told(venue.take(ALICE, "Long", B))
    second = told(venue.take(ALICE, "Long", B))
    (row,) = venue.rows()
    assert row.beneficiary == key_from_text(REFERRER)
    assert (row.bit_flags, row.market_index) == (ROW_IN_USE | ROW_REFERRAL, PERP)
    assert row.fees_accrued == first["referrer_reward"] + second["referrer_reward"] > 0
    assert venue.perp.pending_revenue_share == row.fees_accrued
    # nothing reached the referrer yet, not even a slot
    assert venue.perp_position(REFERRER).quote_asset_amount == 0
    assert venue.stats(REFERRER).fees.total_referrer_reward == 0


def test_an_accelerated_referrer_gets_a_fifth(venue: VelocityVenue) -> None:
    venue.ok(UpdateUserAcceleratedReferralStatus(authority=REFERRER, accelerated=True))
    fill = told(venue.take(ALICE, "Long", B))
    assert fill["referrer_reward"] == -(-fill["quote_asset_amount_filled"] * 40 // 100_000) // 5
    venue.ok(UpdateUserAcceleratedReferralStatus(authority=REFERRER, accelerated=False))
    fill = told(venue.take(ALICE, "Long", B))
    assert fill["referrer_reward"] == -(-fill["quote_asset_amount_filled"] * 40 // 100_000) * 15 // 100


def test_a_referrer_is_not_paid_for_meeting_its_own_order(venue: VelocityVenue) -> None:
    venue.reserve(REFERRER, "Short", B)
    fill = told(venue.take(ALICE, "Long", B, venue.match(REFERRER, 100 * P, B)))
    assert (fill["taker_fee"], fill["referrer_reward"]) == (40_000, None)
    assert venue.rows() == []


def test_without_a_free_row_there_is_neither_reward_nor_discount(venue: VelocityVenue) -> None:
    venue.fill_rows()
    receipt = venue.take(ALICE, "Long", B)
    fill = told(receipt)
    assert fill["referrer_reward"] is None
    assert fill["taker_fee"] == -(-fill["quote_asset_amount_filled"] * 40 // 100_000)
    assert [limit.name for limit in receipt.limits] == ["revenue_share_rows"]
    assert venue.perp.pending_revenue_share == 0


# --- builders --------------------------------------------------------------------------------------------------


def test_a_builder_is_paid_on_top_and_its_row_is_due_when_the_order_is_filled(venue: VelocityVenue) -> None:
    venue.approve(50)
    before = venue.perp
    receipt = venue.take(ALICE, "Long", 10 * B, venue.match(), builder=BUILDER, builder_fee_tenth_bps=50)
    fill = told(receipt)
    assert (fill["builder_fee"], fill["taker_fee"]) == (500_000, 380_000 + 500_000)
    assert fill["builder"] is not None
    check_books(before, venue.perp, fill, builder_fee=500_000)
    builder, referral = venue.rows()
    assert (builder.fees_accrued, builder.fee_tenth_bps, builder.market_index) == (500_000, 50, PERP)
    assert (builder.bit_flags, builder.beneficiary) == (ROW_IN_USE | ROW_COMPLETED, key_from_text(BUILDER))
    assert referral.fees_accrued == 60_000
    assert venue.perp.pending_revenue_share == 560_000
    assert venue.perp_position(ALICE).quote_asset_amount == -1_000 * P - 880_000
    assert venue.stats(ALICE).fees.total_fee_paid == 380_000


def test_a_row_stays_open_while_the_order_rests_and_joins_the_one_that_waits(venue: VelocityVenue) -> None:
    venue.approve()
    named = {"builder": BUILDER, "builder_fee_tenth_bps": 10}
    venue.take(ALICE, "Long", 10 * B, venue.match(), **named)
    venue.reserve(MAKER, "Short", 4 * B)
    partly = venue.take(
        ALICE, "Long", 6 * B, venue.match(MAKER, 100 * P, 4 * B), price=100 * P, order_type="Limit",
        immediate_or_cancel=False, **named,
    )  # fmt: skip
    assert partly.ok
    flags = [row.bit_flags for row in venue.rows() if not row.bit_flags & ROW_REFERRAL]
    assert flags == [ROW_IN_USE | ROW_COMPLETED, ROW_IN_USE]
    venue.reserve(MAKER, "Short", 2 * B)
    slot = venue.clock.slot
    venue.wait(1)
    rest = venue.fill(ALICE, "Long", 2 * B, venue.match(MAKER, 100 * P, 2 * B), price=100 * P, order_slot=slot, **named)
    assert rest.ok
    (row,) = [row for row in venue.rows() if not row.bit_flags & ROW_REFERRAL]
    assert (row.bit_flags, row.fees_accrued) == (ROW_IN_USE | ROW_COMPLETED, 1_600 * P * 10 // 100_000)


def test_an_order_that_left_the_book_unfilled_is_completed_by_hand(venue: VelocityVenue) -> None:
    venue.approve()
    venue.reserve(MAKER, "Short", 4 * B)
    venue.take(
        ALICE, "Long", 6 * B, venue.match(MAKER, 100 * P, 4 * B), price=100 * P, order_type="Limit",
        immediate_or_cancel=False, builder=BUILDER, builder_fee_tenth_bps=10,
    )  # fmt: skip
    venue.ok(ReleasePerpOrder(user=ALICE, market_index=PERP, direction="Long", base_asset_amount=2 * B), ALICE)
    done = CompleteRevenueShareOrder(authority=ALICE, builder=BUILDER, market_index=PERP)
    assert venue.refused(done, BUILDER) == "Unauthorized"
    elsewhere = CompleteRevenueShareOrder(authority=MAKER, builder=BUILDER, market_index=PERP)
    assert venue.refused(elsewhere) == "UnableToLoadRevenueShareAccount"
    venue.ok(done, ALICE)
    assert [row.bit_flags for row in venue.rows()] == [ROW_IN_USE | ROW_COMPLETED, ROW_IN_USE | ROW_REFERRAL]
    root = venue.machine.store.root()
    venue.ok(done)
    assert venue.machine.store.root() == root


def test_a_row_that_accrued_nothing_is_free_again(venue: VelocityVenue) -> None:
    venue.approve()
    named = {"builder": BUILDER, "builder_fee_tenth_bps": 10}
    assert venue.take(ALICE, "Long", B, AmmFill(), price=90 * P, order_type="Limit", **named).ok
    assert venue.rows() == []
    # an order that has expired already is not even placed
    assert venue.take(ALICE, "Long", B, max_ts=1, **named).ok
    assert venue.rows() == []


def test_a_builder_charges_nothing_of_an_account_short_of_initial_margin(venue: VelocityVenue) -> None:
    venue.trader("@poor", usdc=0)
    venue.approve(50, "@poor")
    venue.deposit("@poor", 0, 120 * P)
    assert venue.take("@poor", "Long", 11 * B).ok
    venue.wait(1, 98 * P)
    receipt = venue.take("@poor", "Short", 5 * B, reduce_only=True, builder=BUILDER, builder_fee_tenth_bps=50)
    fill = told(receipt)
    assert fill["builder_fee"] == 0
    assert [limit.name for limit in receipt.limits] == ["builder_fee_tenth_bps"]
    assert venue.perp.pending_revenue_share == 0


@pytest.mark.parametrize(
    ("named", "error"),
    [
        ({"builder": BUILDER, "builder_fee_tenth_bps": 51}, "InvalidBuilderFee"),
        ({"builder_fee_tenth_bps": 1}, "InvalidBuilderFee"),
        ({"builder": FILLER, "builder_fee_tenth_bps": 1}, "BuilderRevoked"),
    ],
)
def test_a_builder_may_charge_what_was_approved(venue: VelocityVenue, named: dict[str, Any], error: str) -> None:
    venue.approve(50)
    receipt = venue.take(ALICE, "Long", B, **named)
    assert receipt.refusal is not None and receipt.refusal.error == error


def test_approvals_need_an_escrow_a_known_builder_and_the_feature(venue: VelocityVenue) -> None:
    approval = ChangeApprovedBuilder(authority=ALICE, builder=BUILDER, max_fee_tenth_bps=10)
    assert venue.refused(approval, ALICE) == "UnableToLoadRevenueShareAccount"
    assert venue.refused(InitializeRevenueShareEscrow(authority=ALICE), BUILDER) == "Unauthorized"
    assert venue.refused(InitializeRevenueShareEscrow(authority="@nobody"), "@nobody") == "UserNotFound"
    venue.ok(InitializeRevenueShareEscrow(authority=ALICE), ALICE)
    assert venue.refused(InitializeRevenueShareEscrow(authority=ALICE), ALICE) == "AccountAlreadyInUse"
    assert venue.refused(approval, BUILDER) == "Unauthorized"
    unknown = ChangeApprovedBuilder(authority=ALICE, builder="@nobody", max_fee_tenth_bps=10)
    assert venue.refused(unknown, ALICE) == "UserNotFound"
    venue.ok(approval, ALICE)
    venue.change_state(feature_bit_flags=0)
    assert venue.refused(approval, ALICE) == "BuilderCodesDisabled"
    receipt = venue.take(ALICE, "Long", B, builder=BUILDER, builder_fee_tenth_bps=1)
    assert receipt.refusal is not None and receipt.refusal.error == "BuilderCodesDisabled"


def test_a_builder_that_is_owed_is_not_revoked(venue: VelocityVenue) -> None:
    venue.approve()
    revoke = ChangeApprovedBuilder(authority=ALICE, builder=BUILDER, max_fee_tenth_bps=0)
    venue.take(ALICE, "Long", B, builder=BUILDER, builder_fee_tenth_bps=10)
    assert venue.refused(revoke, ALICE) == "CannotRevokeBuilderWithOpenOrders"
    venue.ok(ChangeApprovedBuilder(authority=ALICE, builder=BUILDER, max_fee_tenth_bps=5), ALICE)
    receipt = venue.take(ALICE, "Long", B, builder=BUILDER, builder_fee_tenth_bps=10)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidBuilderFee"
    assert [limit.name for limit in receipt.limits] == ["max_fee_tenth_bps"]


def test_revoking_leaves_nothing_approved(venue: VelocityVenue) -> None:
    venue.approve()
    venue.ok(ChangeApprovedBuilder(authority=ALICE, builder=BUILDER, max_fee_tenth_bps=0), ALICE)
    receipt = venue.take(ALICE, "Long", B, builder=BUILDER)
    assert receipt.refusal is not None and receipt.refusal.error == "BuilderRevoked"


def test_an_escrow_without_a_free_row_takes_no_builder(venue: VelocityVenue) -> None:
    venue.fill_rows()
    venue.ok(ChangeApprovedBuilder(authority=ALICE, builder=BUILDER, max_fee_tenth_bps=9), ALICE)
    receipt = venue.take(ALICE, "Long", B, builder=BUILDER, builder_fee_tenth_bps=9)
    assert receipt.refusal is not None and receipt.refusal.error == "RevenueShareEscrowOrdersAccountFull"


# --- when the AMM fills ----------------------------------------------------------------------------------------


def test_the_amm_waits_for_a_price_that_is_no_older_than_the_order(venue: VelocityVenue) -> None:
    venue.now += 2
    receipt = venue.take(ALICE, "Long", B)
    assert fills_of(receipt) == []
    assert "younger than the oracle" in receipt.limits[0].note
    venue.post("SOL", 100 * P)
    assert fills_of(venue.take(ALICE, "Long", B))


def test_the_amm_takes_a_young_order_that_relieves_it_unless_that_is_paused(venue: VelocityVenue) -> None:
    assert venue.take(MAKER, "Long", 5 * B).ok
    venue.change_perp(amm_jit_intensity=100, oracle_slot_delay_override=20)
    venue.now += 2
    venue.change_state(exchange_status=EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED)
    assert fills_of(venue.take(ALICE, "Short", B)) == []
    venue.change_state(exchange_status=0)
    assert fills_of(venue.take(ALICE, "Long", B)) == []
    assert fills_of(venue.take(ALICE, "Short", B))


@pytest.mark.parametrize(
    ("state", "market", "note"),
    [
        ({"exchange_status": EXCHANGE_AMM_PAUSED}, {}, "the AMM is paused"),
        ({}, {"paused_operations": PERP_AMM_FILL}, "paused in this market"),
        ({}, {"mm_oracle_price": 102 * P, "mm_oracle_slot": 10**12}, "more than 1 % away"),
        ({}, {"oracle_low_risk_slot_delay_override": -1}, "StaleForAMM"),
        ({}, {"net_revenue_since_last_funding": -(10**13)}, "lost too much"),
    ],
)
def test_the_receipt_tells_why_the_amm_fills_nothing(
    venue: VelocityVenue, state: dict[str, int], market: dict[str, int], note: str
) -> None:
    venue.change_state(**state)
    venue.change_perp(**market)
    if "oracle_low_risk_slot_delay_override" in market:
        venue.now += 1
    receipt = venue.take(ALICE, "Long", B)
    assert fills_of(receipt) == []
    assert note in receipt.limits[0].note
    asked = venue.take(ALICE, "Long", B, AmmFill(base_asset_amount=B))
    assert asked.refusal is not None and asked.refusal.error == "ImpossibleFill"


# --- refusals --------------------------------------------------------------------------------------------------


def test_a_fill_far_better_for_the_taker_breaches_the_band_too(venue: VelocityVenue) -> None:
    venue.reserve(MAKER, "Short", B)
    receipt = venue.take(ALICE, "Long", B, venue.match(MAKER, 89 * P, B))
    assert receipt.refusal is not None and receipt.refusal.error == "PriceBandsBreached"


def test_open_interest_does_not_grow_on_a_stale_price(venue: VelocityVenue) -> None:
    venue.take(MAKER, "Long", 2 * B)
    venue.now += 60
    venue.reserve(MAKER, "Short", 2 * B)
    receipt = venue.take(ALICE, "Long", 2 * B, venue.match(MAKER, 100 * P, 2 * B))
    assert fills_of(receipt)
    venue.reserve(MAKER, "Short", 2 * B)
    receipt = venue.take(ALICE, "Long", 2 * B, venue.match(MAKER, 100 * P, 2 * B))
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidOracle"


def test_only_accounts_of_pool_0_trade_and_fill(venue: VelocityVenue) -> None:
    slot = venue.clock.slot
    venue.reserve(ALICE, "Long", B)
    venue.change_user(FILLER, pool_id=1)
    receipt = venue.fill(ALICE, "Long", B, AmmFill(), price=110 * P, order_slot=slot, filler=FILLER)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidPoolId"
    receipt = venue.reserve(FILLER, "Long", B)
    assert receipt.refusal is not None and receipt.refusal.error == "InvalidPoolId"


def test_makers_are_reported_by_an_admin_and_others_take_for_themselves(venue: VelocityVenue) -> None:
    venue.reserve(MAKER, "Short", B)
    order = {"user": ALICE, "market_index": PERP, "direction": "Long", "base_asset_amount": B}
    with_maker = PlaceAndTakePerpOrder(**order, fills=[venue.match(MAKER, 100 * P, B)])  # type: ignore[arg-type]
    assert venue.refused(with_maker, ALICE) == "Unauthorized"
    assert venue.refused(PlaceAndTakePerpOrder(**order, fills=[AmmFill()]), MAKER) == "Unauthorized"  # type: ignore[arg-type]
    venue.ok(PlaceAndTakePerpOrder(**order, fills=[AmmFill()]), ALICE)  # type: ignore[arg-type]
    venue.ok(with_maker)


def test_a_refusal_names_the_scope_that_is_short(venue: VelocityVenue) -> None:
    venue.trader("@poor", usdc=10)
    receipt = venue.take("@poor", "Long", 2 * B)
    assert receipt.refusal is not None and receipt.refusal.error == "InsufficientCollateral"
    assert "(cross margin)" in receipt.refusal.message
    assert receipt.limits[0].name == "margin_requirement"


def test_a_pause_of_fills_stops_both_ways_in(venue: VelocityVenue) -> None:
    venue.ok(UpdateExchangeStatus(exchange_status=8 | 128))
    receipt = venue.take(ALICE, "Long", B)
    assert receipt.refusal is not None and receipt.refusal.error == "ExchangePaused"
    receipt = venue.fill(ALICE, "Long", B, AmmFill())
    assert receipt.refusal is not None and receipt.refusal.error == "ExchangePaused"


# --- looking at an escrow --------------------------------------------------------------------------------------


def test_an_escrow_tells_who_is_owed_what_and_who_is_approved(venue: VelocityVenue) -> None:
    with pytest.raises(SettlementError) as caught:
        revenue_shares(venue.machine.store, ALICE)
    assert caught.value.code == ErrorCode.UnableToLoadRevenueShareAccount
    venue.approve(50)
    venue.reserve(MAKER, "Short", 4 * B)
    venue.take(
        ALICE, "Long", 6 * B, venue.match(MAKER, 100 * P, 4 * B), price=100 * P, order_type="Limit",
        immediate_or_cancel=False, builder=BUILDER, builder_fee_tenth_bps=20,
    )  # fmt: skip
    shares = revenue_shares(venue.machine.store, ALICE)
    assert [(row.kind, row.fees_accrued, row.fee_tenth_bps, row.due) for row in shares.rows] == [
        ("builder", 80_000, 20, False),
        ("referrer", 24_000, 0, True),
    ]
    assert [row.beneficiary for row in shares.rows] == [key_to_text(key_from_text(k)) for k in (BUILDER, REFERRER)]
    assert shares.approved_builders == {key_to_text(key_from_text(BUILDER)): 50}
    with pytest.raises(SettlementError) as caught:
        revenue_shares(venue.machine.store, "no key")
    assert caught.value.code == ErrorCode.InvalidInstruction
