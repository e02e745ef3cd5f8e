"""What must hold after every instruction of a Velocity venue beside what holds under both rulebooks.

Numbers as in the list of the program's own fuzzers (E1 to E9), and what its pages say of pools and ledgers.
"""

from collections import Counter
from collections.abc import Callable
from typing import Any

from seawall.engine.machine import Machine
from seawall.engine.store import Store
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot
from seawall.instructions.insurance import RemoveInsuranceFundStake
from seawall.instructions.isolated import TransferIsolatedPerpPositionDeposit
from seawall.instructions.migration import MigrateToVelocity
from seawall.instructions.protocol_fees import SweepPerpMarketFees
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.rules.common.balances import get_token_amount
from seawall.rules.velocity.bankruptcy_predicates import (
    has_realizable_assets,
    is_cross_margin_bankrupt,
    is_isolated_margin_bankrupt,
)
from seawall.rules.velocity.isolated import CROSS
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    POSITION_BANKRUPT,
    POSITION_BANKRUPTCY_CLAIM,
    POSITION_BEING_LIQUIDATED,
    POSITION_ISOLATED,
    USER_BANKRUPT,
    USER_BEING_LIQUIDATED,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User
from support.invariants import Before, Step, books_exit_value

SCOPE_LATCHES = POSITION_BANKRUPT | POSITION_BEING_LIQUIDATED
RESOLVERS = (ResolvePerpPnlDeficit, ResolvePerpBankruptcy, ResolveSpotBankruptcy)


def users_of(store: Store) -> list[User]:
    """Every account."""
    return [store.users.read(row) for row in range(store.users.count)]


def changed_users(step: Step) -> list[tuple[User | None, User]]:
    """The accounts that a step changed, before and after it."""
    return [
        (None if change.before is None else User.unpack(change.before), change.after)
        for change in step.changes
        if change.table.name == "users" and isinstance(change.after, User)
    ]


# --- the ledger and the pools ------------------------------------------------------------------------------------


def e2_what_is_provided_was_granted(old: Before, step: Step, machine: Machine) -> None:
    """The AMM's provision that is not tokenized yet is at most all that it was ever granted; sources of a loss pay at
    most what they hold and what their caps admit, and together with what is spread they make up the loss (E2)."""
    for market in machine.store.perp_markets.objects:
        ledger = market.fee_ledger
        assert ledger.pending_amm_provision <= ledger.amm_protocol_fees_received
    waterfall = step.receipt.waterfall
    if waterfall is None:
        return
    for source in waterfall.sources:
        assert 0 <= source.paid <= max(0, source.held), source
        assert all(source.paid <= max(0, cap.value) for cap in source.caps), source
    assert waterfall.loss == waterfall.paid + waterfall.socialised + waterfall.uncovered, waterfall


def protocol_pools_lie_in_their_markets(old: Before, step: Step, machine: Machine) -> None:
    """Each protocol pool is denominated in its own spot market, that of a perp market in the quote market; and only
    withdrawals of the protocol take anything out of them."""
    for index, market in enumerate(machine.store.spot_markets.objects):
        assert market.protocol_fee_pool.market_index == index
        assert market.revenue_pool.market_index == index
        assert market.spot_fee_pool.scaled_balance == 0
    for perp in machine.store.perp_markets.objects:
        for pool in (perp.protocol_fee_pool, perp.pnl_pool, perp.amm.fee_pool):
            assert pool.market_index == perp.quote_spot_market_index == 0
    if step.instruction.ix.startswith("withdraw_protocol_fees"):
        return
    for was, now in zip(old.spot_markets, machine.store.spot_markets.objects, strict=False):
        assert now.protocol_fee_pool.scaled_balance >= was.protocol_fee_pool.scaled_balance
    for was_perp, now_perp in zip(old.perp_markets, machine.store.perp_markets.objects, strict=False):
        assert now_perp.protocol_fee_pool.scaled_balance >= was_perp.protocol_fee_pool.scaled_balance


def escrows_sum_to_what_is_pending(old: Before, step: Step, machine: Machine) -> None:
    """What a perp market reserves for builders and referrers is the sum of the rows of all escrows."""
    owed: Counter[int] = Counter()
    escrows = machine.store.revenue_share_escrows
    for number in range(escrows.count):
        for row in escrows.read(number).rows:
            owed[row.market_index] += row.fees_accrued
    for index, market in enumerate(machine.store.perp_markets.objects):
        assert market.pending_revenue_share == owed[index], index


