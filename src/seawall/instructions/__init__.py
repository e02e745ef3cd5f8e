"""The typed messages: everything that can be asked of a venue, and their wire format.

One module a family. ``decode`` reads an instruction from JSON, ``encode`` writes it; the tag is ``ix``.
"""

from seawall.instructions import (
    administration,
    amm,
    associated_spot,
    batches,
    deposits,
    insurance,
    interest,
    isolated,
    liquidation,
    markets,
    parameters,
    perp_fills,
    pnl,
    protocol_fees,
    revenue,
    revenue_share,
    roles,
    solvency,
    spot_fills,
    user_settings,
    venue_setup,
)
from seawall.instructions.base import Instruction, decode, decode_object, encode, instruction_types

__all__ = [
    "Instruction",
    "administration",
    "amm",
    "associated_spot",
    "batches",
    "decode",
    "decode_object",
    "deposits",
    "encode",
    "instruction_types",
    "insurance",
    "interest",
    "isolated",
    "liquidation",
    "markets",
    "parameters",
    "perp_fills",
    "pnl",
    "protocol_fees",
    "revenue",
    "revenue_share",
    "roles",
    "solvency",
    "spot_fills",
    "user_settings",
    "venue_setup",
]
