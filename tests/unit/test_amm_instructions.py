"""The instructions of the AMM family: gates, order of refusals, events, and what a refusal says."""

from typing import Any

import pytest
from support.insurance import START, InsuranceVenue

from seawall.instructions.amm import (
    RepegAmmCurve,
    SettleFundingPayment,
    UpdateAmms,
    UpdateFundingRate,
    UpdateK,
    UpdatePerpBidAskTwap,
)
from seawall.instructions.markets import InitializePerpMarket
from seawall.instructions.user_settings import AdminDisableUpdatePerpBidAskTwap
from seawall.instructions.venue_setup import AddOracle, InitializeUser, PostOraclePrice
from seawall.keys import key_from_text
from seawall.state.perp_market import PerpMarket
from seawall.state.user import User

HOUR = 3_600
KEEPER = "@keeper"


class PerpVenue(InsuranceVenue):
    """Two perp markets at 100 quote, their oracles fresh, on the hour; a user who is long 1,000 base of the first."""

    def __init__(self, **market: Any) -> None:
        super().__init__()
        self.now = START // HOUR * HOUR + HOUR
        for index, name in enumerate(("SOL", "ETH")):
            self.ok(AddOracle(name=name, price=100_000_000))
            values: dict[str, Any] = {
                "market_index": index, "name": f"{name}-PERP", "oracle": name, "amm_base_asset_reserve": 10**15,
                "amm_quote_asset_reserve": 10**15, "amm_periodicity": HOUR, "amm_peg_multiplier": 100_000_000,
                "margin_ratio_initial": 1_000, "margin_ratio_maintenance": 500, "max_spread": 50_000,
                "order_step_size": 1_000, "order_tick_size": 1, "min_order_size": 1_000,
            }  # fmt: skip
            self.ok(InitializePerpMarket(**{**values, **market}))
        self.ok(InitializeUser(user="@lee"), "@lee")
        self.ok(InitializeUser(user=KEEPER), KEEPER)
        self.set_perp(total_fee_minus_distributions=10**12)

    def set_perp(self, index: int = 0, **fields: Any) -> None:
        """Set fields of a perp market, or of its AMM."""
        market = self.perp(index).copy()
        for name, value in fields.items():
            setattr(market.amm if hasattr(market.amm, name) else market, name, value)
        self.overwrite(market, "perp_markets", index)

    def set_state(self, **fields: int) -> None:
        """Set fields of the exchange."""
        state = self.machine.store.state.objects[0].copy()
        for name, value in fields.items():
            setattr(state, name, value)
        self.overwrite(state, "state")

    def set_stats(self, **fields: Any) -> None:
        """Set fields of the keeper's statistics."""
        table = self.machine.store.user_stats
        index = table.index[key_from_text(KEEPER)]
        stats = table.read(index).copy()
        for name, value in fields.items():
            setattr(stats, name, value)
        self.overwrite(stats, "user_stats", index)

    def post(self, price: int, oracle: str = "SOL", conf: int = 0) -> None:
        """A new oracle price, now."""
        self.ok(PostOraclePrice(oracle=oracle, price=price, conf=conf))

    def hold(self, base: int, slot: int = 0) -> None:
        """Give @lee a position in the first market."""
        table = self.machine.store.users
        user = self.lee.copy()
        position = user.perp_positions[slot]
        position.base_asset_amount = base
        position.market_index = 0
        self.overwrite(user, "users", table.index[key_from_text("@lee") + b"\0\0"])
        self.set_perp(base_asset_amount_long=base, number_of_users=1, number_of_users_with_base=1)

    def perp(self, index: int = 0) -> PerpMarket:
        """A perp market."""
        return self.machine.store.perp_markets.objects[index]

    @property
    def lee(self) -> User:
        """The user."""
        table = self.machine.store.users
        return table.read(table.index[key_from_text("@lee") + b"\0\0"])


def test_only_the_listed_markets_are_refreshed() -> None:
    venue = PerpVenue()
    venue.now += 10
    venue.post(101_000_000)
    venue.post(101_000_000, "ETH")
    venue.ok(UpdateAmms(market_indexes=[1, 100, 100, 1, 100]), "@anyone")
    assert venue.perp(0).amm.historical_oracle_data.last_oracle_price == 100_000_000
    assert venue.perp(1).amm.historical_oracle_data.last_oracle_price == 101_000_000
    assert venue.perp(1).amm.last_oracle_valid


def test_a_market_that_fails_fails_the_whole_refresh() -> None:
    venue = PerpVenue()
    venue.now += 10
    venue.post(101_000_000)
    venue.post(0, "ETH")
    assert venue.refused(UpdateAmms(market_indexes=[0, 1]), "@anyone") == "MathError"
    assert venue.perp(0).amm.historical_oracle_data.last_oracle_price == 100_000_000


