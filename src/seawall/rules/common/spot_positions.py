"""Finding a user's spot position. Source: balances.md §1; ``state/user.rs``."""

from typing import Final

from seawall.arithmetic import QUOTE_SPOT_MARKET_INDEX
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule
from seawall.state.enums import DEPOSIT
from seawall.state.user import User

SPOT_POSITIONS: Final = 8


@rule
def find_spot_position(user: User, market_index: int) -> int:
    """Slot of the user's position in a market, or −1. Market 0 is always slot 0 (``DefaultError`` if it is not)."""
    if market_index == QUOTE_SPOT_MARKET_INDEX:
        if user.spot_positions[0].market_index != QUOTE_SPOT_MARKET_INDEX:
            raise SettlementError(ErrorCode.DefaultError)
        return 0
    for i in range(SPOT_POSITIONS):
        if user.spot_positions[i].market_index == market_index:
            return i
    return -1


@rule
def get_spot_position_index(user: User, market_index: int) -> int:
    """Slot of the user's position in a market; ``CouldNotFindSpotPosition``."""
    index = find_spot_position(user, market_index)
    if index < 0:
        raise SettlementError(ErrorCode.CouldNotFindSpotPosition)
    return index


@rule
def force_get_spot_position_index(user: User, market_index: int) -> int:
    """Slot of the user's position, opened in the first free slot if missing; ``NoSpotPositionAvailable``."""
    index = find_spot_position(user, market_index)
    if index >= 0:
        return index
    for i in range(1, SPOT_POSITIONS):
        position = user.spot_positions[i]
        if position.scaled_balance == 0 and position.open_orders == 0:
            position.market_index = market_index
            position.balance_type = DEPOSIT
            position.cumulative_deposits = 0
            position.open_bids = 0
            position.open_asks = 0
            return i
    raise SettlementError(ErrorCode.NoSpotPositionAvailable)
