"""The associated spot backstop: only where the venue has ``associated_spot_backstop``."""

from seawall.instructions.base import Instruction
from seawall.records import i64, u16, u64


class UpdatePerpMarketAssociatedSpot(Instruction, frozen=True, kw_only=True):
    """Name the spot market that backs a perp market; 0 (the quote token's): none. Signer: admin.

    At most ``max_withdraw_per_period`` (quote 1e6) in ``period`` seconds. A period begins with the instruction, and
    what was withdrawn is counted anew.
    Source: spec/README, ``associated_spot_backstop``.
    """

    perp_market_index: u16
    spot_market_index: u16
    max_withdraw_per_period: u64
    period: i64


class ResolveWithAssociatedSpot(Instruction, frozen=True, kw_only=True):
    """Report that ``token_amount`` tokens of the associated spot market were swapped for ``quote_amount`` (1e6).

    The tokens come from its revenue pool, then from its insurance fund; the quote tops up the P&L pool of a perp market
    in deficit whose quote sources are exhausted. Signer: admin, who executes the swap. Source: spec/README,
    ``associated_spot_backstop``.
    """

    perp_market_index: u16
    token_amount: u64
    quote_amount: u64