@pytest.mark.parametrize(("status", "refused"), [(127, "ExchangePaused"), (126, None), (128, "FailedUnwrap")])
def test_refresh_stops_only_when_everything_is_paused(status: int, refused: str | None) -> None:
    venue = PerpVenue()
    venue.set_state(exchange_status=status)
    receipt = venue.do(UpdateAmms(market_indexes=[0]), "@anyone")
    assert (receipt.refusal.error if receipt.refusal else None) == refused


def test_a_funding_update_and_its_event() -> None:
    venue = PerpVenue()
    venue.set_perp(last_funding_rate_ts=venue.now)
    venue.now += HOUR
    venue.post(100_000_000)
    receipt = venue.ok(UpdateFundingRate(market_index=0), "@anyone")
    ((name, event),) = receipt.events
    assert name == "FundingRateRecord"
    assert event["funding_rate"] == venue.perp().amm.last_funding_rate == 833_333
    assert event["mark_price_twap"] == 100_000_000
    assert list(event) == [
        "ts", "record_id", "market_index", "funding_rate", "funding_rate_long", "funding_rate_short",
        "cumulative_funding_rate_long", "cumulative_funding_rate_short", "oracle_price_twap", "mark_price_twap",
        "period_revenue", "base_asset_amount_with_amm", "base_asset_amount_with_unsettled_lp",
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("market", "exchange", "refused"),
    [
        ({"status": 8}, 32, "MarketDelisted"),
        ({}, 32, "ExchangePaused"),
        ({"status": 0}, 0, "MarketActionPaused"),
        ({"status": 7}, 0, "MarketActionPaused"),
        ({"status": 6}, 0, None),
    ],
)
def test_gates_of_a_funding_update(market: dict[str, int], exchange: int, refused: str | None) -> None:
    venue = PerpVenue()
    venue.set_perp(last_funding_rate_ts=venue.now - HOUR, **market)
    venue.set_state(exchange_status=exchange)
    receipt = venue.do(UpdateFundingRate(market_index=0), "@anyone")
    assert (receipt.refusal.error if receipt.refusal else None) == refused


@pytest.mark.parametrize(
    ("market", "five_minute_twap", "conf", "message", "limit"),
    [
        ({"paused_operations": 1}, 0, 0, "funding of perp market 0 is paused", None),
        ({"last_update_slot": 0}, 0, 3 * 10**6, "slots ago", "amm_age_in_slots"),
        ({}, 0, 3 * 10**6, "TooUncertain", None),
        ({}, 80_000_000, 0, "20 %", "mark_oracle_divergence"),
        ({}, 0, 0, "not due for another 2600 seconds", "time_until_next_update"),
    ],
)
def test_a_refused_funding_update_says_why(
    market: dict[str, int], five_minute_twap: int, conf: int, message: str, limit: str | None
) -> None:
    venue = PerpVenue()
    venue.set_perp(last_funding_rate_ts=venue.now, **market)
    venue.now += 1_000
    if five_minute_twap:
        history = venue.perp().amm.historical_oracle_data.copy()
        history.last_oracle_price_twap_5min = five_minute_twap
        history.last_oracle_price_twap_ts = venue.now
        venue.set_perp(historical_oracle_data=history)
    venue.post(100_000_000, conf=conf)
    receipt = venue.do(UpdateFundingRate(market_index=0), "@anyone")
    assert receipt.refusal is not None
    assert receipt.refusal.error == "FundingWasNotUpdated"
    assert message in receipt.refusal.message
    assert receipt.refusal.would_pass
    assert [found.name for found in receipt.limits] == ([limit] if limit else [])


def test_funding_that_the_amm_may_not_pay_says_what_it_lacks() -> None:
    venue = PerpVenue()
    venue.set_perp(
        last_funding_rate_ts=venue.now, base_asset_amount_with_amm=-(10**12), base_asset_amount_short=-(10**12),
        total_exchange_fee=1_000_000, total_fee_minus_distributions=500_100, total_fee_withdrawn=500_000,
    )  # fmt: skip
    venue.now += HOUR
    venue.post(100_000_000)
    receipt = venue.do(UpdateFundingRate(market_index=0), "@anyone")
    assert receipt.refusal is not None
    assert receipt.refusal.error == "InvalidFundingProfitability"
    assert "it must keep 0.5" in receipt.refusal.message
    assert receipt.limits[0].name == "total_fee_lower_bound"


