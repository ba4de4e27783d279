"""Around every activity: finished calls are kept, large results stay out of history, refusals raise an alert."""

import asyncio
import json
import time
from collections.abc import Callable, Coroutine, Sequence
from typing import Any, Final, TypeVar

import structlog
from pydantic_core import to_json
from temporalio import activity
from temporalio.exceptions import ApplicationError
from temporalio.worker import ActivityInboundInterceptor, ActivityOutboundInterceptor, ExecuteActivityInput

from agent_workflows.activities.alerts import raise_alert
from agent_workflows.activities.approve import RECORD_APPROVAL
from agent_workflows.activities.complete import RECORD_COMPLETION
from agent_workflows.activities.messages import KEPT, BorrowedCall, CompletionRecord, Kept, ToolRequest, Turn
from agent_workflows.activities.standing import TELL
from agent_workflows.activities.think import CALL_MODEL
from agent_workflows.ports import RunLedger
from bridge.contracts.agents import AgentStart
from bridge.contracts.failures import Code

MOST_INLINE_BYTES: Final = 1024
"""A tool's result up to this size travels in history; a larger one stays in the platform database."""
NOT_KEPT: Final = frozenset({RECORD_COMPLETION, RECORD_APPROVAL, TELL})
"""Written to the platform database anyway, and safe to repeat."""
MODEL_CALLS: Final = frozenset({"decide", CALL_MODEL})
ALERTED: Final = frozenset({Code.MODEL_REFUSED.value, Code.HTTP_REFUSED.value})
"""An endpoint that refuses us: nobody but a person can mend that."""

T = TypeVar("T")

log = structlog.get_logger()


class Steps(ActivityInboundInterceptor):
    """Keeps each finished model or tool call with its result.

    A worker that dies between finishing a call and telling Temporal so makes Temporal try it again: that try is
    answered with what was kept, and the call does not run twice.
    """

    def __init__(self, following: ActivityInboundInterceptor, ledger: RunLedger) -> None:
        super().__init__(following)
        self._ledger = ledger
        self._outbound: ActivityOutboundInterceptor | None = None

    def init(self, outbound: ActivityOutboundInterceptor) -> None:
        self._outbound = outbound
        super().init(outbound)

    def _heartbeat(self) -> None:
        """Not ``activity.heartbeat()``: in a synchronous activity that is for its thread and blocks the event loop."""
        if self._outbound is not None:
            self._outbound.heartbeat()

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002
        info = activity.info()
        if info.activity_type in NOT_KEPT:
            return await super().execute_activity(input)
        began = time.monotonic()
        run, step = f"{info.workflow_id}:{info.workflow_run_id}", f"{info.activity_id}-{info.activity_type}"
        fields = {
            "workflow_id": info.workflow_id,
            "tenant": _tenant(info),
            "cause": _cause(input.args),
            "attempt": info.attempt,
        }
        try:
            as_json, is_new = await _beating(self._kept_or_made(input, run, step), self._heartbeat)
        except Exception as error:
            log.warning("step.failed", step=info.activity_type, reason=str(error), **fields)
            if isinstance(error, ApplicationError) and error.type in ALERTED:
                await raise_alert(self._ledger, step=step, code=error.type, reason=error.message, once=step)
            raise
        milliseconds = int((time.monotonic() - began) * 1000)
        log.info(
            "step.finished" if is_new else "step.kept", step=info.activity_type, milliseconds=milliseconds, **fields
        )
        return _sent(as_json, Kept(run=run, step=step, bytes=len(as_json)), input.args)

    async def _kept_or_made(self, input: ExecuteActivityInput, run: str, step: str) -> tuple[str, bool]:  # noqa: A002
        """The result as JSON, and whether the call was made now."""
        info = activity.info()
        if info.attempt > 1 and (kept := await self._ledger.find_step(run=run, step=step)) is not None:
            return kept, False
        began = time.monotonic()
        as_json = to_json(await super().execute_activity(input)).decode()
        await self._ledger.record_step(
            run=run,
            step=step,
            tenant=_tenant(info),
            kind="model" if info.activity_type in MODEL_CALLS else "tool",
            result=as_json,
            milliseconds=int((time.monotonic() - began) * 1000),
        )
        return as_json, True


async def _beating(work: Coroutine[Any, Any, T], heartbeat: Callable[[], None]) -> T:
    """Heartbeat until the call is kept: a dead worker is noticed in seconds, a cancelled run stops its calls.

    The first one when a third of the timeout has gone: a short call needs none, and each is a request to the server.
    """
    timeout = activity.info().heartbeat_timeout
    if not timeout:
        return await work
    task = asyncio.ensure_future(work)
    try:
        while not (await asyncio.wait([task], timeout=timeout.total_seconds() / 3))[0]:
            heartbeat()
        return task.result()
    finally:
        if not task.done():
            task.cancel()
            await asyncio.wait([task])


def _sent(as_json: str, kept: Kept, arguments: Sequence[Any]) -> Any:
    """What goes into history: a large result of a tool call stays here, and only where it is goes there."""
    by_reference = len(as_json) > MOST_INLINE_BYTES and any(isinstance(one, ToolRequest) for one in arguments)
    return {KEPT: kept.model_dump()} if by_reference else json.loads(as_json)


def _tenant(info: activity.Info) -> str:
    return (info.workflow_id or "").split("/", 1)[0]


def _cause(arguments: Sequence[Any]) -> str:
    """What led to the run, from whichever message of ours the activity was given."""
    for argument in arguments:
        if isinstance(argument, Turn | ToolRequest | BorrowedCall):
            return argument.start.cause
        if isinstance(argument, CompletionRecord | AgentStart):
            return argument.cause
    return ""
