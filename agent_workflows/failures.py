"""Our failure codes as Temporal sees them: ``Refused`` is never retried, ``Unavailable`` rises and is."""

from collections.abc import Iterator
from contextlib import contextmanager

from temporalio.exceptions import ApplicationError

from bridge.contracts.failures import Refused


def terminal(error: Refused) -> ApplicationError:
    return ApplicationError(str(error), type=error.code.value, non_retryable=True)


@contextmanager
def as_temporal() -> Iterator[None]:
    """Translate at the edge of an activity."""
    try:
        yield
    except Refused as error:
        raise terminal(error) from error
