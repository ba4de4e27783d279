"""What every unit of work over the database needs: the clock, and an insert that may be repeated."""

import datetime as dt
from functools import cache
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
    given = {c.columns[0].name: getattr(row, c.key) for c in mapper.column_attrs if getattr(row, c.key) is not None}
    return session.execute(_insert_of(dialect_of(session), type(row)), given).first() is not None


@cache
def _insert_of(dialect: Any, kind: type[Table]) -> Any:
    """Made once: values go in as parameters, and the compiled statement is found again."""
    statement = dialect.insert(kind.__table__).on_conflict_do_nothing()
    return statement.returning(*kind.__mapper__.primary_key)
