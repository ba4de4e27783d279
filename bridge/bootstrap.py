"""Builds the real bridge and runs it; the one file that knows everybody."""

import asyncio
import os
import secrets
import signal
import socket
from collections.abc import Mapping
from typing import Final

import structlog

from bridge.adapters import temporal
from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database
from bridge.adapters.files import read_routes, read_signing_keys
from bridge.adapters.kafka import KafkaAddress, KafkaEventLog, KafkaSecurity, ensure_topics
from bridge.adapters.probe import serve_probe
from bridge.adapters.sql_ledger import SqlLedger
from bridge.consumer import Consumer
from bridge.contracts import names
from bridge.contracts.catalog import AGENTS
from bridge.contracts.failures import TandemError, Unavailable
from bridge.contracts.routes import RoutingTable
from bridge.dispatch import Subscription
from bridge.domain.routing import Routing
from bridge.handlers import AnnounceFacts, StartAgents
from bridge.inbox import Inbox, Keys
from bridge.reconciler import reconcile
from bridge.relay import Relay
from bridge.settings import BridgeSettings, PlatformSettings

log = structlog.get_logger()

CONNECT_RETRY_SECONDS: Final = 1.0
FACT_TOPICS: Final = (names.LIFECYCLE_TOPIC, names.QUALITY_TOPIC, names.PUBLISHED_TOPIC)
"""Topics whose facts go to Airflow."""


def temporal_address(settings: PlatformSettings) -> temporal.TemporalAddress:
    key = settings.temporal_api_key
    return temporal.TemporalAddress(
        target=settings.temporal_address,
        namespace=settings.temporal_namespace,
        tls=settings.temporal_tls,
        api_key=key.get_secret_value() if key else None,
    )


def kafka_address(settings: BridgeSettings) -> KafkaAddress:
    password = settings.kafka_sasl_password
    security = KafkaSecurity(
        protocol=settings.kafka_security_protocol,
        mechanism=settings.kafka_sasl_mechanism,
        username=settings.kafka_sasl_username,
        password=password.get_secret_value() if password else None,
        ca_file=settings.kafka_ssl_ca_file,
        certificate_file=settings.kafka_ssl_certificate_file,
        key_file=settings.kafka_ssl_key_file,
    )
    return KafkaAddress(
        settings.kafka_bootstrap_servers, settings.kafka_instance, security=security, proxy=settings.kafka_proxy
    )


def airflow_api(settings: BridgeSettings) -> AirflowApi:
    return AirflowApi(
        base_url=settings.airflow_url,
        username=settings.airflow_username,
        password=settings.airflow_password.get_secret_value(),
    )


def build_routing(settings: BridgeSettings) -> Routing:
    """The routing table in the settings' file, checked; without a file only the platform's own requests are routed."""
    table = read_routes(settings.routes_file) if settings.routes_file else RoutingTable()
    return Routing.of(table, AGENTS)


def signing_keys(settings: BridgeSettings) -> Keys:
    """The keys in the settings' file, read again when the file changes."""
    path = settings.signing_keys_file
    if path is None:
        return dict
    read: tuple[int, Mapping[str, tuple[str, ...]]] = (0, {})

    def keys() -> Mapping[str, tuple[str, ...]]:
        nonlocal read
        changed = path.stat().st_mtime_ns if path.is_file() else -1
        if changed != read[0]:
            read = (changed, read_signing_keys(path))
        return read[1]

    keys()
    return keys


