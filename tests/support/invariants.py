"""What must hold after every instruction, whether it was carried out or not: each a sentence, each a check.

A check looks at the state before, at the step, and at the state after it.
"""

from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

import msgspec

from seawall.engine.conservation import surplus
from seawall.engine.machine import Machine
from seawall.engine.queries.margin import margin
from seawall.engine.receipts import Receipt, decode_receipt, encode_receipt
from seawall.engine.store import Store
from seawall.engine.transaction import Change
from seawall.errors import ErrorCode
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot
from seawall.instructions.base import Instruction, user_key
from seawall.instructions.batches import SettleExpiredBatch, SettleFundingBatch, SettlePnlBatch
from seawall.instructions.deposits import (
    DepositIntoSpotMarketRevenuePool,
    DepositIntoSpotMarketVault,
    Swap,
    TransferDeposit,
    Withdraw,
)
from seawall.instructions.insurance import DepositIntoInsuranceFund
from seawall.instructions.isolated import WithdrawFromIsolatedPerpPosition
from seawall.instructions.liquidation import LiquidatePerpWithFill, LiquidateSpotWithSwap
from seawall.instructions.migration import MigrateToVelocity
from seawall.instructions.perp_fills import FillPerpOrder, PlaceAndTakePerpOrder
from seawall.instructions.pnl import DepositIntoPerpMarketFeePool, SettleMultiplePnls, UpdatePerpMarketPnlPool
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.instructions.spot_fills import ExternalFill, FillSpotOrder
from seawall.instructions.venue_setup import FundWallet
from seawall.keys import DEFAULT_KEY, key_from_text
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.spot_margin import signed_token_amount
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_DRIFT, STATUS_DELISTED, STATUS_SETTLEMENT
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import RevenueShareEscrow
from seawall.state.spot_market import SpotMarket, Vaults
from seawall.state.user import POSITIONS, User


class Step(NamedTuple):
    """One instruction that a venue was asked, and everything that came of it."""

    instruction: Instruction
    signer: str
    receipt: Receipt
    changes: list[Change]


class Before(NamedTuple):
    """What a state was: stored objects are replaced, never changed, so holding them keeps it."""

    root: str
    effects: bytes
    sequence: int
    spot_markets: list[SpotMarket]
    perp_markets: list[PerpMarket]
    vaults: list[Vaults]
    tokens: list[int]
    surplus: list[int]


def before(machine: Machine) -> Before:
    """The state as it is now."""
    store = machine.store
    return Before(
        store.root(), machine.effects, machine.sequence, list(store.spot_markets.objects),
        list(store.perp_markets.objects), list(store.vaults.objects), all_tokens(store),
        surplus(store),
    )  # fmt: skip


def all_tokens(store: Store) -> list[int]:
    """All tokens there are, in wallets and vaults, by spot market."""
    held = [v.spot_vault + v.insurance_fund_vault for v in store.vaults.objects]
    for row in range(store.wallets.count):
        wallet = store.wallets.read(row)
        held[wallet.market_index] += wallet.amount
    return held


# --- atomicity and what the receipt tells ------------------------------------------------------------------------


def a_refusal_changes_nothing(old: Before, step: Step, machine: Machine) -> None:
    """A refused instruction leaves the state root and the running hash of effects as they were, moves nothing, tells
    no event, and says by a known name and in words why."""
    refusal = step.receipt.refusal
    if refusal is None:
        return
    assert machine.store.root() == old.root
    assert machine.effects == old.effects
    assert step.changes == []
    assert (step.receipt.events, step.receipt.transfers, step.receipt.vaults) == ([], [], [])
    assert refusal.code == ErrorCode[refusal.error]
    assert refusal.message


def effects_tell_of_every_change(old: Before, step: Step, machine: Machine) -> None:
    """The running hash of effects moves exactly when a row was written, the state root exactly then too, and every
    instruction of the history has the next number."""
    changed = bool(step.changes)
    assert (machine.effects != old.effects) == changed
    assert (machine.store.root() != old.root) == changed
    assert machine.effects.hex() == step.receipt.effects
    assert machine.sequence == step.receipt.sequence == old.sequence + 1


def rows_and_objects_agree(old: Before, step: Step, machine: Machine) -> None:
    """The records that the engine holds as objects are exactly what their rows say."""
    for table in machine.store.tables:
        for index, held in enumerate(getattr(table, "objects", [])):
            assert held.pack() == table.row(index), (table.name, index)


