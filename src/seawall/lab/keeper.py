"""A keeper: it liquidates, lets the liquidator trade away what it took over, and resolves what nobody can pay.

It finds accounts by the margin rules on the venue's tables, not by trial, and sends nothing that ``Venue.dry_run`` says
would be refused or do nothing. What it does comes as batches of requests; each must be applied before the next is
asked for.
"""

from collections.abc import Iterator, Sequence
from typing import Final, NamedTuple

from seawall.engine.machine import Request
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.engine.transaction import Transaction
from seawall.engine.venue import Venue
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction, user_key
from seawall.instructions.deposits import Swap
from seawall.instructions.perp_fills import AmmFill, PlaceAndTakePerpOrder
from seawall.instructions.pnl import SettlePnl
from seawall.instructions.solvency import ResolvePerpPnlDeficit
from seawall.keeper.liquidations import Judge, may_be_bankrupt, next_liquidation, owes, resolutions
from seawall.keys import DEFAULT_KEY
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.margin import calculate_margin, meets_settle_pnl_maintenance_margin_requirement
from seawall.rules.common.perp_positions import calculate_position_pnl, find_perp_position
from seawall.rules.common.spot_margin import signed_token_amount
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.velocity.user_status import is_scope_being_liquidated
from seawall.state.enums import DEPOSIT, MARGIN_MAINTENANCE
from seawall.state.facts import MarginCalculation
from seawall.state.user import User

QUOTE: Final = 0
SWAP_COST: Final = 1_000
"""1e6: what an outside venue keeps of a swap."""

SMALLEST_SWAP: Final = 100_000_000
"""Quote 1e6."""

STEPS: Final = 8
"""Liquidations of one account in one round at most."""

Batches = Iterator[list[Request]]


class Account(NamedTuple):
    """An account as its row had it: the record, whether it needs margin, whether it may have nothing but debts."""

    data: bytes
    user: User
    owes: bool
    may_be_bankrupt: bool


class Accounts:
    """The accounts of a venue by their names; a row is unpacked again only after it has changed."""

    def __init__(self) -> None:
        self._known: dict[str, Account] = {}

    def look(self, store: Store, ref: str) -> Account:
        """The account ``ref`` as it is now."""
        row = store.users.index[user_key(ref)]
        data = store.users.row(row)
        known = self._known.get(ref)
        if known is None or known.data != data:
            user = store.users.read(row)
            known = Account(data, user, owes(user), may_be_bankrupt(user))
            self._known[ref] = known
        return known

    def user(self, store: Store, ref: str) -> User:
        """The account's record, for reading."""
        return self.look(store, ref).user

    def base(self, store: Store, ref: str, market_index: int) -> int:
        """Base (1e9, signed) of a perp position, 0 without one."""
        user = self.user(store, ref)
        index = find_perp_position(user, market_index)
        return 0 if index < 0 else user.perp_positions[index].base_asset_amount

    def pnl(self, store: Store, ref: str, market_index: int) -> int:
        """Unsettled P&L (quote 1e6) of a perp position at the oracle price, 0 without one; funding not counted."""
        user = self.user(store, ref)
        index = find_perp_position(user, market_index)
        if index < 0:
            return 0
        price = store.oracles.objects[store.perp_markets.objects[market_index].amm.oracle_index].price
        return calculate_position_pnl(user.perp_positions[index], price)

    def tokens(self, store: Store, ref: str, market_index: int) -> int:
        """Tokens of a spot balance, negative for a borrow."""
        market = store.spot_markets.objects[market_index]
        user = self.user(store, ref)
        return sum(signed_token_amount(p, market) for p in user.spot_positions if p.market_index == market_index)

    def margin(self, venue: Venue, clock: Clock, ref: str) -> tuple[int, int]:
        """Collateral and maintenance requirement (quote 1e6, no buffer) at the stored interest."""
        tx = Transaction(venue.store, clock, DEFAULT_KEY)
        return _margin(tx, self.user(venue.store, ref))


def _margin(tx: Transaction, user: User) -> tuple[int, int]:
    found = MarginCalculation()
    calculate_margin(user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, MARGIN_MAINTENANCE, False, 0, found)
    return found.total_collateral, found.margin_requirement


