"""Facts of balances, borrow interest, averages and withdraw limits."""

from seawall.arithmetic import SPOT_CUMULATIVE_INTEREST_PRECISION, log10_floor, proportion
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, refuses
from seawall.rules.common.balances import get_spot_balance, get_token_amount, update_spot_position_balance
from seawall.rules.common.interest import calculate_spot_market_utilization
from seawall.rules.common.statistics import calculate_weighted_average, on_the_hour_update
from seawall.rules.common.user_balances import update_spot_balances_and_cumulative_deposits
from seawall.rules.common.vaults import validate_max_token_deposits_and_borrows
from seawall.rules.common.withdraw_limits import (
    calculate_max_borrow_token_amount,
    calculate_min_deposit_token_amount,
    calculate_token_utilization_limits,
)
from seawall.rules.drift.interest import (
    calculate_accumulated_interest,
    calculate_borrow_rate,
    update_spot_market_cumulative_interest_without_oracle,
)
from seawall.state.enums import BORROW, DEPOSIT, BalanceType
from seawall.state.facts import InterestFacts
from seawall.state.spot_market import SpotMarket
from seawall.state.user import SpotPosition


def make_spot_market(inputs: Inputs, **renamed: str) -> SpotMarket:
    """A spot market from the inputs; what they do not name is 0, the indices 1, the token one of 6 decimals."""
    market = SpotMarket(
        decimals=6,
        cumulative_deposit_interest=SPOT_CUMULATIVE_INTEREST_PRECISION,
        cumulative_borrow_interest=SPOT_CUMULATIVE_INTEREST_PRECISION,
    )
    if "cumulative_interest" in inputs:
        index = inputs.number("cumulative_interest")
        market.cumulative_deposit_interest = market.cumulative_borrow_interest = index
    renamed = {"revenue_pool_scaled_balance": "revenue_pool.scaled_balance", **renamed}
    return inputs.fill(market, "insurance_fund", **renamed)


