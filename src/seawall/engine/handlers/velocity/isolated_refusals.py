"""What a refused movement of isolated collateral can say: what is held, the cap, the scope that would be short.

Token amounts are raw tokens of the quote market, quote amounts 1e6. What would pass is found by trying on copies: the
rules themselves say it.
"""

from seawall.arithmetic import U64_MAX
from seawall.engine.gates import is_paused
from seawall.engine.interest import accrue
from seawall.engine.queries.margin import largest_passing
from seawall.engine.receipts import Limit
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.isolated import (
    DepositIntoIsolatedPerpPosition,
    TransferIsolatedPerpPositionDeposit,
    WithdrawFromIsolatedPerpPosition,
)
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.vaults import validate_max_token_deposits, validate_spot_market_vault_amount
from seawall.rules.common.withdraw_limits import calculate_withdraw_bounds
from seawall.rules.velocity.deposit_limits import calculate_max_deposit_token_amount
from seawall.rules.velocity.isolated import CROSS, get_isolated_token_amount, scope_of
from seawall.rules.velocity.isolated_transfers import (
    WHOLE_COLLATERAL,
    deposit_into_isolated_perp_position,
    get_tvl,
    transfer_isolated_perp_position_deposit,
    withdraw_from_isolated_perp_position,
)
from seawall.rules.velocity.margin import calculate_margin, scope_figures
from seawall.state.enums import DEPOSIT, EXCHANGE_FUNDING_PAUSED, MARGIN_INITIAL, MARGIN_MAINTENANCE, ORACLE_UNKNOWN
from seawall.state.facts import InterestFacts, MarginCalculation
from seawall.state.user import POSITIONS, User

Move = DepositIntoIsolatedPerpPosition | TransferIsolatedPerpPositionDeposit | WithdrawFromIsolatedPerpPosition

SIZED = (
    ErrorCode.InsufficientCollateral,
    ErrorCode.DailyWithdrawLimit,
    ErrorCode.DailyDepositLimit,
    ErrorCode.MaxDeposit,
)
"""Refusals of which a smaller amount may be the cure."""


def explain_isolated(tx: Transaction, error: SettlementError, ix: Move, user: User) -> SettlementError:
    """A refused movement with its numbers; ``user`` is the account as it stood when the rule failed."""
    if error.detail:
        return error
    try:
        if error.code == ErrorCode.InvalidPerpPosition:
            return SettlementError(
                error.code,
                f"the account's position in perp market {ix.perp_market_index} is part of its cross margin",
                "the same once that position is closed and settled, or in another perp market",
            )
        if ix.amount == 0:
            return SettlementError(error.code, "the amount is 0", "an amount other than 0")
        if error.code == ErrorCode.MathError and isinstance(ix, TransferIsolatedPerpPositionDeposit):
            return _net_deposits_rose(tx, error, ix)
        if error.code not in SIZED:
            return error
        limit = _limit(tx, error.code, ix, user)
        if limit is None:
            return error
        largest = _Trial(tx, ix).largest()
    except (SettlementError, ArithmeticError):
        # the state may not even bear a look; the meaning of the error still holds
        return error
    tx.limits.append(limit)
    return SettlementError(error.code, limit.note, f"at most {largest} tokens now" if largest else "no amount now")


def _net_deposits_rose(
    tx: Transaction, error: SettlementError, ix: TransferIsolatedPerpPositionDeposit
) -> SettlementError:
    """A transfer whose roundings left more net deposits than there were, where that was it."""
    before = Transaction(tx.store, tx.clock, tx.signer)
    accrue(before, ix.spot_market_index, with_oracle=False)
    had, has = get_tvl(before.spot_market(ix.spot_market_index)), get_tvl(tx.spot_market(ix.spot_market_index))
    if has <= had:
        return error
    return SettlementError(
        error.code,
        f"roundings would raise the deposits less the borrows of spot market {ix.spot_market_index} from {had} to "
        f"{has} tokens, which must not rise",
        "another amount, one that leaves a debt or pays none back",
    )


def _limit(tx: Transaction, code: ErrorCode, ix: Move, user: User) -> Limit | None:
    """The cap that refused, as the state stood at the refusal."""
    market = tx.spot_market(ix.spot_market_index)
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    name = f"spot market {market.market_index}"
    if code == ErrorCode.InsufficientCollateral:
        return _short_of_tokens(tx, ix) or _short_of_margin(tx, ix, user)
    if code == ErrorCode.MaxDeposit:
        cap = market.max_token_deposits
        return Limit("max_token_deposits", cap, deposits, f"{name} may hold {cap} tokens and would hold {deposits}")
    if code == ErrorCode.DailyDepositLimit:
        most = calculate_max_deposit_token_amount(
            market.deposit_token_twap, market.deposit_guard_threshold, market.max_deposit_bps_per_day
        )
        note = f"{name} may grow to {most} tokens of deposits by the day's average and would hold {deposits}"
        return Limit("deposit_twap_ceiling", most, deposits, note)
    _, borrows, floor, ceiling = calculate_withdraw_bounds(market)
    if deposits < floor:
        note = f"{name} must keep {floor} tokens of deposits, {deposits} would be left"
        return Limit("deposit_floor", floor, deposits, note)
    note = f"of {name} {ceiling} tokens may be lent out, {borrows} are"
    return Limit("borrow_ceiling", ceiling, borrows, note)


