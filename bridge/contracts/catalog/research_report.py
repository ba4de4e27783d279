"""``research_report``: a report on a topic from a corpus of documents, checked by rules and by a person."""

import datetime as dt
from typing import Final

from pydantic import Field

from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.approvals import ApprovalVerdict, Role

TITLE: Final = 300
TEXT: Final = 20_000


class ResearchReport(Frozen):
    """Request: report on ``topic`` from the best ``documents``; at least ``least`` of them must be of use.

    ``reviewers`` have ``review_within`` to approve, edit or reject; a rejection is worked in, at most ``revisions``
    times.
    """

    topic: str = Field(min_length=3, max_length=500)
    documents: int = Field(default=5, ge=1, le=20)
    least: int = Field(default=2, ge=1, le=20)
    reviewers: tuple[Role, ...] = Field(default=("editor",), min_length=1)
    review_within: dt.timedelta = Field(
        default=dt.timedelta(hours=48), ge=dt.timedelta(minutes=1), le=dt.timedelta(days=7)
    )
    revisions: int = Field(default=3, ge=0, le=10)


class ResearchReported(Frozen):
    """Result. ``report`` is where it was published; empty where the review ended otherwise (``verdict``, ``expired``).

    ``left_out`` says of each document that could not be used why.
    """

    title: str = Field(max_length=TITLE)
    report: str
    verdict: ApprovalVerdict
    expired: bool = False
    revisions: int = 0
    documents: tuple[str, ...]
    left_out: tuple[str, ...] = ()


RESEARCH_REPORT: Final = AgentSpec(
    name="research_report",
    workflow="ResearchReportWorkflow",
    request=ResearchReport,
    result=ResearchReported,
    execution_timeout=dt.timedelta(days=90),
)
