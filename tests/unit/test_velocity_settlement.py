"""Settling P&L, ending a market and moving pools on a velocity venue, through the machine.

Rules of velocity/pools-and-fees.md §8 to §12. Amounts are whole quote units times ``Q``.
"""

from typing import Any

import pytest

from seawall.engine.queries.pnl import claimable_pnl
from seawall.engine.receipts import Receipt
from seawall.engine.results import decode_results
from seawall.instructions.administration import (
    UpdateExchangeStatus,
    UpdatePerpMarketExpiry,
    UpdatePerpMarketPausedOperations,
    UpdateStateSettlementDuration,
)
from seawall.instructions.base import Instruction
from seawall.instructions.batches import SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.instructions.deposits import DepositIntoSpotMarketRevenuePool
from seawall.instructions.pnl import (
    DepositIntoPerpMarketFeePool,
    SettleExpiredMarket,
    SettleExpiredMarketPoolsToRevenuePool,
    SettleMultiplePnls,
    SettlePnl,
    TransferFeeAndPnlPool,
    UpdatePerpMarketPnlPool,
)
from seawall.instructions.revenue_share import (
    ForfeitRevenueShareOrder,
    InitializeRevenueShareEscrow,
    SettleRevenueShare,
)
from seawall.instructions.roles import UpdateFeatureBitFlags
from seawall.instructions.user_settings import SetUserVaultOwned
from seawall.keys import key_from_text, key_to_text
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.if_floor import IF_FLOOR_OFF
from seawall.state.enums import (
    EXCHANGE_SETTLE_PNL_PAUSED,
    PERP_SETTLE_PNL,
    PERP_SETTLE_REV_POOL,
    POSITION_ISOLATED,
    STATUS_DELISTED,
    STATUS_SETTLEMENT,
    USER_BEING_LIQUIDATED,
)
from seawall.state.revenue_share import ROW_COMPLETED, ROW_IN_USE, ROW_REFERRAL
from tests.support.money import USDC
from tests.support.trading import PERP
from tests.support.velocity_losses import OTHER, VelocityLossVenue

Q = 10**6


