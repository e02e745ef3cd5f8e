"""Parameter updates: each checks the admin, the market, the values, and stores them. Source: instructions.md §2.9."""

from seawall.engine.explain import Explainer
from seawall.engine.gates import require_perp_market_valid, require_spot_market_valid, required
from seawall.engine.handlers.markets import MARGIN_RATIOS, WEIGHTS
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions import administration as ixs
from seawall.instructions.base import Instruction
from seawall.keys import key_from_text
from seawall.rules.common.amm_validation import validate_perp_market
from seawall.rules.common.market_validation import (
    MAX_CURVE_INTENSITY,
    MAX_FEE_ADJUSTMENT,
    max_insurance_for_tier,
    validate_borrow_rate,
    validate_fee_structure,
    validate_if_factor,
    validate_margin,
    validate_margin_weights,
    validate_max_imbalances,
    validate_perp_liquidation_fee,
    validate_spot_liquidation_fee,
)
from seawall.state.enums import (
    ASSET_TIER_COLLATERAL,
    ASSET_TIER_PROTECTED,
    STATUS_ACTIVE,
    STATUS_DELISTED,
    STATUS_INITIALIZED,
    STATUS_REDUCE_ONLY,
    STATUS_SETTLEMENT,
    AssetTier,
    ContractTier,
    MarketStatus,
)
from seawall.state.exchange import FeeStructure, FeeTier, OrderFillerRewardStructure, State
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import SpotMarket

_FEE_TIERS = 10


def _state(tx: Transaction) -> State:
    tx.require_admin()
    return tx.write_state()


def _spot(tx: Transaction, market_index: int) -> SpotMarket:
    tx.require_admin()
    require_spot_market_valid(tx, market_index)
    return tx.write_spot_market(market_index)


def _perp(tx: Transaction, market_index: int) -> PerpMarket:
    tx.require_admin()
    require_perp_market_valid(tx, market_index)
    return tx.write_perp_market(market_index)


def _require(valid: bool, condition: str, error: ErrorCode = ErrorCode.DefaultError) -> None:
    if not valid:
        raise SettlementError(error, f"required: {condition}", condition)


# --- the exchange ----------------------------------------------------------------------------------------------


def update_admin(tx: Transaction, ix: ixs.UpdateAdmin) -> None:
    """Hand the exchange over."""
    _state(tx).admin = key_from_text(ix.admin)


def update_exchange_status(tx: Transaction, ix: ixs.UpdateExchangeStatus) -> None:
    """Set the exchange's pause bits."""
    _state(tx).exchange_status = ix.exchange_status


def update_settlement_duration(tx: Transaction, ix: ixs.UpdateStateSettlementDuration) -> None:
    """Set the settlement duration."""
    _state(tx).settlement_duration = ix.settlement_duration


def update_margin_buffer_ratio(tx: Transaction, ix: ixs.UpdateLiquidationMarginBufferRatio) -> None:
    """Set the liquidation margin buffer."""
    _state(tx).liquidation_margin_buffer_ratio = ix.liquidation_margin_buffer_ratio


def update_liquidation_duration(tx: Transaction, ix: ixs.UpdateLiquidationDuration) -> None:
    """Set the liquidation duration."""
    _state(tx).liquidation_duration = ix.liquidation_duration


def update_initial_pct_to_liquidate(tx: Transaction, ix: ixs.UpdateInitialPctToLiquidate) -> None:
    """Set the share that may be liquidated at once."""
    _state(tx).initial_pct_to_liquidate = ix.initial_pct_to_liquidate


def update_auction_duration(tx: Transaction, ix: ixs.UpdatePerpAuctionDuration) -> None:
    """Set the age from which the AMM fills an order."""
    _state(tx).min_perp_auction_duration = ix.min_perp_auction_duration


def update_oracle_guard_rails(tx: Transaction, ix: ixs.UpdateOracleGuardRails) -> None:
    """Replace the guard rails."""
    rails = _state(tx).oracle_guard_rails
    divergence = ix.oracle_guard_rails.price_divergence
    rails.price_divergence.mark_oracle_percent_divergence = divergence.mark_oracle_percent_divergence
    rails.price_divergence.oracle_twap_5min_percent_divergence = divergence.oracle_twap_5min_percent_divergence
    validity = ix.oracle_guard_rails.validity
    rails.validity.slots_before_stale_for_amm = validity.slots_before_stale_for_amm
    rails.validity.slots_before_stale_for_margin = validity.slots_before_stale_for_margin
    rails.validity.confidence_interval_max_size = validity.confidence_interval_max_size
    rails.validity.too_volatile_ratio = validity.too_volatile_ratio


