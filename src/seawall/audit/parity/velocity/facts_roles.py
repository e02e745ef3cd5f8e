"""Facts of Velocity: pause bits, who may set what, and the protocol's withdrawals."""

from seawall.arithmetic import SPOT_CUMULATIVE_INTEREST_PRECISION
from seawall.audit.parity.facts_inputs import Adapter, Found, Inputs, refuses
from seawall.rules.velocity.market_validation import validate_if_factor
from seawall.rules.velocity.protocol_fees import calculate_protocol_fee_withdrawal, withdraw_protocol_fees
from seawall.rules.velocity.roles import only_adds_bits
from seawall.state import enums
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.spot_market import PoolBalance, SpotMarket


def _withdraw(inputs: Inputs) -> Found:
    """One controller serves both kinds of pool; the lane only says where the pool is kept."""
    inputs.ignore("lane")
    pool = PoolBalance(scaled_balance=inputs.number("protocol_fee_pool_scaled", 0))
    revenue = inputs.number("revenue_pool_scaled", 0)
    market = SpotMarket(
        rulebook=RULEBOOK_VELOCITY,
        decimals=inputs.number("decimals", 6),
        cumulative_deposit_interest=inputs.number("cumulative_deposit_interest", SPOT_CUMULATIVE_INTEREST_PRECISION),
        cumulative_borrow_interest=inputs.number("cumulative_borrow_interest", SPOT_CUMULATIVE_INTEREST_PRECISION),
        deposit_balance=inputs.number("other_deposits_scaled", 0) + pool.scaled_balance + revenue,
        borrow_balance=inputs.number("borrow_balance", 0),
        revenue_pool=PoolBalance(scaled_balance=revenue),
    )
    withdrawn = withdraw_protocol_fees(inputs.number("amount", 0), market, pool, inputs.number("spot_vault", 0))
    return {
        "withdrawn": withdrawn,
        "protocol_fee_pool_scaled_after": pool.scaled_balance,
        "deposit_balance_after": market.deposit_balance,
    }


def _if_factor(inputs: Inputs) -> Found:
    """Whether the pinned version would have taken the values too is no question to the newest rule."""
    cuts = inputs.number("if_factor"), inputs.number("protocol_factor")
    return {"accepted_P": sum(cuts) <= 1_000_000, "accepted_L": not refuses(lambda: validate_if_factor(*cuts))}


def _add_only(inputs: Inputs) -> Found:
    return {"accepted": only_adds_bits(inputs.number("old"), inputs.number("new"))}


def _withdrawal_amount(inputs: Inputs) -> Found:
    asked, held = inputs.number("requested"), inputs.number("pool_tokens")
    accepted = not refuses(lambda: calculate_protocol_fee_withdrawal(asked, held))
    return {"accepted": accepted, "withdrawn": calculate_protocol_fee_withdrawal(asked, held) if accepted else 0}


def _bit(value: int) -> Adapter:
    def adapter(inputs: Inputs) -> Found:
        return {"bit": value}

    return adapter


_BITS = {
    "exchange_status_bit:Deposit": enums.EXCHANGE_DEPOSIT_PAUSED,
    "exchange_status_bit:Withdraw": enums.EXCHANGE_WITHDRAW_PAUSED,
    "exchange_status_bit:Amm": enums.EXCHANGE_AMM_PAUSED,
    "exchange_status_bit:Fill": enums.EXCHANGE_FILL_PAUSED,
    "exchange_status_bit:Liquidation": enums.EXCHANGE_LIQ_PAUSED,
    "exchange_status_bit:Funding": enums.EXCHANGE_FUNDING_PAUSED,
    "exchange_status_bit:SettlePnl": enums.EXCHANGE_SETTLE_PNL_PAUSED,
    "exchange_status_bit:AmmImmediateFill": enums.EXCHANGE_AMM_IMMEDIATE_FILL_PAUSED,
    "perp_operation_bit:UpdateFunding": enums.PERP_UPDATE_FUNDING,
    "perp_operation_bit:AmmFill": enums.PERP_AMM_FILL,
    "perp_operation_bit:Fill": enums.PERP_FILL,
    "perp_operation_bit:SettlePnl": enums.PERP_SETTLE_PNL,
    "perp_operation_bit:SettlePnlWithPosition": enums.PERP_SETTLE_PNL_WITH_POSITION,
    "perp_operation_bit:Liquidation": enums.PERP_LIQUIDATION,
    "perp_operation_bit:AmmImmediateFill": enums.PERP_AMM_IMMEDIATE_FILL,
    "perp_operation_bit:SettleRevPool": enums.PERP_SETTLE_REV_POOL,
    "spot_operation_bit:UpdateCumulativeInterest": enums.SPOT_UPDATE_CUMULATIVE_INTEREST,
    "spot_operation_bit:Fill": enums.SPOT_FILL,
    "spot_operation_bit:Deposit": enums.VELOCITY_SPOT_DEPOSIT,
    "spot_operation_bit:Withdraw": enums.VELOCITY_SPOT_WITHDRAW,
    "spot_operation_bit:Liquidation": enums.VELOCITY_SPOT_LIQUIDATION,
    "solvency_status_bit:RepairPaused": enums.SOLVENCY_REPAIR_PAUSED,
}

ADAPTERS: dict[str, Adapter] = {
    "withdraw_protocol_fees_perp": _withdraw,
    "withdraw_protocol_fees_spot": _withdraw,
    "if_factor_setter": _if_factor,
    "pause_admin_add_only": _add_only,
    "protocol_withdrawal_amount": _withdrawal_amount,
    **{name: _bit(value) for name, value in _BITS.items()},
}
