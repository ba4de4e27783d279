"""The same model and tool calls as ``investigate_delays``, without our layers: what the SDK alone costs."""

import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

from temporalio import activity, workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows.activities.messages import Decision, ToolCall, ToolOutcome, ToolRequest, Turn
    from agent_workflows.adapters.model import ModelThinker
    from agent_workflows.agents import DEFINITIONS
    from bridge.contracts.agents import AgentStart

MINUTE = timedelta(minutes=1)


async def _ignore(*_: object) -> None:
    """What a model refuses."""


class BareThink:
    """The model call with its transcript in memory."""

    def __init__(self, thinker: ModelThinker) -> None:
        self._thinker = thinker
        self._transcripts: dict[str, list[bytes]] = {}

    @activity.defn(name="decide")
    async def decide(self, turn: Turn) -> Decision:
        past = self._transcripts.setdefault(turn.run, [])
        decision, added = await self._thinker.decide(DEFINITIONS[turn.start.agent], turn, past, _ignore)
        past.append(added)
        return decision


@workflow.defn(name="BareInvestigation")
class BareInvestigation:
    @workflow.run
    async def run(self, start: AgentStart) -> dict[str, object]:
        outcomes: tuple[ToolOutcome, ...] = ()
        for version in range(3):
            turn = Turn(start=start, run=workflow.info().workflow_id, version=version, outcomes=outcomes)
            decision = await workflow.execute_activity(
                "decide", turn, result_type=Decision, start_to_close_timeout=MINUTE
            )
            outcomes = tuple(await asyncio.gather(*(self._call(start, call) for call in decision.calls)))
        return decision.output or {}

    async def _call(self, start: AgentStart, call: ToolCall) -> ToolOutcome:
        figures = await workflow.execute_activity(
            call.tool, ToolRequest(start=start, call=call), result_type=dict, start_to_close_timeout=MINUTE
        )
        return ToolOutcome(id=call.id, tool=call.tool, figures=figures)


@workflow.defn(name="Parked")
class Parked:
    """Waits for a signal that never comes."""

    @workflow.run
    async def run(self) -> None:
        await workflow.wait_condition(lambda: False)


@workflow.defn(name="NaiveWalk")
class NaiveWalk:
    """The loop as it is often written: the whole conversation is an argument of each model call."""

    @workflow.run
    async def run(self, steps: int) -> int:
        conversation: list[str] = ["Walk."]
        for step in range(steps):
            said = await workflow.execute_activity(
                "naive_decide", conversation, result_type=str, start_to_close_timeout=MINUTE
            )
            found = await workflow.execute_activity("naive_look", step, result_type=str, start_to_close_timeout=MINUTE)
            conversation += [said, found]
        return len(conversation)

    @staticmethod
    def activities(size: int) -> list[Callable[..., Any]]:
        @activity.defn
        async def naive_decide(conversation: list[str]) -> str:
            return f"look, after {len(conversation)} messages"

        @activity.defn
        async def naive_look(step: int) -> str:
            return f"{step}" + "x" * size

        return [naive_decide, naive_look]
