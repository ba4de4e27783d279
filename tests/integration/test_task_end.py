"""What becomes of an agent when its Airflow task ends without it: on a real Airflow, by the stack's own bridge."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from typing import Any

import pytest

from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.temporal import TemporalAgents, connect
from bridge.domain.task_runs import GONE, OnTaskEnd, TaskRun

pytestmark = pytest.mark.integration

DAG = "agents_canary"
PATIENCE = 120


class Waiting:
    """A canary that was started by the operator and waits for a note that nobody sends."""

    def __init__(self, stack: Any, agents: TemporalAgents) -> None:
        plan = stack.plan
        self.airflow = AirflowApi(
            base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"]
        )
        self.agents = agents
        self.run = f"end-{uuid.uuid4().hex[:8]}"
        self.workflow_id = f"AA/canary/{DAG}@{self.run}@canary"
        self.task = TaskRun(self.workflow_id, "AA", DAG, self.run, "canary", -1, OnTaskEnd.RE_ATTACH)

    async def begin(self) -> None:
        await self._insist("PATCH", f"/api/v2/dags/{DAG}", {"is_paused": False})
        body = {"dag_run_id": self.run, "logical_date": None, "conf": {"tenant": "AA", "notes": 1}}
        await self._insist("POST", f"/api/v2/dags/{DAG}/dagRuns", body)
        async with asyncio.timeout(PATIENCE):
            while await self.state() != "deferred":
                await asyncio.sleep(0.5)

    async def state(self) -> str | None:
        return (await self.airflow.task_states([self.task]))[self.workflow_id]

    async def _insist(self, method: str, path: str, body: dict[str, Any]) -> None:
        async with asyncio.timeout(PATIENCE):
            while not (await self.airflow.request(method, path, json=body)).is_success:
                await asyncio.sleep(0.5)


@pytest.fixture
async def waiting(stack: Any) -> AsyncIterator[Waiting]:
    waiting = Waiting(stack, TemporalAgents(await connect(stack.temporal)))
    await waiting.begin()
    yield waiting
    await waiting.airflow.close()


async def test_a_run_that_is_failed_and_deleted_takes_its_agent_with_it(waiting: Waiting) -> None:
    """By the trigger if Airflow tells it, else by the reconciler."""
    path = f"/api/v2/dags/{DAG}/dagRuns/{waiting.run}"
    await waiting.airflow.call("PATCH", path, json={"state": "failed"})
    await waiting.airflow.call("DELETE", path)

    completed = await asyncio.wait_for(waiting.agents.wait(waiting.workflow_id), PATIENCE)

    assert completed.outcome == "cancelled"
    assert await waiting.state() == GONE


async def test_a_cleared_task_finds_its_agent_again(waiting: Waiting) -> None:
    body = {"dry_run": False, "dag_run_id": waiting.run, "task_ids": ["canary"], "only_failed": False}
    _, first = await waiting.agents.status(waiting.workflow_id)

    await waiting.airflow.call("POST", f"/api/v2/dags/{DAG}/clearTaskInstances", json=body)
    async with asyncio.timeout(PATIENCE):
        while (tried := await _try_number(waiting)) < 2 or await waiting.state() != "deferred":
            await asyncio.sleep(0.5)
    status, second = await waiting.agents.status(waiting.workflow_id)
    await waiting.agents.cancel(waiting.workflow_id)

    assert tried >= 2
    assert (status, second) == ("running", first)


async def _try_number(waiting: Waiting) -> int:
    answer = await waiting.airflow.call("GET", f"/api/v2/dags/{DAG}/dagRuns/{waiting.run}/taskInstances/canary")
    return int(answer["try_number"])
