"""Events and requests that travel on Kafka, with their CloudEvents types.

Readers of events ignore unknown fields; the request refuses them. Fields are only ever added, with a default.
"""

import datetime as dt
from enum import StrEnum
from typing import Any, ClassVar, Final

from pydantic import BaseModel, ConfigDict, Field

from bridge.contracts import ids, names
from bridge.contracts.agents import Frozen, SnapshotRef, Usage
from bridge.contracts.approvals import ApprovalRequest, ApprovalVerdict, Choice


class Fact(BaseModel):
    """Something that happened. Readers ignore fields they do not know."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    TYPE: ClassVar[str]
    TOPIC: ClassVar[str]


class AgentRequested(Frozen):
    """Start an agent. ``request_id`` is the business key of the request: send it again, get the same run."""

    TYPE: ClassVar[str] = "tandem.agent.requested.v1"
    TOPIC: ClassVar[str] = names.REQUESTS_TOPIC

    agent: ids.AgentName
    request_id: ids.RequestId
    input: dict[str, Any] = Field(default_factory=dict)


class Outcome(StrEnum):
    """How an agent run ended."""

    COMPLETED = "completed"
    FAILED = "failed"
    CANCELLED = "cancelled"
    TERMINATED = "terminated"
    TIMED_OUT = "timed_out"


class AgentAccepted(Fact):
    """Temporal has accepted the start; from here on the run survives any crash."""

    TYPE: ClassVar[str] = "tandem.agent.accepted.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    agent: str
    request_id: str
    started_by: str


class AgentCompleted(Fact):
    """An agent run has ended, whichever way. Exactly one per run."""

    TYPE: ClassVar[str] = "tandem.agent.completed.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    run_id: str
    agent: str
    request_id: str
    started_by: str
    outcome: Outcome
    code: str = ""
    reason: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    output: dict[str, Any] = Field(default_factory=dict)
    snapshots: tuple[SnapshotRef, ...] = ()
    usage: Usage = Field(default_factory=Usage)
    started_at: dt.datetime
    closed_at: dt.datetime


class AgentWaiting(Fact):
    """An agent run asks people and waits for their answer."""

    TYPE: ClassVar[str] = "tandem.agent.waiting.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    run_id: str
    agent: str
    approval: ApprovalRequest
    asked_at: dt.datetime
    expires_at: dt.datetime


class ApprovalAnswered(Fact):
    """A person answered; ``accepted`` is false for an answer that came late and was refused, ``reason`` says why."""

    TYPE: ClassVar[str] = "tandem.agent.answered.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    approval: str
    by: str
    choice: Choice
    feedback: str = ""
    accepted: bool = True
    reason: str = ""
    answered_at: dt.datetime


class ApprovalClosed(Fact):
    """What came of a question. ``subject`` is as it was edited last; ``expired`` if time decided."""

    TYPE: ClassVar[str] = "tandem.agent.approval_closed.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    approval: str
    verdict: ApprovalVerdict
    expired: bool = False
    subject: dict[str, Any] = Field(default_factory=dict)
    closed_at: dt.datetime


class QualityChanged(Fact):
    """A watched dataset is not what it was at the look before. ``number`` counts the changes of the watch."""

    TYPE: ClassVar[str] = "tandem.agent.quality_changed.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    number: int
    dataset: str
    before: str
    after: str
    verdict: str = ""
    seen_at: dt.datetime


class ReminderDue(Fact):
    """Somebody is to be reminded. ``number`` counts the reminders of the follow-up."""

    TYPE: ClassVar[str] = "tandem.agent.reminder.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    number: int
    to: str
    text: str
    due_at: dt.datetime


class AgentReplied(Fact):
    """What an agent says in a conversation. ``to`` is the id of the message it answers."""

    TYPE: ClassVar[str] = "tandem.agent.replied.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    number: int
    to: str
    text: str
    replied_at: dt.datetime


class AlertRaised(Fact):
    """An endpoint refused a step of a run, and only a person can mend that: a wrong key, a request it never takes.

    ``step`` is the call that failed; where another model answered in its place, the model that refused.
    """

    TYPE: ClassVar[str] = "tandem.agent.alert.v1"
    TOPIC: ClassVar[str] = names.LIFECYCLE_TOPIC

    workflow_id: str
    run_id: str
    step: str
    code: str
    reason: str


class Verdict(Fact):
    """What the quality gate said of one snapshot. Carries counts and rules, never a raw value."""

    TYPE: ClassVar[str] = "tandem.data.verdict.v1"
    TOPIC: ClassVar[str] = names.QUALITY_TOPIC

    id: str
    tenant: str
    dataset: str
    day: dt.date
    snapshot_id: int
    suite: str
    passed: bool
    rows: int
    critical: int
    warnings: int
    reasons: tuple[str, ...] = ()
    report: str = ""
    """Key of the HTML report in the reports bucket."""
    decided_at: dt.datetime


class SnapshotPublished(Fact):
    """A judged snapshot became ``main`` and was tagged; agents may read it."""

    TYPE: ClassVar[str] = "tandem.data.published.v1"
    TOPIC: ClassVar[str] = names.PUBLISHED_TOPIC

    day: dt.date
    rows: int
    snapshot: SnapshotRef
    verdict: str
    report: str = ""


class TenantDeclared(Fact):
    """A tenant was declared or its declaration changed; ``version`` counts the declarations."""

    TYPE: ClassVar[str] = "tandem.tenant.declared.v1"
    TOPIC: ClassVar[str] = names.TENANTS_TOPIC

    tenant: dict[str, Any]
    version: int


CONTRACTS: Final[tuple[type[AgentRequested] | type[Fact], ...]] = (
    AgentRequested,
    AgentAccepted,
    AgentCompleted,
    AgentWaiting,
    ApprovalAnswered,
    ApprovalClosed,
    QualityChanged,
    ReminderDue,
    AgentReplied,
    AlertRaised,
    Verdict,
    SnapshotPublished,
    TenantDeclared,
)
