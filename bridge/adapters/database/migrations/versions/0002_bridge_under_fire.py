"""Deliveries and outbox that know their attempts and batches, leases, decisions on dead letters, task runs, effects"""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    with op.batch_alter_table("tenants") as tenants:
        tenants.add_column(sa.Column("version", sa.Integer(), nullable=False, server_default="1"))
    with op.batch_alter_table("tenants") as tenants:
        tenants.alter_column("version", server_default=None)
    with op.batch_alter_table("outbox") as outbox:
        outbox.add_column(sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True))
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.add_column(sa.Column("attempted_at", sa.DateTime(timezone=True), nullable=True))
        deliveries.add_column(sa.Column("batch", sa.String(length=512), nullable=True))
        deliveries.alter_column("delivered_at", existing_type=sa.DateTime(timezone=True), nullable=True)
        deliveries.alter_column("destination", existing_type=sa.String(length=128), type_=sa.String(length=300))
    op.execute("UPDATE deliveries SET attempted_at = delivered_at")
    with op.batch_alter_table("deliveries") as deliveries:
        deliveries.alter_column("attempted_at", existing_type=sa.DateTime(timezone=True), nullable=False)
        deliveries.create_index("ix_deliveries_batch", ["batch"])
    op.create_table(
        "batches",
        sa.Column("id", sa.String(length=512), primary_key=True),
        sa.Column("tenant", sa.String(length=32), nullable=False),
        sa.Column("dag", sa.String(length=250), nullable=False),
        sa.Column("events", sa.JSON(), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "leases",
        sa.Column("name", sa.String(length=64), primary_key=True),
        sa.Column("holder", sa.String(length=200), nullable=False),
        sa.Column("until", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "dead_letter_decisions",
        sa.Column("id", sa.String(length=64), primary_key=True),
        sa.Column("times", sa.Integer(), primary_key=True, autoincrement=False),
        sa.Column("decision", sa.String(length=16), nullable=False),
        sa.Column("decided_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.create_table(
        "task_runs",
        sa.Column("workflow_id", sa.String(length=512), primary_key=True),
        sa.Column("tenant", sa.String(length=32), nullable=False),
        sa.Column("dag_id", sa.String(length=250), nullable=False),
        sa.Column("run_id", sa.String(length=250), nullable=False),
        sa.Column("task_id", sa.String(length=250), nullable=False),
        sa.Column("map_index", sa.Integer(), nullable=False),
        sa.Column("on_task_end", sa.String(length=16), nullable=False),
        sa.Column("started_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("settled_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_task_runs_settled_at", "task_runs", ["settled_at"])
    op.create_table(
        "effects",
        sa.Column("idempotency_key", sa.String(length=512), primary_key=True),
        sa.Column("tenant", sa.String(length=32), nullable=False),
        sa.Column("run", sa.String(length=512), nullable=False),
        sa.Column("tries", sa.Integer(), nullable=False),
        sa.Column("made_at", sa.DateTime(timezone=True), nullable=False),
    )
