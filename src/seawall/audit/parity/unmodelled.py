"""The one list of recorded fields that Seawall does not model, each with its reason.

Nothing that moves money, shares, indices, limits or the time stamps of settlement is here.
"""

import re
from typing import Final

_ADDRESS = "an account address of the program; Seawall names records by index"
_ORDER_BOOK = "the order book is the venue's own; Seawall starts where a fill exists"
_LP = "LP shares of the AMM are out of scope; the recorded value is always 0"
_PADDING = "padding"
_PROGRAM = "settings of the program's deployment, read by no rule"

UNMODELLED_FIELDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("State", r"whitelist_mint|discount_mint|srm_vault|signer_nonce", _PROGRAM),
    ("SpotMarket", r"pubkey|oracle|mint|vault|insurance_fund\.vault|oracle_source", _ADDRESS),
    ("SpotMarket", r"historical_index_data\..*", "index prices of an external spot venue; read by no modelled rule"),
    ("SpotMarket", r"flash_loan_amount|flash_loan_initial_token_amount", "lives inside one transaction only"),
    ("SpotMarket", r"max_position_size", "stored and read by no rule"),
    ("PerpMarket", r"pubkey|amm\.oracle|amm\.oracle_source", _ADDRESS),
    ("PerpMarket", r"contract_type", "always Perpetual; read by no modelled rule"),
    ("PerpMarket", r"amm\.max_position_size", "stored and read by no rule"),
    ("PerpMarket", r"amm\.(base|quote)_asset_amount_per_lp|amm\.user_lp_shares|amm\.total_fee_earned_per_lp", _LP),
    ("PerpMarket", r"amm\.target_base_asset_amount_per_lp|amm\.per_lp_base", _LP),
    ("PerpMarket", r"amm\.(base|quote)_asset_amount_with_unsettled_lp", _LP),
    ("User", r"orders\..*|next_order_id|open_orders|has_open_order|open_auctions|has_open_auction", _ORDER_BOOK),
    ("User", r"last_add_perp_lp_shares_ts", _LP),
    ("User", r"perp_positions\.\d+\.(lp_shares|per_lp_base|remainder_base_asset_amount)", _LP),
    ("User", r"perp_positions\.\d+\.last_(base|quote)_asset_amount_per_lp", _LP),
    ("ProtocolIfSharesTransferConfig", r"padding", _PADDING),
)

UNMODELLED_EVENT_FIELDS: Final[tuple[tuple[str, str, str], ...]] = (
    ("OrderActionRecord", r"(taker|maker)_order_.*", _ORDER_BOOK),
    ("LiquidationRecord", r"canceled_order_ids|user_order_id|liquidator_order_id", _ORDER_BOOK),
)

UNMODELLED_EVENTS: Final[dict[str, str]] = {"OrderRecord": _ORDER_BOOK}


def reason(record: str, path: str) -> str | None:
    """Why a recorded field is not modelled, or None if it is."""
    for name, pattern, why in UNMODELLED_FIELDS:
        if name == record and re.fullmatch(pattern, path):
            return why
    return None
