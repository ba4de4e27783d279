"""Tables of the platform database. Every row carries its tenant."""

import datetime as dt
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Index, Integer, LargeBinary, String, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column
from sqlalchemy.types import TypeDecorator

SEQUENCE = BigInteger().with_variant(Integer, "sqlite")
LONG_ID = String(512)


class UtcDateTime(TypeDecorator[dt.datetime]):
    """An instant. SQLite forgets the zone, so it is stored as UTC and given back aware."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        del dialect
        return value.astimezone(dt.UTC) if value else None

    def process_result_value(self, value: dt.datetime | None, dialect: Dialect) -> dt.datetime | None:
        del dialect
        return value.replace(tzinfo=dt.UTC) if value and value.tzinfo is None else value


class Table(DeclarativeBase):
    type_annotation_map = {dt.datetime: UtcDateTime, dict[str, Any]: JSON, list[Any]: JSON}  # noqa: RUF012 - SQLAlchemy's contract


class TenantRow(Table):
    __tablename__ = "tenants"
    id: Mapped[str] = mapped_column(String(32), primary_key=True)
    spec: Mapped[dict[str, Any]]
    version: Mapped[int]
    updated_at: Mapped[dt.datetime]


class VerdictRow(Table):
    __tablename__ = "verdicts"
    __table_args__ = (Index("ix_verdicts_what", "tenant", "dataset", "day"),)
    id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    dataset: Mapped[str] = mapped_column(String(64))
    day: Mapped[str] = mapped_column(String(10))
    snapshot_id: Mapped[int] = mapped_column(BigInteger)
    passed: Mapped[bool]
    body: Mapped[dict[str, Any]]
    decided_at: Mapped[dt.datetime]


class PublicationRow(Table):
    __tablename__ = "publications"
    __table_args__ = (Index("ix_publications_what", "tenant", "dataset", "day"),)
    tag: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32), primary_key=True)
    dataset: Mapped[str] = mapped_column(String(64), primary_key=True)
    day: Mapped[str] = mapped_column(String(10))
    table: Mapped[str] = mapped_column("iceberg_table", String(256))
    snapshot_id: Mapped[int] = mapped_column(BigInteger)
    rows: Mapped[int]
    verdict: Mapped[str] = mapped_column(LONG_ID)
    report: Mapped[str] = mapped_column(LONG_ID)
    published_at: Mapped[dt.datetime]


class AcceptedRow(Table):
    """A request event that Temporal has accepted: the dedupe ledger beyond Temporal's own retention."""

    __tablename__ = "accepted"
    workflow_id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    event_id: Mapped[str] = mapped_column(LONG_ID)
    accepted_at: Mapped[dt.datetime]


class CompletionRow(Table):
    __tablename__ = "completions"
    workflow_id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32), index=True)
    agent: Mapped[str] = mapped_column(String(64))
    outcome: Mapped[str] = mapped_column(String(16))
    body: Mapped[dict[str, Any]]
    closed_at: Mapped[dt.datetime] = mapped_column(index=True)


class OutboxRow(Table):
    """An event decided together with the rows above, waiting for the relay to put it on Kafka."""

    __tablename__ = "outbox"
    __table_args__ = (Index("ix_outbox_waiting", "published_at", "seq"),)
    seq: Mapped[int] = mapped_column(SEQUENCE, primary_key=True, autoincrement=True)
    event_id: Mapped[str] = mapped_column(LONG_ID, unique=True)
    tenant: Mapped[str] = mapped_column(String(32))
    topic: Mapped[str] = mapped_column(String(249))
    key: Mapped[str] = mapped_column(String(1024))
    envelope: Mapped[dict[str, Any]]
    created_at: Mapped[dt.datetime]
    attempted_at: Mapped[dt.datetime | None]
    published_at: Mapped[dt.datetime | None]


