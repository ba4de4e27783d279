"""Around every agent workflow: its run state, dropped repeats of messages, one completion however it ends."""

from functools import cached_property
from typing import Any, Final

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception
from temporalio.worker import (
    ContinueAsNewInput,
    ExecuteWorkflowInput,
    HandleSignalInput,
    WorkflowInboundInterceptor,
    WorkflowOutboundInterceptor,
)

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.complete import RECORD_COMPLETION
    from agent_workflows.activities.messages import CompletionRecord
    from agent_workflows.failures import describe_failure, with_usage
    from agent_workflows.workflows.run import AgentRun, Carried
    from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart
    from bridge.contracts.events import AgentCompleted, Outcome
    from bridge.contracts.failures import Code

CARRIED_HEADER: Final = "tandem-run"
"""Headers stay plain text where payloads are encrypted: it holds usage, a time and event ids."""


class AgentRuns(WorkflowInboundInterceptor):
    """Gives the workflow its ``AgentRun``, carries it over a continue-as-new, and records how the run ends.

    Terminated and timed-out runs execute nothing: the reconciler finds those. A signal may come twice, when the
    bridge dies before it has noted that it sent it; an update cannot, the server knows its id.
    """

    def init(self, outbound: WorkflowOutboundInterceptor) -> None:
        super().init(_Carry(outbound, self))

    @cached_property
    def run(self) -> AgentRun:
        """Made at first use, which is a signal's if one started the run: in ``init`` the workflow has no info yet."""
        return AgentRun(_carried())

    async def handle_signal(self, input: HandleSignalInput) -> None:  # noqa: A002
        for argument in input.args:
            if isinstance(argument, AgentMessage) and not self.run.is_new(argument):
                return
        await super().handle_signal(input)

    async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:  # noqa: A002
        start = next((arg for arg in input.args if isinstance(arg, AgentStart)), None)
        if start is None:
            return await super().execute_workflow(input)
        self.run.begin(start)
        try:
            result = await super().execute_workflow(input)
        except BaseException as error:
            if is_cancelled_exception(error):
                await self._record(start, Outcome.CANCELLED, Code.AGENT_CANCELLED.value, "the agent was cancelled")
            elif workflow.is_failure_exception(error):
                code, reason = describe_failure(error)
                await self._record(start, Outcome.FAILED, code, reason)
                raise with_usage(code, reason, self.run.usage) from error
            raise
        await self._record(start, Outcome.COMPLETED, result=result if isinstance(result, AgentResult) else None)
        return result

    async def _record(
        self, start: AgentStart, outcome: Outcome, code: str = "", reason: str = "", result: AgentResult | None = None
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
            usage=result.usage if result else self.run.usage,
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


class _Carry(WorkflowOutboundInterceptor):
    """Hands the run's state to the run that continues it."""

    def __init__(self, following: WorkflowOutboundInterceptor, runs: AgentRuns) -> None:
        super().__init__(following)
        self._runs = runs

    def continue_as_new(self, input: ContinueAsNewInput) -> Any:  # noqa: A002
        (payload,) = workflow.payload_converter().to_payloads([self._runs.run.carried()])
        input.headers = {**input.headers, CARRIED_HEADER: payload}
        super().continue_as_new(input)


def _carried() -> Carried | None:
    payload = workflow.info().headers.get(CARRIED_HEADER)
    if payload is None:
        return None
    (carried,) = workflow.payload_converter().from_payloads([payload], [Carried])
    return Carried.model_validate(carried)
