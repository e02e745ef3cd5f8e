"""Display amounts: what a base-unit integer is in tokens, dollars or dates. Nothing computes with them.

Every object of an answer that holds amounts has a member ``display`` beside them with the same names. Which unit a
field has is told here by its name, as the records' docstrings tell it; a field that is not named here is shown in base
units alone.
"""

from collections.abc import Iterable, Mapping, Sequence
from datetime import UTC, datetime
from typing import Any, Final

from seawall.engine.store import Store


def _names(text: str) -> frozenset[str]:
    return frozenset(text.split())


BASE_DECIMALS: Final = 9
QUOTE_DECIMALS: Final = 6

QUOTE: Final = _names(
    """
    quote_asset_amount quote_entry_amount quote_break_even_amount settled_pnl settled_perp_pnl pnl
    unrealized_pnl claimable_pnl payable_pnl realized_gain pnl_pool_excess pnl_pool_available user_withdrawable
    net_user_pnl total_collateral margin_requirement free_collateral quote_asset_amount_surplus
    quote_entry_amount_long quote_entry_amount_short quote_break_even_amount_long quote_break_even_amount_short
    total_fee total_mm_fee total_exchange_fee total_fee_minus_distributions total_fee_withdrawn
    total_liquidation_fee net_revenue_since_last_funding volume_24h long_intensity_volume short_intensity_volume
    net_unsettled_funding_pnl revenue_withdraw_since_last_settle max_revenue_withdraw_per_period
    quote_max_insurance quote_settled_insurance unrealized_pnl_max_imbalance fee_pool_buffer_target
    pending_revenue_share pending_protocol_fee pending_if_fee amm_protocol_fees_received pending_amm_provision
    pending_amm_surplus max_withdraw_per_period withdrawn_in_period total_withdrawn total_fee_paid
    total_fee_rebate total_token_discount total_referee_discount total_referrer_reward
    current_epoch_referrer_reward maker_volume_30d taker_volume_30d filler_volume_30d
    if_staked_quote_asset_amount total_builder_reward fees_accrued total_deposits total_withdraws
    cumulative_spot_fees cumulative_perp_funding liquidation_margin_freed flat_filler_fee funding_payment
    taker_fee maker_rebate referrer_reward filler_reward referee_discount quote_asset_amount_filled builder_fee
    taker_pnl maker_pnl social_loss if_payment
    """
)
BASE: Final = _names(
    """
    base_asset_amount base_asset_amount_long base_asset_amount_short base_asset_amount_with_amm
    max_open_interest base_asset_amount_filled open_interest
    """
)
PRICE: Final = _names(
    """
    price oracle_price conf confidence twap last_oracle_price last_oracle_conf last_oracle_price_twap
    last_oracle_price_twap_5min last_oracle_normalised_price last_bid_price_twap last_ask_price_twap
    last_mark_price_twap last_mark_price_twap_5min mm_oracle_price attested_oracle_price
    attested_oracle_confidence expiry_price settle_price oracle_price_twap mark_price_twap peg_multiplier
    mark_std oracle_std last_funding_oracle_twap
    """
)
TOKEN: Final = _names(
    """
    amount spot_vault insurance_fund_vault insurance_fund_vault_amount vault fund_value user_value
    protocol_value value cost_basis gain frozen_value payout forfeited_by_removal revenue_receivable
    last_settle_value last_withdraw_request_value cumulative_deposits deposit_token_twap borrow_token_twap
    withdraw_guard_threshold max_token_deposits deposit_guard_threshold if_last_settle_vault_amount
    spot_fee_pool_target deposits borrows surplus loss revenue_settled socialised uncovered rounding paid held
    insured insurers_rounding index_rounding claims_rounding share insurance_vault_amount_before
    vault_amount_before token_amount collateral
    """
)
FRACTION: Final = _names(
    """
    apr utilization_twap user_factor total_factor if_fee_factor protocol_fee_factor
    """
)
"""1e6."""
TIME: Final = _names(
    """
    ts at now since until removable_at hour unix_timestamp expiry
    """
)