def make_fee_structure(params: ixs.FeeStructureParams) -> FeeStructure:
    """The schedule that an instruction describes, not validated; ``InvalidInstruction`` for more than ten tiers."""
    _require(len(params.fee_tiers) <= _FEE_TIERS, f"at most {_FEE_TIERS} fee tiers", ErrorCode.InvalidInstruction)
    structure = FeeStructure(
        filler_reward_structure=OrderFillerRewardStructure(
            reward_numerator=params.filler_reward_structure.reward_numerator,
            reward_denominator=params.filler_reward_structure.reward_denominator,
            time_based_reward_lower_bound=params.filler_reward_structure.time_based_reward_lower_bound,
        ),
        referrer_reward_epoch_upper_bound=params.referrer_reward_epoch_upper_bound,
        flat_filler_fee=params.flat_filler_fee,
        amm_fee_numerator=params.amm_fee_numerator,
        if_fee_numerator=params.if_fee_numerator,
    )
    given = list(params.fee_tiers)
    given += [ixs.FeeTierParams()] * (_FEE_TIERS - len(given))
    for i, tier in enumerate(given):
        structure.fee_tiers[i] = FeeTier(**{name: getattr(tier, name) for name in tier.__struct_fields__})
    return structure


def _fee_structure(params: ixs.FeeStructureParams) -> FeeStructure:
    _require(
        params.amm_fee_numerator == params.if_fee_numerator == 0,
        "no amm_fee_numerator and no if_fee_numerator: the rulebook 'drift' does not split fees",
        ErrorCode.InvalidInstruction,
    )
    structure = make_fee_structure(params)
    with required(
        "taker fees ≤ 100/100000, rebates ≤ 30/100000, discounts, referrer and filler rewards ≤ 20/100, what a taker "
        "pays ≥ all that is paid out of it, flat_filler_fee ≤ 10000"
    ):
        validate_fee_structure(structure)
    return structure


def update_perp_fee_structure(tx: Transaction, ix: ixs.UpdatePerpFeeStructure) -> None:
    """Replace the perp fee schedule; ``InvalidFeeStructure``."""
    state = _state(tx)
    state.perp_fee_structure = _fee_structure(ix.fee_structure)


def update_spot_fee_structure(tx: Transaction, ix: ixs.UpdateSpotFeeStructure) -> None:
    """Replace the spot fee schedule; ``InvalidFeeStructure``."""
    state = _state(tx)
    state.spot_fee_structure = _fee_structure(ix.fee_structure)


# --- spot markets ----------------------------------------------------------------------------------------------


def update_if_factor(tx: Transaction, ix: ixs.UpdateSpotMarketIfFactor) -> None:
    """Set the insurance factors; ``DefaultError``."""
    fund = _spot(tx, ix.spot_market_index).insurance_fund
    user, total = if_factors(ix, "user_if_factor", "total_if_factor")
    with required("user_if_factor ≤ total_if_factor ≤ 1000000"):
        validate_if_factor(user, total)
    fund.user_factor, fund.total_factor = user, total


def if_factors(ix: ixs.UpdateSpotMarketIfFactor, *names: str) -> tuple[int, int]:
    """The pair of factors that a rulebook has; ``InvalidInstruction`` unless exactly these are given."""
    pair = ("user_if_factor", "total_if_factor", "if_fee_factor", "protocol_fee_factor")
    if any((getattr(ix, name) is None) == (name in names) for name in pair):
        condition = f"{names[0]} and {names[1]}, and no other factor"
        raise SettlementError(ErrorCode.InvalidInstruction, f"this rulebook wants {condition}", condition)
    return getattr(ix, names[0]), getattr(ix, names[1])


def update_revenue_settle_period(tx: Transaction, ix: ixs.UpdateSpotMarketRevenueSettlePeriod) -> None:
    """Set the settlement period; ``DefaultError``."""
    fund = _spot(tx, ix.market_index).insurance_fund
    _require(ix.revenue_settle_period > 0, "revenue_settle_period > 0")
    fund.revenue_settle_period = ix.revenue_settle_period


