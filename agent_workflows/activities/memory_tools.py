"""The tools of long-term memory. Whose memory it is comes from the run, never from the model."""

from typing import Any

from temporalio import activity

from agent_workflows.activities.messages import ToolRequest
from agent_workflows.agents.support import RECALL, REMEMBER, Recall, Remember
from agent_workflows.failures import as_temporal
from agent_workflows.ports import Memory


class MemoryTools:
    def __init__(self, memory: Memory) -> None:
        self._memory = memory

    @activity.defn(name=RECALL.name)
    async def recall(self, request: ToolRequest) -> dict[str, Any]:
        arguments = Recall.model_validate(request.call.arguments)
        with as_temporal():
            found = await self._memory.search(
                tenant=request.start.tenant, subject=_subject(request), words=arguments.about, most=arguments.most
            )
            return {"memories": list(found)}

    @activity.defn(name=REMEMBER.name)
    async def remember(self, request: ToolRequest) -> dict[str, Any]:
        arguments = Remember.model_validate(request.call.arguments)
        with as_temporal():
            key = f"{request.start.workflow_id}/{request.call.id}"
            new = await self._memory.add(
                key, tenant=request.start.tenant, subject=_subject(request), text=arguments.text
            )
            return {"remembered": True, "new": new}


def _subject(request: ToolRequest) -> str:
    return str(request.start.input["customer"])