def receipts_survive_the_wire(old: Before, step: Step, machine: Machine) -> None:
    """A receipt written as JSON and read back is the same receipt, to the last digit."""
    assert decode_receipt(encode_receipt(step.receipt)) == step.receipt


def _references(value: Any, name: str = "") -> Iterator[tuple[str, str]]:
    """Every text in an instruction with the name of its field."""
    if isinstance(value, str):
        yield name, value
    elif isinstance(value, list):
        for item in value:
            yield from _references(item, name)
    elif isinstance(value, dict):
        for key, item in value.items():
            yield from _references(item, key)


_USER_FIELDS = {"user", "users", "from_user", "to_user", "filler", "maker", "makers", "liquidator"}
_MANY = (SettlePnlBatch, SettleExpiredBatch, SettleFundingBatch)


def only_those_named_change(old: Before, step: Step, machine: Machine) -> None:
    """No account changes that the instruction does not name, but for the referrer of one that trades; no stake, wallet
    or statistics of anybody else either."""
    store = machine.store
    fields = list(_references(msgspec.to_builtins(step.instruction)))
    users = {user_key(text) for name, text in fields if name in _USER_FIELDS}
    authorities = {key[:32] for key in users} | {key_from_text(step.signer)}
    authorities |= {key_from_text(text) for name, text in fields if name in ("authority", "referrer")}
    if isinstance(step.instruction, FillPerpOrder | PlaceAndTakePerpOrder | LiquidatePerpWithFill):
        trader = user_key(step.instruction.user)[:32]
        row = store.user_stats.index.get(trader)
        referrer = DEFAULT_KEY if row is None else store.user_stats.read(row).referrer
        if referrer != DEFAULT_KEY:
            users.add(referrer + b"\0\0")
            authorities.add(referrer)
    beneficiaries = _beneficiaries(store, step, authorities)
    authorities |= beneficiaries
    users |= {beneficiary + b"\0\0" for beneficiary in beneficiaries}
    if step.instruction.ix.startswith("withdraw_protocol_fees"):
        state = store.state.objects[0]
        authorities |= {state.protocol_fee_recipient_perp, state.protocol_fee_recipient_spot}
    for change in step.changes:
        table, after = change.table.name, change.after
        if isinstance(step.instruction, _MANY) and table == "users":
            after = User.unpack(change.data)
        if isinstance(step.instruction, _MANY) and table == "users" and step.instruction.users is None:
            named = after.authority + after.sub_account_id.to_bytes(2, "little") in users
            assert change.index >= step.instruction.first or named
        elif table == "users":
            assert after.authority + after.sub_account_id.to_bytes(2, "little") in users
        elif table in ("user_stats", "stakes", "wallets", "revenue_share_escrows", "approved_builders"):
            assert after.authority in authorities, table


def _beneficiaries(store: Store, step: Step, authorities: set[bytes]) -> set[bytes]:
    """Whom Velocity's revenue shares of those authorities are paid to."""
    fields = _references(msgspec.to_builtins(step.instruction))
    authorities |= {key_from_text(text) for name, text in fields if name == "escrow"}
    found: set[bytes] = set()
    for change in step.changes:
        if change.table.name == "revenue_share_escrows" and change.before is not None:
            escrow = RevenueShareEscrow.unpack(change.before)
            if isinstance(step.instruction, _MANY) and step.instruction.users is None:
                authorities.add(escrow.authority)
            if escrow.authority in authorities:
                found |= {row.beneficiary for row in escrow.rows}
    return found


# --- tokens ------------------------------------------------------------------------------------------------------


