"""``AgentWorkflowOperator``, its hook and trigger on a real Temporal server."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from airflow.sdk.exceptions import AirflowException, AirflowFailException, TaskDeferred

from airflow_bridge.hooks.temporal import TemporalHook
from airflow_bridge.links import TemporalRunLink
from airflow_bridge.operators import agent as operators
from airflow_bridge.operators.agent import AgentWorkflowOperator
from airflow_bridge.triggers.agent import AgentWorkflowTrigger
from bridge.adapters.database import ledger
from bridge.contracts.failures import Refused
from tests.agents import Runtime, agent_runtime
from tests.integration.test_agents import Stuck
from tests.samples import AA, snapshots, start

pytestmark = pytest.mark.integration


@dataclass
class TaskInstance:
    dag_id: str = "d"
    run_id: str = "manual__2013-04-16T00:00:00+00:00"
    task_id: str = "t"
    map_index: int = -1
    pushed: dict[str, Any] = field(default_factory=dict)

    def xcom_push(self, key: str, value: Any) -> None:
        self.pushed[key] = value


@pytest.fixture
async def runtime(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Runtime]:
    """A worker and database of the test's own, named by Airflow connections in the environment."""
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        _connect(runtime, stack, monkeypatch)
        yield runtime


def _connect(runtime: Runtime, stack: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    runtime.database.run(ledger.apply_tenants, [AA])
    host, port = stack.plan.address("temporal").split(":")
    temporal = {"conn_type": "temporal", "host": host, "port": int(port), "extra": {"ui_url": "http://ui/"}}
    monkeypatch.setenv("AIRFLOW_CONN_TEMPORAL_DEFAULT", json.dumps(temporal))
    tandem = {"conn_type": "tandem", "password": runtime.database.url}
    monkeypatch.setenv("AIRFLOW_CONN_TANDEM_DEFAULT", json.dumps(tandem))
    monkeypatch.setattr(operators, "find_agent", lambda name: _on_the_tests_queue(name, runtime))


def _on_the_tests_queue(name: str, runtime: Runtime) -> Any:
    from bridge.contracts.catalog import find_agent

    find_agent(name)
    return runtime.spec


def _operator(**changes: Any) -> AgentWorkflowOperator:
    values: dict[str, Any] = {
        "task_id": "t",
        "agent": "investigate_delays",
        "tenant": "AA",
        "input": {"day": "2013-04-16"},
        "request_id": f"op-{uuid.uuid4().hex[:10]}",
        "snapshots": [ref.model_dump() for ref in snapshots()],
    }
    return AgentWorkflowOperator(**(values | changes))


async def _deferred(operator: AgentWorkflowOperator, ti: TaskInstance | None = None) -> AgentWorkflowTrigger:
    """Run ``execute`` until it defers; the trigger, as the triggerer would rebuild it."""
    with pytest.raises(TaskDeferred) as deferred:
        await asyncio.to_thread(operator.execute, {"ti": ti or TaskInstance()})
    path, arguments = deferred.value.trigger.serialize()
    assert path == "airflow_bridge.triggers.agent.AgentWorkflowTrigger"
    assert deferred.value.method_name == "execute_complete"
    return AgentWorkflowTrigger(**json.loads(json.dumps(arguments)))


async def _fired(trigger: AgentWorkflowTrigger) -> Any:
    async with asyncio.timeout(60):
        async for event in trigger.run():
            return json.loads(json.dumps(event.payload))
    raise AssertionError("the trigger ended without an event")


async def test_it_defers_and_resumes_with_a_small_result_and_a_link(runtime: Runtime) -> None:
    operator, ti = _operator(), TaskInstance()

    trigger = await _deferred(operator, ti)
    result = operator.execute_complete({}, await _fired(trigger))

    assert (result["outcome"], result["output"]["cause"]) == ("completed", "carrier-specific")
    assert len(json.dumps(result)) < 4096
    assert ti.pushed[TemporalRunLink.key].startswith("http://ui/namespaces/default/workflows/AA%2Finvestigate_delays")


async def test_a_retry_re_attaches_to_the_run_that_is_there(runtime: Runtime) -> None:
    operator = _operator(request_id=None)

    first = await _deferred(operator)
    second = await _deferred(operator)
    await _fired(second)

    assert first.workflow_id == second.workflow_id
    told = [event.topic for event in runtime.database.run(ledger.waiting_events, 10)]
    assert told.count("agents.lifecycle.v1") == 2  # accepted, completed


async def test_clearing_a_task_whose_agent_failed_asks_again_and_one_that_completed_finds_its_result(
    runtime: Runtime,
) -> None:
    failing = _operator(snapshots=[ref.model_dump() for ref in snapshots("UA")])
    first = await _deferred(failing)
    await _fired(first)

    second = await _deferred(_operator(request_id=failing.request_id))
    await _fired(second)
    third = await _deferred(_operator(request_id=failing.request_id))

    assert second.workflow_id == third.workflow_id == f"{first.workflow_id}:2"


async def test_a_left_over_run_is_cancelled_and_asked_for_anew_where_the_policy_says_cancel(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with agent_runtime(stack.temporal, tmp_path, thinker=Stuck()) as runtime:
        _connect(runtime, stack, monkeypatch)
        first = await _deferred(_operator(request_id="left-over", on_task_end="cancel"))
        second = await _deferred(_operator(request_id="left-over", on_task_end="cancel"))
        ended = await asyncio.wait_for(runtime.agents.wait(first.workflow_id), 40)
        await runtime.agents.cancel(second.workflow_id)

    assert ended.outcome == "cancelled"
    assert second.workflow_id == f"{first.workflow_id}:2"


@pytest.mark.parametrize(
    ("policy", "state", "cancelled"),
    [("re_attach", None, False), ("re_attach", "failed", True), ("cancel", None, True), ("let_run", "failed", False)],
)
async def test_the_trigger_of_an_ended_task_does_as_the_policy_says(
    stack: Any,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    *,
    policy: str,
    state: str | None,
    cancelled: bool,
) -> None:
    async with agent_runtime(stack.temporal, tmp_path, thinker=Stuck()) as runtime:
        _connect(runtime, stack, monkeypatch)
        trigger = await _deferred(_operator(on_task_end=policy))
        monkeypatch.setattr(trigger, "_task_state", lambda: state)

        await trigger.on_kill()

        if cancelled:
            assert (await asyncio.wait_for(runtime.agents.wait(trigger.workflow_id), 40)).outcome == "cancelled"
        else:
            assert (await runtime.agents.status(trigger.workflow_id))[0] == "running"
            await runtime.agents.cancel(trigger.workflow_id)


async def test_without_deferring_it_waits_on_the_worker(runtime: Runtime) -> None:
    result = await asyncio.to_thread(_operator(deferrable=False).execute, {"ti": TaskInstance()})

    assert result["outcome"] == "completed"


async def test_an_agent_that_fails_fails_the_task_with_its_reason(runtime: Runtime) -> None:
    operator = _operator(snapshots=[ref.model_dump() for ref in snapshots("UA")])

    event = await _fired(await _deferred(operator))

    with pytest.raises(AirflowFailException, match=r"failed: invalid_request: .*may not read"):
        operator.execute_complete({}, event)


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        ({"tenant": "ZZ"}, "unknown_tenant"),
        ({"agent": "make_coffee"}, "unknown_agent"),
        ({"input": {"day": "tomorrow"}}, "invalid_request: .*day"),
        ({"input": {"day": "2013-04-16", "x": 1}}, "invalid_request: .*x"),
        ({"request_id": "a/b"}, "invalid_request: .*request_id"),
        ({"snapshots": None}, "not_published"),
        ({"temporal_conn_id": "nowhere"}, "bad_connection: .*nowhere"),
        ({"platform_conn_id": "nowhere"}, "bad_connection: .*nowhere"),
        ({"temporal_conn_id": "tandem_default"}, "bad_connection: .*must be of type 'temporal'"),
    ],
)
async def test_what_can_never_work_fails_at_once_and_says_so(
    runtime: Runtime, changes: dict[str, Any], says: str
) -> None:
    with pytest.raises(AirflowFailException, match=says):
        await asyncio.to_thread(_operator(**changes).execute, {"ti": TaskInstance()})


