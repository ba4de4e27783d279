"""Identifiers as pure functions of what they identify, so that a repeat finds what is already there.

Never built from topic, partition and offset: offsets restart when a topic is recreated.
"""

import hashlib
import re
from collections.abc import Iterable
from typing import Annotated, Final

from pydantic import StringConstraints

from bridge.contracts.failures import Code, Refused

TenantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+=@-]{0,199}$")]
MAX_REQUEST_ID: Final = 200
EventId = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def workflow_id(tenant: str, agent: str, request_id: str) -> str:
    """``{tenant}/{agent}/{request_id}``: one request makes one agent run, however often it is sent."""
    return f"{tenant}/{agent}/{request_id}"


def child_request_id(parent: str, name: str, run: str = "") -> str:
    """Request id of an agent that another sent out, in that run or, without ``run``, in whichever run."""
    whole = ".".join(part for part in (parent, name, run[-12:]) if part)
    if len(whole) <= MAX_REQUEST_ID:
        return whole
    return f"{whole[: MAX_REQUEST_ID - 17]}-{hashlib.sha256(whole.encode()).hexdigest()[:16]}"


def split_workflow_id(workflow: str) -> tuple[str, str, str]:
    """``(tenant, agent, request id)``; raises ``Refused(INVALID_REQUEST)`` for what is no workflow id of ours."""
    parts = workflow.split("/", 2)
    if len(parts) != 3 or not all(parts):  # noqa: PLR2004
        raise Refused(Code.INVALID_REQUEST, f"{workflow!r} is not a workflow id: TENANT/AGENT/REQUEST")
    return parts[0], parts[1], parts[2]


def completion_event_id(workflow: str) -> str:
    return f"{workflow}#completed"


def accepted_event_id(workflow: str) -> str:
    return f"{workflow}#accepted"


def alert_event_id(run: str, step: str) -> str:
    return f"{run}/{step}#alert"


def waiting_event_id(workflow: str, approval: str) -> str:
    return f"{workflow}/{approval}#waiting"


def answered_event_id(workflow: str, approval: str, answer: str) -> str:
    """``answer`` is the id of the message that brought it."""
    return f"{workflow}/{approval}#answered-{hashlib.sha256(answer.encode()).hexdigest()[:16]}"


def approval_closed_event_id(workflow: str, approval: str) -> str:
    return f"{workflow}/{approval}#closed"


def numbered_event_id(workflow: str, what: str, number: int) -> str:
    """Of an event that one workflow tells again and again: the same number is the same event."""
    return f"{workflow}#{what}-{number}"


def declared_event_id(tenant: str, version: int) -> str:
    return f"{tenant}#declared-{version}"


MAX_AIRFLOW_KEY: Final = 200
"""Airflow stores 250 characters of a run id or partition key."""


def partition_key(event: str) -> str:
    """Airflow partition key of an event: its id, so that no two events share one. A long one ends in a digest."""
    if len(event) <= MAX_AIRFLOW_KEY:
        return event
    return f"{event[: MAX_AIRFLOW_KEY - 17]}~{hashlib.sha256(event.encode()).hexdigest()[:16]}"


def dag_run_id(event: str) -> str:
    """Run id of the one downstream run of an event: its id in the letters that Airflow allows.

    Injective: ``/`` becomes ``~``, any other letter that Airflow refuses becomes its code.
    """
    text = re.sub(r"[^A-Za-z0-9_.:/-]", lambda found: f"+{ord(found.group()):02X}", event).replace("/", "~")
    return partition_key(text)


def batch_id(dag: str, events: Iterable[str]) -> str:
    """Run id of the one downstream run of a batch of events."""
    return "batch~" + hashlib.sha256("\n".join([dag, *sorted(events)]).encode()).hexdigest()[:32]


def snapshot_tag(day: str, run: str) -> str:
    """Name of the Iceberg tag that pins what an agent reads."""
    return f"day-{day}-{run}"


def tenant_namespace(tenant: str) -> str:
    """Iceberg namespace of a tenant. Lower case, as some catalogs fold it."""
    return f"tenant_{tenant.lower()}"
