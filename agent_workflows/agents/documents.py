"""The agent that summarises a document. Pure."""

from typing import Final

from agent_workflows.agents.definition import Agent, Tool
from agent_workflows.agents.models import Purpose
from agent_workflows.agents.pages import ReadPage
from bridge.contracts.catalog.process_document import SUMMARISE_DOCUMENT

READ_TEXT: Final = Tool(
    "read_text", "A page of the document's text, up to 16,000 characters, from an offset.", ReadPage
)

SUMMARISER: Final = Agent(
    spec=SUMMARISE_DOCUMENT,
    instructions=(
        "Read the whole document with read_text, then give a summary of a few sentences and its main points. "
        "Say nothing that is not in it."
    ),
    tools=(READ_TEXT,),
    purpose=Purpose.EXTRACT,
)
