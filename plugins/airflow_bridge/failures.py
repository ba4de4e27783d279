"""Our failure codes as Airflow sees them: ``Refused`` fails the task at once, ``Unavailable`` rises and is retried."""

from collections.abc import Iterator
from contextlib import contextmanager

from airflow.sdk.exceptions import AirflowException, AirflowFailException

from bridge.contracts.failures import Refused, Unavailable


@contextmanager
def as_airflow() -> Iterator[None]:
    """Translate at the edge of an operator; the message starts with the code."""
    try:
        yield
    except Refused as error:
        raise AirflowFailException(f"{error.code.value}: {error}") from error
    except Unavailable as error:
        raise AirflowException(f"{error.code.value}: {error}") from error
