"""Fakes of the ports, kept in memory. They pass the same contract suites as the real adapters."""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.contracts.agents import AgentSpec, AgentStart, SnapshotRef
from bridge.contracts.envelope import Envelope, Record, wrap
from bridge.contracts.events import AgentAccepted, AgentCompleted
from bridge.contracts.failures import Code, Refused, Unavailable
from bridge.contracts.ids import completion_event_id
from bridge.contracts.tenants import Tenant


@dataclass
class FakeAgents:
    started: dict[str, AgentStart] = field(default_factory=dict)
    closed: dict[str, AgentCompleted] = field(default_factory=dict)
    down: bool = False

    async def start(self, start: AgentStart, spec: AgentSpec, tenant: Tenant) -> bool:
        if self.down:
            raise Unavailable("the fake engine is down")
        new = start.workflow_id not in self.started
        self.started.setdefault(start.workflow_id, start)
        return new

    async def closed_since(self, since: dt.datetime) -> Sequence[str]:
        return [run for run, completed in self.closed.items() if completed.closed_at > since]

    async def completion_of(self, workflow_id: str) -> AgentCompleted | None:
        return self.closed.get(workflow_id)


@dataclass
class FakeLedger:
    tenants: dict[str, Tenant] = field(default_factory=dict)
    published: set[tuple[str, str]] = field(default_factory=set)
    """(tenant, day) with a published snapshot."""
    accepted: dict[str, str] = field(default_factory=dict)
    completed: dict[str, AgentCompleted] = field(default_factory=dict)
    delivered: set[tuple[str, str]] = field(default_factory=set)
    outbox: list[tuple[int, str, str, Envelope]] = field(default_factory=list)

    async def find_tenant(self, tenant: str) -> Tenant | None:
        return self.tenants.get(tenant)

    async def find_snapshots(
        self, *, tenant: str, spec: AgentSpec, request: Mapping[str, Any]
    ) -> tuple[SnapshotRef, ...]:
        if (tenant, request["day"]) not in self.published:
            raise Refused(Code.NOT_PUBLISHED, "nothing is published")
        return (SnapshotRef(tenant=tenant, dataset=spec.dataset or "", table="t", snapshot_id=1, tag="tag"),)

    async def is_accepted(self, workflow_id: str) -> bool:
        return workflow_id in self.accepted

    async def record_accepted(self, accepted: AgentAccepted, *, tenant: str, event_id: str) -> bool:
        new = accepted.workflow_id not in self.accepted
        self.accepted.setdefault(accepted.workflow_id, event_id)
        return new

    async def record_completion(self, completed: AgentCompleted, *, tenant: str) -> bool:
        if completed.workflow_id in self.completed:
            return False
        self.completed[completed.workflow_id] = completed
        event_id = completion_event_id(completed.workflow_id)
        envelope = wrap(completed, event_id=event_id, tenant=tenant, time=completed.closed_at)
        self.outbox.append((len(self.outbox) + 1, completed.TOPIC, completed.workflow_id, envelope))
        return True

    async def missing_completions(self, workflow_ids: Sequence[str]) -> set[str]:
        return set(workflow_ids) - set(self.completed)

    async def is_delivered(self, event_id: str, destination: str) -> bool:
        return (event_id, destination) in self.delivered

    async def record_delivery(self, event_id: str, destination: str, tenant: str) -> None:
        self.delivered.add((event_id, destination))

    async def waiting_events(self, limit: int) -> Sequence[tuple[int, str, str, Envelope]]:
        return self.outbox[:limit]

    async def mark_published(self, seqs: Sequence[int]) -> None:
        self.outbox = [row for row in self.outbox if row[0] not in seqs]


@dataclass
class FakeEventLog:
    records: list[Record] = field(default_factory=list)
    down: bool = False

    async def send(self, records: Sequence[Record]) -> None:
        if self.down:
            raise Unavailable("the fake log is down")
        self.records.extend(records)


@dataclass
class FakeAssets:
    emitted: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    down: bool = False

    async def emit(self, *, asset: str, partition: str, extra: Mapping[str, Any]) -> None:
        if self.down:
            raise Unavailable("the fake pipeline engine is down")
        self.emitted.append((asset, partition, extra))
