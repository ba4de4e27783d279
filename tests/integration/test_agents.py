"""Agents on a real Temporal server: every ended run completes once and says why."""

import asyncio
import datetime as dt
import uuid
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_workflows.activities.messages import Decision, ToolCall, Turn
from agent_workflows.agents.definition import Agent
from bridge.adapters.database import ledger
from bridge.adapters.sql_ledger import SqlLedger
from bridge.contracts.agents import AgentStart
from bridge.contracts.events import Outcome
from bridge.reconciler import reconcile_once
from tests.agents import Runtime, agent_runtime
from tests.samples import snapshots, start

pytestmark = pytest.mark.integration


def _start(**changes: Any) -> AgentStart:
    return start(f"r-{uuid.uuid4().hex[:10]}", **changes)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(40):
        while not condition():
            await asyncio.sleep(0.05)


class Stuck:
    """A model that never answers."""

    def __init__(self) -> None:
        self.asked = asyncio.Event()

    async def decide(self, agent: Agent, turn: Turn, transcript: Sequence[bytes], *_: Any) -> tuple[Decision, bytes]:
        self.asked.set()
        await asyncio.Event().wait()
        raise AssertionError


class Tireless:
    """A model that calls tools for ever."""

    async def decide(self, agent: Agent, turn: Turn, transcript: Sequence[bytes], *_: Any) -> tuple[Decision, bytes]:
        call = ToolCall(id=f"c{turn.version}", tool="weather", arguments={"by": "day"})
        return Decision(calls=(call,), model="tireless"), b"[]"


