"""Values that many tests need."""

import datetime as dt
from typing import Any

from bridge.contracts.agents import AgentStart, SnapshotRef
from bridge.contracts.envelope import Envelope
from bridge.contracts.events import AgentCompleted, AgentRequested, Outcome
from bridge.contracts.tenants import Tenant

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
AA = Tenant(id="AA", name="American Airlines")


def requested(**changes: Any) -> Envelope:
    data = {"agent": "investigate_delays", "request_id": "r1", "input": {"day": "2013-04-16"}} | changes
    return Envelope(id="event-1", type=AgentRequested.TYPE, tenant="AA", data=data)


def snapshots(tenant: str = "AA") -> tuple[SnapshotRef, ...]:
    def ref(owner: str, dataset: str) -> SnapshotRef:
        return SnapshotRef(
            tenant=owner, dataset=dataset, table=f"tenant_{owner.lower()}.{dataset}", snapshot_id=7, tag="t"
        )

    return (ref(tenant, "departures"), ref("platform", "market_hourly"), ref("platform", "weather_hourly"))


def start(request_id: str = "r1", tenant: str = "AA", **changes: Any) -> AgentStart:
    values: dict[str, Any] = {
        "tenant": tenant,
        "agent": "investigate_delays",
        "request_id": request_id,
        "started_by": "cli",
        "input": {"day": "2013-04-16"},
        "snapshots": snapshots(tenant),
    }
    return AgentStart(**(values | changes))


def completed(run: str = "AA/investigate_delays/r1", **changes: Any) -> AgentCompleted:
    tenant_, agent, request_id = run.split("/", 2)
    values: dict[str, Any] = {
        "workflow_id": run,
        "run_id": "run-1",
        "agent": agent,
        "request_id": request_id,
        "started_by": "kafka",
        "outcome": Outcome.COMPLETED,
        "input": {"day": "2013-04-16"},
        "output": {"cause": "weather", "severity": "minor", "summary": "snow"},
        "snapshots": snapshots(tenant_),
        "started_at": NOW,
        "closed_at": NOW,
    }
    return AgentCompleted(**(values | changes))
