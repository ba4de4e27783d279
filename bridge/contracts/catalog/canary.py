"""``canary``: shows that starting, messages, an effect and completing all work."""

import datetime as dt
from types import MappingProxyType
from typing import Final

from pydantic import Field

from bridge.contracts.agents import AgentSpec, Frozen


class RunCanary(Frozen):
    """Request: show that starting, working, an effect and completing all work; wait for ``notes`` notes first."""

    notes: int = Field(default=0, ge=0, le=100)


class Note(Frozen):
    """A message to a running canary, by signal or update."""

    text: str = Field(max_length=1000)


class CanaryReturned(Frozen):
    """Result of ``canary``. ``effect`` is the idempotency key of the one effect it made."""

    effect: str
    notes: tuple[str, ...] = ()


NOTE: Final = "note"
"""Signal of the canary."""
RECORD_NOTE: Final = "record_note"
"""Update of the canary."""

CANARY: Final = AgentSpec(
    name="canary",
    workflow="CanaryWorkflow",
    request=RunCanary,
    result=CanaryReturned,
    messages=MappingProxyType({NOTE: Note, RECORD_NOTE: Note}),
    execution_timeout=dt.timedelta(hours=6),
)
