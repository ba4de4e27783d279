"""Handles records concurrently: in order per key, again while an engine is down, parked if they can never be served.

Lives on the event loop; the consumer's thread hands records in and is told when each is finished.
"""

import asyncio
import datetime as dt
import random
import time
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Final

import structlog

from bridge import metrics
from bridge.contracts.envelope import Envelope, Record, decode
from bridge.contracts.failures import Code, Owner, Refused, TandemError, Unavailable
from bridge.domain.dead_letters import dead_letter
from bridge.domain.offsets import PartitionProgress
from bridge.ports import EventLog

log = structlog.get_logger()

Handler = Callable[[Envelope], Awaitable[str]]
Accept = Callable[[Record], Envelope]
BACKOFF_FIRST: Final = 0.1
BACKOFF_MOST: Final = 5.0
BUGS_TRIED: Final = 5
"""An error we have no name for is tried this often, then parked: it may be the record's doing."""


@dataclass(frozen=True, slots=True)
class Subscription:
    """``accept`` turns a record into an event or refuses it; ``max_in_flight`` handlers run at once."""

    topic: str
    group: str
    handler: Handler
    max_in_flight: int = 64
    accept: Accept = decode


@dataclass(frozen=True, slots=True)
class Taken:
    """A record in our hands. ``progress`` is that of its partition while it was ours."""

    record: Record
    partition: int
    offset: int
    timestamp: int
    progress: PartitionProgress


class Dispatcher:
    """``finished`` is called for each record that was handled or parked; never for one whose partition moved away."""

    def __init__(self, subscription: Subscription, dead_letters: EventLog, finished: Callable[[Taken], None]) -> None:
        self._subscription = subscription
        self._dead_letters = dead_letters
        self._finished = finished
        self._slots = asyncio.Semaphore(subscription.max_in_flight)
        self._tails: dict[tuple[int, bytes], asyncio.Task[None]] = {}
        self._tasks: dict[asyncio.Task[None], int] = {}
        self.engine_waited_at = 0.0
        """When a handler last found an engine down, on the monotonic clock."""

    def dispatch(self, batch: Iterable[Taken]) -> None:
        for taken in batch:
            key = taken.record.key
            tail = None if key is None else (taken.partition, key)
            before = self._tails.get(tail) if tail else None
            task = asyncio.get_running_loop().create_task(self._handle_after(before, taken))
            self._tasks[task] = taken.partition
            if tail:
                self._tails[tail] = task
            task.add_done_callback(lambda done, tail=tail: self._forget(done, tail))  # type: ignore[misc]

    def abandon(self, partition: int) -> None:
        """The partition is somebody else's: what is under way is given up, the new owner does it."""
        for task, of in list(self._tasks.items()):
            if of == partition:
                task.cancel()

    async def close(self) -> None:
        tasks = list(self._tasks)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)

    def _forget(self, task: "asyncio.Task[None]", tail: tuple[int, bytes] | None) -> None:
        self._tasks.pop(task, None)
        if tail and self._tails.get(tail) is task:
            del self._tails[tail]

    async def _handle_after(self, before: "asyncio.Task[None] | None", taken: Taken) -> None:
        if before is not None:
            await asyncio.wait([before])
        async with self._slots:
            outcome = await self._until_settled(taken)
        metrics.EVENTS.labels(taken.record.topic, taken.partition, outcome).inc()
        self._finished(taken)

    async def _until_settled(self, taken: Taken) -> str:
        backoff, bugs = BACKOFF_FIRST, 0
        while True:
            try:
                return await self._settle_once(taken)
            except Unavailable as error:
                self._report_retry(taken, error)
            except Exception as error:  # the outermost turn: an unknown error is bounded, then parked
                bugs += 1
                log.exception("event.failed", topic=taken.record.topic, offset=taken.offset, tried=bugs)
                if bugs >= BUGS_TRIED:
                    problem = f"handling failed {bugs} times: {type(error).__name__}: {error}"
                    return await self._park_until_stored(taken, Refused(Code.MALFORMED, problem, owner=Owner.OURS))
            await asyncio.sleep(backoff * random.uniform(0.5, 1.0))  # noqa: S311 - jitter, not a secret
            backoff = min(backoff * 2, BACKOFF_MOST)

    async def _settle_once(self, taken: Taken) -> str:
        try:
            return await self._subscription.handler(self._subscription.accept(taken.record))
        except Refused as error:
            if error.owner is Owner.PLATFORM:  # wrong credentials or a missing namespace: not the event's fault
                raise Unavailable(str(error), owner=Owner.PLATFORM) from error
            return await self._park(taken, error)

    async def _park_until_stored(self, taken: Taken, error: TandemError) -> str:
        while True:
            try:
                return await self._park(taken, error)
            except Unavailable as unavailable:
                self._report_retry(taken, unavailable)
                await asyncio.sleep(BACKOFF_MOST)

    async def _park(self, taken: Taken, error: TandemError) -> str:
        letter = dead_letter(
            taken.record,
            error,
            partition=taken.partition,
            offset=taken.offset,
            timestamp=taken.timestamp,
            at=dt.datetime.now(dt.UTC),
        )
        await self._dead_letters.send([letter])
        metrics.DEAD_LETTERS.labels(taken.record.topic, taken.partition, error.code.value).inc()
        log.warning(
            "event.dead_lettered",
            topic=taken.record.topic,
            partition=taken.partition,
            offset=taken.offset,
            code=error.code.value,
            reason=str(error),
        )
        return "dead_lettered"

    def _report_retry(self, taken: Taken, error: TandemError) -> None:
        self.engine_waited_at = time.monotonic()
        metrics.RETRIES.labels(taken.record.topic, taken.partition).inc()
        log.warning("event.waits", topic=taken.record.topic, offset=taken.offset, reason=str(error))
