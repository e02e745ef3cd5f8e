"""Facts and cases of deficits and bankruptcies: formulas, predicates, tranches, whole resolutions with the estate."""

from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.velocity.facts_market import make_spot_market, scaled_of
from seawall.rules.common.balances import deposit_into_pool, get_spot_balance, get_token_amount
from seawall.rules.common.bankruptcy import (
    calculate_deposit_interest_delta_to_resolve_bankruptcy,
    calculate_funding_rate_delta_to_resolve_bankruptcy,
)
from seawall.rules.common.funding import calculate_funding_payment, settle_funding_payment
from seawall.rules.velocity.bankruptcy import admit_to_bankruptcy, pay_perp_loss, resolve_perp_bankruptcy
from seawall.rules.velocity.bankruptcy_predicates import (
    has_realizable_assets,
    is_cross_margin_bankrupt,
    is_isolated_margin_bankrupt,
)
from seawall.rules.velocity.deficit import resolve_perp_pnl_deficit
from seawall.rules.velocity.if_floor import get_bankruptcy_if_floor
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.spot_bankruptcy import resolve_spot_bankruptcy
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.rules.velocity.user_status import is_scope_bankrupt, is_scope_being_liquidated
from seawall.state.enums import (
    BORROW,
    DEPOSIT,
    POSITION_BANKRUPT,
    POSITION_BANKRUPTCY_CLAIM,
    POSITION_ISOLATED,
    RULEBOOK_VELOCITY,
    STATUS_ACTIVE,
    USER_BANKRUPT,
)
from seawall.state.exchange import OracleGuardRails, State, ValidityGuardRails
from seawall.state.facts import (
    BANKRUPTCY_COVERED_BY_SET_OFF,
    BANKRUPTCY_RESOLVED,
    BANKRUPTCY_UNLATCHED,
    BankruptcyFacts,
    FundingPaymentFacts,
    InterestFacts,
    MarginCalculation,
    PnlDeficitFacts,
    SweepFacts,
)
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import PerpPosition, User

_DEFAULT_INDEX = 10_000_000_000
_ONE = 1_000_000
"""The price of quote, and of everything that a fact names no price for."""

_OUTCOMES = {
    BANKRUPTCY_RESOLVED: "resolved",
    BANKRUPTCY_UNLATCHED: "unlatched",
    BANKRUPTCY_COVERED_BY_SET_OFF: "covered_by_setoff",
}


# --- records ---------------------------------------------------------------------------------------------------


def _oracle(price: int = _ONE) -> OraclePriceData:
    return OraclePriceData(price=price, confidence=1, has_sufficient_number_of_data_points=True)


def _state() -> State:
    rails = ValidityGuardRails(
        slots_before_stale_for_amm=10,
        slots_before_stale_for_margin=120,
        confidence_interval_max_size=20_000,
        too_volatile_ratio=5,
    )
    return State(rulebook=RULEBOOK_VELOCITY, oracle_guard_rails=OracleGuardRails(validity=rails))


def _weigh(market: SpotMarket) -> SpotMarket:
    """Weights of one, so that a debt counts in the margin that the event reports."""
    market.initial_asset_weight = market.maintenance_asset_weight = 10_000
    market.initial_liability_weight = market.maintenance_liability_weight = 10_000
    return market


def _perp_market(number: int = 0) -> PerpMarket:
    market = PerpMarket(
        rulebook=RULEBOOK_VELOCITY, status=STATUS_ACTIVE, market_index=number, margin_ratio_initial=1_000
    )
    market.margin_ratio_maintenance = 500
    market.amm.order_step_size = 1
    market.unrealized_pnl_initial_asset_weight = market.unrealized_pnl_maintenance_asset_weight = 10_000
    return market


def _market_with_base(inputs: Inputs) -> PerpMarket:
    market = _perp_market()
    market.amm.base_asset_amount_long = inputs.number("base_long", 0)
    market.amm.base_asset_amount_short = inputs.number("base_short", 0)
    return market


# --- formulas --------------------------------------------------------------------------------------------------


