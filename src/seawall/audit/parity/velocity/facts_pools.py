"""Facts of Velocity: the fee sweep, settling P&L with the pools, and paying revenue shares."""

from seawall.arithmetic import PEG_PRECISION
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs
from seawall.audit.parity.facts_spot import make_spot_market
from seawall.rules.common.amm_curve import calculate_terminal_reserves
from seawall.rules.common.balances import get_spot_balance, get_token_amount
from seawall.rules.common.pools import reset_revenue_withdraw_for_new_period
from seawall.rules.velocity.if_floor import get_bankruptcy_if_floor, get_bankruptcy_if_tranche_reservation
from seawall.rules.velocity.pnl import settle_pnl
from seawall.rules.velocity.pools import update_pool_balances
from seawall.rules.velocity.revenue_share_payout import ROW_PAID, revenue_share_reserve, settle_revenue_share_row
from seawall.rules.velocity.sweep import sweep_market_fees
from seawall.state.enums import BORROW, DEPOSIT, MUST_SETTLE, PERP_SETTLE_REV_POOL, RULEBOOK_VELOCITY, STATUS_ACTIVE
from seawall.state.exchange import OracleGuardRails, PriceDivergenceGuardRails, State
from seawall.state.facts import FundingPaymentFacts, InterestFacts, PoolUpdateFacts, SettlePnlFacts, SweepFacts
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.revenue_share import ROW_COMPLETED, ROW_IN_USE, RevenueShareRow
from seawall.state.spot_market import PoolBalance, SpotMarket
from seawall.state.user import User

IF_FLOOR_OFF = 4_294_967_295
WHOLE = 1_000_000
ONE = 1_000_000_000
SQRT_K = 10**18
"""Reserves of a curve that covers any position."""


def _flag(inputs: Inputs, name: str) -> bool:
    """A truth value that these facts write as a number."""
    return inputs.number(name, 0) != 0


def _tokens(pool: PoolBalance, spot_market: SpotMarket) -> int:
    return get_token_amount(pool.scaled_balance, spot_market, DEPOSIT)


def _fund(pool: PoolBalance, spot_market: SpotMarket, tokens: int) -> None:
    """Put tokens into a pool, on top of the market's deposits."""
    scaled = get_spot_balance(tokens, spot_market, DEPOSIT, False)
    pool.scaled_balance = scaled
    spot_market.deposit_balance += scaled


def _make_spot_market(inputs: Inputs) -> SpotMarket:
    market = make_spot_market(inputs)
    market.rulebook = RULEBOOK_VELOCITY
    return market


def _make_market(inputs: Inputs) -> PerpMarket:
    """A perp market with the pending fees, the buffer, what the floor is made of and the period of its draws."""
    market = PerpMarket(status=STATUS_ACTIVE, rulebook=RULEBOOK_VELOCITY)
    amm, ledger = market.amm, market.fee_ledger
    ledger.pending_protocol_fee = inputs.number("pending_protocol", 0)
    ledger.pending_if_fee = inputs.number("pending_if", 0)
    ledger.pending_amm_provision = inputs.number("pending_provision", 0)
    ledger.amm_protocol_fees_received = ledger.pending_amm_provision
    market.fee_pool_buffer_target = inputs.number("buffer", 0)
    market.pending_revenue_share = inputs.number("pending_revenue_share", 0)
    market.pending_bankruptcy_claims = inputs.number("pending_bankruptcy_claims", 0)
    market.bankruptcy_if_floor_pct = inputs.number("floor_pct", 0)
    amm.base_asset_amount_long = inputs.number("base_long", 0)
    amm.base_asset_amount_short = inputs.number("base_short", 0)
    amm.historical_oracle_data.last_oracle_price_twap = inputs.number("oracle_twap", 0)
    claim = market.insurance_claim
    claim.last_revenue_withdraw_ts = inputs.number("last_revenue_withdraw_ts", 0)
    claim.revenue_withdraw_since_last_settle = inputs.number("revenue_withdraw_since_last_settle", 0)
    if _flag(inputs, "settle_rev_pool_paused"):
        market.paused_operations = PERP_SETTLE_REV_POOL
    return market


