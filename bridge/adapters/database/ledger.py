"""What the platform has decided, read and written in single transactions.

Each function takes a session first and is one unit of work: a decision and the event that tells of it are
written together (transactional outbox), so neither exists without the other. All are safe to run twice.
"""

import datetime as dt
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from sqlalchemy import delete, exists, or_, select, update
from sqlalchemy.orm import Session

from bridge.adapters.database import approvals
from bridge.adapters.database.models import (
    AcceptedRow,
    BatchRow,
    CompletionRow,
    DeadLetterRow,
    DeliveryRow,
    LeaseRow,
    OutboxRow,
    PublicationRow,
    TaskRunRow,
    TenantRow,
    VerdictRow,
)
from bridge.adapters.database.outbox import emit, event_row
from bridge.adapters.database.statements import dialect_of, insert_once, utc_now
from bridge.contracts import ids
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.envelope import Envelope
from bridge.contracts.events import (
    AgentAccepted,
    AgentCompleted,
    AgentReplied,
    AlertRaised,
    QualityChanged,
    ReminderDue,
    SnapshotPublished,
    TenantDeclared,
    Verdict,
)
from bridge.contracts.tenants import Tenant
from bridge.domain.outbox import Waiting
from bridge.domain.task_runs import OnTaskEnd, TaskRun

# -- tenants ------------------------------------------------------------------------------------------------


def apply_tenants(session: Session, tenants: Iterable[Tenant]) -> dict[str, str]:
    """Declare ``tenants``; returns ``{id: "created" | "changed" | "unchanged"}``. Never removes one."""
    outcome = {}
    for tenant in tenants:
        row = session.get(TenantRow, tenant.id, with_for_update=True)
        spec = tenant.model_dump(mode="json")
        if row is not None and Tenant.model_validate(row.spec) == tenant:
            outcome[tenant.id] = "unchanged"
            continue
        outcome[tenant.id] = "changed" if row else "created"
        if row is None:
            row = TenantRow(id=tenant.id, version=0)
            session.add(row)
        row.spec, row.version, row.updated_at = spec, row.version + 1, utc_now()
        emit(
            session,
            TenantDeclared(tenant=spec, version=row.version),
            event_id=ids.declared_event_id(tenant.id, row.version),
            tenant=tenant.id,
            key=tenant.id,
        )
    return outcome


def list_tenants(session: Session) -> tuple[Tenant, ...]:
    return tuple(Tenant.model_validate(r.spec) for r in session.scalars(select(TenantRow).order_by(TenantRow.id)))


def find_tenant(session: Session, tenant: str) -> Tenant | None:
    row = session.get(TenantRow, tenant)
    return Tenant.model_validate(row.spec) if row else None


# -- data ---------------------------------------------------------------------------------------------------


def record_verdict(session: Session, verdict: Verdict) -> bool:
    """Store a verdict and its event; False if this verdict was already there."""
    row = VerdictRow(
        **verdict.model_dump(include={"id", "tenant", "dataset", "snapshot_id", "passed", "decided_at"}),
        day=verdict.day.isoformat(),
        body=verdict.model_dump(mode="json"),
    )
    new = insert_once(session, row)
    if new:
        emit(session, verdict, event_id=verdict.id, tenant=verdict.tenant, key=f"{verdict.tenant}/{verdict.dataset}")
    return new


def list_verdicts(session: Session, *, tenant: str | None = None) -> tuple[Verdict, ...]:
    query = select(VerdictRow).order_by(VerdictRow.day, VerdictRow.tenant, VerdictRow.decided_at)
    if tenant is not None:
        query = query.where(VerdictRow.tenant == tenant)
    return tuple(Verdict.model_validate(row.body) for row in session.scalars(query))


def newest_verdict(session: Session, *, tenant: str, dataset: str) -> Verdict | None:
    row = session.scalars(
        select(VerdictRow)
        .where(VerdictRow.tenant == tenant, VerdictRow.dataset == dataset)
        .order_by(VerdictRow.decided_at.desc(), VerdictRow.id.desc())
        .limit(1)
    ).first()
    return Verdict.model_validate(row.body) if row else None


def record_publication(session: Session, published: SnapshotPublished) -> bool:
    """Store that a snapshot may be read, and its event; False if it was already there."""
    snapshot = published.snapshot
    row = PublicationRow(
        **snapshot.model_dump(),
        day=published.day.isoformat(),
        rows=published.rows,
        verdict=published.verdict,
        report=published.report,
        published_at=utc_now(),
    )
    new = insert_once(session, row)
    if new:
        event_id = f"{snapshot.tenant}/{snapshot.dataset}/{snapshot.tag}#published"
        emit(
            session,
            published,
            event_id=event_id,
            tenant=snapshot.tenant,
            key=f"{snapshot.tenant}/{snapshot.dataset}",
            cause=published.verdict,
        )
    return new


