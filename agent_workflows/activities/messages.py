"""What passes between the agent loop and its activities. Small: the transcript itself stays outside history."""

from typing import Any, Final

from pydantic import Field

from agent_workflows.agents.models import Purpose
from bridge.contracts.agents import AgentStart, Frozen
from bridge.contracts.catalog.research_roles import Notes
from bridge.contracts.events import (
    AgentCompleted,
    AgentReplied,
    AgentWaiting,
    ApprovalAnswered,
    ApprovalClosed,
    QualityChanged,
    ReminderDue,
)

FINAL: Final = "final_result"
"""The tool by which a model gives its output."""
REQUEST: Final = "Request: "
"""What stands before the request, as JSON, in the first prompt."""
KEPT: Final = "kept_at"
"""A tool's result that is too large for history is ``{KEPT: …}`` there."""


class ToolCall(Frozen):
    id: str
    tool: str
    arguments: dict[str, Any] = Field(default_factory=dict)


class Kept(Frozen):
    """Where a result too large for history is kept: a step of a run in the platform database."""

    run: str
    step: str
    bytes: int


class ToolOutcome(Frozen):
    """What a call brought: ``figures``, or where they are ``kept``, or a ``problem`` for the model to read and mend."""

    id: str
    tool: str
    figures: dict[str, Any] | None = None
    kept: Kept | None = None
    problem: str | None = None


class Turn(Frozen):
    """One question to the model. Its answer is stored as ``(run, version)``.

    The answer before it was stored under ``parent``, which is another run's where the workflow continued as new or
    was reset; everything before that is in the transcript store.

    A loop that is not ours says in ``added`` what it adds to the conversation, in ``parameters`` what else it asks
    with, both as JSON, and in ``purpose`` what for.
    """

    start: AgentStart
    run: str
    version: int
    parent: str = ""
    outcomes: tuple[ToolOutcome, ...] = ()
    added: str = ""
    parameters: str = ""
    purpose: Purpose = Purpose.REASON


class Decision(Frozen):
    """What the model decided: calls to make, or the output. ``problems`` go back to it next turn.

    ``run`` is what it was stored under. ``response`` is the whole answer as JSON, for a loop that is not ours.
    """

    calls: tuple[ToolCall, ...] = ()
    output: dict[str, Any] | None = None
    output_call: str = ""
    problems: tuple[ToolOutcome, ...] = ()
    model: str
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microdollars: int = 0
    run: str = ""
    response: str = ""


class ToolRequest(Frozen):
    """A tool call with everything it may see: its tenant and pinned snapshots come from the run, not the model."""

    start: AgentStart
    call: ToolCall


class BorrowedCall(Frozen):
    """A tool call of an agent whose loop is not ours: its result goes to that loop, so it travels in history."""

    start: AgentStart
    call: ToolCall


class BorrowedResult(Frozen):
    """What a borrowed tool returned, or a ``problem`` that its model should mend."""

    value: Any = None
    problem: str | None = None


class CompletionRecord(Frozen):
    tenant: str
    cause: str
    completed: AgentCompleted


class ApprovalRecord(Frozen):
    """A step of a question to people, to be stored and told."""

    tenant: str
    cause: str
    event_id: str
    fact: AgentWaiting | ApprovalAnswered | ApprovalClosed


class FactRecord(Frozen):
    """Something to be told once; the id says what counts as the same."""

    tenant: str
    cause: str
    event_id: str
    fact: QualityChanged | ReminderDue | AgentReplied


class QualityLook(Frozen):
    tenant: str
    dataset: str


class DocumentSearch(Frozen):
    """Find documents that a tenant may read, by any of ``queries``, but for those in ``without``."""

    tenant: str
    queries: tuple[str, ...]
    most: int
    without: tuple[str, ...] = ()


class Found(Frozen):
    document: str
    title: str


class NotesCheck(Frozen):
    tenant: str
    document: str
    notes: Notes


class ReportRecord(Frozen):
    """A report to be published once, for the run that wrote it."""

    start: AgentStart
    text: str


class DocumentStep(Frozen):
    """A document of a tenant, and its summary where there is one."""

    tenant: str
    name: str
    summary: dict[str, Any] = Field(default_factory=dict)


class OrderStep(Frozen):
    """A step of an order. ``attempt`` counts the times that a person asked for it again."""

    start: AgentStart
    attempt: int = 0
