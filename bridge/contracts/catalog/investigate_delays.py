"""``investigate_delays``: why were a tenant's departures of a day late or cancelled?"""

import datetime as dt
from enum import StrEnum
from typing import Final

from pydantic import Field

from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, Frozen


class InvestigateDelays(Frozen):
    """Request: why were this tenant's departures of ``day`` late or cancelled?"""

    day: dt.date


class Cause(StrEnum):
    CARRIER = "carrier-specific"
    WEATHER = "weather"
    AIRPORT = "airport"
    NONE = "none"


class Severity(StrEnum):
    NONE = "none"
    MINOR = "minor"
    MAJOR = "major"
    SEVERE = "severe"


class Evidence(Frozen):
    """One figure that supports the finding. ``value`` and ``compared_with`` share ``unit``."""

    figure: str
    value: float
    compared_with: float | None = None
    unit: str
    source: str


class Finding(Frozen):
    """Result of ``investigate_delays``."""

    cause: Cause
    severity: Severity
    summary: str = Field(max_length=1200)
    evidence: tuple[Evidence, ...] = Field(min_length=1, max_length=24)


INVESTIGATE_DELAYS: Final = AgentSpec(
    name="investigate_delays",
    workflow="InvestigateDelaysWorkflow",
    request=InvestigateDelays,
    result=Finding,
    dataset=names.DEPARTURES,
    references=(names.MARKET, names.WEATHER),
)