class Pools(VelocityLossVenue):
    """Two perp markets without positions; the floor off, no buffer."""

    def __init__(self, pool: int = 0, positions: bool = False, **config: Any) -> None:
        super().__init__(positions=positions, **config)
        for index in (PERP, OTHER):
            self.change_perp_market(index, fee_pool_buffer_target=0, bankruptcy_if_floor_pct=IF_FLOOR_OFF)
        if pool:
            self.fund("pnl_pool", pool * Q)

    def settle(self, name: str, signer: str = "", market: int = PERP) -> Receipt:
        return self.do(SettlePnl(user=name, market_index=market), signer or name)

    def held(self, *names: str, market: int = PERP) -> tuple[int, ...]:
        """Whole tokens of pools of a market: pnl, fee, protocol, revenue."""
        perp, quote = self.perp_market(market), self.market(USDC)
        pools = {
            "pnl": perp.pnl_pool, "fee": perp.amm.fee_pool, "protocol": perp.protocol_fee_pool,
            "revenue": quote.revenue_pool,
        }  # fmt: skip
        return tuple(get_pool_token_amount(pools[name], quote) // Q for name in names)

    def tokens(self, name: str) -> int:
        """An account's quote balance in whole tokens."""
        return self.balance(name, USDC) // 1_000 // Q


def error(receipt: Receipt) -> str:
    return receipt.refusal.error if receipt.refusal is not None else "ok"


# --- settling ----------------------------------------------------------------------------------------------------


def test_a_loss_fills_the_pool_is_swept_and_what_is_left_pays_the_winner() -> None:
    venue = Pools()
    venue.claim(-60 * Q, PERP, "@short")
    venue.claim(40 * Q, PERP, "@long")
    venue.change_perp_market(PERP, pending_protocol_fee=5 * Q, pending_if_fee=9 * Q, pending_amm_provision=7 * Q)
    receipt = venue.settle("@short", "@anyone")
    assert error(receipt) == "ok"
    # 60 came in; the winner's 40 stay, the protocol's 5, insurance's 9, and 6 of the AMM's 7 go
    assert venue.held("pnl", "protocol", "revenue", "fee") == (40, 5, 9, 6)
    assert [name for name, _ in receipt.events] == ["PerpMarketFeeSweepRecord", "SettlePnlRecord"]
    assert receipt.events[-1][1]["pnl"] == -60 * Q
    receipt = venue.settle("@long")
    assert (error(receipt), venue.held("pnl"), venue.tokens("@long")) == ("ok", (0,), 100_040)
    assert venue.perp_market(PERP).number_of_users == 0


def test_the_fee_pool_is_no_settlement_buffer() -> None:
    venue = Pools()
    venue.fund("fee_pool", 500 * Q)
    venue.claim(40 * Q, PERP, "@long")
    receipt = venue.settle("@long")
    assert error(receipt) == "PnlPoolCantSettleUser"
    assert receipt.refusal is not None
    assert "holds 0" in receipt.refusal.message and "the 500 of the fee pool are the AMM's" in receipt.refusal.message
    venue.claim(-100 * Q, PERP, "@short")
    assert error(venue.settle("@short")) == "ok"
    assert venue.held("pnl", "fee") == (100, 500)


def test_only_the_owner_takes_a_gain_from_a_pool_without_excess() -> None:
    venue = Pools(10)
    venue.claim(40 * Q, PERP, "@long")
    assert error(venue.settle("@long", "@anyone")) == "UserMustSettleTheirOwnPositiveUnsettledPNL"
    receipt = venue.settle("@long")
    assert (error(receipt), venue.tokens("@long")) == ("ok", 100_010)
    assert {limit.name: (limit.value, limit.asked) for limit in receipt.limits} == {"pnl_pool": (10 * Q, 40 * Q)}
    venue.fund("pnl_pool", 10 * Q)
    venue.change_user("@long", status=USER_BEING_LIQUIDATED)
    assert error(venue.settle("@long", "@anyone")) == "ok"


@pytest.mark.parametrize(("mode", "outcome"), [("MustSettle", "NoUnsettledPnl"), ("TrySettle", "ok")])
def test_a_market_without_the_position_is_refused_or_passed_over(mode: Any, outcome: str) -> None:
    venue = Pools(100)
    venue.claim(40 * Q, PERP, "@long")
    venue.change_perp_market(PERP, quote_asset_amount=200 * Q)
    ix = SettleMultiplePnls(user="@long", market_indexes=[OTHER, PERP], mode=mode)
    receipt = venue.do(ix, "@long")
    # nobody has a position in the other market: missing is a soft refusal too
    assert error(receipt) == ("UserHasNoPositionInMarket" if mode == "MustSettle" else "ok")
    if outcome == "ok":
        assert venue.tokens("@long") == 100_040
        assert "UserHasNoPositionInMarket" in receipt.limits[0].note


def test_once_the_pools_moved_try_settle_undoes_all_or_nothing() -> None:
    """A third party's TrySettle of a gain: the pool was debited, so the refusal is a hard one and nothing moves."""
    venue = Pools(10)
    venue.claim(40 * Q, PERP, "@long")
    ix = SettleMultiplePnls(user="@long", market_indexes=[PERP], mode="TrySettle")
    assert venue.refused(ix, "@anyone") == "UserMustSettleTheirOwnPositiveUnsettledPNL"
    assert venue.held("pnl") == (10,)


def test_a_passed_over_settlement_keeps_its_sweep_where_no_deposit_moved() -> None:
    """A position without P&L, and pending fees: the sweep moves tokens between pools and the totals stay."""
    venue = Pools(30)
    venue.claim(1 * Q, PERP, "@long")
    venue.change_user("@long", perp_positions=[*[_without_quote(p) for p in venue.user("@long").perp_positions]])
    venue.change_perp_market(PERP, pending_protocol_fee=5 * Q, quote_asset_amount=0)
    receipt = venue.do(SettleMultiplePnls(user="@long", market_indexes=[PERP], mode="TrySettle"), "@long")
    assert error(receipt) == "ok"
    assert venue.held("pnl", "protocol") == (25, 5)
    assert [name for name, _ in receipt.events] == ["PerpMarketFeeSweepRecord"]


def _without_quote(position: Any) -> Any:
    if position.quote_asset_amount:
        position.quote_asset_amount, position.open_orders = 0, 1
    return position


def test_an_isolated_position_settles_against_its_own_collateral() -> None:
    venue = Pools(50)
    venue.isolate(30 * Q, 100 * Q)
    receipt = venue.settle("@bankrupt", "@anyone")
    assert (error(receipt), venue.held("pnl"), venue.tokens("@bankrupt")) == ("ok", (80,), 70)
    # nothing was left but collateral: it is cross now, and the row is free
    assert venue.user("@bankrupt").perp_positions[PERP].isolated_position_scaled_balance == 0
    venue = Pools(50)
    venue.isolate(-30 * Q, 1 * Q)
    venue.change_perp_market(PERP, quote_asset_amount=0)
    assert error(venue.settle("@bankrupt")) == "ok"
    assert (venue.held("pnl"), venue.tokens("@bankrupt")) == ((20,), 31)


def test_isolated_collateral_that_is_short_says_so() -> None:
    """The account is rich, the isolated position is not: neither its margin nor its collateral covers the loss."""
    venue = Pools(50)
    venue.isolate(30 * Q, 10 * Q)
    venue.trader("@friend")
    receipt = venue.settle("@bankrupt", "@anyone")
    assert error(receipt) == "InsufficientCollateralForSettlingPNL"
    assert receipt.refusal is not None
    assert "isolated position in perp market 0 has a collateral of -20 and needs 0" in receipt.refusal.message


def test_the_revenue_pool_is_drawn_on_only_where_the_venue_says_so() -> None:
    for allowed in (False, True):
        venue = Pools(10, revenue_pool_draw_for_pnl=allowed)
        venue.ok(DepositIntoSpotMarketRevenuePool(authority="@anyone", market_index=USDC, amount=100 * Q), "@anyone")
        venue.change_perp_market(PERP, max_revenue_withdraw_per_period=25 * Q)
        venue.claim(40 * Q, PERP, "@long")
        assert error(venue.settle("@long")) == "ok"
        assert venue.tokens("@long") == (100_035 if allowed else 100_010)
        assert venue.held("revenue") == (75 if allowed else 100,)
        claim = venue.perp_market(PERP).insurance_claim
        drawn = (claim.revenue_withdraw_since_last_settle, claim.last_revenue_withdraw_ts)
        assert drawn == ((25 * Q, venue.now) if allowed else (0, 0))
        receipt = venue.settle("@long")
        assert error(receipt) == "PnlPoolCantSettleUser"
        assert receipt.refusal is not None
        assert ("may still draw 0 in this period" in receipt.refusal.message) is allowed


def test_pauses() -> None:
    venue = Pools(50)
    venue.claim(40 * Q, PERP, "@long")
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_SETTLE_PNL))
    assert error(venue.settle("@long")) == "InvalidMarketStatusToSettlePnl"
    venue.ok(UpdateExchangeStatus(exchange_status=EXCHANGE_SETTLE_PNL_PAUSED))
    assert error(venue.settle("@long")) == "ExchangePaused"


