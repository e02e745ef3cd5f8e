"""Facts of insurance shares, of stakes over several steps, and of revenue settlement."""

from collections.abc import Callable
from typing import Any

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, UnreadableFact
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.errors import SettlementError
from seawall.records import flatten
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.insurance_shares import (
    calculate_rebase_info,
    if_shares_to_vault_amount,
    vault_amount_to_if_shares,
)
from seawall.rules.common.insurance_stakes import request_remove_insurance_fund_stake
from seawall.rules.drift.insurance import (
    add_insurance_fund_stake,
    admin_remove_insurance_fund_stake,
    calculate_if_shares_lost,
    remove_insurance_fund_stake,
    transfer_protocol_insurance_fund_stake,
)
from seawall.rules.drift.revenue import settle_revenue_to_insurance_fund
from seawall.state.enums import DEPOSIT
from seawall.state.facts import InterestFacts, RevenueSettleFacts, StakeFacts
from seawall.state.insurance import InsuranceFundStake
from seawall.state.spot_market import SpotMarket
from seawall.state.user import UserStats


def _rebase_info(inputs: Inputs) -> Found:
    expo, divisor = calculate_rebase_info(
        inputs.number("total_if_shares"), inputs.number("insurance_fund_vault_balance")
    )
    return {"expo_diff": expo, "rebase_divisor": divisor}


def _shares_lost(inputs: Inputs) -> Found:
    names = (
        "last_withdraw_request_shares", "last_withdraw_request_value", "total_shares", "insurance_fund_vault_balance",
    )  # fmt: skip
    return {"if_shares_lost": calculate_if_shares_lost(*(inputs.number(name) for name in names))}


class _Fund:
    """A fund with its stakes while the steps of a fact run; a step that fails changes nothing."""

    def __init__(self, inputs: Inputs) -> None:
        self.market: SpotMarket = make_spot_market(inputs)
        self.stakes = {name: InsuranceFundStake() for name in ("A", "B")}
        self.stats = UserStats()
        if "stakes" in inputs:
            stakes = inputs.nested("stakes")
            for name in self.stakes:
                if name in stakes:
                    stakes.nested(name).fill(self.stakes[name])

    def step(self, step: Inputs) -> dict[str, Any]:
        """Run one step; the fund, the stake and what the step gave."""
        name = step.text("stake", "A")
        operation = step.text("op")
        if name not in self.stakes or operation not in _STEPS:
            raise UnreadableFact(f"a step {operation!r} on the stake {name!r} is unknown")
        saved = self.market.copy(), {key: stake.copy() for key, stake in self.stakes.items()}
        result: dict[str, Any] = {"fails": False}
        try:
            result.update(_STEPS[operation](self, self.stakes[name], step))
        except SettlementError:
            self.market, self.stakes = saved
            result["fails"] = True
        fund = self.market.insurance_fund
        return {**dict(flatten(self.stakes[name])), **dict(flatten(fund)), **result}


