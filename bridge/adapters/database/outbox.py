"""Writing an event together with what was decided: the transactional outbox."""

from typing import Any

from sqlalchemy.orm import Session

from bridge.adapters.database.models import OutboxRow
from bridge.adapters.database.statements import insert_once, utc_now
from bridge.contracts.envelope import wrap
from bridge.contracts.events import Fact


def emit(session: Session, fact: Fact, *, event_id: str, tenant: str, key: str, cause: str = "") -> None:
    insert_once(session, OutboxRow(**event_row(fact, event_id, tenant=tenant, key=key, cause=cause)))


def event_row(fact: Fact, event_id: str, *, tenant: str, key: str, cause: str) -> dict[str, Any]:
    """A row of the outbox."""
    at = utc_now()
    return {
        "event_id": event_id,
        "tenant": tenant,
        "topic": fact.TOPIC,
        "key": key,
        "envelope": wrap(fact, event_id=event_id, tenant=tenant, time=at, cause=cause).model_dump(mode="json"),
        "created_at": at,
    }
