"""Which offset may be committed when records finish out of order.

Pure. Knows nothing of Kafka's client.
"""

from dataclasses import dataclass, field


@dataclass(slots=True)
class PartitionProgress:
    """Tracks one partition: records are *taken* in order, *finished* in any order, committed contiguously.

    Offsets need not be consecutive (compaction and transactions leave gaps).
    """

    _open: dict[int, None] = field(default_factory=dict)
    _next: int | None = None
    _committed: int | None = None

    def take(self, offset: int) -> None:
        self._open[offset] = None
        self._next = offset + 1

    def finish(self, offset: int) -> None:
        self._open.pop(offset, None)

    @property
    def in_flight(self) -> int:
        return len(self._open)

    def committable(self) -> int | None:
        """The offset to commit (first one not finished), or None if nothing new can be committed."""
        position = next(iter(self._open), self._next)
        return None if position is None or position == self._committed else position

    def committed(self, position: int) -> None:
        self._committed = position
