"""Bounds of Velocity's parameters. Source: velocity/protocol-fees-and-roles.md §5; ``instructions/admin``."""

from seawall.arithmetic import PERCENTAGE_PRECISION
from seawall.errors import ErrorCode, SettlementError
from seawall.lanes import rule


@rule
def validate_if_factor(if_fee_factor: int, protocol_fee_factor: int) -> None:
    """Both carve-outs of deposit interest (1e6) leave the lenders something; ``DefaultError``.

    Source: velocity/balances.md §14; ``admin/lending.rs::handle_update_spot_market_if_factor``.
    """
    if if_fee_factor + protocol_fee_factor >= PERCENTAGE_PRECISION:
        raise SettlementError(ErrorCode.DefaultError)
