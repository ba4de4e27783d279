"""The loop that reads a topic: one thread owns the Kafka consumer, events are handled concurrently.

Guarantees: a record is committed only after its handler has returned or its dead letter is stored; records
with one key are handled one after the other, in order; keys run in parallel, ``max_in_flight`` at once; a few
times as many records are held, beyond that partitions are paused. A handler that finds an engine down is tried
again for as long as it takes, so an outage never makes a dead letter. A consumer that is assigned, behind and
not moving says so and is opened anew.
"""

import asyncio
import queue
import threading
import time
from collections.abc import Mapping
from typing import Any, Final

import structlog
from kafka.errors import FencedInstanceIdError, KafkaError
from kafka.structs import OffsetAndMetadata, TopicPartition

from bridge import metrics
from bridge.adapters.kafka import POLL_MILLISECONDS, KafkaAddress, as_record, open_consumer
from bridge.contracts.failures import Code, Owner, Refused, Unavailable
from bridge.dispatch import BACKOFF_FIRST, BACKOFF_MOST, Dispatcher, Subscription, Taken
from bridge.domain.offsets import PartitionProgress
from bridge.domain.stall import StallWatch, Verdict
from bridge.ports import EventLog

log = structlog.get_logger()

UNASSIGNED_FIRST: Final = 5.0
UNASSIGNED_MOST: Final = 300.0
"""A member without partitions joins again after a while: a leader that knew no partitions hands out none, for ever."""
HELD_PER_SLOT: Final = 4
"""Records held for each handler that may run: what one busy key holds up does not keep the others waiting."""
ROOM_SECONDS: Final = 0.02
COMMIT_SECONDS: Final = 0.2
LOOK_SECONDS: Final = 5.0
"""How often the end of each partition is asked for: lag, and whether we move."""
KAFKA_ANSWER_MILLISECONDS: Final = 5000
DRAIN_SECONDS: Final = 5.0


class Consumer:
    """Runs one subscription until ``stop`` is called. ``assigned`` tells readiness."""

    def __init__(
        self, address: KafkaAddress, subscription: Subscription, dead_letters: EventLog, *, stall_seconds: float = 60.0
    ) -> None:
        self.assigned = False
        self.topic = subscription.topic
        self._address = address
        self._subscription = subscription
        self._dead_letters = dead_letters
        self._stall_seconds = stall_seconds
        self._stopping = threading.Event()
        self._finished: queue.SimpleQueue[Taken] = queue.SimpleQueue()

    async def run(self) -> None:
        """Until ``stop``; raises ``Refused`` if another process uses our static member name."""
        dispatcher = Dispatcher(self._subscription, self._dead_letters, self._finished.put)
        reader = _Reader(self._address, self._subscription, dispatcher, asyncio.get_running_loop(), self._finished)
        try:
            await asyncio.to_thread(self._keep_reading, reader)
        finally:
            self._stopping.set()
            await dispatcher.close()

    def stop(self) -> None:
        self._stopping.set()

    def _keep_reading(self, reader: "_Reader") -> None:
        """The consumer's thread: open, read until something says to open anew, close."""
        backoff, patience = BACKOFF_FIRST, UNASSIGNED_FIRST
        topic = self._subscription.topic
        while not self._stopping.is_set():
            try:
                reader.open()
            except Unavailable as error:
                log.warning("kafka.unavailable", topic=topic, reason=str(error))
                self._stopping.wait(backoff)
                backoff = min(backoff * 2, BACKOFF_MOST)
                continue
            backoff = BACKOFF_FIRST
            try:
                reason, patience = self._read(reader, patience)
                if reason:
                    metrics.RESTARTS.labels(topic, reason).inc()
                    log.warning("consumer.restarts", topic=topic, reason=reason)
            except FencedInstanceIdError as error:
                raise Refused(
                    Code.BAD_CONNECTION,
                    "another process reads with our static member name; give each bridge its own TANDEM_KAFKA_INSTANCE",
                    owner=Owner.PLATFORM,
                ) from error
            except KafkaError as error:
                metrics.RESTARTS.labels(topic, type(error).__name__).inc()
                log.warning("consumer.restarts", topic=topic, reason=repr(error))
                self._stopping.wait(BACKOFF_FIRST)
            except Exception as error:  # the outermost turn: one topic's trouble must not stop the others
                metrics.RESTARTS.labels(topic, type(error).__name__).inc()
                log.exception("consumer.failed", topic=topic)
                self._stopping.wait(BACKOFF_MOST)
            finally:
                self.assigned = False
                reader.close()

    def _read(self, reader: "_Reader", patience: float) -> tuple[str, float]:
        """Read until stopped (reason "") or until a new consumer is needed; also how long to wait unassigned."""
        watch, idle_since = StallWatch(self._stall_seconds), time.monotonic()
        while not self._stopping.is_set():
            self.assigned = reader.turn()
            now = time.monotonic()
            if self.assigned:
                idle_since, patience = now, UNASSIGNED_FIRST
            elif now - idle_since > patience:
                return "unassigned", min(patience * 2, UNASSIGNED_MOST)
            if reader.look() and self._is_stalled(reader, watch):
                return "stalled", patience
        reader.drain()
        return "", patience

    def _is_stalled(self, reader: "_Reader", watch: StallWatch) -> bool:
        verdict = watch.observe(
            now=time.monotonic(),
            behind=reader.is_behind,
            moved=reader.moved,
            engine_waits=reader.engine_waits,
        )
        metrics.STALLED.labels(self._subscription.topic).set(int(verdict is not Verdict.MOVES))
        if verdict is not Verdict.MOVES:
            log.error(
                "consumer.stalled",
                topic=self._subscription.topic,
                verdict=verdict.value,
                seconds=self._stall_seconds,
                held=reader.held,
            )
        return verdict is Verdict.STALLED


