"""Checks every server and version the settings name, and says what to do."""

import asyncio
import platform
import sys
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, version
from typing import Any

from bridge.adapters import temporal
from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database, ledger
from bridge.adapters.kafka import list_topics
from bridge.adapters.objects import Objects, S3Address
from bridge.bootstrap import build_routing, kafka_address, temporal_address
from bridge.contracts import names
from bridge.contracts.failures import TandemError
from bridge.settings import BridgeSettings
from bridge.stack.components import OLDEST_JAVA, java_version

PACKAGES = (
    "apache-airflow", "apache-airflow-providers-amazon", "temporalio", "kafka-python", "sqlalchemy",
    "great-expectations", "pyiceberg", "pydantic-ai-slim",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Finding:
    what: str
    ok: bool
    told: str


async def examine(settings: BridgeSettings) -> list[Finding]:
    checks: list[tuple[str, Callable[[], Coroutine[Any, Any, str]]]] = [
        ("platform database", lambda: _database(settings)),
        ("Temporal", lambda: _temporal(settings)),
        ("Kafka", lambda: _kafka(settings)),
        ("routes", lambda: _routes(settings)),
        ("S3", lambda: _s3(settings)),
        ("Airflow", lambda: _airflow(settings)),
    ]
    findings = [_python(), _java(), *(_package(name) for name in PACKAGES)]
    for what, check in checks:
        try:
            findings.append(Finding(what, ok=True, told=await asyncio.wait_for(check(), 20)))
        except (TandemError, TimeoutError) as error:
            advice = "; start it (make up), or set its address (python -m bridge --help)"
            findings.append(Finding(what, ok=False, told=(str(error) or "no answer within 20 s") + advice))
    return findings


def _python() -> Finding:
    return Finding("Python", ok=sys.version_info >= (3, 11), told=platform.python_version())


def _java() -> Finding:
    major = java_version()
    if major >= OLDEST_JAVA:
        return Finding("Java", ok=True, told=str(major))
    told = "none, or too old: the embedded broker is used; for Apache Kafka install default-jre-headless and maven"
    return Finding("Java", ok=True, told=told)


def _package(name: str) -> Finding:
    try:
        return Finding(name, ok=True, told=version(name))
    except PackageNotFoundError:
        return Finding(name, ok=False, told="not installed here; make install installs everything")


async def _database(settings: BridgeSettings) -> str:
    database = Database(settings.database_url.get_secret_value())
    await asyncio.to_thread(database.migrate)
    tenants = await database.arun(ledger.list_tenants)
    kind = "SQLite (no boundary between tenants; PostgreSQL in production)" if database.is_sqlite else "PostgreSQL"
    return f"{kind}, {len(tenants)} tenants declared"


async def _temporal(settings: BridgeSettings) -> str:
    client = await temporal.connect(temporal_address(settings))
    agents = await temporal.TemporalAgents(client).recent(tenant=None, limit=1)
    told = "its search attributes are there" if agents is not None else ""
    return f"{settings.temporal_address}, namespace {settings.temporal_namespace!r}; {told}"


async def _kafka(settings: BridgeSettings) -> str:
    missing = set(names.TOPICS) - set(await asyncio.to_thread(list_topics, kafka_address(settings)))
    told = f"; the bridge will create {sorted(missing)}" if missing else ""
    return f"{settings.kafka_bootstrap_servers}{told}"


async def _routes(settings: BridgeSettings) -> str:
    routing = build_routing(settings)
    return f"{len(routing.starts)} event types start agents, {len(routing.runs)} facts start DAG runs"


async def _s3(settings: BridgeSettings) -> str:
    secret = settings.s3_secret_key.get_secret_value() if settings.s3_secret_key else None
    address = S3Address(settings.s3_endpoint, settings.s3_access_key, secret, settings.s3_region)
    await asyncio.to_thread(Objects(address.client()).ensure_buckets, names.BUCKETS)
    return f"{settings.s3_endpoint or 'AWS'}, buckets {', '.join(names.BUCKETS)}"


async def _airflow(settings: BridgeSettings) -> str:
    api = AirflowApi(
        base_url=settings.airflow_url,
        username=settings.airflow_username,
        password=settings.airflow_password.get_secret_value(),
    )
    try:
        health = await api.call("GET", "/api/v2/monitor/health")
    finally:
        await api.close()
    ill = [name for name, part in health.items() if part.get("status") != "healthy"]
    return f"{settings.airflow_url}" + (f"; not healthy: {', '.join(ill)}" if ill else "")