def _balance_round_trip(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    kind = BalanceType[inputs.text("balance_type")]
    scaled = get_spot_balance(inputs.number("token_amount"), market, kind, inputs.flag("round_up"))
    return {"token_amount": get_token_amount(scaled, market, kind)}


def _update_spot_balances(inputs: Inputs) -> Found:
    """Without a named direction the tokens leave: a withdrawal or a borrow."""
    market = make_spot_market(inputs, market_deposit_balance="deposit_balance", market_borrow_balance="borrow_balance")
    renamed = {"user_balance_type": "balance_type", "user_scaled_balance": "scaled_balance"}
    position = inputs.fill(SpotPosition(), **renamed)
    direction = BalanceType[inputs.text("direction", "Borrow")]
    leaving = inputs.flag("is_leaving_drift", False)
    update_spot_position_balance(inputs.number("token_amount"), direction, market, position, leaving)
    kind = BalanceType(position.balance_type).name
    return {"user_scaled_balance": position.scaled_balance, "user_balance_type": kind}, market


def _cumulative_deposits(inputs: Inputs) -> Found:
    market = make_spot_market(inputs, market_deposit_balance="deposit_balance")
    position = inputs.fill(SpotPosition(), cumulative_deposits_before="cumulative_deposits")
    amount, direction = inputs.number("token_amount"), BalanceType[inputs.text("direction")]
    update_spot_balances_and_cumulative_deposits(amount, direction, market, position, False, amount)
    return position


def _accrual(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    twaps = []
    for now in inputs.numbers("now_sequence") if "now_sequence" in inputs else [inputs.number("now")]:
        update_spot_market_cumulative_interest_without_oracle(market, now, InterestFacts())
        twaps.append(market.deposit_token_twap)
    computed = {
        "deposit_token_twap_after_each": twaps,
        "revenue_pool_scaled_balance": market.revenue_pool.scaled_balance,
        "deposit_tokens": get_token_amount(market.deposit_balance, market, DEPOSIT),
        "borrow_tokens": get_token_amount(market.borrow_balance, market, BORROW),
        "revenue_pool_tokens": get_token_amount(market.revenue_pool.scaled_balance, market, DEPOSIT),
    }
    return computed, market


def _borrow_rate(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    utilization = inputs.number("utilization") if "utilization" in inputs else calculate_spot_market_utilization(market)
    return {"borrow_rate": calculate_borrow_rate(market, utilization)}


def _accumulated_interest(inputs: Inputs) -> Found:
    borrow, deposit = calculate_accumulated_interest(make_spot_market(inputs), inputs.number("now"))
    return {"borrow_interest": borrow, "deposit_interest": deposit}


def _weighted_average(inputs: Inputs) -> Found:
    values = (inputs.number("data1"), inputs.number("data2"), inputs.number("weight1"), inputs.number("weight2"))
    return {"result": calculate_weighted_average(*values)}


def _on_the_hour(inputs: Inputs) -> Found:
    seconds = on_the_hour_update(inputs.number("now"), inputs.number("last_update_ts"), inputs.number("update_period"))
    return {"seconds_until_next": seconds, "time_remaining_until_update": seconds}


def _min_deposit(inputs: Inputs) -> Found:
    twap, guard = inputs.number("deposit_token_twap"), inputs.number("withdraw_guard_threshold")
    return {"min_deposit_token": calculate_min_deposit_token_amount(twap, guard)}


def _max_borrow(inputs: Inputs) -> Found:
    inputs.ignore("max_token_borrows")  # v2.84.0 does not look at the borrow fraction here
    names = ("deposit_token_amount", "deposit_token_twap", "borrow_token_twap", "withdraw_guard_threshold")
    return {"max_borrow_token": calculate_max_borrow_token_amount(*(inputs.number(name) for name in names))}


def _utilization_limits(inputs: Inputs) -> Found:
    inputs.ignore("pool_id")
    market = make_spot_market(inputs)
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    least, most = calculate_token_utilization_limits(deposits, inputs.number("borrow_token_amount"), market)
    return {"min_deposit_token_for_utilization": least, "max_borrow_token_for_utilization": most}


def _limit_components(inputs: Inputs) -> Found:
    """All parts of the limits; the note of the facts says that the deposit TWAP given is the present amount."""
    inputs.ignore("pool_id")
    market = make_spot_market(inputs)
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    borrows = get_token_amount(market.borrow_balance, market, BORROW)
    guard = market.withdraw_guard_threshold
    least, most = calculate_token_utilization_limits(deposits, borrows, market)
    by_twap = calculate_max_borrow_token_amount(deposits, deposits, market.borrow_token_twap, guard)
    return {
        "utilization": calculate_spot_market_utilization(market),
        "deposit_token_amount": deposits,
        "borrow_token_amount": borrows,
        "min_deposit_token_for_utilization": least,
        "min_deposit_token_for_twap": calculate_min_deposit_token_amount(market.deposit_token_twap, guard),
        "max_borrow_token_for_utilization": most,
        "max_borrow_token_for_twap": by_twap,
    }


def _caps(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    return {"ok": not refuses(lambda: validate_max_token_deposits_and_borrows(market))}


def _log10(inputs: Inputs) -> Found:
    return {"result": log10_floor(inputs.number("n"))}


def _proportion(inputs: Inputs) -> Found:
    return {"result": proportion(inputs.number("value"), inputs.number("numerator"), inputs.number("denominator"))}


ADAPTERS: dict[str, Adapter] = {
    "get_spot_balance then get_token_amount": _balance_round_trip,
    "update_spot_balances": _update_spot_balances,
    "update_spot_balances_and_cumulative_deposits": _cumulative_deposits,
    "update_spot_market_cumulative_interest": _accrual,
    "calculate_borrow_rate": _borrow_rate,
    "calculate_accumulated_interest": _accumulated_interest,
    "calculate_weighted_average": _weighted_average,
    "on_the_hour_update": _on_the_hour,
    "calculate_min_deposit_token_amount": _min_deposit,
    "calculate_max_borrow_token_amount": _max_borrow,
    "calculate_token_utilization_limits": _utilization_limits,
    "withdraw limit components": _limit_components,
    "validate_max_token_deposits_and_borrows(true)": _caps,
    "log10_iter": _log10,
    "get_proportion_u128": _proportion,
}
