"""The reconciler: what the engines know and nobody has told is found and told.

Runs that were terminated or timed out execute no code of their own: what Temporal has closed is compared with the
ledger, and what is missing is recorded; the outbox does the rest. Agents whose Airflow task ended without them are
treated as the task's policy says. One reconciler works at a time, whoever holds the lease.
"""

import asyncio
import datetime as dt
from typing import Final

import structlog

from bridge import metrics
from bridge.contracts.failures import Refused, TandemError
from bridge.domain.task_runs import TaskRun, is_over, should_cancel
from bridge.ports import Agents, Ledger, Pipelines

log = structlog.get_logger()

LEASE: Final = "reconciler"
LEASE_SECONDS: Final = 20.0
EVERY_SECONDS: Final = 5.0
LOOK_BACK: Final = dt.timedelta(hours=24)
"""The first pass of a holder, and one in ``DEEP_EVERY``."""
OVERLAP: Final = dt.timedelta(minutes=2)
"""Visibility is eventually consistent: each pass looks again at the end of the one before."""
DEEP_EVERY: Final = dt.timedelta(minutes=10)
SIDE_BY_SIDE: Final = 8
TASKS: Final = 5000
TASKS_EVERY: Final = dt.timedelta(seconds=15)


async def reconcile_once(agents: Agents, ledger: Ledger, *, since: dt.datetime) -> int:
    """Complete what closed after ``since`` and is missing; returns how many."""
    closed = list(await agents.closed_since(since))
    completed = 0
    for start in range(0, len(closed), 500):
        missing = sorted(await ledger.missing_completions(closed[start : start + 500]))
        for first in range(0, len(missing), SIDE_BY_SIDE):
            group = missing[first : first + SIDE_BY_SIDE]
            completed += sum(await asyncio.gather(*(_complete(agents, ledger, run) for run in group)))
    return completed


async def _complete(agents: Agents, ledger: Ledger, workflow_id: str) -> bool:
    completion = await agents.completion_of(workflow_id)
    if completion is None:
        return False
    tenant = workflow_id.split("/", 1)[0]
    new = await ledger.record_completion(completion, tenant=tenant)
    if new:
        metrics.RECONCILED.labels("completion").inc()
        log.info("agent.completion_found", tenant=tenant, workflow_id=workflow_id, outcome=completion.outcome.value)
    return new


async def settle_tasks_once(agents: Agents, ledger: Ledger, pipelines: Pipelines) -> int:
    """Carry out the policy of tasks that no longer wait for their running agents; returns how many were cancelled."""
    tasks = await ledger.open_task_runs(TASKS)
    states = await pipelines.task_states(tasks)
    cancelled = 0
    for task in tasks:
        state = states[task.workflow_id]
        cancel = should_cancel(task.on_task_end, state)
        if cancel:
            await _cancel(agents, task, state)
            cancelled += 1
        if cancel or is_over(state):
            await ledger.settle_task_run(task.workflow_id)
    return cancelled


async def _cancel(agents: Agents, task: TaskRun, state: str | None) -> None:
    try:
        await agents.cancel(task.workflow_id)
    except Refused as error:  # Temporal has no such run: the task died before it had started one
        log.info("agent.not_there", tenant=task.tenant, workflow_id=task.workflow_id, reason=str(error))
        return
    metrics.RECONCILED.labels("task").inc()
    log.info(
        "agent.cancelled_for_task",
        tenant=task.tenant,
        workflow_id=task.workflow_id,
        task=f"{task.dag_id}/{task.run_id}/{task.task_id}/{task.map_index}",
        state=state,
        policy=task.on_task_end,
    )


async def reconcile(
    agents: Agents, ledger: Ledger, pipelines: Pipelines, stopping: asyncio.Event, *, holder: str
) -> None:
    since, deep_at = dt.datetime.now(dt.UTC) - LOOK_BACK, dt.datetime.now(dt.UTC)
    tasks_at = since
    while not stopping.is_set():
        began = dt.datetime.now(dt.UTC)
        try:
            if await ledger.hold_lease(LEASE, holder=holder, seconds=LEASE_SECONDS):
                await reconcile_once(agents, ledger, since=since)
                since = began - OVERLAP
                if began - deep_at > DEEP_EVERY:
                    since, deep_at = began - LOOK_BACK, began
                if began - tasks_at > TASKS_EVERY:
                    tasks_at = began
                    await settle_tasks_once(agents, ledger, pipelines)
            else:
                since = began - LOOK_BACK
        except TandemError as error:
            log.warning("reconciler.waits", reason=str(error))
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)
        except TimeoutError:
            continue