def _pending(market: PerpMarket) -> dict[str, int]:
    ledger = market.fee_ledger
    return {
        "pending_protocol": ledger.pending_protocol_fee,
        "pending_if": ledger.pending_if_fee,
        "pending_provision": ledger.pending_amm_provision,
        "amm_received": ledger.amm_protocol_fees_received,
        "revenue_withdraw_since_last_settle": market.insurance_claim.revenue_withdraw_since_last_settle,
    }


def _pools(market: PerpMarket, spot_market: SpotMarket) -> dict[str, int]:
    return {
        "pnl_pool_tokens": _tokens(market.pnl_pool, spot_market),
        "fee_pool_tokens": _tokens(market.amm.fee_pool, spot_market),
        "amm_fee_pool_tokens": _tokens(market.amm.fee_pool, spot_market),
        "protocol_fee_pool_tokens": _tokens(market.protocol_fee_pool, spot_market),
        "revenue_pool_tokens": _tokens(spot_market.revenue_pool, spot_market),
        "pnl_pool_scaled": market.pnl_pool.scaled_balance,
        "protocol_fee_pool_scaled": market.protocol_fee_pool.scaled_balance,
        "revenue_pool_scaled": spot_market.revenue_pool.scaled_balance,
        "amm_fee_pool_scaled": market.amm.fee_pool.scaled_balance,
        "deposit_balance": spot_market.deposit_balance,
        "tfmd": market.amm.total_fee_minus_distributions,
    }


# --- the sweep -------------------------------------------------------------------------------------------------


def _sweep(inputs: Inputs) -> Found:
    """The floor is a value: open interest of that size at a price of 1, all of it kept."""
    market, spot_market = _make_market(inputs), _make_spot_market(inputs)
    market.bankruptcy_if_floor_pct = WHOLE
    market.amm.base_asset_amount_long = inputs.number("if_floor", 0)
    market.amm.historical_oracle_data.last_oracle_price_twap = ONE
    _fund(market.pnl_pool, spot_market, inputs.number("pnl_pool_tokens", 0))
    return _swept(inputs, market, spot_market, 0)


def _sweep_state(inputs: Inputs) -> Found:
    market, spot_market = _make_market(inputs), _make_spot_market(inputs)
    market.pnl_pool.scaled_balance = inputs.number("pnl_pool_scaled", 0)
    spot_market.deposit_balance = inputs.number("other_deposits_scaled", 0) + market.pnl_pool.scaled_balance
    return _swept(inputs, market, spot_market, inputs.number("now", 0))


def _swept(inputs: Inputs, market: PerpMarket, spot_market: SpotMarket, now: int) -> Found:
    net_user_pnl, force = inputs.number("net_user_pnl", 0), _flag(inputs, "force")
    floor = get_bankruptcy_if_floor(market)
    facts = SweepFacts()
    sweep_market_fees(market, spot_market, net_user_pnl, now, force, False, facts)
    return {
        "if_swept": facts.if_swept,
        "protocol_swept": facts.protocol_swept,
        "provision_tokenized": facts.amm_provision_tokenized,
        "if_floor_used": floor,
        **_pending(market),
        **_pools(market, spot_market),
    }


def _reset_period(inputs: Inputs) -> Found:
    market, spot_market = PerpMarket(rulebook=RULEBOOK_VELOCITY), SpotMarket(rulebook=RULEBOOK_VELOCITY)
    inputs.fill(market.insurance_claim)
    inputs.fill(spot_market.insurance_fund)
    reset_revenue_withdraw_for_new_period(market, spot_market, inputs.number("now", 0))
    return market.insurance_claim


def _reservation(inputs: Inputs) -> Found:
    market = _make_market(inputs)
    reservation = get_bankruptcy_if_tranche_reservation(market, _flag(inputs, "force"))
    return {"reservation": reservation, "floor": get_bankruptcy_if_floor(market)}


# --- settling with the pools -----------------------------------------------------------------------------------