def a_sweep_moves_what_was_pending(old: Before, step: Step, machine: Machine) -> None:
    """A sweep never moves the AMM's own equity, and what leaves the P&L pool is what is pending no more."""
    if not isinstance(step.instruction, SweepPerpMarketFees) or step.receipt.refusal is not None:
        return
    index = step.instruction.market_index
    was, now = old.perp_markets[index], machine.store.perp_markets.objects[index]
    assert was.amm.total_fee_minus_distributions == now.amm.total_fee_minus_distributions
    for name in ("pending_protocol_fee", "pending_if_fee", "pending_amm_provision"):
        assert getattr(now.fee_ledger, name) <= getattr(was.fee_ledger, name)
    assert was.pending_revenue_share == now.pending_revenue_share


# --- the AMM's balance sheet -------------------------------------------------------------------------------------


SHEET_LEAKS = {
    "update_perp_market_amm_summary_stats": "sets the earnings by the oracle price, not by the curve",
    "update_perp_market_pnl_pool": "credits a pool with tokens that nobody claims",
    "transfer_fee_and_pnl_pool": "across markets only the earnings of the one with the fee pool change along",
    "migrate_to_velocity": "Drift's books are carried over as they are",
    "revenue draw": "what the revenue pool pays for P&L enters the P&L pool and nobody's books",
    "offset quote": "what the AMM gives beyond its curve by a reference price offset is booked as a gain all the same",
    "fixed price": "a fill at an order's own price is booked against the AMM's quote: the spread is nobody's",
    "lower k": "what a refresh saves by a lower k is spent on the peg and booked nowhere",
}
"""Where the AMM's equity may part from its balance sheet along the curve, and why."""


def sheet(market: PerpMarket, quote: SpotMarket) -> int:
    """What both pools hold less what users, protocol, insurance and revenue shares claim, users' positions valued along
    the AMM's curve, less the AMM's booked equity (quote 1e6)."""
    amm, ledger = market.amm, market.fee_ledger
    pools = sum(get_token_amount(p.scaled_balance, quote, DEPOSIT) for p in (market.pnl_pool, amm.fee_pool))
    owed = amm.quote_asset_amount + amm.net_unsettled_funding_pnl + books_exit_value(market)
    pending = ledger.pending_protocol_fee + ledger.pending_if_fee + market.pending_revenue_share
    return pools - owed - pending - amm.total_fee_minus_distributions


def the_balance_sheet_holds(old: Before, step: Step, machine: Machine) -> None:
    """The AMM's equity moves as its balance sheet does: fills, fees, funding, settlements, sweeps, liquidations,
    forfeits, clawbacks, deficits and socialised losses keep the two together to a few units (E7 among them)."""
    if step.instruction.ix in SHEET_LEAKS:
        return
    for index, was in enumerate(old.perp_markets):
        market = machine.store.perp_markets.objects[index]
        if market is was or market.expiry_price != 0:
            continue
        quote = machine.store.spot_markets.objects[0]
        events = [(name, e) for name, e in step.receipt.events if e.get("market_index") == index]
        fills = [e for name, e in events if name == "OrderActionRecord" and e["action"] == "Fill"]
        at_fixed_price = [e for e in fills if e["taker"] is None or e["action_explanation"] == "OrderFilledWithAMMJit"]
        drawn = drawn_for_pnl(old, step, was, market)
        accounts = next((int(e["accounts"]) for _, e in step.receipt.events if "accounts" in e), 1)
        units = 4 + 3 * len(fills) + 3 * accounts
        drift = sheet(market, quote) - sheet(was, quote) - drawn
        # what came into a pool before interest was accrued in the same step earned it
        growth = quote.cumulative_deposit_interest - old.spot_markets[0].cumulative_deposit_interest
        units += abs(growth) * (market.pnl_pool.scaled_balance + market.amm.fee_pool.scaled_balance) // 10**13
        least = -units
        if was.amm.reference_price_offset or market.amm.reference_price_offset:
            least -= 2 * sum(e["quote_asset_amount_surplus"] or 0 for e in fills)
        assert drift >= least, (index, drift)
        if not at_fixed_price and market.amm.sqrt_k >= was.amm.sqrt_k:
            assert drift <= units, (index, drift)


