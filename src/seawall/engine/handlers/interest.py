"""The interest crank."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import is_paused, require_not_paused, require_spot_market_valid
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.rules.common.interest import update_spot_market_cumulative_interest, update_spot_market_twap_stats
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.state.enums import EXCHANGE_ALL_PAUSED, EXCHANGE_FUNDING_PAUSED
from seawall.state.facts import InterestFacts


def accrue(tx: Transaction, ix: UpdateSpotMarketCumulativeInterest) -> None:
    """Accrue interest, or only the statistics while funding is paused; then the vault check.

    Errors: ``MarketDelisted``, ``ExchangePaused``, ``SpotMarketVaultInvariantViolated``.
    """
    require_spot_market_valid(tx, ix.market_index)
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    market = tx.write_spot_market(ix.market_index)
    oracle = tx.spot_oracle(ix.market_index)
    if is_paused(tx, EXCHANGE_FUNDING_PAUSED):
        update_spot_market_twap_stats(market, oracle, tx.now)
    else:
        facts = InterestFacts()
        update_spot_market_cumulative_interest(market, oracle, tx.now, facts)
        emit_interest(tx, facts)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)


def emit_interest(tx: Transaction, facts: InterestFacts) -> None:
    """SpotInterestRecord, where interest accrued."""
    if not facts.accrued:
        return
    market = tx.spot_market(facts.market_index)
    tx.emit(
        "SpotInterestRecord",
        ts=tx.now,
        market_index=facts.market_index,
        deposit_balance=facts.deposit_balance,
        cumulative_deposit_interest=facts.cumulative_deposit_interest,
        borrow_balance=facts.borrow_balance,
        cumulative_borrow_interest=facts.cumulative_borrow_interest,
        optimal_utilization=market.optimal_utilization,
        optimal_borrow_rate=market.optimal_borrow_rate,
        max_borrow_rate=market.max_borrow_rate,
    )


HANDLERS: dict[type[Instruction], Handler] = {UpdateSpotMarketCumulativeInterest: accrue}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
