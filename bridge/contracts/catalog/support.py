"""``support``: a conversation with one customer that lasts for weeks, and what is remembered beyond it."""

import datetime as dt
from types import MappingProxyType
from typing import Final

from pydantic import Field

from bridge.contracts.agents import AgentSpec, Frozen


class Support(Frozen):
    """Request: open a conversation with ``customer``. It closes after ``idle`` without a word."""

    customer: str = Field(min_length=1, max_length=200)
    idle: dt.timedelta = Field(default=dt.timedelta(days=7), ge=dt.timedelta(seconds=1), le=dt.timedelta(days=366))


class Said(Frozen):
    """Message: what the customer said."""

    text: str = Field(min_length=1, max_length=8000)


class Reply(Frozen):
    """What the model gives each time; the customer reads ``text``."""

    text: str = Field(min_length=1, max_length=8000)


class Talked(Frozen):
    """Result, when the conversation has closed."""

    messages: int


SAY: Final = "say"
"""Signal of ``support``: the reply becomes an event."""
ASK: Final = "ask"
"""Update of ``support``: returns the reply."""

SUPPORT: Final = AgentSpec(
    name="support",
    workflow="SupportWorkflow",
    request=Support,
    result=Talked,
    messages=MappingProxyType({SAY: Said, ASK: Said}),
    execution_timeout=None,
)
