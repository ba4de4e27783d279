"""The contracted agents: one file each, with its request, its result and its spec."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.contracts.agents import AgentSpec
from bridge.contracts.catalog.canary import CANARY
from bridge.contracts.catalog.delay_report import DELAY_REPORT
from bridge.contracts.catalog.follow_up import FOLLOW_UP
from bridge.contracts.catalog.fulfil_order import FULFIL_ORDER
from bridge.contracts.catalog.gate_notice import GATE_NOTICE, GATE_NOTICE_PLAIN
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS
from bridge.contracts.catalog.process_document import PROCESS_DOCUMENT, SUMMARISE_DOCUMENT
from bridge.contracts.catalog.research_report import RESEARCH_REPORT
from bridge.contracts.catalog.research_roles import PLAN_RESEARCH, READ_DOCUMENT, WRITE_REPORT
from bridge.contracts.catalog.support import SUPPORT
from bridge.contracts.catalog.watch_quality import WATCH_QUALITY
from bridge.contracts.catalog.weekly_report import WEEKLY_REPORT
from bridge.contracts.failures import Code, Refused

AGENTS: Final[Mapping[str, AgentSpec]] = MappingProxyType(
    {
        spec.name: spec
        for spec in (
            INVESTIGATE_DELAYS,
            DELAY_REPORT,
            CANARY,
            FULFIL_ORDER,
            WATCH_QUALITY,
            FOLLOW_UP,
            SUPPORT,
            RESEARCH_REPORT,
            PLAN_RESEARCH,
            READ_DOCUMENT,
            WRITE_REPORT,
            WEEKLY_REPORT,
            GATE_NOTICE,
            GATE_NOTICE_PLAIN,
            PROCESS_DOCUMENT,
            SUMMARISE_DOCUMENT,
        )
    }
)


def find_agent(name: str, agents: Mapping[str, AgentSpec] = AGENTS) -> AgentSpec:
    """The spec of ``name``; raises ``Refused(UNKNOWN_AGENT)`` that lists what there is."""
    if name not in agents:
        known = ", ".join(sorted(agents))
        raise Refused(Code.UNKNOWN_AGENT, f"no agent is called {name!r}; contracted agents: {known}")
    return agents[name]
