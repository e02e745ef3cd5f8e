"""Deficits and bankruptcies: insurance first, then everybody who is left."""

from collections.abc import Callable

from seawall.arithmetic import BASE_PRECISION, FUNDING_RATE_PRECISION, QUOTE_SPOT_MARKET_INDEX
from seawall.engine.explain import Explainer
from seawall.engine.gates import require_not_paused
from seawall.engine.handlers.amm import refresh_amm
from seawall.engine.handlers.liquidation_record import emit_liquidation
from seawall.engine.handlers.revenue import attempt_settle_revenue, emit_insurance_fund
from seawall.engine.handlers.solvency_refusals import explain_bankruptcy, explain_deficit
from seawall.engine.interest import emit_interest
from seawall.engine.receipts import Cap, IndexChange, Source, Waterfall
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.solvency import ResolvePerpBankruptcy, ResolvePerpPnlDeficit, ResolveSpotBankruptcy
from seawall.keys import key_to_text
from seawall.rules.common.balances import get_token_amount
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.drift.bankruptcy import resolve_perp_bankruptcy, resolve_spot_bankruptcy
from seawall.rules.drift.deficit import resolve_perp_pnl_deficit, validate_market_for_deficit
from seawall.state.enums import DEPOSIT, EXCHANGE_WITHDRAW_PAUSED
from seawall.state.facts import BankruptcyFacts, InterestFacts, MarginCalculation, PnlDeficitFacts
from seawall.state.perp_market import AMM
from seawall.state.user import User


def require_quote_market(market_index: int) -> None:
    """``InvalidSpotMarketAccount`` unless the market is that of the quote token."""
    if market_index != QUOTE_SPOT_MARKET_INDEX:
        raise SettlementError(
            ErrorCode.InvalidSpotMarketAccount,
            f"perp losses are paid in the quote token, not in that of spot market {market_index}",
            f"spot market {QUOTE_SPOT_MARKET_INDEX}",
        )


def settle_revenue_first(tx: Transaction, market_index: int) -> int:
    """Settle revenue where it is due, so that it counts as insurance, and check the vault; the tokens settled."""
    settled = attempt_settle_revenue(tx, market_index)
    validate_spot_market_vault_amount(tx.spot_market(market_index), tx.vaults(market_index).spot_vault)
    return settled


# --- deficits --------------------------------------------------------------------------------------------------


def resolve_deficit(tx: Transaction, ix: ResolvePerpPnlDeficit) -> None:
    """Refresh the AMM, settle revenue that is due, then draw.

    Errors: ``ExchangePaused``, ``InvalidSpotMarketAccount``, ``SpotMarketVaultInvariantViolated`` and those of the
    rules ``validate_market_for_deficit`` and ``resolve_perp_pnl_deficit``.
    """
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    require_quote_market(ix.spot_market_index)
    index = ix.perp_market_index
    market = refresh_amm(tx, index)
    settled = settle_revenue_first(tx, QUOTE_SPOT_MARKET_INDEX)
    spot_market = tx.write_quote_market()
    vaults = tx.vaults(QUOTE_SPOT_MARKET_INDEX)
    spot_vault, insurance_vault = vaults.spot_vault, vaults.insurance_fund_vault
    interest, facts = InterestFacts(), PnlDeficitFacts()
    price = tx.perp_oracle(index).price
    try:
        validate_market_for_deficit(market, tx.state.oracle_guard_rails, price, tx.now, tx.slot)
        draw = resolve_perp_pnl_deficit(insurance_vault, market, spot_market, tx.now, interest, facts)
    except SettlementError as error:
        raise explain_deficit(tx, market, error.code, facts) from error
    emit_interest(tx, interest)
    shares = spot_market.insurance_fund.total_shares
    emit_insurance_fund(tx, QUOTE_SPOT_MARKET_INDEX, index, -draw, spot_vault, insurance_vault, shares, shares)
    tx.draw_tokens_from_insurance_fund(QUOTE_SPOT_MARKET_INDEX, draw)
    tx.waterfall = deficit_waterfall(index, insurance_vault, settled, facts, draw)
    note_limits(tx, tx.waterfall)


def note_limits(tx: Transaction, waterfall: Waterfall) -> None:
    """Note on the receipt each cap that bound and has a meaning beyond «that is all there was»."""
    asked = waterfall.loss
    for source in waterfall.sources:
        if source.paid < asked:
            for cap in source.caps:
                if cap.value == source.paid and cap.name in _CAPS:
                    tx.limit(cap.name, cap.value, asked, _CAPS[cap.name])
        asked -= source.paid


