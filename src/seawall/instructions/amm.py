"""AMM refresh, funding rates and funding payments."""

from seawall.instructions.base import Instruction, UserRef
from seawall.records import i8, i64, u8, u16, u32, u64, u128


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


class UpdateMmOracle(Instruction, frozen=True, kw_only=True):
    """Write the market maker's price (1e6, 0 removes it) of a perp market, and where it stands in the maker's sequence.

    It replaces the oracle's price for the AMM where it is fresher and within 1 % of it. Needs the feature bit
    MmOracleUpdate. Signer: MmOracleCrank. Source: drift/amm-and-funding.md §9, newer;
    velocity/protocol-fees-and-roles.md §4.
    """

    market_index: u16
    mm_oracle_price: i64
    mm_oracle_sequence_id: u64


class UpdateAmmSpreadAdjustment(Instruction, frozen=True, kw_only=True):
    """Widen or narrow a perp market's spreads by percentages, −100 to 100: all of both, and by inventory.

    Signer: AmmSpreadAdjust. Source: drift/amm-and-funding.md §4.3-4.4, newer; velocity/protocol-fees-and-roles.md §4.
    """

    market_index: u16
    amm_spread_adjustment: i8
    amm_inventory_spread_adjustment: i8


class UpdatePerpMarketFundingDeadZone(Instruction, frozen=True, kw_only=True):
    """Set the premium that funding ignores (basis points of the oracle TWAP) and the slope (1e6) beyond it.

    Below 10000 basis points, and a slope above 0. Signer: warm admin.
    Source: velocity/protocol-fees-and-roles.md §5; velocity/amm-and-funding.md §6.2.
    """

    market_index: u16
    funding_clamp_threshold: u32
    funding_ramp_slope: u32


class UpdatePerpMarketDisableFormulaicKUpdate(Instruction, frozen=True, kw_only=True):
    """Keep k where it is when funding updates and pegs move, or let it move again.

    Signer: cold admin to set it, warm admin to clear it. Source: velocity/protocol-fees-and-roles.md §5.
    """

    market_index: u16
    disable: bool


class UpdatePerpMarketOracleSlotDelayOverrides(Instruction, frozen=True, kw_only=True):
    """Set how old (slots) an oracle price may be for the AMM's fills: immediate ones, and those of low risk.

    Immediate: 0 admits no price, a negative value one of this very slot. Low risk: 0 leaves it to the exchange's guard
    rails, a negative value admits a price of this very slot. Signer: warm admin.
    Source: drift/amm-and-funding.md §9, newer.
    """

    market_index: u16
    oracle_slot_delay_override: i8
    oracle_low_risk_slot_delay_override: i8


class UpdatePerpMarketReferencePriceOffsetDeadband(Instruction, frozen=True, kw_only=True):
    """Set the part (percent, at most 100) of the AMM's room that its inventory may take without moving both quotes.

    Signer: warm admin. Source: drift/amm-and-funding.md §4.5, newer.
    """

    market_index: u16
    reference_price_offset_deadband_pct: u8
