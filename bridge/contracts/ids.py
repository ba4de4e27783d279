"""Identifiers as pure functions of what they identify, so that a repeat finds what is already there.

Never built from topic, partition and offset: offsets restart when a topic is recreated.
"""

from typing import Annotated

from pydantic import StringConstraints

TenantId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,31}$")]
AgentName = Annotated[str, StringConstraints(pattern=r"^[a-z][a-z0-9_]{0,63}$")]
RequestId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9._:+=@-]{0,199}$")]
EventId = Annotated[str, StringConstraints(min_length=1, max_length=512)]


def workflow_id(tenant: str, agent: str, request_id: str) -> str:
    """``{tenant}/{agent}/{request_id}``: one request makes one agent run, however often it is sent."""
    return f"{tenant}/{agent}/{request_id}"


def completion_event_id(workflow: str) -> str:
    return f"{workflow}#completed"


def accepted_event_id(workflow: str) -> str:
    return f"{workflow}#accepted"


def snapshot_tag(day: str, run: str) -> str:
    """Name of the Iceberg tag that pins what an agent reads."""
    return f"day-{day}-{run}"


def tenant_namespace(tenant: str) -> str:
    """Iceberg namespace of a tenant. Lower case, as some catalogs fold it."""
    return f"tenant_{tenant.lower()}"
