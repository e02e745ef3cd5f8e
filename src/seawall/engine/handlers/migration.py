"""Turning a Drift venue into a Velocity venue, with every claim unchanged."""

from seawall.arithmetic import PERCENTAGE_PRECISION
from seawall.engine.explain import Explainer
from seawall.engine.handlers.revenue import emit_insurance_fund
from seawall.engine.interest import accrue
from seawall.engine.rulebook import Handler
from seawall.engine.transaction import Transaction
from seawall.errors import ErrorCode, SettlementError
from seawall.instructions.base import Instruction
from seawall.instructions.migration import MigrateToVelocity
from seawall.keys import DEFAULT_KEY
from seawall.rules.common.balances import deposit_into_pool, get_token_amount
from seawall.rules.common.insurance_shares import get_protocol_shares, if_shares_to_vault_amount
from seawall.rules.common.vaults import validate_spot_market_vault_amount
from seawall.state.enums import (
    DEPOSIT,
    FEATURE_ISOLATED_POSITIONS,
    RULEBOOK_VELOCITY,
    SPOT_FILL,
    SPOT_LIQUIDATION,
    SPOT_UPDATE_CUMULATIVE_INTEREST,
    SPOT_WITHDRAW,
    VELOCITY_SPOT_LIQUIDATION,
    VELOCITY_SPOT_WITHDRAW,
)
from seawall.state.perp_market import PerpMarket
from seawall.state.spot_market import PoolBalance, SpotMarket

DEFAULT_FEE_POOL_BUFFER_TARGET = 250_000_000
DEFAULT_FUNDING_CLAMP_THRESHOLD = 5
DEFAULT_FUNDING_RAMP_SLOPE = 1_000_000
IMMEDIATE_FILLS_OF_THIS_SLOT = -1
WHOLE_SPLIT = 100


def migrate_to_velocity(tx: Transaction, ix: MigrateToVelocity) -> None:
    """Change the rulebook of the venue and of its markets; ``Unauthorized``, ``InvalidFeeStructure``.

    Interest is accrued first, for the last time by Drift's rule.
    """
    tx.require_admin()
    if ix.amm_fee_numerator + ix.if_fee_numerator > WHOLE_SPLIT:
        condition = f"amm_fee_numerator + if_fee_numerator ≤ {WHOLE_SPLIT}"
        raise SettlementError(ErrorCode.InvalidFeeStructure, f"required: {condition}", condition)
    for index in range(len(tx.spot_markets)):
        accrue(tx, index, with_oracle=False)
    for index in range(len(tx.spot_markets)):
        _migrate_spot_market(tx, index, ix.protocol_if_shares)
    for index in range(len(tx.perp_markets)):
        _migrate_perp_market(tx, index)
    _migrate_exchange(tx, ix)
    for index, market in enumerate(tx.spot_markets):
        validate_spot_market_vault_amount(market, tx.vaults(index).spot_vault)


def _migrate_exchange(tx: Transaction, ix: MigrateToVelocity) -> None:
    config, state = tx.write_config(), tx.write_state()
    documents = config.profile == "documents"
    config.rulebook = "velocity"
    config.spot_fee_pool_settlement = config.admin_removes_protocol_shares = False
    config.revenue_pool_draw_for_pnl = config.revenue_pool_draw_for_funding = documents
    config.tokenize_spread_surplus = documents
    state.rulebook = RULEBOOK_VELOCITY
    state.cold_admin = state.warm_admin = state.admin
    state.admin = DEFAULT_KEY
    state.feature_bit_flags = FEATURE_ISOLATED_POSITIONS if documents else 0
    for structure in (state.perp_fee_structure, state.spot_fee_structure):
        structure.amm_fee_numerator = ix.amm_fee_numerator
        structure.if_fee_numerator = ix.if_fee_numerator


# --- spot markets ----------------------------------------------------------------------------------------------


def _migrate_spot_market(tx: Transaction, index: int, protocol_if_shares: str) -> None:
    market = tx.write_spot_market(index)
    if protocol_if_shares != "ballast":
        _pay_out_protocol_shares(tx, market, index, protocol_if_shares)
    _close_spot_fee_pool(tx, market)
    become_velocity_spot_market(market)
    fund = market.insurance_fund
    # a factor of the whole, which Drift admits and which stops all accrual, leaves the lenders a millionth now
    fund.if_fee_factor = min(fund.total_factor, PERCENTAGE_PRECISION - 1)
    fund.total_factor = fund.user_factor = 0
    market.paused_operations = _velocity_spot_bits(market.paused_operations)


