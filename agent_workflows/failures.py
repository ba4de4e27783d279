"""Our failure codes as Temporal sees them: ``Refused`` is never retried, ``Unavailable`` rises and is."""

import datetime as dt
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

from temporalio.exceptions import ApplicationError

from bridge.adapters.temporal import describe_failure as describe_failure  # noqa: PLC0414 - one door for workflows
from bridge.contracts.agents import Usage
from bridge.contracts.failures import Refused, Unavailable

LONGEST_WAIT: Final = dt.timedelta(minutes=10)


def terminal(error: Refused) -> ApplicationError:
    return ApplicationError(str(error), type=error.code.value, non_retryable=True)


def with_usage(code: str, reason: str, usage: Usage) -> ApplicationError:
    """How a run fails: what it used goes to the run that sent it out, which gets no result."""
    return ApplicationError(reason, usage.model_dump(mode="json"), type=code, non_retryable=True)


def usage_in(failure: BaseException | None) -> Usage:
    """What a run used that failed so; nothing where it could not say, as one that was cancelled or terminated."""
    if isinstance(failure, ApplicationError) and failure.details:
        return Usage.model_validate(failure.details[0])
    return Usage()


@contextmanager
def as_temporal() -> Iterator[None]:
    """Translate at the edge of an activity. A wait that was asked for (``Retry-After``) is kept, up to ten minutes."""
    try:
        yield
    except Refused as error:
        raise terminal(error) from error
    except Unavailable as error:
        asked = error.retry_after
        wait = min(dt.timedelta(seconds=asked), LONGEST_WAIT) if asked is not None else None
        raise ApplicationError(str(error), type=error.code.value, next_retry_delay=wait) from error