def _funding_rate_delta(inputs: Inputs) -> Found:
    amm = _market_with_base(inputs).amm
    return {"delta": calculate_funding_rate_delta_to_resolve_bankruptcy(amm, abs(inputs.number("loss", 0)))}


def _deposit_interest_delta(inputs: Inputs) -> Found:
    market = make_spot_market(inputs, deposit_scaled="deposit_balance")
    return {"delta": calculate_deposit_interest_delta_to_resolve_bankruptcy(market, inputs.number("loss", 0))}


# --- predicates ------------------------------------------------------------------------------------------------


def _account(inputs: Inputs) -> tuple[User, list[SpotMarket]]:
    """A user and the spot markets that the balances are in, one each: the index is the row."""
    user = User()
    markets = [SpotMarket(decimals=6, cumulative_deposit_interest=_DEFAULT_INDEX, rulebook=RULEBOOK_VELOCITY)]
    for row, item in enumerate(inputs.items("perps")):
        _fill_position(user.perp_positions[row], item, row)
    for row, item in enumerate(inputs.items("spots")):
        index = item.number("cumulative_interest", _DEFAULT_INDEX)
        market = SpotMarket(market_index=row, decimals=item.number("decimals", 6), rulebook=RULEBOOK_VELOCITY)
        market.cumulative_deposit_interest = market.cumulative_borrow_interest = index
        markets[row:] = [market]
        spot = user.spot_positions[row]
        spot.market_index = row
        spot.scaled_balance = item.number("scaled", 0)
        spot.balance_type = BORROW if item.text("type", "deposit") == "borrow" else DEPOSIT
    inputs.ignore("claim_market_pool_tokens")  # a pool that could pay a claim no longer prevents bankruptcy
    return user, markets


def _fill_position(position: PerpPosition, item: Inputs, market_index: int) -> None:
    position.market_index = market_index
    position.base_asset_amount = item.number("base", 0)
    position.quote_asset_amount = item.number("quote", 0)
    position.isolated_position_scaled_balance = item.number("isolated_scaled", 0)
    position.open_orders = item.number("open_orders", 0)
    if item.flag("isolated", False):
        position.position_flag += POSITION_ISOLATED
    if item.flag("bankrupt", False) and position.position_flag:
        position.position_flag += POSITION_BANKRUPT
    if item.flag("claim_booked", False):
        position.position_flag += POSITION_BANKRUPTCY_CLAIM


def _predicate(inputs: Inputs) -> Found:
    user, markets = _account(inputs)
    isolated = [position for position in user.perp_positions if position.position_flag & POSITION_ISOLATED]
    found = {"cross": is_cross_margin_bankrupt(user, markets)}
    if isolated:
        found["isolated"] = is_isolated_margin_bankrupt(isolated[0])
    return found


def _has_realizable_deposits(inputs: Inputs) -> Found:
    user, markets = _account(inputs)
    return {"result": has_realizable_assets(user, CROSS, markets)}


def _has_realizable_collateral(inputs: Inputs) -> Found:
    user, markets = _account(inputs)
    return {"result": has_realizable_assets(user, 0, markets)}


def _liquidation_id(inputs: Inputs) -> Found:
    """An account that never was liquidated is found bankrupt by a resolver."""
    user = User(next_liquidation_id=inputs.number("next_liquidation_id"))
    user.perp_positions[0].quote_asset_amount = -1
    admit_to_bankruptcy(user, CROSS, [make_spot_market(Inputs({}))])
    after = user.next_liquidation_id
    return {"next_liquidation_id_after": after, "event_liquidation_id": after - 1}


# --- tranches --------------------------------------------------------------------------------------------------


def _pay(market: PerpMarket, quote_market: SpotMarket, loss: int, vault: int) -> BankruptcyFacts:
    """Let everybody pay for a debt of ``loss`` that nothing of an estate was found for."""
    user = User()
    position = user.perp_positions[0]
    position.quote_asset_amount = -loss
    facts = BankruptcyFacts(loss=loss, row=CROSS)
    pay_perp_loss(user, 0, [quote_market], [market], [_oracle()], vault, 0, False, InterestFacts(), facts)
    return facts


