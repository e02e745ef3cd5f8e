"""Who can be liquidated, what a liquidator can take over next, and how debts that nobody can pay are cleared.

A *scope* is an int ``row``: −1 is cross margin (under Drift the whole account), else the row of an isolated position.
"""

from collections.abc import Iterable, Iterator
from typing import Final

import msgspec

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.bulk.kernels import Outcome
from seawall.bulk.kernels_risk import Verdict, is_scope_liquidatable, mark_liquidatable
from seawall.engine.receipts import Clock
from seawall.engine.store import Store
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction, encode, user_key
from seawall.instructions.liquidation import (
    LiquidateBorrowForPerpPnl,
    LiquidatePerp,
    LiquidatePerpPnlForDeposit,
    LiquidatePerpWithFill,
    LiquidateSpot,
)
from seawall.instructions.perp_fills import AmmFill
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolveSpotBankruptcy
from seawall.keeper.rows import copy_markets, reading
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.perp_positions import is_isolated
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.user_status import is_bankrupt, is_user_bankrupt
from seawall.rules.velocity.bankruptcy_predicates import is_scope_insolvent
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.user_status import is_scope_bankrupt, is_scope_being_liquidated
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.facts import MarginCalculation
from seawall.state.user import POSITIONS, PerpPosition, User

JUDGED: Final = (0, int(ErrorCode.UserBankrupt) + 1, int(ErrorCode.UserNotFound) + 1)
"""Outcomes of a judgement that do not speak of a price: 0, or an error's code plus one."""

# --- judging -----------------------------------------------------------------------------------------------------


def owes(user: User) -> bool:
    """Whether the account has a position, a perp loss or a borrow: without any of them it needs no margin."""
    for position in user.perp_positions:
        if position.base_asset_amount != 0 or position.quote_asset_amount < 0:
            return True
    return any(p.scaled_balance != 0 and p.balance_type == BORROW for p in user.spot_positions)


def may_be_bankrupt(user: User) -> bool:
    """Whether any scope may have nothing but debts: it is latched bankrupt, or owes something that no base explains."""
    for position in user.perp_positions:
        if position.base_asset_amount == 0 and position.quote_asset_amount < 0:
            return True
    return is_bankrupt(user) or any(p.scaled_balance != 0 and p.balance_type == BORROW for p in user.spot_positions)


class Judge:
    """Judges accounts at the stored state, as the door of every liquidation does, each scope by its own margin."""

    def __init__(self, store: Store, clock: Clock) -> None:
        tx = reading(store, clock)
        self._spot_markets, self._perp_markets = tx.spot_markets, tx.perp_markets
        self._oracles, self._state = tx.oracles, tx.state
        self.is_velocity = tx.state.rulebook == RULEBOOK_VELOCITY
        self._calculation = MarginCalculation()
        self.verdict = Verdict()
        """Of the account judged last: the margin of the scope that decided."""
        self.refused = False
        """Whether the account judged last refused to be judged."""

    def scopes(self, user: User) -> list[int]:
        """The scopes that a liquidator may take on: short of their maintenance margin, or in liquidation already.

        A bankrupt scope is not among them, nor any of an account that cannot be judged: its oracle is no good, say.
        """
        self.verdict = Verdict()
        outcome = Outcome()
        mark_liquidatable(
            [user], [outcome], [self.verdict], 0, 1, self._spot_markets, self._perp_markets, self._oracles, self._state,
            self._calculation, [Verdict()],
        )  # fmt: skip
        self.refused = outcome.error not in JUDGED
        if outcome.error:
            return []
        if not self.is_velocity:
            latched = is_scope_being_liquidated(user, CROSS)
            return [CROSS] if latched or self.verdict.liquidatable else []
        return [row for row in range(CROSS, POSITIONS) if self._may_be_taken(user, row)]

    def _may_be_taken(self, user: User, row: int) -> bool:
        if is_scope_being_liquidated(user, row) and not is_scope_bankrupt(user, row):
            return True
        return is_scope_liquidatable(user, self._calculation, row)

    def is_near(self) -> bool:
        """Whether the account judged last has less than a quarter to spare."""
        return self.verdict.total_collateral * 4 < self.verdict.margin_requirement * 5

    def bankrupt_scopes(self, user: User) -> list[int]:
        """The scopes that have nothing but debts, latched as such or not yet."""
        if not self.is_velocity:
            return [CROSS] if is_bankrupt(user) or is_user_bankrupt(user) else []
        return [row for row in range(CROSS, POSITIONS) if self._is_bankrupt(user, row)]

    def _is_bankrupt(self, user: User, row: int) -> bool:
        if row != CROSS and not is_isolated(user.perp_positions[row]):
            return False
        return is_scope_bankrupt(user, row) or is_scope_insolvent(user, row, self._spot_markets)


# --- what to take over -------------------------------------------------------------------------------------------


def next_liquidation(store: Store, user: User, ref: str, liquidator: str, row: int = CROSS) -> Instruction | None:
    """The instruction that takes over a scope's most urgent liability, or None where none matches."""
    return next(liquidations(store, user, ref, liquidator, row), None)


