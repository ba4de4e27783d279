"""What one agent run keeps outside Temporal's history: its transcript, its finished steps, its effects.

Each function takes a session first and is one unit of work, safe to run twice.
"""

from typing import Final

from sqlalchemy import delete, select, update
from sqlalchemy.orm import Session

from bridge.adapters.database.models import EffectRow, StepRow, TranscriptRow
from bridge.adapters.database.statements import insert_once, utc_now

NEW: Final = "new"
PENDING: Final = "pending"
MADE: Final = "made"
REFUSED: Final = "refused"


def load_transcript(session: Session, run: str, version: int) -> list[bytes]:
    """Messages of the turns of ``run`` up to ``version``, and before them of the runs it builds on; oldest first."""
    found: list[bytes] = []
    while version >= 0:
        rows = session.scalars(
            select(TranscriptRow)
            .where(TranscriptRow.run == run, TranscriptRow.version <= version)
            .order_by(TranscriptRow.version.desc())
        ).all()
        if not rows:
            break
        found.extend(row.messages for row in rows)
        version, run = rows[-1].version - 1, rows[-1].parent
    return found[::-1]


def find_turn(session: Session, run: str, version: int) -> str | None:
    """The decision of an answered turn as JSON, or None."""
    row = session.get(TranscriptRow, (run, version))
    return row.decision if row else None


def append_turn(  # noqa: PLR0913 - one row, its columns
    session: Session, *, run: str, version: int, parent: str, tenant: str, messages: bytes, decision: str
) -> None:
    """Store one turn; a second writer of the same version changes nothing."""
    row = TranscriptRow(
        run=run,
        version=version,
        parent=parent,
        tenant=tenant,
        messages=messages,
        decision=decision,
        recorded_at=utc_now(),
    )
    insert_once(session, row)


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
        finished_at=utc_now(),
    )
    if not insert_once(session, row):
        session.execute(
            update(StepRow)
            .where(StepRow.run == run, StepRow.step == step)
            .values(finishes=StepRow.finishes + 1, finished_at=utc_now())
        )


def find_step(session: Session, *, run: str, step: str) -> str | None:
    """The result of a finished call as JSON, or None."""
    row = session.get(StepRow, (run, step))
    return row.result if row else None


def list_steps(session: Session, run: str) -> list[tuple[str, str, int, int]]:
    """Finished calls of a run as ``(step, kind, finishes, milliseconds)`` in the order they ended."""
    rows = session.scalars(select(StepRow).where(StepRow.run == run).order_by(StepRow.finished_at))
    return [(r.step, r.kind, r.finishes, r.milliseconds) for r in rows]


def make_effect(session: Session, key: str, *, tenant: str, run: str) -> bool:
    """Make an effect that is this row itself, once; False for a repeat, which is counted."""
    at = utc_now()
    row = EffectRow(key=key, tenant=tenant, run=run, state=MADE, result=None, tries=1, begun_at=at, made_at=at)
    return insert_once(session, row) or _count_try(session, key)


def begin_effect(session: Session, key: str, *, tenant: str, run: str) -> tuple[str, str | None]:
    """Note that an effect is about to be made. Returns ``(state, result)``: ``new``, or how an earlier try left it."""
    row = EffectRow(key=key, tenant=tenant, run=run, state=PENDING, result=None, tries=1, begun_at=utc_now())
    if insert_once(session, row):
        return NEW, None
    _count_try(session, key)
    found = session.get_one(EffectRow, key)
    return found.state, found.result


def finish_effect(session: Session, key: str, *, state: str, result: str) -> None:
    """What came of an effect: ``made`` or ``refused``, with its result as JSON. The first word stays."""
    session.execute(
        update(EffectRow)
        .where(EffectRow.key == key, EffectRow.state == PENDING)
        .values(state=state, result=result, made_at=utc_now())
    )


def forget_effect(session: Session, key: str) -> None:
    """The effect was certainly not made: the next try is the first."""
    session.execute(delete(EffectRow).where(EffectRow.key == key, EffectRow.state == PENDING))


def _count_try(session: Session, key: str) -> bool:
    session.execute(update(EffectRow).where(EffectRow.key == key).values(tries=EffectRow.tries + 1))
    return False
