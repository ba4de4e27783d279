"""How a workflow calls an activity by name, under a row of the retry table."""

from typing import TypeVar

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.policies import Policy

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
