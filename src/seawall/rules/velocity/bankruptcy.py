"""Bankruptcies of perp debts: the estate, then insurance's pending fees, the fund, the AMM's provision, everybody.

Source: velocity/solvency.md §5; ``controller/liquidation/perp_bankruptcy.rs``.
"""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX, sub_checked, sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.rules.common.balances import transfer_between_pools
from seawall.rules.common.bankruptcy import clear_perp_debt, spread_perp_loss, use_insurance_allowance
from seawall.rules.common.perp_positions import get_perp_position_index
from seawall.rules.common.pools import get_pool_token_amount
from seawall.rules.velocity.amm_books import record_amm_pnl
from seawall.rules.velocity.bankruptcy_predicates import has_realizable_assets, is_scope_insolvent
from seawall.rules.velocity.estate import forfeit_claims, get_deposit_token_amount, recover_claims, set_off_deposit
from seawall.rules.velocity.fee_ledger import consume_amm_backstop, consume_pending_amm_provision, consume_pending_if
from seawall.rules.velocity.funding import pay_amm_funding, stamp_amm_funding
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest
from seawall.rules.velocity.isolated import CROSS, scope_of
from seawall.rules.velocity.margin import calculate_margin
from seawall.rules.velocity.receivable import get_revenue_receivable, pay_pool_from_insurance
from seawall.rules.velocity.user_status import (
    enter_bankruptcy,
    exit_bankruptcy,
    is_bankrupt,
    is_being_liquidated,
    is_scope_bankrupt,
)
from seawall.state.enums import EXCHANGE_FUNDING_PAUSED, MARGIN_MAINTENANCE, PERP_LIQUIDATION
from seawall.state.exchange import State
from seawall.state.facts import (
    BANKRUPTCY_COVERED_BY_SET_OFF,
    BANKRUPTCY_UNLATCHED,
    BankruptcyFacts,
    InterestFacts,
    MarginCalculation,
)
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

# --- the latch -------------------------------------------------------------------------------------------------


@rule
def admit_to_bankruptcy(user: User, row: int, spot_markets: list[SpotMarket]) -> None:
    """Latch a scope that has only debts left; ``UserNotBankrupt`` for one that has not and is not latched.

    Source: velocity/solvency.md §5.2 A, B; §6 step 1.
    """
    if not is_scope_bankrupt(user, row) and is_scope_insolvent(user, row, spot_markets):
        enter_bankruptcy(user, row)
    if not is_scope_bankrupt(user, row):
        raise SettlementError(ErrorCode.UserNotBankrupt)


@rule
def validate_liquidator(liquidator: User) -> None:
    """No part of the liquidator may be in trouble: ``UserBankrupt``, ``UserIsBeingLiquidated``."""
    if is_bankrupt(liquidator):
        raise SettlementError(ErrorCode.UserBankrupt)
    if is_being_liquidated(liquidator):
        raise SettlementError(ErrorCode.UserIsBeingLiquidated)


@rule
def unlatch_if_realizable(user: User, row: int, spot_markets: list[SpotMarket], facts: BankruptcyFacts) -> bool:
    """A scope that still has something to seize leaves bankruptcy: ordinary liquidation goes on, nobody else pays.

    Source: velocity/solvency.md §5.2 E; §6 step 3.
    """
    if not has_realizable_assets(user, row, spot_markets):
        return False
    exit_bankruptcy(user, row)
    facts.outcome = BANKRUPTCY_UNLATCHED
    return True


@rule
def leave_bankruptcy_if_solvent(user: User, row: int, spot_markets: list[SpotMarket], facts: BankruptcyFacts) -> None:
    """A scope without debts is no longer bankrupt; any other debt of it keeps it so. Source: §5.2 N; §6 step 15."""
    facts.still_bankrupt = is_scope_insolvent(user, row, spot_markets)
    if not facts.still_bankrupt:
        exit_bankruptcy(user, row)


@rule
def note_margin(
    user: User,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    calculation: MarginCalculation,
) -> None:
    """The maintenance margin that the event reports; its errors count. Source: velocity/solvency.md §5.2 H."""
    calculate_margin(
        user, spot_markets, perp_markets, oracles, state, MARGIN_MAINTENANCE, MARGIN_MAINTENANCE, -1,
        MARGIN_MAINTENANCE, False, 0, calculation,
    )  # fmt: skip


