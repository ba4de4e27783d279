"""The agent against incidents that are known to have happened, from the raw files to the finding."""

import uuid
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from agent_workflows.adapters.stores import CachedSnapshots
from airflow_bridge import publishing
from airflow_bridge.publishing import NoData
from bridge.adapters.database import Database, ledger
from bridge.adapters.files import read_tenants
from bridge.contracts.agents import SnapshotRef
from bridge.stack.raw_data import load_days
from tests.agents import agent_runtime
from tests.conftest import REPOSITORY
from tests.platform import Platform
from tests.samples import start

pytestmark = pytest.mark.integration

OUTAGE, STORM = "2013-04-16", "2013-02-08"
LARGE = ("9E", "AA", "B6", "DL", "EV", "MQ", "UA", "US", "WN")
"""Carriers with more than thirty departures on both days."""


@pytest.fixture(scope="module")
def published(
    stack: Any, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[tuple[Platform, dict[tuple[str, str], Any]]]:
    database = Database(f"sqlite:///{tmp_path_factory.mktemp('real') / 'platform.db'}")
    database.migrate()
    tenants = [t.id for t in read_tenants(REPOSITORY / "infra" / "tenants.yaml")]
    database.run(ledger.apply_tenants, read_tenants(REPOSITORY / "infra" / "tenants.yaml"))
    platform: Any = Platform(database, stack.objects, stack.lakehouse(database))
    load_days(platform.objects, [OUTAGE, STORM], tenants, {})
    events = {}
    for day in (OUTAGE, STORM):
        publishing.publish_references(platform, day=day, run="r")
        for tenant in tenants:
            try:
                audited = publishing.audit_departures(platform, tenant=tenant, day=day, run="r")
            except NoData:
                continue
            events[tenant, day] = publishing.publish_departures(platform, audited)
    yield platform, events
    database.close()


async def test_the_outage_and_the_storm_are_told_apart(
    stack: Any, tmp_path: Path, published: tuple[Platform, dict[tuple[str, str], Any]]
) -> None:
    platform, events = published
    found = {}
    async with agent_runtime(stack.temporal, tmp_path, snapshots=CachedSnapshots(platform.lakehouse)) as runtime:
        runs = {
            (tenant, day): start(
                uuid.uuid4().hex, tenant, input={"day": day},
                snapshots=tuple(SnapshotRef.model_validate(ref) for ref in event["snapshots"]),
            )
            for (tenant, day), event in events.items()
        }  # fmt: skip
        for run in runs.values():
            await runtime.agents.start(run, runtime.spec)
        for pair, run in runs.items():
            found[pair] = (await runtime.agents.wait(run.workflow_id)).output["cause"]

    on_outage = {tenant: cause for (tenant, day), cause in found.items() if day == OUTAGE}
    on_storm = {tenant: cause for (tenant, day), cause in found.items() if day == STORM}
    assert {tenant for tenant, cause in on_outage.items() if cause == "carrier-specific"} == {"AA", "MQ"}
    assert {cause for tenant, cause in on_outage.items() if tenant not in {"AA", "MQ"}} == {"none"}
    assert {on_storm[tenant] for tenant in LARGE} == {"weather"}
