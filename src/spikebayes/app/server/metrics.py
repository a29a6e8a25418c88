"""What the server counts, as Prometheus reads it."""

from __future__ import annotations

from prometheus_client import (
    CONTENT_TYPE_LATEST,
    CollectorRegistry,
    Counter,
    Gauge,
    Histogram,
    ProcessCollector,
    generate_latest,
)

SECONDS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60)


class Metrics:
    """Counts of one server."""

    content_type = CONTENT_TYPE_LATEST

    def __init__(self) -> None:
        self._registry = CollectorRegistry()
        ProcessCollector(registry=self._registry)
        self.running: Gauge = Gauge(
            "spikebayes_running", "requests for inference in progress", registry=self._registry
        )
        self._requests = Counter(
            "spikebayes_requests", "requests for inference, by HTTP status", ["status"], registry=self._registry
        )
        self._seconds = Histogram(
            "spikebayes_request_seconds",
            "from a request's first byte to its answer, of those that were predicted",
            buckets=SECONDS,
            registry=self._registry,
        )
        self._rows = Counter("spikebayes_rows", "rows predicted", registry=self._registry)
        self._samples = Counter("spikebayes_samples", "samples drawn, of all rows", registry=self._registry)

    def answered(self, status: int, seconds: float) -> None:
        """A request came to its end."""
        self._requests.labels(str(status)).inc()
        if status == 200:
            self._seconds.observe(seconds)

    def predicted(self, rows: int, samples: int) -> None:
        """Rows were predicted, with so many samples each."""
        self._rows.inc(rows)
        self._samples.inc(rows * samples)

    def text(self) -> bytes:
        """All of it, as ``GET /metrics`` answers."""
        return generate_latest(self._registry)