async def run_bridge(settings: BridgeSettings) -> None:
    """Run until SIGTERM or SIGINT. Waits for engines that are not up yet; stops within seconds."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    consumers: list[Consumer] = []
    probe = serve_probe(
        settings.probe_host,
        settings.bridge_probe_port,
        lambda: {"consuming": bool(consumers) and all(c.assigned for c in consumers if c.topic in names.TOPICS)},
    )
    try:
        await _run_until_stopped(settings, stopping, consumers)
    finally:
        probe.shutdown()


async def _run_until_stopped(settings: BridgeSettings, stopping: asyncio.Event, consumers: list[Consumer]) -> None:
    routing = build_routing(settings)
    inbox = Inbox(routing, signing_keys(settings), all_sign=settings.signed_requests == "required")
    database = Database(settings.database_url.get_secret_value())
    if database.is_sqlite:
        log.warning("database.sqlite", reason="SQLite is not a boundary between tenants; use PostgreSQL in production")
    address = kafka_address(settings)
    agents = await _connected_agents(settings, stopping)
    if agents is None or not await _topics_exist(address, settings, routing, stopping):
        return
    ledger, events, airflow = SqlLedger(database), KafkaEventLog(address), airflow_api(settings)
    subscriptions = [
        Subscription(
            topic,
            _group(settings, "in", topic),
            StartAgents(topic, agents, ledger, routing, AGENTS),
            settings.max_in_flight,
            inbox,
        )
        for topic in routing.topics
    ]
    announce = AnnounceFacts(airflow, ledger, routing)
    subscriptions += [
        Subscription(topic, _group(settings, "out", topic), announce, settings.max_in_flight) for topic in FACT_TOPICS
    ]
    consumers.extend(
        Consumer(address, subscription, events, stall_seconds=settings.stall_seconds) for subscription in subscriptions
    )
    log.info("bridge.started", kafka=settings.kafka_bootstrap_servers, temporal=settings.temporal_address)
    holder = f"{socket.gethostname()}-{os.getpid()}-{secrets.token_hex(4)}"
    work = [asyncio.create_task(consumer.run()) for consumer in consumers]
    work.append(asyncio.create_task(Relay(ledger, events, holder=holder).run(stopping)))
    work.append(asyncio.create_task(reconcile(agents, ledger, airflow, stopping, holder=holder)))
    stopped = asyncio.create_task(stopping.wait())
    done, _ = await asyncio.wait([*work, stopped], return_when=asyncio.FIRST_COMPLETED)
    stopping.set()
    for consumer in consumers:
        consumer.stop()
    await asyncio.gather(*work, return_exceptions=True)
    await airflow.close()
    events.close()
    database.close()
    log.info("bridge.stopped")
    for task in done - {stopped}:
        task.result()  # a part that ended by itself ended by an error: let it be seen and restart the process


def _group(settings: BridgeSettings, direction: str, topic: str) -> str:
    """A consumer group per topic, so that one topic's rebalance does not halt another."""
    main = topic in {names.REQUESTS_TOPIC, names.LIFECYCLE_TOPIC}
    return f"{settings.kafka_group_prefix}-{direction}" + ("" if main else f"-{topic}")


async def _connected_agents(settings: BridgeSettings, stopping: asyncio.Event) -> temporal.TemporalAgents | None:
    while not stopping.is_set():
        try:
            return temporal.TemporalAgents(await temporal.connect(temporal_address(settings)))
        except Unavailable as error:
            await _wait_for_engine("temporal.waits", error, stopping)
    return None


async def _topics_exist(
    address: KafkaAddress, settings: BridgeSettings, routing: Routing, stopping: asyncio.Event
) -> bool:
    while not stopping.is_set():
        try:
            await asyncio.to_thread(
                ensure_topics,
                address,
                partitions=settings.kafka_partitions,
                replication=settings.kafka_replication,
                foreign=routing.topics[1:],
            )
        except Unavailable as error:
            await _wait_for_engine("kafka.waits", error, stopping)
        else:
            return True
    return False


async def _wait_for_engine(event: str, error: TandemError, stopping: asyncio.Event) -> None:
    log.warning(event, reason=str(error))
    try:
        await asyncio.wait_for(stopping.wait(), CONNECT_RETRY_SECONDS)
    except TimeoutError:
        return
