"""What the platform has decided, read and written in single transactions.

Each function takes a session first and is one unit of work: a decision and the event that tells of it are
written together (transactional outbox), so neither exists without the other. All are safe to run twice.
"""

import datetime as dt
from collections.abc import Iterable, Sequence

from sqlalchemy import select, update
from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bridge.adapters.database.models import (
    AcceptedRow,
    CompletionRow,
    DeliveryRow,
    OutboxRow,
    PublicationRow,
    StepRow,
    Table,
    TenantRow,
    TranscriptRow,
    VerdictRow,
)
from bridge.contracts import ids
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.envelope import Envelope, wrap
from bridge.contracts.events import AgentAccepted, AgentCompleted, Fact, SnapshotPublished, Verdict
from bridge.contracts.tenants import Tenant


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def _insert_once(session: Session, row: Table) -> bool:
    """Insert unless its primary key (or the outbox's event id) is there; says whether it was new."""
    mapper = type(row).__mapper__
    values = {c.key: getattr(row, c.key) for c in mapper.column_attrs if getattr(row, c.key) is not None}
    dialect = sqlite if session.get_bind().dialect.name == "sqlite" else postgresql
    insert = dialect.insert(type(row)).values(**values).on_conflict_do_nothing()
    return session.execute(insert.returning(*mapper.primary_key)).first() is not None


def _emit(session: Session, fact: Fact, *, event_id: str, tenant: str, key: str, cause: str = "") -> None:
    now = _now()
    envelope = wrap(fact, event_id=event_id, tenant=tenant, time=now, cause=cause)
    _insert_once(
        session,
        OutboxRow(
            event_id=event_id,
            tenant=tenant,
            topic=fact.TOPIC,
            key=key,
            envelope=envelope.model_dump(mode="json"),
            created_at=now,
        ),
    )


# -- tenants ------------------------------------------------------------------------------------------------


def apply_tenants(session: Session, tenants: Iterable[Tenant]) -> dict[str, str]:
    """Declare ``tenants``; returns ``{id: "created" | "changed" | "unchanged"}``. Never removes one."""
    outcome = {}
    for tenant in tenants:
        row = session.get(TenantRow, tenant.id)
        spec = tenant.model_dump(mode="json")
        if row is None:
            session.add(TenantRow(id=tenant.id, spec=spec, updated_at=_now()))
            outcome[tenant.id] = "created"
        elif row.spec != spec:
            row.spec, row.updated_at = spec, _now()
            outcome[tenant.id] = "changed"
        else:
            outcome[tenant.id] = "unchanged"
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
    new = _insert_once(session, row)
    if new:
        _emit(session, verdict, event_id=verdict.id, tenant=verdict.tenant, key=f"{verdict.tenant}/{verdict.dataset}")
    return new


def list_verdicts(session: Session, *, tenant: str | None = None) -> tuple[Verdict, ...]:
    query = select(VerdictRow).order_by(VerdictRow.day, VerdictRow.tenant, VerdictRow.decided_at)
    if tenant is not None:
        query = query.where(VerdictRow.tenant == tenant)
    return tuple(Verdict.model_validate(row.body) for row in session.scalars(query))


