"""The LiquidationRecord: one event for every way to liquidate, in which only the part of the one taken is filled in."""

from typing import Any, Final

from seawall.engine.transaction import Transaction
from seawall.keys import key_to_text
from seawall.state.enums import RULEBOOK_VELOCITY
from seawall.state.facts import IsolatedMargin, MarginCalculation
from seawall.state.user import User

_PARTS: Final[dict[str, dict[str, Any]]] = {
    "liquidate_perp": {
        "market_index": 0,
        "oracle_price": 0,
        "base_asset_amount": 0,
        "quote_asset_amount": 0,
        "lp_shares": 0,
        "fill_record_id": 0,
        "user_order_id": 0,
        "liquidator_order_id": 0,
        "liquidator_fee": 0,
        "if_fee": 0,
    },
    "liquidate_spot": {
        "asset_market_index": 0,
        "asset_price": 0,
        "asset_transfer": 0,
        "liability_market_index": 0,
        "liability_price": 0,
        "liability_transfer": 0,
        "if_fee": 0,
    },
    "liquidate_borrow_for_perp_pnl": {
        "perp_market_index": 0,
        "market_oracle_price": 0,
        "pnl_transfer": 0,
        "liability_market_index": 0,
        "liability_price": 0,
        "liability_transfer": 0,
    },
    "liquidate_perp_pnl_for_deposit": {
        "perp_market_index": 0,
        "market_oracle_price": 0,
        "pnl_transfer": 0,
        "asset_market_index": 0,
        "asset_price": 0,
        "asset_transfer": 0,
    },
    "perp_bankruptcy": {
        "market_index": 0,
        "pnl": 0,
        "if_payment": 0,
        "clawback_user": None,
        "clawback_user_payment": None,
        "cumulative_funding_rate_delta": 0,
    },
    "spot_bankruptcy": {
        "market_index": 0,
        "borrow_amount": 0,
        "if_payment": 0,
        "cumulative_deposit_interest_delta": 0,
    },
}
"""The parts with their defaults, in the program's order. ``liquidation_type`` is a part's name in camel case."""

_VELOCITY_PARTS: Final[dict[str, dict[str, Any]]] = {
    **_PARTS,
    "liquidate_perp": {
        **{name: default for name, default in _PARTS["liquidate_perp"].items() if name != "lp_shares"},
        "protocol_fee": 0,
    },
    "liquidate_spot": {**_PARTS["liquidate_spot"], "protocol_fee": 0},
}
"""Velocity's: the protocol's fees, no LP shares."""


def _parts_of(tx: Transaction) -> dict[str, dict[str, Any]]:
    return _VELOCITY_PARTS if tx.state.rulebook == RULEBOOK_VELOCITY else _PARTS


def emit_liquidation(
    tx: Transaction,
    part: str,
    user: User,
    liquidator: User,
    calculation: MarginCalculation | IsolatedMargin,
    liquidation_id: int,
    *,
    bankrupt: bool,
    margin_freed: int = 0,
    canceled_order_ids: tuple[int, ...] = (),
    bit_flags: int | None = None,
    **fields: Any,
) -> None:
    """LiquidationRecord whose ``part`` (e.g. ``perp_bankruptcy``) has ``fields``, the other parts their defaults.

    ``bit_flags`` is Velocity's: 1 for an isolated position, whose own margin ``calculation`` then is.
    """
    defaults = _parts_of(tx)
    if part not in defaults or not fields.keys() <= defaults[part].keys():
        raise KeyError(f"{part} has no fields {sorted(fields)}")
    parts = {name: {**default, **fields} if name == part else dict(default) for name, default in defaults.items()}
    flags = {} if bit_flags is None else {"bit_flags": bit_flags}
    tx.emit(
        "LiquidationRecord",
        ts=tx.now,
        liquidation_type="".join(word.capitalize() for word in part.split("_")),
        user=key_to_text(user.address),
        liquidator=key_to_text(liquidator.address),
        margin_requirement=calculation.margin_requirement,
        total_collateral=calculation.total_collateral,
        margin_freed=margin_freed,
        liquidation_id=liquidation_id,
        bankrupt=bankrupt,
        canceled_order_ids=list(canceled_order_ids),
        **parts,
        **flags,
    )