def _tranches(inputs: Inputs) -> Found:
    quote_market = make_spot_market(Inputs({}))
    market = _market_with_base(inputs)
    names = {
        "pending_if_fee": "fee_ledger.pending_if_fee",
        "quote_max": "insurance_claim.quote_max_insurance",
        "amm_received": "fee_ledger.amm_protocol_fees_received",
        "provision": "fee_ledger.pending_amm_provision",
        "fee_pool_scaled": "amm.fee_pool.scaled_balance",
        "pnl_pool_scaled": "pnl_pool.scaled_balance",
    }
    inputs.fill(market, **names)
    quote_market.deposit_balance = market.amm.fee_pool.scaled_balance + market.pnl_pool.scaled_balance
    facts = _pay(market, quote_market, abs(inputs.number("loss", 0)), inputs.number("vault", 0))
    return {
        "social_loss": facts.socialized_loss,
        "funding_rate_delta": facts.cumulative_delta,
        "if_payment": facts.insurance_payment,
        "untokenized": facts.untokenized_payment,
        "tokenized": facts.fee_pool_payment,
        "pending_if_after": market.fee_ledger.pending_if_fee,
        "pnl_pool_scaled_after": market.pnl_pool.scaled_balance,
        "fee_pool_scaled_after": market.amm.fee_pool.scaled_balance,
        "amm_books_delta": market.amm.total_fee_minus_distributions,
    }


def _market_with_rates(inputs: Inputs) -> PerpMarket:
    """A market whose AMM has settled its funding."""
    market = _market_with_base(inputs)
    amm = market.amm
    amm.cumulative_funding_rate_long = inputs.number("cumulative_funding_rate_long", 0)
    amm.cumulative_funding_rate_short = inputs.number("cumulative_funding_rate_short", 0)
    amm.last_cumulative_funding_rate_long = amm.cumulative_funding_rate_long
    amm.last_cumulative_funding_rate_short = amm.cumulative_funding_rate_short
    return market


def _socialization(inputs: Inputs) -> Found:
    market = _market_with_rates(inputs)
    amm = market.amm
    facts = _pay(market, make_spot_market(Inputs({})), abs(inputs.number("loss", 0)), 0)
    return {
        "cumulative_funding_rate_long": amm.cumulative_funding_rate_long,
        "cumulative_funding_rate_short": amm.cumulative_funding_rate_short,
        "net_unsettled_funding_pnl": amm.net_unsettled_funding_pnl,
        "loss_per_side": -calculate_funding_payment(facts.cumulative_delta, amm.base_asset_amount_long),
    }


def _residual(inputs: Inputs) -> Found:
    """What is left unsettled once both sides paid for a loss: no more than the fact's bound."""
    market = _market_with_rates(inputs)
    amm = market.amm
    _pay(market, make_spot_market(Inputs({})), abs(inputs.number("loss", 0)), 0)
    for base in (amm.base_asset_amount_long, amm.base_asset_amount_short):
        position = PerpPosition(base_asset_amount=base)
        settle_funding_payment(User(), position, market, FundingPaymentFacts())
    return {"max_residual": max(10, abs(amm.net_unsettled_funding_pnl))}


def _floor_and_sweep(inputs: Inputs) -> Found:
    """The floor keeps pending insurance fees in the P&L pool until a bankruptcy takes them."""
    quote_market = make_spot_market(Inputs({}))
    market = _perp_market()
    market.bankruptcy_if_floor_pct = inputs.number("bankruptcy_if_floor_pct")
    open_interest = inputs.number("open_interest")
    market.amm.base_asset_amount_long, market.amm.base_asset_amount_short = open_interest, -open_interest
    market.amm.historical_oracle_data.last_oracle_price_twap = inputs.number("oracle_twap")
    market.fee_ledger.pending_if_fee = inputs.number("pending_if_fee")
    deposit_into_pool(inputs.number("net_surplus_tokens"), quote_market, market.pnl_pool)
    floor, sweep = get_bankruptcy_if_floor(market), SweepFacts()
    sweep_market_fees(market, quote_market, 0, 0, False, False, sweep)
    swept = get_token_amount(quote_market.revenue_pool.scaled_balance, quote_market, DEPOSIT)
    _pay(market, quote_market, abs(inputs.number("loss")), 0)
    return {
        "floor": floor,
        "swept": swept,
        "pending_if_fee_after_resolution": market.fee_ledger.pending_if_fee,
    }


