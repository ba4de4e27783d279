"""Transcripts that span runs, questions to people, effects that know whether they were made"""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    with op.batch_alter_table("transcripts") as transcripts:
        transcripts.add_column(sa.Column("parent", sa.String(length=512), nullable=False, server_default=""))
    op.execute("UPDATE transcripts SET parent = run WHERE version > 0")
    with op.batch_alter_table("transcripts") as transcripts:
        transcripts.alter_column("parent", server_default=None)
    op.create_table(
        "approvals",
        sa.Column("workflow_id", sa.String(length=512), primary_key=True),
        sa.Column("id", sa.String(length=64), primary_key=True),
        sa.Column("tenant", sa.String(length=32), nullable=False),
        sa.Column("state", sa.String(length=32), nullable=False),
        sa.Column("request", sa.JSON(), nullable=False),
        sa.Column("answers", sa.JSON(), nullable=False),
        sa.Column("asked_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("expires_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("closed_at", sa.DateTime(timezone=True), nullable=True),
    )
    op.create_index("ix_approvals_state", "approvals", ["state"])
    with op.batch_alter_table("effects") as effects:
        effects.add_column(sa.Column("state", sa.String(length=16), nullable=False, server_default="made"))
        effects.add_column(sa.Column("result", sa.Text(), nullable=True))
        effects.add_column(sa.Column("begun_at", sa.DateTime(timezone=True), nullable=True))
        effects.alter_column("made_at", existing_type=sa.DateTime(timezone=True), nullable=True)
    op.execute("UPDATE effects SET begun_at = made_at")
    with op.batch_alter_table("effects") as effects:
        effects.alter_column("state", server_default=None)
        effects.alter_column("begun_at", existing_type=sa.DateTime(timezone=True), nullable=False)
