"""The trigger behind a deferred agent task: waits for one run to close."""

import asyncio
from collections.abc import AsyncIterator
from typing import Any, Final

from airflow.sdk.execution_time.task_runner import RuntimeTaskInstance
from airflow.triggers.base import BaseTrigger, TriggerEvent

from airflow_bridge.defaults import REWATCH_SECONDS
from airflow_bridge.hooks.temporal import TemporalHook
from bridge.contracts.failures import Refused, TandemError, Unavailable

CANCELLING: Final[set["asyncio.Future[None]"]] = set()
"""Cancellations under way; a task that nobody holds may be collected before it ends."""


class AgentWorkflowTrigger(BaseTrigger):
    """Fires once, with ``{"completed": …}`` or, if it can never know, ``{"refused": {"code", "reason"}}``.

    Losing Temporal is not an end: it asks again for as long as the task waits.
    """

    def __init__(self, *, temporal_conn_id: str, workflow_id: str) -> None:
        super().__init__()
        self.temporal_conn_id = temporal_conn_id
        self.workflow_id = workflow_id

    def serialize(self) -> tuple[str, dict[str, Any]]:
        return (
            f"{type(self).__module__}.{type(self).__qualname__}",
            {"temporal_conn_id": self.temporal_conn_id, "workflow_id": self.workflow_id},
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

    def _is_still_waiting(self) -> bool:
        ti = self.task_instance
        if ti is None:  # outside Airflow's triggerer nobody else can be waiting
            return False
        states = RuntimeTaskInstance.get_task_states(
            dag_id=ti.dag_id, task_ids=[ti.task_id], run_ids=[ti.run_id], map_index=ti.map_index
        )
        return "deferred" in {str(state) for of_run in states.values() for state in of_run.values()}

    async def on_kill(self) -> None:
        """The task was failed or cleared by a person: ask the agent to stop. Best effort.

        The triggerer cancels a trigger again each second until it is gone, this method too: so the work runs by
        itself and is only awaited here.
        """
        work = asyncio.ensure_future(self._cancel_unless_waiting())
        CANCELLING.add(work)
        work.add_done_callback(CANCELLING.discard)
        await asyncio.shield(work)

    async def _cancel_unless_waiting(self) -> None:
        """Airflow also asks when a stalled triggerer wakes after its triggers were given to another one, while the
        task is healthy and waits: then the agent goes on.
        """
        if await asyncio.to_thread(self._is_still_waiting):
            self.log.info("the task of %s still waits elsewhere; its agent goes on", self.workflow_id)
            return
        try:
            await (await TemporalHook(self.temporal_conn_id).agents()).cancel(self.workflow_id)
            self.log.info("asked %s to stop, as its task was ended by a person", self.workflow_id)
        except TandemError as error:
            self.log.warning("could not cancel %s: %s", self.workflow_id, error)
