"""The ``Thinker`` port over pydantic-ai: any OpenAI-compatible endpoint, Anthropic, or the offline analyst's model.

One request, no vendor retries: Temporal retries. The same code path for every model.
"""

from collections.abc import Sequence
from typing import Any, Final, Literal

from pydantic import BaseModel, SecretStr, ValidationError
from pydantic_ai.direct import model_request
from pydantic_ai.exceptions import ModelHTTPError, UnexpectedModelBehavior
from pydantic_ai.messages import (
    ModelMessage,
    ModelMessagesTypeAdapter,
    ModelRequest,
    ModelRequestPart,
    ModelResponse,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models import Model, ModelRequestParameters
from pydantic_ai.tools import ToolDefinition
from pydantic_ai.usage import RequestUsage

from agent_workflows.activities.messages import Decision, ToolCall, ToolOutcome, Turn
from agent_workflows.agents.definition import Agent
from bridge.contracts.failures import Code, Owner, Refused, Unavailable, describe

FINAL: Final = "final_result"
RETRIED_STATUS: Final = frozenset({408, 409, 425, 429})
SERVER_ERROR: Final = 500

Provider = Literal["openai", "anthropic"]


class ModelThinker:
    """``counts_tokens`` is off for the offline analyst: it reads no tokens, so none are reported."""

    def __init__(self, model: Model, *, counts_tokens: bool = True) -> None:
        self._model = model
        self._counts_tokens = counts_tokens

    async def decide(self, agent: Agent, turn: Turn, transcript: Sequence[bytes]) -> tuple[Decision, bytes]:
        past = [message for part in transcript for message in ModelMessagesTypeAdapter.validate_json(part)]
        question = ModelRequest(parts=_parts(turn), instructions=agent.instructions)
        response = await self._ask([*past, question], agent)
        if not self._counts_tokens:
            response.usage = RequestUsage()
        added = ModelMessagesTypeAdapter.dump_json([question, response])
        return _decision(response, agent), added

    async def _ask(self, messages: list[ModelMessage], agent: Agent) -> ModelResponse:
        try:
            return await model_request(self._model, messages, model_request_parameters=_parameters(agent))
        except ModelHTTPError as error:
            raise _sorted(error) from error
        except UnexpectedModelBehavior as error:
            raise Unavailable(f"the model's answer could not be read: {error}") from error


def _parts(turn: Turn) -> list[ModelRequestPart]:
    if turn.version == 0:
        asked = "; ".join(f"{name} = {value}" for name, value in turn.start.input.items())
        return [UserPromptPart(f"Tenant {turn.start.tenant}. Request: {asked}.")]
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
            parameters_json_schema=tool.arguments.model_json_schema(),
        )
        for tool in agent.tools
    ]
    final = ToolDefinition(
        name=FINAL,
        description="The result. Call this once, at the end, with every field filled in.",
        parameters_json_schema=agent.spec.result.model_json_schema(),
        kind="output",
    )
    return ModelRequestParameters(
        function_tools=tools, output_tools=[final], output_mode="tool", allow_text_output=False
    )


def _decision(response: ModelResponse, agent: Agent) -> Decision:
    """Validate what the model wants; what is wrong goes back to it as a problem, never into a tool."""
    spent = {
        "model": response.model_name or "unnamed model",
        "input_tokens": response.usage.input_tokens,
        "output_tokens": response.usage.output_tokens,
    }
    calls: list[ToolCall] = []
    problems: list[ToolOutcome] = []
    for part in (part for part in response.parts if isinstance(part, ToolCallPart)):
        arguments, problem = _validated(part, _schema(part.tool_name, agent))
        if problem or arguments is None:
            problems.append(ToolOutcome(id=part.tool_call_id, tool=part.tool_name, problem=problem))
        elif part.tool_name == FINAL:
            return Decision(output=arguments, **spent)
        else:
            calls.append(ToolCall(id=part.tool_call_id, tool=part.tool_name, arguments=arguments))
    if not calls and not problems:
        problems.append(ToolOutcome(id="", tool="", problem=f"Call a tool, or {FINAL} with your conclusion."))
    return Decision(calls=tuple(calls), problems=tuple(problems), **spent)


def _schema(tool_name: str, agent: Agent) -> type[BaseModel] | None:
    if tool_name == FINAL:
        return agent.spec.result
    tool = agent.tool(tool_name)
    return tool.arguments if tool else None


def _validated(part: ToolCallPart, schema: type[BaseModel] | None) -> tuple[dict[str, Any] | None, str | None]:
    if schema is None:
        return None, f"There is no tool {part.tool_name!r}."
    try:
        return schema.model_validate(part.args_as_dict()).model_dump(mode="json"), None
    except ValidationError as error:
        return None, f"Not valid: {describe(error)}. Mend it and call again."
    except ValueError as error:
        return None, f"The arguments are not JSON: {error}. Mend it and call again."


def _sorted(error: ModelHTTPError) -> Refused | Unavailable:
    """Too many requests and server errors are worth another try; other refusals never become a yes."""
    if error.status_code in RETRIED_STATUS or error.status_code >= SERVER_ERROR:
        return Unavailable(f"the model {error.model_name!r} answered {error.status_code}")
    problem = f"the model {error.model_name!r} refused the request ({error.status_code}): {str(error.body)[:300]}"
    return Refused(Code.MODEL_REFUSED, problem, owner=Owner.PLATFORM)


def build_model(provider: Provider, *, name: str, base_url: str | None, api_key: SecretStr | None) -> Model:
    """The model behind the settings; vendors' own retries are off."""
    key = api_key.get_secret_value() if api_key else "not-needed"
    if provider == "openai":
        from openai import AsyncOpenAI  # noqa: PLC0415 - imported for this provider only
        from pydantic_ai.models.openai import OpenAIChatModel  # noqa: PLC0415
        from pydantic_ai.providers.openai import OpenAIProvider  # noqa: PLC0415

        client = AsyncOpenAI(base_url=base_url, api_key=key, max_retries=0)
        return OpenAIChatModel(name, provider=OpenAIProvider(openai_client=client))
    from anthropic import AsyncAnthropic  # noqa: PLC0415
    from pydantic_ai.models.anthropic import AnthropicModel  # noqa: PLC0415
    from pydantic_ai.providers.anthropic import AnthropicProvider  # noqa: PLC0415

    anthropic = AsyncAnthropic(base_url=base_url, api_key=key, max_retries=0)
    return AnthropicModel(name, provider=AnthropicProvider(anthropic_client=anthropic))
