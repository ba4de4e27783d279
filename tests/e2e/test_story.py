"""The story through everything, with a worker killed in the middle of its agents."""

import asyncio
from collections import Counter

import httpx
import pytest
from kafka import KafkaConsumer
from sqlalchemy import text
from temporalio.api.enums.v1 import EventType

from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database, ledger, runs
from bridge.adapters.iceberg import Lakehouse
from bridge.adapters.kafka import KafkaEventLog
from bridge.adapters.temporal import TemporalAgents, connect
from bridge.cli import _build_start
from bridge.contracts import names
from bridge.contracts.catalog import find_agent
from bridge.contracts.envelope import encode, wrap
from bridge.contracts.events import Outcome
from bridge.contracts.ids import completion_event_id
from bridge.stack.demo import Demo, Row, Story
from bridge.stack.supervisor import Supervisor
from tests.examples import examples
from tests.servers import Stack

pytestmark = pytest.mark.e2e

STORY = Story(
    days=("2013-04-16", "2013-02-08", "2013-04-17"),
    tenants=("AA", "DL", "MQ", "OO", "UA"),
    damaged={"2013-04-17": "DL"},
)


class Told:
    """The story, told once for all tests of this module."""

    def __init__(self, stack: Stack, rows: list[Row], killed: int) -> None:
        self.stack, self.rows, self.killed = stack, rows, killed
        self.database = Database(stack.plan.database_url)

    def runs(self) -> list[str]:
        return [row.link.rsplit("/", 1)[-1].replace("%2F", "/") for row in self.rows if row.agent]


@pytest.fixture(scope="module")
def told(stack: Stack) -> Told:
    async def tell() -> Told:
        killing = asyncio.create_task(_kill_the_worker_in_the_middle(stack))
        rows = await Demo(stack.plan, print).tell(STORY)
        return Told(stack, rows, await killing)

    return asyncio.run(tell())


async def _kill_the_worker_in_the_middle(stack: Stack) -> int:
    """As soon as an agent of the story has finished a step and none has completed."""
    database = Database(stack.plan.database_url)
    while not await asyncio.to_thread(_count, database, "select count(*) from steps"):
        await asyncio.sleep(0.05)
    return stack.kill("worker")


def _count(database: Database, query: str) -> int:
    with database.engine.connect() as connection:
        return int(connection.execute(text(query)).scalar_one())


async def test_every_tenant_and_day_has_its_finding(told: Told) -> None:
    causes = {(row.tenant, row.day): row.cause for row in told.rows}

    assert {causes[tenant, "2013-04-16"] for tenant in ("AA", "MQ")} == {"carrier-specific"}
    assert {causes[tenant, "2013-04-16"] for tenant in ("DL", "UA")} == {"none"}
    assert {causes[tenant, "2013-02-08"] for tenant in ("AA", "DL", "MQ", "UA")} == {"weather"}
    assert not [pair for pair in causes if pair[0] == "OO"]  # SkyWest did not fly on these days


async def test_the_damaged_day_of_one_tenant_stays_unpublished_and_has_no_agent(told: Told) -> None:
    (damaged,) = [row for row in told.rows if (row.tenant, row.day) == ("DL", "2013-04-17")]
    others = [row for row in told.rows if row.day == "2013-04-17" and row.tenant != "DL"]

    assert (damaged.verdict, damaged.agent, damaged.cause) == ("failed", None, None)
    assert {row.verdict for row in others} == {"passed"}
    assert {row.tenant for row in others if row.agent} == {"AA", "MQ", "UA"}


async def test_agents_were_started_by_the_operator_and_by_kafka_each_once(told: Told) -> None:
    started = Counter(row.started_by for row in told.rows if row.agent)
    runs = told.runs()

    assert started["operator"] == 11  # four tenants on two days, three on the day that is damaged for one
    assert started["kafka"] >= 3
    assert len(runs) == len(set(runs))


async def test_the_request_for_the_damaged_day_was_parked_with_its_reason(told: Told) -> None:
    def letters() -> list[str]:
        consumer = KafkaConsumer(
            names.REQUESTS_TOPIC + ".dead", bootstrap_servers=told.stack.kafka.bootstrap_servers, group_id=None,
            auto_offset_reset="earliest", consumer_timeout_ms=4000, allow_auto_create_topics=False,
        )  # fmt: skip
        codes = [dict(message.headers)["tandem_dead_code"].decode() for message in consumer]
        consumer.close()
        return codes

    assert await asyncio.to_thread(letters) == ["not_published"] * 3  # it was sent three times


