"""A keeper on a real service over a real venue: what it cranks and when, what it leaves alone, what two of them do."""

import threading
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from support.keeping import HOUR, KEEPER, RIVAL, Stage, order, order_of, stage, troubled
from support.money import ONE_USDC, USDC
from support.service import key_of
from support.venues import ETH_PERP, SOL_PERP, WholeVenue, small_tables  # noqa: F401
from typer.testing import CliRunner

from seawall.cli import app
from seawall.engine.receipts import Receipt
from seawall.instructions.administration import UpdatePerpMarketExpiry
from seawall.instructions.deposits import Deposit
from seawall.instructions.isolated import DepositIntoIsolatedPerpPosition
from seawall.instructions.parameters import UpdatePerpMarketFeePoolBufferTarget
from seawall.instructions.venue_setup import FundWallet, InitializeUser
from seawall.keeper.runner import Keeper
from seawall.keeper.status import CrankStatus

RULEBOOKS = pytest.mark.parametrize("rulebook", ["drift", "velocity"])


def crank(keeper: Keeper, name: str, subject: str) -> CrankStatus:
    """The status of one crank."""
    return next(c for c in keeper.status().cranks if (c.name, c.subject) == (name, subject))


def ticks(place: Stage, keeper: Keeper, times: int = 1, prices: dict[str, int] | None = None) -> None:
    """Rounds a second apart, with fresh prices for each; none of them may fail."""
    for _ in range(times):
        place.at(place.now + 1)
        for oracle, price in (prices or {}).items():
            place.post(oracle, price)
        keeper.tick()
        assert keeper.status().failure == ""


def crash(place: Stage, keeper: Keeper | None = None) -> None:
    """SOL falls from 100 to 74 in six minutes."""
    for price in (95, 90, 85, 80, 76, 74):
        place.at(place.now + 60)
        place.post("SOL", price)
        if keeper is not None:
            keeper.tick()


def audited(path: Path) -> None:
    """The audit of the venue finds nothing wrong, signatures included."""
    result = CliRunner().invoke(app, ["audit", str(path / "venue.seawall")])
    assert result.exit_code == 0, result.output


def sent_and_refused(place: Stage, label: str = KEEPER) -> list[Receipt]:
    """What a keeper sent although it was refused."""
    return [receipt for receipt in place.receipts(label) if not receipt.ok]


# --- on the hour -------------------------------------------------------------------------------------------------


@RULEBOOKS
def test_revenue_settles_exactly_on_the_hour(tmp_path: Path, rulebook: str) -> None:
    """A second before the hour the keeper knows when revenue is due and leaves it; on the hour it settles, once."""
    with stage(tmp_path, troubled(rulebook)) as place:
        keeper = place.keeper()
        hour = place.now - place.now % HOUR + HOUR
        place.at(hour - 1)
        keeper.tick()
        before = crank(keeper, "revenue", "spot market 0")
        assert (before.done, before.skipped, before.next_at) == (0, 0, hour)
        ticks(place, keeper, 3)
        settled = [receipt for receipt in place.receipts() if receipt.ix == "settle_revenue_to_insurance_fund"]
        assert [(receipt.ok, receipt.clock.unix_timestamp) for receipt in settled] == [(True, hour)]
        after = crank(keeper, "revenue", "spot market 0")
        assert (after.done, after.last_done_at, after.last_sequence) == (1, hour, settled[0].sequence)
        assert after.next_at == hour + HOUR
    audited(tmp_path)


@RULEBOOKS
def test_funding_is_updated_on_the_hour(tmp_path: Path, rulebook: str) -> None:
    """Both markets' rates, each once an hour, at prices that are fresh."""
    with stage(tmp_path, troubled(rulebook)) as place:
        keeper = place.keeper()
        hour = place.now - place.now % HOUR + HOUR
        for at in (hour - 1, hour, hour + 1, hour + HOUR - 1, hour + HOUR):
            place.at(at - 1)
            ticks(place, keeper, prices={"SOL": 100, "ETH": 2_000})
        done = Counter(
            (receipt.clock.unix_timestamp, fields["market_index"])
            for receipt in place.receipts() for name, fields in receipt.events if name == "FundingRateRecord"
        )  # fmt: skip
        assert done == Counter((at, index) for at in (hour, hour + HOUR) for index in (SOL_PERP, ETH_PERP))
        assert not sent_and_refused(place)
    audited(tmp_path)