def outside_flow(step: Step) -> Counter[int]:
    """Tokens that a step brings into the venue from outside (wallets count as inside), by spot market: what
    ``fund_wallet`` reports, what a swap exchanges, what an external venue fills."""
    flow: Counter[int] = Counter()
    ix = step.instruction
    if step.receipt.refusal is not None:
        return flow
    if isinstance(ix, FundWallet):
        flow[ix.market_index] += ix.amount
    elif isinstance(ix, Swap):
        flow[ix.in_market_index] -= ix.amount_in
        flow[ix.out_market_index] += ix.amount_out
    elif isinstance(ix, LiquidateSpotWithSwap):
        flow[ix.asset_market_index] -= ix.amount_in
        flow[ix.liability_market_index] += ix.amount_out
    elif isinstance(ix, ResolveWithAssociatedSpot):
        flow[0] += ix.quote_amount
        flow[swapped(step)["spot_market_index"]] -= ix.token_amount
    elif isinstance(ix, FillSpotOrder):
        asked = [f for f in ix.fills if isinstance(f, ExternalFill) and f.base_asset_amount > 0]
        told = [e for _, e in step.receipt.events if e.get("action_explanation", "").startswith("OrderFillWith")]
        sign = 1 if ix.direction == "Long" else -1
        for fill, event in zip(asked, told, strict=False):
            assert event["base_asset_amount_filled"] == fill.base_asset_amount
            flow[ix.market_index] += sign * fill.base_asset_amount
            flow[0] -= sign * fill.quote_asset_amount + fill.fee + fill.unsettled_referrer_rebate
            flow[0] += fill.settled_referrer_rebate
    return flow


def swapped(step: Step) -> dict[str, Any]:
    """What a step tells of the associated spot market."""
    return next(e for name, e in step.receipt.events if name == "AssociatedSpotRecord")


def tokens_come_and_go_by_name(old: Before, step: Step, machine: Machine) -> None:
    """For every token the sum over all wallets and vaults stays the same, except for what ``fund_wallet``, swaps and
    fills at external venues bring or take, to the last unit."""
    flow = outside_flow(step)
    for index, tokens in enumerate(all_tokens(machine.store)):
        known = old.tokens[index] if index < len(old.tokens) else 0
        assert tokens - known == flow[index], index


VAULTS = ("spot_vault", "insurance_fund_vault")
"""The two vaults of a spot market."""


def vaults_move_as_told(old: Before, step: Step, machine: Machine) -> None:
    """The tokens of each vault change by what the instruction's events say (or, where it has none, its amount)."""
    expected: Counter[tuple[int, str]] = Counter()
    ix = step.instruction
    if step.receipt.refusal is None:
        for market, tokens in outside_flow(step).items():
            if not isinstance(ix, FundWallet):
                expected[market, "spot_vault"] += tokens
        if isinstance(ix, DepositIntoSpotMarketRevenuePool):
            expected[ix.market_index, "spot_vault"] += ix.amount
        elif isinstance(ix, DepositIntoPerpMarketFeePool):
            expected[0, "spot_vault"] += ix.amount
        elif isinstance(ix, DepositIntoSpotMarketVault):
            expected[ix.market_index, "spot_vault"] += ix.amount
        elif isinstance(ix, DepositIntoInsuranceFund):
            expected[ix.market_index, "insurance_fund_vault"] += ix.amount
    for name, e in step.receipt.events:
        if name == "DepositRecord" and e["transfer_user"] is None:
            expected[e["market_index"], "spot_vault"] += e["amount"] * (1 if e["direction"] == "Deposit" else -1)
        elif name == "ProtocolFeeWithdrawRecord":
            expected[e["spot_market_index"], "spot_vault"] -= e["amount"]
        elif name == "AssociatedSpotRecord":
            # what insurance gave up went outside
            expected[e["spot_market_index"], "spot_vault"] -= e["insurance_fund_amount"]
        elif name == "InsuranceFundRecord":
            expected[e["spot_market_index"], "spot_vault"] -= e["amount"]
            expected[e["spot_market_index"], "insurance_fund_vault"] += e["amount"]
        elif name == "InsuranceFundStakeRecord" and e["action"] in ("Stake", "Unstake"):
            sign = 1 if e["action"] == "Stake" else -1
            expected[e["market_index"], "insurance_fund_vault"] += sign * e["amount"]
    if isinstance(ix, ResolvePerpBankruptcy | ResolveSpotBankruptcy | MigrateToVelocity):
        # insurance pays these without an event of its own
        return
    told = {(change.market_index, change.vault): change.amount for change in step.receipt.vaults}
    if machine.store.config.objects[0].revenue_receivable and step.receipt.refusal is None:
        # what was booked to a fund is paid when withdrawals are not paused: only the sum of both vaults follows
        for index in range(len(machine.store.spot_markets.objects)):
            moved = [sum(amounts.get((index, vault), 0) for vault in VAULTS) for amounts in (told, expected)]
            assert moved[0] == moved[1], index
        return
    assert told == {at: amount for at, amount in expected.items() if amount}
    for index, vault in enumerate(machine.store.vaults.objects):
        was = old.vaults[index] if index < len(old.vaults) else Vaults()
        assert vault.spot_vault - was.spot_vault == expected[index, "spot_vault"]
        assert vault.insurance_fund_vault - was.insurance_fund_vault == expected[index, "insurance_fund_vault"]


