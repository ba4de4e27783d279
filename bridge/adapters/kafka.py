"""Kafka by kafka-python: a log to write to, a consumer to read from, the topics we need.

No deserialisers anywhere: one exception in them makes every later ``poll`` fail. Bytes in, bytes out.
"""

import asyncio
import datetime as dt
import threading
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from kafka import KafkaAdminClient, KafkaConsumer, KafkaProducer
from kafka.errors import KafkaError, TopicAlreadyExistsError
from kafka.structs import TopicPartition

from bridge.contracts import names
from bridge.contracts.envelope import MAX_VALUE_BYTES, Record
from bridge.contracts.failures import Code, Owner, Refused, Unavailable
from bridge.ports import SEND_SECONDS

BROKER_RECORD_BYTES: Final = 2 * 1024 * 1024
"""Dead letters carry what was refused for its size, so topics take more than we accept."""
DEAD_LETTER_DAYS: Final = 30
METADATA_SECONDS: Final = 3
DELIVERY_SECONDS: Final = 8
CLOSE_SECONDS: Final = 0.5
assert METADATA_SECONDS + DELIVERY_SECONDS + CLOSE_SECONDS < SEND_SECONDS  # noqa: S101 - what the port promises
POLL_MILLISECONDS: Final = 200
CLOCK_SKEW: Final = dt.timedelta(minutes=1)


@dataclass(frozen=True, slots=True)
class KafkaSecurity:
    """How Kafka is spoken to. ``protocol``: PLAINTEXT, SSL, SASL_PLAINTEXT or SASL_SSL. Files are PEM."""

    protocol: str = "PLAINTEXT"
    mechanism: str | None = None
    username: str | None = None
    password: str | None = None
    ca_file: str | None = None
    certificate_file: str | None = None
    key_file: str | None = None

    def __post_init__(self) -> None:
        if self.protocol.startswith("SASL") and not (self.mechanism and self.username and self.password):
            raise Refused(
                Code.BAD_CONNECTION,
                f"Kafka security protocol {self.protocol} needs a SASL mechanism, a username and a password",
                owner=Owner.PLATFORM,
            )
        for file in (self.ca_file, self.certificate_file, self.key_file):
            if file and not Path(file).is_file():
                problem = f"Kafka's TLS file {file!r} is not there"
                raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM)

    def client(self) -> dict[str, Any]:
        options: dict[str, Any] = {"security_protocol": self.protocol}
        if self.protocol.startswith("SASL"):
            options |= {
                "sasl_mechanism": self.mechanism,
                "sasl_plain_username": self.username,
                "sasl_plain_password": self.password,
            }
        if self.protocol.endswith("SSL"):
            options |= {
                "ssl_cafile": self.ca_file,
                "ssl_certfile": self.certificate_file,
                "ssl_keyfile": self.key_file,
            }
        return options


@dataclass(frozen=True, slots=True)
class KafkaAddress:
    """Where Kafka is, and how it is reached.

    ``instance`` makes the consumers static members: a bridge that comes back within the session timeout gets its
    partitions back without a rebalance. ``proxy`` is ``socks5://host:port``.
    """

    bootstrap_servers: str
    instance: str | None = None
    security: KafkaSecurity = KafkaSecurity()
    proxy: str | None = None

    def client(self) -> dict[str, Any]:
        return {
            "bootstrap_servers": self.bootstrap_servers.split(","),
            "proxy_url": self.proxy,
            **self.security.client(),
        }


class KafkaEventLog:
    """The ``EventLog`` port: acknowledged by all in-sync replicas before ``send`` returns.

    The producer is idempotent: its own retries neither repeat nor reorder.
    """

    def __init__(self, address: KafkaAddress) -> None:
        self._address = address
        self._producer: Any = None
        self._opening = threading.Lock()

    async def send(self, records: Sequence[Record]) -> None:
        await asyncio.to_thread(self._send, records)

    def _send(self, records: Sequence[Record]) -> None:
        try:
            producer = self._connected()
            futures = [producer.send(r.topic, value=r.value, key=r.key, headers=list(r.headers)) for r in records]
            producer.flush(timeout=DELIVERY_SECONDS)
            for future in futures:
                future.get(timeout=0)
        except KafkaError as error:
            self.close()  # gives up what is not sent yet
            raise Unavailable(f"Kafka at {self._address.bootstrap_servers} did not store: {error!r}") from error

    async def stored(self, topic: str, event_ids: Collection[str], *, since: dt.datetime) -> set[str]:
        return await asyncio.to_thread(self._stored, topic, {name.encode() for name in event_ids}, since)

    def _stored(self, topic: str, event_ids: set[bytes], since: dt.datetime) -> set[str]:
        records = read_all(self._address, topic, since=since - CLOCK_SKEW)
        found = {value for record in records for name, value in record.headers if name == "ce_id"}
        return {name.decode() for name in event_ids & {value for value in found if value is not None}}

    def _connected(self) -> Any:
        with self._opening:
            if self._producer is None:
                self._producer = KafkaProducer(
                    **self._address.client(),
                    allow_auto_create_topics=False,
                    acks="all",
                    enable_idempotence=True,
                    max_request_size=BROKER_RECORD_BYTES,
                    delivery_timeout_ms=DELIVERY_SECONDS * 1000,
                    request_timeout_ms=DELIVERY_SECONDS * 500,
                    max_block_ms=METADATA_SECONDS * 1000,
                )
            return self._producer

    def close(self) -> None:
        with self._opening:
            producer, self._producer = self._producer, None
        if producer is not None:
            producer.close(timeout=CLOSE_SECONDS)


