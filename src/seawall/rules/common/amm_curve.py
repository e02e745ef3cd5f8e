"""The virtual AMM's curve: prices, swaps, terminal reserves, liquidity bounds, value of the net position.

Reserves are 1e9, the peg 1e6, prices and quote amounts 1e6. Source: amm-and-funding.md §2; ``math/amm.rs``.
"""

from typing import Final

from seawall.arithmetic import AMM_RESERVE_PRECISION, BID_ASK_SPREAD_PRECISION, sub_checked, to_u64, to_u128
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import LONG, RULEBOOK_VELOCITY
from seawall.state.perp_market import AMM, PerpMarket

SWAP_ADD: Final = 0
"""Users sell base to the AMM."""
SWAP_REMOVE: Final = 1
"""Users buy base from the AMM."""

NO_PRICE: Final = -1
"""Stands for an optional price that is not given."""
NO_DIRECTION: Final = -1
"""Stands for an optional direction that is not given."""


@rule
def calculate_price(quote_asset_reserve: int, base_asset_reserve: int, peg_multiplier: int) -> int:
    """⌊quote·peg/base⌋ (1e6). ``MathError`` for an empty base reserve, ``CastingFailure`` beyond u64."""
    if base_asset_reserve == 0:
        raise SettlementError(ErrorCode.MathError)
    return to_u64(quote_asset_reserve * peg_multiplier // base_asset_reserve)


@rule
def reserve_price(amm: AMM) -> int:
    """The AMM's price between its spreads, R (1e6)."""
    return calculate_price(amm.quote_asset_reserve, amm.base_asset_reserve, amm.peg_multiplier)


@rule
def calculate_swap_output(swap_amount: int, input_reserve: int, direction: int, sqrt_k: int) -> tuple[int, int]:
    """New output and new input reserve after a swap on the curve sqrt_k² (all 1e9).

    ``TradeSizeTooLarge`` when more is removed than there is; ``MathError`` when the reserve would be empty.
    """
    if direction == SWAP_ADD:
        new_input = input_reserve + swap_amount
    else:
        if swap_amount > input_reserve:
            raise SettlementError(ErrorCode.TradeSizeTooLarge)
        new_input = input_reserve - swap_amount
    if new_input == 0:
        raise SettlementError(ErrorCode.MathError)
    return sqrt_k * sqrt_k // new_input, new_input


@rule
def calculate_quote_asset_amount_swapped(
    quote_reserve_before: int, quote_reserve_after: int, direction: int, peg_multiplier: int
) -> int:
    """Quote (1e6) that a swap is worth: the seller gets the floor, the buyer pays two roundings up.

    ``MathError`` if the reserve moved the wrong way. Source: ``math/amm.rs::calculate_quote_asset_amount_swapped``.
    """
    if direction == SWAP_ADD:
        change = sub_checked(quote_reserve_before, quote_reserve_after)
        return change * peg_multiplier // AMM_RESERVE_PRECISION
    change = sub_checked(quote_reserve_after, quote_reserve_before)
    # both additions are deliberate: one unit of reserve and one of quote
    return (change + 1) * peg_multiplier // AMM_RESERVE_PRECISION + 1


@rule
def calculate_base_swap_output_with_spread(
    amm: AMM, base_asset_swap_amount: int, direction: int
) -> tuple[int, int, int, int]:
    """A swap of base as a user makes it: new base reserve, new quote reserve, quote amount, surplus of the AMM.

    The quote amount comes from the spread reserves of the side, the new reserves from the plain curve; the surplus is
    the (absolute) difference between the two: a gain even where a reference price offset made the AMM give more than
    its curve, deliberate, it is the program's. Source: amm-and-funding.md §3.3 step 4;
    ``math/amm.rs::calculate_base_swap_output_with_spread``.
    """
    sqrt_k = amm.sqrt_k
    peg = amm.peg_multiplier
    if direction == SWAP_REMOVE:
        spread_base = amm.ask_base_asset_reserve
        spread_quote = amm.ask_quote_asset_reserve
    else:
        spread_base = amm.bid_base_asset_reserve
        spread_quote = amm.bid_quote_asset_reserve
    spread_quote_after, _ = calculate_swap_output(base_asset_swap_amount, spread_base, direction, sqrt_k)
    quote = calculate_quote_asset_amount_swapped(spread_quote, spread_quote_after, direction, peg)
    new_quote, new_base = calculate_swap_output(base_asset_swap_amount, amm.base_asset_reserve, direction, sqrt_k)
    if direction == SWAP_REMOVE:
        plain = sub_checked(new_quote, amm.quote_asset_reserve) * peg // AMM_RESERVE_PRECISION + 1
    else:
        plain = sub_checked(amm.quote_asset_reserve, new_quote) * peg // AMM_RESERVE_PRECISION
    return new_base, new_quote, quote, abs(plain - quote)


@rule
def calculate_terminal_reserves(amm: AMM) -> tuple[int, int]:
    """Quote and base reserve after all users close their positions."""
    net = amm.base_asset_amount_with_amm
    if net > 0:
        return calculate_swap_output(net, amm.base_asset_reserve, SWAP_ADD, amm.sqrt_k)
    return calculate_swap_output(-net, amm.base_asset_reserve, SWAP_REMOVE, amm.sqrt_k)


@rule
def calculate_terminal_price(amm: AMM) -> int:
    """The price (1e6) after all users close their positions."""
    quote, base = calculate_terminal_reserves(amm)
    return calculate_price(quote, base, amm.peg_multiplier)


@rule
def calculate_bid_ask_bounds(concentration_coef: int, terminal_base_reserve: int) -> tuple[int, int]:
    """Least and greatest base reserve that the AMM trades within. ``InvalidConcentrationCoef`` for a coef ≤ 1e6."""
    if concentration_coef <= 1_000_000:
        raise SettlementError(ErrorCode.InvalidConcentrationCoef)
    least = terminal_base_reserve * 1_000_000 // concentration_coef
    greatest = terminal_base_reserve * concentration_coef // 1_000_000
    return least, greatest


@rule
def calculate_market_open_bids_asks(
    base_asset_reserve: int, min_base_asset_reserve: int, max_base_asset_reserve: int
) -> tuple[int, int]:
    """Base that the AMM can still buy (≥ 0, the users' open bids) and sell (≤ 0, their open asks)."""
    bids = 0
    if base_asset_reserve > min_base_asset_reserve:
        bids = base_asset_reserve - min_base_asset_reserve
    asks = 0
    if max_base_asset_reserve > base_asset_reserve:
        asks = base_asset_reserve - max_base_asset_reserve
    return bids, asks


@rule
def calculate_market_liquidity(amm: AMM) -> int:
    """The smaller of open bids and |open asks| (1e9)."""
    bids, asks = calculate_market_open_bids_asks(
        amm.base_asset_reserve, amm.min_base_asset_reserve, amm.max_base_asset_reserve
    )
    if bids < -asks:
        return bids
    return -asks


@rule
def calculate_base_asset_value(amm: AMM) -> int:
    """Quote (1e6) that closing the users' net position would pay or cost, on the plain reserves; 0 without one.

    Source: ``math/position.rs::calculate_base_asset_value``.
    """
    net = amm.base_asset_amount_with_amm
    if net == 0:
        return 0
    direction = SWAP_ADD
    if net < 0:
        direction = SWAP_REMOVE
    quote_after, _ = calculate_swap_output(abs(net), amm.base_asset_reserve, direction, amm.sqrt_k)
    return calculate_quote_asset_amount_swapped(amm.quote_asset_reserve, quote_after, direction, amm.peg_multiplier)


@rule
def calculate_curve_cost(net_base: int, value_before: int, value_after: int) -> int:
    """Cost (quote 1e6) for the protocol of a curve change, from the net position's value before and after."""
    if net_base == 0:
        return 0
    if net_base > 0:
        return value_after - value_before
    return value_before - value_after


@rule
def bid_price(market: PerpMarket, price: int) -> int:
    """The price (1e6) at which users sell to the AMM when its reserve price is ``price``.

    Drift: the reference price offset does not enter; deliberate.
    Velocity: it shifts the quote. Source: amm-and-funding.md §4.2.
    """
    amm: AMM = market.amm
    factor = sub_checked(BID_ASK_SPREAD_PRECISION, amm.short_spread)
    if market.rulebook == RULEBOOK_VELOCITY:
        factor = to_u128(factor + amm.reference_price_offset)
    return to_u64(price * factor // BID_ASK_SPREAD_PRECISION)


@rule
def ask_price(market: PerpMarket, price: int) -> int:
    """The price (1e6) at which users buy from the AMM when its reserve price is ``price``.

    Drift: the reference price offset does not enter; deliberate.
    Velocity: it shifts the quote. Source: amm-and-funding.md §4.2.
    """
    amm: AMM = market.amm
    factor = BID_ASK_SPREAD_PRECISION + amm.long_spread
    if market.rulebook == RULEBOOK_VELOCITY:
        factor = to_u128(factor + amm.reference_price_offset)
    return to_u64(price * factor // BID_ASK_SPREAD_PRECISION)


@rule
def quoted_price(market: PerpMarket, price: int, direction: int) -> int:
    """The AMM's ask for a Long taker, its bid for a Short one (1e6)."""
    if direction == LONG:
        return ask_price(market, price)
    return bid_price(market, price)
