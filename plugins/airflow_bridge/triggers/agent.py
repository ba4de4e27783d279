"""The trigger behind a deferred agent task: waits for one run to close."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_bridge.defaults import REWATCH_SECONDS
from airflow_bridge.hooks.temporal import TemporalHook
from bridge.contracts.failures import Refused, TandemError, Unavailable
from bridge.domain.task_runs import GONE, OnTaskEnd, should_cancel

CANCELLING: Final[set["asyncio.Future[None]"]] = set()
"""Cancellations under way; a task that nobody holds may be collected before it ends."""


class AgentWorkflowTrigger(BaseTrigger):
    """Fires once, with ``{"completed": …}`` or, if it can never know, ``{"refused": {"code", "reason"}}``.

    Losing Temporal is not an end: it asks again for as long as the task waits.
    """

    def __init__(
        self, *, temporal_conn_id: str, workflow_id: str, on_task_end: str = OnTaskEnd.RE_ATTACH.value
    ) -> None:
        super().__init__()
        self.temporal_conn_id = temporal_conn_id
        self.workflow_id = workflow_id
        self.on_task_end = on_task_end

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {
                "temporal_conn_id": self.temporal_conn_id,
                "workflow_id": self.workflow_id,
                "on_task_end": self.on_task_end,
            },
        )

    async def run(self) -> AsyncIterator[TriggerEvent]:
        hook = TemporalHook(self.temporal_conn_id)
        while True:
            try:
                completed = await (await hook.agents()).wait(self.workflow_id)
            except Unavailable as error:
                self.log.warning("still waiting for %s: %s", self.workflow_id, error)
                await asyncio.sleep(REWATCH_SECONDS)
            except Refused as error:
                yield TriggerEvent({"refused": {"code": error.code.value, "reason": str(error)}})
                return
            else:
                yield TriggerEvent({"completed": completed.model_dump(mode="json")})
                return

    def _task_state(self) -> str | None:
        """State of the task; None if it was cleared."""
        ti = self.task_instance
        if ti is None:  # outside Airflow's triggerer nobody else can be waiting
            return GONE
        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        found = [state for of_run in states.values() for state in of_run.values() if state is not None]
        return str(found[0]) if found else None

    async def on_kill(self) -> None:
        """The task was failed or cleared by a person: ask the agent to stop, if the policy says so. Best effort: what
        this misses, the bridge's reconciler finds.

        The triggerer cancels a trigger again each second until it is gone, this method too: so the work runs by
        itself and is only awaited here.
        """
        work = asyncio.ensure_future(self._cancel_if_ended())
        CANCELLING.add(work)
        work.add_done_callback(CANCELLING.discard)
        await asyncio.shield(work)

    async def _cancel_if_ended(self) -> None:
        """As the task's policy says. Airflow also asks when a stalled triggerer wakes after its triggers were given
        to another one, while the task is healthy and waits: then the agent goes on.
        """
        state = await asyncio.to_thread(self._task_state)
        if not should_cancel(OnTaskEnd(self.on_task_end), state):
            self.log.info("the task of %s is %s; its agent goes on", self.workflow_id, state or "cleared")
            return
        try:
            await (await TemporalHook(self.temporal_conn_id).agents()).cancel(self.workflow_id)
            self.log.info("asked %s to stop, as its task was ended by a person", self.workflow_id)
        except TandemError as error:
            self.log.warning("could not cancel %s: %s", self.workflow_id, error)
