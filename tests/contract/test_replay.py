"""Histories of released workflows still replay: a change that breaks a running agent is noticed here.

A new release adds a history: ``python -m tests.contract.record HOST:PORT WORKFLOW_ID NUMBER`` on a running stack.
"""

import asyncio
from pathlib import Path

import pytest
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from agent_workflows.interceptors import AgentInterceptor
from agent_workflows.worker import WORKFLOWS, sandbox

HISTORIES = sorted((Path(__file__).parent / "histories").glob("*.json"))


@pytest.mark.parametrize("file", HISTORIES, ids=lambda file: file.stem)
async def test_a_recorded_history_replays(file: Path) -> None:
    history = await asyncio.to_thread(file.read_text)
    replayer = Replayer(
        workflows=WORKFLOWS,
        data_converter=pydantic_data_converter,
        workflow_runner=sandbox(),
        interceptors=[AgentInterceptor(None)],  # type: ignore[arg-type]  # a replay runs no activity
    )

    await replayer.replay_workflow(WorkflowHistory.from_json("AA/investigate_delays/r", history))


def test_there_is_a_history_of_every_released_workflow() -> None:
    assert {file.stem.rsplit("-", 1)[0] for file in HISTORIES} == {cls.__name__ for cls in WORKFLOWS}