def test_settling_funding_pays_every_position_and_counts_as_activity() -> None:
    venue = PerpVenue()
    venue.hold(10**12)
    venue.set_perp(cumulative_funding_rate_long=10**9, cumulative_funding_rate_short=2 * 10**9)
    receipt = venue.ok(SettleFundingPayment(user="@lee"), "@anyone")
    ((name, event),) = receipt.events
    assert (name, event["funding_payment"], event["base_asset_amount"]) == ("FundingPaymentRecord", -(10**9), 10**12)
    assert list(event) == [
        "ts", "user_authority", "user", "market_index", "funding_payment", "base_asset_amount",
        "user_last_cumulative_funding", "amm_cumulative_funding_long", "amm_cumulative_funding_short",
    ]  # fmt: skip
    assert venue.lee.perp_positions[0].quote_asset_amount == -(10**9)
    assert venue.lee.last_active_slot == venue.now * 5 // 2
    again = venue.ok(SettleFundingPayment(user="@lee"), "@anyone")
    assert again.events == []


def test_settling_funding_of_an_account_in_liquidation_is_no_activity() -> None:
    """Found in a recording: the slot of the last activity stays while the account is being liquidated."""
    venue = PerpVenue()
    user = venue.lee.copy()
    user.status = 1
    venue.overwrite(user, "users", venue.machine.store.users.index[key_from_text("@lee") + b"\0\0"])
    venue.ok(SettleFundingPayment(user="@lee"), "@anyone")
    assert venue.lee.last_active_slot == 0


def test_settling_funding_while_funding_is_paused() -> None:
    venue = PerpVenue()
    venue.set_state(exchange_status=32)
    assert venue.refused(SettleFundingPayment(user="@lee"), "@anyone") == "ExchangePaused"


# --- the bid and ask crank -------------------------------------------------------------------------------------


def test_the_crank_takes_the_venue_s_quotes() -> None:
    venue = PerpVenue(base_spread=20_000)
    venue.set_stats(if_staked_quote_asset_amount=10**9)
    venue.now += 60
    venue.post(100_000_000)
    venue.ok(UpdatePerpBidAskTwap(market_index=0, best_bid=99_990_000, best_ask=100_030_000), KEEPER)
    assert venue.perp().amm.mark_std == 10_000


@pytest.mark.parametrize(
    ("stats", "message"),
    [
        ({"if_staked_quote_asset_amount": 10**9 - 1}, "999.999999 staked"),
        ({"if_staked_quote_asset_amount": 10**9, "disable_update_perp_bid_ask_twap": True}, "switched off"),
    ],
)
def test_the_crank_refuses_keepers_without_stake(stats: dict[str, Any], message: str) -> None:
    venue = PerpVenue()
    venue.set_stats(**stats)
    receipt = venue.do(UpdatePerpBidAskTwap(market_index=0), KEEPER)
    assert receipt.refusal is not None
    assert receipt.refusal.error == "CantUpdatePerpBidAskTwap"
    assert message in receipt.refusal.message


def test_an_administrator_switches_a_keeper_off_and_on_again() -> None:
    venue = PerpVenue()
    venue.set_stats(if_staked_quote_asset_amount=10**9)
    for disable, error in ((True, "CantUpdatePerpBidAskTwap"), (False, None)):
        venue.ok(AdminDisableUpdatePerpBidAskTwap(authority=KEEPER, disable=disable))
        refusal = venue.do(UpdatePerpBidAskTwap(market_index=0), KEEPER).refusal
        assert (refusal.error if refusal else None) == error


def test_the_crank_updates_funding_when_it_is_due() -> None:
    venue = PerpVenue()
    venue.set_stats(if_staked_quote_asset_amount=10**9)
    venue.set_perp(last_funding_rate_ts=venue.now)
    assert venue.ok(UpdatePerpBidAskTwap(market_index=0), KEEPER).events == []
    venue.now += HOUR
    venue.post(100_000_000)
    receipt = venue.ok(UpdatePerpBidAskTwap(market_index=0), KEEPER)
    assert [name for name, _ in receipt.events] == ["FundingRateRecord"]


# --- by the administrator --------------------------------------------------------------------------------------


def test_repeg_and_k_by_hand_tell_the_curve_before_and_after() -> None:
    venue = PerpVenue()
    venue.post(101_000_000)
    ((name, event),) = venue.ok(RepegAmmCurve(market_index=0, new_peg_candidate=101_000_000)).events
    assert (name, event["peg_multiplier_before"], event["peg_multiplier_after"]) == (
        "CurveRecord", 100_000_000, 101_000_000,
    )  # fmt: skip
    ((_, event),) = venue.ok(UpdateK(market_index=0, sqrt_k=10**15 * 11 // 10)).events
    assert (event["record_id"], event["sqrt_k_before"], event["sqrt_k_after"]) == (2, 10**15, 10**15 * 11 // 10)
    assert venue.perp().amm.sqrt_k == 10**15 * 11 // 10


def test_repeg_and_k_are_the_administrator_s() -> None:
    venue = PerpVenue()
    for instruction in (RepegAmmCurve(market_index=0, new_peg_candidate=1), UpdateK(market_index=0, sqrt_k=1)):
        assert venue.refused(instruction, "@lee") == "Unauthorized"
