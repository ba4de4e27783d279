"""The outbox relay: events the platform database decided go to Kafka, in order, at least once.

Ids are stable, so a repeat after a crash between storing and marking is recognised by every reader.
"""

import asyncio
from typing import Final

import structlog

from bridge.contracts.envelope import encode
from bridge.contracts.failures import Unavailable
from bridge.ports import EventLog, Ledger

log = structlog.get_logger()

BATCH: Final = 200
IDLE_SECONDS: Final = 0.1
OUTAGE_SECONDS: Final = 1.0


async def relay_once(ledger: Ledger, events: EventLog) -> int:
    """Publish the oldest waiting events; returns how many."""
    waiting = await ledger.waiting_events(BATCH)
    if not waiting:
        return 0
    await events.send([encode(envelope, topic=topic, key=key) for _, topic, key, envelope in waiting])
    await ledger.mark_published([seq for seq, _, _, _ in waiting])
    return len(waiting)


async def relay(ledger: Ledger, events: EventLog, stopping: asyncio.Event) -> None:
    while not stopping.is_set():
        try:
            published = await relay_once(ledger, events)
            pause = 0.0 if published == BATCH else IDLE_SECONDS
        except Unavailable as error:
            log.warning("relay.waits", reason=str(error))
            pause = OUTAGE_SECONDS
        await _wait(stopping, pause)


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
