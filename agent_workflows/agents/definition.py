"""What an agent author writes. Plain data: no engine, no model vendor."""

import datetime as dt
from dataclasses import dataclass
from enum import StrEnum

from pydantic import BaseModel

from agent_workflows.agents.models import Purpose
from agent_workflows.agents.queues import Kind
from bridge.contracts.agents import AgentSpec


@dataclass(frozen=True, slots=True)
class Caps:
    """Where a run stops by itself, with ``cap_reached``. Its tenant's limits may be lower, never higher.

    ``calls`` is how many tool calls one turn may make; what a model wants beyond it goes back to it as a problem.
    """

    turns: int = 12
    tokens: int = 200_000
    wall_time: dt.timedelta = dt.timedelta(minutes=30)
    cost_microdollars: int = 5_000_000
    calls: int = 32


class Calls(StrEnum):
    """What a tool calls, and so how it is retried: the table is ``agent_workflows/policies.py``."""

    DATA = "data"
    WEB = "web"
    DATABASE = "database"
    PAYMENT = "payment"


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the model may call. ``name`` is also the name of its activity; ``arguments`` its schema.

    ``kind`` is the kind of worker that runs it; without one it runs where the workflow does. The failure of a tool
    that ``may_fail`` goes back to the model as a problem; any other ends the run.
    """

    name: str
    description: str
    arguments: type[BaseModel]
    kind: Kind | None = None
    calls: Calls = Calls.DATA
    may_fail: bool = False


@dataclass(frozen=True, slots=True)
class Agent:
    """``purpose`` is what its model is asked to do; the model policy says which model that is.

    ``answer`` is what its model gives, where that is not the run's result: a conversation's replies, say.
    """

    spec: AgentSpec
    instructions: str
    tools: tuple[Tool, ...]
    caps: Caps = Caps()
    purpose: Purpose = Purpose.REASON
    answer: type[BaseModel] | None = None

    @property
    def name(self) -> str:
        return self.spec.name

    @property
    def final(self) -> type[BaseModel]:
        """What its model gives when it concludes."""
        return self.answer or self.spec.result

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)
