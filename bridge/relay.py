"""The outbox relay: events the platform database decided go to Kafka, in order per key, at least once.

One relay works at a time, whoever holds the lease; the others stand by and take over when it runs out. Ids are
stable, so what is sent again after a crash is recognised by every reader.
"""

import asyncio
import time
from typing import Final

import structlog

from bridge import metrics
from bridge.contracts.envelope import encode
from bridge.contracts.failures import Unavailable
from bridge.ports import SEND_SECONDS, EventLog, Ledger

log = structlog.get_logger()

LEASE: Final = "relay"
LEASE_SECONDS: Final = SEND_SECONDS + 4.0
"""Longer than a send may take, so that a holder's send has ended one way or the other when its lease runs out."""
BATCH: Final = 200
IDLE_SECONDS: Final = 0.1
STANDBY_SECONDS: Final = 1.0
OUTAGE_SECONDS: Final = 1.0


async def relay_once(ledger: Ledger, events: EventLog, *, holder: str) -> int | None:
    """Publish the oldest waiting events; returns how many, or None if another relay is at work."""
    if not await ledger.hold_lease(LEASE, holder=holder, seconds=LEASE_SECONDS):
        return None
    held_at = time.monotonic()
    waiting = await ledger.waiting_events(BATCH)
    if not waiting or time.monotonic() - held_at > LEASE_SECONDS - SEND_SECONDS:
        return 0  # nothing to do, or too slow to be sure of the lease: hold it anew first
    await events.send([encode(envelope, topic=topic, key=key) for _, topic, key, envelope in waiting])
    await ledger.mark_published([seq for seq, _, _, _ in waiting])
    for _, topic, _, _ in waiting:
        metrics.PUBLISHED.labels(topic).inc()
    return len(waiting)


async def relay(ledger: Ledger, events: EventLog, stopping: asyncio.Event, *, holder: str) -> None:
    while not stopping.is_set():
        try:
            published = await relay_once(ledger, events, holder=holder)
            pause = STANDBY_SECONDS if published is None else 0.0 if published == BATCH else IDLE_SECONDS
        except Unavailable as error:
            log.warning("relay.waits", reason=str(error))
            pause = OUTAGE_SECONDS
        await _wait(stopping, pause)
    try:
        await ledger.drop_lease(LEASE, holder=holder)
    except Unavailable as error:
        log.warning("relay.lease_kept", reason=str(error))


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