def test_fees_are_swept_before_revenue_settles(tmp_path: Path) -> None:
    """Velocity: what losers paid in is handed out, and insurance's part of it is there when revenue settles."""
    venue = troubled("velocity")
    venue.ok(UpdatePerpMarketFeePoolBufferTarget(market_index=SOL_PERP, fee_pool_buffer_target=0))
    with stage(tmp_path, venue) as place:
        keeper = place.keeper()
        hour = place.now - place.now % HOUR + HOUR
        place.at(hour - 30)
        ticks(place, keeper, 3, prices={"SOL": 99})
        place.do(order_of("@alice", "Short", 5))
        place.at(hour - 1)
        ticks(place, keeper, 1, prices={"SOL": 99})
        sequence = {
            receipt.ix: receipt.sequence for receipt in place.receipts() if receipt.clock.unix_timestamp == hour
        }
        assert sequence["sweep_perp_market_fees"] < sequence["settle_revenue_to_insurance_fund"]
        assert crank(keeper, "fee_sweep", "perp market 0").next_at == hour + HOUR
        swept = [receipt for receipt in place.receipts() if receipt.ix == "sweep_perp_market_fees"]
        assert all(receipt.events for receipt in swept) and len(swept) == 1
    audited(tmp_path)


# --- who is in trouble -------------------------------------------------------------------------------------------


@RULEBOOKS
def test_everybody_in_trouble_is_dealt_with(tmp_path: Path, rulebook: str) -> None:
    """After a crash the keeper takes over positions, losses and borrows, and resolves what nobody can pay."""
    with stage(tmp_path, troubled(rulebook)) as place:
        keeper = place.keeper()
        crash(place)
        assert set(place.in_trouble()) == {f"{key_of('@erin')}/0", f"{key_of('@frank')}/0"}
        ticks(place, keeper, 60, prices={"SOL": 74})
        assert place.in_trouble() == []
        done = Counter(receipt.ix for receipt in place.receipts())
        assert done["liquidate_perp"] and done["liquidate_perp_pnl_for_deposit"] and done["liquidate_spot"]
        assert done["resolve_perp_bankruptcy"] == crank(keeper, "bankruptcy", "accounts").done == 1
        assert not sent_and_refused(place)
    audited(tmp_path)


def test_an_isolated_position_is_taken_over_and_cross_margin_left_alone(tmp_path: Path) -> None:
    """Velocity: Gina's isolated position is short of margin and goes bankrupt, while the rest of hers is sound."""
    venue = troubled("velocity", isolated_positions=True)
    venue.ok(FundWallet(authority="@gina", market_index=USDC, amount=5_000 * ONE_USDC))
    venue.ok(InitializeUser(user="@gina"), "@gina")
    venue.ok(Deposit(user="@gina", market_index=USDC, amount=1_000 * ONE_USDC), "@gina")
    isolated = DepositIntoIsolatedPerpPosition(user="@gina", perp_market_index=SOL_PERP, amount=500 * ONE_USDC)
    venue.ok(isolated, "@gina")
    order(venue, "@gina", "Long", 40)
    with stage(tmp_path, venue) as place:
        keeper = place.keeper()
        crash(place)
        gina = f"{key_of('@gina')}/0"
        assert gina in place.in_trouble()
        ticks(place, keeper, 60, prices={"SOL": 74})
        assert place.in_trouble() == []
        user = next(u for u in _users(place) if f"{u.sub_account_id}" == "0" and gina.startswith(_name(u)))
        assert user.spot_positions[0].scaled_balance >= 1_000 * 10**9
        assert all(p.base_asset_amount == 0 and p.quote_asset_amount == 0 for p in user.perp_positions)
        assert not sent_and_refused(place)
    audited(tmp_path)


def _users(place: Stage) -> list[Any]:
    return place.service.look(lambda store, tip: [store.users.read(row) for row in range(store.users.count)])


def _name(user: Any) -> str:
    from seawall.keys import key_to_text

    return key_to_text(user.authority)


@RULEBOOKS
def test_a_keeper_without_an_account_says_so_and_cranks_the_rest(tmp_path: Path, rulebook: str) -> None:
    """Nobody needs an account to settle and to crank; to take over one does."""
    with stage(tmp_path, troubled(rulebook)) as place:
        keeper = place.keeper("@stranger")
        crash(place, keeper)
        status = crank(keeper, "liquidation", "accounts")
        assert status.done == 0 and status.skipped > 0
        assert "has no account" in status.last_skipped_because
        assert crank(keeper, "amm_refresh", "perp market 0").done > 0
        assert place.in_trouble()


