"""Which offset may be committed when records finish out of order.

Pure. Knows nothing of Kafka's client.
"""

from dataclasses import dataclass, field


@dataclass(slots=True, eq=False)
class PartitionProgress:
    """Tracks one partition: records are *taken* in order, *finished* in any order, committed contiguously.

    Offsets need not be consecutive (compaction and transactions leave gaps). Times are seconds of one clock.
    """

    _open: dict[int, float] = field(default_factory=dict)
    _next: int | None = None
    _committed: int | None = None

    def take(self, offset: int, at: float = 0.0) -> None:
        self._open[offset] = at
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        self._open.pop(offset, None)

    @property
    def in_flight(self) -> int:
        return len(self._open)

    @property
    def position(self) -> int | None:
        """The first offset not finished; None before the first record."""
        return next(iter(self._open), self._next)

    def oldest_age(self, now: float) -> float:
        """Seconds since the oldest unfinished record was taken; 0 if there is none."""
        return now - next(iter(self._open.values()), now)

    def committable(self) -> int | None:
        """The offset to commit (first one not finished), or None if nothing new can be committed."""
        return None if self.position == self._committed else self.position

    def committed(self, position: int) -> None:
        self._committed = position