async def test_the_killed_worker_repeated_no_finished_call(told: Told) -> None:
    agents = TemporalAgents(await connect(told.stack.temporal))
    finished: Counter[str] = Counter()
    for run in told.runs():
        _, run_id = await agents.status(run)
        for step, _, finishes, _ in told.database.run(runs.list_steps, f"{run}:{run_id}"):
            finished[f"{run} {step}"] = finishes
        scheduled, completed = Counter[int](), Counter[int]()
        async for event in agents.client.get_workflow_handle(run).fetch_history_events():
            if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED:
                scheduled[event.event_id] += 1
            elif event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_COMPLETED:
                completed[event.activity_task_completed_event_attributes.scheduled_event_id] += 1
        assert completed == scheduled
        assert len(scheduled) == 3 + 7 + 1  # model calls, tool calls, the completion

    assert told.killed
    assert Supervisor(told.stack.plan).pid("worker") not in {0, told.killed}
    assert len(finished) == 10 * len(told.runs())
    assert set(finished.values()) == {1}


async def test_every_run_completed_once_and_stands_in_its_digest_once(told: Told) -> None:
    lakehouse = Lakehouse(
        catalog_url=told.stack.plan.database_url,
        warehouse=f"s3://{names.LAKE_BUCKET}",
        properties=told.stack.s3.iceberg_properties(),
    )
    digested: list[str] = []
    for tenant in ("AA", "DL", "MQ", "UA"):
        findings = await asyncio.to_thread(lakehouse.read_head, tenant, names.FINDINGS)
        assert findings is not None
        digested += findings["workflow_id"].to_pylist()

    of_the_story = [run for run in digested if run in set(told.runs())]
    assert sorted(of_the_story) == sorted(told.runs())


async def test_a_completion_that_is_delivered_again_starts_nothing_downstream(told: Told) -> None:
    plan = told.stack.plan
    airflow = AirflowApi(base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"])
    before = await _digest_runs(airflow)
    run = told.runs()[0]
    completed = told.database.run(ledger.find_completion, run)
    assert completed is not None
    again = wrap(completed, event_id=completion_event_id(run), tenant=run.split("/")[0], time=completed.closed_at)
    fresh = completed.model_copy(update={"workflow_id": f"{run}-later", "request_id": "later"})
    later = wrap(fresh, event_id=completion_event_id(fresh.workflow_id), tenant="AA", time=fresh.closed_at)

    log = KafkaEventLog(told.stack.kafka)
    await log.send([encode(event, topic=names.LIFECYCLE_TOPIC, key=run) for event in (again, again, later)])
    async with asyncio.timeout(60):  # the later event has the same key: once it is through, the repeats are too
        while await _digest_runs(airflow) == before:
            await asyncio.sleep(0.2)

    assert await _digest_runs(airflow) == before + 1
    await airflow.close()
    log.close()


async def _digest_runs(airflow: AirflowApi) -> int:
    answer = await airflow.call("GET", "/api/v2/dags/agents_daily_digest/dagRuns", params={"limit": 1})
    return int(answer["total_entries"])


async def test_each_example_of_the_documents_runs_to_its_end(told: Told) -> None:
    agents = TemporalAgents(await connect(told.stack.temporal))
    tenant = told.database.run(ledger.find_tenant, "AA")
    runs = []
    for example in [one for one in examples() if one.waits]:
        start = _build_start(told.database, example.agent, example.tenant, example.input, "an-example")
        await agents.start(start, find_agent(example.agent), tenant)
        runs.append(start.workflow_id)
    async with asyncio.timeout(120):
        ended = await asyncio.gather(*(agents.wait(run) for run in runs))

    assert [run.reason for run in ended if run.outcome is not Outcome.COMPLETED] == []
    assert {run.agent for run in ended} >= {"fulfil_order", "process_document", "delay_report"}


async def test_the_quality_reports_are_for_those_who_are_logged_in(told: Told) -> None:
    plan = told.stack.plan
    airflow = AirflowApi(base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"])
    key = next(row.link for row in told.rows if row.verdict == "failed").split("/tandem", 1)[1]

    page = await airflow.request("GET", f"/tandem{key}")
    index = await airflow.request("GET", "/tandem/reports/")
    async with httpx.AsyncClient() as client:
        anonymous = await client.get(plan.url("airflow") + f"/tandem{key}")
    await airflow.close()

    assert page.is_success
    assert "missing from the raw file" in page.text
    assert index.text.count("<tr>") > 10
    assert anonymous.status_code == 401
