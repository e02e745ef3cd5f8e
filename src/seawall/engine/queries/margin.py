"""What an account's margin is, and how much of a token it could take out now, and what limits that.

Queries read a store at a clock and change nothing. Amounts are tokens of the market or quote (1e6).
"""

from collections.abc import Callable

import msgspec

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, SPOT_WEIGHT_PRECISION, U64_MAX, pow10, sub_checked
from seawall.engine.gates import require_not_paused
from seawall.engine.interest import accrue
from seawall.engine.receipts import Clock, Limit
from seawall.engine.store import Store
from seawall.engine.transaction import Transaction
from seawall.engine.withdrawals import (
    calculate_margin,
    calculate_max_withdrawable_amount,
    markets_of,
    withdraw_from_user,
)
from seawall.errors import ErrorCode, SettlementError
from seawall.keys import DEFAULT_KEY
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.margin import (
    free_collateral,
    strict_prices,
)
from seawall.rules.common.margin_weights import get_asset_weight, get_liability_weight
from seawall.rules.common.spot_margin import signed_token_amount
from seawall.rules.common.spot_positions import (
    find_spot_position,
    force_get_spot_position_index,
    get_spot_position_index,
)
from seawall.rules.common.user_status import is_bankrupt
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.common.withdraw_limits import (
    calculate_token_utilization_limits,
    max_borrow_by_twap,
    min_deposit_by_twap,
)
from seawall.rules.drift.user_balances import charge_withdraw_fee, qualifies_for_withdraw_fee
from seawall.rules.velocity.isolated import get_isolated_token_amount
from seawall.rules.velocity.margin import scope_figures
from seawall.rules.velocity.user_balances import validate_caps_after_withdrawal
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    EXCHANGE_WITHDRAW_PAUSED,
    MARGIN_INITIAL,
    MARGIN_MAINTENANCE,
    ORACLE_UNKNOWN,
    RULEBOOK_VELOCITY,
    STATUS_REDUCE_ONLY,
)
from seawall.state.facts import MarginCalculation
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User


class MarginFigures(msgspec.Struct, frozen=True):
    """One margin calculation, quote 1e6. ``free_collateral`` is never below 0."""

    total_collateral: int
    margin_requirement: int
    free_collateral: int
    num_spot_liabilities: int
    num_perp_liabilities: int
    all_oracles_valid: bool

    @property
    def met(self) -> bool:
        """Whether collateral covers the requirement."""
        return self.total_collateral >= self.margin_requirement


class ScopeFigures(msgspec.Struct, frozen=True):
    """What an isolated position owns and needs by itself, quote 1e6. ``free_collateral`` is never below 0."""

    total_collateral: int
    margin_requirement: int
    free_collateral: int

    @property
    def met(self) -> bool:
        """Whether the position's own collateral covers its requirement."""
        return self.total_collateral >= self.margin_requirement


class IsolatedMargin(msgspec.Struct, frozen=True):
    """The margin of one isolated position; ``collateral`` is its deposit in tokens, without the P&L."""

    perp_market_index: int
    collateral: int
    initial: ScopeFigures
    withdraw: ScopeFigures
    maintenance: ScopeFigures


class Margin(msgspec.Struct, frozen=True):
    """An account's margin: what opens risk (Initial), what withdrawals need (strict Initial), what keeps it safe.

    Under Velocity these are cross margin's figures, and each isolated position has its own beside them.
    """

    user: str
    initial: MarginFigures
    withdraw: MarginFigures
    maintenance: MarginFigures
    isolated: list[IsolatedMargin] = []

    @property
    def safe(self) -> bool:
        """Whether every part of the account meets maintenance."""
        return self.maintenance.met and all(position.maintenance.met for position in self.isolated)


class Withdrawable(msgspec.Struct, frozen=True):
    """The largest withdrawal that is paid in full now, in tokens, and why one token more would not be.

    One token more is refused with the error ``bound_by``. In a market in ReduceOnly it may be cut to the deposit and
    to what margin leaves instead, and ``bound_by`` is ``ReduceOnlyWithdrawIncreasedRisk``.
    """

    user: str
    market_index: int
    amount: int
    bound_by: str
    limits: list[Limit]


