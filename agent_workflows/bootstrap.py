"""Builds the real worker and runs it; the one file that knows everybody."""

import asyncio
import datetime as dt
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack
from pathlib import Path

import structlog
from temporalio.client import Client

from agent_workflows.adapters.corpus import FolderCorpus
from agent_workflows.adapters.http import HttpClient
from agent_workflows.adapters.model import ModelThinker
from agent_workflows.adapters.offline_model import OFFLINE_MODEL, offline_model
from agent_workflows.adapters.postgres_memory import PostgresMemory
from agent_workflows.adapters.providers import Embeddings, Endpoint, Models, build_model
from agent_workflows.adapters.sqlite_memory import SqliteMemory
from agent_workflows.adapters.stores import CachedSnapshots, S3Files, SqlEffects, SqlRunLedger, SqlTranscripts
from agent_workflows.adapters.toolboxes import TOOLBOXES
from agent_workflows.agents import DEFINITIONS
from agent_workflows.agents.models import ModelSpec
from agent_workflows.ports import Memory
from agent_workflows.settings import WorkerSettings
from agent_workflows.versions import Release
from agent_workflows.worker import Limits, Ports, build_workers
from bridge.adapters.database import Database
from bridge.adapters.iceberg import Lakehouse
from bridge.adapters.objects import Objects, S3Address
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
    ports = Ports(
        thinker=ModelThinker(build_models(settings)),
        transcripts=SqlTranscripts(database),
        snapshots=CachedSnapshots(lakehouse),
        ledger=SqlRunLedger(database),
        effects=SqlEffects(database),
        memory=build_memory(settings),
        corpus=FolderCorpus(settings.corpus),
        files=S3Files(Objects(s3.client())),
        http=HttpClient(),
        shop_url=settings.shop_url,
        agents=DEFINITIONS,
        toolboxes=TOOLBOXES,
    )
    return ports, database


def build_memory(settings: WorkerSettings) -> Memory:
    url = settings.memory_url.get_secret_value()
    if url.startswith("sqlite:///"):
        return SqliteMemory(Path(url.removeprefix("sqlite:///")))
    policy = settings.model_policy()
    if policy.embedding is None:
        log.warning("memory.words_only", reason="the models file names no embedding model")
        return PostgresMemory(url)
    spec = policy.models[policy.embedding]
    return PostgresMemory(url, Embeddings(spec, settings.api_key(spec)))


def build_models(settings: WorkerSettings) -> Models:
    """The endpoints that the model policy asks; one that nothing asks is not built, so its key may be missing."""
    policy = settings.model_policy()
    asked = {name for ask in policy.purposes.values() for name in ask.models}
    return Models(policy, {name: _endpoint(settings, policy.models[name]) for name in sorted(asked)})


def _endpoint(settings: WorkerSettings, spec: ModelSpec) -> Endpoint:
    if spec.provider == "offline-analyst":
        return Endpoint(offline_model(settings.analyst_pace_seconds), counts_tokens=False)
    model = build_model(spec, settings.api_key(spec))
    return Endpoint(model, price=spec.price, seconds=spec.seconds, temperature=spec.temperature)


async def run_worker(settings: WorkerSettings) -> None:
    """Serve until SIGTERM or SIGINT; running activities get a few seconds to finish."""
    stopping = asyncio.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(number, stopping.set)
    polling = False
    probe = serve_probe(settings.probe_host, settings.worker_probe_port, lambda: {"polling": polling})
    try:
        client = await _connected(settings, stopping)
        if client is None:
            return
        ports, database = build_ports(settings)
        log.info("worker.models", **_models_by_purpose(settings))
        with ThreadPoolExecutor(settings.max_activities, thread_name_prefix="tool") as executor:
            drain = dt.timedelta(seconds=settings.drain_seconds)
            limits = Limits(settings.max_activities, settings.max_cached_workflows, drain)
            release = Release(settings.deployment, settings.build_id)
            async with AsyncExitStack() as serving:
                for queue, worker in build_workers(
                    client,
                    ports,
                    task_queue=settings.task_queue,
                    serve=settings.serve,
                    executor=executor,
                    limits=limits,
                    release=release,
                ):
                    await serving.enter_async_context(worker)
                    log.info("worker.started", queue=queue)
                polling = True
                await stopping.wait()
                polling = False
        database.close()
        log.info("worker.stopped")
    finally:
        probe.shutdown()


def _models_by_purpose(settings: WorkerSettings) -> dict[str, str]:
    policy = settings.model_policy()
    return {
        purpose.value: (" | " if ask.race else ", ").join(policy.models[n].model or OFFLINE_MODEL for n in ask.models)
        for purpose, ask in policy.purposes.items()
    }


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