def test_only_accounts_of_pool_0_settle() -> None:
    venue = Pools(50)
    venue.claim(40 * Q, PERP, "@long")
    venue.change_user("@long", pool_id=1)
    assert error(venue.settle("@long")) == "InvalidPoolId"


# --- the end of a market -----------------------------------------------------------------------------------------


def expire(venue: Pools, fee: tuple[int, int] = (0, 1)) -> None:
    """The market's expiry has come, its price is fixed, and the settlement buffer is over."""
    state = venue.machine.store.state.objects[0].copy()
    tier = state.perp_fee_structure.fee_tiers[0]
    tier.fee_numerator, tier.fee_denominator = fee
    state.perp_fee_structure.if_fee_numerator = 30
    venue._store("state", 0, state)
    venue.ok(UpdateStateSettlementDuration(settlement_duration=60))
    venue.ok(UpdatePerpMarketExpiry(market_index=PERP, expiry_ts=venue.now + 10))
    assert venue.refused(SettleExpiredMarket(market_index=PERP)) == "MarketSettlementAttemptTooEarly"
    venue.now += 10
    assert venue.refused(SettleExpiredMarket(market_index=PERP), "@anyone") == "Unauthorized"
    venue.ok(SettleExpiredMarket(market_index=PERP))
    venue.now += 61


