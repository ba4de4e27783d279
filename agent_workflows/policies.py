"""Timeouts and retry policies, by the kind of thing that is called: the one table of them.

What is never retried is told by its failure code, whoever raises it; the wait that a server asks for (``Retry-After``)
takes the place of ours. Times are the caller's patience.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import timedelta
from types import MappingProxyType
from typing import Final

from temporalio.common import RetryPolicy

from agent_workflows.agents.definition import Calls
from bridge.contracts.failures import Code


@dataclass(frozen=True, slots=True)
class Policy:
    start_to_close: timedelta
    retry: RetryPolicy


def _policy(
    patience: timedelta, *, attempts: int, first: float, longest: float, never: tuple[Code, ...] = ()
) -> Policy:
    """``attempts`` in all, the waits between them from ``first`` seconds, doubling, up to ``longest``."""
    return Policy(
        patience,
        RetryPolicy(
            maximum_attempts=attempts,
            initial_interval=timedelta(seconds=first),
            backoff_coefficient=2.0,
            maximum_interval=timedelta(seconds=longest),
            non_retryable_error_types=[code.value for code in never] or None,
        ),
    )


MODEL: Final = _policy(timedelta(minutes=5), attempts=10, first=1, longest=60, never=(Code.MODEL_REFUSED,))
WEB: Final = _policy(timedelta(minutes=1), attempts=5, first=2, longest=60, never=(Code.HTTP_REFUSED,))
DATABASE: Final = _policy(timedelta(minutes=1), attempts=3, first=1, longest=10)
PAYMENT: Final = _policy(
    timedelta(minutes=1), attempts=5, first=1, longest=30, never=(Code.PAYMENT_DECLINED, Code.OUTCOME_UNKNOWN)
)
DATA: Final = _policy(timedelta(minutes=1), attempts=8, first=0.5, longest=20)
"""Our own stores: pinned snapshots, the platform database."""
COMPENSATION: Final = _policy(timedelta(minutes=1), attempts=0, first=1, longest=60)
"""What must be undone is tried until it is: 0 attempts means no end."""
COMPLETION: Final = _policy(timedelta(seconds=30), attempts=0, first=0.5, longest=30)
COMPLETION_PATIENCE: Final = timedelta(minutes=10)
"""After this the run closes without its event; the bridge's reconciler finds it."""
HEARTBEAT: Final = timedelta(seconds=10)
"""After this a worker that says nothing counts as dead, and its calls are made elsewhere."""

BY_CALLS: Final[Mapping[Calls, Policy]] = MappingProxyType(
    {Calls.DATA: DATA, Calls.WEB: WEB, Calls.DATABASE: DATABASE, Calls.PAYMENT: PAYMENT}
)


def of(calls: Calls | None) -> Policy:
    return BY_CALLS[calls or Calls.DATA]
