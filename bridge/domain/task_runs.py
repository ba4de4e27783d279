"""An Airflow task that waits for an agent, and what becomes of the agent when the task ends without it.

Pure. States are Airflow's task instance states; None means that the task was cleared and waits to run again.
"""

from dataclasses import dataclass
from enum import StrEnum
from typing import Final


class OnTaskEnd(StrEnum):
    """Policy of one task. In all three a later try of the task finds the run if it still goes on.

    ``re_attach``: goes on while the task may come back (a retry, a clear); cancelled when the task ended for good.
    ``cancel``: cancelled as soon as the task no longer waits, whatever the reason; the next try starts anew.
    ``let_run``: never cancelled.
    """

    RE_ATTACH = "re_attach"
    CANCEL = "cancel"
    LET_RUN = "let_run"


@dataclass(frozen=True, slots=True)
class TaskRun:
    """One task instance, and the run it waits for."""

    workflow_id: str
    tenant: str
    dag_id: str
    run_id: str
    task_id: str
    map_index: int
    on_task_end: OnTaskEnd


GONE: Final = "gone"
"""Our word for a task instance that is no longer there: its DAG run was deleted."""
ENDED: Final = frozenset({"failed", "success", "skipped", "removed", "upstream_failed", GONE})
WAITING: Final = frozenset({"running", "deferred"})


def should_cancel(policy: OnTaskEnd, state: str | None) -> bool:
    """Whether the agent of a task in ``state`` is to be cancelled."""
    match policy:
        case OnTaskEnd.RE_ATTACH:
            return state in ENDED
        case OnTaskEnd.CANCEL:
            return state not in WAITING
        case OnTaskEnd.LET_RUN:
            return False


def is_over(state: str | None) -> bool:
    """Whether the task will not wait for its agent again, unless a person clears it."""
    return state in ENDED