def margin(store: Store, clock: Clock, user: str) -> Margin:
    """The margin of an account at the stored interest; ``UserNotFound``, and the calculation's own errors."""
    tx = Transaction(store, clock, DEFAULT_KEY)
    account = tx.user(user)
    initial = _calculation(tx, account, MARGIN_INITIAL, False)
    withdraw = _calculation(tx, account, MARGIN_INITIAL, True)
    maintenance = _calculation(tx, account, MARGIN_MAINTENANCE, False)
    return Margin(
        user=user,
        initial=_cross_figures(initial),
        withdraw=_cross_figures(withdraw),
        maintenance=_cross_figures(maintenance),
        isolated=[
            IsolatedMargin(
                perp_market_index=position.market_index,
                collateral=get_isolated_token_amount(position, tx.spot_market(QUOTE_SPOT_MARKET_INDEX)),
                initial=_scope_figures(initial, row),
                withdraw=_scope_figures(withdraw, row),
                maintenance=_scope_figures(maintenance, row),
            )
            for row, position in enumerate(account.perp_positions)
            if initial.isolated[row].is_isolated
        ],
    )


def withdrawable(store: Store, clock: Clock, user: str, market_index: int) -> Withdrawable:
    """The largest plain withdrawal of an account in a market that is paid now, borrowing included, and what binds.

    ``UserNotFound``, ``SpotMarketNotFound``.
    """
    tx = Transaction(store, clock, DEFAULT_KEY)
    tx.user(user)
    tx.spot_market(market_index)
    trial = Trial(store, clock, user, market_index)
    amount = trial.largest()
    bound_by, limits = trial.refusal(amount + 1)
    return Withdrawable(user, market_index, amount, bound_by, limits)


def _calculation(tx: Transaction, user: User, requirement_type: int, strict: bool) -> MarginCalculation:
    # where money is to leave, Velocity counts no deposit whose price is invalid
    calculation = MarginCalculation(ignore_invalid_deposit_oracles=strict)
    calculate_margin(user, markets_of(tx), requirement_type, strict, calculation)
    return calculation


def _cross_figures(calculation: MarginCalculation) -> MarginFigures:
    return MarginFigures(
        total_collateral=calculation.total_collateral,
        margin_requirement=calculation.margin_requirement,
        free_collateral=free_collateral(calculation),
        num_spot_liabilities=calculation.num_spot_liabilities,
        num_perp_liabilities=calculation.num_perp_liabilities,
        all_oracles_valid=calculation.all_oracles_valid,
    )


def _scope_figures(calculation: MarginCalculation, row: int) -> ScopeFigures:
    collateral, _, requirement, _ = scope_figures(calculation, row)
    return ScopeFigures(collateral, requirement, max(0, collateral - requirement))


def _figures(tx: Transaction, user: User, requirement_type: int, strict: bool) -> MarginFigures:
    return _cross_figures(_calculation(tx, user, requirement_type, strict))


