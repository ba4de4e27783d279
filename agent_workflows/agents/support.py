"""The agent that talks with a customer and remembers what it should know next time."""

import datetime as dt
from typing import Final

from pydantic import BaseModel, ConfigDict, Field

from agent_workflows.agents.definition import Agent, Caps, Tool
from bridge.contracts.catalog.support import SUPPORT, Reply


class Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class Recall(Arguments):
    about: str = Field(max_length=500, description="Words to look for")
    most: int = Field(default=5, ge=1, le=20, description="How many memories at most")


class Remember(Arguments):
    text: str = Field(min_length=1, max_length=2000, description="One fact or preference, in a sentence")


RECALL: Final = Tool(
    "recall", "What is remembered of this customer from earlier conversations, best match first.", Recall
)
REMEMBER: Final = Tool("remember", "Remember a fact or preference of this customer for later conversations.", Remember)

AGENT: Final = Agent(
    spec=SUPPORT,
    instructions=(
        "You are the support desk of an airline. Answer the customer's last message. Look first at what is "
        "remembered of the customer; remember preferences they state. Say only what you know. "
        "Reply with final_result."
    ),
    tools=(RECALL, REMEMBER),
    answer=Reply,
    caps=Caps(turns=2000, tokens=2_000_000, wall_time=dt.timedelta(days=366), cost_microdollars=20_000_000),
)