def test_a_poor_keeper_takes_over_what_it_can_bear(tmp_path: Path) -> None:
    """With too little for all of a position it takes a part, and nothing of it is refused."""
    venue = troubled("drift")
    venue.ok(FundWallet(authority="@poor", market_index=USDC, amount=60 * ONE_USDC))
    venue.ok(InitializeUser(user="@poor"), "@poor")
    venue.ok(Deposit(user="@poor", market_index=USDC, amount=60 * ONE_USDC), "@poor")
    with stage(tmp_path, venue) as place:
        keeper = place.keeper("@poor")
        crash(place)
        ticks(place, keeper, 2, prices={"SOL": 74})
        taken = [receipt for receipt in place.receipts("@poor") if receipt.ix.startswith("liquidate")]
        assert taken and all(receipt.ok for receipt in taken)
        assert place.in_trouble()
    audited(tmp_path)


# --- settlements -------------------------------------------------------------------------------------------------


@RULEBOOKS
def test_losers_pay_in_before_winners_are_paid(tmp_path: Path, rulebook: str) -> None:
    """Erin lost and Alice won: both are settled in one round, the loser first, and no settlement is refused."""
    with stage(tmp_path, troubled(rulebook)) as place:
        keeper = place.keeper()
        ticks(place, keeper, 2, prices={"SOL": 99})
        settled = [
            fields for receipt in place.receipts() for name, fields in receipt.events if name == "SettlePnlRecord"
        ]  # fmt: skip
        amounts = [int(fields["pnl"]) for fields in settled]
        assert amounts and amounts[0] < 0
        assert amounts == sorted(amounts)
        assert not sent_and_refused(place)
    audited(tmp_path)


def test_nothing_is_settled_twice_or_for_less_than_the_least(tmp_path: Path) -> None:
    """Once settled nothing is left to settle; a P&L below the least is left alone."""
    with stage(tmp_path, troubled("drift")) as place:
        greedy = place.keeper(settle_least=10**12)
        ticks(place, greedy, 2, prices={"SOL": 99})
        assert not [receipt for receipt in place.receipts() if receipt.ix == "settle_pnl"]
        keeper = place.keeper()
        ticks(place, keeper, 1, prices={"SOL": 99})
        first = len([receipt for receipt in place.receipts() if receipt.ix == "settle_pnl"])
        assert first
        ticks(place, keeper, 5)
        assert len([receipt for receipt in place.receipts() if receipt.ix == "settle_pnl"]) == first


def test_every_account_comes_round_once_in_the_time_that_is_set(tmp_path: Path) -> None:
    """With ``settle_every`` the accounts of a venue are spread over it: a part of them every second."""
    with stage(tmp_path, troubled("drift")) as place:
        accounts = place.service.look(lambda store, tip: store.users.count)
        keeper = place.keeper(settle_every=10)
        ticks(place, keeper, 1)
        rounds = [scan.rounds for scan in keeper.status().scans if scan.name == "settlement"]
        assert rounds == [0]
        ticks(place, keeper, 20)
        (scan,) = (scan for scan in keeper.status().scans if scan.name == "settlement")
        assert scan.rounds == 2 and scan.accounts == accounts, scan


# --- the end of a market -----------------------------------------------------------------------------------------


@RULEBOOKS
def test_an_expired_market_is_settled_to_the_end(tmp_path: Path, rulebook: str) -> None:
    """Who may, fixes the expiry price; then every position is closed, and the pools are handed over."""
    with stage(tmp_path, troubled(rulebook)) as place:
        expiry = place.now + 600
        place.do(UpdatePerpMarketExpiry(market_index=SOL_PERP, expiry_ts=expiry))
        # under Velocity only the admin fixes the price, and everywhere only the admin hands the pools over
        admin = place.keeper("@admin", liquidator=f"{key_of(KEEPER)}/0")
        keeper = place.keeper()
        ticks(place, keeper, 1, prices={"SOL": 100})
        assert crank(keeper, "expiry", "perp market 0").next_at == expiry
        place.at(expiry)
        for at in (expiry + 1, expiry + 2 * HOUR, expiry + 26 * HOUR):
            place.at(at)
            ticks(place, keeper, 2, prices={"SOL": 100, "ETH": 2_000})
            ticks(place, admin, 12)
        market = place.service.look(lambda store, tip: store.perp_markets.objects[SOL_PERP])
        assert (market.amm.base_asset_amount_long, market.amm.base_asset_amount_short) == (0, 0)
        closed = [
            receipt for label in (KEEPER, "@admin") for receipt in place.receipts(label)
            if any(fields.get("explanation") == "ExpiredPosition" for _, fields in receipt.events)
        ]  # fmt: skip
        assert len(closed) == 2
        assert crank(keeper, "funding", "perp market 0").last_skipped_because == "the market is over"
        assert market.status == 8
        assert not sent_and_refused(place) and not sent_and_refused(place, "@admin")
    audited(tmp_path)