class Trial:
    """Withdrawals tried out on copies: the rules themselves say what passes, nothing is modelled a second time.

    As a ``transfer`` the tokens stay in the vault and no fee is due.
    """

    def __init__(self, store: Store, clock: Clock, user: str, market_index: int, transfer: bool = False) -> None:
        self.tx = tx = Transaction(store, clock, DEFAULT_KEY)
        self.market_index = market_index
        self.market = tx.write_spot_market(market_index)
        self.of_velocity = tx.state.rulebook == RULEBOOK_VELOCITY
        self.unaccrued: ErrorCode | None = None
        unrefreshed = self.market.historical_oracle_data.copy()
        try:
            accrue(tx, market_index, True)
        except SettlementError as error:
            self.unaccrued = error.code
        if self.of_velocity:
            self.market.historical_oracle_data = unrefreshed
        self.user = tx.user(user)
        self.left_by = self.user, self.market
        self.transfer = transfer
        self.vault = U64_MAX if transfer else tx.vaults(market_index).spot_vault
        index = find_spot_position(self.user, market_index)
        self.held = 0 if index < 0 else signed_token_amount(self.user.spot_positions[index], self.market)

    def attempt(self, amount: int) -> None:
        """Carry a withdrawal out on copies, or raise its error; ``left_by`` keeps them as they then are."""
        tx = self.tx
        user, market = self.left_by = self.user.copy(), self.market.copy()
        for oracle in tx.oracles:
            # every trial is an instruction of its own, and each judges the oracles anew
            oracle.validity = ORACLE_UNKNOWN
        markets = list(tx.spot_markets)
        markets[self.market_index] = market
        is_cut = False
        require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
        if is_bankrupt(user):
            raise SettlementError(ErrorCode.UserBankrupt)
        if self.unaccrued is not None:
            raise SettlementError(self.unaccrued)
        if self.of_velocity or not self.transfer:
            force_get_spot_position_index(user, self.market_index)
            if self.market.status == STATUS_REDUCE_ONLY:
                asked, amount = amount, min(amount, self.reduce_only_amount())
                is_cut = amount < asked
        if not self.transfer:
            stats = tx.user_stats(user.authority)
            if not self.of_velocity and qualifies_for_withdraw_fee(user, stats, tx.slot):
                price = tx.spot_oracle(self.market_index).price
                amount = sub_checked(amount, charge_withdraw_fee(market, price, user, stats.copy()))
        of_trial = markets, tx.perp_markets, tx.oracles, tx.state
        withdraw_from_user(amount, self.market_index, user, of_trial, tx.now, tx.slot)
        if amount > self.vault:
            raise SettlementError(ErrorCode.TokenInsufficientFunds)
        if not self.transfer:
            validate_spot_market_vault_amount(market, self.vault - amount)
            if self.of_velocity:
                validate_caps_after_withdrawal(user, market)
        if is_cut:
            raise SettlementError(ErrorCode.ReduceOnlyWithdrawIncreasedRisk)

    def reduce_only_amount(self) -> int:
        """What a market in ReduceOnly pays at most (tokens); ``ReduceOnlyWithdrawIncreasedRisk`` without a deposit."""
        tx, user = self.tx, self.user.copy()
        position = user.spot_positions[force_get_spot_position_index(user, self.market_index)]
        if position.balance_type != DEPOSIT:
            raise SettlementError(ErrorCode.ReduceOnlyWithdrawIncreasedRisk)
        by_margin = calculate_max_withdrawable_amount(user, self.market_index, markets_of(tx))
        return min(by_margin, max(0, self.held))

    def passes(self, amount: int) -> bool:
        """Whether a withdrawal of ``amount`` tokens would be paid in full."""
        try:
            self.attempt(amount)
        except (SettlementError, ZeroDivisionError):
            return False
        return True

    def refusal(self, amount: int) -> tuple[str, list[Limit]]:
        """The error of a withdrawal of ``amount`` tokens and the limits behind it; empty where it passes."""
        try:
            self.attempt(amount)
        except SettlementError as error:
            return error.code.name, self._limits(error.code, amount)
        except ZeroDivisionError:
            return ErrorCode.MathError.name, []
        return "", []

    def largest(self) -> int:
        """The largest withdrawal that passes (tokens); 0 where none does.

        Found by trying: from the estimate in growing steps to a bound, then by halving. A whole deposit is tried
        first, for one token less may leave a remainder that is worth nothing.
        """
        guess = self.estimate()
        if self.held > 0 and self.passes(self.held):
            return largest_passing(self.passes, self.held, guess, U64_MAX)
        return largest_passing(self.passes, 0, guess, self.held - 1 if self.held > 0 else U64_MAX)

    def estimate(self) -> int:
        """What the limits, taken one by one, seem to leave (tokens); 0 where the state does not bear a look."""
        try:
            return max(0, min(self.by_limits(), self.by_margin(), self.vault))
        except (SettlementError, ZeroDivisionError):
            return 0

    def by_limits(self) -> int:
        """Estimate (tokens) of what the withdraw limits leave."""
        market = self.market
        deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
        borrows = get_token_amount(market.borrow_balance, market, BORROW)
        held = max(0, self.held)
        room = deposits - min_deposit_by_twap(market)
        if room < held:
            return room
        deposits -= held
        by_twap = max_borrow_by_twap(market, deposits)
        _, by_utilization = calculate_token_utilization_limits(deposits, borrows, market)
        return held + max(0, min(by_twap, by_utilization, deposits) - borrows)

    def by_margin(self) -> int:
        """Estimate (tokens) of what strict Initial margin leaves, at the weights of the present position."""
        tx, market, held = self.tx, self.market, max(0, self.held)
        free = _figures(tx, self.user, MARGIN_INITIAL, True).free_collateral
        price = tx.spot_oracle(self.market_index).price
        low, high = strict_prices(market, price, True)
        asset_weight = liability_weight = SPOT_WEIGHT_PRECISION
        if self.market_index != QUOTE_SPOT_MARKET_INDEX:
            asset_weight = get_asset_weight(market, held, price, MARGIN_INITIAL)
            liability_weight = get_liability_weight(market, abs(self.held), MARGIN_INITIAL)
        unit = pow10(market.decimals) * SPOT_WEIGHT_PRECISION
        used = held * low * asset_weight // unit
        if used > free:
            return free * unit // (low * asset_weight)
        return held + (free - used) * unit // (high * max(1, liability_weight))

    def _limits(self, code: ErrorCode, amount: int) -> list[Limit]:
        if code == ErrorCode.DailyWithdrawLimit:
            return daily_limits(*self.left_by)
        if code == ErrorCode.InsufficientCollateral:
            try:
                free = _figures(self.tx, self.user, MARGIN_INITIAL, True).free_collateral
            except SettlementError:
                # the account as it stands cannot be judged, though without these tokens it could
                return []
            return [Limit("free_collateral", free, amount, "quote 1e6 above the strict Initial requirement")]
        if code == ErrorCode.SpotMarketInsufficientDeposits:
            return [_unborrowed(self.market, amount)]
        if code == ErrorCode.TokenInsufficientFunds:
            return [Limit("spot_vault", self.vault, amount, "tokens in the vault")]
        return []


