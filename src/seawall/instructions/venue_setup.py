"""Setting up a venue: the exchange, its oracles, wallets and user accounts."""

from typing import Literal

from seawall.instructions.base import Instruction, Key, UserRef
from seawall.records import i64, u16, u32, u64


class Initialize(Instruction, frozen=True, kw_only=True):
    """Create the exchange. Signer: anyone, once. Source: instructions.md §3.1; ``admin.rs::handle_initialize``.

    ``spot_fee_pool_settlement``, ``admin_removes_protocol_shares``, ``liquidation_status_cranks``: what the documents
    or later versions have and the program lacks (docs/rulebooks.md); None: as the profile says.
    ``associated_spot_backstop`` is off unless asked for. Of the rulebook velocity alone: ``revenue_pool_draw_for_pnl``,
    ``revenue_pool_draw_for_funding``, ``tokenize_spread_surplus``, ``isolated_positions`` (None: as the profile says)
    and ``revenue_receivable`` (off unless asked for). Its signer's ``admin`` becomes cold and warm admin.
    """

    name: str = "venue"
    rulebook: Literal["drift", "velocity"] = "drift"
    profile: Literal["documents", "program"] = "documents"
    admin: Key
    wallets_tracked: bool = False
    spot_fee_pool_settlement: bool | None = None
    admin_removes_protocol_shares: bool | None = None
    liquidation_status_cranks: bool | None = None
    associated_spot_backstop: bool = False
    revenue_pool_draw_for_pnl: bool | None = None
    revenue_pool_draw_for_funding: bool | None = None
    tokenize_spread_surplus: bool | None = None
    revenue_receivable: bool = False
    isolated_positions: bool | None = None


class AddOracle(Instruction, frozen=True, kw_only=True):
    """Create an oracle under a name that markets refer to. Signer: admin. Its first price comes with it (1e6)."""

    name: str
    price: i64
    conf: u64 = 0
    twap: i64 | None = None


class PostOraclePrice(Instruction, frozen=True, kw_only=True):
    """Post a price (1e6) with its confidence; ``valid_slot`` defaults to the present slot. Signer: admin.

    ``num`` and ``num_qt`` are the oracle's publishers asked and heard; enough data are min(num, 3).
    """

    oracle: str
    price: i64
    conf: u64 = 0
    valid_slot: u64 | None = None
    twap: i64 | None = None
    num: u32 = 0
    num_qt: u32 = 0


class FundWallet(Instruction, frozen=True, kw_only=True):
    """Report tokens that reached an authority's wallet from outside the venue (tracked wallets only). Signer: admin."""

    authority: Key
    market_index: u16
    amount: u64


class InitializeUser(Instruction, frozen=True, kw_only=True):
    """Open a sub-account; an authority's first also opens its statistics. Signer: the authority.

    Source: ``user.rs::handle_initialize_user``, ``handle_initialize_user_stats``.
    """

    user: UserRef
    name: str = ""
    referrer: Key | None = None