def update_unstaking_period(tx: Transaction, ix: ixs.UpdateInsuranceFundUnstakingPeriod) -> None:
    """Set the cooldown."""
    _spot(tx, ix.market_index).insurance_fund.unstaking_period = ix.insurance_fund_unstaking_period


def update_if_paused_operations(tx: Transaction, ix: ixs.UpdateSpotMarketIfPausedOperations) -> None:
    """Set the fund's pause bits."""
    _spot(tx, ix.market_index).if_paused_operations = ix.paused_operations


def update_spot_paused_operations(tx: Transaction, ix: ixs.UpdateSpotMarketPausedOperations) -> None:
    """Set the spot market's pause bits."""
    _spot(tx, ix.market_index).paused_operations = ix.paused_operations


def update_spot_liquidation_fee(tx: Transaction, ix: ixs.UpdateSpotMarketLiquidationFee) -> None:
    """Set the spot market's liquidation fees; ``DefaultError``."""
    market = _spot(tx, ix.market_index)
    _require_no_protocol_part(ix.protocol_liquidation_fee)
    with required("liquidator_fee + if_liquidation_fee < 1000000 and if_liquidation_fee ≤ 100000"):
        validate_spot_liquidation_fee(ix.liquidator_fee, ix.if_liquidation_fee)
    market.liquidator_fee = ix.liquidator_fee
    market.if_liquidation_fee = ix.if_liquidation_fee


def update_margin_weights(tx: Transaction, ix: ixs.UpdateSpotMarketMarginWeights) -> None:
    """Set the margin weights; ``InvalidSpotMarketInitialization``."""
    market = _spot(tx, ix.market_index)
    with required(WEIGHTS):
        validate_margin_weights(
            market.market_index, ix.initial_asset_weight, ix.maintenance_asset_weight, ix.initial_liability_weight,
            ix.maintenance_liability_weight, ix.imf_factor,
        )  # fmt: skip
    market.initial_asset_weight = ix.initial_asset_weight
    market.maintenance_asset_weight = ix.maintenance_asset_weight
    market.initial_liability_weight = ix.initial_liability_weight
    market.maintenance_liability_weight = ix.maintenance_liability_weight
    market.imf_factor = ix.imf_factor


def update_borrow_rate(tx: Transaction, ix: ixs.UpdateSpotMarketBorrowRate) -> None:
    """Set the borrow-rate curve; ``InvalidSpotMarketInitialization``. Past time is charged at the new curve.

    Interest is not accrued first: deliberate, it is the program's.
    """
    market = _spot(tx, ix.market_index)
    minimum = market.min_borrow_rate if ix.min_borrow_rate is None else ix.min_borrow_rate
    with required(f"optimal_utilization ≤ 1000000 and {minimum * 5_000} ≤ optimal_borrow_rate ≤ max_borrow_rate"):
        validate_borrow_rate(ix.optimal_utilization, ix.optimal_borrow_rate, ix.max_borrow_rate, minimum)
    market.optimal_utilization = ix.optimal_utilization
    market.optimal_borrow_rate = ix.optimal_borrow_rate
    market.max_borrow_rate = ix.max_borrow_rate
    market.min_borrow_rate = minimum


def update_max_token_deposits(tx: Transaction, ix: ixs.UpdateSpotMarketMaxTokenDeposits) -> None:
    """Set the deposit cap."""
    _spot(tx, ix.market_index).max_token_deposits = ix.max_token_deposits


def update_asset_tier(tx: Transaction, ix: ixs.UpdateSpotMarketAssetTier) -> None:
    """Set the asset tier; ``DefaultError``."""
    market = _spot(tx, ix.market_index)
    tier = int(AssetTier[ix.asset_tier])
    collateral = tier in (ASSET_TIER_COLLATERAL, ASSET_TIER_PROTECTED)
    _require(market.initial_asset_weight == 0 or collateral, "Collateral or Protected, or initial_asset_weight = 0")
    market.asset_tier = tier


def update_scale_start(tx: Transaction, ix: ixs.UpdateSpotMarketScaleInitialAssetWeightStart) -> None:
    """Set where the initial asset weight starts to shrink."""
    _spot(tx, ix.market_index).scale_initial_asset_weight_start = ix.scale_initial_asset_weight_start


