"""AMM refresh, funding rates and funding payments."""

from seawall.instructions.base import Instruction, UserRef
from seawall.records import u16, u64, u128


class UpdateAmms(Instruction, frozen=True, kw_only=True):
    """Refresh the AMMs of the listed perp markets, ascending, each once. Signer: anyone.

    An index without a market is ignored (the program writes 100 for none).
    Source: instructions.md §2.3; amm-and-funding.md §8; ``controller/repeg.rs::update_amms``.
    """

    market_indexes: list[u16]


class UpdateFundingRate(Instruction, frozen=True, kw_only=True):
    """Refresh a perp market's AMM and update its funding rate, which must be due. Signer: anyone.

    Source: instructions.md §2.3; ``keeper.rs::handle_update_funding_rate``.
    """

    market_index: u16


class UpdatePerpBidAskTwap(Instruction, frozen=True, kw_only=True):
    """Take the best bid and ask into a perp market's mark TWAPs; update its funding rate if due.

    ``best_bid``, ``best_ask``: the average price (1e6) at which the venue's resting orders would fill a depth of
    clamp(⌊open interest/1000⌋, 100·min_order_size, 5000·min_order_size), at most 32 orders a side, none if they are too
    thin. The order book is the venue's, so it computes them. Signer: an authority with an insurance stake worth 1,000
    of quote. Source: amm-and-funding.md §6.4; ``keeper.rs::handle_update_perp_bid_ask_twap``.
    """

    market_index: u16
    best_bid: u64 | None = None
    best_ask: u64 | None = None


class SettleFundingPayment(Instruction, frozen=True, kw_only=True):
    """Settle the funding of all perp positions of an account. Signer: anyone.

    Source: instructions.md §2.2; ``user.rs::handle_settle_funding_payment``.
    """

    user: UserRef


class RepegAmmCurve(Instruction, frozen=True, kw_only=True):
    """Set the peg (1e6) of a perp market's AMM by hand. Signer: admin.

    Source: amm-and-funding.md §8; ``admin.rs::handle_repeg_amm_curve``.
    """

    market_index: u16
    new_peg_candidate: u128


class UpdateK(Instruction, frozen=True, kw_only=True):
    """Set √k (1e9) of a perp market's AMM by hand. Signer: admin.

    Source: amm-and-funding.md §5; ``admin.rs::handle_update_k``.
    """

    market_index: u16
    sqrt_k: u128
