"""Is every token accounted for? Checks of a whole state, and of a whole history.

The state: every total that a market keeps is compared with the sum over the users and pools that it is the total of,
and every vault with the claims on it. The history: every receipt's transfers must sum to the change of its vault, and
all dust ever booked must be the surplus that lies in the vault now. Dust comes from rounding, within a bound that
follows from the state; the few rules of the program that leave more behind are named in ``LEAKS``.
"""

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import Final, NamedTuple

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, pow10
from seawall.engine.conservation import USERS, Totals, totals
from seawall.engine.receipts import Receipt
from seawall.engine.store import Store
from seawall.keys import key_to_text
from seawall.state.enums import BORROW
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User

LEAKS: Final = {
    "resolve_perp_bankruptcy": "what the fee pool pays for a bankrupt account is credited to nobody",
    "resolve_spot_bankruptcy": "without any deposit the surplus bears what insurance does not pay",
    "settle_multiple_pnls": "in TrySettle mode a market that is not settled keeps the pool transfers made for it",
    "deposit_into_spot_market_vault": "the deposit index is raised in coarser steps than its own; the rest is nobody's",
    "update_perp_market_pnl_pool": "tokens of the vault's surplus are credited to a P&L pool by hand",
}
"""Instructions that may leave more than rounding in a vault, or take it from its surplus, and why."""

ROUNDED_REPAYMENTS: Final = (
    "repaying a part of a debt takes one scaled unit more off it than was paid, and deposits are not held against the "
    "vault; withdrawals wait until interest has made up for it"
)
"""Why roundings may leave a vault a few units short of its claims, as the program itself does (balances.md §3, §8)."""

FLIPPED_DUST: Final = (
    "a deposit too small for one token became a borrow; the market's total of deposits keeps it, the borrower owes it"
)
"""The one deviation of totals that the program itself makes (balances.md §3)."""


class SpotSum(NamedTuple):
    """What a spot market's claims amount to: scaled deposits and borrows of users and pools, staked shares."""

    deposits: int
    borrows: int


@dataclass
class PerpSums:
    """Sums over the positions in one perp market, named as the AMM names its totals."""

    base_asset_amount_long: int = 0
    base_asset_amount_short: int = 0
    quote_asset_amount: int = 0
    quote_entry_amount_long: int = 0
    quote_entry_amount_short: int = 0
    quote_break_even_amount_long: int = 0
    quote_break_even_amount_short: int = 0
    number_of_users_with_base: int = 0
    number_of_users: int = 0


@dataclass
class Conservation:
    """What a check found. ``findings`` is empty where everything is accounted for."""

    findings: list[str] = field(default_factory=list)
    surplus: list[int] = field(default_factory=list)
    """Tokens in each spot market's vault beyond all claims: the dust."""
    flipped_dust: list[int] = field(default_factory=list)
    """Scaled balance (1e9) in each spot market that ``FLIPPED_DUST`` explains."""
    named: list[str] = field(default_factory=list)
    """Vaults that are short of their claims for the reason ``ROUNDED_REPAYMENTS``, as the history shows."""

    @property
    def ok(self) -> bool:
        """Whether everything is accounted for."""
        return not self.findings


# --- the state -------------------------------------------------------------------------------------------------


def check_state(store: Store, history: "History | None" = None) -> Conservation:
    """Compare every total with its parts and every vault with its claims. Reads every user account once.

    A vault that is short is a finding, unless the ``history`` of the same venue shows that roundings took it.
    """
    found = Conservation()
    deposits: Counter[int] = Counter()
    borrows: Counter[int] = Counter()
    perps: defaultdict[int, PerpSums] = defaultdict(PerpSums)
    for index in range(store.users.count):
        _add_user(store.users.read(index), deposits, borrows, perps)
    _add_pools(store, deposits)
    for index, market in enumerate(store.spot_markets.objects):
        sums = SpotSum(deposits.pop(index, 0), borrows.pop(index, 0))
        _check_spot_market(index, market, sums, store, found)
        _check_vault(index, market, store.vaults.objects[index].spot_vault, history, found)
    for index, perp_market in enumerate(store.perp_markets.objects):
        _check_perp_market(index, perp_market, perps.pop(index, PerpSums()), found)
    for index in sorted(k for k in deposits.keys() | borrows.keys() if deposits[k] or borrows[k]):
        found.findings.append(f"there are balances in spot market {index}, which does not exist")
    for index in sorted(perps):
        found.findings.append(f"there are positions in perp market {index}, which does not exist")
    _check_shares(store, found)
    return found


