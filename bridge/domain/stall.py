"""Is a consumer that is behind still moving? Pure: is told what was seen, and when."""

from dataclasses import dataclass
from enum import StrEnum


class Verdict(StrEnum):
    MOVES = "moves"
    WAITS = "waits for an engine"
    STALLED = "stalled"


@dataclass(slots=True)
class StallWatch:
    """``limit`` is how many seconds without a step are too many."""

    limit: float
    _moved: int = -1
    _since: float = 0.0
    _waited: float = 0.0

    def observe(self, *, now: float, behind: bool, moved: int, engine_waits: bool) -> Verdict:
        """``moved`` counts records taken and finished so far; ``engine_waits``: a handler found an engine down since
        the last time. A stall is told once per ``limit``."""
        if moved != self._moved or not behind:
            self._moved, self._since = moved, now
            return Verdict.MOVES
        if engine_waits:
            self._waited = now
        if now - self._since < self.limit:
            return Verdict.MOVES
        waits = now - self._waited < self.limit
        self._since = now
        return Verdict.WAITS if waits else Verdict.STALLED