def test_a_market_ends_with_the_fee_in_the_ledger_and_a_last_sweep() -> None:
    """@long 3 and @short −1 at 100: the AMM owes nothing at the expiry price but one unit a base in the pools' favour;
    the pools hold the 1000 that nobody claims, of which the protocol is still owed 5.
    """
    venue = Pools(1_000, positions=True)
    venue.change_perp_market(PERP, pending_protocol_fee=5 * Q, fee_pool_buffer_target=100 * Q)
    delist = SettleExpiredMarketPoolsToRevenuePool(market_index=PERP)
    expire(venue, fee=(1, 1_000))
    price = venue.perp_market(PERP).expiry_price
    target = venue.perp_market(PERP).amm.historical_oracle_data.last_oracle_price_twap_5min
    assert (venue.perp_market(PERP).status, price) == (STATUS_SETTLEMENT, target - 1)
    receipt = venue.settle("@long", "@anyone")
    assert error(receipt) == "ok"
    assert receipt.events[-1][1]["explanation"] == "ExpiredPosition"
    fee = 3 * price // 1_000
    ledger = venue.perp_market(PERP).fee_ledger
    assert (ledger.pending_if_fee, ledger.pending_protocol_fee) == (fee * 30 // 100, 5 * Q + fee - fee * 30 // 100)
    assert (ledger.total_exchange_fee, ledger.amm_protocol_fees_received) == (fee, 0)
    assert "users still hold positions" in venue.do(delist).refusal.message  # type: ignore[union-attr]
    assert error(venue.settle("@short", "@anyone")) == "ok"
    assert venue.perp_market(PERP).amm.base_asset_amount_with_amm == 0
    venue.now += 86_400
    venue.change_perp_market(PERP, pending_bankruptcy_claims=1)
    assert "await their resolution" in venue.do(delist).refusal.message  # type: ignore[union-attr]
    venue.change_perp_market(PERP, pending_bankruptcy_claims=0, pending_revenue_share=3)
    assert venue.refused(delist) == "UnsettledRevenueShareOnDelist"
    # a pause does not stop the last sweep
    venue.change_perp_market(PERP, pending_revenue_share=0, paused_operations=PERP_SETTLE_REV_POOL)
    receipt = venue.ok(delist)
    assert [name for name, _ in receipt.events] == ["PerpMarketFeeSweepRecord"]
    assert venue.perp_market(PERP).status == STATUS_DELISTED
    ledger = venue.perp_market(PERP).fee_ledger
    assert (ledger.pending_protocol_fee, ledger.pending_if_fee) == (0, 0)
    assert venue.held("pnl", "fee", "protocol") == (0, 0, 5)
    assert venue.refused(delist) == "MarketDelisted"


def test_a_paused_settlement_stops_expired_positions_too() -> None:
    venue = Pools(1_000, positions=True)
    expire(venue)
    venue.change_perp_market(PERP, paused_operations=PERP_SETTLE_PNL)
    assert error(venue.settle("@long", "@anyone")) == "InvalidMarketStatusToSettlePnl"


def test_an_isolated_expired_position_is_closed_and_its_collateral_released() -> None:
    venue = Pools(1_000)
    venue.isolate(30 * Q, 100 * Q)
    expire(venue)
    assert error(venue.settle("@bankrupt", "@anyone")) == "ok"
    assert (venue.held("pnl"), venue.tokens("@bankrupt")) == ((1_030,), 70)
    assert venue.user("@bankrupt").perp_positions[PERP].position_flag == POSITION_ISOLATED


# --- the administrator's moves -----------------------------------------------------------------------------------


def test_a_transfer_across_markets_moves_the_earnings_along() -> None:
    venue = Pools(100)
    venue.fund("fee_pool", 50 * Q, OTHER)
    before = venue.perp_market(OTHER).amm.total_fee_minus_distributions
    for direction, amount, held in (("FeeToPnlPool", 20, (120, 30)), ("PnlToFeePool", 5, (115, 35))):
        ix = _transfer(OTHER, PERP, direction, amount * Q)
        receipt = venue.ok(ix)
        assert (venue.held("pnl") + venue.held("fee", market=OTHER)) == held
        assert receipt.events[0][0] == "TransferFeeAndPnlPoolRecord"
        assert receipt.events[0][1]["direction"] == direction
    assert venue.perp_market(OTHER).amm.total_fee_minus_distributions == before - 15 * Q
    refused = venue.do(_transfer(OTHER, PERP, "FeeToPnlPool", 36 * Q))
    assert refused.refusal is not None and "holds 35, not 36" in refused.refusal.message
    assert venue.refused(_transfer(OTHER, PERP, "FeeToPnlPool", 1), "@anyone") == "Unauthorized"


def test_a_transfer_within_a_market_leaves_its_earnings() -> None:
    venue = Pools(100)
    before = venue.perp_market(PERP).amm.total_fee_minus_distributions
    venue.ok(_transfer(PERP, PERP, "PnlToFeePool", 40 * Q))
    assert (venue.held("pnl", "fee"), venue.perp_market(PERP).amm.total_fee_minus_distributions) == ((60, 40), before)


def _transfer(fee_market: int, pnl_market: int, direction: Any, amount: int) -> Instruction:
    return TransferFeeAndPnlPool(
        perp_market_index_with_fee_pool=fee_market, perp_market_index_with_pnl_pool=pnl_market, direction=direction,
        amount=amount,
    )  # fmt: skip


def test_the_pnl_pool_is_credited_only_with_tokens_that_nobody_claims() -> None:
    venue = Pools()
    ix = UpdatePerpMarketPnlPool(market_index=PERP, amount=7 * Q)
    assert venue.refused(ix) == "SpotMarketVaultInvariantViolated"
    assert venue.refused(ix, "@anyone") == "Unauthorized"
    venue.change_vaults(USDC, spot_vault=venue.vault(USDC) + 7 * Q)
    venue.ok(ix)
    assert venue.held("pnl") == (7,)


def test_a_deposit_into_the_fee_pool_raises_the_amms_equity() -> None:
    venue = Pools()
    ix = DepositIntoPerpMarketFeePool(market_index=PERP, amount=7 * Q)
    before = venue.perp_market(PERP).amm.total_fee_minus_distributions
    venue.ok(ix)
    assert venue.held("fee") == (7,)
    assert venue.perp_market(PERP).amm.total_fee_minus_distributions == before + 7 * Q
    assert venue.refused(ix, "@anyone") == "Unauthorized"


# --- revenue shares ----------------------------------------------------------------------------------------------


def owe(venue: Pools, *rows: tuple[str, int, int], market: int = PERP) -> None:
    """@short's escrow with rows: beneficiary, whole quote units, flags."""
    if not venue.machine.store.revenue_share_escrows.count:
        venue.ok(InitializeRevenueShareEscrow(authority="@short"), "@short")
    table = venue.machine.store.revenue_share_escrows
    escrow = table.read(0)
    for row, (name, amount, flags) in zip(escrow.rows, rows, strict=False):
        row.beneficiary, row.fees_accrued, row.market_index = key_from_text(name), amount * Q, market
        row.bit_flags = ROW_IN_USE | flags
    venue._store("revenue_share_escrows", 0, escrow)
    venue.change_perp_market(market, pending_revenue_share=sum(amount for _, amount, _ in rows) * Q)
    venue.ok(UpdateFeatureBitFlags(feature="BuilderCodes", enable=True))


def test_a_settlement_pays_builders_and_referrers() -> None:
    venue = Pools()
    venue.claim(-30 * Q, PERP, "@short")
    owe(venue, ("@long", 4, ROW_COMPLETED), ("@long", 5, 0), ("@long", 6, ROW_REFERRAL), ("@long", 50, ROW_COMPLETED))
    receipt = venue.settle("@short")
    assert error(receipt) == "ok"
    # the builder's row that is not completed waits; the last is not paid in part
    assert venue.tokens("@long") == 100_010
    assert venue.perp_market(PERP).pending_revenue_share == 55 * Q
    events = [fields for name, fields in receipt.events if name == "RevenueShareSettleRecord"]
    long = key_to_text(key_from_text("@long"))
    assert [(e["builder"], e["referrer"], e["fee_settled"]) for e in events] == [
        (long, None, 4 * Q),
        (None, long, 6 * Q),
    ]
    assert (events[-1]["builder_total_builder_rewards"], events[-1]["builder_total_referrer_rewards"]) == (4 * Q, 6 * Q)
    rows = venue.machine.store.revenue_share_escrows.read(0).rows
    assert [row.bit_flags for row in rows[:4]] == [
        0, ROW_IN_USE, ROW_IN_USE | ROW_REFERRAL, ROW_IN_USE | ROW_COMPLETED,
    ]  # fmt: skip
    assert "paid whole or not at all" in receipt.limits[-1].note


def test_anyone_pays_a_row_and_users_come_first() -> None:
    venue = Pools(10)
    owe(venue, ("@long", 5, ROW_COMPLETED))
    venue.claim(8 * Q, PERP, "@short")
    ix = SettleRevenueShare(escrow="@short", market_index=PERP)
    venue.ok(ix, "@anyone")
    assert venue.tokens("@long") == 100_000
    assert error(venue.settle("@short")) == "ok"
    venue.fund("pnl_pool", 5 * Q)
    venue.ok(ix, "@anyone")
    assert venue.tokens("@long") == 100_005
    assert venue.refused(SettleRevenueShare(escrow="@long", market_index=PERP), "@anyone") == (
        "UnableToLoadRevenueShareAccount"
    )


def test_builders_wait_while_their_codes_are_off_or_the_sweep_is_paused() -> None:
    ix = SettleRevenueShare(escrow="@short", market_index=PERP)
    venue = Pools(10)
    owe(venue, ("@long", 5, ROW_COMPLETED))
    venue.ok(UpdateFeatureBitFlags(feature="BuilderCodes", enable=False))
    venue.ok(ix, "@anyone")
    venue.ok(UpdateFeatureBitFlags(feature="BuilderCodes", enable=True))
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=PERP_SETTLE_REV_POOL))
    venue.ok(ix, "@anyone")
    assert venue.tokens("@long") == 100_000
    venue.ok(UpdatePerpMarketPausedOperations(market_index=PERP, paused_operations=0))
    venue.ok(ix, "@anyone")
    assert venue.tokens("@long") == 100_005