def update_withdraw_guard_threshold(tx: Transaction, ix: ixs.UpdateWithdrawGuardThreshold) -> None:
    """Set the withdraw guard."""
    _spot(tx, ix.market_index).withdraw_guard_threshold = ix.withdraw_guard_threshold


def update_spot_status(tx: Transaction, ix: ixs.UpdateSpotMarketStatus) -> None:
    """Set the status; ``DefaultError`` for a deprecated one."""
    market = _spot(tx, ix.market_index)
    status = int(MarketStatus[ix.status])
    _require(
        status in (STATUS_INITIALIZED, STATUS_ACTIVE, STATUS_REDUCE_ONLY, STATUS_SETTLEMENT, STATUS_DELISTED),
        "Initialized, Active, ReduceOnly, Settlement or Delisted",
    )
    market.status = status


def update_spot_expiry(tx: Transaction, ix: ixs.UpdateSpotMarketExpiry) -> None:
    """Set the expiry; ``DefaultError`` unless it lies ahead."""
    market = _spot(tx, ix.market_index)
    _require(tx.now < ix.expiry_ts, f"expiry_ts > {tx.now}")
    market.status = STATUS_REDUCE_ONLY
    market.expiry_ts = ix.expiry_ts


def _require_fee_adjustment(fee_adjustment: int) -> None:
    _require(abs(fee_adjustment) <= MAX_FEE_ADJUSTMENT, f"|fee_adjustment| ≤ {MAX_FEE_ADJUSTMENT}")


def update_spot_fee_adjustment(tx: Transaction, ix: ixs.UpdateSpotMarketFeeAdjustment) -> None:
    """Set the fee adjustment; ``DefaultError``."""
    market = _spot(tx, ix.market_index)
    _require_fee_adjustment(ix.fee_adjustment)
    market.fee_adjustment = ix.fee_adjustment


# --- perp markets ----------------------------------------------------------------------------------------------


def update_perp_liquidation_fee(tx: Transaction, ix: ixs.UpdatePerpLiquidationFee) -> None:
    """Set the perp market's liquidation fees; ``DefaultError``, ``InvalidMarginRatio``."""
    market = _perp(tx, ix.market_index)
    _require_no_protocol_part(ix.protocol_liquidation_fee)
    with required("liquidator_fee + if_liquidation_fee < 1000000"):
        validate_perp_liquidation_fee(ix.liquidator_fee, ix.if_liquidation_fee)
    _validate_margin(market, market.margin_ratio_initial, market.margin_ratio_maintenance, ix.liquidator_fee)
    market.liquidator_fee = ix.liquidator_fee
    market.if_liquidation_fee = ix.if_liquidation_fee


def _require_no_protocol_part(protocol_liquidation_fee: int) -> None:
    condition = "protocol_liquidation_fee = 0: the protocol takes no part of a liquidation in this rulebook"
    _require(protocol_liquidation_fee == 0, condition)


def _validate_margin(market: PerpMarket, initial: int, maintenance: int, liquidator_fee: int) -> None:
    with required(MARGIN_RATIOS):
        validate_margin(initial, maintenance, liquidator_fee, market.amm.max_spread)


def update_margin_ratio(tx: Transaction, ix: ixs.UpdatePerpMarketMarginRatio) -> None:
    """Set the margin ratios; ``InvalidMarginRatio``."""
    market = _perp(tx, ix.market_index)
    _validate_margin(market, ix.margin_ratio_initial, ix.margin_ratio_maintenance, market.liquidator_fee)
    market.margin_ratio_initial = ix.margin_ratio_initial
    market.margin_ratio_maintenance = ix.margin_ratio_maintenance


def update_imf_factor(tx: Transaction, ix: ixs.UpdatePerpMarketImfFactor) -> None:
    """Set the size factors; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    _require(
        ix.imf_factor <= 1_000_000 and ix.unrealized_pnl_imf_factor <= 1_000_000,
        "imf_factor ≤ 1000000 and unrealized_pnl_imf_factor ≤ 1000000",
    )
    market.imf_factor = ix.imf_factor
    market.unrealized_pnl_imf_factor = ix.unrealized_pnl_imf_factor


def update_unrealized_asset_weight(tx: Transaction, ix: ixs.UpdatePerpMarketUnrealizedAssetWeight) -> None:
    """Set the weights of unsettled profit; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    initial, maintenance = ix.unrealized_initial_asset_weight, ix.unrealized_maintenance_asset_weight
    _require(
        initial <= maintenance <= 10_000,
        "unrealized_initial_asset_weight ≤ unrealized_maintenance_asset_weight ≤ 10000",
    )
    market.unrealized_pnl_initial_asset_weight = initial
    market.unrealized_pnl_maintenance_asset_weight = maintenance


