"""Counting answers to a question. Pure: no clock, no engine."""

from dataclasses import dataclass, field
from typing import Any

from bridge.contracts.approvals import Answer, AnswerTaken, Approval, ApprovalRequest, ApprovalVerdict, Choice
from bridge.contracts.failures import Code, Refused


@dataclass
class Tally:
    """An open question of ``tenant`` and what was answered so far."""

    request: ApprovalRequest
    tenant: str
    roles: tuple[str, ...] = ()
    subject: dict[str, Any] = field(default_factory=dict)
    approved_by: set[str] = field(default_factory=set)
    answers: list[Answer] = field(default_factory=list)
    verdict: ApprovalVerdict | None = None

    def __post_init__(self) -> None:
        self.roles, self.subject = self.request.roles, dict(self.request.subject)

    def check(self, answer: Answer) -> None:
        """Raises ``Refused`` with what is wrong and what to do; changes nothing."""
        what = f"question {self.request.id!r}"
        if self.verdict is not None:
            raise Refused(Code.APPROVAL_CLOSED, f"{what} is closed: {self.verdict.value}")
        if answer.tenant != self.tenant:
            problem = f"{what} is one of tenant {self.tenant!r}; nobody of {answer.tenant!r} may answer"
            raise Refused(Code.NOT_ALLOWED, problem)
        if not set(answer.roles) & set(self.roles):
            has = ", ".join(answer.roles) or "no role"
            raise Refused(Code.NOT_ALLOWED, f"{what} is for {', '.join(self.roles)}; {answer.by!r} has {has}")
        if answer.choice not in self.request.choices:
            offered = ", ".join(choice.value for choice in self.request.choices)
            raise Refused(Code.INVALID_REQUEST, f"{what} cannot be answered by {answer.choice.value!r}, but: {offered}")
        if answer.by in self.approved_by and answer.choice is Choice.APPROVE:
            raise Refused(Code.NOT_ALLOWED, f"{answer.by!r} has approved {what} already; another person is needed")

    def add(self, answer: Answer) -> AnswerTaken:
        """Count an answer that ``check`` let pass."""
        self.answers.append(answer)
        match answer.choice:
            case Choice.APPROVE:
                self.approved_by.add(answer.by)
            case Choice.EDIT:
                # What others approved was another subject.
                self.subject, self.approved_by = dict(answer.subject or {}), {answer.by}
            case Choice.REDIRECT:
                self.roles = (answer.to,) if answer.to else self.roles
            case Choice.REJECT:
                self.verdict = ApprovalVerdict.REJECTED
            case Choice.CANCEL:
                self.verdict = ApprovalVerdict.CANCELLED
        if len(self.approved_by) >= self.request.needed:
            self.verdict = ApprovalVerdict.APPROVED
        return self.taken()

    def taken(self) -> AnswerTaken:
        return AnswerTaken(approvals=len(self.approved_by), needed=self.request.needed, verdict=self.verdict)

    def expire(self) -> None:
        self.verdict = self.request.on_expiry

    def approval(self, *, expired: bool) -> Approval:
        """What came of it; only once ``verdict`` is there."""
        verdict = self.verdict or self.request.on_expiry
        return Approval(verdict=verdict, subject=self.subject, answers=tuple(self.answers), expired=expired)
