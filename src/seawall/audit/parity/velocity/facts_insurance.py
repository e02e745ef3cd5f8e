"""Facts of Velocity: share arithmetic, stakes over several steps, revenue settlement and its receivable."""

from typing import Any

from seawall.arithmetic import SPOT_CUMULATIVE_INTEREST_PRECISION
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.errors import SettlementError
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.insurance_shares import calculate_rebase_info
from seawall.rules.common.insurance_stakes import request_remove_insurance_fund_stake
from seawall.rules.common.vaults import validate_spot_balances
from seawall.rules.velocity.insurance import (
    add_insurance_fund_stake,
    calculate_if_shares_lost,
    cancel_request_remove_insurance_fund_stake,
    deposit_amount_and_shares_for_if_stake,
    remove_insurance_fund_stake,
)
from seawall.rules.velocity.receivable import (
    book_revenue_receivable,
    get_insurance_fund_nav,
    get_revenue_receivable,
    pay_out_revenue_receivable,
)
from seawall.rules.velocity.revenue import (
    book_revenue_to_insurance_fund,
    record_insurance_fund_outflow,
    settle_revenue_to_insurance_fund,
)
from seawall.state.enums import BORROW, DEPOSIT, RULEBOOK_VELOCITY
from seawall.state.facts import InterestFacts, RevenueSettleFacts, StakeFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import InsuranceFund, PoolBalance, SpotMarket
from seawall.state.user import UserStats


def _rebase_info(inputs: Inputs) -> Found:
    expo, divisor = calculate_rebase_info(inputs.number("total_shares", 0), inputs.number("vault", 0))
    return {"expo_diff": expo, "divisor": divisor}


def _shares_lost(inputs: Inputs) -> Found:
    names = ("request_shares", "request_value", "total_shares", "vault")
    return {"shares_lost": calculate_if_shares_lost(*(inputs.number(name, 0) for name in names))}


def _exact_price(inputs: Inputs) -> Found:
    names = ("amount", "total_shares", "vault")
    charge, shares = deposit_amount_and_shares_for_if_stake(*(inputs.number(name, 0) for name in names))
    return {"charge": charge, "shares": shares}


def _market(inputs: Inputs) -> SpotMarket:
    """A spot market with its fund; the revenue pool and the receivable are inside the market's deposits."""
    return SpotMarket(
        rulebook=RULEBOOK_VELOCITY,
        decimals=inputs.number("decimals", 6),
        cumulative_deposit_interest=inputs.number("cumulative_deposit_interest", SPOT_CUMULATIVE_INTEREST_PRECISION),
        cumulative_borrow_interest=inputs.number("cumulative_borrow_interest", SPOT_CUMULATIVE_INTEREST_PRECISION),
        deposit_balance=inputs.number("deposit_scaled", 0),
        borrow_balance=inputs.number("borrow_scaled", 0),
        revenue_pool=PoolBalance(scaled_balance=inputs.number("revenue_pool_scaled", 0)),
        insurance_fund_revenue_receivable_scaled=inputs.number("receivable_scaled", 0),
        if_last_settle_vault_amount=inputs.number("snapshot", 0),
        insurance_fund=InsuranceFund(
            total_shares=inputs.number("total_shares", 0),
            user_shares=inputs.number("user_shares", 0),
            shares_base=inputs.number("shares_base", 0),
            unstaking_period=inputs.number("unstaking_period", 0),
            revenue_settle_period=inputs.number("revenue_settle_period", 0),
        ),
    )


def _add(inputs: Inputs) -> Found:
    market, stake = _market(inputs), InsuranceFundStake()
    fund = market.insurance_fund
    vault = inputs.number("vault", 0)
    charge = add_insurance_fund_stake(
        inputs.number("amount", 0), get_insurance_fund_nav(market, vault), vault, stake, UserStats(), market,
        StakeFacts(),
    )  # fmt: skip
    return {
        "charge": charge,
        "shares": stake.if_shares,
        "total_shares": fund.total_shares,
        "user_shares": fund.user_shares,
        "base": fund.shares_base,
    }


def _stake(inputs: Inputs) -> InsuranceFundStake:
    return InsuranceFundStake(
        if_shares=inputs.number("shares", 0),
        if_base=inputs.number("base", 0),
        last_withdraw_request_shares=inputs.number("request_shares", 0),
        last_withdraw_request_value=inputs.number("request_value", 0),
        last_withdraw_request_ts=inputs.number("request_ts", 0),
        cost_basis=inputs.number("cost_basis", 0),
    )


def _flow(inputs: Inputs) -> Found:
    """Steps of several stakers on one fund; one that fails changes nothing."""
    market = _market(inputs.nested("market"))
    stakes = {who: _stake(one) for who, one in inputs.nested("stakes").each()}
    found = []
    for step in inputs.items("steps"):
        who = step.text("who")
        stake = stakes.setdefault(who, InsuranceFundStake())
        saved = market.copy(), stake.copy()
        try:
            found.append({**_step(step, stake, market), **_books(stake, market)})
        except SettlementError as error:
            market, stakes[who] = saved
            found.append({"error": error.code.name})
    return {"steps": found}


def _step(step: Inputs, stake: InsuranceFundStake, market: SpotMarket) -> dict[str, Any]:
    """One step; the statistics are nobody's, and a market other than the quote market keeps none."""
    operation, vault, now = step.text("op"), step.number("vault", 0), step.number("now", 0)
    amount, shares = step.number("amount", 0), step.number("shares", 0)
    stats, facts = UserStats(), StakeFacts()
    if operation == "add":
        return {"charge": add_insurance_fund_stake(amount, vault, vault, stake, stats, market, facts)}
    if operation == "request":
        request_remove_insurance_fund_stake(shares, vault, vault, stake, stats, market, now, facts)
        return {"request_value": stake.last_withdraw_request_value}
    if operation == "cancel":
        cancel_request_remove_insurance_fund_stake(vault, vault, stake, stats, market, now, facts)
        return {"lost": facts.forfeited_shares}
    if operation == "remove":
        return {"paid": remove_insurance_fund_stake(vault, vault, stake, stats, market, now, False, facts)}
    raise UnreadableFact(f"a step {operation!r} is unknown")