def _add(fund: _Fund, stake: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    step.ignore("now")
    add_insurance_fund_stake(step.number("amount"), step.number("vault"), stake, fund.stats, fund.market, StakeFacts())
    return {}


def _request(fund: _Fund, stake: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    shares, vault, now = step.number("shares"), step.number("vault"), step.number("now")
    request_remove_insurance_fund_stake(shares, vault, vault, stake, fund.stats, fund.market, now, StakeFacts())
    return {}


def _remove(fund: _Fund, stake: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    vault, now = step.number("vault"), step.number("now")
    amount = remove_insurance_fund_stake(vault, stake, fund.stats, fund.market, now, StakeFacts())
    return {"amount_returned": amount}


def _admin_remove(fund: _Fund, _: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    amount = admin_remove_insurance_fund_stake(step.number("shares"), step.number("vault"), fund.market, StakeFacts())
    return {"amount_returned": amount}


def _transfer_protocol(fund: _Fund, stake: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    facts = StakeFacts()
    shares, vault = step.number("shares"), step.number("vault")
    transfer_protocol_insurance_fund_stake(shares, vault, stake, fund.stats, fund.market, facts, StakeFacts())
    return {"amount": facts.amount}


def _shares_for(fund: _Fund, _: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    step.ignore("now")
    total = fund.market.insurance_fund.total_shares
    return {"shares": vault_amount_to_if_shares(step.number("amount"), total, step.number("vault"))}


def _value_of(fund: _Fund, _: InsuranceFundStake, step: Inputs) -> dict[str, int]:
    step.ignore("now")
    total = fund.market.insurance_fund.total_shares
    return {"amount": if_shares_to_vault_amount(step.number("shares"), total, step.number("vault"))}


_STEPS: dict[str, Callable[[_Fund, InsuranceFundStake, Inputs], dict[str, int]]] = {
    "add": _add,
    "request": _request,
    "remove": _remove,
    "admin_remove": _admin_remove,
    "transfer_protocol": _transfer_protocol,
    "shares_for": _shares_for,
    "value_of": _value_of,
}


def _life_cycle(inputs: Inputs) -> Found:
    fund = _Fund(inputs.nested("initial"))
    return {"after_steps": [fund.step(step) for step in inputs.items("steps")]}


def _integration(inputs: Inputs) -> Found:
    """Stake, remove a half, remove the rest, with a wallet and a vault that the payouts move between."""
    wallet = inputs.number("initial_wallet")
    amount = inputs.number("stake")
    if inputs.text("then_remove") != "half, then all":
        raise UnreadableFact(f"then_remove: {inputs.text('then_remove')!r} is unknown")
    fund = _Fund(Inputs({}))
    stake = fund.stakes["A"]
    add_insurance_fund_stake(amount, 0, stake, fund.stats, fund.market, StakeFacts())
    wallet -= amount
    vault = amount
    found: dict[str, Any] = {}

    def note(when: str) -> None:
        shares = fund.market.insurance_fund
        found.update(
            {
                f"total_shares_after_{when}": shares.total_shares,
                f"user_shares_after_{when}": shares.user_shares,
                f"if_staked_quote_asset_amount_after_{when}": fund.stats.if_staked_quote_asset_amount,
                f"wallet_after_{when}": wallet,
            }
        )

    note("stake")
    for when, shares in (("first_removal", stake.if_shares // 2), ("second_removal", 0)):
        wanted = shares or stake.if_shares
        request_remove_insurance_fund_stake(wanted, vault, vault, stake, fund.stats, fund.market, 0, StakeFacts())
        payout = remove_insurance_fund_stake(vault, stake, fund.stats, fund.market, 0, StakeFacts())
        vault -= payout
        wallet += payout
        note(when)
    return found


def _settle_revenue(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    amount = settle_revenue_to_insurance_fund(
        inputs.number("spot_vault_amount"),
        inputs.number("insurance_vault_amount"),
        market,
        inputs.number("now"),
        inputs.flag("strict"),
        InterestFacts(),
        RevenueSettleFacts(),
    )
    return {
        "amount": amount,
        "revenue_pool_scaled_balance": market.revenue_pool.scaled_balance,
        "spot_deposit_tokens_after": get_token_amount(market.deposit_balance, market, DEPOSIT),
    }


ADAPTERS: dict[str, Adapter] = {
    "calculate_rebase_info": _rebase_info,
    "calculate_if_shares_lost": _shares_lost,
    "insurance stake lifecycle": _life_cycle,
    "insurance stake lifecycle (integration)": _integration,
    "remove_insurance_fund_stake after losses in cooldown": _life_cycle,
    "remove_insurance_fund_stake after gains in cooldown": _life_cycle,
    "rebase on add after drain": _life_cycle,
    "request/remove with empty vault, then rebase on add": _life_cycle,
    "rebase inside request": _life_cycle,
    "two stakers with rebase": _life_cycle,
    "admin_remove_insurance_fund_stake with rebase": _life_cycle,
    "transfer_protocol_insurance_fund_stake": _life_cycle,
    "large stakes: later steps": _life_cycle,
    "settle_revenue_to_insurance_fund": _settle_revenue,
}
