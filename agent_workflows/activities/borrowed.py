"""The tools of agents whose loop is not ours, each call an activity."""

from collections.abc import Mapping
from typing import Final

from temporalio import activity

from agent_workflows.activities.messages import BorrowedCall, BorrowedResult
from agent_workflows.failures import as_temporal
from agent_workflows.ports import Toolbox
from bridge.contracts.failures import Code, Owner, Refused

CALL_TOOL: Final = "call_tool"


class Borrowed:
    def __init__(self, toolboxes: Mapping[str, Toolbox]) -> None:
        self._toolboxes = toolboxes

    @activity.defn(name=CALL_TOOL)
    async def call_tool(self, request: BorrowedCall) -> BorrowedResult:
        with as_temporal():
            agent, call = request.start.agent, request.call
            if agent not in self._toolboxes:
                problem = f"this worker has no tools of agent {agent!r}; it has those of {sorted(self._toolboxes)}"
                raise Refused(Code.UNKNOWN_AGENT, problem, owner=Owner.OURS)
            try:
                return BorrowedResult(value=await self._toolboxes[agent].call(request.start, call.tool, call.arguments))
            except Refused as error:
                if error.code is not Code.INVALID_REQUEST:
                    raise
                return BorrowedResult(problem=str(error))
