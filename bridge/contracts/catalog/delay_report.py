"""``delay_report``: an investigation told in prose, for people to read."""

import datetime as dt
from typing import Final

from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.catalog.investigate_delays import Finding


class DelayReport(Frozen):
    """Request: a report on this tenant's departures of ``day``."""

    day: dt.date


class DelayReported(Frozen):
    """Result of ``delay_report``. Cause and severity are the finding's; a model worded ``worded`` of the sentences.

    The others stand as rules put them: what the model made of their figures was not what they say.
    """

    finding: Finding
    text: str
    sentences: int
    worded: int
    worded_by: str


DELAY_REPORT: Final = AgentSpec(
    name="delay_report",
    workflow="DelayReportWorkflow",
    request=DelayReport,
    result=DelayReported,
    dataset=names.DEPARTURES,
    references=(names.MARKET, names.WEATHER),
)