def drawn_for_pnl(old: Before, step: Step, was: PerpMarket, now: PerpMarket) -> int:
    """What a settlement drew on the revenue pool: it counts with what was drawn in the period, which may have begun
    anew with it. (What is drawn for funding is credited to the AMM.)"""
    if not step.instruction.ix.startswith("settle_") or step.instruction.ix == "settle_revenue_to_insurance_fund":
        return 0
    begun = old.spot_markets[0].insurance_fund.last_revenue_settle_ts > was.insurance_claim.last_revenue_withdraw_ts
    before, after = (m.insurance_claim.revenue_withdraw_since_last_settle for m in (was, now))
    return 0 if before == after else max(0, after - (0 if begun else before))


# --- bankruptcies ------------------------------------------------------------------------------------------------


def e3_insurance_keeps_a_unit(old: Before, step: Step, machine: Machine) -> None:
    """After a resolver that pays out of an insurance fund, its vault still holds a token (E3)."""
    if not isinstance(step.instruction, (*RESOLVERS, ResolveWithAssociatedSpot)):
        return
    for change in step.receipt.vaults:
        if change.vault == "insurance_fund_vault" and change.amount < 0:
            assert machine.store.vaults.objects[change.market_index].insurance_fund_vault >= 1


def e4_claims_are_counted(old: Before, step: Step, machine: Machine) -> None:
    """Every market counts the rows flagged as a bankruptcy's claim on it, and each of these owes (E4)."""
    flagged: Counter[int] = Counter()
    for user in users_of(machine.store):
        for position in user.perp_positions:
            if position.position_flag & POSITION_BANKRUPTCY_CLAIM:
                assert position.quote_asset_amount < 0, user.authority
                flagged[position.market_index] += 1
    for index, market in enumerate(machine.store.perp_markets.objects):
        assert market.pending_bankruptcy_claims == flagged[index], index


def e5_the_snapshot_is_at_most_the_fund(old: Before, step: Step, machine: Machine) -> None:
    """After revenue was settled the fund's snapshot is its value, after an outflow at most that (E5)."""
    ix = step.instruction
    if step.receipt.refusal is not None:
        return
    moved = {c.market_index for c in step.receipt.vaults if c.vault == "insurance_fund_vault" and c.amount < 0}
    if isinstance(ix, RemoveInsuranceFundStake):
        moved.add(ix.market_index)
    if isinstance(ix, ResolveWithAssociatedSpot | MigrateToVelocity):
        # no rule of the program: neither counts as an outflow of stakers
        return
    for index in moved:
        assert machine.store.spot_markets.objects[index].if_last_settle_vault_amount <= fund_value(machine.store, index)
    if isinstance(ix, SettleRevenueToInsuranceFund):
        index = ix.spot_market_index
        assert machine.store.spot_markets.objects[index].if_last_settle_vault_amount == fund_value(machine.store, index)


def fund_value(store: Store, index: int) -> int:
    """What an insurance fund owns: its vault and what is receivable of the collateral vault."""
    market = store.spot_markets.objects[index]
    receivable = get_token_amount(market.insurance_fund_revenue_receivable_scaled, market, DEPOSIT)
    return store.vaults.objects[index].insurance_fund_vault + receivable


def e6_a_latch_goes_when_its_reason_does(old: Before, step: Step, machine: Machine) -> None:
    """After a resolver the scope is latched bankrupt exactly if it is insolvent; where it turned out to own something
    nothing is drawn (E6)."""
    ix = step.instruction
    if not isinstance(ix, ResolvePerpBankruptcy | ResolveSpotBankruptcy) or step.receipt.refusal is not None:
        return
    markets = machine.store.spot_markets.objects
    name_of_user = step.instruction.user
    for was, user in changed_users(step):
        from seawall.instructions.base import user_key

        if user.authority + user.sub_account_id.to_bytes(2, "little") != user_key(name_of_user):
            continue
        row = CROSS
        if isinstance(ix, ResolvePerpBankruptcy) and was is not None:
            isolated = [
                i
                for i in range(POSITIONS)
                if was.perp_positions[i].market_index == ix.market_index
                and was.perp_positions[i].position_flag & POSITION_ISOLATED
            ]
            row = isolated[0] if isolated else CROSS
        if row == CROSS:
            latched = bool(user.status & USER_BANKRUPT)
            assert latched == is_cross_margin_bankrupt(user, markets), "cross"
        else:
            position = user.perp_positions[row]
            latched = bool(position.position_flag & POSITION_BANKRUPT)
            of_market = position.position_flag & POSITION_ISOLATED
            assert latched == (bool(of_market) and is_isolated_margin_bankrupt(position)), "isolated"
        if step.receipt.waterfall is not None and step.receipt.waterfall.outcome == "unlatched":
            assert not latched
            assert step.receipt.waterfall.paid == 0
            assert has_realizable_assets(user, row, markets)