def record_publication(session: Session, published: SnapshotPublished) -> bool:
    """Store that a snapshot may be read, and its event; False if it was already there."""
    snapshot = published.snapshot
    row = PublicationRow(
        **snapshot.model_dump(),
        day=published.day.isoformat(),
        rows=published.rows,
        verdict=published.verdict,
        report=published.report,
        published_at=_now(),
    )
    new = _insert_once(session, row)
    if new:
        event_id = f"{snapshot.tenant}/{snapshot.dataset}/{snapshot.tag}#published"
        _emit(
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


def record_accepted(session: Session, accepted: AgentAccepted, *, tenant: str, event_id: str) -> bool:
    """Store that Temporal has the run; False for a repeat."""
    row = AcceptedRow(workflow_id=accepted.workflow_id, tenant=tenant, event_id=event_id, accepted_at=_now())
    new = _insert_once(session, row)
    if new:
        _emit(
            session,
            accepted,
            event_id=ids.accepted_event_id(accepted.workflow_id),
            tenant=tenant,
            key=accepted.workflow_id,
            cause=event_id,
        )
    return new


def is_accepted(session: Session, workflow_id: str) -> bool:
    return session.get(AcceptedRow, workflow_id) is not None


def record_completion(session: Session, completed: AgentCompleted, *, tenant: str, cause: str = "") -> bool:
    """Store the one completion of a run and its event; False if the run had completed before."""
    row = CompletionRow(
        workflow_id=completed.workflow_id,
        tenant=tenant,
        agent=completed.agent,
        outcome=completed.outcome.value,
        body=completed.model_dump(mode="json"),
        closed_at=completed.closed_at,
    )
    new = _insert_once(session, row)
    if new:
        _emit(
            session,
            completed,
            event_id=ids.completion_event_id(completed.workflow_id),
            tenant=tenant,
            key=completed.workflow_id,
            cause=cause,
        )
    return new


def find_completion(session: Session, workflow_id: str) -> AgentCompleted | None:
    row = session.get(CompletionRow, workflow_id)
    return AgentCompleted.model_validate(row.body) if row else None


def missing_completions(session: Session, workflow_ids: Sequence[str]) -> set[str]:
    """Those of ``workflow_ids`` that have no completion yet."""
    known = session.scalars(select(CompletionRow.workflow_id).where(CompletionRow.workflow_id.in_(workflow_ids)))
    return set(workflow_ids) - set(known)


# -- seam ---------------------------------------------------------------------------------------------------


def waiting_events(session: Session, limit: int) -> list[tuple[int, str, str, Envelope]]:
    """The oldest unpublished events as ``(seq, topic, key, envelope)``, in the order they were decided."""
    rows = session.scalars(
        select(OutboxRow).where(OutboxRow.published_at.is_(None)).order_by(OutboxRow.seq).limit(limit)
    )
    return [(r.seq, r.topic, r.key, Envelope.model_validate(r.envelope)) for r in rows]


def mark_published(session: Session, seqs: Sequence[int]) -> None:
    session.execute(update(OutboxRow).where(OutboxRow.seq.in_(seqs)).values(published_at=_now()))


def is_delivered(session: Session, event_id: str, destination: str) -> bool:
    return session.get(DeliveryRow, (event_id, destination)) is not None


def record_delivery(session: Session, event_id: str, destination: str, tenant: str) -> None:
    row = DeliveryRow(event_id=event_id, destination=destination, tenant=tenant, delivered_at=_now())
    _insert_once(session, row)


# -- transcripts and steps ----------------------------------------------------------------------------------


def load_transcript(session: Session, run: str) -> list[tuple[int, bytes, str]]:
    """All turns of a run as ``(version, messages, decision)``, oldest first."""
    rows = session.scalars(select(TranscriptRow).where(TranscriptRow.run == run).order_by(TranscriptRow.version))
    return [(r.version, r.messages, r.decision) for r in rows]


def append_turn(session: Session, *, run: str, version: int, tenant: str, messages: bytes, decision: str) -> None:
    """Store one turn; a second writer of the same version changes nothing."""
    row = TranscriptRow(
        run=run, version=version, tenant=tenant, messages=messages, decision=decision, recorded_at=_now()
    )
    _insert_once(session, row)


def record_step(  # noqa: PLR0913 - one row, its columns
    session: Session, *, run: str, step: str, tenant: str, kind: str, result: str, milliseconds: int
) -> None:
    """Keep a finished call with its result, as JSON; the first result stays."""
    row = StepRow(
        run=run,
        step=step,
        tenant=tenant,
        kind=kind,
        result=result,
        finishes=1,
        milliseconds=milliseconds,
        finished_at=_now(),
    )
    if not _insert_once(session, row):
        session.execute(
            update(StepRow)
            .where(StepRow.run == run, StepRow.step == step)
            .values(finishes=StepRow.finishes + 1, finished_at=_now())
        )


def find_step(session: Session, *, run: str, step: str) -> str | None:
    """The result of a finished call as JSON, or None."""
    row = session.get(StepRow, (run, step))
    return row.result if row else None


def list_steps(session: Session, run: str) -> list[tuple[str, str, int, int]]:
    """Finished calls of a run as ``(step, kind, finishes, milliseconds)`` in the order they ended."""
    rows = session.scalars(select(StepRow).where(StepRow.run == run).order_by(StepRow.finished_at))
    return [(r.step, r.kind, r.finishes, r.milliseconds) for r in rows]
