"""The durable agent loop: decide, call tools in parallel, decide again, until done or capped.

Runs inside a workflow. Every decision and every tool call is its own activity, so a crash repeats none that
has finished. History holds decisions and small figures; the conversation is in the transcript store.
"""

import asyncio
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ActivityError, is_cancelled_exception

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.messages import (
        FINAL,
        KEPT,
        Decision,
        Kept,
        ToolCall,
        ToolOutcome,
        ToolRequest,
        Turn,
    )
    from agent_workflows.agents.definition import Agent
    from agent_workflows.agents.queues import queue_of
    from agent_workflows.failures import as_temporal, describe_failure
    from agent_workflows.workflows.calls import call
    from agent_workflows.workflows.run import AgentRun, continue_as_new, current, is_long, run_key
    from bridge.contracts.agents import AgentResult, AgentStart, Frozen


class LoopState(Frozen):
    """Where the loop goes on after it continued as new: what answers ``parent`` gave and what came of its calls."""

    parent: str = ""
    outcomes: tuple[ToolOutcome, ...] = ()


class Conversation:
    """An agent and its model: talk until there is an output, say something more, talk on.

    ``state`` is where it stands; a conversation made with it goes on there, in the same run or in a later one.
    """

    def __init__(self, agent: Agent, start: AgentStart, state: LoopState) -> None:
        self._agent = agent
        self._start = start.model_copy(update={"input": agent.spec.validate_input(start.input)})
        self.state = state

    def say(self, text: str) -> None:
        """Something the model is told with its next question."""
        said = ToolOutcome(id="", tool="", problem=text)
        self.state = self.state.model_copy(update={"outcomes": (*self.state.outcomes, said)})

    async def step(self) -> dict[str, Any] | None:
        """One question to the model and the calls it asked for; the output, where it gave one."""
        run = current()
        run.check(self._start, self._agent.caps)
        decision = await _decide(self._start, run, self.state)
        run.spend(decision)
        if decision.output is not None:
            done = ToolOutcome(id=decision.output_call, tool=FINAL, figures={"delivered": True})
            outcomes = (done, *decision.problems) if decision.output_call else ()
            self.state = LoopState(parent=decision.run or run_key(), outcomes=outcomes)
            return decision.output
        run.phase = "calling " + ", ".join(sorted({call.tool for call in decision.calls}) or ["the model again"])
        found = await asyncio.gather(*(_call_tool(self._agent, self._start, call) for call in decision.calls))
        self.state = LoopState(parent=decision.run or run_key(), outcomes=decision.problems + tuple(found))
        return None


async def run_agent(agent: Agent, start: AgentStart) -> AgentResult:
    """Run ``agent`` to its result; raises a terminal ``ApplicationError`` with our code when it cannot.

    Continues as new when the server says that the history is long.
    """
    with as_temporal():
        talk = Conversation(agent, start, LoopState.model_validate(start.state))
        while (output := await talk.step()) is None:
            if is_long():
                await continue_as_new(start, talk.state)
        return AgentResult(
            tenant=start.tenant,
            agent=agent.name,
            request_id=start.request_id,
            output=output,
            usage=current().usage,
        )


async def _decide(start: AgentStart, run: AgentRun, state: LoopState) -> Decision:
    run.phase = f"thinking, turn {run.usage.turns + 1}"
    turn = Turn(start=start, run=run_key(), version=run.usage.turns, parent=state.parent, outcomes=state.outcomes)
    return await call("decide", turn, Decision, policies.MODEL, summary=f"turn {turn.version + 1}")


async def _call_tool(agent: Agent, start: AgentStart, call: ToolCall) -> ToolOutcome:
    tool = agent.tool(call.tool)
    policy = policies.of(tool.calls if tool else None)
    try:
        found = await workflow.execute_activity(
            call.tool,
            ToolRequest(start=start, call=call),
            result_type=dict,
            task_queue=queue_of(workflow.info().task_queue, tool.kind if tool else None),
            start_to_close_timeout=policy.start_to_close,
            heartbeat_timeout=policies.HEARTBEAT,
            retry_policy=policy.retry,
            summary=", ".join(f"{name}={value}" for name, value in call.arguments.items())[:180] or call.tool,
        )
    except ActivityError as error:
        if tool is None or not tool.may_fail or is_cancelled_exception(error):
            raise
        code, reason = describe_failure(error)
        return ToolOutcome(id=call.id, tool=call.tool, problem=f"{code}: {reason}"[:2000])
    if KEPT in found:
        return ToolOutcome(id=call.id, tool=call.tool, kept=Kept.model_validate(found[KEPT]))
    return ToolOutcome(id=call.id, tool=call.tool, figures=found)
