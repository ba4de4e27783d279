"""The agents of ``research_report``, and the rules by which their work is checked. Pure."""

import re
from collections.abc import Collection
from typing import Final

from agent_workflows.agents.definition import Agent, Tool
from agent_workflows.agents.models import Purpose
from agent_workflows.agents.pages import ReadPage
from bridge.contracts.catalog.research_roles import PLAN_RESEARCH, READ_DOCUMENT, WRITE_REPORT, Draft, Notes

READ_PAGE: Final = Tool("read_page", "A page of your document, up to 16,000 characters, from an offset.", ReadPage)

PLANNER: Final = Agent(
    spec=PLAN_RESEARCH,
    instructions=(
        "Plan a search of a document corpus for the topic: one to five queries of a few words each. The search "
        "matches words. Where problems are given, earlier queries led to them: search otherwise."
    ),
    tools=(),
)
READER: Final = Agent(
    spec=READ_DOCUMENT,
    instructions=(
        "Read your document with read_page and note what it says on the topic: a summary of a few sentences, and one "
        "to five quotes that bear it out, copied word for word. Say nothing that is not in the document."
    ),
    tools=(READ_PAGE,),
    purpose=Purpose.EXTRACT,
)
WRITER: Final = Agent(
    spec=WRITE_REPORT,
    instructions=(
        "Write a report on the topic in Markdown from the notes of the sources, and from nothing else. Name the "
        "sources you used. Where feedback is given, work all of it into the previous text."
    ),
    tools=(),
    purpose=Purpose.WRITE,
)


def problem_of_notes(notes: Notes, text: str) -> str | None:
    """What is wrong with notes on a document, or None: a quote must stand in it, however its lines are broken."""
    document = _words(text)
    for quote in notes.quotes:
        if _words(quote) not in document:
            return f"the quote {quote[:100]!r} is not in the document"
    return None


def problem_of_draft(draft: Draft, sources: Collection[str]) -> str | None:
    """What is wrong with a draft, or None: it may rest only on sources that were read and found good."""
    unknown = sorted(set(draft.sources) - set(sources))
    return f"these are none of the sources: {', '.join(unknown)}" if unknown else None


def _words(text: str) -> str:
    return re.sub(r"\s+", " ", text).strip()
