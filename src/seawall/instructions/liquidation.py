"""Liquidations: a liquidator, another account of the venue, takes over what an account can no longer bear.

The signer is the liquidator's authority or delegate. An account is flagged by the first liquidation that finds it below
its maintenance requirement; it is let go by the first instruction that finds it above the requirement with buffer.
"""

from msgspec import field

from seawall.instructions.base import Instruction, UserRef
from seawall.instructions.perp_fills import AmmFill, MatchFill, RestingMakerOrder
from seawall.records import u16, u64, u128


class LiquidatePerp(Instruction, frozen=True, kw_only=True):
    """Take over part of a perp position at the oracle price, for a fee.

    At most ``liquidator_max_base_asset_amount`` (base 1e9). ``limit_price`` (1e6): the most to pay for a long, the
    least to be paid for a short. Source: liquidation.md §4; ``handle_liquidate_perp``.
    """

    user: UserRef
    liquidator: UserRef
    market_index: u16
    liquidator_max_base_asset_amount: u64
    limit_price: u64 | None = None


class LiquidatePerpWithFill(Instruction, frozen=True, kw_only=True):
    """Close part of a perp position by an order of its own account, against the AMM and resting orders.

    The liquidator takes nothing over; it is the filler. ``makers``, ``cancelled_maker_orders`` and ``fills`` as in
    ``fill_perp_order``. Only Velocity. Signer: the liquidator's authority or delegate; with makers the warm admin, who
    runs the order book. Source: velocity/liquidation.md §6.2; ``handle_liquidate_perp_with_fill``.
    """

    user: UserRef
    liquidator: UserRef
    market_index: u16
    makers: list[UserRef] = field(default_factory=list)
    cancelled_maker_orders: list[RestingMakerOrder] = field(default_factory=list)
    fills: list[AmmFill | MatchFill] = field(default_factory=list)


class LiquidateSpot(Instruction, frozen=True, kw_only=True):
    """Take over part of a borrow, and a deposit for it. The documents call it ``liquidate_borrow``.

    At most ``liquidator_max_liability_transfer`` (tokens of the liability). ``limit_price`` (1e6): the least asset
    for a token of the liability. Source: liquidation.md §5; ``handle_liquidate_spot``.
    """

    user: UserRef
    liquidator: UserRef
    asset_market_index: u16
    liability_market_index: u16
    liquidator_max_liability_transfer: u128
    limit_price: u64 | None = None


class LiquidateSpotWithSwap(Instruction, frozen=True, kw_only=True):
    """Swap part of a deposit at an external venue and repay a borrow with it: ``amount_in`` leaves the asset's vault,
    ``amount_out`` enters the liability's (tokens). What the swap fetched beyond that is the liquidator's.

    The program's begin and end as one. Only Velocity.
    Source: velocity/liquidation.md §7.3, §7.4; ``handle_liquidate_spot_with_swap_begin``, ``…_end``.
    """

    user: UserRef
    liquidator: UserRef
    asset_market_index: u16
    liability_market_index: u16
    amount_in: u64
    amount_out: u64


class LiquidateBorrowForPerpPnl(Instruction, frozen=True, kw_only=True):
    """Take over part of a borrow, and the profit of a closed perp position for it.

    At most ``liquidator_max_liability_transfer`` (tokens). ``limit_price`` (1e6): the least profit for a token.
    Source: liquidation.md §6; ``handle_liquidate_borrow_for_perp_pnl``.
    """

    user: UserRef
    liquidator: UserRef
    perp_market_index: u16
    spot_market_index: u16
    liquidator_max_liability_transfer: u128
    limit_price: u64 | None = None


class LiquidatePerpPnlForDeposit(Instruction, frozen=True, kw_only=True):
    """Take over part of the loss of a closed perp position, and a deposit for it.

    At most ``liquidator_max_pnl_transfer`` (quote 1e6). ``limit_price`` (1e6): the least asset for a unit of quote.
    Source: liquidation.md §7; ``handle_liquidate_perp_pnl_for_deposit``.
    """

    user: UserRef
    liquidator: UserRef
    perp_market_index: u16
    spot_market_index: u16
    liquidator_max_pnl_transfer: u128
    limit_price: u64 | None = None


class SetUserStatusToBeingLiquidated(Instruction, frozen=True, kw_only=True):
    """Flag an account that misses its maintenance margin as being liquidated. Signer: anyone.

    Drift: only where the venue has ``liquidation_status_cranks``, as v2.84.0 enters and leaves liquidation lazily.
    Velocity: always; every scope that misses its own maintenance margin.
    Source: liquidation.md §10.1; velocity/liquidation.md §9;
    ``controller/liquidation.rs::set_user_status_to_being_liquidated``.
    """

    user: UserRef


class ClearUserStatusBeingLiquidated(Instruction, frozen=True, kw_only=True):
    """Let an account that meets its margin with buffer again leave liquidation. Signer: anyone.

    Only where the venue has ``liquidation_status_cranks``. What other instructions do on the way, as one of its own.
    Source: liquidation.md §1; ``math/liquidation.rs::validate_user_not_being_liquidated``.
    """

    user: UserRef
