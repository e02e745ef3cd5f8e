"""Revenue settlement: the public crank, and the attempt in front of other instructions."""

from seawall.engine.explain import Explainer, Explanation
from seawall.engine.gates import require_not_paused
from seawall.engine.interest import emit_interest
from seawall.engine.receipts import Limit
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.revenue import SettleRevenueToInsuranceFund
from seawall.rules.common.revenue import calculate_revenue_to_settle, seconds_until_revenue_settle
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.rules.drift.revenue import attempt_settle_revenue_to_insurance_fund, settle_revenue_to_insurance_fund
from seawall.state.enums import EXCHANGE_WITHDRAW_PAUSED, RULEBOOK_VELOCITY
from seawall.state.facts import InterestFacts, RevenueSettleFacts


def settle_revenue(tx: Transaction, ix: SettleRevenueToInsuranceFund) -> None:
    """Settle revenue that is due.

    ``ExchangePaused``, ``RevenueSettingsCannotSettleToIF``, ``NoRevenueToSettleToIF``,
    ``SpotMarketVaultInvariantViolated``, ``InvalidIFSharesDetected``, ``MathError``. Source: insurance.md §6.4.
    """
    require_not_paused(tx, EXCHANGE_WITHDRAW_PAUSED)
    index = ix.spot_market_index
    market = tx.write_spot_market(index)
    require_revenue_due(tx, index)
    vaults = tx.vaults(index)
    interest = InterestFacts()
    facts = RevenueSettleFacts()
    amount = settle_revenue_to_insurance_fund(
        vaults.spot_vault, vaults.insurance_fund_vault, market, tx.now, True, interest, facts
    )
    emit_interest(tx, interest)
    emit_revenue(tx, index, facts)
    tx.settle_tokens_to_insurance_fund(index, amount)
    validate_spot_market_vault_amount(market, tx.vaults(index).spot_vault)


def require_revenue_due(tx: Transaction, market_index: int) -> None:
    """``RevenueSettingsCannotSettleToIF`` unless revenue settles, and may settle now."""
    fund = tx.spot_market(market_index).insurance_fund
    if fund.revenue_settle_period <= 0:
        raise SettlementError(
            ErrorCode.RevenueSettingsCannotSettleToIF,
            f"revenue of spot market {market_index} does not settle: its revenue_settle_period is 0",
            "update_spot_market_revenue_settle_period sets one",
        )
    wait = seconds_until_revenue_settle(fund, tx.now)
    if wait != 0:
        tx.limit(
            "revenue_settle_period", fund.revenue_settle_period, wait,
            f"last settled at {fund.last_revenue_settle_ts}; {wait} seconds to wait",
        )  # fmt: skip
        raise SettlementError(
            ErrorCode.RevenueSettingsCannotSettleToIF,
            f"revenue of spot market {market_index} is not due for another {wait} seconds",
            f"the same from time {tx.now + wait} on",
        )


def attempt_settle_revenue(tx: Transaction, market_index: int) -> int:
    """Settle revenue in front of another instruction, where it is due; the tokens moved.

    The market must be checked out for writing or it is now. Pauses and statuses do not matter.
    ``SpotMarketVaultInvariantViolated``, ``InvalidIFSharesDetected``, ``RevenueSettingsCannotSettleToIF``,
    ``MathError``. Source: insurance.md §6.3.
    """
    market = tx.write_spot_market(market_index)
    vaults = tx.vaults(market_index)
    interest = InterestFacts()
    facts = RevenueSettleFacts()
    amount = attempt_settle_revenue_to_insurance_fund(
        vaults.spot_vault, vaults.insurance_fund_vault, market, tx.now, interest, facts
    )
    emit_interest(tx, interest)
    emit_revenue(tx, market_index, facts)
    if amount > 0:
        tx.settle_tokens_to_insurance_fund(market_index, amount)
    return amount


