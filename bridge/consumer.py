"""The loop that reads a topic: one thread owns the Kafka consumer, events are handled concurrently.

Guarantees: a record is committed only after its handler has returned or its dead letter is stored; records
with one key are handled one after the other, in order; keys run in parallel; at most ``max_in_flight``
records are held, beyond that partitions are paused. A handler that finds an engine down is tried again for
as long as it takes, so an outage never makes a dead letter.
"""

import asyncio
import datetime as dt
import queue
import random
import threading
import time
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from kafka.errors import KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition
from prometheus_client import Counter, Gauge

from bridge.adapters.kafka import POLL_MILLISECONDS, KafkaAddress, open_consumer
from bridge.contracts.envelope import Envelope, Record, decode
from bridge.contracts.failures import Code, Owner, Refused, TandemError, Unavailable
from bridge.domain.dead_letters import dead_letter
from bridge.domain.offsets import PartitionProgress
from bridge.ports import EventLog

log = structlog.get_logger()

EVENTS = Counter("tandem_bridge_events_total", "Events handled", ["topic", "outcome"])
RETRIES = Counter("tandem_bridge_retries_total", "Handlings tried again because an engine was down", ["topic"])
IN_FLIGHT = Gauge("tandem_bridge_in_flight", "Events taken and not finished", ["topic"])
PAUSED = Gauge("tandem_bridge_paused", "1 while partitions are paused", ["topic"])

Handler = Callable[[Envelope], Awaitable[str]]
BACKOFF_FIRST: Final = 0.1
BACKOFF_MOST: Final = 5.0
UNASSIGNED_FIRST: Final = 5.0
UNASSIGNED_MOST: Final = 300.0
"""A member without partitions joins again after a while: a leader that knew no partitions hands out none, for ever."""
BUGS_TRIED: Final = 5
"""An error we have no name for is tried this often, then parked: it may be the record's doing."""


@dataclass(frozen=True, slots=True)
class Subscription:
    topic: str
    group: str
    handler: Handler
    max_in_flight: int = 64


@dataclass(frozen=True, slots=True)
class _Taken:
    partition: TopicPartition
    offset: int
    record: Record