_CAPS = {
    "max_revenue_withdraw_per_period": "what the market may still draw in this period",
    "quote_max_insurance": "what the market may still draw on insurance in its lifetime",
    "insurance_fund_vault": "what the insurance fund can part with: it keeps one unit",
    "amm_protocol_fees_received": "what the AMM was ever granted of fees and has not given back",
}


def deficit_waterfall(
    market_index: int, insurance_vault: int, settled: int, facts: PnlDeficitFacts, payment: int
) -> Waterfall:
    """The P&L pool has nothing; what the insurance fund's vault of ``insurance_vault`` tokens paid of the excess."""
    pool = f"perp_market.{market_index}.pnl_pool"
    return Waterfall(
        kind="perp_pnl_deficit",
        market_index=QUOTE_SPOT_MARKET_INDEX,
        perp_market_index=market_index,
        account=pool,
        loss=facts.excess_user_pnl,
        revenue_settled=settled,
        sources=[
            Source(pool, facts.pnl_pool, [Cap("pnl_pool", facts.pnl_pool)], 0, ""),
            Source(
                "insurance_fund",
                insurance_vault,
                [
                    Cap("max_revenue_withdraw_per_period", facts.period_room),
                    Cap("quote_max_insurance", facts.insurance_room),
                    Cap("insurance_fund_vault", facts.insurance_available),
                ],
                payment,
                pool,
            ),
        ],
        uncovered=facts.excess_user_pnl - payment,
    )


# --- bankruptcies ----------------------------------------------------------------------------------------------


def _require_withdraws(tx: Transaction) -> None:
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)


def parties(
    tx: Transaction, ix: ResolvePerpBankruptcy | ResolveSpotBankruptcy, gate: Callable[[Transaction], None]
) -> tuple[User, User]:
    """The bankrupt account, for writing, and the liquidator, whose authority or delegate signs; past the gate."""
    liquidator = tx.user(ix.liquidator)
    tx.require_authority_or_delegate(liquidator)
    gate(tx)
    if tx.user_index(ix.user) == tx.user_index(ix.liquidator):
        raise SettlementError(
            ErrorCode.UserCantLiquidateThemself, "the bankrupt account cannot resolve itself", "another liquidator"
        )
    return tx.write_user(ix.user), liquidator


def resolve_perp(tx: Transaction, ix: ResolvePerpBankruptcy) -> None:
    """Settle revenue that is due, then clear the debt; the vault is checked before and after.

    Errors: ``ExchangePaused``, ``UserCantLiquidateThemself``, ``InvalidSpotMarketAccount``,
    ``SpotMarketVaultInvariantViolated``, those of the rule ``resolve_perp_bankruptcy``.
    """
    user, liquidator = parties(tx, ix, _require_withdraws)
    require_quote_market(ix.quote_spot_market_index)
    settled = settle_revenue_first(tx, QUOTE_SPOT_MARKET_INDEX)
    index = ix.market_index
    market = tx.write_perp_market(index)
    insurance_vault = tx.vaults(QUOTE_SPOT_MARKET_INDEX).insurance_fund_vault
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
    emit_liquidation(
        tx, "perp_bankruptcy", user, liquidator, calculation, facts.liquidation_id, bankrupt=True, market_index=index,
        pnl=-facts.loss, if_payment=payment, cumulative_funding_rate_delta=facts.cumulative_delta,
    )  # fmt: skip
    pay_from_insurance_fund(tx, QUOTE_SPOT_MARKET_INDEX, payment)
    fee_pool = f"perp_market.{index}.fee_pool"
    tx.waterfall = Waterfall(
        kind="perp_bankruptcy",
        market_index=QUOTE_SPOT_MARKET_INDEX,
        perp_market_index=index,
        account=account_name(user),
        loss=facts.loss,
        revenue_settled=settled,
        sources=[
            Source(
                "insurance_fund",
                insurance_vault,
                [
                    Cap("quote_max_insurance", facts.insurance_room),
                    Cap("insurance_fund_vault", facts.insurance_available),
                ],
                payment,
                f"perp_market.{index}.pnl_pool",
            ),
            # the program credits it to nobody
            Source(fee_pool, facts.fee_pool, [Cap("fee_pool", facts.fee_pool)], facts.fee_pool_payment, "dust"),
        ],
        socialised=facts.socialized_loss,
        indices=rate_changes(market.amm, rates),
        rounding=facts.socialized_loss - taken_by_rates(market.amm, facts.cumulative_delta),
    )
    note_limits(tx, tx.waterfall)


