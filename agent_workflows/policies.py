"""Timeouts and retry policies, by the kind of thing that is called. Times are the caller's patience."""

from dataclasses import dataclass
from datetime import timedelta
from typing import Final

from temporalio.common import RetryPolicy


@dataclass(frozen=True, slots=True)
class Policy:
    start_to_close: timedelta
    retry: RetryPolicy


MODEL: Final = Policy(
    timedelta(minutes=5),
    RetryPolicy(maximum_attempts=10, initial_interval=timedelta(seconds=1), maximum_interval=timedelta(minutes=1)),
)
DATA: Final = Policy(
    timedelta(minutes=1),
    RetryPolicy(
        maximum_attempts=8,
        initial_interval=timedelta(milliseconds=500),
        maximum_interval=timedelta(seconds=20),
    ),
)
COMPLETION: Final = Policy(
    timedelta(seconds=30),
    RetryPolicy(initial_interval=timedelta(milliseconds=500), maximum_interval=timedelta(seconds=30)),
)
COMPLETION_PATIENCE: Final = timedelta(minutes=10)
"""After this the run closes without its event; the bridge's reconciler finds it."""
HEARTBEAT: Final = timedelta(seconds=10)
