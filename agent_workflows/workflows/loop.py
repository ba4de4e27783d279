"""The durable agent loop: decide, call tools in parallel, decide again, until done or capped.

Runs inside a workflow. Every decision and every tool call is its own activity, so a crash repeats none that
has finished. History holds only decisions and figures; the conversation is in the transcript store.
"""

import asyncio

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.messages import Decision, ToolCall, ToolOutcome, ToolRequest, Turn
    from agent_workflows.agents.definition import Agent
    from agent_workflows.failures import as_temporal
    from bridge.contracts.agents import AgentResult, AgentStart, Usage
    from bridge.contracts.failures import Code, Refused


async def run_agent(agent: Agent, start: AgentStart) -> AgentResult:
    """Run ``agent`` to its result; raises a terminal ``ApplicationError`` with our code when it cannot."""
    with as_temporal():
        start = start.model_copy(update={"input": agent.spec.validate_input(start.input)})
        deadline = workflow.now() + agent.caps.wall_time
        usage, outcomes = Usage(), tuple[ToolOutcome, ...]()
        while True:
            _check_caps(agent, usage, out_of_time=workflow.now() > deadline)
            decision = await _decide(start, usage.turns, outcomes)
            usage = _add(usage, decision)
            if decision.output is not None:
                return AgentResult(
                    tenant=start.tenant,
                    agent=agent.name,
                    request_id=start.request_id,
                    output=decision.output,
                    usage=usage,
                )
            found = await asyncio.gather(*(_call_tool(start, call) for call in decision.calls))
            outcomes = decision.problems + tuple(found)


async def _decide(start: AgentStart, version: int, outcomes: tuple[ToolOutcome, ...]) -> Decision:
    info = workflow.info()
    turn = Turn(start=start, run=f"{info.workflow_id}:{info.run_id}", version=version, outcomes=outcomes)
    decision: Decision = await workflow.execute_activity(
        "decide",
        turn,
        result_type=Decision,
        start_to_close_timeout=policies.MODEL.start_to_close,
        heartbeat_timeout=policies.HEARTBEAT,
        retry_policy=policies.MODEL.retry,
        summary=f"turn {version + 1}",
    )
    return decision


async def _call_tool(start: AgentStart, call: ToolCall) -> ToolOutcome:
    figures = await workflow.execute_activity(
        call.tool,
        ToolRequest(start=start, call=call),
        result_type=dict,
        start_to_close_timeout=policies.DATA.start_to_close,
        retry_policy=policies.DATA.retry,
        summary=", ".join(f"{name}={value}" for name, value in call.arguments.items())[:180] or call.tool,
    )
    return ToolOutcome(id=call.id, tool=call.tool, figures=figures)


def _check_caps(agent: Agent, usage: Usage, *, out_of_time: bool) -> None:
    caps = agent.caps
    tokens = usage.input_tokens + usage.output_tokens
    if usage.turns >= caps.turns:
        reached = f"{caps.turns} turns"
    elif tokens >= caps.tokens:
        reached = f"{caps.tokens} tokens"
    elif out_of_time:
        reached = f"{caps.wall_time} of wall time"
    else:
        return
    raise Refused(Code.CAP_REACHED, f"agent {agent.name!r} stopped without a result at its cap of {reached}")


def _add(usage: Usage, decision: Decision) -> Usage:
    return Usage(
        model=decision.model,
        turns=usage.turns + 1,
        model_calls=usage.model_calls + 1,
        tool_calls=usage.tool_calls + len(decision.calls),
        input_tokens=usage.input_tokens + decision.input_tokens,
        output_tokens=usage.output_tokens + decision.output_tokens,
    )
