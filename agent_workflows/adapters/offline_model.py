"""The offline analyst behind the model interface. Says what it is in its name, so in every log and report."""

import asyncio
import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Final

from pydantic import BaseModel
from pydantic_ai.messages import (
    ModelMessage,
    ModelRequest,
    ModelResponse,
    TextPart,
    ToolCallPart,
    ToolReturnPart,
    UserPromptPart,
)
from pydantic_ai.models.function import AgentInfo, FunctionModel

from agent_workflows.activities.messages import FINAL, REQUEST
from agent_workflows.agents.analyst import Figures, Rates, conclude, rates
from agent_workflows.agents.documents import READ_TEXT
from agent_workflows.agents.research import READ_PAGE
from agent_workflows.agents.research_desk import draft, first_sentences, notes, plan
from agent_workflows.agents.support import RECALL, REMEMBER
from agent_workflows.agents.support_desk import is_preference, reply
from bridge.contracts.catalog.gate_notice import GateNotice
from bridge.contracts.catalog.process_document import Summary
from bridge.contracts.catalog.research_roles import Draft, Notes, Plan, PlanResearch, ReadDocument, WriteReport
from bridge.contracts.catalog.support import Reply

OFFLINE_MODEL: Final = "offline-analyst (rules, not a language model)"

FIRST_LOOK: Final = (
    ("tenant_rates", {"by": "day"}),
    ("market_rates", {"by": "day"}),
    ("tenant_history", {"days": 28}),
)
CLOSER_LOOK: Final = (
    ("tenant_rates", {"by": "airport"}),
    ("market_rates", {"by": "airport"}),
    ("weather", {"by": "airport"}),
    ("tenant_rates", {"by": "hour"}),
)


def offline_model(pace_seconds: float = 0.0) -> FunctionModel:
    """``pace_seconds`` slows each answer, so that a run can be watched or interrupted."""

    async def answer(messages: list[ModelMessage], info: AgentInfo) -> ModelResponse:
        await asyncio.sleep(pace_seconds)
        if any(tool.name == "post_notice" for tool in info.function_tools):
            return _notice(messages, info)
        if not info.output_tools:
            return ModelResponse(parts=[TextPart(_said(messages[-1]))])  # a sentence to word: rules word it already
        asked_for = info.output_tools[0].parameters_json_schema.get("title")
        return PARTS.get(str(asked_for), _investigate)(messages)

    return FunctionModel(answer, model_name=OFFLINE_MODEL)


def _investigate(messages: Sequence[ModelMessage]) -> ModelResponse:
    match len([m for m in messages if isinstance(m, ModelResponse)]):
        case 0:
            return _calls(FIRST_LOOK, turn=1)
        case 1:
            return _calls(CLOSER_LOOK, turn=2)
        case _:
            return _final(conclude(_figures(list(_returned(messages)))))


def _notice(messages: Sequence[ModelMessage], info: AgentInfo) -> ModelResponse:
    """Look up, post, conclude; for whoever's loop it is."""
    airport = next(p.content for m in messages for p in m.parts if isinstance(p, UserPromptPart))[-3:]
    turn = sum(1 for message in messages if isinstance(message, ModelResponse)) + 1
    text = f"Flights from {airport} may be late. (Written by rules, not by a language model.)"
    match turn:
        case 1:
            return _calls([("usual_delay", {"airport": airport})], turn=turn)
        case 2:
            return _calls([("post_notice", {"text": text})], turn=turn)
        case _ if info.output_tools:
            last = messages[-1].parts[-1]
            posted = isinstance(last, ToolReturnPart) and str(last.content).startswith("posted")
            return _final(GateNotice(airport=str(airport), text=text, posted=posted))
        case _:
            return ModelResponse(parts=[TextPart(text)])


def _read(messages: Sequence[ModelMessage]) -> ModelResponse:
    """Page by page, then the notes."""
    if (offset := _next_page(messages)) is not None:
        return _calls([(READ_PAGE.name, {"offset": offset})], turn=offset + 1)
    asked = ReadDocument.model_validate(_request(messages))
    return _final(notes(asked.topic, _text(messages)))


def _summarise(messages: Sequence[ModelMessage]) -> ModelResponse:
    """Page by page, then its first sentences."""
    if (offset := _next_page(messages)) is not None:
        return _calls([(READ_TEXT.name, {"offset": offset})], turn=offset + 1)
    return _final(first_sentences(_text(messages)))


