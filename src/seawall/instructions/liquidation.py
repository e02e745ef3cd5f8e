"""Liquidations: a liquidator, another account of the venue, takes over what an account can no longer bear.

The signer is the liquidator's authority or delegate. An account is flagged by the first liquidation that finds it below
its maintenance requirement; it is let go by the first instruction that finds it above the requirement with buffer.
"""

from seawall.instructions.base import Instruction, UserRef
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

    Only where the venue has ``liquidation_status_cranks``: v2.84.0 enters and leaves liquidation lazily.
    Source: liquidation.md §10.1; ``controller/liquidation.rs::set_user_status_to_being_liquidated``.
    """

    user: UserRef


class ClearUserStatusBeingLiquidated(Instruction, frozen=True, kw_only=True):
    """Let an account that meets its margin with buffer again leave liquidation. Signer: anyone.

    Only where the venue has ``liquidation_status_cranks``. What other instructions do on the way, as one of its own.
    Source: liquidation.md §1; ``math/liquidation.rs::validate_user_not_being_liquidated``.
    """

    user: UserRef
