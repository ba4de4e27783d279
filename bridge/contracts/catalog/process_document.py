"""``process_document``: a delivered document becomes text, the text a summary, and both are stored.

``summarise_document`` is its agent, and that of the DAG that does the same job.
"""

from typing import Annotated, Final

from pydantic import Field, StringConstraints

from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.catalog.research_roles import AGENT_WORKFLOW

NAME: Final = r"^[A-Za-z0-9][A-Za-z0-9._-]{0,199}$"
DocumentName = Annotated[str, StringConstraints(pattern=NAME)]
Point = Annotated[str, StringConstraints(min_length=1, max_length=500)]


class DocumentRequest(Frozen):
    """Request: ``name`` of a document that was delivered to ``documents/{tenant}/`` in the raw bucket."""

    name: DocumentName


class Summary(Frozen):
    summary: str = Field(min_length=1, max_length=2000)
    points: tuple[Point, ...] = Field(default=(), max_length=10)


class Processed(Frozen):
    """Result. ``stored`` is where the summary is, ``characters`` how long the text is."""

    summary: str
    stored: str
    characters: int


PROCESS_DOCUMENT: Final = AgentSpec(
    name="process_document", workflow="ProcessDocumentWorkflow", request=DocumentRequest, result=Processed
)
SUMMARISE_DOCUMENT: Final = AgentSpec(
    name="summarise_document", workflow=AGENT_WORKFLOW, request=DocumentRequest, result=Summary
)
