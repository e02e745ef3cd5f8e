"""P&L settlement and market expiry."""

from typing import Literal

from seawall.instructions.base import Instruction, UserRef
from seawall.records import i64, u16, u64


class SettlePnl(Instruction, frozen=True, kw_only=True):
    """Settle a user's P&L in a perp market into the quote balance, or close an expired position. Signer: anyone.

    A winner whose market has no excess settles for itself. Source: pools-and-pnl.md §4, §5; ``handle_settle_pnl``.
    """

    user: UserRef
    market_index: u16


class SettleMultiplePnls(Instruction, frozen=True, kw_only=True):
    """Settle a user's P&L in several perp markets, in the order given. Signer: anyone.

    ``MustSettle``: one that cannot be settled refuses all. ``TrySettle``: it is passed over; what moved between the
    pools stays moved. Source: pools-and-pnl.md §4; ``handle_settle_multiple_pnls``.
    """

    user: UserRef
    market_indexes: list[u16]
    mode: Literal["MustSettle", "TrySettle"]


class SettleExpiredMarket(Instruction, frozen=True, kw_only=True):
    """Fix the expiry price of a perp market past its expiry and put it in Settlement. Signer: anyone.

    Source: pools-and-pnl.md §7.1; ``handle_settle_expired_market``.
    """

    market_index: u16


class SettleExpiredMarketPoolsToRevenuePool(Instruction, frozen=True, kw_only=True):
    """Hand the pools of a perp market that has no users left to the quote revenue pool, and delist it. Signer: admin.

    Source: instructions.md §2.8; ``handle_settle_expired_market_pools_to_revenue_pool``.
    """

    market_index: u16


class DepositIntoPerpMarketFeePool(Instruction, frozen=True, kw_only=True):
    """Pay ``amount`` quote tokens of the signer's wallet into a perp market's fee pool. Signer: admin.

    Source: instructions.md §2.8; ``handle_deposit_into_perp_market_fee_pool``.
    """

    market_index: u16
    amount: u64


class TransferFeeAndPnlPool(Instruction, frozen=True, kw_only=True):
    """Move ``amount`` quote tokens between one market's fee pool and another's (or its own) P&L pool (Velocity).

    Across markets the earnings of the market with the fee pool change along. Signer: warm admin.
    Source: velocity/pools-and-fees.md §11; ``transfer_fee_and_pnl_pool``.
    """

    perp_market_index_with_fee_pool: u16
    perp_market_index_with_pnl_pool: u16
    direction: Literal["FeeToPnlPool", "PnlToFeePool"]
    amount: u64


class UpdatePerpMarketPnlPool(Instruction, frozen=True, kw_only=True):
    """Credit a perp market's P&L pool with ``amount`` tokens that already lie in the quote vault (Velocity).

    No tokens move; the vault must still cover all claims. Signer: warm admin.
    Source: velocity/pools-and-fees.md §11; ``update_perp_market_pnl_pool``.
    """

    market_index: u16
    amount: u64


class UpdatePerpMarketAmmSummaryStats(Instruction, frozen=True, kw_only=True):
    """Correct what the AMM is booked to have earned (quote 1e6). Signer: admin (Velocity: hot key AmmCrank).

    ``net_unsettled_funding_pnl`` replaces the stored figure if given; ``update_amm_summary_stats`` sets the earnings to
    what both pools hold beyond the users' net P&L at the oracle price; Velocity does so whatever it says, less what is
    pending. Source: instructions.md §2.8; velocity/amm-and-funding.md §9;
    ``handle_update_perp_market_amm_summary_stats``.
    """

    market_index: u16
    net_unsettled_funding_pnl: i64 | None = None
    update_amm_summary_stats: bool = False
