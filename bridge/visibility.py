"""By which search attributes agent runs are found in Temporal, set where a run is started."""

from typing import Final

from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, AgentStart

TENANT: Final = SearchAttributeKey.for_keyword(names.TENANT_ATTRIBUTE)
AGENT: Final = SearchAttributeKey.for_keyword(names.AGENT_ATTRIBUTE)
STARTED_BY: Final = SearchAttributeKey.for_keyword(names.STARTED_BY_ATTRIBUTE)
DATASET: Final = SearchAttributeKey.for_keyword(names.DATASET_ATTRIBUTE)
STATUS: Final = SearchAttributeKey.for_keyword(names.STATUS_ATTRIBUTE)


def search_attributes(start: AgentStart, spec: AgentSpec) -> TypedSearchAttributes:
    """By which a run is found: tenant, agent, who started it, its dataset, its status."""
    return TypedSearchAttributes(
        [
            SearchAttributePair(TENANT, start.tenant),
            SearchAttributePair(AGENT, start.agent),
            SearchAttributePair(STARTED_BY, start.started_by),
            SearchAttributePair(STATUS, names.WORKING),
            *([SearchAttributePair(DATASET, spec.dataset)] if spec.dataset else []),
        ]
    )


def summary(start: AgentStart) -> str:
    """What the Temporal UI shows beside a run."""
    return f"{start.agent} for {start.tenant}"
