"""Creating markets, and removing new ones."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import required
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import QUOTE_ORACLE_INDEX, Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.markets import (
    DeleteInitializedPerpMarket,
    DeleteInitializedSpotMarket,
    InitializePerpMarket,
    InitializeSpotMarket,
)
from seawall.rules.common.amm_curve import calculate_price
from seawall.rules.common.amm_k import update_concentration_coef
from seawall.rules.common.market_validation import (
    MAX_CURVE_INTENSITY,
    validate_borrow_rate,
    validate_margin,
    validate_margin_weights,
    validate_spot_market_oracle,
)
from seawall.state.enums import RULEBOOK_DRIFT, STATUS_ACTIVE, STATUS_INITIALIZED, AssetTier, ContractTier
from seawall.state.oracle import HistoricalOracleData, OraclePriceData
from seawall.state.perp_market import AMM, PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket

INITIAL_CUMULATIVE_INTEREST = 10_000_000_000
DEFAULT_UNSTAKING_PERIOD = 1_123_200
MAX_DECIMALS = 19
"""Scaled balances are kept with 19 − decimals more digits than tokens."""


def initialize_spot_market(tx: Transaction, ix: InitializeSpotMarket) -> None:
    """Create spot market number ``number_of_spot_markets``.

    ``InvalidSpotMarketInitialization``, ``OracleNotFound``. Liquidation fees, tier and insurance factor are not
    validated: deliberate, the program does not. Source: instructions.md §3.2.
    """
    tx.require_admin()
    oracle_index = tx.oracle_by_name(ix.oracle)
    oracle = tx.oracles[oracle_index]
    market_index = len(tx.spot_markets)
    market = _new_spot_market(tx, ix, market_index, oracle_index, oracle)
    with required("optimal_utilization ≤ 1000000 and optimal_borrow_rate ≤ max_borrow_rate"):
        validate_borrow_rate(market.optimal_utilization, market.optimal_borrow_rate, market.max_borrow_rate, 0)
    least = 6 if tx.state.rulebook == RULEBOOK_DRIFT else 5
    decimals = f"{least} to {MAX_DECIMALS} decimals"
    with required(f"market 0 has the oracle 'quote' and 6 decimals; every other another oracle and {decimals}"):
        validate_spot_market_oracle(market)
        if market.decimals > MAX_DECIMALS:
            raise SettlementError(ErrorCode.InvalidSpotMarketInitialization)
    with required(WEIGHTS):
        validate_margin_weights(
            market_index, market.initial_asset_weight, market.maintenance_asset_weight,
            market.initial_liability_weight, market.maintenance_liability_weight, market.imf_factor,
        )  # fmt: skip
    tx.add_spot_market(market)
    tx.write_state().number_of_spot_markets += 1


WEIGHTS = (
    "weights of 10000 in market 0; in any other initial asset ≤ maintenance asset < 10000 and "
    "initial liability ≥ maintenance liability > 10000; imf_factor < 1000000"
)


def _new_spot_market(
    tx: Transaction, ix: InitializeSpotMarket, market_index: int, oracle_index: int, oracle: OraclePriceData
) -> SpotMarket:
    is_quote = oracle_index == QUOTE_ORACLE_INDEX
    market = SpotMarket(
        name=ix.name,
        oracle_index=oracle_index,
        historical_oracle_data=HistoricalOracleData(
            last_oracle_price=oracle.price,
            last_oracle_conf=0 if is_quote else oracle.confidence,
            last_oracle_delay=oracle.delay,
            last_oracle_price_twap=oracle.price,
            last_oracle_price_twap_5min=oracle.price,
        ),
        # the spot fee pool holds quote, so its market index stays 0
        revenue_pool=PoolBalance(market_index=market_index),
        cumulative_deposit_interest=INITIAL_CUMULATIVE_INTEREST,
        cumulative_borrow_interest=INITIAL_CUMULATIVE_INTEREST,
        withdraw_guard_threshold=ix.withdraw_guard_threshold,
        last_interest_ts=tx.now,
        last_twap_ts=tx.now,
        order_step_size=ix.order_step_size,
        order_tick_size=ix.order_tick_size,
        min_order_size=ix.order_step_size,
        next_fill_record_id=1,
        next_deposit_record_id=1,
        initial_asset_weight=ix.initial_asset_weight,
        maintenance_asset_weight=ix.maintenance_asset_weight,
        initial_liability_weight=ix.initial_liability_weight,
        maintenance_liability_weight=ix.maintenance_liability_weight,
        imf_factor=ix.imf_factor,
        liquidator_fee=ix.liquidator_fee,
        if_liquidation_fee=ix.if_liquidation_fee,
        optimal_utilization=ix.optimal_utilization,
        optimal_borrow_rate=ix.optimal_borrow_rate,
        max_borrow_rate=ix.max_borrow_rate,
        decimals=ix.decimals,
        rulebook=tx.state.rulebook,
        market_index=market_index,
        orders_enabled=market_index != 0,
        status=STATUS_ACTIVE if ix.active_status else STATUS_INITIALIZED,
        asset_tier=AssetTier[ix.asset_tier],
        scale_initial_asset_weight_start=ix.scale_initial_asset_weight_start,
    )
    market.insurance_fund.unstaking_period = DEFAULT_UNSTAKING_PERIOD
    market.insurance_fund.total_factor = ix.if_total_factor
    market.insurance_fund.user_factor = ix.if_total_factor // 2
    return market


def initialize_perp_market(tx: Transaction, ix: InitializePerpMarket) -> None:
    """Create perp market ``market_index``, which is the next free one.

    ``InvalidInitialPeg``, ``DefaultError``, ``InvalidOracle``, ``InvalidMarginRatio``,
    ``MarketIndexAlreadyInitialized``, ``InvalidConcentrationCoef``, ``OracleNotFound``.
    Insurance caps are not held against the tier: deliberate, the program does not. Source: instructions.md §3.3.
    """
    tx.require_admin()
    if ix.amm_base_asset_reserve != ix.amm_quote_asset_reserve:
        raise SettlementError(ErrorCode.InvalidInitialPeg, "both reserves must be equal; the peg alone sets the price")
    if ix.curve_update_intensity > MAX_CURVE_INTENSITY or ix.amm_jit_intensity > MAX_CURVE_INTENSITY:
        raise SettlementError(ErrorCode.DefaultError, f"both intensities are at most {MAX_CURVE_INTENSITY}")
    oracle_index = tx.oracle_by_name(ix.oracle)
    if oracle_index == QUOTE_ORACLE_INDEX:
        raise SettlementError(ErrorCode.InvalidOracle, "the quote token is no underlying of a perp market")
    with required(MARGIN_RATIOS):
        validate_margin(ix.margin_ratio_initial, ix.margin_ratio_maintenance, ix.liquidator_fee, ix.max_spread)
    if ix.market_index != len(tx.perp_markets):
        raise SettlementError(
            ErrorCode.MarketIndexAlreadyInitialized,
            f"the next perp market is number {len(tx.perp_markets)}",
            f"market_index {len(tx.perp_markets)}",
        )
    market = PerpMarket(
        name=ix.name,
        amm=_new_amm(tx, ix, oracle_index),
        next_fill_record_id=1,
        next_funding_rate_record_id=1,
        next_curve_record_id=1,
        imf_factor=ix.imf_factor,
        liquidator_fee=ix.liquidator_fee,
        if_liquidation_fee=ix.if_liquidation_fee,
        margin_ratio_initial=ix.margin_ratio_initial,
        margin_ratio_maintenance=ix.margin_ratio_maintenance,
        unrealized_pnl_maintenance_asset_weight=10_000,
        market_index=ix.market_index,
        status=STATUS_ACTIVE if ix.active_status else STATUS_INITIALIZED,
        contract_tier=ContractTier[ix.contract_tier],
    )
    market.insurance_claim.max_revenue_withdraw_per_period = ix.max_revenue_withdraw_per_period
    market.insurance_claim.quote_max_insurance = ix.quote_max_insurance
    with required("reserves and a concentration_coef_scale of 1 to 414200 that leave the AMM something to trade"):
        update_concentration_coef(market, ix.concentration_coef_scale)
    tx.add_perp_market(market)
    tx.write_state().number_of_markets += 1


MARGIN_RATIOS = "200 ≤ maintenance < initial ≤ 10000, maintenance·100 > liquidator_fee and initial·100 > max_spread"


def _new_amm(tx: Transaction, ix: InitializePerpMarket, oracle_index: int) -> AMM:
    oracle = tx.oracles[oracle_index]
    reserve = ix.amm_base_asset_reserve
    price = calculate_price(reserve, reserve, ix.amm_peg_multiplier)
    return AMM(
        oracle_index=oracle_index,
        # confidence and delay are not taken over, the 1-hour TWAP is the oracle's own: deliberate, it is the program's
        historical_oracle_data=HistoricalOracleData(
            last_oracle_price=oracle.price,
            last_oracle_price_twap=oracle.twap,
            last_oracle_price_twap_5min=oracle.price,
            last_oracle_price_twap_ts=tx.now,
        ),
        base_asset_reserve=reserve,
        quote_asset_reserve=reserve,
        terminal_quote_asset_reserve=reserve,
        sqrt_k=reserve,
        ask_base_asset_reserve=reserve,
        ask_quote_asset_reserve=reserve,
        bid_base_asset_reserve=reserve,
        bid_quote_asset_reserve=reserve,
        peg_multiplier=ix.amm_peg_multiplier,
        max_open_interest=ix.max_open_interest,
        last_oracle_normalised_price=oracle.price,
        last_bid_price_twap=price,
        last_ask_price_twap=price,
        last_mark_price_twap=price,
        last_mark_price_twap_5min=price,
        last_update_slot=tx.slot,
        last_funding_rate_ts=tx.now,
        funding_period=ix.amm_periodicity,
        order_step_size=ix.order_step_size,
        order_tick_size=ix.order_tick_size,
        min_order_size=ix.min_order_size,
        last_trade_ts=tx.now,
        last_mark_price_twap_ts=tx.now,
        base_spread=ix.base_spread,
        max_spread=ix.max_spread,
        max_fill_reserve_fraction=100,
        max_slippage_ratio=50,
        curve_update_intensity=ix.curve_update_intensity,
        amm_jit_intensity=ix.amm_jit_intensity,
    )


def delete_spot_market(tx: Transaction, ix: DeleteInitializedSpotMarket) -> None:
    """Remove the last spot market; ``InvalidMarketAccountforDeletion`` unless it is new and empty."""
    tx.require_admin()
    market, vaults = tx.spot_market(ix.market_index), tx.vaults(ix.market_index)
    _require_deletable(ix.market_index == len(tx.spot_markets) - 1, "only the last market can be removed")
    _require_deletable(market.status == STATUS_INITIALIZED, "the market was activated")
    held = market.deposit_balance + market.borrow_balance + market.insurance_fund.total_shares
    _require_deletable(held == 0, "the market has balances or shares")
    _require_deletable(vaults.spot_vault + vaults.insurance_fund_vault == 0, "the market's vaults hold tokens")
    tx.remove_last_spot_market()
    tx.write_state().number_of_spot_markets -= 1


def delete_perp_market(tx: Transaction, ix: DeleteInitializedPerpMarket) -> None:
    """Remove the last perp market; ``InvalidMarketAccountforDeletion`` unless it is new and unused."""
    tx.require_admin()
    market = tx.perp_market(ix.market_index)
    _require_deletable(ix.market_index == len(tx.perp_markets) - 1, "only the last market can be removed")
    _require_deletable(market.status == STATUS_INITIALIZED, "the market was activated")
    _require_deletable(market.number_of_users == 0, "the market has users")
    held = market.pnl_pool.scaled_balance + market.amm.fee_pool.scaled_balance
    _require_deletable(held == 0, "the market's pools hold tokens")
    tx.remove_last_perp_market()
    tx.write_state().number_of_markets -= 1


def _require_deletable(condition: bool, reason: str) -> None:
    if not condition:
        raise SettlementError(ErrorCode.InvalidMarketAccountforDeletion, reason)


HANDLERS: dict[type[Instruction], Handler] = {
    InitializeSpotMarket: initialize_spot_market,
    DeleteInitializedPerpMarket: delete_perp_market,
    DeleteInitializedSpotMarket: delete_spot_market,
    InitializePerpMarket: initialize_perp_market,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
