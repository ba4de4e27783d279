"""What an agent asks people, and what they answer."""

import datetime as dt
from enum import StrEnum
from typing import Annotated, Any, Self

from pydantic import Field, StringConstraints, model_validator

from bridge.contracts.agents import Frozen, Usage

ApprovalId = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_.-]{0,63}$")]
Role = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_-]{0,63}$")]


class Choice(StrEnum):
    """``edit`` approves a changed subject; ``redirect`` hands the question to another role; ``cancel`` ends the run."""

    APPROVE = "approve"
    REJECT = "reject"
    EDIT = "edit"
    REDIRECT = "redirect"
    CANCEL = "cancel"


class ApprovalVerdict(StrEnum):
    """What came of a question."""

    APPROVED = "approved"
    REJECTED = "rejected"
    CANCELLED = "cancelled"


class ApprovalRequest(Frozen):
    """A question to people. ``id`` is unique within the run: a second round is another question.

    Anybody with one of ``roles`` may answer; ``needed`` different people must approve. When nobody has answered enough
    within ``expires_after``, ``on_expiry`` is what came of it.
    """

    id: ApprovalId
    question: str = Field(min_length=1, max_length=2000)
    subject: dict[str, Any] = Field(default_factory=dict)
    roles: tuple[Role, ...] = Field(min_length=1)
    needed: int = Field(default=1, ge=1, le=100)
    choices: tuple[Choice, ...] = tuple(Choice)
    expires_after: dt.timedelta = dt.timedelta(hours=48)
    on_expiry: ApprovalVerdict = ApprovalVerdict.REJECTED


class Answer(Frozen):
    """What a person of ``tenant`` answers. ``roles`` are the person's, as the tenant declares them."""

    approval: ApprovalId
    tenant: str
    by: str = Field(min_length=1, max_length=200)
    roles: tuple[Role, ...]
    choice: Choice
    feedback: str = Field(default="", max_length=10_000)
    subject: dict[str, Any] | None = None
    to: Role | None = None

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.choice is Choice.REJECT and not self.feedback.strip():
            raise ValueError("a rejection says why: feedback is needed")
        if self.choice is Choice.EDIT and self.subject is None:
            raise ValueError("an edit needs the changed subject")
        if self.choice is Choice.REDIRECT and self.to is None:
            raise ValueError("a redirect needs the role it goes to")
        return self


class AnswerTaken(Frozen):
    """What a person is told: how many have approved, and what came of the question if it is closed now."""

    approvals: int
    needed: int
    verdict: ApprovalVerdict | None = None


class Approval(Frozen):
    """What came of a question. ``subject`` is as it was edited last; ``expired`` if time decided."""

    verdict: ApprovalVerdict
    subject: dict[str, Any]
    answers: tuple[Answer, ...] = ()
    expired: bool = False

    @property
    def feedback(self) -> str:
        """All that was said, one line a person."""
        return "\n".join(f"{answer.by}: {answer.feedback}" for answer in self.answers if answer.feedback)


class RunStatus(Frozen):
    """What a run says of itself while it runs. ``began`` is when the first run of its chain began to work."""

    phase: str
    usage: Usage
    began: dt.datetime
    pending: tuple[ApprovalRequest, ...] = ()