def open_consumer(address: KafkaAddress, *, topic: str, group: str) -> Any:
    """A subscribed consumer that commits nothing by itself; raises ``Unavailable``."""
    try:
        consumer = KafkaConsumer(
            **address.client(),
            allow_auto_create_topics=False,
            group_id=group,
            group_instance_id=f"{group}-{address.instance}" if address.instance else None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            fetch_max_bytes=2 * 1024 * 1024,
            max_partition_fetch_bytes=256 * 1024,
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


def list_topics(address: KafkaAddress) -> list[str]:
    """Names of all topics; raises ``Unavailable``."""
    try:
        admin = KafkaAdminClient(**address.client())
        try:
            return sorted(admin.list_topics())
        finally:
            admin.close()
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address.bootstrap_servers} does not answer: {error!r}") from error


def read_all(address: KafkaAddress, topic: str, *, since: dt.datetime | None = None) -> Iterator[Record]:
    """Every record of a topic up to its present end, partition by partition; nothing if there is no such topic.

    ``since`` leaves out what is older.

    Belongs to no group and commits nothing. Raises ``Unavailable``.
    """
    try:
        consumer = KafkaConsumer(
            **address.client(),
            allow_auto_create_topics=False,
            group_id=None,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address.bootstrap_servers} does not answer: {error!r}") from error
    try:
        partitions = [TopicPartition(topic, number) for number in consumer.partitions_for_topic(topic) or ()]
        ends = consumer.end_offsets(partitions) if partitions else {}
        begin = _offsets_at(consumer, partitions, since) if since else {}
        for partition, end in sorted(ends.items()):
            yield from _read_partition(consumer, partition, begin.get(partition, end if since else None), end)
    except KafkaError as error:
        raise Unavailable(f"Kafka stopped answering while {topic!r} was read: {error!r}") from error
    finally:
        consumer.close()


def _offsets_at(consumer: Any, partitions: Sequence[TopicPartition], since: dt.datetime) -> dict[TopicPartition, int]:
    """The first offset of each partition that is not older; none where all are."""
    at = int(since.timestamp() * 1000)
    found = consumer.offsets_for_times(dict.fromkeys(partitions, at))
    return {partition: offset.offset for partition, offset in found.items() if offset is not None}


def _read_partition(consumer: Any, partition: TopicPartition, begin: int | None, end: int) -> Iterator[Record]:
    consumer.assign([partition])
    if begin is None:
        consumer.seek_to_beginning(partition)
    else:
        consumer.seek(partition, begin)
    while consumer.position(partition) < end:
        for message in consumer.poll(timeout_ms=1000).get(partition, ()):
            if message.offset < end:
                yield as_record(message)


def as_record(message: Any) -> Record:
    """What kafka-python read, as our own record."""
    headers = tuple((name, value) for name, value in message.headers or ())
    return Record(topic=message.topic, key=message.key, value=message.value, headers=headers)


def ensure_topics(
    address: KafkaAddress,
    *,
    partitions: int,
    replication: int = 1,
    topics: Iterable[str] = names.TOPICS,
    foreign: Iterable[str] = (),
) -> list[str]:
    """Create each topic and its dead-letter topic where missing; returns the new ones. Safe to repeat.

    Of ``foreign`` topics, which belong to other systems, only the dead-letter topic is made.
    """
    size = {"max.message.bytes": str(BROKER_RECORD_BYTES + MAX_VALUE_BYTES)}
    kept = {"retention.ms": str(DEAD_LETTER_DAYS * 24 * 3600 * 1000)}
    wanted = [name for topic in topics for name in (topic, names.dead_letter_topic(topic))]
    wanted += [names.dead_letter_topic(topic) for topic in foreign]
    try:
        admin = KafkaAdminClient(**address.client())
    except KafkaError as error:
        raise Unavailable(f"Kafka at {address.bootstrap_servers} does not answer: {error!r}") from error
    try:
        missing = [name for name in wanted if name not in set(admin.list_topics())]
        if missing:
            spec: Mapping[str, Any] = {
                name: {
                    "num_partitions": partitions,
                    "replication_factor": replication,
                    "configs": size | (kept if name.endswith(names.DEAD_SUFFIX) else {}),
                }
                for name in missing
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
