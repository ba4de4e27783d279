"""``leave_mark``: the canary's one effect, made once however often it is asked for."""

from typing import Final

from temporalio import activity

from agent_workflows.ports import Effects
from bridge.contracts.agents import AgentStart

LEAVE_MARK: Final = "leave_mark"


class Canary:
    def __init__(self, effects: Effects) -> None:
        self._effects = effects

    @activity.defn(name=LEAVE_MARK)
    async def leave_mark(self, start: AgentStart) -> str:
        """Returns the idempotency key, which is the run's own id."""
        key = f"{start.workflow_id}/mark"
        await self._effects.make(key=key, tenant=start.tenant, run=start.workflow_id)
        return key