def liquidations(store: Store, user: User, ref: str, liquidator: str, row: int = CROSS) -> Iterator[Instruction]:
    """What takes over liabilities of a scope, the most urgent first.

    Open positions; then losses against the largest deposit (an isolated position's own collateral), profits against
    the largest borrow; then the largest borrow against the largest deposit.
    """
    positions = [p for i, p in enumerate(user.perp_positions) if _is_in_scope(p, i, row)]
    for position in positions:
        if position.base_asset_amount != 0:
            yield LiquidatePerp(
                user=ref,
                liquidator=liquidator,
                market_index=position.market_index,
                liquidator_max_base_asset_amount=abs(position.base_asset_amount),
            )
    if row == CROSS:
        deposit, _ = largest(store, user, DEPOSIT)
        borrow, owed = largest(store, user, BORROW)
    else:
        has_collateral = user.perp_positions[row].isolated_position_scaled_balance != 0
        deposit, borrow, owed = (QUOTE_SPOT_MARKET_INDEX if has_collateral else None), None, 0
    # an open position's gain or loss is not certain yet: nobody may take it over
    for position in (p for p in positions if p.base_asset_amount == 0):
        if position.quote_asset_amount < 0 and deposit is not None:
            yield LiquidatePerpPnlForDeposit(
                user=ref,
                liquidator=liquidator,
                perp_market_index=position.market_index,
                spot_market_index=deposit,
                liquidator_max_pnl_transfer=-position.quote_asset_amount,
            )
        if position.quote_asset_amount > 0 and borrow is not None:
            yield LiquidateBorrowForPerpPnl(
                user=ref,
                liquidator=liquidator,
                perp_market_index=position.market_index,
                spot_market_index=borrow,
                liquidator_max_liability_transfer=owed,
            )
    if deposit is not None and borrow is not None:
        yield LiquidateSpot(
            user=ref,
            liquidator=liquidator,
            asset_market_index=deposit,
            liability_market_index=borrow,
            liquidator_max_liability_transfer=owed,
        )


def closings(user: User, ref: str, liquidator: str, row: int) -> Iterator[Instruction]:
    """Velocity: what closes open positions of a scope against the AMM; it needs no capital of the liquidator's."""
    for i, position in enumerate(user.perp_positions):
        if _is_in_scope(position, i, row) and position.base_asset_amount != 0:
            yield LiquidatePerpWithFill(
                user=ref, liquidator=liquidator, market_index=position.market_index, fills=[AmmFill()]
            )


def _is_in_scope(position: PerpPosition, number: int, row: int) -> bool:
    return number == row if row != CROSS else not is_isolated(position)


def largest(store: Store, user: User, balance_type: int) -> tuple[int | None, int]:
    """The market in which the account's deposit (or borrow) is worth most, and its tokens."""
    best, tokens, worth = None, 0, 0
    for position in user.spot_positions:
        if position.scaled_balance == 0 or position.balance_type != balance_type:
            continue
        market = store.spot_markets.objects[position.market_index]
        held = get_token_amount(position.scaled_balance, market, balance_type)
        value = get_token_value(held, market.decimals, store.oracles.objects[market.oracle_index].price)
        if held > 0 and (best is None or value > worth):
            best, tokens, worth = position.market_index, held, value
    return best, tokens


_HALVED: Final = (
    "liquidator_max_base_asset_amount",
    "liquidator_max_liability_transfer",
    "liquidator_max_pnl_transfer",
)


def smaller(instruction: Instruction) -> Instruction | None:
    """A quarter of a liquidation, for a liquidator who cannot bear all of it; None where there is none."""
    for name in _HALVED:
        amount = getattr(instruction, name, 0)
        if amount >= 4:
            return msgspec.structs.replace(instruction, **{name: amount // 4})
    return None


# --- what nobody can pay -----------------------------------------------------------------------------------------


def resolutions(user: User, ref: str, liquidator: str, rows: list[int]) -> Iterator[Instruction]:
    """What clears the debts of bankrupt scopes: perp debts, then, where cross margin is bankrupt, borrows.

    Velocity refuses the other order.
    """
    for i, position in enumerate(user.perp_positions):
        scope = i if is_isolated(position) else CROSS
        if scope in rows and position.quote_asset_amount < 0:
            yield ResolvePerpBankruptcy(
                user=ref,
                liquidator=liquidator,
                quote_spot_market_index=QUOTE_SPOT_MARKET_INDEX,
                market_index=position.market_index,
            )
    if CROSS not in rows:
        return
    for spot in user.spot_positions:
        if spot.scaled_balance and spot.balance_type == BORROW:
            yield ResolveSpotBankruptcy(user=ref, liquidator=liquidator, market_index=spot.market_index)


# --- asked by a keeper -------------------------------------------------------------------------------------------


class Steps(msgspec.Struct, frozen=True, kw_only=True):
    """What a keeper can do about an account: instructions as canonical JSON, the most urgent first."""

    liquidations: list[str] = []
    resolutions: list[str] = []


class AskSteps(msgspec.Struct, frozen=True, kw_only=True, tag="steps"):
    """What ``liquidator`` can do about the account ``user`` now; nothing where it is sound."""

    user: str
    liquidator: str

    def take(self, store: Store, clock: Clock) -> tuple[Store, User | None]:
        """The markets and the account."""
        row = store.users.index.get(user_key(self.user))
        return copy_markets(store), None if row is None else store.users.read(row)

    def answer(self, taken: tuple[Store, User | None], clock: Clock) -> Steps:
        """Every scope judged, then what can be done about those that are not sound."""
        store, user = taken
        if user is None:
            return Steps()
        judge = Judge(store, clock)
        bankrupt = judge.bankrupt_scopes(user)
        found: list[Instruction] = []
        for row in judge.scopes(user):
            found += liquidations(store, user, self.user, self.liquidator, row)
            if judge.is_velocity:
                found += closings(user, self.user, self.liquidator, row)
        clearing = resolutions(user, self.user, self.liquidator, bankrupt)
        return Steps(liquidations=_texts(found), resolutions=_texts(clearing))


def _texts(instructions: Iterable[Instruction]) -> list[str]:
    return [encode(instruction).decode() for instruction in instructions]