async def test_an_agent_finds_the_cause_from_its_pinned_snapshot(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        run = _start()

        completed = await runtime.completion(run)

        assert completed.outcome is Outcome.COMPLETED
        assert (completed.output["cause"], completed.output["severity"]) == ("carrier-specific", "severe")
        assert completed.snapshots == run.snapshots
        assert completed.usage.model == "offline-analyst (rules, not a language model)"
        assert (completed.usage.turns, completed.usage.tool_calls, completed.usage.input_tokens) == (3, 7, 0)
        recorded = runtime.recorded(run)
        assert recorded is not None
        times = {"started_at", "closed_at"}
        assert recorded.model_dump(exclude=times) == completed.model_dump(exclude=times)


async def test_the_same_request_makes_one_run(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        run = _start()

        new = [await runtime.agents.start(run, runtime.spec) for _ in range(3)]
        await runtime.agents.wait(run.workflow_id)
        after_it_closed = await runtime.agents.start(run, runtime.spec)

        assert [*new, after_it_closed] == [True, False, False, False]
        assert len(runtime.database.run(ledger.waiting_events, 10)) == 2  # accepted, completed


async def test_a_request_that_is_not_valid_fails_with_its_code(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        completed = await runtime.completion(_start(input={"day": "tomorrow"}))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "invalid_request")
    assert "day" in completed.reason


async def test_a_run_may_not_read_another_tenants_snapshot(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        completed = await runtime.completion(_start(snapshots=snapshots("UA")))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "invalid_request")
    assert "may not read" in completed.reason


async def test_a_run_without_its_snapshot_says_so(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        completed = await runtime.completion(_start(snapshots=()))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "not_published")


async def test_a_model_that_never_concludes_is_stopped_at_its_cap(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path, thinker=Tireless()) as runtime:
        completed = await runtime.completion(_start())

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "cap_reached")
    assert "12 turns" in completed.reason


async def test_a_cancelled_run_completes_as_cancelled(stack: Any, tmp_path: Path) -> None:
    stuck = Stuck()
    async with agent_runtime(stack.temporal, tmp_path, thinker=stuck) as runtime:
        run = _start()
        await runtime.agents.start(run, runtime.spec)
        await stuck.asked.wait()

        await runtime.agents.cancel(run.workflow_id)
        completed = await runtime.agents.wait(run.workflow_id)
        await runtime.agents.cancel(run.workflow_id)  # again, when it has closed: no error

        assert (completed.outcome, completed.code) == (Outcome.CANCELLED, "agent_cancelled")
        recorded = runtime.recorded(run)
        assert recorded is not None
        assert recorded.outcome is Outcome.CANCELLED


async def _reconciled(runtime: Runtime, run: AgentStart) -> int:
    """Visibility is eventually consistent: look until the closed run is seen."""
    since = dt.datetime.now(dt.UTC) - dt.timedelta(minutes=5)
    async with asyncio.timeout(30):
        while run.workflow_id not in await runtime.agents.closed_since(since):
            await asyncio.sleep(0.1)
    before = runtime.recorded(run)
    await reconcile_once(_Only(runtime, run), SqlLedger(runtime.database), since=since)
    return int(before is None and runtime.recorded(run) is not None)


class _Only:
    """The engine, with the runs of other tests out of sight."""

    def __init__(self, runtime: Runtime, run: AgentStart) -> None:
        self._agents, self._run = runtime.agents, run

    async def closed_since(self, since: dt.datetime) -> list[str]:
        return [run for run in await self._agents.closed_since(since) if run == self._run.workflow_id]

    async def completion_of(self, workflow_id: str) -> Any:
        return await self._agents.completion_of(workflow_id)

    async def start(self, *_: Any) -> bool:
        raise NotImplementedError


async def test_a_terminated_run_is_found_and_completed_once(stack: Any, tmp_path: Path) -> None:
    stuck = Stuck()
    async with agent_runtime(stack.temporal, tmp_path, thinker=stuck) as runtime:
        run = _start()
        await runtime.agents.start(run, runtime.spec)
        await stuck.asked.wait()
        await runtime.agents.client.get_workflow_handle(run.workflow_id).terminate("pulled the plug")

        found = [await _reconciled(runtime, run) for _ in range(2)]

        assert found == [1, 0]
        recorded = runtime.recorded(run)
        assert recorded is not None
        assert (recorded.outcome, recorded.code) == (Outcome.TERMINATED, "agent_terminated")
        assert len(runtime.database.run(ledger.waiting_events, 10)) == 2  # accepted, completed


async def test_a_run_out_of_time_is_found_and_completed(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path, thinker=Stuck()) as runtime:
        run = _start()
        hasty = replace(runtime.spec, execution_timeout=dt.timedelta(seconds=1))
        await runtime.agents.start(run, hasty)
        await runtime.agents.wait(run.workflow_id)

        found = await _reconciled(runtime, run)

        assert found == 1
        recorded = runtime.recorded(run)
        assert recorded is not None
        assert (recorded.outcome, recorded.code) == (Outcome.TIMED_OUT, "agent_timed_out")


async def test_a_finished_model_call_is_answered_from_the_transcript(stack: Any, tmp_path: Path) -> None:
    """As after a crash between the model's answer and Temporal's record of it."""
    from temporalio.testing import ActivityEnvironment

    from agent_workflows.activities.think import Think
    from agent_workflows.adapters.stores import SqlRunLedger, SqlTranscripts
    from agent_workflows.agents import DEFINITIONS

    asked = 0

    class Counting(Tireless):
        async def decide(
            self, agent: Agent, turn: Turn, transcript: Sequence[bytes], *_: Any
        ) -> tuple[Decision, bytes]:
            nonlocal asked
            asked += 1
            return await super().decide(agent, turn, transcript, *_)

    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        database = runtime.database
        steps, transcripts = SqlRunLedger(database), SqlTranscripts(database)
        think = Think(thinker=Counting(), transcripts=transcripts, steps=steps, agents=DEFINITIONS)
        turn = Turn(start=_start(), run="run:1", version=0)

        answers = []
        for attempt in (1, 2):
            worker = ActivityEnvironment()
            worker.info = replace(worker.info, attempt=attempt)
            answers.append(await worker.run(think.decide, turn))

    assert answers[0] == answers[1]
    assert asked == 1
