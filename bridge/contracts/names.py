"""Every name two files need: topics, queues, assets, datasets, search attributes.

Knows no engine. A literal used in two places is written here once.
"""

from typing import Final

REQUESTS_TOPIC: Final = "agents.request.v1"
LIFECYCLE_TOPIC: Final = "agents.lifecycle.v1"
QUALITY_TOPIC: Final = "data.quality.v1"
PUBLISHED_TOPIC: Final = "data.published.v1"
TENANTS_TOPIC: Final = "platform.tenants.v1"
TOPICS: Final = (REQUESTS_TOPIC, LIFECYCLE_TOPIC, QUALITY_TOPIC, PUBLISHED_TOPIC, TENANTS_TOPIC)
DEAD_SUFFIX: Final = ".dead"

AGENTS_QUEUE: Final = "agents"

FEATURES_ASSET: Final = "flights.features"
COMPLETED_ASSET: Final = "agents.completed"
VERDICTS_ASSET: Final = "data.verdicts"
PUBLISHED_ASSET: Final = "data.published"
ANNOUNCED_ASSETS: Final = (COMPLETED_ASSET, VERDICTS_ASSET, PUBLISHED_ASSET)
"""Assets whose events the bridge posts."""

DEPARTURES: Final = "departures"
"""Dataset of one tenant: its departures, one row a flight."""
MARKET: Final = "market_hourly"
"""Platform dataset: rates of all carriers together, by day, airport and hour; names no carrier."""
WEATHER: Final = "weather_hourly"
"""Platform dataset: weather by day, airport and hour."""
FINDINGS: Final = "findings"
"""Dataset of one tenant: the digest of what agents found, one row an agent run."""

PLATFORM_TENANT: Final = "platform"
"""Owner of the datasets that every tenant may read. No tenant may have this name."""

TENANT_ATTRIBUTE: Final = "Tenant"
AGENT_ATTRIBUTE: Final = "Agent"
STARTED_BY_ATTRIBUTE: Final = "StartedBy"
DATASET_ATTRIBUTE: Final = "Dataset"
STATUS_ATTRIBUTE: Final = "Status"
"""``working`` or ``waiting`` (for a person); the end of a run is Temporal's own ``ExecutionStatus``."""
SEARCH_ATTRIBUTES: Final = (
    TENANT_ATTRIBUTE,
    AGENT_ATTRIBUTE,
    STARTED_BY_ATTRIBUTE,
    DATASET_ATTRIBUTE,
    STATUS_ATTRIBUTE,
)
WORKING: Final = "working"
WAITING: Final = "waiting"

ANSWER: Final = "answer"
"""Update of every agent run that brings a person's answer, and signal for when no worker runs."""

STATUS_QUERY: Final = "status"
"""Query of every agent run; answers with a ``RunStatus``."""

RAW_BUCKET: Final = "raw"
LAKE_BUCKET: Final = "lake"
REPORTS_BUCKET: Final = "reports"
BUCKETS: Final = (RAW_BUCKET, LAKE_BUCKET, REPORTS_BUCKET)


def dead_letter_topic(topic: str) -> str:
    return topic + DEAD_SUFFIX