def flags_make_sense(old: Before, step: Step, machine: Machine) -> None:
    """Nothing is at once being liquidated and bankrupt; collateral of its own and flags of its own only an isolated
    position has, and it never owes a claim of cross margin's kind without quote."""
    for _, user in changed_users(step):
        assert user.status & (USER_BANKRUPT | USER_BEING_LIQUIDATED) != USER_BANKRUPT | USER_BEING_LIQUIDATED
        for position in user.perp_positions:
            flags = position.position_flag
            assert (
                flags & (POSITION_BANKRUPT | POSITION_BEING_LIQUIDATED) != POSITION_BANKRUPT | POSITION_BEING_LIQUIDATED
            )
            if not flags & POSITION_ISOLATED:
                assert position.isolated_position_scaled_balance == 0
                assert not flags & (POSITION_BANKRUPT | POSITION_BEING_LIQUIDATED)


def repairs_wait_while_they_are_paused(old: Before, step: Step, machine: Machine) -> None:
    """While ``solvency_status`` is not 0 no deficit and no bankruptcy is resolved."""
    if isinstance(step.instruction, RESOLVERS) and machine.store.state.objects[0].solvency_status:
        assert step.receipt.refusal is not None


# --- isolated positions and liquidations -------------------------------------------------------------------------


def e8_transfers_leave_the_market(old: Before, step: Step, machine: Machine) -> None:
    """A transfer between cross margin and an isolated position leaves the market's deposits less its borrows, but for
    interest (of a millionth part at most) and ten units (E8)."""
    if not isinstance(step.instruction, TransferIsolatedPerpPositionDeposit) or step.receipt.refusal is not None:
        return
    was, now = old.spot_markets[0], machine.store.spot_markets.objects[0]
    if any(name == "SpotInterestRecord" for name, _ in step.receipt.events):
        return
    assert abs(net_deposits(now) - net_deposits(was)) <= 10


def net_deposits(market: SpotMarket) -> int:
    """Deposits less borrows (tokens)."""
    return get_token_amount(market.deposit_balance, market, DEPOSIT) - get_token_amount(
        market.borrow_balance, market, BORROW
    )


def e9_liquidations_take_at_most_their_rates(old: Before, step: Step, machine: Machine) -> None:
    """What insurance and the protocol take of a liquidation is at most both rates of what was moved, insurance alone at
    most its own (E9)."""
    for name, event in step.receipt.events:
        if name != "LiquidationRecord":
            continue
        kind, part = event["liquidation_type"], {}
        if kind == "LiquidatePerp":
            part = event["liquidate_perp"]
            market: Any = old.perp_markets[part["market_index"]]
            value = abs(part["quote_asset_amount"])
        elif kind == "LiquidateSpot":
            part = event["liquidate_spot"]
            market = old.spot_markets[part["liability_market_index"]]
            value = part["liability_transfer"]
        else:
            continue
        assert part["if_fee"] <= value * market.if_liquidation_fee // 10**6, part
        both = market.if_liquidation_fee + market.protocol_liquidation_fee
        assert part["if_fee"] + part["protocol_fee"] <= value * both // 10**6, part


def nothing_of_drift_comes_back(old: Before, step: Step, machine: Machine) -> None:
    """Shares that no staker owns are ballast: after the migration nobody burns them, and new ones only count tokens of
    a fund without shares."""
    for was, now in zip(old.spot_markets, machine.store.spot_markets.objects, strict=False):
        fund, before = now.insurance_fund, was.insurance_fund
        if fund.shares_base != before.shares_base or isinstance(step.instruction, MigrateToVelocity):
            continue
        if before.total_shares:
            assert fund.total_shares - fund.user_shares == before.total_shares - before.user_shares


VELOCITY_INVARIANTS: tuple[Callable[[Before, Step, Machine], None], ...] = (
    e2_what_is_provided_was_granted,
    protocol_pools_lie_in_their_markets,
    escrows_sum_to_what_is_pending,
    a_sweep_moves_what_was_pending,
    the_balance_sheet_holds,
    e3_insurance_keeps_a_unit,
    e4_claims_are_counted,
    e5_the_snapshot_is_at_most_the_fund,
    e6_a_latch_goes_when_its_reason_does,
    flags_make_sense,
    repairs_wait_while_they_are_paused,
    e8_transfers_leave_the_market,
    e9_liquidations_take_at_most_their_rates,
    nothing_of_drift_comes_back,
)
