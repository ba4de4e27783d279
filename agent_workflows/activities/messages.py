"""What passes between the agent loop and its activities. Small: the transcript itself stays outside history."""

from typing import Any

from pydantic import Field

from bridge.contracts.agents import AgentStart, Frozen
from bridge.contracts.events import AgentCompleted


class ToolCall(Frozen):
    id: str
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class ToolOutcome(Frozen):
    """What a call brought: ``figures``, or ``problem`` for the model to read and mend."""

    id: str
    tool: str
    figures: dict[str, Any] | None = None
    problem: str | None = None


class Turn(Frozen):
    """One question to the model: everything before ``version`` is in the transcript store."""

    start: AgentStart
    run: str
    version: int
    outcomes: tuple[ToolOutcome, ...] = ()


class Decision(Frozen):
    """What the model decided: calls to make, or the output. ``problems`` go back to it next turn."""

    calls: tuple[ToolCall, ...] = ()
    output: dict[str, Any] | None = None
    problems: tuple[ToolOutcome, ...] = ()
    model: str
    input_tokens: int = 0
    output_tokens: int = 0


class ToolRequest(Frozen):
    """A tool call with everything it may see: its tenant and pinned snapshots come from the run, not the model."""

    start: AgentStart
    call: ToolCall


class CompletionRecord(Frozen):
    tenant: str
    cause: str
    completed: AgentCompleted
