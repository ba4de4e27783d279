"""What a run's history tells: its timeline, the history as a file, and the place of a step to reset to."""

import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio.api.common.v1 import WorkflowExecution
from temporalio.api.enums.v1 import EventType
from temporalio.api.workflowservice.v1 import ResetWorkflowExecutionRequest
from temporalio.client import Client, WorkflowExecutionStatus, WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.service import RPCError

from bridge.adapters.temporal import RPC_TIMEOUT, sorted_rpc
from bridge.contracts.failures import Code, Refused

PREFIX: Final = "EVENT_TYPE_"
SHOWN: Final = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED: "started",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED: "signal",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED: "update",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCEL_REQUESTED: "asked to cancel",
    EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED: "workflow task failed",
    EventType.EVENT_TYPE_TIMER_FIRED: "timer fired",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CONTINUED_AS_NEW: "continued as new",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_COMPLETED: "completed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED: "failed",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_CANCELED: "cancelled",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TERMINATED: "terminated",
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_TIMED_OUT: "timed out",
}
ENDS: Final = {
    "activity_task_completed_event_attributes": "done",
    "activity_task_failed_event_attributes": "failed",
    "activity_task_timed_out_event_attributes": "timed out",
    "activity_task_canceled_event_attributes": "cancelled",
    "child_workflow_execution_completed_event_attributes": "done",
    "child_workflow_execution_failed_event_attributes": "failed",
    "child_workflow_execution_canceled_event_attributes": "cancelled",
    "child_workflow_execution_terminated_event_attributes": "terminated",
    "child_workflow_execution_timed_out_event_attributes": "timed out",
    "start_child_workflow_execution_failed_event_attributes": "not started",
}


@dataclass(slots=True)
class Moment:
    """One line of the timeline. ``step`` names a call as ``reset`` wants it; ``seconds`` is how long the call took."""

    at: dt.datetime
    what: str
    step: str = ""
    state: str = ""
    attempt: int = 0
    seconds: float | None = None


async def fetch(client: Client, workflow_id: str) -> WorkflowHistory:
    """The history of the newest run of ``workflow_id``."""
    try:
        return await client.get_workflow_handle(workflow_id).fetch_history(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        raise sorted_rpc(error, f"read the history of {workflow_id!r}") from error


async def timeline(history: WorkflowHistory) -> list[Moment]:
    """What happened, in order: calls and agents sent out with their ends, messages, timers, the end."""
    moments: list[Moment] = []
    calls: dict[int, Moment] = {}
    for event in history.events:
        at = event.event_time.ToDatetime(dt.UTC)
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            name = scheduled.activity_type.name
            said = await _summary(event)
            moment = Moment(at, f"{name}: {said}" if said else name, f"{scheduled.activity_id}-{name}", "scheduled")
            calls[event.event_id] = moment
            moments.append(moment)
        elif event.HasField("activity_task_started_event_attributes"):
            started = event.activity_task_started_event_attributes
            calls[started.scheduled_event_id].attempt = started.attempt
            calls[started.scheduled_event_id].state = "running"
        elif event.HasField("start_child_workflow_execution_initiated_event_attributes"):
            child = event.start_child_workflow_execution_initiated_event_attributes
            moment = calls[event.event_id] = Moment(at, f"agent {child.workflow_id}", state="sent out")
            moments.append(moment)
        elif (ending := _ending(event)) is not None:
            call = calls[ending[1]]
            call.state, call.seconds = ending[0], (at - call.at).total_seconds()
        elif event.event_type in SHOWN:
            moments.append(Moment(at, _words(event)))
    return moments


def _ending(event: Any) -> tuple[str, int] | None:
    for name, state in ENDS.items():
        if event.HasField(name):
            ended = getattr(event, name)
            return state, ended.initiated_event_id if "child" in name else ended.scheduled_event_id
    return None


def _words(event: Any) -> str:
    word = SHOWN[event.event_type]
    if event.HasField("workflow_execution_signaled_event_attributes"):
        return f"{word} {event.workflow_execution_signaled_event_attributes.signal_name}"
    if event.HasField("workflow_execution_update_accepted_event_attributes"):
        accepted = event.workflow_execution_update_accepted_event_attributes.accepted_request
        return f"{word} {accepted.input.name}"
    if event.HasField("workflow_task_failed_event_attributes"):
        return f"{word}: {event.workflow_task_failed_event_attributes.failure.message[:200]}"
    return word


async def _summary(event: Any) -> str:
    payload = event.user_metadata.summary
    if not payload.data:
        return ""
    (said,) = await pydantic_data_converter.decode([payload], [str])
    return str(said)


async def reset(client: Client, workflow_id: str, step: str, reason: str) -> str:
    """Go back to just before ``step`` was asked for, and on from there; returns the new run's id.

    What came before is kept, what came after is done anew: the model is asked again. Effects have keys of their own
    and are not made again. A run that has ended is refused: its completion was told, and there is one a run.
    """
    handle = client.get_workflow_handle(workflow_id)
    try:
        execution = await handle.describe(rpc_timeout=RPC_TIMEOUT)
    except RPCError as error:
        raise sorted_rpc(error, f"describe {workflow_id!r}") from error
    if execution.status is not WorkflowExecutionStatus.RUNNING:
        problem = f"{workflow_id!r} has ended and was told of as ended; ask for it again under another request id"
        raise Refused(Code.AGENT_CLOSED, problem)
    history = await fetch(client, workflow_id)
    request = ResetWorkflowExecutionRequest(
        namespace=client.namespace,
        workflow_execution=WorkflowExecution(workflow_id=workflow_id, run_id=execution.run_id),
        reason=reason,
        workflow_task_finish_event_id=_place(history, step),
        request_id=f"{execution.run_id}/{step}",
    )
    try:
        answer = await client.workflow_service.reset_workflow_execution(request, timeout=RPC_TIMEOUT)
    except RPCError as error:
        raise sorted_rpc(error, f"reset {workflow_id!r}") from error
    return str(answer.run_id)


def _place(history: WorkflowHistory, step: str) -> int:
    """The workflow task that asked for ``step``."""
    known = []
    for event in history.events:
        if event.HasField("activity_task_scheduled_event_attributes"):
            scheduled = event.activity_task_scheduled_event_attributes
            known.append(f"{scheduled.activity_id}-{scheduled.activity_type.name}")
            if known[-1] == step:
                return int(scheduled.workflow_task_completed_event_id)
    raise Refused(Code.INVALID_REQUEST, f"the run has no step {step!r}; its steps: {_some(known)}")


def _some(steps: Sequence[str]) -> str:
    return ", ".join([*steps[:3], "…", *steps[-3:]] if len(steps) > 7 else steps) or "none"  # noqa: PLR2004