def test_a_vaults_account_forfeits_what_could_be_paid() -> None:
    venue = Pools(10)
    owe(venue, ("@long", 5, ROW_COMPLETED), ("@long", 50, ROW_COMPLETED))
    venue.ok(SetUserVaultOwned(authority="@long"), "@long")
    receipt = venue.ok(SettleRevenueShare(escrow="@short", market_index=PERP), "@anyone")
    assert (venue.tokens("@long"), venue.held("pnl")) == (100_000, (10,))
    assert venue.perp_market(PERP).pending_revenue_share == 50 * Q
    assert "a vault's" in receipt.limits[0].note


def test_a_row_is_forfeited_only_once_it_can_never_be_paid() -> None:
    venue = Pools(3)
    owe(venue, ("@nobody", 5, ROW_COMPLETED), ("@long", 2, ROW_COMPLETED), ("@long", 4, ROW_COMPLETED))
    ix = {row: ForfeitRevenueShareOrder(escrow="@short", row=row, market_index=PERP) for row in range(4)}
    assert venue.refused(ix[0], "@anyone") == "RevenueShareOrderNotForfeitable"
    assert venue.refused(ix[3], "@anyone") == "RevenueShareOrderHasNoFeesAccrued"
    other = ForfeitRevenueShareOrder(escrow="@short", row=0, market_index=OTHER)
    assert venue.refused(other, "@anyone") == "RevenueShareOrderMarketMismatch"
    expire(venue)
    refused = venue.do(ix[0], "@anyone").refusal
    assert refused is not None and "may open an account to be paid to until" in refused.message
    assert venue.refused(ix[1], "@anyone") == "RevenueShareOrderNotForfeitable"
    receipt = venue.ok(ix[2], "@anyone")
    assert receipt.events[0][1]["reason"] == "PoolExhausted"
    venue.now += 86_400
    receipt = venue.ok(ix[0], "@anyone")
    assert receipt.events[0][1]["reason"] == "NoBeneficiaryAccount"
    assert (venue.held("pnl"), venue.perp_market(PERP).pending_revenue_share) == ((3,), 2 * Q)