def _update_pools(inputs: Inputs) -> Found:
    """Pools in scaled units are inside the deposits, those in tokens lie on top of them."""
    market, spot_market = _make_market(inputs), _make_spot_market(inputs)
    market.pnl_pool.scaled_balance = inputs.number("pnl_pool_scaled", 0)
    market.amm.total_fee_minus_distributions = inputs.number("tfmd", 0)
    for name in ("pending_protocol", "pending_if", "pending_provision"):
        inputs.ignore(name)
    inputs.ignore("pending_all")
    if "deposit_balance_start" in inputs:
        spot_market.deposit_balance = inputs.number("deposit_balance_start")
    for name, pool in (
        ("pnl_pool_tokens_before", market.pnl_pool),
        ("pnl_pool_tokens", market.pnl_pool),
        ("fee_pool_tokens", market.amm.fee_pool),
        ("revenue_pool_tokens", spot_market.revenue_pool),
    ):
        if name in inputs:
            _fund(pool, spot_market, inputs.number(name))
    user_tokens, claim = inputs.number("user_quote_tokens", 0), inputs.number("claimable_pnl", 0)
    net_user_pnl, now = inputs.number("net_user_pnl", 0), inputs.number("now", 0)
    facts, sweep = PoolUpdateFacts(), SweepFacts()
    settled = update_pool_balances(
        market, spot_market, user_tokens, claim, net_user_pnl, now, False, False, facts, sweep
    )
    return {"settled": settled, **_pending(market), **_pools(market, spot_market)}


def _settle_pnl(inputs: Inputs) -> Found:
    """The owner settles with every gate open: margin is met, the curve never moves, nobody else trades."""
    price = inputs.number("oracle_price", 0)
    quote = _make_spot_market(inputs)
    quote.deposit_balance = inputs.number("other_deposits_scaled", 0)
    user = User()
    position = user.perp_positions[0]
    position.base_asset_amount = inputs.number("base", 0)
    position.quote_asset_amount = inputs.number("quote_asset", 0)
    position.quote_entry_amount = inputs.number("quote_entry", 0)
    # these facts take the row as found, also an empty one: an order, which nothing here reads, keeps it in use
    position.open_orders = int(position.base_asset_amount == 0 and position.quote_asset_amount == 0)
    deposit = user.spot_positions[0]
    deposit.scaled_balance = get_spot_balance(inputs.number("user_deposit_tokens", 0), quote, DEPOSIT, False)
    quote.deposit_balance += deposit.scaled_balance
    market = _make_settled_market(inputs, price)
    _fund(market.pnl_pool, quote, inputs.number("pnl_pool_tokens", 0))
    _fund(market.amm.fee_pool, quote, inputs.number("amm_fee_pool_tokens", 0))
    _fund(market.protocol_fee_pool, quote, inputs.number("protocol_fee_pool_tokens", 0))
    _fund(quote.revenue_pool, quote, inputs.number("revenue_pool_tokens", 0))
    divergence = PriceDivergenceGuardRails(mark_oracle_percent_divergence=100_000)
    state = State(rulebook=RULEBOOK_VELOCITY, oracle_guard_rails=OracleGuardRails(price_divergence=divergence))
    oracles = [OraclePriceData(price=1_000_000, confidence=1), OraclePriceData(price=price, confidence=1)]
    settled = settle_pnl(
        user, 0, [quote], [market], oracles, state, 0, 0, MUST_SETTLE, 1, True, False, False, False, InterestFacts(),
        FundingPaymentFacts(), SettlePnlFacts(), SweepFacts(),
    )  # fmt: skip
    return {
        "settled": settled,
        "quote_asset": position.quote_asset_amount,
        "user_deposit_tokens": get_token_amount(deposit.scaled_balance, quote, deposit.balance_type),
        "user_is_borrow": int(deposit.balance_type == BORROW),
        "market_quote_asset": market.amm.quote_asset_amount,
        **_pending(market),
        **_pools(market, quote),
    }


