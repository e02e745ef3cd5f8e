"""A perp market in deficit, helped by the spot market of its own underlying."""

from collections.abc import Callable

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused, required
from seawall.engine.handlers.amm import refresh_amm
from seawall.engine.handlers.pnl_refusals import quote
from seawall.engine.handlers.revenue import emit_insurance_fund
from seawall.engine.handlers.solvency import settle_revenue_first
from seawall.engine.handlers.solvency_refusals import explain_deficit
from seawall.engine.interest import accrue
from seawall.engine.receipts import Cap, Source, Waterfall
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.associated_spot import ResolveWithAssociatedSpot, UpdatePerpMarketAssociatedSpot
from seawall.instructions.base import Instruction
from seawall.rules.common.associated_spot import draw_on_associated_spot
from seawall.rules.common.deficit import pay_into_pnl_pool
from seawall.rules.common.margin import spot_oracle_valid
from seawall.rules.common.token_values import get_token_value
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.drift.deficit import validate_market_for_deficit, validate_quote_sources_exhausted
from seawall.state.enums import EXCHANGE_WITHDRAW_PAUSED, RULEBOOK_VELOCITY, STATUS_INITIALIZED
from seawall.state.facts import AssociatedSpotFacts, PnlDeficitFacts
from seawall.state.perp_market import AssociatedSpot, PerpMarket
from seawall.state.spot_market import SpotMarket


def require_backstop(tx: Transaction) -> None:
    """``UnsupportedInstruction`` in a venue without the parameter ``associated_spot_backstop``."""
    if not tx.config.associated_spot_backstop:
        raise SettlementError(
            ErrorCode.UnsupportedInstruction, "this venue runs without the parameter associated_spot_backstop"
        )


def update_associated_spot(tx: Transaction, ix: UpdatePerpMarketAssociatedSpot) -> None:
    """Name what backs a perp market. ``UnsupportedInstruction``, ``PerpMarketNotFound``, ``SpotMarketNotFound``,
    ``DefaultError`` for a market that was never active or a period of 0.
    """
    tx.require_admin()
    require_backstop(tx)
    perp_market = tx.perp_market(ix.perp_market_index)
    spot_market = tx.spot_market(ix.spot_market_index)
    with required("both markets have been active, and period > 0"):
        if STATUS_INITIALIZED in (perp_market.status, spot_market.status) or ix.period <= 0:
            raise SettlementError(ErrorCode.DefaultError)
    tx.set_associated_spot(
        AssociatedSpot(
            perp_market_index=ix.perp_market_index,
            spot_market_index=ix.spot_market_index,
            max_withdraw_per_period=ix.max_withdraw_per_period,
            period=ix.period,
            period_start_ts=tx.now,
        )
    )


def resolve_with_associated_spot(tx: Transaction, ix: ResolveWithAssociatedSpot) -> None:
    """Book a swap of the associated spot market's tokens to quote, for a market that quote cannot help any more.

    ``UnsupportedInstruction``, ``ExchangePaused``, ``AssociatedSpotNotSet``, ``InvalidOracle``, those of the rules
    ``validate_market_for_deficit``, ``validate_quote_sources_exhausted`` and ``draw_on_associated_spot``,
    ``TokenInsufficientFunds``, ``SpotMarketVaultInvariantViolated``.
    """
    tx.require_admin()
    require_backstop(tx)
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    market = refresh_amm(tx, ix.perp_market_index)
    tx.write_associated_spot(ix.perp_market_index)
    settled = settle_revenue_first(tx, QUOTE_SPOT_MARKET_INDEX)
    swap_associated_spot(tx, ix, market, settled, _require_deficit)


def _require_deficit(tx: Transaction, market: PerpMarket, quote_market: SpotMarket, facts: PnlDeficitFacts) -> None:
    """The deficit of a market that nothing in quote can help; what it refuses explains itself but for that."""
    vault = tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault
    price = tx.perp_oracle(market.market_index).price
    try:
        validate_market_for_deficit(market, tx.state.oracle_guard_rails, price, tx.now, tx.slot)
        validate_quote_sources_exhausted(vault, market, quote_market, facts)
    except SettlementError as error:
        if error.code == ErrorCode.QuoteSourcesNotExhausted:
            raise
        raise explain_deficit(tx, market, error.code, facts) from error


DeficitCheck = Callable[[Transaction, PerpMarket, SpotMarket, PnlDeficitFacts], None]
"""Requires that a perp market is in deficit and that nothing in quote can help it, and notes how much that is."""


