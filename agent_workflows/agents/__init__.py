"""Agents as their authors write them: instructions, tools, result, caps. Pure."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from agent_workflows.agents.definition import Agent
from agent_workflows.agents.investigate_delays import AGENT as INVESTIGATE_DELAYS

DEFINITIONS: Final[Mapping[str, Agent]] = MappingProxyType({INVESTIGATE_DELAYS.name: INVESTIGATE_DELAYS})
