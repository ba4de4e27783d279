"""The reconciler: runs that closed without a word still complete.

A run that was terminated or timed out executes no code of its own. Compares what Temporal has closed with
the ledger and records what is missing; the outbox does the rest.
"""

import asyncio
import datetime as dt
from typing import Final

import structlog

from bridge.contracts.failures import TandemError
from bridge.ports import Agents, Ledger

log = structlog.get_logger()

EVERY_SECONDS: Final = 5.0
LOOK_BACK: Final = dt.timedelta(hours=24)
OVERLAP: Final = dt.timedelta(minutes=2)
"""Visibility is eventually consistent: each pass looks again at the end of the one before."""


async def reconcile_once(agents: Agents, ledger: Ledger, *, since: dt.datetime) -> int:
    """Complete what closed after ``since`` and is missing; returns how many."""
    closed = list(await agents.closed_since(since))
    completed = 0
    for start in range(0, len(closed), 500):
        for workflow_id in sorted(await ledger.missing_completions(closed[start : start + 500])):
            completion = await agents.completion_of(workflow_id)
            if completion is None:
                continue
            tenant = workflow_id.split("/", 1)[0]
            if await ledger.record_completion(completion, tenant=tenant):
                completed += 1
                log.info(
                    "agent.completion_found",
                    tenant=tenant,
                    workflow_id=workflow_id,
                    outcome=completion.outcome.value,
                )
    return completed


async def reconcile(agents: Agents, ledger: Ledger, stopping: asyncio.Event) -> None:
    since = dt.datetime.now(dt.UTC) - LOOK_BACK
    while not stopping.is_set():
        began = dt.datetime.now(dt.UTC)
        try:
            await reconcile_once(agents, ledger, since=since)
            since = began - OVERLAP
        except TandemError as error:
            log.warning("reconciler.waits", reason=str(error))
        try:
            await asyncio.wait_for(stopping.wait(), EVERY_SECONDS)
        except TimeoutError:
            continue