def emit_revenue(tx: Transaction, market_index: int, facts: RevenueSettleFacts) -> None:
    """InsuranceFundRecord of a settlement, and the caps that bound it."""
    if not facts.settled:
        return
    emit_insurance_fund(
        tx, market_index, 0, facts.amount, facts.vault_amount_before, facts.insurance_vault_amount_before,
        facts.total_if_shares_before, facts.total_if_shares_after,
    )  # fmt: skip
    tx.limits.extend(revenue_limits(facts))


def emit_insurance_fund(
    tx: Transaction,
    market_index: int,
    perp_market_index: int,
    amount: int,
    vault_amount_before: int,
    insurance_vault_amount_before: int,
    total_if_shares_before: int,
    total_if_shares_after: int,
) -> None:
    """InsuranceFundRecord: tokens that reached the fund of a spot market, or (negative) left it for a perp market.

    Velocity's fund has one factor, which stands in both fields.
    """
    fund = tx.spot_market(market_index).insurance_fund
    velocity = tx.state.rulebook == RULEBOOK_VELOCITY
    tx.emit(
        "InsuranceFundRecord",
        ts=tx.now,
        spot_market_index=market_index,
        perp_market_index=perp_market_index,
        user_if_factor=fund.if_fee_factor if velocity else fund.user_factor,
        total_if_factor=fund.if_fee_factor if velocity else fund.total_factor,
        vault_amount_before=vault_amount_before,
        insurance_vault_amount_before=insurance_vault_amount_before,
        total_if_shares_before=total_if_shares_before,
        total_if_shares_after=total_if_shares_after,
        amount=amount,
    )


def revenue_limits(facts: RevenueSettleFacts) -> list[Limit]:
    """The caps that cut a settlement down, in the order in which they are applied."""
    limits = []
    if facts.claim_bound:
        limits.append(
            Limit(
                "half_of_depositors_claim", facts.available, facts.revenue_pool,
                f"deposits net of borrows ({facts.depositors_claim}) are below the revenue pool: "
                "half of them settles at most",
            )
        )  # fmt: skip
    if facts.has_stakers and facts.available > 0:
        if facts.apr_cap < facts.tenth:
            limits.append(
                Limit(
                    "max_apr_per_revenue_settle", facts.apr_cap, facts.available,
                    "a fund with stakers grows by 1000 % a year at most, a period's part each time",
                )
            )  # fmt: skip
        else:
            limits.append(
                Limit(
                    "tenth_of_revenue_pool", facts.tenth, facts.available,
                    "a fund with stakers receives a tenth of the revenue pool at a time",
                )
            )  # fmt: skip
    return limits


def _explain_no_revenue(tx: Transaction, ix: SettleRevenueToInsuranceFund) -> Explanation:
    vaults = tx.vaults(ix.spot_market_index)
    facts = RevenueSettleFacts()
    market = tx.spot_market(ix.spot_market_index)
    calculate_revenue_to_settle(vaults.spot_vault, vaults.insurance_fund_vault, 0, market, facts)
    return word_no_revenue(ix.spot_market_index, facts)


def word_no_revenue(market_index: int, facts: RevenueSettleFacts) -> Explanation:
    """Why nothing settles, from the caps that were looked at."""
    limits = revenue_limits(facts)
    if facts.revenue_pool == 0:
        return f"the revenue pool of spot market {market_index} is empty", "the same once revenue has come in", limits
    if facts.available == 0:
        claim = facts.depositors_claim
        return (
            f"the revenue pool holds {facts.revenue_pool}, but deposits net of borrows are {claim}; half of them is 0",
            "the same once borrows are repaid or deposits made",
            limits,
        )
    if facts.tenth == 0:
        return (
            f"{facts.available} tokens may settle, and a tenth of them is less than one unit",
            "the same with at least 10 units of revenue",
            limits,
        )
    return (
        f"{facts.tenth} tokens could settle, but the APR cap on a vault of {facts.apr_base} is 0",
        "the same once the insurance fund's vault holds more",
        limits,
    )


HANDLERS: dict[type[Instruction], Handler] = {SettleRevenueToInsuranceFund: settle_revenue}

EXPLAINERS: dict[ErrorCode, Explainer] = {ErrorCode.NoRevenueToSettleToIF: _explain_no_revenue}
