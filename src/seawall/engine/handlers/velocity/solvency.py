"""P&L deficits and bankruptcies under Velocity: the estate first, then insurance and the AMM, then everybody."""

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer
from seawall.engine.gates import is_paused, require_solvency_repair
from seawall.engine.handlers.associated_spot import require_backstop, swap_associated_spot
from seawall.engine.handlers.liquidation_record import emit_liquidation
from seawall.engine.handlers.revenue import emit_insurance_fund
from seawall.engine.handlers.solvency import (
    account_name,
    deficit_waterfall,
    funding_rates,
    note_limits,
    parties,
    pay_from_insurance_fund,
    rate_changes,
    require_quote_market,
    taken_by_rates,
)
from seawall.engine.handlers.velocity.revenue import attempt_settle_revenue
from seawall.engine.handlers.velocity.solvency_refusals import explain_bankruptcy, explain_deficit
from seawall.engine.interest import emit_interest
from seawall.engine.receipts import Cap, EstateStep, IndexChange, Source, Waterfall
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot
from seawall.instructions.base import Instruction
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.velocity.bankruptcy import resolve_perp_bankruptcy
from seawall.rules.velocity.bankruptcy_predicates import is_settled_positive_claim
from seawall.rules.velocity.deficit import (
    resolve_perp_pnl_deficit,
    validate_market_for_deficit,
    validate_quote_sources_exhausted,
)
from seawall.rules.velocity.isolated import CROSS
from seawall.rules.velocity.receivable import get_insurance_fund_nav
from seawall.rules.velocity.revenue import record_insurance_fund_outflow
from seawall.rules.velocity.spot_bankruptcy import resolve_spot_bankruptcy
from seawall.state.enums import DEPOSIT, EXCHANGE_FUNDING_PAUSED
from seawall.state.facts import (
    BANKRUPTCY_COVERED_BY_SET_OFF,
    BANKRUPTCY_RESOLVED,
    BANKRUPTCY_UNLATCHED,
    BankruptcyFacts,
    InterestFacts,
    MarginCalculation,
    PnlDeficitFacts,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket
from seawall.state.user import User

_OUTCOMES = {
    BANKRUPTCY_RESOLVED: "resolved",
    BANKRUPTCY_COVERED_BY_SET_OFF: "covered_by_set_off",
    BANKRUPTCY_UNLATCHED: "unlatched",
}


def settle_revenue_first(tx: Transaction, market_index: int) -> int:
    """Settle revenue where it is due, so that it counts as insurance, and check the vault; the tokens settled."""
    settled = attempt_settle_revenue(tx, market_index)
    validate_spot_market_vault_amount(tx.spot_market(market_index), tx.vaults(market_index).spot_vault)
    return settled


# --- deficits --------------------------------------------------------------------------------------------------


def resolve_deficit(tx: Transaction, ix: ResolvePerpPnlDeficit) -> None:
    """Settle revenue that is due, then draw; the AMM must have been refreshed in this slot by somebody else.

    Errors: ``ExchangePaused``, ``FailedUnwrap``, ``InvalidSpotMarketAccount``, ``SpotMarketVaultInvariantViolated``
    and those of the rules ``validate_market_for_deficit`` and ``resolve_perp_pnl_deficit``.
    Source: velocity/solvency.md §4; ``keeper/bankruptcy.rs::handle_resolve_perp_pnl_deficit``.
    """
    require_solvency_repair(tx)
    require_quote_market(ix.spot_market_index)
    index = ix.perp_market_index
    market = tx.write_perp_market(index)
    settled = settle_revenue_first(tx, QUOTE_SPOT_MARKET_INDEX)
    spot_market = tx.write_quote_market()
    vaults = tx.vaults(QUOTE_SPOT_MARKET_INDEX)
    spot_vault, insurance_vault = vaults.spot_vault, vaults.insurance_fund_vault
    nav = get_insurance_fund_nav(spot_market, insurance_vault)
    interest, facts = InterestFacts(), PnlDeficitFacts()
    try:
        validate_market_for_deficit(market, tx.state.oracle_guard_rails, tx.perp_oracle(index), tx.now, tx.slot)
        payment = resolve_perp_pnl_deficit(
            insurance_vault, market, spot_market, tx.now, is_paused(tx, EXCHANGE_FUNDING_PAUSED), interest, facts
        )
    except SettlementError as error:
        raise explain_deficit(tx, market, error.code, facts) from error
    emit_interest(tx, interest)
    shares = spot_market.insurance_fund.total_shares
    emit_insurance_fund(tx, QUOTE_SPOT_MARKET_INDEX, index, -facts.drawn, spot_vault, insurance_vault, shares, shares)
    if payment > 0:
        tx.draw_tokens_from_insurance_fund(QUOTE_SPOT_MARKET_INDEX, payment)
    record_insurance_fund_outflow(spot_market, nav, facts.drawn)
    tx.waterfall = deficit_waterfall(index, insurance_vault, settled, facts, facts.drawn)
    note_limits(tx, tx.waterfall)


def resolve_with_associated_spot(tx: Transaction, ix: ResolveWithAssociatedSpot) -> None:
    """Book a swap of the associated spot market's tokens to quote, for a market that quote cannot help any more.

    As the resolvers, it waits for a refreshed AMM instead of refreshing it. ``UnsupportedInstruction``,
    ``ExchangePaused``, ``FailedUnwrap``, ``AssociatedSpotNotSet``, ``InvalidOracle``, those of the rules
    ``validate_market_for_deficit``, ``validate_quote_sources_exhausted`` and ``draw_on_associated_spot``,
    ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``. Source: spec/README, ``associated_spot_backstop``.
    """
    tx.require_admin()
    require_backstop(tx)
    require_solvency_repair(tx)
    market = tx.write_perp_market(ix.perp_market_index)
    spot_index = tx.write_associated_spot(ix.perp_market_index).spot_market_index
    settled = settle_revenue_first(tx, QUOTE_SPOT_MARKET_INDEX)
    vault_before = tx.vaults(spot_index).insurance_fund_vault
    nav = get_insurance_fund_nav(tx.spot_market(spot_index), vault_before)
    swap_associated_spot(tx, ix, market, settled, _require_deficit)
    paid = vault_before - tx.vaults(spot_index).insurance_fund_vault
    if paid > 0:
        record_insurance_fund_outflow(tx.write_spot_market(spot_index), nav, paid)


def _require_deficit(tx: Transaction, market: PerpMarket, quote_market: SpotMarket, facts: PnlDeficitFacts) -> None:
    """The deficit of a market that nothing in quote can help; what it refuses explains itself but for that."""
    vault = tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault
    draw_for_pnl = tx.config.revenue_pool_draw_for_pnl
    oracle = tx.perp_oracle(market.market_index)
    try:
        validate_market_for_deficit(market, tx.state.oracle_guard_rails, oracle, tx.now, tx.slot)
        validate_quote_sources_exhausted(vault, market, quote_market, draw_for_pnl, facts)
    except SettlementError as error:
        if error.code == ErrorCode.QuoteSourcesNotExhausted:
            raise
        raise explain_deficit(tx, market, error.code, facts) from error


# --- bankruptcies ----------------------------------------------------------------------------------------------


class _Claims:
    """What other markets owed a bankrupt account before its estate was looked at."""

    def __init__(self, tx: Transaction, user: User) -> None:
        """Check out every market of a claim for writing: each may pay it, or take it over."""
        self._user = user
        self._before = [
            (row, tx.write_perp_market(position.market_index), position.quote_asset_amount)
            for row, position in enumerate(user.perp_positions)
            if is_settled_positive_claim(position)
        ]
        self._pending = [market.fee_ledger.pending_if_fee for _, market, _ in self._before]

    def steps(self, facts: BankruptcyFacts, market_index: int | None) -> list[EstateStep]:
        """What became of the estate: claims recovered, the deposit set off in ``market_index``, claims forfeited."""
        account = account_name(self._user)
        recovered, forfeited = [], []
        for (row, market, claim), pending in zip(self._before, self._pending, strict=True):
            name = f"perp_market.{market.market_index}"
            given_up = market.fee_ledger.pending_if_fee - pending
            paid = claim - given_up - self._user.perp_positions[row].quote_asset_amount
            if paid:
                recovered.append(EstateStep("recovered", paid, f"{name}.pnl_pool", account))
            if given_up:
                forfeited.append(EstateStep("forfeited", given_up, account, f"{name}.pending_if_fee"))
        set_off = []
        if facts.set_off:
            set_off = [EstateStep("set_off", facts.set_off, account, f"perp_market.{market_index}.pnl_pool")]
        return recovered + set_off + forfeited


def resolve_perp(tx: Transaction, ix: ResolvePerpBankruptcy) -> None:
    """Settle revenue that is due, then clear the debt of cross margin or of an isolated position.

    Where the estate pays all, or has something to seize yet, there is no event. Errors: ``FailedUnwrap``,
    ``ExchangePaused``, ``UserCantLiquidateThemself``, ``InvalidSpotMarketAccount``,
    ``SpotMarketVaultInvariantViolated``, those of the rule ``resolve_perp_bankruptcy``.
    Source: velocity/solvency.md §5.1; ``keeper/bankruptcy.rs::handle_resolve_perp_bankruptcy``.
    """
    user, liquidator = parties(tx, ix, require_solvency_repair)
    require_quote_market(ix.quote_spot_market_index)
    index = ix.market_index
    market = tx.write_perp_market(index)
    claims = _Claims(tx, user)
    settled = settle_revenue_first(tx, QUOTE_SPOT_MARKET_INDEX)
    quote_market = tx.write_quote_market()
    insurance_vault = tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault
    nav = get_insurance_fund_nav(quote_market, insurance_vault)
    rates = funding_rates(market.amm)
    calculation, interest, facts = MarginCalculation(), InterestFacts(), BankruptcyFacts()
    try:
        payment = resolve_perp_bankruptcy(
            user, liquidator, index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, insurance_vault, tx.now,
            calculation, interest, facts,
        )  # fmt: skip
    except SettlementError as error:
        raise explain_bankruptcy(tx, ix, error.code, facts) from error
    emit_interest(tx, interest)
    if facts.outcome == BANKRUPTCY_RESOLVED:
        margin = calculation if facts.row == CROSS else calculation.isolated[facts.row]
        emit_liquidation(
            tx, "perp_bankruptcy", user, liquidator, margin, facts.liquidation_id, bankrupt=facts.still_bankrupt,
            bit_flags=int(facts.row != CROSS), market_index=index, pnl=-facts.loss, if_payment=facts.insurance_payment,
            cumulative_funding_rate_delta=facts.cumulative_delta,
        )  # fmt: skip
    record_insurance_fund_outflow(quote_market, nav, facts.insurance_payment)
    pay_from_insurance_fund(tx, QUOTE_SPOT_MARKET_INDEX, payment)
    taken = taken_by_rates(market.amm, facts.cumulative_delta)
    tx.waterfall = Waterfall(
        kind="perp_bankruptcy",
        market_index=QUOTE_SPOT_MARKET_INDEX,
        perp_market_index=index,
        account=account_name(user),
        loss=facts.loss,
        revenue_settled=settled,
        sources=_perp_sources(index, insurance_vault, facts) if facts.loss else [],
        socialised=facts.socialized_loss,
        indices=rate_changes(market.amm, rates) if facts.loss else [],
        rounding=facts.socialized_loss - taken,
        estate=claims.steps(facts, index),
        outcome=_OUTCOMES[facts.outcome],
    )
    note_limits(tx, tx.waterfall)


def _perp_sources(market_index: int, insurance_vault: int, facts: BankruptcyFacts) -> list[Source]:
    """Who paid for a perp debt, in order."""
    name = f"perp_market.{market_index}"
    pool = f"{name}.pnl_pool"
    backstop = facts.amm_backstop - facts.untokenized_payment
    return [
        Source(
            f"{name}.pending_if_fee",
            facts.pending_if_fee,
            [Cap("pending_if_fee", facts.pending_if_fee)],
            facts.pending_if_payment,
            pool,
        ),
        *_insurance_sources(
            QUOTE_SPOT_MARKET_INDEX, insurance_vault, facts, pool, [Cap("quote_max_insurance", facts.insurance_room)]
        ),
        Source(
            f"{name}.pending_amm_provision",
            facts.pending_amm_provision,
            [
                Cap("amm_protocol_fees_received", facts.amm_backstop),
                Cap("pending_amm_provision", facts.pending_amm_provision),
            ],
            facts.untokenized_payment,
            pool,
        ),
        Source(
            f"{name}.fee_pool",
            facts.fee_pool,
            [Cap("amm_protocol_fees_received", backstop), Cap("fee_pool", facts.fee_pool)],
            facts.fee_pool_payment,
            pool,
        ),
    ]


def _insurance_sources(
    spot_market_index: int, insurance_vault: int, facts: BankruptcyFacts, paid_to: str, caps: list[Cap]
) -> list[Source]:
    """The insurance fund: what it is owed where that is anything, then its vault; ``caps`` bind both together."""
    from_receivable = facts.insurance_payment - facts.vault_payment
    found = []
    if facts.receivable:
        name = f"spot_market.{spot_market_index}.revenue_receivable"
        held = facts.receivable
        found = [Source(name, held, [*caps, Cap("revenue_receivable", held)], from_receivable, paid_to)]
        caps = [Cap(cap.name, cap.value - from_receivable) for cap in caps]
    available = facts.insurance_available - facts.receivable
    vault_cap = Cap("insurance_fund_vault", available)
    return [*found, Source("insurance_fund", insurance_vault, [*caps, vault_cap], facts.vault_payment, paid_to)]


def resolve_spot(tx: Transaction, ix: ResolveSpotBankruptcy) -> None:
    """Settle revenue that is due, then clear the borrow; perp debts must have been cleared before.

    Where the account has something to seize yet there is no event. Errors: ``FailedUnwrap``, ``ExchangePaused``,
    ``UserCantLiquidateThemself``, ``SpotMarketVaultInvariantViolated``, those of the rule ``resolve_spot_bankruptcy``.
    Source: velocity/solvency.md §6; ``keeper/bankruptcy.rs::handle_resolve_spot_bankruptcy``.
    """
    user, liquidator = parties(tx, ix, require_solvency_repair)
    index = ix.market_index
    tx.write_quote_market()
    spot_market = tx.write_spot_market(index)
    claims = _Claims(tx, user)
    settled = settle_revenue_first(tx, index)
    insurance_vault = tx.vaults(index).insurance_fund_vault
    nav = get_insurance_fund_nav(spot_market, insurance_vault)
    calculation, facts = MarginCalculation(), BankruptcyFacts()
    quote_interest, interest = InterestFacts(), InterestFacts()
    try:
        payment = resolve_spot_bankruptcy(
            user, liquidator, index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, insurance_vault, tx.now,
            calculation, quote_interest, interest, facts,
        )  # fmt: skip
    except SettlementError as error:
        raise explain_bankruptcy(tx, ix, error.code, facts) from error
    emit_interest(tx, quote_interest)
    emit_interest(tx, interest)
    if facts.outcome == BANKRUPTCY_RESOLVED:
        emit_liquidation(
            tx, "spot_bankruptcy", user, liquidator, calculation, facts.liquidation_id, bankrupt=facts.still_bankrupt,
            bit_flags=0, market_index=index, borrow_amount=facts.loss, if_payment=facts.insurance_payment,
            cumulative_deposit_interest_delta=facts.cumulative_delta,
        )  # fmt: skip
    record_insurance_fund_outflow(spot_market, nav, facts.insurance_payment)
    pay_from_insurance_fund(tx, index, payment)
    tx.waterfall = _spot_waterfall(tx, user, spot_market, insurance_vault, settled, claims, facts)
    note_limits(tx, tx.waterfall)


def _spot_waterfall(
    tx: Transaction,
    user: User,
    spot_market: SpotMarket,
    insurance_vault: int,
    settled: int,
    claims: _Claims,
    facts: BankruptcyFacts,
) -> Waterfall:
    """Who paid for a borrow, in order; what the index could not take is borne by nobody yet."""
    index = spot_market.market_index
    vault = f"spot_market.{index}.spot_vault"
    after = spot_market.cumulative_deposit_interest
    before = after + facts.cumulative_delta
    taken = _deposits(spot_market, before) - _deposits(spot_market, after)
    # the index always keeps a unit: a loss of all deposits and more is not borne in full
    clamped = facts.socialized_loss > taken
    socialised = taken if clamped else facts.socialized_loss
    pool = Source(
        f"spot_market.{index}.revenue_pool",
        facts.revenue_pool,
        [Cap("revenue_pool", facts.revenue_pool)],
        facts.revenue_pool_payment,
        vault,
    )
    return Waterfall(
        kind="spot_bankruptcy",
        market_index=index,
        perp_market_index=None,
        account=account_name(user),
        loss=facts.loss,
        revenue_settled=settled,
        sources=[pool, *_insurance_sources(index, insurance_vault, facts, vault, [])] if facts.loss else [],
        socialised=socialised,
        uncovered=facts.socialized_loss - socialised,
        indices=[IndexChange("cumulative_deposit_interest", before, after)] if facts.loss else [],
        rounding=socialised - taken,
        estate=claims.steps(facts, None),
        outcome=_OUTCOMES[facts.outcome],
    )


def _deposits(spot_market: SpotMarket, index: int) -> int:
    """What all deposits of a market are worth at a deposit index."""
    market = spot_market.copy()
    market.cumulative_deposit_interest = index
    return get_token_amount(market.deposit_balance, market, DEPOSIT)


HANDLERS: dict[type[Instruction], Handler] = {
    ResolvePerpPnlDeficit: resolve_deficit,
    ResolveWithAssociatedSpot: resolve_with_associated_spot,
    ResolvePerpBankruptcy: resolve_perp,
    ResolveSpotBankruptcy: resolve_spot,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
