"""The outbox relay: events the platform database decided go to Kafka, in order per key, each once.

One relay works at a time, whoever holds the lease; the others stand by and take over when it runs out. An event
that was tried and not marked as published, because a relay died in between, is first looked for on its topic.
"""

import asyncio
import time
from collections import defaultdict
from collections.abc import Sequence
from typing import Final

import structlog

from bridge import metrics
from bridge.contracts.envelope import encode
from bridge.contracts.failures import Unavailable
from bridge.domain.outbox import Waiting
from bridge.ports import SEND_SECONDS, EventLog, Ledger

log = structlog.get_logger()

LEASE: Final = "relay"
LEASE_SECONDS: Final = SEND_SECONDS + 4.0
"""Longer than a send may take, so that a holder's send has ended one way or the other when its lease runs out."""
BATCH: Final = 200
IDLE_SECONDS: Final = 0.1
STANDBY_SECONDS: Final = 1.0
OUTAGE_SECONDS: Final = 1.0


class Relay:
    def __init__(self, ledger: Ledger, events: EventLog, *, holder: str) -> None:
        self._ledger = ledger
        self._events = events
        self._holder = holder
        self._held_at = float("-inf")

    async def run(self, stopping: asyncio.Event) -> None:
        while not stopping.is_set():
            try:
                published = await self.once()
                pause = STANDBY_SECONDS if published is None else 0.0 if published == BATCH else IDLE_SECONDS
            except Unavailable as error:
                log.warning("relay.waits", reason=str(error))
                pause = OUTAGE_SECONDS
            await _wait(stopping, pause)
        try:
            await self._ledger.drop_lease(LEASE, holder=self._holder)
        except Unavailable as error:
            log.warning("relay.lease_kept", reason=str(error))

    async def once(self) -> int | None:
        """Publish the oldest waiting events; returns how many, or None if another relay is at work."""
        if not await self._holds_lease():
            return None
        waiting = await self._ledger.waiting_events(BATCH)
        stored = await self._stored(waiting)
        missing = [event for event in waiting if event.envelope.id not in stored]
        if missing and await self._holds_lease():
            await self._events.send([encode(event.envelope, topic=event.topic, key=event.key) for event in missing])
        elif missing:
            return None
        if waiting:
            await self._ledger.mark_published([event.seq for event in waiting])
        for event in missing:
            metrics.PUBLISHED.labels(event.topic).inc()
        return len(waiting)

    async def _holds_lease(self) -> bool:
        """Whether the lease is ours for as long as a send may take; renewed in time."""
        now = time.monotonic()
        if now - self._held_at < LEASE_SECONDS - SEND_SECONDS:
            return True
        held = await self._ledger.hold_lease(LEASE, holder=self._holder, seconds=LEASE_SECONDS)
        self._held_at = now if held else float("-inf")
        return held

    async def _stored(self, waiting: Sequence[Waiting]) -> set[str]:
        """Ids of those that an earlier try has put on Kafka after all."""
        doubtful: dict[str, list[Waiting]] = defaultdict(list)
        for event in waiting:
            if event.tried_at is not None:
                doubtful[event.topic].append(event)
        stored: set[str] = set()
        for topic, events in doubtful.items():
            since = min(event.tried_at for event in events if event.tried_at is not None)
            stored |= await self._events.stored(topic, [event.envelope.id for event in events], since=since)
        if stored:
            log.info("relay.found_stored", count=len(stored))
        return stored


async def _wait(stopping: asyncio.Event, seconds: float) -> None:
    try:
        await asyncio.wait_for(stopping.wait(), seconds)
    except TimeoutError:
        return