# --- whole resolutions -----------------------------------------------------------------------------------------


def _estate_market(item: Inputs) -> PerpMarket:
    market = _perp_market(item.number("market", 0))
    names = {
        "base_long": "amm.base_asset_amount_long",
        "base_short": "amm.base_asset_amount_short",
        "quote_asset": "amm.quote_asset_amount",
        "rate_long": "amm.cumulative_funding_rate_long",
        "rate_short": "amm.cumulative_funding_rate_short",
        "net_unsettled_funding": "amm.net_unsettled_funding_pnl",
        "tfmd": "amm.total_fee_minus_distributions",
        "quote_max": "insurance_claim.quote_max_insurance",
        "quote_settled": "insurance_claim.quote_settled_insurance",
        "pending_if": "fee_ledger.pending_if_fee",
        "pending_protocol": "fee_ledger.pending_protocol_fee",
        "amm_received": "fee_ledger.amm_protocol_fees_received",
        "provision": "fee_ledger.pending_amm_provision",
        "pnl_pool_scaled": "pnl_pool.scaled_balance",
        "fee_pool_scaled": "amm.fee_pool.scaled_balance",
    }
    item.ignore("market")
    item.fill(market, **names)
    market.amm.last_cumulative_funding_rate_long = market.amm.cumulative_funding_rate_long
    market.amm.last_cumulative_funding_rate_short = market.amm.cumulative_funding_rate_short
    return market


def _estate_after(market: PerpMarket) -> dict[str, int]:
    amm, ledger = market.amm, market.fee_ledger
    return {
        "market": market.market_index,
        "quote_asset": amm.quote_asset_amount,
        "number_of_users": market.number_of_users,
        "pending_if": ledger.pending_if_fee,
        "amm_received": ledger.amm_protocol_fees_received,
        "provision": ledger.pending_amm_provision,
        "pnl_pool_scaled": market.pnl_pool.scaled_balance,
        "fee_pool_scaled": amm.fee_pool.scaled_balance,
        "tfmd": amm.total_fee_minus_distributions,
        "rate_long": amm.cumulative_funding_rate_long,
        "rate_short": amm.cumulative_funding_rate_short,
        "net_unsettled_funding": amm.net_unsettled_funding_pnl,
        "total_social_loss": amm.total_social_loss,
        "quote_settled": market.insurance_claim.quote_settled_insurance,
        "pending_bankruptcy_claims": market.pending_bankruptcy_claims,
    }


def _estate_user(inputs: Inputs) -> tuple[User, list[PerpPosition]]:
    """The user, and the perp positions that the case gives."""
    user = User(next_liquidation_id=inputs.number("next_liquidation_id", 1))
    if inputs.flag("bankrupt", False):
        user.status = USER_BANKRUPT
    positions = []
    for position, item in zip(user.perp_positions, inputs.items("perps"), strict=False):
        _fill_position(position, item, item.number("market", 0))
        positions.append(position)
    for row, item in enumerate(inputs.items("spots")):
        item.ignore("decimals")  # the quote token has six
        spot = user.spot_positions[row]
        spot.market_index = item.number("market", 0)
        spot.scaled_balance = item.number("scaled", 0)
        spot.balance_type = BORROW if item.text("type", "deposit") == "borrow" else DEPOSIT
    return user, positions