def become_velocity_spot_market(market: SpotMarket) -> None:
    """Put a spot market under Velocity, with an empty protocol fee pool."""
    market.rulebook = RULEBOOK_VELOCITY
    if market.protocol_fee_pool.scaled_balance == 0:
        market.protocol_fee_pool = PoolBalance(market_index=market.market_index)


def _pay_out_protocol_shares(tx: Transaction, market: SpotMarket, index: int, target: str) -> None:
    """Burn the shares that no staker owns; what they are worth moves from the fund's vault into the pool ``target``."""
    fund, vaults = market.insurance_fund, tx.vaults(index)
    before = (vaults.spot_vault, vaults.insurance_fund_vault, fund.total_shares)
    shares = get_protocol_shares(fund)
    amount = if_shares_to_vault_amount(shares, fund.total_shares, vaults.insurance_fund_vault)
    fund.total_shares -= shares
    if amount == 0:
        return
    if target == "protocol_fee_pool":
        market.protocol_fee_pool = PoolBalance(market_index=index)
    tx.draw_tokens_from_insurance_fund(index, amount)
    deposit_into_pool(amount, market, getattr(market, target))
    emit_insurance_fund(tx, index, 0, -amount, *before, fund.total_shares)


def _close_spot_fee_pool(tx: Transaction, market: SpotMarket) -> None:
    """Velocity has no spot fee pool: its claim, which lies in the quote market, passes to the quote revenue pool.

    The scaled balance moves as it is, so that nothing is rounded.
    """
    pool = market.spot_fee_pool
    if pool.scaled_balance != 0:
        tx.write_quote_market().revenue_pool.scaled_balance += pool.scaled_balance
        pool.scaled_balance = 0


def _velocity_spot_bits(bits: int) -> int:
    """A spot market's pause bits as Velocity numbers them; none of Drift's pauses deposits."""
    kept = bits & (SPOT_UPDATE_CUMULATIVE_INTEREST | SPOT_FILL)
    if bits & SPOT_WITHDRAW:
        kept |= VELOCITY_SPOT_WITHDRAW
    if bits & SPOT_LIQUIDATION:
        kept |= VELOCITY_SPOT_LIQUIDATION
    return kept


# --- perp markets ----------------------------------------------------------------------------------------------


def _migrate_perp_market(tx: Transaction, index: int) -> None:
    """Lifetime fees carry over; what lies in the AMM's fee pool stays liable for bankruptcies, now as its provision."""
    market = tx.write_perp_market(index)
    become_velocity_perp_market(market)
    ledger, quote = market.fee_ledger, tx.spot_market(market.quote_spot_market_index)
    ledger.total_exchange_fee = market.amm.total_exchange_fee
    ledger.total_liquidation_fee = market.amm.total_liquidation_fee
    ledger.amm_protocol_fees_received = get_token_amount(market.amm.fee_pool.scaled_balance, quote, DEPOSIT)


def become_velocity_perp_market(market: PerpMarket) -> None:
    """Put a perp market under Velocity: an empty fee ledger and protocol pool, the default buffer and dead zone."""
    market.rulebook = RULEBOOK_VELOCITY
    market.protocol_fee_pool = PoolBalance(market_index=market.quote_spot_market_index)
    market.fee_pool_buffer_target = DEFAULT_FEE_POOL_BUFFER_TARGET
    market.funding_clamp_threshold = DEFAULT_FUNDING_CLAMP_THRESHOLD
    market.funding_ramp_slope = DEFAULT_FUNDING_RAMP_SLOPE
    market.amm.oracle_slot_delay_override = IMMEDIATE_FILLS_OF_THIS_SLOT
    market.amm.last_cumulative_funding_rate_long = market.amm.cumulative_funding_rate_long
    market.amm.last_cumulative_funding_rate_short = market.amm.cumulative_funding_rate_short


HANDLERS: dict[type[Instruction], Handler] = {MigrateToVelocity: migrate_to_velocity}

EXPLAINERS: dict[ErrorCode, Explainer] = {}