def vaults_cover_each_single_claim(old: Before, step: Step, machine: Machine) -> None:
    """If everybody repaid what he owes and then everybody and every pool took his tokens, each vault would suffice, but
    for what rounded repayments took from it."""
    store = machine.store
    markets = store.spot_markets.objects
    need: Counter[int] = Counter()
    for row in range(store.users.count):
        user = store.users.read(row)
        for i in range(POSITIONS):
            position = user.spot_positions[i]
            if position.scaled_balance:
                need[position.market_index] += signed_token_amount(position, markets[position.market_index])
            isolated = user.perp_positions[i].isolated_position_scaled_balance
            if isolated:
                need[0] += get_token_amount(isolated, markets[0], DEPOSIT)
    quote = markets[0] if markets else SpotMarket()
    for index, market in enumerate(markets):
        for pool in (market.revenue_pool, market.protocol_fee_pool):
            need[index] += get_token_amount(pool.scaled_balance, market, DEPOSIT)
        need[index] += get_token_amount(market.insurance_fund_revenue_receivable_scaled, market, DEPOSIT)
        need[0] += get_token_amount(market.spot_fee_pool.scaled_balance, quote, DEPOSIT)
    for perp in store.perp_markets.objects:
        for pool in (perp.pnl_pool, perp.amm.fee_pool, perp.protocol_fee_pool):
            need[0] += get_token_amount(pool.scaled_balance, quote, DEPOSIT)
    for index, left in enumerate(surplus(store)):
        assert store.vaults.objects[index].spot_vault >= need[index] + min(0, left), index


def dust_shrinks_only_by_roundings(old: Before, step: Step, machine: Machine) -> None:
    """What a vault holds beyond its claims grows or stays, but for the program's own roundings of one scaled unit each:
    a repayment takes one too much off a debt, what is taken out of a vault may be booked one too little (revenue, and
    a debt worth less than one), and interest accrues on rounded totals. (A spot bankruptcy without deposits may take
    from it too.)"""
    if isinstance(step.instruction, ResolveSpotBankruptcy):
        return
    for index, left in enumerate(surplus(machine.store)):
        was = old.surplus[index] if index < len(old.surplus) else 0
        if left < was:
            market = machine.store.spot_markets.objects[index]
            unit = market.cumulative_borrow_interest // 10 ** (19 - market.decimals) + 1
            repaid = sum(_repaid(change, index) for change in step.changes if change.table.name == "users")
            taken = any(c.market_index == index and c.amount < 0 for c in step.receipt.vaults)
            events = [e for name, e in step.receipt.events if name == "SpotInterestRecord"]
            accrued = any(e["market_index"] == index for e in events)
            if isinstance(step.instruction, UpdatePerpMarketPnlPool):
                # it is what the surplus is credited with by hand
                was -= step.instruction.amount
            assert was - left <= repaid * (unit + 1) + taken * unit + 2 * accrued, (index, was, left)


def _repaid(change: Change, market_index: int) -> bool:
    """Whether an account's debt in a market became smaller."""
    if change.before is None:
        return False
    debts = [
        sum(
            p.scaled_balance for p in user.spot_positions if p.market_index == market_index and p.balance_type == BORROW
        )
        for user in (User.unpack(change.before), change.after)
    ]
    return debts[1] < debts[0]


def interest_only_grows(old: Before, step: Step, machine: Machine) -> None:
    """Both interest indices of every market never fall, but that a spot bankruptcy may lower the deposits'."""
    for was, now in zip(old.spot_markets, machine.store.spot_markets.objects, strict=False):
        if not isinstance(step.instruction, ResolveSpotBankruptcy):
            assert now.cumulative_deposit_interest >= was.cumulative_deposit_interest
        assert now.cumulative_borrow_interest >= was.cumulative_borrow_interest


def totals_fit_their_counters(old: Before, step: Step, machine: Machine) -> None:
    """Revenue drawn or sent in a period stays within the period's cap, and drawn insurance within its own."""
    for market in machine.store.perp_markets.objects:
        claim = market.insurance_claim
        assert abs(claim.revenue_withdraw_since_last_settle) <= claim.max_revenue_withdraw_per_period
        assert claim.quote_settled_insurance <= claim.quote_max_insurance


