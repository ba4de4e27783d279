"""``decide``: one question to the model, its answer kept before it is returned."""

import asyncio
from collections.abc import Coroutine, Mapping
from typing import Any, TypeVar

from temporalio import activity

from agent_workflows.activities.messages import Decision, Turn
from agent_workflows.agents.definition import Agent
from agent_workflows.failures import as_temporal
from agent_workflows.policies import HEARTBEAT
from agent_workflows.ports import Thinker, Transcripts
from bridge.contracts.failures import Code, Owner, Refused

T = TypeVar("T")


class Think:
    """Asks the model once per turn. A turn that was answered before a crash is answered from the transcript."""

    def __init__(self, *, thinker: Thinker, transcripts: Transcripts, agents: Mapping[str, Agent]) -> None:
        self._thinker = thinker
        self._transcripts = transcripts
        self._agents = agents

    @activity.defn(name="decide")
    async def decide(self, turn: Turn) -> Decision:
        with as_temporal():
            agent = self._agent(turn.start.agent)
            past = await self._transcripts.load(turn.run)
            for version, _, decision in past:
                if version == turn.version:
                    return Decision.model_validate_json(decision)
            earlier = [messages for version, messages, _ in past if version < turn.version]
            answer, added = await _with_heartbeat(self._thinker.decide(agent, turn, earlier))
            await self._transcripts.append(turn, added, answer)
            return answer

    def _agent(self, name: str) -> Agent:
        if name not in self._agents:
            problem = f"this worker has no agent {name!r}; it has {sorted(self._agents)}"
            raise Refused(Code.UNKNOWN_AGENT, problem, owner=Owner.OURS)
        return self._agents[name]


async def _with_heartbeat(work: Coroutine[Any, Any, T]) -> T:
    """Heartbeat while the model thinks, so that a dead worker is noticed in seconds."""
    task = asyncio.ensure_future(work)
    try:
        while not task.done():
            activity.heartbeat()
            await asyncio.wait([task], timeout=HEARTBEAT.total_seconds() / 3)
    finally:
        task.cancel()
    return task.result()
