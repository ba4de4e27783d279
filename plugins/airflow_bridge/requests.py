"""From asset events to agent requests."""

from collections.abc import Iterable, Mapping
from typing import Any


def publication_key(tenant: str, day: str, verdict: Mapping[str, Any]) -> str:
    """Partition key of a publication's asset event: its own, so that it starts a run of its own.

    Airflow merges events that share a key, or have none, and while it makes a run of them it can lose the
    newest; an event with a key of its own cannot be lost to another.
    """
    return f"{tenant}/{day}/{verdict['snapshot_id']}"


def investigation_requests(triggering: Mapping[Any, Iterable[Any]]) -> list[dict[str, Any]]:
    """Operator arguments, one per tenant, day and snapshot; events are unordered and may repeat.

    The request id names the snapshot: publishing a corrected day is a new request, a repeat is not.
    """
    requests = {}
    for events in triggering.values():
        for event in events:
            extra = event.extra
            own = extra["snapshots"][0]
            request_id = f"{extra['day']}.{own['snapshot_id']}"
            requests[extra["tenant"], request_id] = {
                "tenant": extra["tenant"],
                "input": {"day": extra["day"]},
                "request_id": request_id,
                "snapshots": extra["snapshots"],
            }
    return [requests[key] for key in sorted(requests)]
