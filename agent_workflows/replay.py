"""Running workflow code over a recorded history: whether runs that began under older code go on under this one."""

from collections.abc import Sequence

from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import Replayer

from agent_workflows.interceptors import AgentInterceptor
from agent_workflows.versions import sandbox
from agent_workflows.worker import WORKFLOWS


class NotDeterministic(Exception):  # noqa: N818 - it says what is wrong
    """This code does something else than what was recorded."""


async def replay_history(text: str, workflows: Sequence[type] = WORKFLOWS) -> None:
    """Raises ``NotDeterministic`` with the first difference, ``ValueError`` for what is no history."""
    try:
        history = WorkflowHistory.from_json("AA/replay/r", text)
    except Exception as error:  # whatever the parser raises
        raise ValueError(str(error)) from error
    replayer = Replayer(
        workflows=workflows,
        data_converter=pydantic_data_converter,
        workflow_runner=sandbox(),
        interceptors=[AgentInterceptor(None)],  # type: ignore[arg-type]  # a replay runs no activity
    )
    result = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    if result.replay_failure is not None:
        raise NotDeterministic(str(result.replay_failure)) from result.replay_failure
