"""Task queues by kind of work, so that a few large machines serve only what needs them. Pure."""

from enum import StrEnum


class Kind(StrEnum):
    """What a call needs of the worker that runs it."""

    GPU = "gpu"
    HTTP = "http"
    DATA = "data"


def queue_of(workflow_queue: str, kind: Kind | None) -> str:
    """``agents`` and ``http`` make ``agents-http``; without a kind the workflow's own queue serves."""
    return f"{workflow_queue}-{kind.value}" if kind else workflow_queue
