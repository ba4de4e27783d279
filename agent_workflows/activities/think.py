"""``decide``: one question to the model, its answer kept before it is returned."""

import json
from collections.abc import Mapping
from typing import Final

from temporalio import activity

from agent_workflows.activities.alerts import raise_alert
from agent_workflows.activities.messages import Decision, ToolOutcome, Turn
from agent_workflows.agents.definition import Agent
from agent_workflows.failures import as_temporal
from agent_workflows.ports import RunLedger, Thinker, Transcripts
from bridge.contracts.failures import Code, Owner, Refused

CALL_MODEL: Final = "call_model"


class Think:
    """Asks the model once per turn. A turn that was answered before a crash is answered from the transcript."""

    def __init__(
        self, *, thinker: Thinker, transcripts: Transcripts, steps: RunLedger, agents: Mapping[str, Agent]
    ) -> None:
        self._thinker = thinker
        self._transcripts = transcripts
        self._steps = steps
        self._agents = agents

    @activity.defn(name="decide")
    async def decide(self, turn: Turn) -> Decision:
        with as_temporal():
            agent = self._agent(turn.start.agent)
            if answered := await self._answered(turn):
                return answered
            earlier = await self._transcripts.load(turn.parent, turn.version - 1) if turn.version else []
            asked = turn.model_copy(update={"outcomes": await self._with_figures(turn.outcomes)})
            answer, added = await self._thinker.decide(agent, asked, earlier, self._alert)
            answer = answer.model_copy(update={"run": turn.run})
            await self._transcripts.append(turn, added, answer)
            return answer

    @activity.defn(name=CALL_MODEL)
    async def call_model(self, turn: Turn) -> Decision:
        """One request of a loop that is not ours."""
        with as_temporal():
            if answered := await self._answered(turn):
                return answered
            earlier = await self._transcripts.load(turn.parent, turn.version - 1) if turn.parent else []
            answer, added = await self._thinker.reply(turn, earlier, self._alert)
            await self._transcripts.append(turn, added, answer)
            return answer

    async def _answered(self, turn: Turn) -> Decision | None:
        """What a try before this one was answered, if it died before it could tell."""
        found = await self._transcripts.find(turn.run, turn.version) if activity.info().attempt > 1 else None
        return Decision.model_validate_json(found) if found else None

    async def _alert(self, model: str, refusal: Refused) -> None:
        """One alert for each run and model, however many of its turns that model refuses."""
        code, once = refusal.code.value, f"models/{model}"
        await raise_alert(self._steps, step=model, code=code, reason=str(refusal), once=once)

    async def _with_figures(self, outcomes: tuple[ToolOutcome, ...]) -> tuple[ToolOutcome, ...]:
        return tuple([await self._fetched(outcome) if outcome.kept else outcome for outcome in outcomes])

    async def _fetched(self, outcome: ToolOutcome) -> ToolOutcome:
        kept = outcome.kept
        result = await self._steps.find_step(run=kept.run, step=kept.step) if kept else None
        if result is None:
            problem = f"the result of {outcome.tool!r} is not in the platform database any more: {kept}"
            raise Refused(Code.NOT_PUBLISHED, problem, owner=Owner.PLATFORM)
        return outcome.model_copy(update={"figures": json.loads(result), "kept": None})

    def _agent(self, name: str) -> Agent:
        if name not in self._agents:
            problem = f"this worker has no agent {name!r}; it has {sorted(self._agents)}"
            raise Refused(Code.UNKNOWN_AGENT, problem, owner=Owner.OURS)
        return self._agents[name]
