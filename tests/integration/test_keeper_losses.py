"""Deficits and revenue shares as a keeper meets them: states that take long to come about, made up for the purpose."""

import pytest
from support.keeping import Stage, stage_over
from support.velocity_losses import VelocityLossVenue
from unit.test_deficit import CASES
from unit.test_deficit import deficit_venue as drift_deficit
from unit.test_velocity_deficit import deficit_venue as velocity_deficit
from unit.test_velocity_settlement import PERP, Pools, Q, owe

from seawall.engine.receipts import Receipt
from seawall.keeper.runner import Keeper, KeeperSettings
from seawall.service.keeping import EmbeddedPort
from seawall.state.revenue_share import ROW_COMPLETED, ROW_REFERRAL


def crank(place: Stage) -> tuple[Keeper, list[Receipt]]:
    """A round of a keeper who has no account; the keeper, and what it sent."""
    keeper = Keeper(EmbeddedPort(place.service, None, "@anyone"), KeeperSettings(settle_every=0))
    keeper.tick()
    assert keeper.status().failure == ""
    journal = place.service.venue.journal
    sent = [place.service.venue.receipt(entry.sequence) for entry in journal.entries(0)]
    return keeper, [receipt for receipt in sent if receipt is not None]


def counts(keeper: Keeper, name: str) -> tuple[int, int, str]:
    """How often a crank was done and skipped, and why it was skipped last."""
    (found,) = (c for c in keeper.status().cranks if (c.name, c.subject) == (name, "perp market 0"))
    return found.done, found.skipped, found.last_skipped_because


def test_a_deficit_draws_on_insurance() -> None:
    """Drift: the AMM is in the red and the pool is empty; what the caps admit is drawn, once."""
    with stage_over(drift_deficit(CASES[0])) as place:
        keeper, sent = crank(place)
        drawn = [receipt.waterfall.paid for receipt in sent if receipt.waterfall is not None]
        assert drawn == [500]
        assert counts(keeper, "deficit")[0] == 1
        keeper.tick()
        assert counts(keeper, "deficit") == (1, 0, "the P&L pool is not empty")
        assert all(receipt.ok for receipt in sent)


@pytest.mark.parametrize("curve_moves", [False, True], ids=["still", "moving"])
def test_a_deficit_waits_for_a_fresh_amm(curve_moves: bool) -> None:
    """Velocity: where the curve moves, the AMM is refreshed in the same second, right before the draw."""
    venue = velocity_deficit()
    if curve_moves:
        venue.change_perp_market(PERP, curve_update_intensity=100)
    with stage_over(venue) as place:
        keeper, sent = crank(place)
        assert [receipt.waterfall.paid for receipt in sent if receipt.waterfall is not None] == [500]
        names = [receipt.ix for receipt in sent]
        if curve_moves:
            assert "update_amms" in names[: names.index("resolve_perp_pnl_deficit")]
        assert counts(keeper, "deficit")[0] == 1
        assert all(receipt.ok for receipt in sent)


def test_a_deficit_that_nothing_can_pay_is_not_asked_for() -> None:
    """Without an insurance fund the keeper says what a draw would meet, and sends nothing."""
    with stage_over(velocity_deficit(vault=0)) as place:
        keeper, sent = crank(place)
        done, skipped, because = counts(keeper, "deficit")
        assert (done, skipped) == (0, 1)
        assert because.startswith("NoIFWithdrawAvailable")
        assert "resolve_perp_pnl_deficit" not in [receipt.ix for receipt in sent]


def test_builders_and_referrers_are_paid_where_the_pool_suffices() -> None:
    """Velocity: what is due is paid; what the P&L pool cannot pay is counted as waiting, and nothing is sent for it."""
    venue: VelocityLossVenue = Pools(10)
    owe(venue, ("@long", 5, ROW_COMPLETED), ("@other", 4, ROW_REFERRAL), ("@long", 90, ROW_COMPLETED))
    venue.fund("pnl_pool", 20 * Q)
    with stage_over(venue) as place:
        keeper, sent = crank(place)
        paid = [
            fields["fee_settled"] for receipt in sent for name, fields in receipt.events
            if name == "RevenueShareSettleRecord"
        ]  # fmt: skip
        assert paid and sum(paid) <= 9 * Q and max(paid) == 5 * Q
        assert counts(keeper, "revenue_share")[0] == 1
        keeper.tick()
        assert counts(keeper, "revenue_share")[0] == 1