# --- batches -----------------------------------------------------------------------------------------------------


def crowd() -> Pools:
    """Losers, winners, one who cannot pay, one without a position; fees pend and a builder is owed."""
    venue = Pools(5)
    for number, quote in enumerate((-30, 20, -7, 15, 0)):
        venue.trader(f"@u{number}", usdc=100)
        if quote:
            venue.claim(quote * Q, PERP, f"@u{number}")
    venue.claim(-200 * Q, PERP, "@bankrupt")
    venue.change_perp_market(PERP, pending_protocol_fee=5 * Q, pending_if_fee=2 * Q)
    owe(venue, ("@long", 4, ROW_COMPLETED))
    return venue


def test_a_batch_leaves_what_the_instructions_leave() -> None:
    names = ["@bankrupt", *(f"@u{number}" for number in range(5)), "@missing"]
    one, many = crowd(), crowd()
    refused = []
    for name in names:
        receipt = one.settle(name, "@keeper")
        refused.append(error(receipt))
    receipt = many.ok(SettlePnlBatch(market_index=PERP, users=names), "@keeper")
    assert many.machine.results is not None
    results = decode_results(many.machine.results)
    assert [name or "ok" for name in results["error"].to_pylist()] == refused
    assert one.machine.store.root() == many.machine.store.root()
    assert receipt.events[-1][0] == "SettlePnlBatchRecord"
    assert len(receipt.events) == 1
    assert set(refused) == {"ok", "UserNotFound", "UserHasNoPositionInMarket", "InsufficientCollateralForSettlingPNL"}