# --- the tranches ----------------------------------------------------------------------------------------------


@rule
def pay_from_pending_if_fee(market: PerpMarket, facts: BankruptcyFacts) -> None:
    """Insurance's pending cut pays first: the counter falls, its tokens lie in the P&L pool already.

    Source: velocity/solvency.md §5.2 I.
    """
    facts.pending_if_fee = market.fee_ledger.pending_if_fee
    facts.pending_if_payment = min(facts.loss, facts.pending_if_fee)
    consume_pending_if(market.fee_ledger, facts.pending_if_payment)


@rule
def pay_from_insurance_fund(
    market: PerpMarket,
    spot_market: SpotMarket,
    oracle: OraclePriceData,
    insurance_vault_amount: int,
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> None:
    """The insurance fund pays into the P&L pool within the market's lifetime allowance; interest accrues on the way.

    It accrues even where nothing is paid. What the fund is owed pays before its vault. ``MathError``.
    Source: velocity/solvency.md §5.2 J; velocity/insurance.md §9.
    """
    facts.receivable = get_revenue_receivable(spot_market)
    # the fund's vault always keeps a unit
    available = facts.receivable + sub_saturating(insurance_vault_amount, 1)
    payment = use_insurance_allowance(market, facts.loss - facts.pending_if_payment, available, facts)
    update_spot_market_cumulative_interest(spot_market, oracle, now, funding_paused, interest)
    facts.vault_payment = pay_pool_from_insurance(payment, spot_market, market.pnl_pool)


@rule
def claw_back_provision(market: PerpMarket, spot_market: SpotMarket, facts: BankruptcyFacts) -> None:
    """The AMM gives back what fees it was granted: first what is not tokenised yet, then tokens of its fee pool.

    Its books bear both; the fee pool's tokens move to the P&L pool. Never more than was granted.
    Source: velocity/solvency.md §5.2 K.
    """
    ledger = market.fee_ledger
    amm = market.amm
    facts.amm_backstop = ledger.amm_protocol_fees_received
    facts.pending_amm_provision = ledger.pending_amm_provision
    facts.fee_pool = get_pool_token_amount(amm.fee_pool, spot_market)
    left = facts.loss - facts.pending_if_payment - facts.insurance_payment
    due = min(left, facts.amm_backstop)
    untokenized = min(due, facts.pending_amm_provision)
    consume_pending_amm_provision(ledger, untokenized)
    tokenized = min(due - untokenized, facts.fee_pool)
    transfer_between_pools(tokenized, spot_market, amm.fee_pool, market.pnl_pool)
    consume_amm_backstop(ledger, untokenized + tokenized)
    record_amm_pnl(amm, -untokenized - tokenized)
    facts.untokenized_payment = untokenized
    facts.fee_pool_payment = tokenized


@rule
def socialize_perp_loss(market: PerpMarket, facts: BankruptcyFacts) -> None:
    """Both sides bear the rest in proportion to their base, at their next funding settlement; the AMM does not.

    Where nothing is left open interest is not asked for. ``CantResolvePerpBankruptcy``, ``CastingFailure`` where the
    rates leave i64.
    Source: velocity/solvency.md §5.2 L.
    """
    paid = facts.pending_if_payment + facts.insurance_payment + facts.untokenized_payment + facts.fee_pool_payment
    facts.socialized_loss = facts.loss - paid
    if facts.socialized_loss == 0:
        return
    amm = market.amm
    pay_amm_funding(amm)
    spread_perp_loss(amm, facts.socialized_loss, facts)
    amm.net_unsettled_funding_pnl -= facts.socialized_loss
    stamp_amm_funding(amm)


# --- the resolution --------------------------------------------------------------------------------------------


@rule
def liquidate_estate(
    user: User,
    position_row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> None:
    """Cross margin's own means pay first: claims that other markets can pay, then the quote deposit.

    What the deposit covers already is not collected. An isolated position's debt is not theirs.
    Source: velocity/solvency.md §5.2 C, D.
    """
    position = user.perp_positions[position_row]
    if facts.row != CROSS or position.quote_asset_amount >= 0:
        return
    quote_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    cap = -position.quote_asset_amount - get_deposit_token_amount(user, quote_market)
    recover_claims(user, cap, quote_market, perp_markets, now, funding_paused, interest, facts)
    oracle = oracles[quote_market.oracle_index]
    update_spot_market_cumulative_interest(quote_market, oracle, now, funding_paused, interest)
    set_off_deposit(user, position_row, perp_markets[position.market_index], quote_market, facts)


@rule
def pay_perp_loss(
    user: User,
    position_row: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    insurance_vault_amount: int,
    now: int,
    funding_paused: bool,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> None:
    """Everybody pays for ``facts.loss`` in order, and the position owes nothing any more.

    Source: velocity/solvency.md §5.2 I-M.
    """
    position = user.perp_positions[position_row]
    market = perp_markets[position.market_index]
    quote_market = spot_markets[QUOTE_SPOT_MARKET_INDEX]
    oracle = oracles[quote_market.oracle_index]
    pay_from_pending_if_fee(market, facts)
    pay_from_insurance_fund(market, quote_market, oracle, insurance_vault_amount, now, funding_paused, interest, facts)
    claw_back_provision(market, quote_market, facts)
    socialize_perp_loss(market, facts)
    clear_perp_debt(user, position, market, facts)


@rule
def resolve_perp_bankruptcy(
    user: User,
    liquidator: User,
    market_index: int,
    spot_markets: list[SpotMarket],
    perp_markets: list[PerpMarket],
    oracles: list[OraclePriceData],
    state: State,
    insurance_vault_amount: int,
    now: int,
    calculation: MarginCalculation,
    interest: InterestFacts,
    facts: BankruptcyFacts,
) -> int:
    """Clear a bankrupt scope's perp debt; the tokens (quote 1e6) to move out of the insurance fund's vault.

    Where the estate turns out to have something to seize, or pays all itself, nobody else pays (``facts.outcome``). In
    order: ``UserNotBankrupt``, ``UserBankrupt``, ``UserIsBeingLiquidated``, ``InvalidLiquidation`` (paused),
    ``UserHasNoPositionInMarket``, ``InvalidPerpPositionToLiquidate`` (no debt), the margin's, ``MathError``,
    ``CantResolvePerpBankruptcy``, ``CastingFailure``. Source: velocity/solvency.md §5.2;
    ``controller/liquidation/perp_bankruptcy.rs::resolve_perp_bankruptcy``.
    """
    facts.row = scope_of(user, market_index)
    admit_to_bankruptcy(user, facts.row, spot_markets)
    validate_liquidator(liquidator)
    if perp_markets[market_index].paused_operations & PERP_LIQUIDATION != 0:
        raise SettlementError(ErrorCode.InvalidLiquidation)
    # kept from here on: a row that owes nothing any more is no longer found by its market
    position_row = get_perp_position_index(user, market_index)
    position = user.perp_positions[position_row]
    funding_paused = state.exchange_status & EXCHANGE_FUNDING_PAUSED != 0
    liquidate_estate(user, position_row, spot_markets, perp_markets, oracles, now, funding_paused, interest, facts)
    if unlatch_if_realizable(user, facts.row, spot_markets, facts):
        return 0
    if position.quote_asset_amount == 0:
        facts.outcome = BANKRUPTCY_COVERED_BY_SET_OFF
        leave_bankruptcy_if_solvent(user, facts.row, spot_markets, facts)
        return 0
    if position.quote_asset_amount > 0:
        raise SettlementError(ErrorCode.InvalidPerpPositionToLiquidate)
    facts.loss = -position.quote_asset_amount
    forfeit_claims(user, facts.loss, spot_markets[QUOTE_SPOT_MARKET_INDEX], perp_markets, facts)
    note_margin(user, spot_markets, perp_markets, oracles, state, calculation)
    pay_perp_loss(
        user, position_row, spot_markets, perp_markets, oracles, insurance_vault_amount, now, funding_paused, interest,
        facts,
    )  # fmt: skip
    leave_bankruptcy_if_solvent(user, facts.row, spot_markets, facts)
    facts.liquidation_id = sub_checked(user.next_liquidation_id, 1)
    return facts.vault_payment
