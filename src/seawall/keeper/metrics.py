"""A keeper's status as metrics for Prometheus."""

from collections.abc import Callable, Iterable, Iterator

from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from seawall.keeper.status import CrankStatus, KeeperStatus, ScanStatus

OUTCOMES = ("done", "idle", "refused", "skipped")


class KeeperMetrics(Collector):
    """What is read off a keeper when it is asked for."""

    def __init__(self, status: Callable[[], KeeperStatus]) -> None:
        self._status = status

    def collect(self) -> Iterable[Metric]:
        """Every metric of now."""
        return families(self._status())


def families(status: KeeperStatus) -> Iterator[Metric]:
    """Every metric of a status."""
    running = "1 while the keeper cranks and its last round came to its end."
    yield GaugeMetricFamily("seawall_keeper_running", running, value=int(status.running and not status.failure))
    yield CounterMetricFamily("seawall_keeper_ticks", "Rounds of the keeper.", value=status.ticks)
    yield GaugeMetricFamily(
        "seawall_keeper_tick_seconds", "How long its last round took.", value=status.last_tick_seconds
    )
    yield from _cranks(status.cranks)
    yield from _scans(status.scans)


def _cranks(cranks: list[CrankStatus]) -> Iterator[Metric]:
    labels = ("crank", "subject")
    outcomes = CounterMetricFamily(
        "seawall_keeper_cranks", "Cranks by what became of them.", labels=(*labels, "outcome")
    )
    last = GaugeMetricFamily(
        "seawall_keeper_last_done", "Unix time of the last crank that did something.", labels=labels
    )
    upcoming = GaugeMetricFamily("seawall_keeper_next", "Unix time at which a crank is due next.", labels=labels)
    for crank in cranks:
        for outcome in OUTCOMES:
            outcomes.add_metric([crank.name, crank.subject, outcome], getattr(crank, outcome))
        if crank.last_done_at is not None:
            last.add_metric([crank.name, crank.subject], crank.last_done_at)
        if crank.next_at is not None:
            upcoming.add_metric([crank.name, crank.subject], crank.next_at)
    yield from (outcomes, last, upcoming)


def _scans(scans: list[ScanStatus]) -> Iterator[Metric]:
    left = GaugeMetricFamily(
        "seawall_keeper_scan_left", "Accounts of this round that were not looked at yet.", labels=("scan",)
    )
    rounds = CounterMetricFamily("seawall_keeper_scan_rounds", "Whole rounds over all accounts.", labels=("scan",))
    seconds = GaugeMetricFamily(
        "seawall_keeper_scan_round_seconds", "How long the last whole round took.", labels=("scan",)
    )
    for scan in scans:
        left.add_metric([scan.name], scan.left)
        rounds.add_metric([scan.name], scan.rounds)
        if scan.last_round_seconds is not None:
            seconds.add_metric([scan.name], scan.last_round_seconds)
    yield from (left, rounds, seconds)
