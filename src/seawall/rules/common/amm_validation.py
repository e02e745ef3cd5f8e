"""Whether a perp market's books are consistent. Source: amm-and-funding.md §10; ``validation/perp_market.rs``."""

from typing import Final

from seawall.arithmetic import sub_saturating
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import RULEBOOK_VELOCITY, STATUS_REDUCE_ONLY
from seawall.state.perp_market import AMM, PerpMarket

_MAX_BASE_ASSET_AMOUNT_WITH_AMM: Final = 100_000_000_000_000_000
_VELOCITY_MAX_BASE_ASSET_AMOUNT_WITH_AMM: Final = 400_000_000_000_000_000
_MAX_INVARIANT_DIFFERENCE: Final = 15


@rule
def max_base_asset_amount_with_amm(market: PerpMarket) -> int:
    """Cap on the users' net position (1e9).

    Drift: 1e17.
    Velocity: 4e17.
    """
    if market.rulebook == RULEBOOK_VELOCITY:
        return _VELOCITY_MAX_BASE_ASSET_AMOUNT_WITH_AMM
    return _MAX_BASE_ASSET_AMOUNT_WITH_AMM


@rule
def validate_perp_market(market: PerpMarket) -> None:
    """Positions, curve, spreads and claim of a market, in the program's order.

    ``InvalidPositionDelta`` for totals off the step, ``InvalidAmmDetected`` for everything else.
    """
    validate_perp_market_positions(market)
    validate_perp_market_curve(market.amm)
    validate_perp_market_spreads(market)
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
    if net > max_base_asset_amount_with_amm(market):
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
def validate_perp_market_spreads(market: PerpMarket) -> None:
    """Spread reserves on their sides of the reserves, spreads within bounds, terminal quote reserve by net position.

    Drift: both sides, whatever the reference price offset; the spreads reach the base spread.
    Velocity: the side that the offset does not pull over the reserves; the spreads may fall two short of the base
    spread, and more where they are adjusted downward.
    """
    amm: AMM = market.amm
    velocity = market.rulebook == RULEBOOK_VELOCITY
    offset = amm.reference_price_offset
    base = amm.base_asset_reserve
    quote = amm.quote_asset_reserve
    if amm.base_spread > 0:
        bid_outside = amm.bid_base_asset_reserve < base or amm.bid_quote_asset_reserve > quote
        if bid_outside and (not velocity or offset <= 0):
            raise SettlementError(ErrorCode.InvalidAmmDetected)
        ask_outside = amm.ask_base_asset_reserve > base or amm.ask_quote_asset_reserve < quote
        if ask_outside and (not velocity or offset >= 0):
            raise SettlementError(ErrorCode.InvalidAmmDetected)
    spreads = amm.long_spread + amm.short_spread
    # under Drift an odd base spread halved twice falls short of itself and fails here; deliberate, it is the program's
    least = amm.base_spread
    if velocity:
        least = sub_saturating(least, 2)
        if amm.amm_spread_adjustment < 0 or amm.amm_inventory_spread_adjustment < 0:
            least = 0
    if spreads < least or spreads > 1_000_000:
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