# --- two keepers, restarts ---------------------------------------------------------------------------------------


@RULEBOOKS
def test_two_keepers_pay_nothing_twice(tmp_path: Path, rulebook: str) -> None:
    """Two keepers in threads of their own through a crash and three hours: what one did, the other finds done."""
    with stage(tmp_path, troubled(rulebook)) as place:
        keepers = [place.keeper(KEEPER), place.keeper(RIVAL)]
        barrier = threading.Barrier(2)
        hour = place.now - place.now % HOUR + HOUR
        moments = [(place.now + 60 * (i + 1), p) for i, p in enumerate((95, 90, 85, 80, 76, 74))]
        moments += [(moments[-1][0] + 10 * i, 74) for i in range(1, 30)]
        moments += [(at, 74) for k in range(3) for at in (hour + k * HOUR - 1, hour + k * HOUR, hour + k * HOUR + 11)]

        def round_of(keeper: Keeper) -> None:
            barrier.wait(30)
            keeper.tick()

        for at, price in moments:
            place.at(at)
            place.post("SOL", price)
            place.post("ETH", 2_000)
            threads = [threading.Thread(target=round_of, args=(keeper,)) for keeper in keepers]
            for thread in threads:
                thread.start()
            for thread in threads:
                thread.join(60)
                assert not thread.is_alive()
            assert [keeper.status().failure for keeper in keepers] == ["", ""]
        assert place.in_trouble() == []
        _check_counts(place, keepers)
    audited(tmp_path)


def _check_counts(place: Stage, keepers: list[Keeper]) -> None:
    """Every hour's revenue once, every debt cleared once; what came second is counted as such."""
    both = place.receipts(KEEPER) + place.receipts(RIVAL)
    settled = Counter(
        (receipt.clock.unix_timestamp // HOUR, fields["spot_market_index"])
        for receipt in both for name, fields in receipt.events
        if receipt.ix == "settle_revenue_to_insurance_fund" and name == "InsuranceFundRecord"
    )  # fmt: skip
    assert settled and set(settled.values()) == {1}
    losses = Counter(receipt.waterfall.account for receipt in both if receipt.waterfall is not None)
    assert losses and set(losses.values()) == {1}
    for label, keeper in zip((KEEPER, RIVAL), keepers, strict=True):
        receipts, cranks = place.receipts(label), keeper.status().cranks
        assert sum(c.refused for c in cranks) == sum(not receipt.ok for receipt in receipts)
        assert sum(c.done + c.idle for c in cranks) == sum(receipt.ok for receipt in receipts)


@RULEBOOKS
def test_a_restarted_keeper_goes_on(tmp_path: Path, rulebook: str) -> None:
    """A keeper that takes over from one that is gone repeats nothing but a refresh of the AMM."""
    with stage(tmp_path, troubled(rulebook)) as place:
        crash(place, place.keeper())
        ticks(place, place.keeper(), 40, prices={"SOL": 74})
        last = place.service.venue.sequence
        ticks(place, place.keeper(), 1)
        again = {receipt.ix for receipt in place.receipts(after=last)}
        assert again <= {"update_amms"}
        assert place.in_trouble() == []
    audited(tmp_path)


def test_a_keeper_survives_a_venue_that_is_closed(tmp_path: Path) -> None:
    """What it cannot reach it reports, and tries again; it neither raises nor counts anything as done."""
    with stage(tmp_path, troubled("drift")) as place:
        keeper = place.keeper()
        keeper.tick()
        assert keeper.status().failure == ""
    keeper.tick()
    assert keeper.status().failure
    assert keeper.status().ticks == 2
