"""Builds the real worker and runs it; the one file that knows everybody."""

import asyncio
import signal
from concurrent.futures import ThreadPoolExecutor

import structlog
from pydantic_ai.models import Model
from temporalio.client import Client

from agent_workflows.adapters.model import ModelThinker, build_model
from agent_workflows.adapters.offline_model import OFFLINE_MODEL, offline_model
from agent_workflows.adapters.stores import CachedSnapshots, SqlEffects, SqlRunLedger, SqlTranscripts
from agent_workflows.agents import DEFINITIONS
from agent_workflows.settings import WorkerSettings
from agent_workflows.worker import Limits, Ports, build_worker
from bridge.adapters.database import Database
from bridge.adapters.iceberg import Lakehouse
from bridge.adapters.objects import S3Address
from bridge.adapters.probe import serve_probe
from bridge.adapters.temporal import TemporalAddress, connect
from bridge.contracts import names
from bridge.contracts.failures import Unavailable

log = structlog.get_logger()


def build_ports(settings: WorkerSettings) -> tuple[Ports, Database]:
    database = Database(settings.database_url.get_secret_value())
    secret = settings.s3_secret_key
    s3 = S3Address(
        endpoint=settings.s3_endpoint,
        access_key=settings.s3_access_key,
        secret_key=secret.get_secret_value() if secret else None,
        region=settings.s3_region,
    )
    lakehouse = Lakehouse(
        catalog_url=database.url, warehouse=f"s3://{names.LAKE_BUCKET}", properties=s3.iceberg_properties()
    )
    if settings.model_provider == "offline-analyst":
        model: Model = offline_model(settings.analyst_pace_seconds)
    else:
        model = build_model(
            settings.model_provider,
            name=settings.model_name,
            base_url=settings.model_base_url,
            api_key=settings.model_api_key,
        )
    ports = Ports(
        thinker=ModelThinker(model, counts_tokens=settings.model_provider != "offline-analyst"),
        transcripts=SqlTranscripts(database),
        snapshots=CachedSnapshots(lakehouse),
        ledger=SqlRunLedger(database),
        effects=SqlEffects(database),
        agents=DEFINITIONS,
    )
    return ports, database


async def run_worker(settings: WorkerSettings) -> None:
    """Serve until SIGTERM or SIGINT; running activities get a few seconds to finish."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    polling = False
    probe = serve_probe(settings.probe_host, settings.worker_probe_port, lambda: {"polling": polling})
    model = OFFLINE_MODEL if settings.model_provider == "offline-analyst" else settings.model_name
    try:
        client = await _connected(settings, stopping)
        if client is None:
            return
        ports, database = build_ports(settings)
        with ThreadPoolExecutor(settings.max_activities, thread_name_prefix="tool") as executor:
            limits = Limits(settings.max_activities, settings.max_cached_workflows)
            worker = build_worker(client, ports, task_queue=settings.task_queue, executor=executor, limits=limits)
            async with worker:
                polling = True
                log.info("worker.started", queue=settings.task_queue, model=model)
                await stopping.wait()
                polling = False
        database.close()
        log.info("worker.stopped")
    finally:
        probe.shutdown()


async def _connected(settings: WorkerSettings, stopping: asyncio.Event) -> Client | None:
    key = settings.temporal_api_key
    address = TemporalAddress(
        target=settings.temporal_address,
        namespace=settings.temporal_namespace,
        tls=settings.temporal_tls,
        api_key=key.get_secret_value() if key else None,
    )
    while not stopping.is_set():
        try:
            return await connect(address)
        except Unavailable as error:
            log.warning("temporal.waits", reason=str(error))
            try:
                await asyncio.wait_for(stopping.wait(), 1)
            except TimeoutError:
                continue
    return None
