"""Whether a perp market's books are consistent. Source: amm-and-funding.md §10; ``validation/perp_market.rs``."""

from typing import Final

from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import STATUS_REDUCE_ONLY
from seawall.state.perp_market import AMM, PerpMarket

MAX_BASE_ASSET_AMOUNT_WITH_AMM: Final = 100_000_000_000_000_000
"""Cap on the users' net position (1e9)."""

_MAX_INVARIANT_DIFFERENCE: Final = 15


@rule
def validate_perp_market(market: PerpMarket) -> None:
    """Positions, curve, spreads and claim of a market, in the program's order.

    ``InvalidPositionDelta`` for totals off the step, ``InvalidAmmDetected`` for everything else.
    """
    validate_perp_market_positions(market)
    validate_perp_market_curve(market.amm)
    validate_perp_market_spreads(market.amm)
    validate_perp_market_claim(market)


@rule
def validate_perp_market_positions(market: PerpMarket) -> None:
    """Long and short totals, the net position and its cover by the curve."""
    amm: AMM = market.amm
    step = amm.order_step_size
    long = amm.base_asset_amount_long
    short = amm.base_asset_amount_short
    net = amm.base_asset_amount_with_amm
    if step == 0:
        raise SettlementError(ErrorCode.MathError)
    if abs(long) % step != 0 or abs(short) % step != 0:
        raise SettlementError(ErrorCode.InvalidPositionDelta)
    if long + short != net:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    # signed: a short net position of any size passes here; deliberate
    if net > MAX_BASE_ASSET_AMOUNT_WITH_AMM:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    if amm.peg_multiplier == 0:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    if market.status != STATUS_REDUCE_ONLY and amm.sqrt_k <= abs(net):
        raise SettlementError(ErrorCode.InvalidAmmDetected)


@rule
def validate_perp_market_curve(amm: AMM) -> None:
    """The reserves lie on the curve, up to 15 units of quote reserve."""
    base = amm.base_asset_reserve
    quote = amm.quote_asset_reserve
    sqrt_k = amm.sqrt_k
    if sqrt_k < base and sqrt_k < quote:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    if base == 0:
        raise SettlementError(ErrorCode.MathError)
    if abs(sqrt_k * sqrt_k // base - quote) > _MAX_INVARIANT_DIFFERENCE:
        raise SettlementError(ErrorCode.InvalidAmmDetected)


@rule
def validate_perp_market_spreads(amm: AMM) -> None:
    """Spread reserves on their sides of the reserves, spreads within bounds, terminal quote reserve by net position."""
    base = amm.base_asset_reserve
    quote = amm.quote_asset_reserve
    if amm.base_spread > 0:
        if amm.bid_base_asset_reserve < base or amm.bid_quote_asset_reserve > quote:
            raise SettlementError(ErrorCode.InvalidAmmDetected)
        if amm.ask_base_asset_reserve > base or amm.ask_quote_asset_reserve < quote:
            raise SettlementError(ErrorCode.InvalidAmmDetected)
    spreads = amm.long_spread + amm.short_spread
    # an odd base spread halved twice falls short of itself and fails here; deliberate, it is the program's
    if spreads < amm.base_spread or spreads > 1_000_000:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    net = amm.base_asset_amount_with_amm
    terminal = amm.terminal_quote_asset_reserve
    if net > 0 and terminal > quote:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    if net < 0 and terminal < quote:
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    if net == 0 and terminal != quote:
        raise SettlementError(ErrorCode.InvalidAmmDetected)


@rule
def validate_perp_market_claim(market: PerpMarket) -> None:
    """The largest spread lies between base spread and initial margin; withdrawals of the period within their cap."""
    amm: AMM = market.amm
    if amm.base_spread > 0 and (
        amm.max_spread <= amm.base_spread or amm.max_spread >= market.margin_ratio_initial * 100
    ):
        raise SettlementError(ErrorCode.InvalidAmmDetected)
    claim = market.insurance_claim
    if claim.max_revenue_withdraw_per_period < abs(claim.revenue_withdraw_since_last_settle):
        raise SettlementError(ErrorCode.InvalidAmmDetected)
