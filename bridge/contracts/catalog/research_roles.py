"""The agents that ``research_report`` sends out: one plans, some read, one writes. Each is an agent of its own."""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.catalog.research_report import TEXT, TITLE

Line = Annotated[str, StringConstraints(min_length=1, max_length=500)]
Query = Annotated[str, StringConstraints(min_length=1, max_length=200)]
DocumentId = Annotated[str, StringConstraints(min_length=1, max_length=500)]

AGENT_WORKFLOW: Final = "AgentWorkflow"
"""The workflow of every agent that is nothing but its definition."""


class PlanResearch(Frozen):
    """Request: how to search for ``topic``. ``problems`` are what came of the plans before."""

    topic: str = Field(min_length=3, max_length=500)
    problems: tuple[Line, ...] = Field(default=(), max_length=100)


class Plan(Frozen):
    queries: tuple[Query, ...] = Field(min_length=1, max_length=5)


class ReadDocument(Frozen):
    """Request: what ``document`` says on ``topic``."""

    topic: str = Field(min_length=3, max_length=500)
    document: DocumentId


class Notes(Frozen):
    """Result: a summary, and passages that stand in the document word for word."""

    summary: str = Field(min_length=1, max_length=1500)
    quotes: tuple[Line, ...] = Field(min_length=1, max_length=5)


class Source(Frozen):
    """A document with what was noted of it."""

    document: DocumentId
    title: str
    notes: Notes


class WriteReport(Frozen):
    """Request: a report from these sources. ``feedback`` is to be worked into ``previous``."""

    topic: str = Field(min_length=3, max_length=500)
    sources: tuple[Source, ...] = Field(min_length=1)
    previous: str = Field(default="", max_length=TEXT)
    feedback: tuple[str, ...] = ()


class Draft(Frozen):
    """Result: Markdown, and the documents it rests on."""

    title: str = Field(min_length=1, max_length=TITLE)
    text: str = Field(min_length=1, max_length=TEXT)
    sources: tuple[DocumentId, ...] = Field(min_length=1)


PLAN_RESEARCH: Final = AgentSpec(name="plan_research", workflow=AGENT_WORKFLOW, request=PlanResearch, result=Plan)
READ_DOCUMENT: Final = AgentSpec(name="read_document", workflow=AGENT_WORKFLOW, request=ReadDocument, result=Notes)
WRITE_REPORT: Final = AgentSpec(name="write_report", workflow=AGENT_WORKFLOW, request=WriteReport, result=Draft)