def _estate_quote_market(inputs: Inputs, user: User, markets: list[PerpMarket]) -> SpotMarket:
    """The quote market; its deposits are everybody's."""
    quote_market = _weigh(make_spot_market(Inputs({})))
    quote_market.cumulative_deposit_interest = inputs.number("cumulative_deposit_interest", _DEFAULT_INDEX)
    quote_market.deposit_balance = inputs.number("other_deposits_scaled", 0)
    for market in markets:
        quote_market.deposit_balance += market.pnl_pool.scaled_balance + market.amm.fee_pool.scaled_balance
    for position in user.perp_positions:
        quote_market.deposit_balance += position.isolated_position_scaled_balance
    if user.spot_positions[0].balance_type == DEPOSIT:
        quote_market.deposit_balance += user.spot_positions[0].scaled_balance
    else:
        quote_market.borrow_balance = user.spot_positions[0].scaled_balance
    return quote_market


def _resolve_perp(inputs: Inputs) -> Found:
    found = [_estate_market(item) for item in inputs.items("markets")]
    user, positions = _estate_user(inputs.nested("user"))
    resolved = inputs.number("market", 0)
    known = [resolved, *(market.market_index for market in found), *(row.market_index for row in positions)]
    markets = [_perp_market(number) for number in range(1 + max(known))]
    for market in found:
        markets[market.market_index] = market
    quote_market = _estate_quote_market(inputs, user, markets)
    facts = BankruptcyFacts()
    resolve_perp_bankruptcy(
        user, User(), resolved, [quote_market], markets, [_oracle()], _state(),
        inputs.number("vault", 0), 0, MarginCalculation(), InterestFacts(), facts,
    )  # fmt: skip
    return {
        "recovered": facts.recovered,
        "setoff": facts.set_off,
        "forfeited": facts.forfeited,
        "loss": facts.loss,
        "pending_if_payment": facts.pending_if_payment,
        "if_payment": facts.insurance_payment,
        "untokenized": facts.untokenized_payment,
        "tokenized": facts.fee_pool_payment,
        "social_loss": facts.socialized_loss,
        "funding_rate_delta": facts.cumulative_delta,
        "outcome": _OUTCOMES[facts.outcome],
        "user": {
            "bankrupt": is_scope_bankrupt(user, CROSS),
            "perps": [
                {
                    "market": position.market_index,
                    "quote": position.quote_asset_amount,
                    "position_flag": position.position_flag,
                    "settled_pnl": position.settled_pnl,
                }
                for position in positions
            ],
            "quote_scaled": user.spot_positions[0].scaled_balance,
            "quote_is_borrow": user.spot_positions[0].balance_type == BORROW,
            "total_social_loss": user.total_social_loss,
            "next_liquidation_id": user.next_liquidation_id,
        },
        "markets": [_estate_after(market) for market in found],
        "deposit_balance": quote_market.deposit_balance,
        "borrow_balance": quote_market.borrow_balance,
    }


def _resolve_isolated(inputs: Inputs) -> Found:
    """An isolated position without collateral is found bankrupt; the vault, which has enough, pays its debt."""
    market, quote_market, user = _perp_market(0), _weigh(make_spot_market(Inputs({}))), User(next_liquidation_id=1)
    position = user.perp_positions[0]
    position.position_flag = POSITION_ISOLATED
    position.isolated_position_scaled_balance = inputs.number("isolated_scaled")
    position.quote_asset_amount = market.amm.quote_asset_amount = inputs.number("quote")
    market.number_of_users = 1
    market.insurance_claim.quote_max_insurance = -position.quote_asset_amount
    resolve_perp_bankruptcy(
        user, User(), 0, [quote_market], [market], [_oracle()], _state(), 1 - position.quote_asset_amount, 0,
        MarginCalculation(), InterestFacts(), BankruptcyFacts(),
    )  # fmt: skip
    return {
        "quote": position.quote_asset_amount,
        "bankrupt": is_scope_bankrupt(user, 0),
        "being_liquidated": is_scope_being_liquidated(user, 0),
    }


