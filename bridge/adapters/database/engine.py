"""One engine for the platform database, tuned for many small writers."""

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from alembic import command
from alembic.config import Config
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine import make_url
from sqlalchemy.exc import ArgumentError, DBAPIError, OperationalError
from sqlalchemy.orm import Session

from bridge.contracts.failures import Code, Owner, Refused, Unavailable

P = ParamSpec("P")
T = TypeVar("T")

MIGRATIONS = Path(__file__).parent / "migrations"
LOCK_WAIT_SECONDS = 30


class Database:
    """Access to the platform database, or to another by its ``name``: each call is one transaction.

    ``postgresql://`` means psycopg 3. Raises ``Unavailable`` when the server does not answer.
    """

    def __init__(self, url: str, name: str = "the platform database") -> None:
        try:
            parsed = make_url(url)
        except ArgumentError as error:
            raise Refused(
                Code.BAD_CONNECTION,
                f"the URL of {name} is not one; use sqlite:///path or postgresql://user@host/name",
                owner=Owner.PLATFORM,
            ) from error
        self.url = url
        self._name = name
        self.is_sqlite = parsed.get_backend_name() == "sqlite"
        self.engine = _engine(url, sqlite=self.is_sqlite)

    def run(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``work(session, …)`` in one transaction."""
        try:
            with Session(self.engine) as session, session.begin():
                return work(session, *args, **kwargs)
        except (OperationalError, DBAPIError) as error:
            if isinstance(error, OperationalError) or error.connection_invalidated:
                shown = make_url(self.url).render_as_string(hide_password=True)
                raise Unavailable(f"{self._name} {shown} did not answer: {error.orig}", owner=Owner.PLATFORM) from error
            raise

    async def arun(self, work: Callable[Concatenate[Session, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """``run`` on a thread, for callers on an event loop."""
        return await asyncio.to_thread(lambda: self.run(work, *args, **kwargs))

    def migrate(self) -> None:
        """Bring the schema to the newest revision. Safe to run again."""
        command.upgrade(alembic_config(self.url), "head")

    def close(self) -> None:
        self.engine.dispose()


def alembic_config(url: str) -> Config:
    config = Config()
    config.set_main_option("script_location", str(MIGRATIONS))
    config.attributes["url"] = url
    return config


def _engine(url: str, *, sqlite: bool) -> Engine:
    if not sqlite:
        return create_engine(url, pool_pre_ping=True, pool_size=10)
    engine = create_engine(url, connect_args={"timeout": LOCK_WAIT_SECONDS, "check_same_thread": False})
    event.listen(engine, "connect", _tune_sqlite)
    event.listen(engine, "begin", _take_write_lock_first)
    return engine


def _tune_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # we say BEGIN ourselves, below
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA synchronous=NORMAL")


def _take_write_lock_first(connection: Any) -> None:
    """A read that later writes cannot wait for the lock in SQLite: it fails. So lock from the start."""
    connection.exec_driver_sql("BEGIN IMMEDIATE")