class Keeper:
    """Watches the accounts ``watched``; takes over with the first account of ``liquidator`` (a label)."""

    def __init__(self, liquidator: str, watched: Sequence[str], accounts: Accounts) -> None:
        self.signer = liquidator
        self.account = f"{liquidator}/0"
        self.watched = watched
        self.accounts = accounts

    # --- finding ----------------------------------------------------------------------------------------------

    def liquidatable(self, venue: Venue, clock: Clock) -> list[tuple[str, int]]:
        """Scopes in liquidation, or below their maintenance requirement, with their accounts; not the bankrupt ones."""
        judge = Judge(venue.store, clock)
        found = []
        for ref in self.watched:
            account = self.accounts.look(venue.store, ref)
            if account.owes:
                bankrupt = judge.bankrupt_scopes(account.user) if account.may_be_bankrupt else []
                found += [(ref, row) for row in judge.scopes(account.user) if row not in bankrupt]
        return found

    def bankrupt(self, venue: Venue, clock: Clock) -> list[tuple[str, list[int]]]:
        """Accounts of which some scopes have nothing but debts, and those scopes."""
        judge = Judge(venue.store, clock)
        accounts = ((ref, self.accounts.look(venue.store, ref)) for ref in self.watched)
        found = ((ref, judge.bankrupt_scopes(account.user)) for ref, account in accounts if account.may_be_bankrupt)
        return [(ref, rows) for ref, rows in found if rows]

    # --- acting -----------------------------------------------------------------------------------------------

    def liquidations(self, venue: Venue, clock: Clock) -> Batches:
        """Take over what liquidatable accounts have, one step of each at a time: positions, losses, then borrows."""
        left = self.liquidatable(venue, clock)
        for _ in range(STEPS):
            batch, stepped = [], []
            for ref, row in left:
                user = self.accounts.user(venue.store, ref)
                instruction = next_liquidation(venue.store, user, ref, self.account, row)
                if instruction is not None and self._does_something(venue, instruction, clock):
                    batch.append(Request(instruction, self.signer, clock))
                    stepped.append((ref, row))
            if not batch:
                return
            yield batch
            left = [
                (ref, row) for ref, row in stepped
                if is_scope_being_liquidated(self.accounts.user(venue.store, ref), row)
            ]  # fmt: skip

    def trade_away(self, venue: Venue, clock: Clock, market_index: int) -> Batches:
        """Offer the liquidator's position to the AMM, as much as it takes."""
        base = self.accounts.base(venue.store, self.account, market_index)
        if base == 0:
            return
        order = PlaceAndTakePerpOrder(
            user=self.account,
            market_index=market_index,
            direction="Short" if base > 0 else "Long",
            base_asset_amount=abs(base),
            reduce_only=True,
            immediate_or_cancel=True,
            fills=[AmmFill()],
        )
        yield self._if_possible(venue, order, clock)

    def swap_away(self, venue: Venue, clock: Clock, market_index: int) -> Batches:
        """Swap the liquidator's tokens of a market for quote at an outside venue, which takes ``SWAP_COST`` of it."""
        tokens = self.accounts.tokens(venue.store, self.account, market_index)
        market = venue.store.spot_markets.objects[market_index]
        price = venue.store.oracles.objects[market.oracle_index].price
        worth = get_token_value(tokens, market.decimals, price)
        if worth >= SMALLEST_SWAP:
            swap = Swap(
                user=self.account,
                in_market_index=market_index,
                out_market_index=QUOTE,
                amount_in=tokens,
                amount_out=worth - worth * SWAP_COST // 1_000_000,
            )
            yield self._if_possible(venue, swap, clock)

    def resolutions(self, venue: Venue, clock: Clock) -> Batches:
        """Draw on insurance for markets in deficit; clear the debts of bankrupt accounts."""
        for index, market in enumerate(venue.store.perp_markets.objects):
            pool = get_token_amount(market.pnl_pool.scaled_balance, venue.store.spot_markets.objects[QUOTE], DEPOSIT)
            if market.amm.total_fee_minus_distributions < 0 and pool == 0:
                deficit = ResolvePerpPnlDeficit(spot_market_index=QUOTE, perp_market_index=index)
                yield self._if_possible(venue, deficit, clock)
        batch: list[Request] = []
        for ref, rows in self.bankrupt(venue, clock):
            for instruction in resolutions(self.accounts.user(venue.store, ref), ref, self.account, rows):
                batch += self._if_possible(venue, instruction, clock)
        yield batch

    def losers(self, venue: Venue, clock: Clock, refs: Sequence[str], market_index: int) -> list[Request]:
        """Settlements of those accounts of ``refs`` that have a loss and meet what settling it asks for."""
        tx = Transaction(venue.store, clock, DEFAULT_KEY)
        requests = []
        for ref in refs:
            user = self.accounts.user(venue.store, ref)
            if self.accounts.pnl(venue.store, ref, market_index) >= 0 or is_bankrupt(user):
                continue
            if meets_settle_pnl_maintenance_margin_requirement(
                user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state
            ):
                requests += self._if_possible(venue, SettlePnl(user=ref, market_index=market_index), clock)
        return requests

    def winners(
        self, venue: Venue, clock: Clock, people: Sequence[tuple[str, str]], market_index: int
    ) -> list[Request]:
        """Settlements of those of ``people`` (account, label) that have a gain, each signed by its owner.

        They try unless there is nothing to claim, or the price is moving too fast: what the P&L pool cannot pay it
        refuses, and says so.
        """
        requests = []
        for account, label in people:
            if self.accounts.pnl(venue.store, account, market_index) > 0:
                settlement = SettlePnl(user=account, market_index=market_index)
                receipt = venue.dry_run(settlement, label, clock)
                if receipt.refusal is None or receipt.refusal.code == ErrorCode.PnlPoolCantSettleUser:
                    requests.append(Request(settlement, label, clock))
        return requests

    def _if_possible(self, venue: Venue, instruction: Instruction, clock: Clock) -> list[Request]:
        return [Request(instruction, self.signer, clock)] if self._does_something(venue, instruction, clock) else []

    def _does_something(self, venue: Venue, instruction: Instruction, clock: Clock) -> bool:
        receipt = venue.dry_run(instruction, self.signer, clock)
        return receipt.ok and bool(receipt.transfers or receipt.events or receipt.waterfall)
