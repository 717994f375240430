"""`/metrics`: what this replica counted, in Prometheus's text format.

Counts are plain integers where things happen and are only read here, when somebody asks: an event costs no more for
being counted.
"""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Literal

CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class Metric:
    """One figure and how to read it."""

    name: str
    kind: Literal["counter", "gauge"]
    meaning: str
    read: Callable[[], float]


def render(metrics: list[Metric], instance: str) -> bytes:
    """All figures, and those of the process."""
    from prometheus_client import CollectorRegistry, ProcessCollector, generate_latest  # noqa: PLC0415 - 50 ms a start
    from prometheus_client.core import CounterMetricFamily, GaugeMetricFamily  # noqa: PLC0415 - as above
    from prometheus_client.registry import Collector  # noqa: PLC0415 - as above

    class Figures(Collector):
        def collect(self) -> Iterator[CounterMetricFamily | GaugeMetricFamily]:
            for metric in metrics:
                kind = CounterMetricFamily if metric.kind == "counter" else GaugeMetricFamily
                family = kind(f"backend_{metric.name}", metric.meaning, labels=["instance"])
                family.add_metric([instance], metric.read())
                yield family

    registry = CollectorRegistry(auto_describe=False)
    registry.register(Figures())
    ProcessCollector(registry=registry)
    return generate_latest(registry)