# --- the insurance fund ------------------------------------------------------------------------------------------


def insurance_factors_and_shares_are_ordered(old: Before, step: Step, machine: Machine) -> None:
    """The stakers' part of interest is at most all of the fund's, and their shares at most all shares."""
    for market in machine.store.spot_markets.objects:
        fund = market.insurance_fund
        assert fund.user_factor <= fund.total_factor
        assert fund.user_shares <= fund.total_shares


LOSSES = (ResolvePerpBankruptcy, ResolveSpotBankruptcy, ResolvePerpPnlDeficit, ResolveWithAssociatedSpot)
"""What insurance pays for."""


def a_share_never_gets_cheaper(old: Before, step: Step, machine: Machine) -> None:
    """The tokens behind one insurance share never get fewer: who joins, leaves, cancels, or settles revenue takes
    nothing from the others. Only losses do: bankruptcies and deficits. (A fund without shares or tokens has no price.)
    """
    if isinstance(step.instruction, LOSSES):
        return
    for index, was in enumerate(old.spot_markets):
        fund, now = was.insurance_fund, machine.store.spot_markets.objects[index].insurance_fund
        held, holds = old.vaults[index].insurance_fund_vault, machine.store.vaults.objects[index].insurance_fund_vault
        if fund.total_shares and held and now.total_shares:
            rebased = now.total_shares * 10 ** (now.shares_base - fund.shares_base)
            assert holds * fund.total_shares >= held * rebased, index


# --- perp markets ------------------------------------------------------------------------------------------------


def gains_are_paid_from_pools(old: Before, step: Step, machine: Machine) -> None:
    """What a step pays to winners of a market was in that market's P&L pool before it, or spilled into it from its fee
    pool, or another loser of the same market paid it in with this step. (Of two settlements in one step the second may
    also be paid of what the first drew from the revenue pool, under Velocity each where the venue draws for P&L.)"""
    if step.receipt.refusal is not None:
        return
    paid: Counter[int] = Counter()
    for name, event in step.receipt.events:
        if name == "SettlePnlRecord":
            paid[event["market_index"]] += event["pnl"]
    for index, amount in paid.items():
        quote = machine.store.spot_markets.objects[0]
        market = old.perp_markets[index]
        held = market.pnl_pool.scaled_balance + market.amm.fee_pool.scaled_balance
        twice = isinstance(step.instruction, SettleMultiplePnls) and step.instruction.market_indexes.count(index) > 1
        if twice or machine.store.config.objects[0].revenue_pool_draw_for_pnl:
            held += old.spot_markets[0].revenue_pool.scaled_balance
        assert amount <= get_token_amount(held, quote, DEPOSIT)


WITHDRAWALS = (Withdraw, TransferDeposit, Swap, WithdrawFromIsolatedPerpPosition)
"""What may take collateral out of an account."""


def withdrawals_leave_a_safe_account(old: Before, step: Step, machine: Machine) -> None:
    """After a withdrawal, a transfer or a swap the account still meets strict Initial margin, measured anew."""
    ix = step.instruction
    if step.receipt.refusal is not None or not isinstance(ix, WITHDRAWALS):
        return
    user = ix.from_user if isinstance(ix, TransferDeposit) else ix.user
    if isinstance(ix, Withdraw) and machine.store.state.objects[0].rulebook != RULEBOOK_DRIFT:
        # Velocity judges by the averages before the withdrawal, which moves them
        index = ix.market_index
        moved = machine.store.spot_markets.objects[index].historical_oracle_data
        if old.spot_markets[index].historical_oracle_data.pack() != moved.pack():
            return
    found = margin(machine.store, step.receipt.clock, user)
    assert found.withdraw.met
    assert all(position.withdraw.met for position in found.isolated)


BOOK_LEAKS = {
    "resolve_perp_bankruptcy": "the debt is forgiven, and who bears it pays through funding or not at all",
    "update_perp_market_amm_summary_stats": "sets the earnings by the oracle price, not by the curve",
    "settle_multiple_pnls": "in TrySettle mode the pool may pay a claim that the position keeps",
    "capped funding": "what the AMM cannot pay its users of the funding is still noted as owed to them",
    "fixed price": "a fill at an order's own price is booked against the AMM's quote: the spread is nobody's",
    "lower k": "what a refresh saves by a lower k is spent on the peg and booked nowhere",
}
"""Where the program itself lets an AMM's books drift from its pools, and why."""


