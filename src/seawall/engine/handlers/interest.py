"""The interest crank."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import is_paused, require_not_paused, require_spot_market_valid
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode
from seawall.instructions.base import Instruction
from seawall.instructions.interest import UpdateSpotMarketCumulativeInterest
from seawall.rules.common.interest import update_spot_market_twap_stats
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.state.enums import EXCHANGE_ALL_PAUSED, EXCHANGE_FUNDING_PAUSED, RULEBOOK_DRIFT


def update_interest(tx: Transaction, ix: UpdateSpotMarketCumulativeInterest) -> None:
    """Accrue interest, or only the statistics while funding is paused; then the vault check.

    Errors: ``MarketDelisted``, ``ExchangePaused``, ``SpotMarketVaultInvariantViolated``.
    """
    require_spot_market_valid(tx, ix.market_index)
    require_not_paused(tx, EXCHANGE_ALL_PAUSED)
    market = tx.write_spot_market(ix.market_index)
    if tx.state.rulebook == RULEBOOK_DRIFT and is_paused(tx, EXCHANGE_FUNDING_PAUSED):
        # Velocity's accrual knows the pause itself: it drops the span
        update_spot_market_twap_stats(market, tx.spot_oracle(ix.market_index), tx.now)
    else:
        accrue(tx, ix.market_index, True)
    validate_spot_market_vault_amount(market, tx.vaults(ix.market_index).spot_vault)


HANDLERS: dict[type[Instruction], Handler] = {UpdateSpotMarketCumulativeInterest: update_interest}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
