"""``gate_notice`` and ``gate_notice_plain``: the same job by agents that know nothing of this runtime.

The first is written with pydantic-ai, the second in plain Python.
"""

import datetime as dt
from typing import Final

from pydantic import Field

from bridge.contracts.agents import AgentSpec, Frozen
from bridge.contracts.approvals import Role


class NoticeRequest(Frozen):
    """Request: a notice for passengers of ``airport``; ``approvers`` decide whether it is posted."""

    airport: str = Field(pattern="^[A-Z]{3}$")
    approvers: tuple[Role, ...] = Field(default=("editor",), min_length=1)


class GateNotice(Frozen):
    """Result: what was posted; ``posted`` is false where nobody approved it."""

    airport: str
    text: str = Field(max_length=2000)
    posted: bool


GATE_NOTICE: Final = AgentSpec(
    name="gate_notice",
    workflow="GateNoticeWorkflow",
    request=NoticeRequest,
    result=GateNotice,
    execution_timeout=dt.timedelta(days=30),
)
GATE_NOTICE_PLAIN: Final = AgentSpec(
    name="gate_notice_plain",
    workflow="GateNoticePlainWorkflow",
    request=NoticeRequest,
    result=GateNotice,
    execution_timeout=dt.timedelta(days=30),
)