def swap_associated_spot(
    tx: Transaction, ix: ResolveWithAssociatedSpot, market: PerpMarket, settled: int, require_deficit: DeficitCheck
) -> None:
    """What both rulebooks do once the market is looked at and revenue is settled: accrue, check, swap, tell.

    ``settled``: the revenue that reached the quote market's insurance fund just before.
    """
    index = ix.perp_market_index
    associated = tx.write_associated_spot(index)
    quote_market, spot_market = tx.write_quote_market(), tx.write_spot_market(associated.spot_market_index)
    accrue(tx, QUOTE_SPOT_MARKET_INDEX, False)
    accrue(tx, spot_market.market_index, True)
    deficit = PnlDeficitFacts()
    try:
        require_deficit(tx, market, quote_market, deficit)
    except SettlementError as error:
        if error.code != ErrorCode.QuoteSourcesNotExhausted:
            raise
        raise _not_exhausted(tx, market, deficit) from error
    facts = _draw(tx, ix, associated, spot_market, deficit)
    pay_into_pnl_pool(ix.quote_amount, market, quote_market)
    _swap(tx, ix, spot_market, facts)
    tx.emit(
        "AssociatedSpotRecord",
        ts=tx.now,
        perp_market_index=index,
        spot_market_index=associated.spot_market_index,
        revenue_pool_amount=facts.revenue_payment,
        insurance_fund_amount=facts.insurance_payment,
        oracle_price=tx.spot_oracle(associated.spot_market_index).price,
        quote_amount=ix.quote_amount,
        withdrawn_in_period=associated.withdrawn_in_period,
        max_withdraw_per_period=associated.max_withdraw_per_period,
    )
    tx.waterfall = _waterfall(tx, ix, spot_market, settled, deficit, facts)


def _not_exhausted(tx: Transaction, market: PerpMarket, facts: PnlDeficitFacts) -> SettlementError:
    others, sources = "fee pool above what it keeps, or ", "revenue and insurance"
    if tx.state.rulebook == RULEBOOK_VELOCITY:
        # the fee pool is the AMM's alone, and revenue pays for P&L only where the venue lets it
        others, sources = "", sources if tx.config.revenue_pool_draw_for_pnl else "insurance"
    return SettlementError(
        ErrorCode.QuoteSourcesNotExhausted,
        f"perp market {market.market_index} can still be paid in quote: {others}"
        f"{quote(facts.period_room)} in this period from {sources} ({quote(facts.insurance_room)} of "
        f"insurance in its lifetime, {quote(facts.insurance_available)} in the fund)",
        "the same after settle_pnl and resolve_perp_pnl_deficit have used that up",
    )


def _draw(
    tx: Transaction,
    ix: ResolveWithAssociatedSpot,
    associated: AssociatedSpot,
    spot_market: SpotMarket,
    deficit: PnlDeficitFacts,
) -> AssociatedSpotFacts:
    index = associated.spot_market_index
    oracle = tx.spot_oracle(index)
    rails = tx.state.oracle_guard_rails
    if not spot_oracle_valid(spot_market, oracle, rails.validity):
        raise SettlementError(
            ErrorCode.InvalidOracle, f"the oracle price of {spot_market.name} is not good enough to swap at"
        )
    facts = AssociatedSpotFacts()
    widest = rails.price_divergence.mark_oracle_percent_divergence
    vault = tx.vaults(index).insurance_fund_vault
    try:
        draw_on_associated_spot(
            ix.token_amount, ix.quote_amount, deficit.excess_user_pnl, associated, spot_market, oracle.price, widest,
            vault, tx.now, facts,
        )  # fmt: skip
    except SettlementError as error:
        raise _explained(tx, ix, error, widest, deficit, facts) from error
    return facts


