"""Kafka by kafka-python: a log to write to, a consumer to read from, the topics we need.

No deserialisers anywhere: one exception in them makes every later ``poll`` fail. Bytes in, bytes out.
"""

import asyncio
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, TopicAlreadyExistsError

from bridge.contracts import names
from bridge.contracts.envelope import MAX_VALUE_BYTES, Record
from bridge.contracts.failures import Unavailable

BROKER_RECORD_BYTES: Final = 2 * 1024 * 1024
"""Dead letters carry what was refused for its size, so topics take more than we accept."""
SEND_TIMEOUT_SECONDS: Final = 30
POLL_MILLISECONDS: Final = 200


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where Kafka is. The embedded development broker needs static membership, see ``instance``."""

    bootstrap_servers: str
    instance: str | None = None

    def client(self) -> dict[str, Any]:
        return {"bootstrap_servers": self.bootstrap_servers.split(","), "allow_auto_create_topics": False}


class KafkaEventLog:
    """The ``EventLog`` port: acknowledged by all in-sync replicas before ``send`` returns."""

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self._producer: Any = None

    async def send(self, records: Sequence[Record]) -> None:
        await asyncio.to_thread(self._send, records)

    def _send(self, records: Sequence[Record]) -> None:
        try:
            producer = self._connected()
            futures = [producer.send(r.topic, value=r.value, key=r.key, headers=list(r.headers)) for r in records]
            producer.flush(timeout=SEND_TIMEOUT_SECONDS)
            for future in futures:
                future.get(timeout=SEND_TIMEOUT_SECONDS)
        except KafkaError as error:
            self.close()
            raise Unavailable(f"Kafka at {self._address.bootstrap_servers} did not store: {error!r}") from error

    def _connected(self) -> Any:
        if self._producer is None:
            self._producer = KafkaProducer(
                **self._address.client(),
                acks="all",
                max_request_size=BROKER_RECORD_BYTES,
                delivery_timeout_ms=SEND_TIMEOUT_SECONDS * 1000,
                max_block_ms=5000,
            )
        return self._producer

    def close(self) -> None:
        producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=1)


def open_consumer(address: KafkaAddress, *, topic: str, group: str) -> Any:
    """A subscribed consumer that commits nothing by itself; raises ``Unavailable``."""
    try:
        consumer = KafkaConsumer(
            **address.client(),
            group_id=group,
            group_instance_id=f"{group}-{address.instance}" if address.instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            max_poll_records=200,
            fetch_max_bytes=8 * 1024 * 1024,
            fetch_max_wait_ms=100,
            session_timeout_ms=10_000,
            heartbeat_interval_ms=2_000,
            reconnect_backoff_max_ms=1_000,
        )
        if not consumer.partitions_for_topic(topic):
            consumer.close()
            raise Unavailable(f"Kafka at {address.bootstrap_servers} does not know topic {topic!r} yet")
        consumer.subscribe([topic])
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address.bootstrap_servers} does not answer: {error!r}") from error
    return consumer


def ensure_topics(address: KafkaAddress, *, partitions: int, topics: Iterable[str] = names.TOPICS) -> list[str]:
    """Create each topic and its dead-letter topic where missing; returns the new ones. Safe to repeat."""
    configs = {"max.message.bytes": str(BROKER_RECORD_BYTES + MAX_VALUE_BYTES)}
    wanted = [name for topic in topics for name in (topic, names.dead_letter_topic(topic))]
    try:
        admin = KafkaAdminClient(**_admin(address))
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address.bootstrap_servers} does not answer: {error!r}") from error
    try:
        missing = [name for name in wanted if name not in set(admin.list_topics())]
        if missing:
            spec: Mapping[str, Any] = {
                name: {"num_partitions": partitions, "replication_factor": 1, "configs": configs} for name in missing
            }
            admin.create_topics(spec)
    except TopicAlreadyExistsError:
        return []
    except KafkaError as error:
        raise Unavailable(f"Kafka could not create topics {wanted}: {error!r}") from error
    else:
        return missing
    finally:
        admin.close()


def _admin(address: KafkaAddress) -> dict[str, Any]:
    return {"bootstrap_servers": address.bootstrap_servers.split(",")}