def _short_of_tokens(tx: Transaction, ix: Move) -> Limit | None:
    """The position's collateral, where more than it was asked for."""
    asked = -ix.amount if isinstance(ix, TransferIsolatedPerpPositionDeposit) else ix.amount
    held = _held(tx, ix)
    if asked <= held or ix.amount == WHOLE_COLLATERAL:
        return None
    note = f"the isolated position in perp market {ix.perp_market_index} holds {held} tokens"
    return Limit("isolated_collateral", held, asked, note)


def _held(tx: Transaction, ix: Move) -> int:
    """Tokens of the position's collateral before the movement, at the interest that it accrued."""
    before = Transaction(tx.store, tx.clock, tx.signer).user(ix.user)
    row = scope_of(before, ix.perp_market_index)
    market = tx.spot_market(ix.spot_market_index)
    return 0 if row == CROSS else get_isolated_token_amount(before.perp_positions[row], market)


def _short_of_margin(tx: Transaction, ix: Move, user: User) -> Limit | None:
    """The scope that would be left short of what it is held to (strict, quote 1e6): the first of them."""
    cross = isolated = MARGIN_INITIAL
    override = -1
    if isinstance(ix, TransferIsolatedPerpPositionDeposit):
        isolated = MARGIN_MAINTENANCE
        if ix.amount < 0:
            cross, override = MARGIN_MAINTENANCE, ix.perp_market_index
    calculation = MarginCalculation(ignore_invalid_deposit_oracles=True)
    calculate_margin(
        user, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, cross, isolated, override, MARGIN_INITIAL, True,
        0, calculation,
    )  # fmt: skip
    for row in range(CROSS, POSITIONS):
        collateral, _, required, _ = scope_figures(calculation, row)
        if collateral < required:
            scope = "cross margin"
            if row != CROSS:
                scope = f"the isolated position in perp market {user.perp_positions[row].market_index}"
            note = (
                f"strict margin of {scope} would ask for {required}, its collateral would be {collateral} (quote 1e6): "
                f"{required - collateral} short"
            )
            return Limit("margin_requirement", collateral, required, note)
    return None


class _Trial:
    """A movement tried out with other amounts, on copies of the state before it."""

    def __init__(self, tx: Transaction, ix: Move) -> None:
        self.ix = ix
        self.tx = fresh = Transaction(tx.store, tx.clock, tx.signer)
        self.user = fresh.user(ix.user)
        self.vault = fresh.vaults(ix.spot_market_index).spot_vault
        self.outward = isinstance(ix, WithdrawFromIsolatedPerpPosition) or ix.amount < 0
        self.ceiling = _held(tx, ix) if self.outward else U64_MAX >> 1

    def largest(self) -> int:
        """The largest amount (tokens) that passes; 0 where none does."""
        return largest_passing(self.passes, 0, min(abs(self.ix.amount), self.ceiling), self.ceiling)

    def passes(self, amount: int) -> bool:
        """Whether a movement of ``amount`` tokens would be carried out."""
        try:
            self.attempt(amount)
        except (SettlementError, ZeroDivisionError):
            return False
        return True

    def attempt(self, amount: int) -> None:
        """Carry it out on copies, or raise its error."""
        tx, ix = self.tx, self.ix
        for oracle in tx.oracles:
            # every trial is an instruction of its own, and each judges the oracles anew
            oracle.validity = ORACLE_UNKNOWN
        markets = list(tx.spot_markets)
        markets[ix.spot_market_index] = market = markets[ix.spot_market_index].copy()
        if isinstance(ix, TransferIsolatedPerpPositionDeposit) and self.outward:
            amount = -amount
        arguments = (
            self.user.copy(), ix.spot_market_index, ix.perp_market_index, amount, markets, tx.perp_markets, tx.oracles,
            tx.state, tx.now, tx.slot, is_paused(tx, EXCHANGE_FUNDING_PAUSED), InterestFacts(),
        )  # fmt: skip
        if isinstance(ix, TransferIsolatedPerpPositionDeposit):
            transfer_isolated_perp_position_deposit(*arguments)
            return
        if isinstance(ix, WithdrawFromIsolatedPerpPosition):
            withdraw_from_isolated_perp_position(*arguments)
            validate_spot_market_vault_amount(market, self.vault - amount)
        else:
            deposit_into_isolated_perp_position(*arguments)
        validate_max_token_deposits(market)