def _add_user(user: User, deposits: "Counter[int]", borrows: "Counter[int]", perps: defaultdict[int, PerpSums]) -> None:
    for i in range(POSITIONS):
        spot = user.spot_positions[i]
        if spot.scaled_balance:
            (borrows if spot.balance_type == BORROW else deposits)[spot.market_index] += spot.scaled_balance
        perp = user.perp_positions[i]
        deposits[QUOTE_SPOT_MARKET_INDEX] += perp.isolated_position_scaled_balance
        base, quote = perp.base_asset_amount, perp.quote_asset_amount
        if base == 0 and quote == 0:
            continue
        sums = perps[perp.market_index]
        sums.number_of_users += 1
        sums.quote_asset_amount += quote
        if base > 0:
            sums.number_of_users_with_base += 1
            sums.base_asset_amount_long += base
            sums.quote_entry_amount_long += perp.quote_entry_amount
            sums.quote_break_even_amount_long += perp.quote_break_even_amount
        elif base < 0:
            sums.number_of_users_with_base += 1
            sums.base_asset_amount_short += base
            sums.quote_entry_amount_short += perp.quote_entry_amount
            sums.quote_break_even_amount_short += perp.quote_break_even_amount


def _add_pools(store: Store, deposits: "Counter[int]") -> None:
    for index, market in enumerate(store.spot_markets.objects):
        deposits[index] += market.revenue_pool.scaled_balance + market.protocol_fee_pool.scaled_balance
        deposits[index] += market.insurance_fund_revenue_receivable_scaled
        # spot fees are taken in the quote token, whatever market they come from
        deposits[market.spot_fee_pool.market_index] += market.spot_fee_pool.scaled_balance
    for perp_market in store.perp_markets.objects:
        quote = perp_market.quote_spot_market_index
        deposits[quote] += perp_market.pnl_pool.scaled_balance + perp_market.amm.fee_pool.scaled_balance
        deposits[quote] += perp_market.protocol_fee_pool.scaled_balance


def _check_spot_market(index: int, market: SpotMarket, sums: SpotSum, store: Store, found: Conservation) -> None:
    flipped = market.deposit_balance - sums.deposits
    found.flipped_dust.append(flipped)
    # each time it is less than one token; one for every account is more than there ever was
    most = store.users.count * pow10(19 - market.decimals) // max(1, market.cumulative_deposit_interest)
    if not 0 <= flipped <= most or market.borrow_balance - sums.borrows != -flipped:
        found.findings.append(
            f"spot market {index}: deposit_balance is {market.deposit_balance}, its parts sum to {sums.deposits}; "
            f"borrow_balance is {market.borrow_balance}, its parts sum to {sums.borrows}"
        )


def _check_vault(index: int, market: SpotMarket, vault: int, history: "History | None", found: Conservation) -> None:
    state: Totals = totals(market, vault)
    found.surplus.append(state.surplus)
    if state.surplus >= 0:
        return
    if history is not None and history.dust[index].total() <= state.surplus:
        found.named.append(
            f"spot market {index}: the vault is {-state.surplus} tokens short of the claims: {ROUNDED_REPAYMENTS}"
        )
    else:
        found.findings.append(
            f"spot market {index}: the vault holds {vault} tokens, the claims on it are {vault - state.surplus}"
        )


def _check_perp_market(index: int, market: PerpMarket, sums: PerpSums, found: Conservation) -> None:
    amm = market.amm
    for name, total in vars(sums).items():
        kept = getattr(market if name.startswith("number_of") else amm, name)
        if kept != total:
            found.findings.append(f"perp market {index}: {name} is {kept}, its parts sum to {total}")
    net = amm.base_asset_amount_long + amm.base_asset_amount_short
    if amm.base_asset_amount_with_amm != net:
        found.findings.append(
            f"perp market {index}: base_asset_amount_with_amm is {amm.base_asset_amount_with_amm}, "
            f"long and short net {net}"
        )


def _check_shares(store: Store, found: Conservation) -> None:
    """Stakes are kept in their own base until touched; brought to the market's they may each lose one share."""
    staked: Counter[int] = Counter()
    stakes: Counter[int] = Counter()
    for row in range(store.stakes.count):
        stake = store.stakes.read(row)
        if stake.market_index >= len(store.spot_markets.objects):
            # an empty stake outlives a market that was removed
            if stake.if_shares:
                found.findings.append(
                    f"{key_to_text(stake.authority)} has a stake in market {stake.market_index}, which does not exist"
                )
            continue
        fund = store.spot_markets.objects[stake.market_index].insurance_fund
        if stake.if_shares:
            staked[stake.market_index] += stake.if_shares // 10 ** max(0, fund.shares_base - stake.if_base)
            stakes[stake.market_index] += fund.shares_base != stake.if_base
    for index, market in enumerate(store.spot_markets.objects):
        fund = market.insurance_fund
        if fund.user_shares > fund.total_shares:
            found.findings.append(
                f"spot market {index}: user_shares {fund.user_shares} exceed total_shares {fund.total_shares}"
            )
        if not 0 <= fund.user_shares - staked[index] <= stakes[index]:
            found.findings.append(
                f"spot market {index}: user_shares is {fund.user_shares}, the stakes sum to {staked[index]}"
            )


# --- the history -----------------------------------------------------------------------------------------------


