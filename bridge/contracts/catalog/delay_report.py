"""``delay_report``: an investigation told in prose, for people to read."""

from typing import Final

from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS, Finding, InvestigateDelays


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
    request=InvestigateDelays,
    result=DelayReported,
    dataset=INVESTIGATE_DELAYS.dataset,
    references=INVESTIGATE_DELAYS.references,
)