def update_max_imbalances(tx: Transaction, ix: ixs.UpdatePerpMarketMaxImbalances) -> None:
    """Set the insurance caps; ``DefaultError``, ``InvalidAmmDetected``. Source: solvency.md §1.3."""
    market = _perp(tx, ix.market_index)
    claim = market.insurance_claim
    cap = max_insurance_for_tier(market.contract_tier)
    tier = ContractTier(market.contract_tier).name
    with required(
        f"for tier {tier}: unrealized_max_imbalance ≤ {cap + 1}, "
        f"max_revenue_withdraw_per_period ≤ {max(cap, 250_000_000)}, "
        f"{claim.quote_settled_insurance} ≤ quote_max_insurance ≤ {cap}"
    ):
        validate_max_imbalances(
            market, ix.unrealized_max_imbalance, ix.max_revenue_withdraw_per_period, ix.quote_max_insurance
        )
    claim.max_revenue_withdraw_per_period = ix.max_revenue_withdraw_per_period
    market.unrealized_pnl_max_imbalance = ix.unrealized_max_imbalance
    claim.quote_max_insurance = ix.quote_max_insurance
    with required(
        f"max_revenue_withdraw_per_period ≥ {abs(claim.revenue_withdraw_since_last_settle)}, drawn or sent in this "
        "period, and a sound market"
    ):
        validate_perp_market(market)


def update_contract_tier(tx: Transaction, ix: ixs.UpdatePerpMarketContractTier) -> None:
    """Set the contract tier. Caps beyond the new tier's stay: deliberate, it is the program's."""
    _perp(tx, ix.market_index).contract_tier = int(ContractTier[ix.contract_tier])


def update_perp_status(tx: Transaction, ix: ixs.UpdatePerpMarketStatus) -> None:
    """Set the status; ``DefaultError`` for any but Initialized, Active, ReduceOnly."""
    market = _perp(tx, ix.market_index)
    status = int(MarketStatus[ix.status])
    _require(
        status in (STATUS_INITIALIZED, STATUS_ACTIVE, STATUS_REDUCE_ONLY),
        "Initialized, Active or ReduceOnly; settle_expired_market leads to Settlement",
    )
    market.status = status


def update_perp_expiry(tx: Transaction, ix: ixs.UpdatePerpMarketExpiry) -> None:
    """Set the expiry; ``DefaultError`` unless it lies ahead."""
    market = _perp(tx, ix.market_index)
    _require(tx.now < ix.expiry_ts, f"expiry_ts > {tx.now}")
    market.status = STATUS_REDUCE_ONLY
    market.expiry_ts = ix.expiry_ts


def update_perp_paused_operations(tx: Transaction, ix: ixs.UpdatePerpMarketPausedOperations) -> None:
    """Set the perp market's pause bits."""
    _perp(tx, ix.market_index).paused_operations = ix.paused_operations


def update_funding_period(tx: Transaction, ix: ixs.UpdatePerpMarketFundingPeriod) -> None:
    """Set the funding period; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    _require(ix.funding_period >= 0, "funding_period ≥ 0")
    market.amm.funding_period = ix.funding_period


def update_perp_fee_adjustment(tx: Transaction, ix: ixs.UpdatePerpMarketFeeAdjustment) -> None:
    """Set the fee adjustment; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    _require_fee_adjustment(ix.fee_adjustment)
    market.fee_adjustment = ix.fee_adjustment


def update_curve_intensity(tx: Transaction, ix: ixs.UpdatePerpMarketCurveUpdateIntensity) -> None:
    """Set the curve update intensity; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    _require(ix.curve_update_intensity <= MAX_CURVE_INTENSITY, f"curve_update_intensity ≤ {MAX_CURVE_INTENSITY}")
    market.amm.curve_update_intensity = ix.curve_update_intensity


def update_jit_intensity(tx: Transaction, ix: ixs.UpdateAmmJitIntensity) -> None:
    """Set the just-in-time intensity; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    _require(ix.amm_jit_intensity <= MAX_CURVE_INTENSITY, f"amm_jit_intensity ≤ {MAX_CURVE_INTENSITY}")
    market.amm.amm_jit_intensity = ix.amm_jit_intensity


