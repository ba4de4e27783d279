"""Agents that an agent sends out: child workflows with a start, a completion and caps of their own.

A child is of its parent's tenant, reads the parent's snapshots and runs on the parent's queue. Where the parent is
cancelled its children are, unless they were started to go on by themselves.
"""

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from temporalio import workflow
from temporalio.common import WorkflowIDReusePolicy
from temporalio.exceptions import ChildWorkflowError, WorkflowAlreadyStartedError
from temporalio.workflow import ParentClosePolicy

with workflow.unsafe.imports_passed_through():
    from pydantic import BaseModel

    from agent_workflows.agents.caps import left
    from agent_workflows.failures import as_temporal, describe_failure, usage_in
    from agent_workflows.workflows.run import current
    from bridge.contracts import ids
    from bridge.contracts.agents import AgentResult, AgentSpec, AgentStart, Limits
    from bridge.visibility import search_attributes, summary


@dataclass(frozen=True, slots=True)
class Child:
    """An agent to send out with a request. ``name`` is unique within the run."""

    spec: AgentSpec
    name: str
    request: BaseModel


@dataclass(frozen=True, slots=True)
class Failed:
    """Why a child has no result, in our failure codes."""

    code: str
    reason: str


async def run_child(parent: AgentStart, child: Child) -> AgentResult:
    """Run a child to its end and add what it used to this run's usage; raises ``ChildWorkflowError``.

    It may use what is left of this run's limits; where that is nothing, ``cap_reached``.

    Its id holds this run's, so a run that was reset sends out new ones. A child that was cancelled, terminated or
    timed out tells what it used in its own completion only.
    """
    request_id = ids.child_request_id(parent.request_id, child.name, workflow.info().run_id)
    with as_temporal():
        start = _start(parent, child, request_id, left(parent.limits, current().usage))
    try:
        result: AgentResult = await workflow.execute_child_workflow(
            child.spec.workflow,
            start,
            result_type=AgentResult,
            parent_close_policy=ParentClosePolicy.REQUEST_CANCEL,
            **_options(start, child.spec),
        )
    except ChildWorkflowError as error:
        current().add(usage_in(error.cause))
        raise
    current().add(result.usage)
    return result


async def run_children(parent: AgentStart, children: Sequence[Child], *, at_once: int) -> list[AgentResult | Failed]:
    """Run children in parallel, so many at once; what came of each, in order. One that fails stops no other."""
    gate = asyncio.Semaphore(at_once)

    async def one(child: Child) -> AgentResult | Failed:
        async with gate:
            try:
                return await run_child(parent, child)
            except ChildWorkflowError as error:
                if workflow.cancellation_reason() is not None:
                    raise
                return Failed(*describe_failure(error.cause))

    return list(await asyncio.gather(*(one(child) for child in children)))


async def start_child_once(parent: AgentStart, child: Child) -> bool:
    """Start a child that goes on by itself when this run ends, under the whole limits; False if it was started before.

    Its id is ``{parent's request id}.{name}``, the same in whichever run of the chain.
    """
    with as_temporal():
        start = _start(parent, child, ids.child_request_id(parent.request_id, child.name), parent.limits)
    try:
        await workflow.start_child_workflow(
            child.spec.workflow,
            start,
            parent_close_policy=ParentClosePolicy.ABANDON,
            **_options(start, child.spec),
        )
    except WorkflowAlreadyStartedError:
        return False
    return True


def _options(start: AgentStart, spec: AgentSpec) -> dict[str, Any]:
    """How any child is started: once, and to be found as every run is."""
    return {
        "id": start.workflow_id,
        "execution_timeout": spec.execution_timeout,
        "id_reuse_policy": WorkflowIDReusePolicy.REJECT_DUPLICATE,
        "search_attributes": search_attributes(start, spec),
        "memo": {"cause": start.cause},
        "static_summary": summary(start),
    }


def _start(parent: AgentStart, child: Child, request_id: str, limits: Limits) -> AgentStart:
    return AgentStart(
        tenant=parent.tenant,
        agent=child.spec.name,
        request_id=request_id,
        started_by="agent",
        cause=parent.workflow_id,
        input=child.spec.validate_input(child.request.model_dump(mode="json")),
        snapshots=parent.snapshots,
        traceparent=parent.traceparent,
        limits=limits,
    )
