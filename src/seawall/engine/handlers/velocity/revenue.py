"""Revenue settlement under Velocity: the public crank, and the attempt in front of other instructions."""

from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import is_paused, require_not_paused
from seawall.engine.handlers.revenue import emit_revenue, require_revenue_due, word_no_revenue
from seawall.engine.interest import emit_interest
from seawall.engine.receipts import Limit
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.rules.common.revenue import calculate_revenue_to_settle
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.velocity.receivable import get_insurance_fund_nav, get_revenue_receivable
from seawall.rules.velocity.revenue import (
    attempt_settle_revenue_to_insurance_fund,
    calculate_revenue_settle_base,
    settle_revenue_to_insurance_fund,
)
from seawall.state.enums import EXCHANGE_FUNDING_PAUSED, EXCHANGE_WITHDRAW_PAUSED, VELOCITY_SPOT_WITHDRAW
from seawall.state.facts import InterestFacts, RevenueSettleFacts


def settle_revenue(tx: Transaction, ix: SettleRevenueToInsuranceFund) -> None:
    """Settle revenue that is due.

    The first settlement of a market that has stakers already may move nothing: it writes the snapshot.
    ``ExchangePaused``, ``MarketWithdrawPaused``, ``RevenueSettingsCannotSettleToIF``, ``NoRevenueToSettleToIF``,
    ``SpotMarketVaultInvariantViolated``, ``SpotMarketInsufficientDeposits``, ``MathError``.
    Source: velocity/insurance.md §7.2; ``keeper/insurance_fund.rs::handle_settle_revenue_to_insurance_fund``.
    """
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    index = ix.spot_market_index
    market = tx.write_spot_market(index)
    require_market_withdraw(tx, index)
    require_revenue_due(tx, index)
    vaults = tx.vaults(index)
    interest, facts = InterestFacts(), RevenueSettleFacts()
    nav = get_insurance_fund_nav(market, vaults.insurance_fund_vault)
    amount = settle_revenue_to_insurance_fund(
        vaults.spot_vault, vaults.insurance_fund_vault, market, tx.now, True, is_paused(tx, EXCHANGE_FUNDING_PAUSED),
        tx.config.revenue_receivable, interest, facts,
    )  # fmt: skip
    emit_interest(tx, interest)
    emit_revenue(tx, index, facts)
    tx.limits.extend(snapshot_limits(facts, nav))
    tx.settle_tokens_to_insurance_fund(index, amount)
    validate_spot_market_vault_amount(market, tx.vaults(index).spot_vault)


def attempt_settle_revenue(tx: Transaction, market_index: int) -> int:
    """Settle revenue in front of another instruction, where it is due; the tokens moved to the insurance vault.

    While withdraws are paused, on the exchange or in the market, nothing moves; with the parameter
    ``revenue_receivable`` it is booked all the same. ``SpotMarketVaultInvariantViolated``,
    ``SpotMarketInsufficientDeposits``, ``MathError``. Source: velocity/insurance.md §7.5.
    """
    market = tx.write_spot_market(market_index)
    vaults = tx.vaults(market_index)
    interest, facts = InterestFacts(), RevenueSettleFacts()
    nav = get_insurance_fund_nav(market, vaults.insurance_fund_vault)
    amount = attempt_settle_revenue_to_insurance_fund(
        vaults.spot_vault, vaults.insurance_fund_vault, market, tx.now, is_withdraw_paused(tx, market_index),
        is_paused(tx, EXCHANGE_FUNDING_PAUSED), tx.config.revenue_receivable, interest, facts,
    )  # fmt: skip
    emit_interest(tx, interest)
    emit_revenue(tx, market_index, facts)
    tx.limits.extend(snapshot_limits(facts, nav))
    if amount > 0:
        tx.settle_tokens_to_insurance_fund(market_index, amount)
    return amount


def is_withdraw_paused(tx: Transaction, market_index: int) -> bool:
    """Whether withdraws are paused, on the exchange or in the market."""
    return is_paused(tx, EXCHANGE_WITHDRAW_PAUSED) or _is_market_withdraw_paused(tx, market_index)


def _is_market_withdraw_paused(tx: Transaction, market_index: int) -> bool:
    return tx.spot_market(market_index).paused_operations & VELOCITY_SPOT_WITHDRAW != 0


def require_market_withdraw(tx: Transaction, market_index: int) -> None:
    """``MarketWithdrawPaused`` while the market's withdraws are paused."""
    if _is_market_withdraw_paused(tx, market_index):
        raise SettlementError(
            ErrorCode.MarketWithdrawPaused,
            f"withdraws are paused in spot market {market_index}, and so is what moves tokens to its insurance fund",
            "update_spot_market_paused_operations resumes them",
        )


def snapshot_limits(facts: RevenueSettleFacts, nav: int) -> list[Limit]:
    """The snapshot, where the APR cap bound and was taken of less than the fund is worth now."""
    if facts.apr_cap < facts.tenth and facts.apr_base < nav:
        note = "the APR cap is taken of the fund's lowest value since the last settlement"
        return [Limit("if_last_settle_vault_amount", facts.apr_base, nav, note)]
    return []


def _explain_no_revenue(tx: Transaction, ix: SettleRevenueToInsuranceFund) -> Explanation:
    vaults = tx.vaults(ix.spot_market_index)
    market = tx.spot_market(ix.spot_market_index)
    facts = RevenueSettleFacts()
    nav = get_insurance_fund_nav(market, vaults.insurance_fund_vault)
    base = calculate_revenue_settle_base(market, nav)
    calculate_revenue_to_settle(vaults.spot_vault, base, get_revenue_receivable(market), market, facts)
    message, passing, limits = word_no_revenue(ix.spot_market_index, facts)
    return message, passing, limits + snapshot_limits(facts, nav)


HANDLERS: dict[type[Instruction], Handler] = {SettleRevenueToInsuranceFund: settle_revenue}

EXPLAINERS: dict[ErrorCode, Explainer] = {ErrorCode.NoRevenueToSettleToIF: _explain_no_revenue}