def _next_page(messages: Sequence[ModelMessage]) -> int | None:
    pages = [content for _, content in _returned(messages)]
    return pages[-1]["next_offset"] if pages else 0


def _text(messages: Sequence[ModelMessage]) -> str:
    return "".join(content["text"] for _, content in _returned(messages))


def _request(messages: Sequence[ModelMessage]) -> dict[str, Any]:
    """The run's request, as the first prompt tells it."""
    request: dict[str, Any] = json.loads(_said(messages[0]).split(REQUEST, 1)[1])
    return request


def _final(output: BaseModel) -> ModelResponse:
    return ModelResponse(parts=[ToolCallPart(FINAL, output.model_dump(mode="json"), tool_call_id="final")])


def _support(messages: Sequence[ModelMessage]) -> ModelResponse:
    """Since the customer's last message: recall and remember first, then reply."""
    last = max(n for n, message in enumerate(messages) if _said(message))
    said, since = _said(messages[last]), messages[last + 1 :]
    turn = sum(1 for message in messages if isinstance(message, ModelResponse)) + 1
    if not any(isinstance(message, ModelResponse) for message in since):
        keeps = [(REMEMBER.name, {"text": said[:2000]})] if is_preference(said) else []
        return _calls([(RECALL.name, {"about": said[:500]}), *keeps], turn=turn)
    found = dict(_returned(since))
    text = reply(said, found.get(RECALL.name, {}).get("memories", ()), remembered=REMEMBER.name in found)
    return ModelResponse(parts=[ToolCallPart(FINAL, {"text": text}, tool_call_id=f"final-{turn}")])


def _said(message: ModelMessage) -> str:
    """What the customer says in a message: its last prompt, but for the one that only opens the conversation."""
    prompts = [p.content for p in message.parts if isinstance(p, UserPromptPart)] if message.kind == "request" else []
    return str(prompts[-1]) if prompts else ""


def _calls(wanted: Sequence[tuple[str, Mapping[str, Any]]], *, turn: int) -> ModelResponse:
    return ModelResponse(
        parts=[
            ToolCallPart(tool, dict(arguments), tool_call_id=f"turn{turn}-{number}-{tool}")
            for number, (tool, arguments) in enumerate(wanted, start=1)
        ]
    )


def _returned(messages: Sequence[ModelMessage]) -> Iterator[tuple[str, dict[str, Any]]]:
    for message in messages:
        if isinstance(message, ModelRequest):
            for part in message.parts:
                if isinstance(part, ToolReturnPart) and isinstance(part.content, dict):
                    yield part.tool_name, dict(part.content)


def _figures(returned: Sequence[tuple[str, dict[str, Any]]]) -> Figures:
    def groups(tool: str, by: str) -> dict[str, Rates]:
        found = [content["rates"] for name, content in returned if name == tool and content.get("by") == by]
        return {row["group"]: rates(row) for row in found[0]} if found else {}

    own, others = groups("tenant_rates", "airport"), groups("market_rates", "airport")
    weather = [content["weather"] for name, content in returned if name == "weather"]
    days = [content["days"] for name, content in returned if name == "tenant_history"]
    history = [rates(row) for row in (days[0] if days else [])]
    none = Rates(0, 0, 0)
    return Figures(
        tenant=next(iter(groups("tenant_rates", "day").values()), none),
        market=next(iter(groups("market_rates", "day").values()), none),
        bad_hours={
            row["group"]: int(row["bad_hours"]) for row in (weather[0] if weather else []) if row["group"] in own
        },
        history=Rates(
            sum(day.flights for day in history),
            sum(day.cancelled for day in history),
            sum(day.late for day in history),
        ),
        airports={airport: (counted, others.get(airport, none)) for airport, counted in own.items()},
    )


PARTS: Final[Mapping[str, Callable[[Sequence[ModelMessage]], ModelResponse]]] = MappingProxyType(
    {
        Reply.__name__: _support,
        Notes.__name__: _read,
        Summary.__name__: _summarise,
        Plan.__name__: lambda told: _final(plan(PlanResearch.model_validate(_request(told)))),
        Draft.__name__: lambda told: _final(draft(WriteReport.model_validate(_request(told)))),
    }
)
"""What is played, by what is asked for."""
