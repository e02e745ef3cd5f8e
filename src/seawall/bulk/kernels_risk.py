"""The risk sweep: which of all accounts can be liquidated now, at the stored state, in either lane.

What ``leave_or_refuse`` asks at the door of every liquidation, asked of everybody: Maintenance margin, not strict, with
the liquidation buffer. Velocity asks it of every scope of an account. Nothing of an account, a market or the state is
changed. Source: liquidation.md §2, §3; velocity/liquidation.md §2, §5.
"""

from dataclasses import dataclass, field, replace
from typing import Final

from seawall.bulk.batch import Refusal, Tables, run
from seawall.bulk.kernels import Outcome
from seawall.bulk.loops import attempt, loop, restore, unfit
from seawall.errors import ErrorCode, SettlementError
from seawall.records import Record, i8, i128, record, u128
from seawall.rules.common.margin import can_exit_liquidation
from seawall.rules.common.settlement import validate_user_open
from seawall.rules.common.user_status import is_bankrupt, is_being_liquidated
from seawall.rules.drift.liquidation import calculate_liquidation_margin
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.margin import calculate_liquidation_margin as calculate_margin_by_scope
from seawall.rules.velocity.margin import can_exit_liquidation as scope_can_exit_liquidation
from seawall.rules.velocity.margin import meets_margin_requirement, scope_figures
from seawall.rules.velocity.user_status import is_scope_bankrupt, is_scope_being_liquidated
from seawall.state.enums import ORACLE_UNKNOWN, RULEBOOK_VELOCITY
from seawall.state.exchange import State
from seawall.state.facts import MarginCalculation
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import POSITIONS, User


@record
class Verdict(Record):
    """Whether an account can be liquidated, and its margin (quote 1e6). All 0 where it could not be judged.

    Velocity: the figures are those of the scope ``row`` (−1 cross margin): the first that can be liquidated, cross
    margin where none can.
    """

    liquidatable: bool
    row: i8
    total_collateral: i128
    margin_requirement: u128
    margin_requirement_plus_buffer: u128


@loop
def validate_user_can_be_judged(user: User) -> None:
    """``UserNotFound`` for an account that was deleted; ``UserBankrupt`` for one that only a bankruptcy resolves."""
    validate_user_open(user)
    if is_bankrupt(user):
        raise SettlementError(ErrorCode.UserBankrupt)


@loop
def judge(user: User, calculation: MarginCalculation, verdict: Verdict) -> None:
    """Write down the margin and what follows: an account in liquidation needs the buffer too to leave it."""
    verdict.total_collateral = calculation.total_collateral
    verdict.margin_requirement = calculation.margin_requirement
    verdict.margin_requirement_plus_buffer = calculation.margin_requirement_plus_buffer
    if is_being_liquidated(user):
        verdict.liquidatable = not can_exit_liquidation(calculation)
    else:
        verdict.liquidatable = calculation.total_collateral < calculation.margin_requirement


@loop
def is_scope_liquidatable(user: User, calculation: MarginCalculation, row: int) -> bool:
    """Whether a scope can be liquidated; one that is bankrupt only a bankruptcy resolves."""
    if is_scope_bankrupt(user, row):
        return False
    if is_scope_being_liquidated(user, row):
        return not scope_can_exit_liquidation(calculation, row)
    return not meets_margin_requirement(calculation, row)


@loop
def judge_scopes(user: User, calculation: MarginCalculation, verdict: Verdict) -> None:
    """As ``judge``, of every scope: the verdict is that of the first that can be liquidated, else cross margin's."""
    verdict.row = CROSS
    for row in range(CROSS, POSITIONS):
        if not verdict.liquidatable and is_scope_liquidatable(user, calculation, row):
            verdict.liquidatable = True
            verdict.row = row
    collateral, _, requirement, with_buffer = scope_figures(calculation, verdict.row)
    verdict.total_collateral = collateral
    verdict.margin_requirement = requirement
    verdict.margin_requirement_plus_buffer = with_buffer


@loop
def mark_liquidatable(
    users: list[User],
    outcomes: list[Outcome],
    after_verdicts: list[Verdict],
    first: int,
    end: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
    blank: list[Verdict],
) -> int:
    """Judge users ``first`` to ``end`` − 1; an account that cannot be judged is refused and its verdict left at 0."""
    for i in range(first, end):
        # every account is judged as if by an instruction of its own, which judges each oracle anew
        for j in range(len(oracles)):
            oracles[j].validity = ORACLE_UNKNOWN
        if state.rulebook == RULEBOOK_VELOCITY:
            error = attempt(validate_user_open, users[i])
            if error == 0:
                error = attempt(
                    calculate_margin_by_scope, users[i], spot_markets, perp_markets, oracles, state, calculation
                )
            if error == 0:
                error = attempt(judge_scopes, users[i], calculation, after_verdicts[i])
        else:
            error = attempt(validate_user_can_be_judged, users[i])
            if error == 0:
                error = attempt(
                    calculate_liquidation_margin, users[i], spot_markets, perp_markets, oracles, state, calculation
                )
            if error == 0:
                error = attempt(judge, users[i], calculation, after_verdicts[i])
        if error == 0:
            error = unfit(after_verdicts[i])
            if error != 0:
                restore(after_verdicts[i], blank, 0)
        if error < 0:
            return i
        outcomes[i].error = error
    return end


# --- from Python -------------------------------------------------------------------------------------------------


@dataclass
class Sweep:
    """Who can be liquidated, by number among the users; who could not be judged, and why; all verdicts as rows."""

    liquidatable: list[int] = field(default_factory=list)
    refusals: list[Refusal] = field(default_factory=list)
    verdicts: list[bytearray] = field(default_factory=list)
    """A segment's rows of ``Verdict``."""
    handed_over: int = 0
    """Accounts that did not fit compiled code and were judged in the exact lane."""


_VERDICT: Final = Verdict.LAYOUT.size
assert Verdict.LAYOUT.fields[0].name == "liquidatable"


def sweep(tables: Tables, *, compiled: bool) -> Sweep:
    """Judge all users of all segments; their rows and the markets' stay as they are, the oracles get their class."""
    result = Sweep()
    first = 0
    for segment in tables.users:
        count = len(segment) // User.LAYOUT.size
        verdicts = bytearray(count * _VERDICT)
        done = run(
            mark_liquidatable, replace(tables, users=[segment]), compiled=compiled, after={"after_verdicts": verdicts}
        )
        marks = bytes(verdicts[::_VERDICT])
        at = marks.find(1)
        while at >= 0:
            result.liquidatable.append(first + at)
            at = marks.find(1, at + 1)
        result.refusals += [refusal._replace(user=first + refusal.user) for refusal in done.refusals]
        result.verdicts.append(verdicts)
        result.handed_over += done.handed_over
        first += count
    return result
