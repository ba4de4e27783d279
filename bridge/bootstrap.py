"""Builds the real bridge and runs it; the one file that knows everybody."""

import asyncio
import signal

import structlog

from bridge.adapters import temporal
from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database
from bridge.adapters.kafka import KafkaAddress, KafkaEventLog, ensure_topics
from bridge.adapters.probe import serve_probe
from bridge.adapters.sql_ledger import SqlLedger
from bridge.consumer import Consumer, Subscription
from bridge.contracts import names
from bridge.contracts.agents import AGENTS
from bridge.contracts.failures import TandemError, Unavailable
from bridge.handlers import AnnounceCompletions, StartAgents
from bridge.reconciler import reconcile
from bridge.relay import relay
from bridge.settings import BridgeSettings, PlatformSettings

log = structlog.get_logger()

CONNECT_RETRY_SECONDS = 1.0


def temporal_address(settings: PlatformSettings) -> temporal.TemporalAddress:
    key = settings.temporal_api_key
    return temporal.TemporalAddress(
        target=settings.temporal_address,
        namespace=settings.temporal_namespace,
        tls=settings.temporal_tls,
        api_key=key.get_secret_value() if key else None,
    )


async def run_bridge(settings: BridgeSettings) -> None:
    """Run until SIGTERM or SIGINT. Waits for engines that are not up yet; stops within seconds."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    consumers: list[Consumer] = []
    probe = serve_probe(
        settings.probe_host,
        settings.bridge_probe_port,
        lambda: {"consuming": bool(consumers) and all(c.assigned for c in consumers)},
    )
    try:
        await _run_until_stopped(settings, stopping, consumers)
    finally:
        probe.shutdown()


async def _run_until_stopped(settings: BridgeSettings, stopping: asyncio.Event, consumers: list[Consumer]) -> None:
    database = Database(settings.database_url.get_secret_value())
    if database.is_sqlite:
        log.warning("database.sqlite", reason="SQLite is not a boundary between tenants; use PostgreSQL in production")
    address = KafkaAddress(settings.kafka_bootstrap_servers, settings.kafka_instance)
    agents = await _connected_agents(settings, stopping)
    if agents is None or not await _topics_exist(address, settings, stopping):
        return
    ledger, events = SqlLedger(database), KafkaEventLog(address)
    airflow = AirflowApi(
        base_url=settings.airflow_url,
        username=settings.airflow_username,
        password=settings.airflow_password.get_secret_value(),
    )
    subscriptions = (
        Subscription(
            names.REQUESTS_TOPIC,
            f"{settings.kafka_group_prefix}-in",
            StartAgents(agents, ledger, AGENTS),
            settings.max_in_flight,
        ),
        Subscription(
            names.LIFECYCLE_TOPIC,
            f"{settings.kafka_group_prefix}-out",
            AnnounceCompletions(airflow, ledger),
            settings.max_in_flight,
        ),
    )
    consumers.extend(Consumer(address, subscription, events) for subscription in subscriptions)
    log.info("bridge.started", kafka=settings.kafka_bootstrap_servers, temporal=settings.temporal_address)
    work = [asyncio.create_task(consumer.run()) for consumer in consumers]
    work.append(asyncio.create_task(relay(ledger, events, stopping)))
    work.append(asyncio.create_task(reconcile(agents, ledger, stopping)))
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


async def _connected_agents(settings: BridgeSettings, stopping: asyncio.Event) -> temporal.TemporalAgents | None:
    while not stopping.is_set():
        try:
            return temporal.TemporalAgents(await temporal.connect(temporal_address(settings)))
        except Unavailable as error:
            await _wait_for_engine("temporal.waits", error, stopping)
    return None


async def _topics_exist(address: KafkaAddress, settings: BridgeSettings, stopping: asyncio.Event) -> bool:
    while not stopping.is_set():
        try:
            await asyncio.to_thread(ensure_topics, address, partitions=settings.kafka_partitions)
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