def books_of(market: PerpMarket, quote: SpotMarket) -> int:
    """What both pools of a market hold, less what its users would take if they all closed along the AMM's curve, less
    what the AMM is booked to have earned of trading and of liquidations (quote 1e6)."""
    amm = market.amm
    pools = sum(get_token_amount(p.scaled_balance, quote, DEPOSIT) for p in (market.pnl_pool, amm.fee_pool))
    owed = amm.quote_asset_amount + amm.net_unsettled_funding_pnl + books_exit_value(market)
    return pools - owed - amm.total_fee_minus_distributions - amm.total_liquidation_fee


def books_exit_value(market: PerpMarket) -> int:
    """What users' net position is worth along the AMM's curve (quote 1e6)."""
    amm = market.amm
    return (amm.quote_asset_reserve - amm.terminal_quote_asset_reserve) * amm.peg_multiplier // 10**9


def amms_books_follow_their_pools(old: Before, step: Step, machine: Machine) -> None:
    """What an AMM is booked to have earned moves as its pools do, less what users would take if they closed along its
    curve: fills, fees, rebates, funding, pegs, k, settlements and sweeps keep the two together to a few units. The
    program's exceptions are ``BOOK_LEAKS``; a market that has an expiry price follows its curve no more."""
    if step.instruction.ix in BOOK_LEAKS:
        return
    for index, was in enumerate(old.perp_markets):
        quote = machine.store.spot_markets.objects[0]
        market = machine.store.perp_markets.objects[index]
        if market is was or market.expiry_price != 0:
            continue
        events = [(name, e) for name, e in step.receipt.events if e.get("market_index") == index]
        least = sum(unpaid_funding(e, market) for name, e in events if name == "FundingRateRecord")
        fills = [e for name, e in events if name == "OrderActionRecord" and e["action"] == "Fill"]
        at_fixed_price = [e for e in fills if e["taker"] is None or e["action_explanation"] == "OrderFilledWithAMMJit"]
        units = 3 + 3 * len(fills)
        drift = books_of(market, quote) - books_of(was, quote)
        assert drift >= least - units, (index, drift)
        if not at_fixed_price and market.amm.sqrt_k >= was.amm.sqrt_k:
            assert drift <= least + units, (index, drift)


def unpaid_funding(event: dict[str, Any], market: PerpMarket) -> int:
    """What a capped funding update leaves unpaid of what it notes as owed to users (quote 1e6, ≤ 0)."""
    if event["funding_rate_long"] == event["funding_rate_short"]:
        return 0
    amm = market.amm
    whole = event["funding_rate"] * amm.base_asset_amount_with_amm
    paid = event["funding_rate_long"] * amm.base_asset_amount_long
    paid += event["funding_rate_short"] * amm.base_asset_amount_short
    return -((paid - whole) // 10**12)


INVARIANTS: tuple[Callable[[Before, Step, Machine], None], ...] = (
    a_refusal_changes_nothing,
    effects_tell_of_every_change,
    rows_and_objects_agree,
    receipts_survive_the_wire,
    only_those_named_change,
    tokens_come_and_go_by_name,
    vaults_cover_each_single_claim,
    vaults_move_as_told,
    dust_shrinks_only_by_roundings,
    interest_only_grows,
    totals_fit_their_counters,
    insurance_factors_and_shares_are_ordered,
    a_share_never_gets_cheaper,
    gains_are_paid_from_pools,
    withdrawals_leave_a_safe_account,
)


def check_step(old: Before, step: Step, machine: Machine) -> None:
    """Run every check on one step, with those of the rulebook that the venue has after it."""
    for invariant in INVARIANTS:
        invariant(old, step, machine)
    if machine.store.state.objects[0].rulebook == RULEBOOK_DRIFT:
        amms_books_follow_their_pools(old, step, machine)
        return
    from support.velocity_invariants import VELOCITY_INVARIANTS

    for invariant in VELOCITY_INVARIANTS:
        invariant(old, step, machine)


def is_over(market: PerpMarket) -> bool:
    """Whether a perp market has stopped following its curve."""
    return market.status in (STATUS_SETTLEMENT, STATUS_DELISTED)
