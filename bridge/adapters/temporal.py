"""The ``Agents`` port over Temporal. The only file of the bridge that knows its client."""

import asyncio
import datetime as dt
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio.client import (
    Client,
    TLSConfig,
    WithStartWorkflowOperation,
    WorkflowExecution,
    WorkflowExecutionStatus,
    WorkflowFailureError,
    WorkflowQueryFailedError,
    WorkflowQueryRejectedError,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import (
    Priority,
    WorkflowIDConflictPolicy,
    WorkflowIDReusePolicy,
)
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.exceptions import (
    ApplicationError,
    CancelledError,
    FailureError,
    TerminatedError,
    WorkflowAlreadyStartedError,
)
from temporalio.exceptions import (
    TimeoutError as TemporalTimeoutError,
)
from temporalio.service import RPCError, RPCStatusCode

from bridge.contracts import names
from bridge.contracts.agents import AgentMessage, AgentResult, AgentSpec, AgentStart
from bridge.contracts.approvals import AnswerTaken, RunStatus
from bridge.contracts.events import AgentCompleted, Outcome
from bridge.contracts.failures import Code, Owner, Refused, TandemError, Unavailable
from bridge.contracts.tenants import Tenant
from bridge.visibility import STARTED_BY, search_attributes, summary

RPC_TIMEOUT = dt.timedelta(seconds=10)
UPDATE_TIMEOUT = dt.timedelta(seconds=30)
"""An update waits for a worker to take it."""
ANSWER_TIMEOUT = dt.timedelta(seconds=5)
"""A person waits for a worker so long; then the answer is stored for it."""

OUTCOMES = {
    WorkflowExecutionStatus.COMPLETED: Outcome.COMPLETED,
    WorkflowExecutionStatus.FAILED: Outcome.FAILED,
    WorkflowExecutionStatus.CANCELED: Outcome.CANCELLED,
    WorkflowExecutionStatus.TERMINATED: Outcome.TERMINATED,
    WorkflowExecutionStatus.TIMED_OUT: Outcome.TIMED_OUT,
}
PERMANENT_RPC = {
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.PERMISSION_DENIED,
    RPCStatusCode.UNAUTHENTICATED,
    RPCStatusCode.UNIMPLEMENTED,
}


@dataclass(frozen=True, slots=True)
class TemporalAddress:
    """Where Temporal is. ``api_key`` implies TLS."""

    target: str
    namespace: str = "default"
    tls: bool = False
    api_key: str | None = None


async def connect(address: TemporalAddress, **options: Any) -> Client:
    """A client with our data converter; raises ``Unavailable`` when the server does not answer."""
    tls: bool | TLSConfig = address.tls or bool(address.api_key)
    try:
        return await Client.connect(
            address.target,
            namespace=address.namespace,
            data_converter=pydantic_data_converter,
            tls=tls,
            api_key=address.api_key,
            **options,
        )
    except (RuntimeError, RPCError) as error:
        raise Unavailable(f"Temporal at {address.target!r} does not answer: {error}") from error
    except (ValueError, TypeError) as error:
        problem = f"Temporal address {address.target!r} is not host:port: {error}"
        raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error


class TemporalAgents:
    """Starts, watches and cancels agent runs by contracted name."""

    def __init__(self, client: Client) -> None:
        self.client = client

    async def start(self, start: AgentStart, spec: AgentSpec, tenant: Tenant | None = None) -> bool:
        """Start once per request id; True if new. A closed run of the same request counts as started."""
        try:
            await self.client.start_workflow(
                spec.workflow,
                _limited(start, tenant),
                **_start_options(start, spec, tenant),
                id_conflict_policy=WorkflowIDConflictPolicy.FAIL,
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError:
            return False
        except RPCError as error:
            raise sorted_rpc(error, f"start {start.workflow_id!r}") from error
        return True

    async def signal(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, name: str, message: AgentMessage
    ) -> None:
        """Signal-with-start. The run drops a message whose event id it has had."""
        try:
            await self.client.start_workflow(
                spec.workflow,
                _limited(start, tenant),
                **_start_options(start, spec, tenant),
                start_signal=name,
                start_signal_args=[message],
                rpc_timeout=RPC_TIMEOUT,
            )
        except WorkflowAlreadyStartedError as error:
            raise _closed(start) from error
        except RPCError as error:
            raise sorted_rpc(error, f"signal {start.workflow_id!r}") from error

    async def update(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, name: str, message: AgentMessage
    ) -> None:
        """Update-with-start. The update's id is the event's, so the server answers a repeat from the first one."""
        operation: WithStartWorkflowOperation[Any, Any] = WithStartWorkflowOperation(
            spec.workflow,
            _limited(start, tenant),
            **_start_options(start, spec, tenant),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        try:
            await self.client.execute_update_with_start_workflow(
                name, message, start_workflow_operation=operation, id=message.event_id, rpc_timeout=UPDATE_TIMEOUT
            )
        except WorkflowAlreadyStartedError as error:
            raise _closed(start) from error
        except WorkflowUpdateFailedError as error:
            code, reason = describe_failure(error.cause)
            problem = f"agent run {start.workflow_id!r} refused update {name!r}: {code}: {reason}"
            raise Refused(Code.INVALID_REQUEST, problem) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError as error:
            problem = f"agent run {start.workflow_id!r} did not take update {name!r} yet; is a worker running?"
            raise Unavailable(problem) from error
        except RPCError as error:
            raise sorted_rpc(error, f"update {start.workflow_id!r}") from error

    async def tell(self, workflow_id: str, name: str, message: AgentMessage) -> None:
        """Signal a running run; raises ``Refused`` if it has ended or never was."""
        try:
            await self.client.get_workflow_handle(workflow_id).signal(name, message, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise Refused(Code.AGENT_CLOSED, f"agent run {workflow_id!r} has ended or never was") from error
            raise sorted_rpc(error, f"tell {workflow_id!r}") from error

    async def answer(self, workflow_id: str, message: AgentMessage) -> AnswerTaken | None:
        """Answer a question of a run. Returns what came of it, or None where no worker runs that could say.

        Then the answer is stored, and the run takes it when a worker does run. Raises ``Refused`` if the run refuses
        the answer or has ended.
        """
        handle = self.client.get_workflow_handle(workflow_id)
        try:
            taken: AnswerTaken = await handle.execute_update(
                names.ANSWER, message, id=message.event_id, result_type=AnswerTaken, rpc_timeout=ANSWER_TIMEOUT
            )
        except WorkflowUpdateFailedError as error:
            code, reason = describe_failure(error.cause)
            raise Refused(Code(code), reason) from error
        except WorkflowUpdateRPCTimeoutOrCancelledError:
            pass
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND:
                raise Refused(Code.AGENT_CLOSED, f"agent run {workflow_id!r} has ended or never was") from error
            raise sorted_rpc(error, f"answer {workflow_id!r}") from error
        else:
            return taken
        try:
            await handle.signal(names.ANSWER, message, rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise sorted_rpc(error, f"answer {workflow_id!r}") from error
        return None

    async def cancel(self, workflow_id: str) -> None:
        """Ask a run to stop; one that has closed already is fine, one that never was is refused."""
        try:
            await self.client.get_workflow_handle(workflow_id).cancel(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            if error.status == RPCStatusCode.NOT_FOUND and "already completed" in error.message:
                return
            raise sorted_rpc(error, f"cancel {workflow_id!r}") from error

    async def wait(self, workflow_id: str) -> AgentCompleted:
        """Wait until the run has closed and say how; reconnects for as long as the caller waits."""
        handle = self.client.get_workflow_handle(workflow_id)
        try:
            await handle.result()
        except WorkflowFailureError:
            pass
        except RPCError as error:
            raise sorted_rpc(error, f"wait for {workflow_id!r}") from error
        completed = await self.completion_of(workflow_id)
        if completed is None:
            raise Unavailable(f"Temporal says that {workflow_id!r} has closed but not how; asking again")
        return completed

    async def closed_since(self, since: dt.datetime) -> Sequence[str]:
        ended = "ExecutionStatus NOT IN ('Running', 'ContinuedAsNew')"
        query = f"{ended} AND CloseTime > '{since.isoformat()}' AND Tenant IS NOT NULL"
        try:
            return [execution.id async for execution in self.client.list_workflows(query)]
        except RPCError as error:
            raise sorted_rpc(error, "list closed workflows") from error

    async def recent(self, *, tenant: str | None, limit: int) -> list["RunLine"]:
        """The newest agent runs, of one tenant or of all."""
        if tenant is not None and not tenant.replace("-", "").replace("_", "").isalnum():
            raise Refused(Code.UNKNOWN_TENANT, f"{tenant!r} is not a tenant's name")
        query = f"{names.TENANT_ATTRIBUTE} = '{tenant}'" if tenant else f"{names.TENANT_ATTRIBUTE} IS NOT NULL"
        try:
            found = self.client.list_workflows(query, limit=limit)
            return [_line(execution) async for execution in found]
        except RPCError as error:
            raise sorted_rpc(error, "list agent runs") from error

    async def status(self, workflow_id: str) -> tuple[str, str]:
        """``(status, run id)``; raises ``Refused`` for a run that never was."""
        try:
            execution = await self.client.get_workflow_handle(workflow_id).describe(rpc_timeout=RPC_TIMEOUT)
        except RPCError as error:
            raise sorted_rpc(error, f"describe {workflow_id!r}") from error
        return (execution.status.name.lower() if execution.status else "unknown"), execution.run_id

    async def run_status(self, workflow_id: str) -> RunStatus | None:
        """What a running run says of itself, or None where no worker answers."""
        handle = self.client.get_workflow_handle(workflow_id)
        try:
            status: RunStatus = await handle.query(
                names.STATUS_QUERY, result_type=RunStatus, rpc_timeout=ANSWER_TIMEOUT
            )
        except (WorkflowQueryFailedError, WorkflowQueryRejectedError, RPCError):
            return None
        return status

    async def completion_of(self, workflow_id: str) -> AgentCompleted | None:
        handle = self.client.get_workflow_handle(workflow_id)
        try:
            execution = await handle.describe(rpc_timeout=RPC_TIMEOUT)
            if execution.status not in OUTCOMES:
                return None
            start = await self._start_of(execution)
            result, failure = await _result_of(self.client, execution)
        except RPCError as error:
            raise sorted_rpc(error, f"describe {workflow_id!r}") from error
        outcome = OUTCOMES[execution.status]
        code, reason = describe_failure(failure) if failure else ("", "")
        return AgentCompleted(
            workflow_id=workflow_id,
            run_id=execution.run_id,
            agent=start.agent,
            request_id=start.request_id,
            started_by=start.started_by,
            outcome=outcome,
            code=code,
            reason=reason,
            input=start.input,
            output=result.output if result else {},
            snapshots=start.snapshots,
            **({"usage": result.usage} if result else {}),
            started_at=execution.start_time,
            closed_at=execution.close_time or dt.datetime.now(dt.UTC),
        )

    async def _start_of(self, execution: WorkflowExecution) -> AgentStart:
        """The run's argument, from the first event of its history."""
        handle = self.client.get_workflow_handle(execution.id, run_id=execution.run_id)
        async for event in handle.fetch_history_events(page_size=1):
            payloads = event.workflow_execution_started_event_attributes.input.payloads
            (start,) = await self.client.data_converter.decode(list(payloads), [AgentStart])
            if isinstance(start, AgentStart):
                return start
        raise Unavailable(f"Temporal has no first event for {execution.id!r}")


def _limited(start: AgentStart, tenant: Tenant | None) -> AgentStart:
    """The start with its tenant's limits, as they are declared now."""
    return start.model_copy(update={"limits": tenant.limits}) if tenant else start


def _start_options(start: AgentStart, spec: AgentSpec, tenant: Tenant | None) -> dict[str, Any]:
    """The same however a run is started; a closed run of the same request is never run again."""
    return {
        "id": start.workflow_id,
        "task_queue": spec.queue,
        "execution_timeout": spec.execution_timeout,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "search_attributes": search_attributes(start, spec),
        "memo": {"cause": start.cause},
        "priority": Priority(fairness_key=start.tenant, fairness_weight=tenant.weight if tenant else None),
        "static_summary": summary(start),
    }


def _closed(start: AgentStart) -> Refused:
    problem = f"agent run {start.workflow_id!r} has ended and takes no more messages; use another request id"
    return Refused(Code.AGENT_CLOSED, problem)


@dataclass(frozen=True, slots=True)
class RunLine:
    workflow_id: str
    status: str
    started_at: dt.datetime
    started_by: str


def _line(execution: WorkflowExecution) -> RunLine:
    return RunLine(
        workflow_id=execution.id,
        status=execution.status.name.lower() if execution.status else "unknown",
        started_at=execution.start_time,
        started_by=execution.typed_search_attributes.get(STARTED_BY) or "",
    )


async def _result_of(client: Client, execution: WorkflowExecution) -> tuple[AgentResult | None, BaseException | None]:
    handle = client.get_workflow_handle(execution.id, run_id=execution.run_id, result_type=AgentResult)
    try:
        return await asyncio.wait_for(handle.result(), RPC_TIMEOUT.total_seconds()), None
    except WorkflowFailureError as error:
        return None, error.cause
    except TimeoutError as error:
        raise Unavailable(f"Temporal did not give the result of {execution.id!r}") from error


def describe_failure(failure: BaseException | None) -> tuple[str, str]:
    """``(code, reason)`` of a failed run: the first error in our vocabulary speaks, else the innermost."""
    match failure:
        case CancelledError():
            return Code.AGENT_CANCELLED.value, "the agent was cancelled"
        case TerminatedError():
            return Code.AGENT_TERMINATED.value, f"the agent was terminated: {failure}"
        case TemporalTimeoutError():
            return Code.AGENT_TIMED_OUT.value, f"the agent ran out of time: {failure}"
        case _:
            pass
    known = {code.value for code in Code}
    innermost = failure
    while innermost is not None:
        if isinstance(innermost, ApplicationError) and innermost.type in known:
            return innermost.type, innermost.message
        if not isinstance(innermost, FailureError) or innermost.cause is None:
            break
        innermost = innermost.cause
    return Code.AGENT_FAILED.value, getattr(innermost, "message", "") or str(innermost)


def sorted_rpc(error: RPCError, what: str) -> TandemError:
    """Which of the server's answers can never become a yes."""
    if error.status == RPCStatusCode.INVALID_ARGUMENT and "search attribute" not in error.message:
        return Refused(Code.INVALID_REQUEST, f"Temporal refused to {what}: {error.message}")
    if error.status in PERMANENT_RPC or error.status == RPCStatusCode.INVALID_ARGUMENT:
        problem = f"Temporal refused to {what}: {error.message}"
        return Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM)
    return Unavailable(f"Temporal could not {what}: {error.message or error.status.name}")
