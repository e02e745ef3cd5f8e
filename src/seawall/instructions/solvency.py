"""Deficits and bankruptcies: losses that the users and pools of a market cannot pay themselves."""

from seawall.instructions.base import Instruction, UserRef
from seawall.records import u16


class ResolvePerpPnlDeficit(Instruction, frozen=True, kw_only=True):
    """Draw insurance money into the empty P&L pool of a perp market whose AMM is in the red. Signer: anyone.

    ``spot_market_index`` is that of the quote token, 0. Source: solvency.md §2;
    ``keeper.rs::handle_resolve_perp_pnl_deficit``.
    """

    spot_market_index: u16
    perp_market_index: u16


class ResolvePerpBankruptcy(Instruction, frozen=True, kw_only=True):
    """Clear a bankrupt account's debt in a perp market. Signer: ``liquidator``'s authority or delegate.

    The liquidator receives nothing. ``quote_spot_market_index`` is that of the quote token, 0. Source: solvency.md §4;
    ``keeper.rs::handle_resolve_perp_bankruptcy``.
    """

    user: UserRef
    liquidator: UserRef
    quote_spot_market_index: u16
    market_index: u16


class ResolveSpotBankruptcy(Instruction, frozen=True, kw_only=True):
    """Clear a bankrupt account's borrow in a spot market. Signer: ``liquidator``'s authority or delegate.

    The documents call it ``resolve_borrow_bankruptcy``. Source: solvency.md §5;
    ``keeper.rs::handle_resolve_spot_bankruptcy``.
    """

    user: UserRef
    liquidator: UserRef
    market_index: u16
