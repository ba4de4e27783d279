"""From a fact on Kafka to DAG runs, on a real Airflow: one run per fact, paused, flooded, or with Airflow down."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database
from bridge.adapters.sql_ledger import SqlLedger
from bridge.contracts.catalog import AGENTS
from bridge.contracts.envelope import Envelope, encode, wrap
from bridge.contracts.failures import Unavailable
from bridge.contracts.ids import completion_event_id, dag_run_id
from bridge.contracts.routes import RoutingTable
from bridge.domain.routing import Routing
from bridge.handlers import AnnounceFacts
from tests.consuming import consuming, new_topic, send, until
from tests.samples import NOW, completed

pytestmark = pytest.mark.integration

DAG = "agents_canary_returned"
ASSET = "agents.completed"


class Downstream:
    """Announces to the stack's Airflow with a ledger of the test's own."""

    def __init__(self, stack: Any, database: Database, *, batch: int = 1) -> None:
        plan = stack.plan
        self.airflow = AirflowApi(
            base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"]
        )
        route = {"type": "tandem.agent.completed.v1", "dag": DAG, "batch": {"size": batch, "seconds": 2}}
        routing = Routing.of(RoutingTable.model_validate({"runs": [route]}), AGENTS)
        self.ledger = SqlLedger(database)
        self.announce = AnnounceFacts(self.airflow, self.ledger, routing)
        self.key = uuid.uuid4().hex[:8]

    def completions(self, count: int) -> list[Envelope]:
        runs = [completed(f"AA/canary/{self.key}-{number}") for number in range(count)]
        return [wrap(run, event_id=completion_event_id(run.workflow_id), tenant="AA", time=NOW) for run in runs]

    async def pause(self, *, paused: bool) -> None:
        async with asyncio.timeout(60):
            while True:
                answer = await self.airflow.request("PATCH", f"/api/v2/dags/{DAG}", json={"is_paused": paused})
                if answer.is_success:
                    return
                await asyncio.sleep(0.5)

    async def states(self, events: list[Envelope]) -> list[str]:
        states = []
        for event in events:
            answer = await self.airflow.request("GET", f"/api/v2/dags/{DAG}/dagRuns/{dag_run_id(event.id)}")
            states.append(answer.json()["state"] if answer.is_success else "missing")
        return states

    async def until_states(self, events: list[Envelope], wanted: set[str]) -> None:
        """Also while Airflow is down."""
        async with asyncio.timeout(120):
            while True:
                try:
                    if set(await self.states(events)) == wanted:
                        return
                except Unavailable:
                    pass
                await asyncio.sleep(0.5)

    async def asset_events(self, event: Envelope) -> int:
        params = {"name_pattern": ASSET, "limit": 100, "order_by": "-timestamp"}
        answer = await self.airflow.call("GET", "/api/v2/assets/events", params=params)
        return sum(found["extra"].get("event_id") == event.id for found in answer["asset_events"])


@pytest.fixture
def database(tmp_path: Path) -> Database:
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    database.migrate()
    return database


@pytest.fixture
async def downstream(stack: Any, database: Database) -> AsyncIterator[Downstream]:
    downstream = Downstream(stack, database)
    yield downstream
    await downstream.airflow.close()


async def test_a_paused_dag_loses_nothing_and_runs_each_fact_once_when_it_is_switched_on(
    downstream: Downstream,
) -> None:
    events = downstream.completions(20)  # more than the DAG's max_active_runs
    await downstream.pause(paused=True)

    for _ in range(2):  # each is delivered twice
        await asyncio.gather(*(downstream.announce(event) for event in events))
    waiting = await downstream.states(events)
    await downstream.pause(paused=False)
    await downstream.until_states(events, {"success"})

    assert set(waiting) == {"queued"}
    assert await downstream.asset_events(events[0]) == 1


async def test_what_was_posted_before_a_crash_is_found_in_airflow_and_not_posted_again(
    downstream: Downstream,
) -> None:
    """The bridge dies after Airflow has stored both, before it has noted either."""
    (event,) = downstream.completions(1)

    class Dies(SqlLedger):
        async def finish_delivery(self, event_id: str, destination: str) -> None:
            raise Unavailable("died")

    dying = AnnounceFacts(downstream.airflow, Dies(downstream.ledger._database), downstream.announce.routing)
    for _ in range(3):
        with pytest.raises(Unavailable):
            await dying(event)
    await downstream.announce(event)

    assert await downstream.asset_events(event) == 1
    assert (await downstream.states([event])) != ["missing"]


async def test_a_batch_is_one_run_that_holds_its_facts(stack: Any, database: Database) -> None:
    downstream = Downstream(stack, database, batch=10)
    events = downstream.completions(10)

    await asyncio.gather(*(downstream.announce(event) for event in events))
    for event in events:
        assert await downstream.announce(event) == "duplicate"
    runs = await downstream.airflow.call(
        "GET", f"/api/v2/dags/{DAG}/dagRuns", params={"limit": 100, "run_id_pattern": "batch", "order_by": "-id"}
    )
    of_this = [run["conf"] for run in runs["dag_runs"] if downstream.key in str(run["conf"])]
    await downstream.airflow.close()

    assert [len(conf["events"]) for conf in of_this] == [10]
    assert of_this[0]["tenant"] == "AA"


async def test_while_airflow_is_down_nothing_is_lost_and_then_it_goes_on(stack: Any, downstream: Downstream) -> None:
    topic = new_topic(stack.kafka)
    events = downstream.completions(5)
    await downstream.pause(paused=False)
    stack.kill("airflow-api-server")
    await send(stack.kafka, *(encode(event, topic=topic, key=event.id) for event in events))

    async with consuming(stack.kafka, topic, downstream.announce) as consumer:
        await until(lambda: consumer.assigned)
        await downstream.until_states(events, {"success"})

    assert [await downstream.asset_events(event) for event in events] == [1] * 5