class _Reader:
    """One Kafka consumer and what was taken from it. Lives on the consumer's thread."""

    def __init__(
        self,
        address: KafkaAddress,
        subscription: Subscription,
        dispatcher: Dispatcher,
        loop: asyncio.AbstractEventLoop,
        finished: "queue.SimpleQueue[Taken]",
    ) -> None:
        self._address = address
        self._subscription = subscription
        self._dispatcher = dispatcher
        self._loop = loop
        self._finished = finished
        self._most_held = subscription.max_in_flight * HELD_PER_SLOT
        self._consumer: Any = None
        self._progress: dict[TopicPartition, PartitionProgress] = {}
        self._committed_at = self._looked_at = 0.0
        self.moved = 0
        self.is_behind = False

    def open(self) -> None:
        topic, group = self._subscription.topic, self._subscription.group
        self._consumer = open_consumer(self._address, topic=topic, group=group)
        self._looked_at = time.monotonic()

    def close(self) -> None:
        for partition in list(self._progress):
            self._lose(partition)
        consumer, self._consumer = self._consumer, None
        try:
            consumer.close(timeout_ms=2000)
        except KafkaError as error:
            log.warning("kafka.close_failed", reason=repr(error))

    def turn(self) -> bool:
        """Take what is there, commit what is finished; whether any partition is ours."""
        if self._is_full:
            self._wait_for_room()
        self._settle()
        self._pause_or_resume()
        room = self._most_held - self.held
        batches = self._consumer.poll(timeout_ms=0 if self._is_full else POLL_MILLISECONDS, max_records=max(1, room))
        assignment = self._consumer.assignment()
        for partition in set(self._progress) - set(assignment):
            self._lose(partition)
        self._take(batches)
        if time.monotonic() - self._committed_at > COMMIT_SECONDS:
            self._commit()
        return bool(assignment)

    def look(self) -> bool:
        """Every few seconds: how far behind each partition is. Whether it was time to look."""
        now = time.monotonic()
        if now - self._looked_at < LOOK_SECONDS:
            return False
        self._looked_at = now
        self.is_behind = bool(self.held)
        try:
            positions = {partition: self._position(partition) for partition in self._consumer.assignment()}
            self._prove_membership(positions)
            for partition, lag in self._lags(positions).items():
                self.is_behind |= lag > 0
                self._show(partition, lag, now)
        except FencedInstanceIdError:
            raise
        except KafkaError as error:
            self.is_behind = True  # it may be: a client that gets no answer is to be opened anew
            log.warning("kafka.no_answer", topic=self._subscription.topic, reason=repr(error))
        return True

    def _prove_membership(self, positions: Mapping[TopicPartition, int]) -> None:
        """Commit once more where we are: kafka-python goes on polling, in a tight loop, after the group has fenced it,
        and only a commit tells."""
        if positions:
            self._consumer.commit(_offsets(positions), timeout_ms=KAFKA_ANSWER_MILLISECONDS)

    def _lags(self, positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, int]:
        """Records of each partition that are not finished yet."""
        if not positions:
            return {}
        ends = self._consumer.end_offsets(sorted(positions), timeout_ms=KAFKA_ANSWER_MILLISECONDS)
        return {partition: max(0, end - positions[partition]) for partition, end in ends.items()}

    def _position(self, partition: TopicPartition) -> int:
        progress = self._progress.get(partition)
        if progress and progress.in_flight and progress.position is not None:
            return progress.position
        return int(self._consumer.position(partition, timeout_ms=KAFKA_ANSWER_MILLISECONDS) or 0)

    def _show(self, partition: TopicPartition, lag: int, now: float) -> None:
        progress = self._progress.get(partition)
        labels = (partition.topic, partition.partition)
        metrics.LAG.labels(*labels).set(lag)
        metrics.IN_FLIGHT.labels(*labels).set(progress.in_flight if progress else 0)
        metrics.OLDEST.labels(*labels).set(round(progress.oldest_age(now), 3) if progress else 0)

    def drain(self) -> None:
        """Give what is running a moment to finish, so that a clean stop is not followed by repeats."""
        pause, deadline = threading.Event(), time.monotonic() + DRAIN_SECONDS
        self._settle()
        while self.held and time.monotonic() < deadline:
            pause.wait(0.05)
            self._settle()
        self._commit()

    @property
    def held(self) -> int:
        return sum(progress.in_flight for progress in self._progress.values())

    @property
    def engine_waits(self) -> bool:
        """Whether a handler found an engine down since the look before."""
        return time.monotonic() - self._dispatcher.engine_waited_at < 2 * LOOK_SECONDS

    def _take(self, batches: Mapping[TopicPartition, Any]) -> None:
        now, batch = time.monotonic(), []
        for partition, messages in batches.items():
            progress = self._progress.setdefault(partition, PartitionProgress())
            for message in messages:
                progress.take(message.offset, now)
                record = as_record(message)
                batch.append(Taken(record, partition.partition, message.offset, message.timestamp, progress))
        if batch:
            self.moved += len(batch)
            self._loop.call_soon_threadsafe(self._dispatcher.dispatch, batch)

    def _lose(self, partition: TopicPartition) -> None:
        del self._progress[partition]
        metrics.forget_partition(partition.topic, partition.partition)
        self._loop.call_soon_threadsafe(self._dispatcher.abandon, partition.partition)

    @property
    def _is_full(self) -> bool:
        """Less room than for one round of handlers: a poll costs the same for one record as for many."""
        return self._most_held - self.held < self._subscription.max_in_flight

    def _wait_for_room(self) -> None:
        """Everything is paused: let the handlers work instead of asking Kafka for what we could not take.

        Looks now and then: waking at each finished record would take the interpreter from the handlers.
        """
        pause, deadline = threading.Event(), time.monotonic() + POLL_MILLISECONDS / 1000
        while self._is_full and time.monotonic() < deadline:
            pause.wait(ROOM_SECONDS)
            self._settle()

    def _settle(self) -> None:
        while not self._finished.empty():
            taken = self._finished.get()
            taken.progress.finish(taken.offset)  # of a partition that moved away: nobody asks that progress any more
            self.moved += 1

    def _commit(self) -> None:
        self._committed_at = time.monotonic()
        positions = {
            partition: position
            for partition, progress in self._progress.items()
            if (position := progress.committable()) is not None
        }
        if not positions:
            return
        try:
            self._consumer.commit(_offsets(positions), timeout_ms=KAFKA_ANSWER_MILLISECONDS)
        except FencedInstanceIdError:
            raise
        except KafkaError as error:  # the broker is away or the group has moved on: the next turn tries again
            log.warning("kafka.commit_failed", topic=self._subscription.topic, reason=repr(error))
            return
        for partition, position in positions.items():
            self._progress[partition].committed(position)

    def _pause_or_resume(self) -> None:
        full = self._is_full
        paused = self._consumer.paused()
        if full:
            self._consumer.pause(*(self._consumer.assignment() - paused))
        elif paused:
            self._consumer.resume(*paused)
        if full or paused:
            for partition in self._consumer.assignment():
                metrics.PAUSED.labels(partition.topic, partition.partition).set(int(full))


def _offsets(positions: Mapping[TopicPartition, int]) -> dict[TopicPartition, OffsetAndMetadata]:
    return {partition: OffsetAndMetadata(position, "", -1) for partition, position in positions.items()}
