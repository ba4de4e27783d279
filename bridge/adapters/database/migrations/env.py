"""Alembic's entry: run the migrations against the URL that the caller passed."""

from alembic import context
from sqlalchemy import create_engine, pool

from bridge.adapters.database.models import Table

engine = create_engine(context.config.attributes["url"], poolclass=pool.NullPool)
with engine.connect() as connection:
    context.configure(connection=connection, target_metadata=Table.metadata, render_as_batch=True)
    with context.begin_transaction():
        context.run_migrations()
engine.dispose()
