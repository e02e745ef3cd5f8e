"""The price at which a permissionless drain of the P&L pool reserves what users are owed.

Source: velocity/pools-and-fees.md §7, §9; ``controller/perp_pools.rs::get_pnl_pool_drain_reserve_price``.
"""

from seawall.lanes import rule
from seawall.rules.common.oracles import ACTION_SETTLE_PNL, cached_perp_oracle_validity, is_oracle_valid_for_action
from seawall.rules.common.pnl import (
    AMM_NOT_UPDATED,
    NOT_REFUSED,
    STALE_FOR_AMM,
    raise_refusal,
    refusal_of_oracle_validity,
)
from seawall.rules.common.price_bands import is_price_divergence_ok_for_settle_pnl, validate_market_within_price_band
from seawall.rules.velocity.attestation import is_sample_attested
from seawall.state.enums import ORACLE_VALID, STATUS_SETTLEMENT
from seawall.state.exchange import OracleGuardRails
from seawall.state.oracle import OraclePriceData
from seawall.state.perp_market import PerpMarket


@rule
def get_pnl_pool_drain_reserve_price(
    market: PerpMarket, oracle: OraclePriceData, rails: OracleGuardRails, slot: int
) -> int:
    """The expiry price in Settlement, else the oracle's (1e6), if it may be trusted with other people's money.

    ``PriceBandsBreached``, and the errors that ``refusal_of_unattested_sample`` stands for.
    """
    if market.status == STATUS_SETTLEMENT:
        return market.expiry_price
    validate_market_within_price_band(market, rails, oracle.price)
    refused = refusal_of_unattested_sample(market, oracle, rails, slot)
    if refused != NOT_REFUSED:
        raise_refusal(refused)
    return oracle.price


@rule
def refusal_of_unattested_sample(
    market: PerpMarket, oracle: OraclePriceData, rails: OracleGuardRails, slot: int
) -> int:
    """A price that no refresh vouches for must be valid, near its 5-minute TWAP and calm; the refusal, or 0.

    A market whose curve never moves is not asked. The class is the one that this instruction got first.
    """
    amm = market.amm
    if amm.curve_update_intensity == 0 or is_sample_attested(amm, oracle, slot):
        return NOT_REFUSED
    validity = cached_perp_oracle_validity(market, oracle, rails.validity)
    if is_oracle_valid_for_action(validity, ACTION_SETTLE_PNL) and is_price_divergence_ok_for_settle_pnl(
        market, oracle.price
    ):
        return NOT_REFUSED
    if amm.last_oracle_valid and amm.last_update_slot != slot:
        return AMM_NOT_UPDATED
    # without a fault of its own the sample is too old for the AMM: it was not refreshed with it
    if validity == ORACLE_VALID:
        return STALE_FOR_AMM
    return refusal_of_oracle_validity(validity)
