"""What agents ask people: one row a question, written with the events that tell of it."""

from typing import Any

from sqlalchemy import select, update
from sqlalchemy.orm import Session

from bridge.adapters.database.models import ApprovalRow
from bridge.adapters.database.outbox import emit
from bridge.adapters.database.statements import insert_once, utc_now
from bridge.contracts.events import AgentWaiting, ApprovalAnswered, ApprovalClosed

OPEN = "open"
ENDED = "ended"
"""The run ended while the question was open."""


def record(
    session: Session, fact: AgentWaiting | ApprovalAnswered | ApprovalClosed, *, event_id: str, tenant: str, cause: str
) -> None:
    """Store a step of a question and its event; a repeat changes nothing."""
    match fact:
        case AgentWaiting():
            row = ApprovalRow(
                workflow_id=fact.workflow_id, id=fact.approval.id, tenant=tenant, state=OPEN,
                request=fact.approval.model_dump(mode="json"), answers=[], asked_at=fact.asked_at,
                expires_at=fact.expires_at,
            )  # fmt: skip
            insert_once(session, row)
        case ApprovalAnswered():
            _add(session, fact, event_id)
        case ApprovalClosed():
            _close(session, fact)
    emit(session, fact, event_id=event_id, tenant=tenant, key=fact.workflow_id, cause=cause)


def _add(session: Session, fact: ApprovalAnswered, event_id: str) -> None:
    row = session.get(ApprovalRow, (fact.workflow_id, fact.approval), with_for_update=True)
    if row is not None and all(answer["event_id"] != event_id for answer in row.answers):
        row.answers = [*row.answers, fact.model_dump(mode="json") | {"event_id": event_id}]


def _close(session: Session, fact: ApprovalClosed) -> None:
    session.execute(
        update(ApprovalRow)
        .where(ApprovalRow.workflow_id == fact.workflow_id, ApprovalRow.id == fact.approval)
        .values(state=f"{fact.verdict.value}{' (expired)' if fact.expired else ''}", closed_at=fact.closed_at)
    )


def close_all(session: Session, workflow_id: str) -> None:
    """The run has ended, so nobody waits for an answer any more."""
    session.execute(
        update(ApprovalRow)
        .where(ApprovalRow.workflow_id == workflow_id, ApprovalRow.state == OPEN)
        .values(state=ENDED, closed_at=utc_now())
    )


def list_approvals(session: Session, *, tenant: str | None, everything: bool, limit: int) -> list[dict[str, Any]]:
    """Questions, the oldest first: those that are open, or all."""
    query = select(ApprovalRow).order_by(ApprovalRow.asked_at).limit(limit)
    if tenant is not None:
        query = query.where(ApprovalRow.tenant == tenant)
    if not everything:
        query = query.where(ApprovalRow.state == OPEN)
    return [_as_json(row) for row in session.scalars(query)]


def find(session: Session, workflow_id: str, approval: str) -> dict[str, Any] | None:
    row = session.get(ApprovalRow, (workflow_id, approval))
    return _as_json(row) if row else None


def _as_json(row: ApprovalRow) -> dict[str, Any]:
    return {
        "run": row.workflow_id,
        "id": row.id,
        "tenant": row.tenant,
        "state": row.state,
        "request": row.request,
        "answers": row.answers,
        "asked_at": row.asked_at.isoformat(),
        "expires_at": row.expires_at.isoformat(),
        "closed_at": row.closed_at.isoformat() if row.closed_at else None,
    }
