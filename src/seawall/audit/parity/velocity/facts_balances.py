"""Facts of Velocity: conversions, interest with its carve-outs, balances that move, limits, the vault."""

from seawall.arithmetic import SPOT_CUMULATIVE_INTEREST_PRECISION, U128_MAX
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact, refuses
from seawall.audit.parity.velocity.facts_market import make_spot_market
from seawall.rules.common.balances import (
    check_pool_covers_market,
    deposit_into_pool,
    get_spot_balance,
    get_token_amount,
    withdraw_from_pool,
)
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.rules.common.statistics import on_the_hour_update
from seawall.rules.common.user_balances import update_spot_balances_and_cumulative_deposits, withdraw_within_limits
from seawall.rules.common.vaults import validate_spot_balances, validate_spot_market_vault_amount
from seawall.rules.common.withdraw_limits import (
    NO_LIMIT,
    calculate_max_borrow_token_amount_of_pool,
    calculate_min_deposit_token_amount,
    calculate_token_utilization_limits,
    check_withdraw_limits,
    check_withdraw_limits_of_market,
    get_max_withdraw_for_market_with_token_amount,
    is_small_user,
    max_borrow_by_twap,
    min_deposit_by_twap,
)
from seawall.rules.velocity.deposit_limits import calculate_max_deposit_token_amount
from seawall.rules.velocity.interest import (
    calculate_accumulated_interest,
    calculate_borrow_rate,
    get_interest_token_amount_with_dust,
    split_deposit_interest,
    update_spot_market_cumulative_interest_without_oracle,
)
from seawall.rules.velocity.isolated import update_isolated_balance
from seawall.rules.velocity.pool_transfers import execute_transfer_between_pools
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY, STATUS_ACTIVE
from seawall.state.facts import InterestFacts
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import PerpPosition, SpotPosition, User

_DIRECTIONS = {"deposit": DEPOSIT, "borrow": BORROW}


def _direction(inputs: Inputs) -> int:
    name = inputs.text("direction")
    if name not in _DIRECTIONS:
        raise UnreadableFact(f"no direction: {name!r}")
    return _DIRECTIONS[name]


# --- conversions and rates ---------------------------------------------------------------------------------------


def _conversions(inputs: Inputs) -> Found:
    market, tokens, scaled = make_spot_market(inputs), inputs.number("tokens", 0), inputs.number("scaled", 0)
    return {
        "deposit_scaled": get_spot_balance(tokens, market, DEPOSIT, False),
        "deposit_scaled_round_up": get_spot_balance(tokens, market, DEPOSIT, True),
        "borrow_scaled_round_up": get_spot_balance(tokens, market, BORROW, True),
        "deposit_tokens": get_token_amount(scaled, market, DEPOSIT),
        "borrow_tokens": get_token_amount(scaled, market, BORROW),
    }