@dataclass
class History:
    """All receipts from genesis on, added up."""

    findings: list[str] = field(default_factory=list)
    dust: "defaultdict[int, Counter[str]]" = field(default_factory=lambda: defaultdict(Counter))
    """By spot market and instruction: what its roundings left in the vault (negative: took from the surplus)."""
    leaked: "defaultdict[int, Counter[str]]" = field(default_factory=lambda: defaultdict(Counter))
    """By spot market and instruction: what ``LEAKS`` explains."""
    vaults: "Counter[tuple[int, str]]" = field(default_factory=Counter)
    """By spot market and vault: the sum of its changes."""
    _markets: dict[int, SpotMarket] = field(default_factory=dict)

    def add(self, receipt: Receipt, store: Store) -> None:
        """Account for one receipt; ``store`` is the state right after it."""
        if receipt.refusal is not None:
            return
        moved: Counter[int] = Counter()
        dust: Counter[int] = Counter()
        legs: Counter[int] = Counter()
        for leg in receipt.transfers:
            moved[leg.market_index] += leg.amount
            legs[leg.market_index] += _accounts(receipt) if leg.account == USERS else 1
            if leg.account == "dust":
                dust[leg.market_index] += leg.amount
        for change in receipt.vaults:
            self.vaults[change.market_index, change.vault] += change.amount
            if change.vault == "spot_vault":
                moved[change.market_index] -= change.amount
        for index, difference in moved.items():
            if difference:
                self.findings.append(
                    f"instruction {receipt.sequence} ({receipt.ix}): the transfers in spot market {index} and the "
                    f"change of its vault differ by {difference}"
                )
        for index, amount in dust.items():
            after = store.spot_markets.objects[index]
            bound = rounding_bound(self._markets.get(index, after), after, legs[index])
            self._book_dust(receipt, index, amount, bound)
        self._markets.update(enumerate(store.spot_markets.objects))

    def _book_dust(self, receipt: Receipt, index: int, amount: int, bound: int) -> None:
        named = _named_leak(receipt, index)
        if named:
            self.leaked[index][receipt.ix] += named
            amount -= named
        if abs(amount) <= bound:
            self.dust[index][receipt.ix] += amount
            return
        self.leaked[index][receipt.ix] += amount
        if receipt.ix not in LEAKS or named:
            self.findings.append(
                f"instruction {receipt.sequence} ({receipt.ix}): {amount} tokens of spot market {index} became dust, "
                f"rounding explains {bound} at most"
            )

    def check(self, store: Store) -> list[str]:
        """What was found on the way, and whether all of it adds up to the state at the end."""
        findings = list(self.findings)
        for index, held in enumerate(store.vaults.objects):
            for name in ("spot_vault", "insurance_fund_vault"):
                kept, total = getattr(held, name), self.vaults[index, name]
                if kept != total:
                    findings.append(f"spot market {index}: {name} holds {kept}, its changes sum to {total}")
            surplus = totals(store.spot_markets.objects[index], held.spot_vault).surplus
            booked = self.dust[index].total() + self.leaked[index].total()
            if surplus != booked:
                findings.append(f"spot market {index}: the surplus is {surplus}, the dust booked sums to {booked}")
        return findings


def _accounts(receipt: Receipt) -> int:
    """The accounts of a batch, each of which rounds for itself."""
    return next(int(fields["accounts"]) for _, fields in receipt.events if "accounts" in fields)


def _named_leak(receipt: Receipt, market_index: int) -> int:
    """What a resolved loss left in the vault's surplus (negative: took from it), as its receipt names it."""
    waterfall = receipt.waterfall
    if waterfall is None or waterfall.market_index != market_index:
        return 0
    left = sum(source.paid for source in waterfall.sources if source.paid_to == "dust")
    return left - waterfall.uncovered if waterfall.kind == "spot_bankruptcy" else left


def rounding_bound(before: SpotMarket, after: SpotMarket, legs: int) -> int:
    """Most tokens that the roundings of one instruction can leave behind in a spot market.

    Each leg rounds once or twice, each time by less than a token, or than a scaled unit where that is worth more (a
    gift to the last depositor of a few tokens raises the index beyond all measure). An accrual truncates the deposit
    index, raises the borrow index by up to two units (of 1e-10, on every scaled balance), and knows utilization to 1e-6
    only: so much of the interest, relative to deposits, is not passed on.
    """
    precision = pow10(19 - after.decimals)
    deposit_balance = max(before.deposit_balance, after.deposit_balance)
    borrow_balance = max(before.borrow_balance, after.borrow_balance)
    units = (2 * deposit_balance + 3 * borrow_balance) // precision
    growth = after.cumulative_borrow_interest - before.cumulative_borrow_interest
    not_passed_on = deposit_balance * growth // (precision * 1_000_000)
    index = max(before.cumulative_deposit_interest, after.cumulative_deposit_interest, after.cumulative_borrow_interest)
    return legs * max(2, 1 + index // precision) + 4 + units + not_passed_on
