"""``follow_up``: reminds somebody after a time, unless what it waits for has happened by then."""

import datetime as dt
from types import MappingProxyType
from typing import Final

from pydantic import Field

from bridge.contracts.agents import AgentSpec, Frozen


class FollowUp(Frozen):
    """Request: remind ``to`` of ``text`` after ``after``, and again each ``after``, ``times`` times in all."""

    to: str = Field(min_length=1, max_length=254)
    text: str = Field(min_length=1, max_length=2000)
    after: dt.timedelta = Field(ge=dt.timedelta(seconds=1), le=dt.timedelta(days=366))
    times: int = Field(default=1, ge=1, le=100)


class Settled(Frozen):
    """Message: what was waited for has happened."""

    how: str = Field(default="", max_length=2000)


class FollowedUp(Frozen):
    """Result. ``settled`` says how it was settled, None if it never was."""

    reminders: int
    settled: str | None = None


SETTLE: Final = "settle"
"""Signal of ``follow_up``."""

FOLLOW_UP: Final = AgentSpec(
    name="follow_up",
    workflow="FollowUpWorkflow",
    request=FollowUp,
    result=FollowedUp,
    messages=MappingProxyType({SETTLE: Settled}),
    execution_timeout=None,
)