def _books(stake: InsuranceFundStake, market: SpotMarket) -> dict[str, Any]:
    fund = market.insurance_fund
    return {
        "total_shares": fund.total_shares,
        "user_shares": fund.user_shares,
        "base": fund.shares_base,
        "stake_shares": stake.if_shares,
        "request_shares": stake.last_withdraw_request_shares,
        "stake_request_shares": stake.last_withdraw_request_shares,
        "cost_basis": stake.cost_basis,
        "snapshot": market.if_last_settle_vault_amount,
    }


def _spot_vault(inputs: Inputs, market: SpotMarket) -> int:
    """The spot vault: what depositors are owed net of borrows, where nothing else is said."""
    deposits = get_token_amount(market.deposit_balance, market, DEPOSIT)
    borrows = get_token_amount(market.borrow_balance, market, BORROW)
    return inputs.number("spot_vault", max(deposits - borrows, 0))


def _settle(inputs: Inputs) -> Found:
    market = _market(inputs)
    amount = settle_revenue_to_insurance_fund(
        _spot_vault(inputs, market), inputs.number("vault", 0), market, inputs.number("now", 0),
        inputs.flag("check_invariants", False), False, False, InterestFacts(), RevenueSettleFacts(),
    )  # fmt: skip
    return {
        "amount": amount,
        "snapshot_after": market.if_last_settle_vault_amount,
        "revenue_pool_scaled_after": market.revenue_pool.scaled_balance,
        "spot_claim_after": validate_spot_balances(market),
        "total_shares_after": market.insurance_fund.total_shares,
    }


def _outflow_then_settle(inputs: Inputs) -> Found:
    market = _market(inputs)
    before, outflow = inputs.number("vault_before_outflow"), inputs.number("outflow")
    record_insurance_fund_outflow(market, get_insurance_fund_nav(market, before), outflow)
    low = market.if_last_settle_vault_amount
    amount = settle_revenue_to_insurance_fund(
        _spot_vault(inputs, market), inputs.number("vault_at_settle"), market, 0, True, False, False,
        InterestFacts(), RevenueSettleFacts(),
    )  # fmt: skip
    return {
        "snapshot_after_outflow": low,
        "amount": amount,
        "snapshot_after": market.if_last_settle_vault_amount,
    }


def _book_with_receivable(inputs: Inputs) -> Found:
    """The fact names no period; any turns the settlement on."""
    market = _market(inputs)
    market.insurance_fund.revenue_settle_period = inputs.number("revenue_settle_period", 3_600)
    booked = book_revenue_to_insurance_fund(
        _spot_vault(inputs, market), inputs.number("vault", 0), market, 0, True, False, True,
        InterestFacts(), RevenueSettleFacts(),
    )  # fmt: skip
    return {"booked": booked, "receivable_tokens_after": get_revenue_receivable(market)}


def _receivable_earns_interest(inputs: Inputs) -> Found:
    """A pool of exactly what is booked, at the index of 1."""
    market = _market(inputs)
    market.cumulative_deposit_interest = inputs.number("index_before")
    booked = inputs.number("booked")
    market.revenue_pool.scaled_balance = booked * 1_000
    book_revenue_receivable(booked, market)
    market.cumulative_deposit_interest = inputs.number("index_after")
    return {"receivable_tokens": get_revenue_receivable(market)}


def _remove_blocked_by_receivable(inputs: Inputs) -> Found:
    """The sole staker asks for everything; half of it is not in the vault yet."""
    market = _market(inputs)
    vault = inputs.number("vault")
    market.insurance_fund_revenue_receivable_scaled = inputs.number("receivable") * 1_000
    market.deposit_balance = market.insurance_fund_revenue_receivable_scaled
    nav = get_insurance_fund_nav(market, vault)
    fund, stake, stats = market.insurance_fund, InsuranceFundStake(if_shares=nav), UserStats()
    fund.total_shares = fund.user_shares = nav
    request_remove_insurance_fund_stake(nav, nav, vault, stake, stats, market, 0, StakeFacts())
    if stake.last_withdraw_request_value != inputs.number("request_value"):
        return {"request_value": stake.last_withdraw_request_value}
    saved = market.copy(), stake.copy()
    found: dict[str, Any] = {}
    try:
        remove_insurance_fund_stake(nav, vault, stake, stats, market, 0, True, StakeFacts())
    except SettlementError as error:
        found["error"] = error.code.name
    market, stake = saved
    vault += pay_out_revenue_receivable(market)
    nav = get_insurance_fund_nav(market, vault)
    paid = remove_insurance_fund_stake(nav, vault, stake, stats, market, 0, True, StakeFacts())
    return {**found, "paid_after_receivable_settled": paid}


ADAPTERS: dict[str, Adapter] = {
    "calculate_rebase_info": _rebase_info,
    "calculate_if_shares_lost": _shares_lost,
    "deposit_amount_and_shares_for_if_stake": _exact_price,
    "add_insurance_fund_stake": _add,
    "insurance_flow": _flow,
    "settle_revenue_to_insurance_fund": _settle,
    "outflow_then_settle": _outflow_then_settle,
    "book_revenue_with_receivable": _book_with_receivable,
    "receivable_earns_interest": _receivable_earns_interest,
    "remove_blocked_by_receivable": _remove_blocked_by_receivable,
}