def largest_passing(passes: Callable[[int], bool], known: int, guess: int, ceiling: int) -> int:
    """The largest amount from ``known`` (which counts as passing) to ``ceiling`` that passes, found from a guess."""
    low, high = known, ceiling + 1
    probe, step = max(known + 1, min(guess, ceiling)), 1
    while low + 1 < high:
        if passes(probe):
            low = probe
            if high <= ceiling or low + step >= high:
                break
            probe = low + step
        else:
            high = probe
            if low != known or high - step <= low:
                break
            probe = high - step
        step *= 2
    while low + 1 < high:
        middle = (low + high) // 2
        if passes(middle):
            low = middle
        else:
            high = middle
    return low


def daily_limits(user: User, market: SpotMarket) -> list[Limit]:
    """Which withdraw limits an account and a market break, as a withdrawal left them."""
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    borrows = get_token_amount(market.borrow_balance, market, BORROW)
    limits = []
    floor = min_deposit_by_twap(market)
    if deposits < floor:
        note = f"spot market {market.market_index} must keep {floor} tokens of deposits by the day's average"
        limits.append(Limit("deposit_twap_floor", floor, deposits, f"{note}, {deposits} would be left"))
    if user.spot_positions[get_spot_position_index(user, market.market_index)].balance_type == BORROW:
        by_twap = max_borrow_by_twap(market, deposits)
        _, by_utilization = calculate_token_utilization_limits(deposits, borrows, market)
        for name, ceiling, by in (
            ("borrow_twap_ceiling", by_twap, "averages"),
            ("borrow_utilization_ceiling", by_utilization, "utilization"),
        ):
            if borrows > ceiling:
                note = f"of spot market {market.market_index} {ceiling} tokens may be lent out by the day's {by}"
                limits.append(Limit(name, ceiling, borrows, f"{note}, it would be {borrows}"))
    return limits


def _unborrowed(market: SpotMarket, amount: int) -> Limit:
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    borrows = get_token_amount(market.borrow_balance, market, BORROW)
    note = f"of {deposits} tokens deposited {borrows} are lent out"
    return Limit("unborrowed_deposits", min(U64_MAX, max(0, deposits - borrows)), amount, note)