def _round_trip(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    scaled = get_spot_balance(inputs.number("token_amount", 0), market, DEPOSIT, False)
    return {"token_amount": get_token_amount(scaled, market, DEPOSIT)}


def _borrow_rate(inputs: Inputs) -> Found:
    return {"borrow_rate": calculate_borrow_rate(make_spot_market(inputs), inputs.number("utilization", 0))}


def _accumulated_interest(inputs: Inputs) -> Found:
    borrow, deposit = calculate_accumulated_interest(make_spot_market(inputs), inputs.number("now", 0))
    return {"borrow_interest": borrow, "deposit_interest": deposit}


def _on_the_hour(inputs: Inputs) -> Found:
    numbers = (inputs.number(name, 0) for name in ("now", "last_update", "period"))
    return {"wait": on_the_hour_update(*numbers)}


# --- accrual with its carve-outs -----------------------------------------------------------------------------------


def _split(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    sums = [0, 0, 0]
    for _ in range(inputs.number("intervals", 1)):
        parts = split_deposit_interest(inputs.number("deposit_interest", 0), market)
        sums = [total + part for total, part in zip(sums, parts, strict=True)]
    return _split_outcome(sums, market)


def _split_outcome(sums: list[int], market: SpotMarket) -> Found:
    lenders, insurance, protocol = sums
    return {
        "lenders": lenders,
        "insurance": insurance,
        "protocol": protocol,
        "carveout_dust": market.revenue_pool.pending_interest_split_dust,
        "insurance_dust": market.protocol_fee_pool.pending_interest_split_dust,
    }


def _split_after_change(inputs: Inputs) -> Found:
    """The factors change between two splits; only the remainder of insurance against the protocol is told of."""
    market = make_spot_market(inputs.nested("first"))
    split_deposit_interest(inputs.nested("first").number("deposit_interest"), market)
    after_first = market.protocol_fee_pool.pending_interest_split_dust
    then = inputs.nested("then")
    market.insurance_fund.if_fee_factor = then.number("if_factor", 0)
    market.protocol_fee_factor = then.number("protocol_factor", 0)
    # each split is a fact of its own: what the first kept back from the lenders is not carried into the second
    market.revenue_pool.pending_interest_split_dust = 0
    lenders, insurance, protocol = split_deposit_interest(then.number("deposit_interest"), market)
    return {
        "insurance_dust_after_first": after_first,
        "lenders": lenders,
        "insurance": insurance,
        "protocol": protocol,
        "insurance_dust_after": market.protocol_fee_pool.pending_interest_split_dust,
    }


def _interest_tokens(inputs: Inputs) -> Found:
    """The first payment above zero tells how long the remainder had to grow."""
    market, pool = make_spot_market(inputs), PoolBalance()
    balance, interest = inputs.number("balance", 0), inputs.number("interest", 0)
    paid = [
        get_interest_token_amount_with_dust(balance, interest, market, pool)
        for _ in range(inputs.number("intervals", 1))
    ]
    return {
        "tokens_paid": sum(paid),
        "dust_end": pool.pending_interest_dust,
        "first_nonzero_payment": next((tokens for tokens in paid if tokens), 0),
        "single_interval_tokens": get_interest_token_amount_with_dust(balance, interest, market, PoolBalance()),
    }


def _accrue_sequence(inputs: Inputs) -> Found:
    """Some facts tell what was borrowed too, and the scaled borrow that it came to."""
    inputs.ignore("borrow_tokens_at_ts0")
    market = make_spot_market(inputs, borrow_balance_after_borrow="borrow_balance")
    times, paused = inputs.numbers("accruals_at"), inputs.numbers("paused_at")
    for number, now in enumerate(times):
        update_spot_market_cumulative_interest_without_oracle(market, now, number in paused, InterestFacts())
    revenue, protocol = market.revenue_pool, market.protocol_fee_pool
    computed = {
        "now": times[-1] if times else 0,
        "revenue_pool_scaled": revenue.scaled_balance,
        "protocol_fee_pool_scaled": protocol.scaled_balance,
        "carveout_dust": revenue.pending_interest_split_dust,
        "insurance_dust": protocol.pending_interest_split_dust,
        "revenue_pool_token_dust": revenue.pending_interest_dust,
        "protocol_fee_pool_token_dust": protocol.pending_interest_dust,
        "deposit_tokens": get_token_amount(market.deposit_balance, market, DEPOSIT),
        "borrow_tokens": get_token_amount(market.borrow_balance, market, BORROW),
        "revenue_pool_tokens": get_token_amount(revenue.scaled_balance, market, DEPOSIT),
        "protocol_fee_pool_tokens": get_token_amount(protocol.scaled_balance, market, DEPOSIT),
    }
    return computed, market


def _token_twap(inputs: Inputs) -> Found:
    """The market and its updates stand in the fact's name: each fact asks for the average after one of them."""
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY,
        decimals=6,
        cumulative_deposit_interest=SPOT_CUMULATIVE_INTEREST_PRECISION,
        cumulative_borrow_interest=SPOT_CUMULATIVE_INTEREST_PRECISION,
        deposit_balance=375_001_000,
        deposit_token_twap=500_000,
    )
    last = inputs.number("now")
    for now in (3_600, 86_400, 172_900):
        if now <= last:
            update_spot_market_cumulative_interest_without_oracle(market, now, False, InterestFacts())
    return market


# --- balances that move ----------------------------------------------------------------------------------------------


class _Claims:
    """The claims of a sequence of moves, all in one market, all deposits to begin with."""

    def __init__(self, inputs: Inputs) -> None:
        self.user = SpotPosition(scaled_balance=inputs.number("user_scaled", 0))
        self.pools = {
            name: PoolBalance(scaled_balance=inputs.number(f"{name}_scaled", 0)) for name in ("pnl_pool", "fee_pool")
        }
        self.isolated = PerpPosition(isolated_position_scaled_balance=inputs.number("isolated_scaled", 0))
        self.market = make_spot_market(
            inputs, other_deposits_scaled="deposit_balance", other_borrows_scaled="borrow_balance"
        )
        self.market.deposit_balance += sum(pool.scaled_balance for pool in self.pools.values())
        self.market.deposit_balance += self.user.scaled_balance + self.isolated.isolated_position_scaled_balance

    def step(self, inputs: Inputs) -> None:
        kind, amount = inputs.text("op"), inputs.number("amount", 0)
        if kind == "move":
            leaving = inputs.number("leaving", 0) != 0
            self.move(inputs.text("claim"), amount, _direction(inputs), leaving, True)
        elif kind == "transfer":
            self.transfer(inputs.text("from"), inputs.text("to"), amount)
        elif kind == "pools":
            to_pnl = inputs.text("direction") == "fee_to_pnl"
            names = ("fee_pool", "pnl_pool") if to_pnl else ("pnl_pool", "fee_pool")
            execute_transfer_between_pools(amount, self.market, *(self.pools[name] for name in names))
        else:
            raise UnreadableFact(f"no step: {kind!r}")

    def move(self, claim: str, amount: int, direction: int, leaving: bool, cumulative: bool) -> None:
        if claim == "user":
            delta = amount if cumulative else 0
            update_spot_balances_and_cumulative_deposits(amount, direction, self.market, self.user, leaving, delta)
        elif claim == "isolated":
            update_isolated_balance(amount, direction, self.market, self.isolated, leaving)
        elif direction == DEPOSIT:
            deposit_into_pool(amount, self.market, self.pools[claim])
        else:
            withdraw_from_pool(amount, self.market, self.pools[claim], leaving)

    def transfer(self, source: str, target: str, amount: int) -> None:
        """A negative amount swaps the two directions, not the two claims."""
        if amount == 0:
            return
        if source != "user" or self.user.balance_type == DEPOSIT:
            check_pool_covers_market(self.market, PoolBalance(scaled_balance=self.scaled(source)))
        directions = (BORROW, DEPOSIT) if amount > 0 else (DEPOSIT, BORROW)
        for claim, direction in zip((source, target), directions, strict=True):
            self.move(claim, abs(amount), direction, False, False)

    def scaled(self, claim: str) -> int:
        if claim == "user":
            return self.user.scaled_balance
        if claim == "isolated":
            return self.isolated.isolated_position_scaled_balance
        return self.pools[claim].scaled_balance


def _moves(inputs: Inputs) -> Found:
    claims = _Claims(inputs)
    for step in inputs.items("steps"):
        claims.step(step)
    return {
        "user_scaled": claims.scaled("user"),
        "user_is_borrow": claims.user.balance_type == BORROW,
        "user_cumulative_deposits": claims.user.cumulative_deposits,
        "pnl_pool_scaled": claims.scaled("pnl_pool"),
        "fee_pool_scaled": claims.scaled("fee_pool"),
        "isolated_scaled": claims.scaled("isolated"),
    }, claims.market


def _withdraw_leaving(inputs: Inputs) -> Found:
    """Without limits of the market's own: a quarter of the average may leave."""
    market = make_spot_market(inputs)
    inputs.ignore("user_is_borrow")
    user = User()
    user.spot_positions[0].scaled_balance = inputs.number("user_scaled")
    allowed = not refuses(lambda: withdraw_within_limits(inputs.number("amount"), market, user))
    return {"user_scaled": user.spot_positions[0].scaled_balance, "allowed": allowed}


def _borrow_rounds_up(inputs: Inputs) -> Found:
    market, position = make_spot_market(inputs), SpotPosition()
    amount = inputs.number("amount")
    update_spot_balances_and_cumulative_deposits(amount, BORROW, market, position, False, amount)
    return {
        "user_scaled": position.scaled_balance,
        "user_is_borrow": position.balance_type == BORROW,
        "borrow_tokens": get_token_amount(position.scaled_balance, market, BORROW),
    }


def _isolated_deposit(inputs: Inputs) -> Found:
    market, position = make_spot_market(inputs), PerpPosition()
    update_isolated_balance(inputs.number("amount"), DEPOSIT, market, position, False)
    return {"isolated_scaled": position.isolated_position_scaled_balance}


# --- limits and the vault ---------------------------------------------------------------------------------------


def _min_deposit(inputs: Inputs) -> Found:
    names = ("deposit_token_twap", "withdraw_guard_threshold", "withdraw_circuit_breaker_bps")
    return {"min_deposit": calculate_min_deposit_token_amount(*(inputs.number(name, 0) for name in names))}


def _max_deposit(inputs: Inputs) -> Found:
    names = ("deposit_token_twap", "deposit_guard_threshold", "max_deposit_bps_per_day")
    amount = calculate_max_deposit_token_amount(*(inputs.number(name, 0) for name in names))
    return {"max_deposit": U128_MAX if amount == NO_LIMIT else amount}


def _max_borrow(inputs: Inputs) -> Found:
    names = ("deposit_tokens", "deposit_token_twap", "borrow_token_twap", "withdraw_guard_threshold")
    numbers = [inputs.number(name, 0) for name in (*names, "max_token_borrows", "pool_id")]
    return {"max_borrow": calculate_max_borrow_token_amount_of_pool(*numbers)}


def _max_withdraw(inputs: Inputs) -> Found:
    market, leaving = make_spot_market(inputs), inputs.number("leaving", 0) != 0
    amount = get_max_withdraw_for_market_with_token_amount(market, inputs.number("token_amount", 0), leaving)
    return {"max_withdraw": amount}


def _vault(inputs: Inputs) -> Found:
    market, vault = make_spot_market(inputs), inputs.number("vault_amount", 0)
    return {"ok": not refuses(lambda: validate_spot_market_vault_amount(market, vault))}


def _spot_balances(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    return {"ok": not refuses(lambda: validate_spot_balances(market))}


def _market_limits(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    return {"ok": not refuses(lambda: check_withdraw_limits_of_market(market))}


def _limits(inputs: Inputs) -> Found:
    """All parts of the limits; a depositor's withdrawal is held to the deposits that must remain only."""
    market, depositor = make_spot_market(inputs), User()
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    borrows = get_token_amount(market.borrow_balance, market, BORROW)
    least, most = calculate_token_utilization_limits(deposits, borrows, market)
    by_twap = market.copy()
    by_twap.deposit_token_twap = deposits
    return {
        "deposit_tokens": deposits,
        "borrow_tokens": borrows,
        "utilization": calculate_spot_market_utilization(market),
        "min_deposit_for_utilization": least,
        "max_borrow_for_utilization": most,
        "min_deposit_for_twap": min_deposit_by_twap(market),
        "max_borrow_for_twap": max_borrow_by_twap(by_twap, deposits),
        "withdraw_allowed_without_user": not refuses(lambda: check_withdraw_limits_of_market(market)),
        "withdraw_allowed_for_a_depositor": not refuses(lambda: check_withdraw_limits(market, depositor, 0)),
    }


def _depositors_market(inputs: Inputs) -> SpotMarket:
    market = make_spot_market(inputs)
    market.status = STATUS_ACTIVE
    market.deposit_balance = get_spot_balance(inputs.number("market_deposit_tokens_before"), market, DEPOSIT, False)
    return market


def _depositor(tokens: int, market: SpotMarket) -> User:
    user = User()
    user.spot_positions[0].scaled_balance = get_spot_balance(tokens, market, DEPOSIT, False)
    user.spot_positions[0].cumulative_deposits = tokens
    return user


def _small_depositor(inputs: Inputs) -> Found:
    market = _depositors_market(inputs)
    amount = inputs.number("withdraw")
    user = _depositor(amount + inputs.number("account_remaining"), market)
    allowed = not refuses(lambda: withdraw_within_limits(amount, market, user))
    return {"allowed": allowed, "eligible": is_small_user(market, user, amount)}


def _small_depositors(inputs: Inputs) -> Found:
    """One after another, each all it has; who is refused leaves the market as it was."""
    market, each = _depositors_market(inputs), inputs.number("withdraw_each")
    paid = 0
    for _ in range(inputs.number("accounts")):
        after, user = market.copy(), _depositor(each, market)
        if not refuses(lambda: withdraw_within_limits(each, after, user)):  # noqa: B023
            market, paid = after, paid + 1
    return {"accounts_paid": paid, "total_paid": paid * each}


ADAPTERS: dict[str, Adapter] = {
    "token_conversions": _conversions,
    "scaled_then_tokens_roundtrip": _round_trip,
    "borrow_rate": _borrow_rate,
    "accumulated_interest": _accumulated_interest,
    "on_the_hour_update": _on_the_hour,
    "split_deposit_interest_repeated": _split,
    "split_after_lowering_factors": _split_after_change,
    "split_after_switching_off": _split_after_change,
    "interest_tokens_with_dust_repeated": _interest_tokens,
    "accrue_sequence": _accrue_sequence,
    "accrue_sequence_small": _accrue_sequence,
    "accrue_sequence_large": _accrue_sequence,
    "deposit_token_twap_sequence": _token_twap,
    "balance_moves_sequence": _moves,
    "withdraw_leaving": _withdraw_leaving,
    "withdraw_leaving_second": _withdraw_leaving,
    "withdraw_leaving_third": _withdraw_leaving,
    "borrow_rounds_up": _borrow_rounds_up,
    "isolated_deposit": _isolated_deposit,
    "min_deposit_by_twap": _min_deposit,
    "max_deposit_by_twap": _max_deposit,
    "max_borrow_by_twap": _max_borrow,
    "max_withdraw_for_market": _max_withdraw,
    "validate_vault_amount": _vault,
    "validate_spot_balances": _spot_balances,
    "check_withdraw_limits_market_only": _market_limits,
    "withdraw_limits_below_optimum": _limits,
    "withdraw_limits_at_edge": _limits,
    "withdraw_limits_above_optimum": _limits,
    "small_depositor_exception_full_exit": _small_depositor,
    "small_depositor_exception_cohort": _small_depositors,
}
