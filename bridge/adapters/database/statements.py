"""What every unit of work over the database needs: the clock, and an insert that may be repeated."""

import datetime as dt
from typing import Any

from sqlalchemy.dialects import postgresql, sqlite
from sqlalchemy.orm import Session

from bridge.adapters.database.models import Table


def utc_now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


def dialect_of(session: Session) -> Any:
    return sqlite if session.get_bind().dialect.name == "sqlite" else postgresql


def insert_once(session: Session, row: Table) -> bool:
    """Insert unless its primary key (or the outbox's event id) is there; says whether it was new."""
    mapper = type(row).__mapper__
    values = {c.key: getattr(row, c.key) for c in mapper.column_attrs if getattr(row, c.key) is not None}
    insert = dialect_of(session).insert(type(row)).values(**values).on_conflict_do_nothing()
    return session.execute(insert.returning(*mapper.primary_key)).first() is not None