def find_snapshot(session: Session, *, tenant: str, dataset: str, day: dt.date) -> SnapshotRef | None:
    """The newest published snapshot that holds ``day``, or None."""
    row = session.scalars(
        select(PublicationRow)
        .where(
            PublicationRow.tenant == tenant,
            PublicationRow.dataset == dataset,
            PublicationRow.day == day.isoformat(),
        )
        .order_by(PublicationRow.published_at.desc())
        .limit(1)
    ).first()
    if row is None:
        return None
    return SnapshotRef(
        tenant=row.tenant, dataset=row.dataset, table=row.table, snapshot_id=row.snapshot_id, tag=row.tag
    )


# -- agents -------------------------------------------------------------------------------------------------


def record_accepted(session: Session, accepted: Sequence[tuple[str, str, AgentAccepted]]) -> None:
    """Store ``(tenant, event id, acceptance)``: Temporal has these runs. Repeats change nothing.

    Rows are written in one order everywhere, so that two bridges that record the same runs cannot deadlock; and in
    two statements, as this is done for every start.
    """
    if not accepted:
        return
    at = utc_now()
    ordered = sorted(accepted, key=lambda one: one[2].workflow_id)
    rows = [
        {"workflow_id": fact.workflow_id, "tenant": tenant, "event_id": event_id, "accepted_at": at}
        for tenant, event_id, fact in ordered
    ]
    insert = dialect_of(session).insert(AcceptedRow).on_conflict_do_nothing().returning(AcceptedRow.workflow_id)
    new = set(session.scalars(insert, rows))
    told = [
        event_row(fact, ids.accepted_event_id(fact.workflow_id), tenant=tenant, key=fact.workflow_id, cause=event_id)
        for tenant, event_id, fact in ordered
        if fact.workflow_id in new
    ]
    if told:
        session.execute(dialect_of(session).insert(OutboxRow).on_conflict_do_nothing(), told)


def accepted_among(session: Session, workflow_ids: Sequence[str]) -> set[str]:
    """Those of ``workflow_ids`` that Temporal has accepted."""
    return set(session.scalars(select(AcceptedRow.workflow_id).where(AcceptedRow.workflow_id.in_(workflow_ids))))


def record_completion(session: Session, completed: AgentCompleted, *, tenant: str, cause: str = "") -> bool:
    """Store the one completion of a run and its event; False if the run had completed before.

    What has completed was accepted: that event goes first, also where its recorder died or is slower.
    """
    record_accepted(session, [(tenant, cause, _acceptance(completed))])
    row = CompletionRow(
        workflow_id=completed.workflow_id,
        tenant=tenant,
        agent=completed.agent,
        outcome=completed.outcome.value,
        body=completed.model_dump(mode="json"),
        closed_at=completed.closed_at,
    )
    new = insert_once(session, row)
    if new:
        approvals.close_all(session, completed.workflow_id)
        emit(
            session,
            completed,
            event_id=ids.completion_event_id(completed.workflow_id),
            tenant=tenant,
            key=completed.workflow_id,
            cause=cause,
        )
    return new


def _acceptance(completed: AgentCompleted) -> AgentAccepted:
    return AgentAccepted.model_validate(completed.model_dump(include=set(AgentAccepted.model_fields)))


def tell(
    session: Session,
    fact: AlertRaised | QualityChanged | ReminderDue | AgentReplied,
    *,
    event_id: str,
    tenant: str,
    cause: str = "",
) -> None:
    """Tell what a run has to say, once per event id."""
    emit(session, fact, event_id=event_id, tenant=tenant, key=fact.workflow_id, cause=cause)


def find_completion(session: Session, workflow_id: str) -> AgentCompleted | None:
    row = session.get(CompletionRow, workflow_id)
    return AgentCompleted.model_validate(row.body) if row else None


def missing_completions(session: Session, workflow_ids: Sequence[str]) -> set[str]:
    """Those of ``workflow_ids`` that have no completion yet."""
    known = session.scalars(select(CompletionRow.workflow_id).where(CompletionRow.workflow_id.in_(workflow_ids)))
    return set(workflow_ids) - set(known)


# -- seam ---------------------------------------------------------------------------------------------------


def waiting_events(session: Session, limit: int) -> list[Waiting]:
    """The oldest unpublished events, in the order they were decided; from now on they count as tried."""
    rows = session.scalars(
        select(OutboxRow).where(OutboxRow.published_at.is_(None)).order_by(OutboxRow.seq).limit(limit)
    ).all()
    waiting = [Waiting(r.seq, r.topic, r.key, Envelope.model_validate(r.envelope), r.attempted_at) for r in rows]
    untried = [row.seq for row in rows if row.attempted_at is None]
    if untried:
        session.execute(update(OutboxRow).where(OutboxRow.seq.in_(untried)).values(attempted_at=utc_now()))
    return waiting


def mark_published(session: Session, seqs: Sequence[int]) -> None:
    session.execute(update(OutboxRow).where(OutboxRow.seq.in_(seqs)).values(published_at=utc_now()))


def hold_lease(session: Session, name: str, *, holder: str, seconds: float) -> bool:
    """Take or renew a lease; False while somebody else holds it. A crashed holder's lease runs out by itself."""
    at = utc_now()
    until = at + dt.timedelta(seconds=seconds)
    if insert_once(session, LeaseRow(name=name, holder=holder, until=until)):
        return True
    taken = (
        update(LeaseRow)
        .where(LeaseRow.name == name, or_(LeaseRow.holder == holder, LeaseRow.until < at))
        .values(holder=holder, until=until)
    )
    return session.execute(taken.returning(LeaseRow.name)).first() is not None


