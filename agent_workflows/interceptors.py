"""What every agent shares, kept out of agent code: one completion per run, a count of finished calls, logs."""

import json
import time
from collections.abc import Sequence
from typing import Any

import structlog
from pydantic_core import to_json
from temporalio import activity, workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.worker import (
    ActivityInboundInterceptor,
    ExecuteActivityInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.complete import RECORD_COMPLETION
    from agent_workflows.activities.messages import CompletionRecord, ToolRequest, Turn
    from agent_workflows.ports import RunLedger
    from bridge.adapters.temporal import describe_failure
    from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart
    from bridge.contracts.events import AgentCompleted, Outcome
    from bridge.contracts.failures import Code

log = structlog.get_logger()


class AgentInterceptor(Interceptor):
    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return _CountSteps(next, self._ledger)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        return _AgentRun


class _CountSteps(ActivityInboundInterceptor):
    """Keeps each finished model or tool call with its result.

    A worker that dies between finishing a call and telling Temporal so makes Temporal try it again: that try is
    answered with what was kept, and the call does not run twice.
    """

    def __init__(self, following: ActivityInboundInterceptor, ledger: RunLedger) -> None:
        super().__init__(following)
        self._ledger = ledger

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        began = time.monotonic()
        workflow_id = info.workflow_id or ""
        fields = {
            "workflow_id": workflow_id,
            "tenant": workflow_id.split("/", 1)[0],
            "cause": _cause(input.args),
            "attempt": info.attempt,
        }
        run, step = f"{workflow_id}:{info.workflow_run_id}", f"{info.activity_id}-{info.activity_type}"
        if info.attempt > 1 and (kept := await self._ledger.find_step(run=run, step=step)) is not None:
            log.info("step.kept", step=info.activity_type, **fields)
            return json.loads(kept)
        try:
            result = await super().execute_activity(input)
        except Exception as error:
            log.warning("step.failed", step=info.activity_type, reason=str(error), **fields)
            raise
        if info.activity_type == RECORD_COMPLETION:
            return result
        milliseconds = int((time.monotonic() - began) * 1000)
        await self._ledger.record_step(
            run=run,
            step=step,
            tenant=str(fields["tenant"]),
            kind="model" if info.activity_type == "decide" else "tool",
            result=to_json(result).decode(),
            milliseconds=milliseconds,
        )
        log.info("step.finished", step=info.activity_type, milliseconds=milliseconds, **fields)
        return result


def _cause(arguments: Sequence[Any]) -> str:
    """What led to the run, from whichever message of ours the activity was given."""
    for argument in arguments:
        if isinstance(argument, Turn | ToolRequest):
            return argument.start.cause
        if isinstance(argument, CompletionRecord | AgentStart):
            return argument.cause
    return ""


class _AgentRun(WorkflowInboundInterceptor):
    """Records how the run ends, and drops messages it has had.

    Terminated and timed-out runs execute nothing: the reconciler finds those. A signal may come twice, when the
    bridge dies before it has noted that it sent it; an update cannot, the server knows its id.
    """

    def __init__(self, following: WorkflowInboundInterceptor) -> None:
        super().__init__(following)
        self._had: set[str] = set()

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        for argument in input.args:
            if isinstance(argument, AgentMessage):
                if argument.event_id in self._had:
                    return
                self._had.add(argument.event_id)
        await super().handle_signal(input)

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        start = next((arg for arg in input.args if isinstance(arg, AgentStart)), None)
        if start is None:
            return await super().execute_workflow(input)
        try:
            result = await super().execute_workflow(input)
        except BaseException as error:
            if is_cancelled_exception(error):
                await _record(start, Outcome.CANCELLED, Code.AGENT_CANCELLED.value, "the agent was cancelled")
            elif workflow.is_failure_exception(error):
                code, reason = describe_failure(error)
                await _record(start, Outcome.FAILED, code, reason)
            raise
        await _record(start, Outcome.COMPLETED, result=result if isinstance(result, AgentResult) else None)
        return result


async def _record(
    start: AgentStart, outcome: Outcome, code: str = "", reason: str = "", result: AgentResult | None = None
) -> None:
    info = workflow.info()
    completed = AgentCompleted(
        workflow_id=info.workflow_id,
        run_id=info.run_id,
        agent=start.agent,
        request_id=start.request_id,
        started_by=start.started_by,
        outcome=outcome,
        code=code,
        reason=reason[:2000],
        input=start.input,
        output=result.output if result else {},
        snapshots=start.snapshots,
        **({"usage": result.usage} if result else {}),
        started_at=info.start_time,
        closed_at=workflow.now(),
    )
    try:
        await workflow.execute_activity(
            RECORD_COMPLETION,
            CompletionRecord(tenant=start.tenant, cause=start.cause, completed=completed),
            start_to_close_timeout=policies.COMPLETION.start_to_close,
            schedule_to_close_timeout=policies.COMPLETION_PATIENCE,
            retry_policy=policies.COMPLETION.retry,
            summary=f"{outcome.value}",
        )
    except ActivityError as error:
        workflow.logger.warning("the completion was not recorded, the reconciler will: %s", error)