def _resolve_spot(inputs: Inputs) -> Found:
    """The market is one beside quote, whose oracle is the second; the borrow is in tokens or scaled."""
    market = _weigh(make_spot_market(inputs, deposit_scaled="deposit_balance"))
    market.market_index = market.oracle_index = 1
    pool_tokens = inputs.number("revenue_pool_tokens", 0)
    market.revenue_pool.market_index = 1
    deposit_into_pool(pool_tokens, market, market.revenue_pool)
    user = User(next_liquidation_id=1)
    position = user.spot_positions[1]
    position.market_index = 1
    position.balance_type = BORROW
    if "borrow_scaled" in inputs:
        position.scaled_balance = inputs.number("borrow_scaled")
    else:
        position.scaled_balance = get_spot_balance(inputs.number("borrow_tokens", 0), market, BORROW, False)
    market.borrow_balance = position.scaled_balance
    facts = BankruptcyFacts()
    quote_market = _weigh(make_spot_market(Inputs({})))
    resolve_spot_bankruptcy(
        user, User(), 1, [quote_market, market], [], [_oracle(), _oracle(inputs.number("price", _ONE))], _state(),
        inputs.number("vault", 0), 0, MarginCalculation(), InterestFacts(), InterestFacts(), facts,
    )  # fmt: skip
    return {
        "if_payment": facts.insurance_payment,
        "cdi_after": market.cumulative_deposit_interest,
        "social_loss_tokens": market.total_social_loss,
        "deposits_after": get_token_amount(market.deposit_balance, market, DEPOSIT),
        "user_total_social_loss": user.total_social_loss,
        "revenue_pool_payment": facts.revenue_pool_payment,
        "borrow": facts.loss,
        "revenue_pool_scaled_after": market.revenue_pool.scaled_balance,
        "borrow_balance_after": market.borrow_balance,
        "total_quote_social_loss": market.total_quote_social_loss,
    }


def _resolve_deficit(inputs: Inputs) -> Found:
    """The fact gives the users' gain, which both price readings make of the market's quote alone."""
    now = inputs.number("now", 0)
    quote_market = make_spot_market(Inputs({}))
    market = _perp_market()
    claim = inputs.fill(market, "insurance_claim", pnl_pool_scaled="pnl_pool.scaled_balance").insurance_claim
    claim.last_revenue_withdraw_ts = now
    quote_market.insurance_fund.last_revenue_settle_ts = now
    if inputs.flag("new_period", False):
        claim.last_revenue_withdraw_ts = now - 1
    quote_market.deposit_balance = market.pnl_pool.scaled_balance
    receivable = scaled_of(inputs.number("receivable", 0), quote_market)
    quote_market.insurance_fund_revenue_receivable_scaled = receivable
    quote_market.deposit_balance += receivable
    market.amm.total_fee_minus_distributions = -1
    market.amm.quote_asset_amount = inputs.number("net_user_pnl", 0)
    history = market.amm.historical_oracle_data
    history.last_oracle_price = history.last_oracle_price_twap_5min = _ONE
    facts = PnlDeficitFacts()
    resolve_perp_pnl_deficit(inputs.number("vault", 0), market, quote_market, now, False, InterestFacts(), facts)
    return {"vault_payment": facts.vault_payment, "pnl_pool_scaled": market.pnl_pool.scaled_balance}, claim


ADAPTERS: dict[str, Adapter] = {
    "calculate_funding_rate_deltas_to_resolve_bankruptcy": _funding_rate_delta,
    "calculate_cumulative_deposit_interest_delta_to_resolve_bankruptcy": _deposit_interest_delta,
    "bankruptcy_predicate": _predicate,
    "has_realizable_spot_assets_for_setoff": _has_realizable_deposits,
    "has_realizable_isolated_assets": _has_realizable_collateral,
    "liquidation_id_on_bankruptcy": _liquidation_id,
    "resolve_perp_bankruptcy_tranches": _tranches,
    "resolve_perp_bankruptcy_socialization": _socialization,
    "funding_residual_uneven_open_interest": _residual,
    "bankruptcy_if_floor_sweep": _floor_and_sweep,
    "resolve_perp_bankruptcy": _resolve_perp,
    "resolve_perp_bankruptcy_isolated": _resolve_isolated,
    "resolve_spot_bankruptcy": _resolve_spot,
    "resolve_spot_bankruptcy_state": _resolve_spot,
    "resolve_perp_pnl_deficit": _resolve_deficit,
}
