"""Accruing a spot market's interest under the venue's rulebook, with the event that tells of it."""

from seawall.engine.gates import is_paused
from seawall.engine.transaction import Transaction
from seawall.rules.drift.interest import update_spot_market_cumulative_interest as accrue_drift
from seawall.rules.drift.interest import (
    update_spot_market_cumulative_interest_without_oracle as accrue_drift_without_oracle,
)
from seawall.rules.velocity.interest import update_spot_market_cumulative_interest as accrue_velocity
from seawall.rules.velocity.interest import (
    update_spot_market_cumulative_interest_without_oracle as accrue_velocity_without_oracle,
)
from seawall.state.enums import EXCHANGE_FUNDING_PAUSED, RULEBOOK_DRIFT
from seawall.state.facts import InterestFacts


def accrue(tx: Transaction, market_index: int, with_oracle: bool) -> None:
    """Accrue a spot market's interest and refresh its statistics, the oracle's included where asked for; the event.

    Errors: those of the rule ``update_spot_market_cumulative_interest``.
    """
    market = tx.write_spot_market(market_index)
    facts = InterestFacts()
    if tx.state.rulebook == RULEBOOK_DRIFT:
        if with_oracle:
            accrue_drift(market, tx.spot_oracle(market_index), tx.now, facts)
        else:
            accrue_drift_without_oracle(market, tx.now, facts)
    else:
        funding_paused = is_paused(tx, EXCHANGE_FUNDING_PAUSED)
        if with_oracle:
            accrue_velocity(market, tx.spot_oracle(market_index), tx.now, funding_paused, facts)
        else:
            accrue_velocity_without_oracle(market, tx.now, funding_paused, facts)
    emit_interest(tx, facts)


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
