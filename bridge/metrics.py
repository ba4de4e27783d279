"""The bridge's Prometheus metrics, by topic and partition. Series of partitions that moved away are removed."""

from typing import Final

from prometheus_client import Counter, Gauge

PER_PARTITION: Final = ("topic", "partition")

EVENTS = Counter("tandem_bridge_events_total", "Events handled, by outcome", [*PER_PARTITION, "outcome"])
RETRIES = Counter("tandem_bridge_retries_total", "Handlings tried again because an engine was down", PER_PARTITION)
DEAD_LETTERS = Counter("tandem_bridge_dead_letters_total", "Records parked, by reason", [*PER_PARTITION, "code"])
RESTARTS = Counter("tandem_bridge_consumer_restarts_total", "Consumers opened anew, by reason", ["topic", "reason"])
PUBLISHED = Counter("tandem_bridge_outbox_published_total", "Outbox events put on Kafka", ["topic"])
RECONCILED = Counter("tandem_bridge_reconciled_total", "What the reconciler mended", ["what"])

LAG = Gauge("tandem_bridge_lag", "Records of the partition that are not finished yet", PER_PARTITION)
IN_FLIGHT = Gauge("tandem_bridge_in_flight", "Records taken and not finished", PER_PARTITION)
OLDEST = Gauge(
    "tandem_bridge_oldest_unfinished_seconds", "Age of the oldest record taken and not finished", PER_PARTITION
)
PAUSED = Gauge("tandem_bridge_paused", "1 while the partition is paused: too much is in flight", PER_PARTITION)
STALLED = Gauge("tandem_bridge_stalled", "1 while the consumer is behind and does not move", ["topic"])

_OF_PARTITION: Final = (LAG, IN_FLIGHT, OLDEST, PAUSED)


def forget_partition(topic: str, partition: int) -> None:
    """The partition is somebody else's now."""
    for gauge in _OF_PARTITION:
        try:
            gauge.remove(topic, str(partition))
        except KeyError:
            continue
