"""What Prometheus scrapes: requests, instructions by outcome, the writer, the index, the keeper."""

from collections.abc import Iterable, Iterator

from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram, generate_latest
from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily, Metric
from prometheus_client.registry import Collector

from seawall.engine.receipts import Receipt
from seawall.keeper.metrics import families as keeper_families
from seawall.service.runtime import Service

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


class Metrics:
    """The metrics of one service, in a registry of their own."""

    def __init__(self, service: Service) -> None:
        self.registry = CollectorRegistry()
        self._requests = Counter(
            "seawall_http_requests", "HTTP requests.", ("method", "route", "status"), registry=self.registry
        )
        self._seconds = Histogram(
            "seawall_http_request_seconds", "Seconds until a response was complete.", ("method", "route"),
            buckets=(0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10),
            registry=self.registry,
        )  # fmt: skip
        self._instructions = Counter(
            "seawall_instructions", "Instructions by outcome, since this process started.", ("ix", "outcome"),
            registry=self.registry,
        )  # fmt: skip
        self.streams = Gauge("seawall_streams", "Clients on the event stream.", registry=self.registry)
        self.registry.register(_OfService(service))
        service.listen(self._count)

    def request(self, method: str, route: str, status: int, seconds: float) -> None:
        """Note a request that was answered."""
        self._requests.labels(method, route, str(status)).inc()
        self._seconds.labels(method, route).observe(seconds)

    def _count(self, receipts: list[Receipt]) -> None:
        for receipt in receipts:
            outcome = "ok" if receipt.refusal is None else receipt.refusal.error
            self._instructions.labels(receipt.ix, outcome).inc()

    def text(self) -> bytes:
        """Everything in the text format."""
        return generate_latest(self.registry)


class _OfService(Collector):
    """What is read off the service when it is asked for."""

    def __init__(self, service: Service) -> None:
        self._service = service

    def collect(self) -> Iterable[Metric]:
        service = self._service
        yield _gauge("seawall_ready", "1 while instructions are taken.", int(service.ready))
        yield _gauge("seawall_development_mode", "1 where unsigned requests are taken.", int(service.settings.dev))
        if service.state not in ("ready", "following"):
            return
        tip = service.venue.tip
        yield _gauge("seawall_journal_sequence", "The last durable instruction.", tip.sequence)
        yield _gauge("seawall_journal_unix_timestamp", "The venue's time at the last instruction.", tip.unix_timestamp)
        yield _gauge("seawall_index_sequence", "The last instruction in the index.", service.views.sequence)
        recovery = service.venue.recovery
        yield _gauge("seawall_recovery_seconds", "How long the venue took to come back.", recovery.seconds)
        yield _gauge("seawall_recovery_replayed", "Instructions executed again when it came back.", recovery.replayed)
        if service.state == "ready":
            writer = service.writer
            yield _gauge("seawall_writer_waiting", "Requests that wait for the writer.", writer.waiting)
            yield _counter("seawall_writer_commits", "Durable commits.", writer.groups)
            yield _counter("seawall_writer_instructions", "Instructions made durable.", writer.written)
        yield from _keeper(service)


def _keeper(service: Service) -> Iterator[Metric]:
    status = service.keeper
    if status is not None:
        yield from keeper_families(status)


def _gauge(name: str, text: str, value: float) -> Metric:
    return GaugeMetricFamily(name, text, value=value)


def _counter(name: str, text: str, value: float) -> Metric:
    return CounterMetricFamily(name, text, value=value)
