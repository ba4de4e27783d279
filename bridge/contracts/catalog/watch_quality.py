"""``watch_quality``: looks at a dataset's newest verdict every hour, and tells only of changes."""

import datetime as dt
from enum import StrEnum
from typing import Final

from pydantic import Field

from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, Frozen


class Quality(StrEnum):
    UNKNOWN = "unknown"
    PASSED = "passed"
    FAILED = "failed"


class WatchQuality(Frozen):
    """Request: watch a dataset of the tenant. Runs until it is cancelled, or has looked ``looks`` times."""

    dataset: str = Field(default=names.DEPARTURES, pattern="^[a-z][a-z0-9_]{0,63}$")
    every: dt.timedelta = Field(default=dt.timedelta(hours=1), ge=dt.timedelta(minutes=1), le=dt.timedelta(days=31))
    looks: int | None = Field(default=None, ge=1)


class QualitySeen(Frozen):
    """``verdict`` is the id of the newest one, empty where there is none."""

    quality: Quality = Quality.UNKNOWN
    verdict: str = ""


class Watched(Frozen):
    """Result, where ``looks`` ended it."""

    looks: int
    changes: int


WATCH_QUALITY: Final = AgentSpec(
    name="watch_quality",
    workflow="WatchQualityWorkflow",
    request=WatchQuality,
    result=Watched,
    execution_timeout=None,
)