def update_max_spread(tx: Transaction, ix: ixs.UpdatePerpMarketMaxSpread) -> None:
    """Set the largest spread; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    low, high = market.amm.base_spread, market.margin_ratio_initial * 100
    _require(low <= ix.max_spread <= high, f"{low} ≤ max_spread ≤ {high}")
    market.amm.max_spread = ix.max_spread


def update_max_open_interest(tx: Transaction, ix: ixs.UpdatePerpMarketMaxOpenInterest) -> None:
    """Set the cap on open interest; ``DefaultError``."""
    market = _perp(tx, ix.market_index)
    step = market.amm.order_step_size
    _require(ix.max_open_interest % step == 0, f"max_open_interest is a multiple of the step size {step}")
    market.amm.max_open_interest = ix.max_open_interest


HANDLERS: dict[type[Instruction], Handler] = {
    ixs.UpdateAdmin: update_admin,
    ixs.UpdateExchangeStatus: update_exchange_status,
    ixs.UpdateStateSettlementDuration: update_settlement_duration,
    ixs.UpdateLiquidationMarginBufferRatio: update_margin_buffer_ratio,
    ixs.UpdateLiquidationDuration: update_liquidation_duration,
    ixs.UpdateInitialPctToLiquidate: update_initial_pct_to_liquidate,
    ixs.UpdatePerpAuctionDuration: update_auction_duration,
    ixs.UpdateOracleGuardRails: update_oracle_guard_rails,
    ixs.UpdatePerpFeeStructure: update_perp_fee_structure,
    ixs.UpdateSpotFeeStructure: update_spot_fee_structure,
    ixs.UpdateSpotMarketIfFactor: update_if_factor,
    ixs.UpdateSpotMarketRevenueSettlePeriod: update_revenue_settle_period,
    ixs.UpdateInsuranceFundUnstakingPeriod: update_unstaking_period,
    ixs.UpdateSpotMarketIfPausedOperations: update_if_paused_operations,
    ixs.UpdateSpotMarketPausedOperations: update_spot_paused_operations,
    ixs.UpdateSpotMarketLiquidationFee: update_spot_liquidation_fee,
    ixs.UpdateSpotMarketMarginWeights: update_margin_weights,
    ixs.UpdateSpotMarketBorrowRate: update_borrow_rate,
    ixs.UpdateSpotMarketMaxTokenDeposits: update_max_token_deposits,
    ixs.UpdateSpotMarketAssetTier: update_asset_tier,
    ixs.UpdateSpotMarketScaleInitialAssetWeightStart: update_scale_start,
    ixs.UpdateWithdrawGuardThreshold: update_withdraw_guard_threshold,
    ixs.UpdateSpotMarketStatus: update_spot_status,
    ixs.UpdateSpotMarketExpiry: update_spot_expiry,
    ixs.UpdateSpotMarketFeeAdjustment: update_spot_fee_adjustment,
    ixs.UpdatePerpLiquidationFee: update_perp_liquidation_fee,
    ixs.UpdatePerpMarketMarginRatio: update_margin_ratio,
    ixs.UpdatePerpMarketImfFactor: update_imf_factor,
    ixs.UpdatePerpMarketUnrealizedAssetWeight: update_unrealized_asset_weight,
    ixs.UpdatePerpMarketMaxImbalances: update_max_imbalances,
    ixs.UpdatePerpMarketContractTier: update_contract_tier,
    ixs.UpdatePerpMarketStatus: update_perp_status,
    ixs.UpdatePerpMarketExpiry: update_perp_expiry,
    ixs.UpdatePerpMarketPausedOperations: update_perp_paused_operations,
    ixs.UpdatePerpMarketFundingPeriod: update_funding_period,
    ixs.UpdatePerpMarketFeeAdjustment: update_perp_fee_adjustment,
    ixs.UpdatePerpMarketCurveUpdateIntensity: update_curve_intensity,
    ixs.UpdateAmmJitIntensity: update_jit_intensity,
    ixs.UpdatePerpMarketMaxSpread: update_max_spread,
    ixs.UpdatePerpMarketMaxOpenInterest: update_max_open_interest,
}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
