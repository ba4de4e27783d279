"""Runs a function-calling loop of plain Python, unchanged, inside a workflow: it is given these for its own calls."""

import json
from collections.abc import Awaitable, Callable
from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from pydantic import TypeAdapter
    from pydantic_ai.messages import (
        ModelMessage,
        ModelMessagesTypeAdapter,
        ModelRequest,
        ModelResponse,
        SystemPromptPart,
        TextPart,
        ToolCallPart,
        ToolReturnPart,
        UserPromptPart,
    )
    from pydantic_ai.models import ModelRequestParameters
    from pydantic_ai.tools import ToolDefinition

    from agent_workflows.workflows.durable import Durable
    from bridge.contracts.approvals import ApprovalVerdict
    from bridge.contracts.failures import Code, Refused

Message = dict[str, Any]
"""A message in OpenAI's chat format."""


class PlainAgent:
    """``chat`` is the loop's model, ``tool`` makes its tools."""

    def __init__(self, durable: Durable) -> None:
        self._durable = durable
        self._known: list[Message] = []

    async def chat(self, messages: list[Message], tools: list[Message]) -> Message:
        """The assistant's message. The model is told only what was added since the call before."""
        known = len(self._known)
        is_more = messages[:known] == self._known
        added = messages[known:] if is_more else messages
        names = {call["id"]: call["function"]["name"] for one in messages for call in one.get("tool_calls") or []}
        functions = [tool["function"] for tool in tools]
        parameters = ModelRequestParameters(
            function_tools=[
                ToolDefinition(
                    name=one["name"],
                    description=one.get("description"),
                    parameters_json_schema=one.get("parameters", {"type": "object", "properties": {}}),
                )
                for one in functions
            ]
        )
        answer = await self._durable.call_model(
            ModelMessagesTypeAdapter.dump_json([_message(one, names) for one in added]).decode(),
            TypeAdapter(ModelRequestParameters).dump_json(parameters).decode(),
            anew=not is_more,
        )
        (response,) = ModelMessagesTypeAdapter.validate_json(answer)
        said = _said(response)
        self._known = [*messages, said]
        return said

    def tool(self, name: str, *, asks: bool = False) -> Callable[..., Awaitable[Any]]:
        """A tool that is called on a worker; one that ``asks`` needs a person's approval first.

        What cannot be called comes back as ``{"error": …}``, what people deny as ``{"denied": …}``.
        """

        async def call(**arguments: Any) -> Any:
            if asks:
                approval = await self._durable.ask_people(name, arguments)
                if approval.verdict is not ApprovalVerdict.APPROVED:
                    return {"denied": "nobody approved it in time" if approval.expired else approval.feedback}
                arguments = approval.subject
            result = await self._durable.call_tool(name, name, arguments)
            return result.value if result.problem is None else {"error": result.problem}

        return call


def _message(said: Message, names: dict[str, str]) -> ModelMessage:
    content = said.get("content") or ""
    match said["role"]:
        case "system" | "developer":
            return ModelRequest(parts=[SystemPromptPart(content)])
        case "user":
            return ModelRequest(parts=[UserPromptPart(content)])
        case "tool":
            called = said["tool_call_id"]
            part = ToolReturnPart(tool_name=names.get(called, ""), content=content, tool_call_id=called)
            return ModelRequest(parts=[part])
        case "assistant":
            calls = [
                ToolCallPart(call["function"]["name"], call["function"]["arguments"], tool_call_id=call["id"])
                for call in said.get("tool_calls") or []
            ]
            return ModelResponse(parts=[*([TextPart(content)] if content else []), *calls])
        case role:
            raise Refused(Code.INVALID_REQUEST, f"a message of role {role!r} is none that a model is told")


def _said(response: ModelMessage) -> Message:
    text = "".join(part.content for part in response.parts if isinstance(part, TextPart))
    calls = [
        {"id": p.tool_call_id, "type": "function", "function": {"name": p.tool_name, "arguments": _arguments(p)}}
        for p in response.parts
        if isinstance(p, ToolCallPart)
    ]
    return {"role": "assistant", "content": text or None} | ({"tool_calls": calls} if calls else {})


def _arguments(part: ToolCallPart) -> str:
    return part.args if isinstance(part.args, str) else json.dumps(part.args or {})
