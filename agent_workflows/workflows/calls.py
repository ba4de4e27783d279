"""How a workflow calls an activity by name, under a row of the retry table, and how it tells a fact."""

from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.messages import FactRecord
    from agent_workflows.activities.standing import TELL
    from agent_workflows.policies import Policy
    from bridge.contracts import ids
    from bridge.contracts.agents import AgentStart
    from bridge.contracts.events import AgentReplied, QualityChanged, ReminderDue

T = TypeVar("T")


async def call(name: str, message: object, kind: type[T], policy: Policy, *, summary: str | None = None) -> T:
    """The result, as ``kind``; raises ``ActivityError``. ``summary`` is shown in the Temporal UI."""
    done: T = await workflow.execute_activity(
        name,
        message,
        result_type=kind,
        start_to_close_timeout=policy.start_to_close,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=policy.retry,
        summary=summary,
    )
    return done


async def tell(
    start: AgentStart, kind: str, number: int, fact: AgentReplied | QualityChanged | ReminderDue, *, summary: str
) -> None:
    """Tell the ``number``-th fact of its ``kind`` in this run, once however often it is tried."""
    event_id = ids.numbered_event_id(start.workflow_id, kind, number)
    await workflow.execute_activity(
        TELL,
        FactRecord(tenant=start.tenant, cause=start.cause, event_id=event_id, fact=fact),
        start_to_close_timeout=policies.COMPLETION.start_to_close,
        retry_policy=policies.COMPLETION.retry,
        summary=summary,
    )
