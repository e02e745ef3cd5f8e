"""Moving a venue from one rulebook to the next."""

from typing import Literal

from seawall.instructions.base import Instruction
from seawall.records import u32


class MigrateToVelocity(Instruction, frozen=True, kw_only=True):
    """Turn a Drift venue into a Velocity venue at this point of its history. Signer: admin, who becomes cold and warm.

    No claim of a user, a staker or a pool changes by a unit (docs/migration.md says what becomes of each).
    ``protocol_if_shares`` decides about insurance shares that no staker owns: ``ballast`` leaves them in the fund for
    ever, as Velocity treats such shares; ``revenue_pool`` and ``protocol_fee_pool`` burn them and pay what they are
    worth into that pool of the same market, market by market. The numerators (percent) are the new fee split's.
    Source: velocity/insurance.md §1.1, §12; pools-and-fees.md §2, §15.
    """

    protocol_if_shares: Literal["ballast", "revenue_pool", "protocol_fee_pool"] = "ballast"
    amm_fee_numerator: u32 = 0
    if_fee_numerator: u32 = 0