def test_expired_positions_and_funding_are_settled_in_batches() -> None:
    one, many = Pools(1_000, positions=True), Pools(1_000, positions=True)
    for venue in (one, many):
        expire(venue)
        venue.ok(SettleFundingBatch(users=["@long", "@short"]), "@keeper")
    assert [error(one.settle(name, "@keeper")) for name in ("@long", "@short")] == ["ok", "ok"]
    many.ok(SettleExpiredBatch(market_index=PERP, users=["@long", "@short"]), "@keeper")
    assert one.machine.store.root() == many.machine.store.root()
    assert many.refused(SettlePnlBatch(market_index=PERP, users=["@long"]), "@keeper") == (
        "InvalidMarketStatusToSettlePnl"
    )
    assert (
        many.refused(SettleExpiredBatch(market_index=OTHER, users=["@long"]), "@keeper") == "PerpMarketNotInSettlement"
    )


# --- asking ------------------------------------------------------------------------------------------------------


def test_the_query_tells_what_a_settlement_would_pay_and_what_caps_it() -> None:
    venue = Pools(10)
    venue.fund("fee_pool", 500 * Q)
    venue.claim(40 * Q, PERP, "@long")
    found = claimable_pnl(venue.machine.store, venue.clock, "@long", PERP)
    assert (found.claimable_pnl, found.pnl_pool_available, found.payable_pnl) == (40 * Q, 10 * Q, 10 * Q)
    assert (found.refusal, found.owner_must_sign, venue.held("pnl")) == ("", True, (10,))
    venue.fund("pnl_pool", 0)
    found = claimable_pnl(venue.machine.store, venue.clock, "@long", PERP)
    assert (found.refusal, found.claimable_pnl, found.payable_pnl) == ("PnlPoolCantSettleUser", 40 * Q, 0)