def _make_settled_market(inputs: Inputs, price: int) -> PerpMarket:
    """A consistent market at the oracle's price. ``base_long`` is the open interest that the floor is taken of.

    Without a ``floor_pct`` there is no floor.
    """
    market = _make_market(inputs)
    if "floor_pct" not in inputs:
        market.bankruptcy_if_floor_pct = IF_FLOOR_OFF
    amm = market.amm
    amm.oracle_index = 1
    amm.order_step_size = 1
    amm.concentration_coef = 1_414_200
    amm.peg_multiplier = price or PEG_PRECISION
    amm.base_asset_reserve = amm.quote_asset_reserve = amm.sqrt_k = SQRT_K
    amm.base_asset_amount_with_amm = inputs.number("amm_base", 0)
    amm.quote_asset_amount = inputs.number("market_quote_asset", 0)
    amm.net_unsettled_funding_pnl = inputs.number("net_unsettled_funding", 0)
    # the other side is what the net position leaves; with fewer longs than the net position is short, the sides swap
    amm.base_asset_amount_short = amm.base_asset_amount_with_amm - amm.base_asset_amount_long
    if amm.base_asset_amount_with_amm < 0:
        amm.base_asset_amount_short = -amm.base_asset_amount_long
        amm.base_asset_amount_long += amm.base_asset_amount_with_amm
    amm.terminal_quote_asset_reserve = calculate_terminal_reserves(amm)[0]
    history = amm.historical_oracle_data
    history.last_oracle_price = history.last_oracle_price_twap = history.last_oracle_price_twap_5min = price
    market.number_of_users = 1
    return market


# --- revenue shares --------------------------------------------------------------------------------------------


def _payout(inputs: Inputs) -> Found:
    """Every row is a completed builder's; a fact that names only what is reserved has users who are owed that."""
    market, spot_market = _make_market(inputs), _make_spot_market(inputs)
    rows = inputs.numbers("rows")
    vault_owned = set(inputs.numbers("vault_owned"))
    if "pending_revenue_share_reduced_by" in inputs:
        market.pending_revenue_share = inputs.number("pending_revenue_share_reduced_by")
        vault_owned = set(range(len(rows)))
    amm = market.amm
    amm.base_asset_amount_with_amm = inputs.number("amm_base", 0)
    reserved = inputs.number("reserved", 0)
    told = any(name in inputs for name in ("amm_base", "market_quote_asset", "floor_pct", "pending_if"))
    amm.quote_asset_amount = inputs.number("market_quote_asset", 0 if told else reserved)
    _fund(market.pnl_pool, spot_market, inputs.number("pnl_pool_tokens", 0))
    reserve = revenue_share_reserve(market, inputs.number("price", 1_000_000))
    paid = 0
    for number, fees in enumerate(rows):
        row = RevenueShareRow(fees_accrued=fees, bit_flags=ROW_IN_USE | ROW_COMPLETED)
        owned = number in vault_owned
        if fees and settle_revenue_share_row(row, market, spot_market, reserve, owned, User()) == ROW_PAID:
            paid += fees
    return {
        "paid": paid,
        "pending_revenue_share": market.pending_revenue_share,
        "pnl_pool_tokens": _tokens(market.pnl_pool, spot_market),
    }


ADAPTERS: dict[str, Adapter] = {
    "sweep_market_fees": _sweep,
    "sweep_market_fees_state": _sweep_state,
    "reset_revenue_withdraw_for_new_period": _reset_period,
    "bankruptcy_if_tranche_reservation": _reservation,
    "update_pool_balances": _update_pools,
    "update_pool_balances_state": _update_pools,
    "update_pool_balances_chained": _update_pools,
    "update_pool_balances_no_revenue_topup": _update_pools,
    "settle_pnl": _settle_pnl,
    "settle_pnl: negative": _settle_pnl,
    "settle_pnl: positive more than pool": _settle_pnl,
    "settle_pnl: positive less than pool": _settle_pnl,
    "settle_pnl: loss never tops up the AMM fee pool": _settle_pnl,
    "settle_pnl: existing AMM fee pool untouched": _settle_pnl,
    "settle_pnl: long, realized part limits the claim": _settle_pnl,
    "settle_pnl_with_sweep": _settle_pnl,
    "revenue_share_payout": _payout,
    "reserve positive user pnl": _payout,
    "same row at lower price": _payout,
    "reserve the bankruptcy IF tranche": _payout,
    "floor off": _payout,
    "reservation holds across rows": _payout,
    "vault-owned beneficiary forfeits": _payout,
}