@dataclass(slots=True)
class Consumer:
    """Runs one subscription until ``stop`` is called. ``assigned`` tells readiness."""

    address: KafkaAddress
    subscription: Subscription
    dead_letters: EventLog
    _stopping: threading.Event = field(default_factory=threading.Event)
    _finished: "queue.SimpleQueue[_Taken]" = field(default_factory=queue.SimpleQueue)
    _progress: dict[TopicPartition, PartitionProgress] = field(default_factory=dict)
    _tails: dict[bytes, "asyncio.Task[None]"] = field(default_factory=dict)
    _tasks: set["asyncio.Task[None]"] = field(default_factory=set)
    assigned: bool = False

    async def run(self) -> None:
        loop = asyncio.get_running_loop()
        await asyncio.to_thread(self._own_consumer, loop)
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def stop(self) -> None:
        self._stopping.set()

    # -- the consumer's thread ------------------------------------------------------------------------------

    def _own_consumer(self, loop: asyncio.AbstractEventLoop) -> None:
        backoff, patience = BACKOFF_FIRST, UNASSIGNED_FIRST
        while not self._stopping.is_set():
            try:
                consumer = open_consumer(self.address, topic=self.subscription.topic, group=self.subscription.group)
            except Unavailable as error:
                log.warning("kafka.unavailable", topic=self.subscription.topic, reason=str(error))
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, BACKOFF_MOST)
                continue
            backoff = BACKOFF_FIRST
            self._progress.clear()
            idle_since = time.monotonic()
            try:
                while not self._stopping.is_set():
                    self._turn(consumer, loop)
                    if self.assigned:
                        idle_since, patience = time.monotonic(), UNASSIGNED_FIRST
                    elif time.monotonic() - idle_since > patience:
                        patience = min(patience * 2, UNASSIGNED_MOST)
                        log.warning("kafka.unassigned", topic=self.subscription.topic, reason="joining again")
                        break
                else:
                    self._drain(consumer)
            except KafkaError as error:
                log.warning("kafka.consumer_restarts", topic=self.subscription.topic, reason=repr(error))
                self._stopping.wait(BACKOFF_FIRST)
            finally:
                self.assigned = False
                _close(consumer)

    def _turn(self, consumer: Any, loop: asyncio.AbstractEventLoop) -> None:
        batches: Mapping[TopicPartition, Any] = consumer.poll(timeout_ms=POLL_MILLISECONDS if not self._held() else 20)
        assignment = consumer.assignment()
        self.assigned = bool(assignment)
        for gone in set(self._progress) - set(assignment):
            del self._progress[gone]
        for partition, messages in batches.items():
            progress = self._progress.setdefault(partition, PartitionProgress())
            for message in messages:
                progress.take(message.offset)
                taken = _Taken(partition, message.offset, _as_record(message))
                loop.call_soon_threadsafe(self._dispatch, taken)
        self._settle()
        self._commit(consumer)
        self._pause_or_resume(consumer)

    def _held(self) -> int:
        return sum(progress.in_flight for progress in self._progress.values())

    def _settle(self) -> None:
        while not self._finished.empty():
            taken = self._finished.get()
            if taken.partition in self._progress:
                self._progress[taken.partition].finish(taken.offset)
        IN_FLIGHT.labels(self.subscription.topic).set(self._held())

    def _commit(self, consumer: Any) -> None:
        positions = {
            partition: position
            for partition, progress in self._progress.items()
            if (position := progress.committable()) is not None
        }
        if not positions:
            return
        try:
            consumer.commit({tp: OffsetAndMetadata(position, "", -1) for tp, position in positions.items()})
        except KafkaError as error:  # the broker is away or the group has moved on: the next turn tries again
            log.warning("kafka.commit_failed", topic=self.subscription.topic, reason=repr(error))
            return
        for partition, position in positions.items():
            self._progress[partition].committed(position)

    def _pause_or_resume(self, consumer: Any) -> None:
        full = self._held() >= self.subscription.max_in_flight
        paused = consumer.paused()
        if full:
            consumer.pause(*(consumer.assignment() - paused))
        elif paused:
            consumer.resume(*paused)
        PAUSED.labels(self.subscription.topic).set(int(full))

    def _drain(self, consumer: Any) -> None:
        """Give what is running a moment to finish, so that a clean stop is not followed by repeats."""
        pause = threading.Event()
        for _ in range(50):
            self._settle()
            if not self._held():
                break
            pause.wait(0.1)
        self._settle()
        self._commit(consumer)

    # -- the event loop -------------------------------------------------------------------------------------

    def _dispatch(self, taken: _Taken) -> None:
        before = self._tails.get(taken.record.key) if taken.record.key is not None else None
        task = asyncio.get_running_loop().create_task(self._handle_after(before, taken))
        self._tasks.add(task)
        if taken.record.key is not None:
            self._tails[taken.record.key] = task
        task.add_done_callback(lambda done: self._forget(done, taken))

    def _forget(self, task: "asyncio.Task[None]", taken: _Taken) -> None:
        self._tasks.discard(task)
        if taken.record.key is not None and self._tails.get(taken.record.key) is task:
            del self._tails[taken.record.key]

    async def _handle_after(self, before: "asyncio.Task[None] | None", taken: _Taken) -> None:
        if before is not None:
            await asyncio.wait([before])
        outcome = await self._until_settled(taken)
        EVENTS.labels(self.subscription.topic, outcome).inc()
        self._finished.put(taken)

    async def _until_settled(self, taken: _Taken) -> str:
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

    async def _settle_once(self, taken: _Taken) -> str:
        try:
            return await self.subscription.handler(decode(taken.record))
        except Refused as error:
            if error.owner is Owner.PLATFORM:  # wrong credentials or a missing namespace: not the event's fault
                raise Unavailable(str(error), owner=Owner.PLATFORM) from error
            return await self._park(taken, error)

    async def _park_until_stored(self, taken: _Taken, error: TandemError) -> str:
        while True:
            try:
                return await self._park(taken, error)
            except Unavailable as unavailable:
                self._report_retry(taken, unavailable)
                await asyncio.sleep(BACKOFF_MOST)

    async def _park(self, taken: _Taken, error: TandemError) -> str:
        letter = dead_letter(
            taken.record,
            error,
            partition=taken.partition.partition,
            offset=taken.offset,
            at=dt.datetime.now(dt.UTC),
        )
        await self.dead_letters.send([letter])
        log.warning(
            "event.dead_lettered",
            topic=taken.record.topic,
            partition=taken.partition.partition,
            offset=taken.offset,
            code=error.code.value,
            reason=str(error),
        )
        return "dead_lettered"

    def _report_retry(self, taken: _Taken, error: TandemError) -> None:
        RETRIES.labels(self.subscription.topic).inc()
        log.warning("event.waits", topic=taken.record.topic, offset=taken.offset, reason=str(error))


def _as_record(message: Any) -> Record:
    headers = tuple((name, value) for name, value in message.headers or ())
    return Record(topic=message.topic, key=message.key, value=message.value, headers=headers)


def _close(consumer: Any) -> None:
    try:
        consumer.close(timeout_ms=2000)
    except KafkaError as error:
        log.warning("kafka.close_failed", reason=repr(error))
