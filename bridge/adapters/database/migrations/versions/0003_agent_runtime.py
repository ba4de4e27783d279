"""Transcripts that span runs"""

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