def _explained(
    tx: Transaction,
    ix: ResolveWithAssociatedSpot,
    error: SettlementError,
    widest: int,
    deficit: PnlDeficitFacts,
    facts: AssociatedSpotFacts,
) -> SettlementError:
    if error.code == ErrorCode.AssociatedSpotDrawTooLarge:
        tx.limit("excess_user_pnl", deficit.excess_user_pnl, ix.quote_amount, "the deficit")
        tx.limit("max_withdraw_per_period", facts.period_room, ix.quote_amount, "what the period still admits")
        most = min(deficit.excess_user_pnl, facts.period_room)
        passes = f"quote_amount up to {most}" if most > 0 else "the same in the next period"
        return SettlementError(error.code, f"at most {quote(most)} may come in", passes)
    if error.code == ErrorCode.SwapPriceOutOfBounds:
        tx.limit("mark_oracle_percent_divergence", widest, ix.quote_amount, "distance (1e6) from the oracle's value")
        message = f"the tokens are worth {quote(facts.value)} by the oracle, and {quote(ix.quote_amount)} came in"
        return SettlementError(error.code, message, "an execution nearer to the oracle price")
    if error.code == ErrorCode.NoIFWithdrawAvailable:
        most = facts.revenue_pool + facts.insurance_available
        tx.limit("insurance_fund_vault", facts.insurance_available, ix.token_amount - facts.revenue_payment)
        message = f"revenue pool and insurance fund can give {most} tokens, and {ix.token_amount} were swapped"
        passes = f"token_amount up to {most}" if most else "the same once one of them has tokens to spare"
        return SettlementError(error.code, message, passes)
    return error


def _swap(tx: Transaction, ix: ResolveWithAssociatedSpot, spot_market: SpotMarket, facts: AssociatedSpotFacts) -> None:
    """Move the tokens of the swap and check both vaults."""
    index = spot_market.market_index
    vaults = tx.vaults(index)
    spot_vault, insurance_vault = vaults.spot_vault, vaults.insurance_fund_vault
    if facts.insurance_payment:
        shares = spot_market.insurance_fund.total_shares
        paid = facts.insurance_payment
        emit_insurance_fund(tx, index, ix.perp_market_index, -paid, spot_vault, insurance_vault, shares, shares)
    tx.send_outside(index, facts.revenue_payment)
    tx.send_insurance_outside(index, facts.insurance_payment)
    tx.receive_from_outside(QUOTE_SPOT_MARKET_INDEX, ix.quote_amount)
    for number in (QUOTE_SPOT_MARKET_INDEX, index):
        validate_spot_market_vault_amount(tx.spot_market(number), tx.vaults(number).spot_vault)


def _waterfall(
    tx: Transaction,
    ix: ResolveWithAssociatedSpot,
    spot_market: SpotMarket,
    settled: int,
    deficit: PnlDeficitFacts,
    facts: AssociatedSpotFacts,
) -> Waterfall:
    """The sources in quote (1e6): what was held at the oracle price, what was paid at the executed one."""
    pool = f"perp_market.{ix.perp_market_index}.pnl_pool"
    name = f"spot_market.{spot_market.market_index}"
    price = tx.oracles[spot_market.oracle_index].price

    def value(tokens: int) -> int:
        return get_token_value(tokens, spot_market.decimals, price)

    from_revenue = ix.quote_amount * facts.revenue_payment // ix.token_amount
    period = Cap("max_withdraw_per_period", facts.period_room)
    revenue, insurance = value(facts.revenue_pool), value(facts.insurance_available)
    insurance_held = tx.vaults(spot_market.market_index).insurance_fund_vault + facts.insurance_payment
    return Waterfall(
        kind="associated_spot",
        market_index=QUOTE_SPOT_MARKET_INDEX,
        perp_market_index=ix.perp_market_index,
        account=pool,
        loss=deficit.excess_user_pnl,
        revenue_settled=settled,
        sources=[
            Source(pool, deficit.pnl_pool, [Cap("pnl_pool", deficit.pnl_pool)], 0, ""),
            Source(
                "insurance_fund",
                tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault,
                [
                    Cap("max_revenue_withdraw_per_period", max(0, deficit.period_room)),
                    Cap("quote_max_insurance", deficit.insurance_room),
                    Cap("insurance_fund_vault", deficit.insurance_available),
                ],
                0,
                "",
            ),
            Source(f"{name}.revenue_pool", revenue, [period, Cap("revenue_pool", revenue)], from_revenue, pool),
            Source(
                f"{name}.insurance_fund",
                value(insurance_held),
                [period, Cap("insurance_fund_vault", insurance)],
                ix.quote_amount - from_revenue,
                pool,
            ),
        ],
        uncovered=deficit.excess_user_pnl - ix.quote_amount,
    )


HANDLERS: dict[type[Instruction], Handler] = {
    ResolveWithAssociatedSpot: resolve_with_associated_spot,
    UpdatePerpMarketAssociatedSpot: update_associated_spot,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