def resolve_spot(tx: Transaction, ix: ResolveSpotBankruptcy) -> None:
    """Settle revenue that is due, then clear the borrow; the vault is checked before and after.

    Errors: ``ExchangePaused``, ``UserCantLiquidateThemself``, ``SpotMarketVaultInvariantViolated``, those of the rule
    ``resolve_spot_bankruptcy``.
    """
    user, liquidator = parties(tx, ix, _require_withdraws)
    index = ix.market_index
    settled = settle_revenue_first(tx, index)
    spot_market = tx.write_spot_market(index)
    insurance_vault = tx.vaults(index).insurance_fund_vault
    deposits = get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    before = spot_market.cumulative_deposit_interest
    calculation, facts = MarginCalculation(), BankruptcyFacts()
    try:
        payment = resolve_spot_bankruptcy(
            user, liquidator, index, tx.spot_markets, tx.perp_markets, tx.oracles, tx.state, insurance_vault,
            calculation, facts,
        )  # fmt: skip
    except SettlementError as error:
        raise explain_bankruptcy(tx, ix, error.code, facts) from error
    emit_liquidation(
        tx, "spot_bankruptcy", user, liquidator, calculation, facts.liquidation_id, bankrupt=True, market_index=index,
        borrow_amount=facts.loss, if_payment=payment, cumulative_deposit_interest_delta=facts.cumulative_delta,
    )  # fmt: skip
    pay_from_insurance_fund(tx, index, payment)
    taken = deposits - get_token_amount(spot_market.deposit_balance, spot_market, DEPOSIT)
    # without deposits there is nobody to bear anything
    socialised = facts.socialized_loss if deposits else 0
    tx.waterfall = Waterfall(
        kind="spot_bankruptcy",
        market_index=index,
        perp_market_index=None,
        account=account_name(user),
        loss=facts.loss,
        revenue_settled=settled,
        sources=[
            Source(
                "insurance_fund",
                insurance_vault,
                [Cap("insurance_fund_vault", facts.insurance_available)],
                payment,
                f"spot_market.{index}.spot_vault",
            )
        ],
        socialised=socialised,
        uncovered=facts.socialized_loss - socialised,
        indices=[IndexChange("cumulative_deposit_interest", before, spot_market.cumulative_deposit_interest)],
        rounding=socialised - taken,
    )
    note_limits(tx, tx.waterfall)


def funding_rates(amm: AMM) -> tuple[int, int]:
    """The cumulative funding rates (1e9) of the longs and of the shorts."""
    return amm.cumulative_funding_rate_long, amm.cumulative_funding_rate_short


def rate_changes(amm: AMM, before: tuple[int, int]) -> list[IndexChange]:
    """Both cumulative funding rates, before and now."""
    names = "cumulative_funding_rate_long", "cumulative_funding_rate_short"
    return [IndexChange(*change) for change in zip(names, before, funding_rates(amm), strict=True)]


def taken_by_rates(amm: AMM, delta: int) -> int:
    """What a change of both rates (1e9) takes from all open positions together (quote 1e6)."""
    open_base = amm.base_asset_amount_long - amm.base_asset_amount_short
    return delta * open_base // (FUNDING_RATE_PRECISION * BASE_PRECISION // 1_000_000)


def account_name(user: User) -> str:
    """An account as receipts name it."""
    return f"user.{key_to_text(user.authority)}/{user.sub_account_id}"


def pay_from_insurance_fund(tx: Transaction, market_index: int, payment: int) -> None:
    """Move the insurance fund's payment and check the vault."""
    if payment > 0:
        tx.draw_tokens_from_insurance_fund(market_index, payment)
    validate_spot_market_vault_amount(tx.spot_market(market_index), tx.vaults(market_index).spot_vault)


HANDLERS: dict[type[Instruction], Handler] = {
    ResolvePerpPnlDeficit: resolve_deficit,
    ResolvePerpBankruptcy: resolve_perp,
    ResolveSpotBankruptcy: resolve_spot,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
