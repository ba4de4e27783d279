"""The job of ``gate_notice`` in plain Python, as anybody writes a function-calling loop: no framework, no runtime.

``chat`` takes messages and tools in OpenAI's format and returns the assistant's message.
"""

import json
from collections.abc import Awaitable, Callable
from typing import Any, Final

from agent_workflows.agents.gate_notice import USUAL_MINUTES

Chat = Callable[[list[dict[str, Any]], list[dict[str, Any]]], Awaitable[dict[str, Any]]]
Tool = Callable[..., Awaitable[Any]]

INSTRUCTIONS: Final = "Look up how late the airport's flights usually are, then post a short notice and say its text."


def _tool(name: str, description: str, argument: str) -> dict[str, Any]:
    schema = {"type": "object", "properties": {argument: {"type": "string"}}, "required": [argument]}
    return {"type": "function", "function": {"name": name, "description": description, "parameters": schema}}


TOOLS: Final = [
    _tool("usual_delay", "Minutes that flights of an airport are usually late.", "airport"),
    _tool("post_notice", "Post a notice where passengers see it.", "text"),
]


def usual_delay(airline: str, airport: str) -> dict[str, Any]:
    return {"airline": airline, "airport": airport, "minutes": USUAL_MINUTES.get(airport)}


def post_notice(airline: str, text: str) -> dict[str, Any]:
    return {"posted": text, "by": airline}


async def gate_notice(airport: str, *, chat: Chat, tools: dict[str, Tool]) -> dict[str, Any]:
    """``{"airport", "text", "posted"}``."""
    messages: list[dict[str, Any]] = [
        {"role": "system", "content": INSTRUCTIONS},
        {"role": "user", "content": f"Airport {airport}"},
    ]
    posted = False
    while True:
        answer = await chat(messages, TOOLS)
        messages.append(answer)
        calls = answer.get("tool_calls") or []
        if not calls:
            return {"airport": airport, "text": answer["content"], "posted": posted}
        for call in calls:
            name, arguments = call["function"]["name"], json.loads(call["function"]["arguments"])
            result = await tools[name](**arguments) if name in tools else {"error": f"there is no tool {name}"}
            posted = posted or "posted" in result
            messages.append({"role": "tool", "tool_call_id": call["id"], "content": json.dumps(result)})