class DeliveryRow(Table):
    """An event on its way to a destination. Once it has stored it, a second delivery does nothing."""

    __tablename__ = "deliveries"
    event_id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    destination: Mapped[str] = mapped_column(String(300), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    attempted_at: Mapped[dt.datetime]
    batch: Mapped[str | None] = mapped_column(LONG_ID, index=True)
    delivered_at: Mapped[dt.datetime | None]


class BatchRow(Table):
    """Events that one DAG run gets together. Decided once, before the run is asked for."""

    __tablename__ = "batches"
    id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    dag: Mapped[str] = mapped_column(String(250))
    events: Mapped[list[Any]]
    decided_at: Mapped[dt.datetime]


class LeaseRow(Table):
    """Who does what only one process may do at a time, and until when."""

    __tablename__ = "leases"
    name: Mapped[str] = mapped_column(String(64), primary_key=True)
    holder: Mapped[str] = mapped_column(String(200))
    until: Mapped[dt.datetime]


class DeadLetterRow(Table):
    """What a person decided about a dead letter. ``times`` is how often it had been parked by then."""

    __tablename__ = "dead_letter_decisions"
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    times: Mapped[int] = mapped_column(primary_key=True)
    decision: Mapped[str] = mapped_column(String(16))
    decided_at: Mapped[dt.datetime]


class TaskRunRow(Table):
    """The Airflow task that waits for an agent run, and what becomes of the agent when the task ends without it."""

    __tablename__ = "task_runs"
    workflow_id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    dag_id: Mapped[str] = mapped_column(String(250))
    run_id: Mapped[str] = mapped_column(String(250))
    task_id: Mapped[str] = mapped_column(String(250))
    map_index: Mapped[int]
    on_task_end: Mapped[str] = mapped_column(String(16))
    started_at: Mapped[dt.datetime]
    settled_at: Mapped[dt.datetime | None] = mapped_column(index=True)


class ApprovalRow(Table):
    """What an agent run asks people. ``state`` is ``open``, what came of it, or ``ended`` with the run."""

    __tablename__ = "approvals"
    workflow_id: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    id: Mapped[str] = mapped_column(String(64), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    state: Mapped[str] = mapped_column(String(32), index=True)
    request: Mapped[dict[str, Any]]
    answers: Mapped[list[Any]]
    asked_at: Mapped[dt.datetime]
    expires_at: Mapped[dt.datetime]
    closed_at: Mapped[dt.datetime | None]


class EffectRow(Table):
    """One effect of an agent run on the world, by its idempotency key; written before it is made.

    ``state`` is ``pending`` while nobody knows whether it was made, then ``made`` with its ``result`` as JSON, or
    ``refused`` with the code and reason. ``tries`` counts how often it was asked for.
    """

    __tablename__ = "effects"
    key: Mapped[str] = mapped_column("idempotency_key", LONG_ID, primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    run: Mapped[str] = mapped_column(LONG_ID)
    state: Mapped[str] = mapped_column(String(16))
    result: Mapped[str | None] = mapped_column(Text)
    tries: Mapped[int]
    begun_at: Mapped[dt.datetime]
    made_at: Mapped[dt.datetime | None]


class TranscriptRow(Table):
    """One version of an agent's conversation: the messages this turn added.

    ``parent`` is the run that holds the version before it: another one where the workflow continued as new or was
    reset, empty where there is none.
    """

    __tablename__ = "transcripts"
    run: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    version: Mapped[int] = mapped_column(primary_key=True)
    parent: Mapped[str] = mapped_column(LONG_ID)
    tenant: Mapped[str] = mapped_column(String(32))
    messages: Mapped[bytes] = mapped_column(LargeBinary)
    decision: Mapped[str] = mapped_column(Text)
    recorded_at: Mapped[dt.datetime]


class StepRow(Table):
    """A finished model or tool call of a run, with its result. ``finishes`` above one would mean that it ran twice."""

    __tablename__ = "steps"
    run: Mapped[str] = mapped_column(LONG_ID, primary_key=True)
    step: Mapped[str] = mapped_column(String(200), primary_key=True)
    tenant: Mapped[str] = mapped_column(String(32))
    kind: Mapped[str] = mapped_column(String(16))
    result: Mapped[str] = mapped_column(Text)
    finishes: Mapped[int]
    milliseconds: Mapped[int]
    finished_at: Mapped[dt.datetime]
