"""What an agent author writes. Plain data: no engine, no model vendor."""

import datetime as dt
from dataclasses import dataclass

from pydantic import BaseModel

from bridge.contracts.agents import AgentSpec


@dataclass(frozen=True, slots=True)
class Caps:
    """Where a run stops by itself, with ``cap_reached``."""

    turns: int = 12
    tokens: int = 200_000
    wall_time: dt.timedelta = dt.timedelta(minutes=30)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool the model may call. ``name`` is also the name of its activity; ``arguments`` its schema."""

    name: str
    description: str
    arguments: type[BaseModel]


@dataclass(frozen=True, slots=True)
class Agent:
    spec: AgentSpec
    instructions: str
    tools: tuple[Tool, ...]
    caps: Caps = Caps()

    @property
    def name(self) -> str:
        return self.spec.name

    def tool(self, name: str) -> Tool | None:
        return next((tool for tool in self.tools if tool.name == name), None)
