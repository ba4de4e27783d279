"""Histories of released workflows still replay: a change that breaks a running agent is noticed here.

A new release adds a history: ``python -m tests.contract.record HOST:PORT WORKFLOW_ID NUMBER`` on a running stack.
"""

import asyncio
import datetime as dt
from pathlib import Path

import pytest
from temporalio import workflow

from agent_workflows.replay import NotDeterministic, replay_history
from agent_workflows.worker import WORKFLOWS
from agent_workflows.workflows.follow_up import FollowUpWorkflow
from bridge.contracts.agents import AgentResult, AgentStart
from bridge.contracts.catalog.follow_up import FOLLOW_UP

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    await replay_history(await asyncio.to_thread(file.read_text))


@workflow.defn(name=FOLLOW_UP.workflow, sandboxed=False)
class Hasty:
    """``follow_up`` with a deliberate break: it reminds before it waits."""

    @workflow.run
    async def run(self, start: AgentStart) -> None:
        await workflow.execute_activity("tell", start_to_close_timeout=dt.timedelta(seconds=1))
        await workflow.sleep(1)


async def test_a_change_that_breaks_running_agents_is_caught() -> None:
    (file,) = [file for file in HISTORIES if file.stem == "FollowUpWorkflow-1"]

    with pytest.raises(NotDeterministic, match="Nondeterminism"):
        await replay_history(await asyncio.to_thread(file.read_text), [Hasty])


@workflow.defn(name=FOLLOW_UP.workflow, sandboxed=False)
class Patched(FollowUpWorkflow):
    """``follow_up`` with the same change, for runs that begin from now on."""

    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        if workflow.patched("tell-first"):
            await workflow.execute_activity("tell", start_to_close_timeout=dt.timedelta(seconds=1))
        return await super().run(start)


async def test_a_change_behind_patched_leaves_running_agents_as_they_are() -> None:
    (file,) = [file for file in HISTORIES if file.stem == "FollowUpWorkflow-1"]

    await replay_history(await asyncio.to_thread(file.read_text), [Patched])


def test_there_is_a_history_of_every_released_workflow() -> None:
    assert {file.stem.rsplit("-", 1)[0] for file in HISTORIES} == {cls.__name__ for cls in WORKFLOWS}