LIMITS: Final = {
    **dict.fromkeys(
        _names(
            """
            free_collateral margin_requirement maintenance_margin_requirement claimable_pnl pnl_pool pnl_pool_excess
            quote_withdrawable realised_gain max_revenue_withdraw_per_period quote_max_insurance excess_user_pnl
            total_fee_minus_distributions fee_pool_buffer_target amm_funding_budget net_user_pnl
            """
        ),
        "quote",
    ),
    **dict.fromkeys(_names("max_open_interest order_step_size open_interest"), "base"),
    **dict.fromkeys(
        _names(
            """
            deposit_twap_floor deposit_floor deposit_twap_ceiling borrow_twap_ceiling borrow_utilization_ceiling
            borrow_ceiling max_token_deposits spot_vault unborrowed_deposits max_deposit_bps_per_day
            """
        ),
        "token",
    ),
    "expiry_ts": "time",
}
"""The unit of a limit's value, by the limit's name; its note tells it too."""


def kind(owner: str, name: str) -> str:
    """The unit of a field of a kind of object: ``quote``, ``base``, ``price``, ``token``, ``fraction``, ``time`` or ''.

    ``owner``: the name of the record or struct.
    """
    if owner == "Cap" and name == "value":
        return "token"
    if owner in ("Limit", "IndexChange") and name in ("value", "at"):
        return "time" if name == "at" else ""
    if owner == "AMM" and name.endswith("_reserve"):
        return ""
    if owner == "AssociatedSpot" or owner == "FeeLedger":
        return "quote" if name in QUOTE else ""
    if owner == "SpotMarket" and name in ("total_fee", "total_social_loss"):
        return "token"
    if owner in ("AMM", "User") and name == "total_social_loss":
        return "quote"
    for found, names in (
        ("quote", QUOTE), ("base", BASE), ("price", PRICE), ("token", TOKEN), ("fraction", FRACTION), ("time", TIME),
    ):  # fmt: skip
        if name in names:
            return found
    return "time" if name.endswith("_ts") else ""


def decimal(value: int, decimals: int) -> str:
    """Base units as a plain decimal number, every digit of it."""
    whole, rest = divmod(abs(value), 10**decimals)
    sign = "-" if value < 0 else ""
    return f"{sign}{whole}.{rest:0{decimals}d}" if decimals else f"{sign}{whole}"


def when(unix_timestamp: int) -> str | None:
    """A time in UTC as RFC 3339 writes it; None for one that is no date."""
    if not 0 < unix_timestamp < 1 << 37:
        return None
    return datetime.fromtimestamp(unix_timestamp, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")


class Units:
    """The units of one venue: the names and decimals of its tokens, the names of its contracts."""

    def __init__(self, tokens: Sequence[tuple[str, int]], contracts: Sequence[str]) -> None:
        self.tokens = tokens
        self.contracts = contracts
        self.quote = tokens[0][0] if tokens else "quote"

    @classmethod
    def of(cls, store: Store) -> "Units":
        """The units of a state."""
        return cls(
            [(market.name, market.decimals) for market in store.spot_markets.objects],
            [market.name for market in store.perp_markets.objects],
        )

    def show(self, kind: str, value: int, market: int | None) -> str | None:
        """A value of a kind for people; None where it has no such form. ``market``: the token's, or the contract's."""
        if kind == "quote":
            return f"{decimal(value, QUOTE_DECIMALS)} {self.quote}"
        if kind == "price":
            return f"{decimal(value, QUOTE_DECIMALS)} {self.quote}"
        if kind == "base":
            name = self.contracts[market] if market is not None and market < len(self.contracts) else "base"
            return f"{decimal(value, BASE_DECIMALS)} {name}"
        if kind == "token":
            if market is None or market >= len(self.tokens):
                return None
            name, decimals = self.tokens[market]
            return f"{decimal(value, decimals)} {name}"
        if kind == "fraction":
            return f"{decimal(value * 100, 6)} %"
        return when(value) if kind == "time" else None

    def beside(
        self, owner: str, fields: Iterable[tuple[str, Any]], market: int | None, more: Mapping[str, str] | None = None
    ) -> dict[str, str]:
        """The display amounts of an object's integer fields."""
        found = dict(more or {})
        for name, value in fields:
            if type(value) is int and name not in found:
                shown = self.show(kind(owner, name), value, market)
                if shown is not None:
                    found[name] = shown
        return found
