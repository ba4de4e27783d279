"""The ``Thinker`` port over pydantic-ai: what the agent is told, and what its model's answer means."""

import json
from collections.abc import Sequence
from functools import cache
from typing import Any, Final

from pydantic import BaseModel, TypeAdapter, ValidationError
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import ModelRequestParameters
from pydantic_ai.tools import ToolDefinition

from agent_workflows.activities.messages import FINAL, REQUEST, Decision, ToolCall, ToolOutcome, Turn
from agent_workflows.adapters.providers import Answer, Models
from agent_workflows.agents.definition import Agent
from agent_workflows.ports import PassedOver
from bridge.contracts.failures import Code, Refused, describe

MOST_OUTPUT_BYTES: Final = 64 * 1024
"""The output travels in history and in the completion; what is larger belongs in the store, behind a reference."""


PARAMETERS: Final = TypeAdapter(ModelRequestParameters)


class ModelThinker:
    def __init__(self, models: Models) -> None:
        self._models = models

    async def decide(
        self, agent: Agent, turn: Turn, transcript: Sequence[bytes], passed_over: PassedOver
    ) -> tuple[Decision, bytes]:
        past = [message for part in transcript for message in ModelMessagesTypeAdapter.validate_json(part)]
        question = ModelRequest(parts=_parts(turn), instructions=agent.instructions)
        answer = await self._models.ask(
            agent.purpose, [*past, question], _parameters(agent), key=_key(turn), passed_over=passed_over
        )
        added = ModelMessagesTypeAdapter.dump_json([question, answer.response])
        return _decision(answer, agent), added

    async def reply(self, turn: Turn, transcript: Sequence[bytes], passed_over: PassedOver) -> tuple[Decision, bytes]:
        past = [message for part in transcript for message in ModelMessagesTypeAdapter.validate_json(part)]
        asked, parameters = _asked(turn)
        answer = await self._models.ask(
            turn.purpose, [*past, *asked], parameters, key=_key(turn), passed_over=passed_over
        )
        calls = [part for part in answer.response.parts if isinstance(part, ToolCallPart)]
        decision = Decision(
            calls=tuple(ToolCall(id=part.tool_call_id, tool=part.tool_name) for part in calls),
            model=answer.model,
            input_tokens=answer.input_tokens,
            output_tokens=answer.output_tokens,
            cost_microdollars=answer.cost_microdollars,
            run=turn.run,
            response=ModelMessagesTypeAdapter.dump_json([answer.response]).decode(),
        )
        return decision, ModelMessagesTypeAdapter.dump_json([*asked, answer.response])


def _key(turn: Turn) -> str:
    return f"{turn.run}/{turn.version}"


def _asked(turn: Turn) -> tuple[list[ModelMessage], ModelRequestParameters]:
    try:
        return ModelMessagesTypeAdapter.validate_json(turn.added), PARAMETERS.validate_json(turn.parameters)
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"what the agent asks its model cannot be read: {error}") from error


def _parts(turn: Turn) -> list[ModelRequestPart]:
    if turn.version == 0:
        asked = json.dumps(turn.start.input, ensure_ascii=False)
        said = [_outcome_part(outcome) for outcome in turn.outcomes]
        return [UserPromptPart(f"Tenant {turn.start.tenant}. {REQUEST}{asked}"), *said]
    return [_outcome_part(outcome) for outcome in turn.outcomes]


def _outcome_part(outcome: ToolOutcome) -> ModelRequestPart:
    if outcome.problem is None:
        return ToolReturnPart(tool_name=outcome.tool, content=outcome.figures, tool_call_id=outcome.id)
    if not outcome.id:
        return UserPromptPart(outcome.problem)
    return ToolReturnPart(tool_name=outcome.tool, content=outcome.problem, tool_call_id=outcome.id, outcome="retried")


def _parameters(agent: Agent) -> ModelRequestParameters:
    tools = [
        ToolDefinition(
            name=tool.name,
            description=tool.description,
            parameters_json_schema=_json_schema(tool.arguments),
        )
        for tool in agent.tools
    ]
    final = ToolDefinition(
        name=FINAL,
        description="The result. Call this once, at the end, with every field filled in.",
        parameters_json_schema=_json_schema(agent.final),
        kind="output",
    )
    return ModelRequestParameters(
        function_tools=tools, output_tools=[final], output_mode="tool", allow_text_output=False
    )


@cache
def _json_schema(kind: type[BaseModel]) -> dict[str, Any]:
    """Made once: it takes longer than all else that a question needs."""
    return kind.model_json_schema()


def _decision(answer: Answer, agent: Agent) -> Decision:
    """Validate what the model wants; what is wrong goes back to it as a problem, never into a tool."""
    calls: list[ToolCall] = []
    problems: list[ToolOutcome] = []
    output: dict[str, Any] | None = None
    output_call = ""
    for part in (part for part in answer.response.parts if isinstance(part, ToolCallPart)):
        arguments, problem = _validated(part, _schema(part.tool_name, agent))
        if problem is None and len(calls) == agent.caps.calls:
            problem = f"Only {agent.caps.calls} calls a turn are made. Call again next turn."
        if problem or arguments is None:
            problems.append(ToolOutcome(id=part.tool_call_id, tool=part.tool_name, problem=problem))
        elif part.tool_name == FINAL:
            output, output_call = output or arguments, output_call or part.tool_call_id
        else:
            calls.append(ToolCall(id=part.tool_call_id, tool=part.tool_name, arguments=arguments))
    if output is not None:
        unmade = [(call.id, call.tool) for call in calls] + [(problem.id, problem.tool) for problem in problems]
        problems = [ToolOutcome(id=i, tool=tool, problem="Not made: you had concluded.") for i, tool in unmade]
        calls = []
    elif not calls and not problems:
        problems.append(ToolOutcome(id="", tool="", problem=f"Call a tool, or {FINAL} with your conclusion."))
    return Decision(
        calls=tuple(calls),
        problems=tuple(problems),
        output=output,
        output_call=output_call,
        model=answer.model,
        input_tokens=answer.input_tokens,
        output_tokens=answer.output_tokens,
        cost_microdollars=answer.cost_microdollars,
    )


def _schema(tool_name: str, agent: Agent) -> type[BaseModel] | None:
    if tool_name == FINAL:
        return agent.final
    tool = agent.tool(tool_name)
    return tool.arguments if tool else None


def _validated(part: ToolCallPart, schema: type[BaseModel] | None) -> tuple[dict[str, Any] | None, str | None]:
    if schema is None:
        return None, f"There is no tool {part.tool_name!r}."
    try:
        valid = schema.model_validate(part.args_as_dict())
    except ValidationError as error:
        return None, f"Not valid: {describe(error)}. Mend it and call again."
    except ValueError as error:
        return None, f"The arguments are not JSON: {error}. Mend it and call again."
    size = len(valid.model_dump_json())
    if size > MOST_OUTPUT_BYTES:
        return None, f"Too large: {size} bytes, the limit is {MOST_OUTPUT_BYTES}. Make it shorter and call again."
    return valid.model_dump(mode="json"), None
