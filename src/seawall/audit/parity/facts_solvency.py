"""Facts of deficits and bankruptcies: single formulas, and whole resolutions with what everybody has afterwards."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, refuses
from seawall.audit.parity.facts_market import make_perp_market, validity_rails
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.bankruptcy import (
    calculate_deposit_interest_delta_to_resolve_bankruptcy,
    calculate_funding_rate_delta_to_resolve_bankruptcy,
)
from seawall.rules.common.funding import settle_funding_payment
from seawall.rules.common.user_status import is_user_bankrupt
from seawall.rules.drift.bankruptcy import resolve_perp_bankruptcy, resolve_spot_bankruptcy
from seawall.rules.drift.deficit import resolve_perp_pnl_deficit
from seawall.state.enums import BORROW, DEPOSIT, USER_BANKRUPT, BalanceType
from seawall.state.exchange import OracleGuardRails, State
from seawall.state.facts import BankruptcyFacts, FundingPaymentFacts, InterestFacts, MarginCalculation, PnlDeficitFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.user import PerpPosition, User

_OPEN_BASE = 5_000_000_000
_OPEN_QUOTE = 500_000_000
"""The two others of the facts: 5 base each, entered at 100."""


def _funding_rate_delta(inputs: Inputs) -> Found:
    amm = make_perp_market(inputs).amm
    loss = -inputs.number("loss")
    if refuses(lambda: calculate_funding_rate_delta_to_resolve_bankruptcy(amm, loss)):
        return {"fails": True}
    return {"cumulative_funding_rate_delta": calculate_funding_rate_delta_to_resolve_bankruptcy(amm, loss)}


def _deposit_interest_delta(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    return {"delta": calculate_deposit_interest_delta_to_resolve_bankruptcy(market, inputs.number("loss"))}


def _is_bankrupt(inputs: Inputs) -> Found:
    user = User()
    spot = user.spot_positions[0]
    spot.scaled_balance = inputs.number("spot_scaled_balance", 0)
    spot.balance_type = BalanceType[inputs.text("spot_balance_type", "Deposit")]
    names = ("base_asset_amount", "quote_asset_amount")
    inputs.fill(user.perp_positions[0], **{f"perp_{name}": name for name in names})
    return {"bankrupt": is_user_bankrupt(user)}


def _bankrupt_user(inputs: Inputs) -> User:
    """The user of a fact; one that names no flag is found bankrupt on the way."""
    user = User(next_liquidation_id=inputs.number("next_liquidation_id", 1))
    if inputs.flag("user_status_bankrupt", False):
        user.status = USER_BANKRUPT
    return user


def _oracles(quote_price: int) -> list[OraclePriceData]:
    made = [OraclePriceData(price=price, confidence=1) for price in (quote_price, 100_000_000)]
    for oracle in made:
        oracle.has_sufficient_number_of_data_points = True
    return made


def _state() -> State:
    return State(oracle_guard_rails=OracleGuardRails(validity=validity_rails()))


def _after_funding(market: PerpMarket, base: int, quote: int, rate: int) -> dict[str, int]:
    """The quote of another position before and after its next funding settlement."""
    position = PerpPosition(base_asset_amount=base, quote_asset_amount=quote, last_cumulative_funding_rate=rate)
    settle_funding_payment(User(), position, market, FundingPaymentFacts())
    return {"before": quote, "after": position.quote_asset_amount}


def _resolve_perp(inputs: Inputs) -> Found:
    """The fact of a whole run names debt and open base only; what fee pool and rates were follows from its results."""
    market = make_perp_market(inputs, amm_quote_asset_amount="amm.quote_asset_amount")
    amm = market.amm
    amm.oracle_index = 1
    user = _bankrupt_user(inputs)
    position = user.perp_positions[0]
    if "pnl" in inputs:
        amm.base_asset_amount_long = inputs.number("open_base_of_market")
        amm.fee_pool.scaled_balance = 17_646_000
        amm.cumulative_funding_rate_long = amm.cumulative_funding_rate_short = 8_333
        position.quote_asset_amount = inputs.number("pnl")
    else:
        names = ("base_asset_amount", "quote_asset_amount")
        inputs.fill(position, **{f"position_{name}": name for name in names})
    quote = make_spot_market(Inputs({}))
    quote.deposit_balance = amm.fee_pool.scaled_balance
    long_rate, short_rate = amm.cumulative_funding_rate_long, amm.cumulative_funding_rate_short
    facts = BankruptcyFacts()
    resolve_perp_bankruptcy(
        user, User(), 0, [quote], [market], _oracles(1_000_000), _state(),
        inputs.number("insurance_fund_vault_balance", 0), 0, MarginCalculation(), InterestFacts(), facts,
    )  # fmt: skip
    return (
        {
            "user_status": user.status,
            "user_total_social_loss": user.total_social_loss,
            "position_quote_asset_amount": position.quote_asset_amount,
            "total_social_loss_market": amm.total_social_loss,
            "amm_quote_asset_amount": amm.quote_asset_amount,
            "cumulative_funding_rate_delta": facts.cumulative_delta,
            "fee_pool_scaled_balance": amm.fee_pool.scaled_balance,
            "number_of_users": market.number_of_users,
            "then_long_5_base_quote": _after_funding(market, _OPEN_BASE, -_OPEN_QUOTE, long_rate),
            "then_short_5_base_quote": _after_funding(market, -_OPEN_BASE, _OPEN_QUOTE, short_rate),
        },
        amm,
        market.insurance_claim,
    )


def _resolve_spot(inputs: Inputs) -> Found:
    market = make_spot_market(inputs)
    market.maintenance_liability_weight = 10_000
    user = _bankrupt_user(inputs)
    position = user.spot_positions[0]
    position.balance_type = BORROW
    position.scaled_balance = inputs.number("borrow_scaled_balance")
    resolve_spot_bankruptcy(
        user, User(), 0, [market], [], _oracles(inputs.number("oracle_price")), _state(),
        inputs.number("insurance_fund_vault_balance"), MarginCalculation(), BankruptcyFacts(),
    )  # fmt: skip
    return {
        "user_status": user.status,
        "user_total_social_loss": user.total_social_loss,
        "user_scaled_balance": position.scaled_balance,
        "user_cumulative_deposits": position.cumulative_deposits,
        "deposit_tokens_after": get_token_amount(market.deposit_balance, market, DEPOSIT),
    }, market


def _resolve_deficit(inputs: Inputs) -> Found:
    """The fact does not name the deficit: an AMM in the red, whose users gained twice what is admitted."""
    market = make_perp_market(inputs)
    market.amm.total_fee_minus_distributions = -1
    market.amm.quote_asset_amount = 2 * market.unrealized_pnl_max_imbalance
    market.amm.historical_oracle_data.last_oracle_price = 100_000_000
    quote = make_spot_market(Inputs({}))
    insurance_vault = inputs.number("insurance_vault_amount")
    drawn = resolve_perp_pnl_deficit(insurance_vault, market, quote, 0, InterestFacts(), PnlDeficitFacts())
    return {
        "event_amount": -drawn,
        "event_vault_amount_before": inputs.number("spot_vault_amount"),
        "event_insurance_vault_amount_before": insurance_vault,
    }, market.insurance_claim


ADAPTERS: dict[str, Adapter] = {
    "calculate_funding_rate_deltas_to_resolve_bankruptcy": _funding_rate_delta,
    "calculate_cumulative_deposit_interest_delta_to_resolve_bankruptcy": _deposit_interest_delta,
    "is_user_bankrupt": _is_bankrupt,
    "resolve_perp_bankruptcy": _resolve_perp,
    "resolve_spot_bankruptcy": _resolve_spot,
    "resolve_perp_pnl_deficit": _resolve_deficit,
}