async def test_an_engine_that_is_down_is_left_to_the_tasks_retry(
    runtime: Runtime, monkeypatch: pytest.MonkeyPatch
) -> None:
    absent = {"conn_type": "temporal", "host": "127.0.0.1", "port": 1}
    monkeypatch.setenv("AIRFLOW_CONN_ABSENT", json.dumps(absent))

    with pytest.raises(AirflowException, match="unavailable") as failed:
        await asyncio.to_thread(_operator(temporal_conn_id="absent").execute, {"ti": TaskInstance()})

    assert not isinstance(failed.value, AirflowFailException)


async def test_a_person_who_fails_the_waiting_task_cancels_the_agent(runtime: Runtime) -> None:
    trigger = await _deferred(_operator())

    await trigger.on_kill()
    event = await _fired(trigger)

    assert event["completed"]["outcome"] in {"cancelled", "completed"}  # it may have been quicker


async def test_the_agent_is_cancelled_though_the_triggerer_cancels_the_cancelling(stack: Any, tmp_path: Path) -> None:
    """Airflow's triggerer cancels a trigger's task again and again until it is gone."""
    host, port = stack.plan.address("temporal").split(":")
    with pytest.MonkeyPatch.context() as environment:
        temporal = {"conn_type": "temporal", "host": host, "port": int(port)}
        environment.setenv("AIRFLOW_CONN_TEMPORAL_DEFAULT", json.dumps(temporal))
        async with agent_runtime(stack.temporal, tmp_path, thinker=Stuck()) as runtime:
            run = start(f"r-{uuid.uuid4().hex[:10]}")
            await runtime.agents.start(run, runtime.spec)
            trigger = AgentWorkflowTrigger(temporal_conn_id="temporal_default", workflow_id=run.workflow_id)

            killing = asyncio.ensure_future(trigger.on_kill())
            await asyncio.sleep(0)
            killing.cancel()
            completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 40)

    assert completed.outcome == "cancelled"


async def test_a_trigger_for_a_run_that_never_was_says_so(runtime: Runtime) -> None:
    trigger = AgentWorkflowTrigger(temporal_conn_id="temporal_default", workflow_id="AA/investigate_delays/never")

    assert (await _fired(trigger))["refused"]["code"] == "bad_connection"


async def test_the_connections_test_button_answers(runtime: Runtime) -> None:
    ok, told = await asyncio.to_thread(TemporalHook().test_connection)
    wrong, why = await asyncio.to_thread(TemporalHook("nowhere").test_connection)

    assert ok, told
    assert not wrong
    assert "nowhere" in why


async def test_the_hook_refuses_a_connection_without_a_host(runtime: Runtime, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("AIRFLOW_CONN_HOSTLESS", json.dumps({"conn_type": "temporal"}))

    with pytest.raises(Refused, match="host"):
        await asyncio.to_thread(TemporalHook("hostless").wait, "x")
