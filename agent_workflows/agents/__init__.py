"""Agents as their authors write them: instructions, tools, result, caps. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent_workflows.agents.definition import Agent
from agent_workflows.agents.documents import SUMMARISER
from agent_workflows.agents.investigate_delays import AGENT as INVESTIGATE_DELAYS
from agent_workflows.agents.research import PLANNER, READER, WRITER
from agent_workflows.agents.support import AGENT as SUPPORT

DEFINITIONS: Final[Mapping[str, Agent]] = MappingProxyType(
    {agent.name: agent for agent in (INVESTIGATE_DELAYS, SUPPORT, PLANNER, READER, WRITER, SUMMARISER)}
)