def drop_lease(session: Session, name: str, *, holder: str) -> None:
    session.execute(delete(LeaseRow).where(LeaseRow.name == name, LeaseRow.holder == holder))


def begin_deliveries(
    session: Session, event_id: str, destinations: Sequence[str], *, tenant: str
) -> dict[str, dt.datetime | None]:
    """What is still to be delivered: ``{destination: when it was first tried, or None if never}``."""
    at = utc_now()
    found = {
        row.destination: row for row in session.scalars(select(DeliveryRow).where(DeliveryRow.event_id == event_id))
    }
    for destination in destinations:
        if destination not in found:
            row = DeliveryRow(event_id=event_id, destination=destination, tenant=tenant, attempted_at=at)
            insert_once(session, row)
    return {
        name: found[name].attempted_at if name in found else None
        for name in destinations
        if name not in found or found[name].delivered_at is None
    }


def finish_delivery(session: Session, event_id: str, destination: str) -> None:
    session.execute(
        update(DeliveryRow)
        .where(DeliveryRow.event_id == event_id, DeliveryRow.destination == destination)
        .values(delivered_at=utc_now())
    )


def is_delivered(session: Session, event_id: str, destination: str) -> bool:
    row = session.get(DeliveryRow, (event_id, destination))
    return row is not None and row.delivered_at is not None


def decide_batch(
    session: Session, dag: str, *, tenant: str, destination: str, events: Mapping[str, Mapping[str, Any]]
) -> list[str]:
    """Put ``events`` (``{event id: data}``) into one batch, but for those that are in one already.

    Returns the ids of all batches that hold one of them and are not delivered. Their deliveries have begun.
    """
    rows = session.scalars(
        select(DeliveryRow)
        .where(DeliveryRow.destination == destination, DeliveryRow.event_id.in_(events))
        .order_by(DeliveryRow.event_id)
        .with_for_update()
    ).all()
    waiting = [row for row in rows if row.delivered_at is None]
    new = [row for row in waiting if row.batch is None]
    if new:
        batch = ids.batch_id(dag, [row.event_id for row in new])
        body = [dict(events[row.event_id]) for row in new]
        insert_once(session, BatchRow(id=batch, tenant=tenant, dag=dag, events=body, decided_at=utc_now()))
        for row in new:
            row.batch = batch
    return sorted({row.batch for row in waiting if row.batch})


def batch_events(session: Session, batch: str) -> list[Any]:
    row = session.get(BatchRow, batch)
    return list(row.events) if row else []


def finish_batch(session: Session, batch: str) -> None:
    session.execute(update(DeliveryRow).where(DeliveryRow.batch == batch).values(delivered_at=utc_now()))


def decide_dead_letter(session: Session, letter: str, *, times: int, decision: str) -> None:
    """Remember what was done about a dead letter last: one that was discarded may still be replayed."""
    session.merge(DeadLetterRow(id=letter, times=times, decision=decision, decided_at=utc_now()))


def dead_letter_decisions(session: Session) -> dict[tuple[str, int], str]:
    """``{(letter, times): "replayed" | "discarded"}``."""
    return {(row.id, row.times): row.decision for row in session.scalars(select(DeadLetterRow))}


# -- tasks that wait for agents -----------------------------------------------------------------------------


def record_task_run(session: Session, waits: TaskRun) -> None:
    """Store which Airflow task waits for a run; the newest task to attach is the one that counts."""
    values = {name: getattr(waits, name) for name in TaskRun.__slots__}
    row = session.get(TaskRunRow, waits.workflow_id)
    if row is None:
        session.add(TaskRunRow(**values, started_at=utc_now()))
        return
    for name, value in values.items():
        setattr(row, name, value)
    row.settled_at = None


def find_task_run(session: Session, workflow_id: str) -> TaskRun | None:
    row = session.get(TaskRunRow, workflow_id)
    return _task_run(row) if row else None


def open_task_runs(session: Session, limit: int) -> list[TaskRun]:
    """Tasks whose agents have not completed and whose policy was not carried out yet, the oldest first."""
    rows = session.scalars(
        select(TaskRunRow)
        .where(TaskRunRow.settled_at.is_(None))
        .where(~exists().where(CompletionRow.workflow_id == TaskRunRow.workflow_id))
        .order_by(TaskRunRow.started_at)
        .limit(limit)
    )
    return [_task_run(row) for row in rows]


def _task_run(row: TaskRunRow) -> TaskRun:
    values = {name: getattr(row, name) for name in TaskRun.__slots__}
    return TaskRun(**(values | {"on_task_end": OnTaskEnd(row.on_task_end)}))


def settle_task_run(session: Session, workflow_id: str) -> None:
    session.execute(update(TaskRunRow).where(TaskRunRow.workflow_id == workflow_id).values(settled_at=utc_now()))
