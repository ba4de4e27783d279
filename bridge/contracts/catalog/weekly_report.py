"""``weekly_report``: starts one ``research_report`` a week, for as long as it stands."""

import datetime as dt
from typing import Final

from pydantic import Field

from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.catalog.research_report import ResearchReport


class WeeklyReport(Frozen):
    """Request: this report each week, the first at once. Ends after ``weeks``, or when it is cancelled."""

    report: ResearchReport
    every: dt.timedelta = Field(default=dt.timedelta(days=7), ge=dt.timedelta(minutes=1), le=dt.timedelta(days=366))
    weeks: int | None = Field(default=None, ge=1)


class WeeksReported(Frozen):
    """Result: how many reports were started."""

    reports: int


WEEKLY_REPORT: Final = AgentSpec(
    name="weekly_report",
    workflow="WeeklyReportWorkflow",
    request=WeeklyReport,
    result=WeeksReported,
    execution_timeout=None,
)
