"""Fakes of the ports, kept in memory. They pass the same contract suites as the real adapters."""

import datetime as dt
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from bridge.contracts.agents import AgentMessage, AgentSpec, AgentStart, SnapshotRef
from bridge.contracts.envelope import Record, wrap
from bridge.contracts.events import AgentAccepted, AgentCompleted
from bridge.contracts.failures import Code, Refused, Unavailable
from bridge.contracts.ids import batch_id, completion_event_id
from bridge.contracts.tenants import Tenant
from bridge.domain.outbox import Waiting
from bridge.domain.task_runs import GONE, TaskRun
from tests.samples import NOW


@dataclass
class FakeAgents:
    started: dict[str, AgentStart] = field(default_factory=dict)
    messages: list[tuple[str, str, str, AgentMessage]] = field(default_factory=list)
    """(how, workflow id, name, message)."""
    closed: dict[str, AgentCompleted] = field(default_factory=dict)
    cancelled: list[str] = field(default_factory=list)
    down: bool = False

    async def start(self, start: AgentStart, spec: AgentSpec, tenant: Tenant) -> bool:
        if self.down:
            raise Unavailable("the fake engine is down")
        new = start.workflow_id not in self.started
        self.started.setdefault(start.workflow_id, start)
        return new

    async def signal(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, name: str, message: AgentMessage
    ) -> None:
        await self._message("signal", start, spec, tenant, name, message)

    async def update(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, name: str, message: AgentMessage
    ) -> None:
        await self._message("update", start, spec, tenant, name, message)

    async def _message(self, how: str, start: AgentStart, spec: Any, tenant: Any, name: str, message: Any) -> None:
        await self.start(start, spec, tenant)
        if start.workflow_id in self.closed:
            raise Refused(Code.AGENT_CLOSED, "the fake run has ended")
        self.messages.append((how, start.workflow_id, name, message))

    async def cancel(self, workflow_id: str) -> None:
        self.cancelled.append(workflow_id)

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
    deliveries: dict[tuple[str, str], dt.datetime | None] = field(default_factory=dict)
    """(event id, destination) that has begun; the value is when it was stored."""
    batches: dict[str, dict[str, Any]] = field(default_factory=dict)
    outbox: list[Waiting] = field(default_factory=list)
    leases: dict[str, str] = field(default_factory=dict)
    task_runs: dict[str, TaskRun] = field(default_factory=dict)

    async def find_tenant(self, tenant: str) -> Tenant | None:
        return self.tenants.get(tenant)

    async def find_snapshots(
        self, *, tenant: str, spec: AgentSpec, request: Mapping[str, Any]
    ) -> tuple[SnapshotRef, ...]:
        if spec.dataset is None:
            return ()
        if (tenant, request["day"]) not in self.published:
            raise Refused(Code.NOT_PUBLISHED, "nothing is published")
        return (SnapshotRef(tenant=tenant, dataset=spec.dataset or "", table="t", snapshot_id=1, tag="tag"),)

    async def is_accepted(self, workflow_id: str) -> bool:
        return workflow_id in self.accepted

    async def record_accepted(self, accepted: AgentAccepted, *, tenant: str, event_id: str) -> None:
        self.accepted.setdefault(accepted.workflow_id, event_id)

    async def record_completion(self, completed: AgentCompleted, *, tenant: str) -> bool:
        if completed.workflow_id in self.completed:
            return False
        self.completed[completed.workflow_id] = completed
        event_id = completion_event_id(completed.workflow_id)
        envelope = wrap(completed, event_id=event_id, tenant=tenant, time=completed.closed_at)
        self.outbox.append(Waiting(len(self.outbox) + 1, completed.TOPIC, completed.workflow_id, envelope, None))
        return True

    async def missing_completions(self, workflow_ids: Sequence[str]) -> set[str]:
        return set(workflow_ids) - set(self.completed)

    async def begin_deliveries(
        self, event_id: str, destinations: Sequence[str], *, tenant: str
    ) -> dict[str, dt.datetime | None]:
        waiting: dict[str, dt.datetime | None] = {}
        for destination in destinations:
            begun = (event_id, destination) in self.deliveries
            if self.deliveries.setdefault((event_id, destination), None) is None:
                waiting[destination] = NOW if begun else None
        return waiting

    async def finish_delivery(self, event_id: str, destination: str) -> None:
        self.deliveries[event_id, destination] = NOW

    async def decide_batch(
        self, dag: str, *, tenant: str, destination: str, events: Mapping[str, Mapping[str, Any]]
    ) -> list[str]:
        old = {batch for batch, held in self.batches.items() if set(held) & set(events)}
        new = {event: extra for event, extra in events.items() if not any(event in h for h in self.batches.values())}
        if new:
            self.batches[batch_id(dag, new)] = dict(new)
        return sorted(old | ({batch_id(dag, new)} if new else set()))

    async def batch_events(self, batch: str) -> list[Any]:
        return list(self.batches[batch].values())

    async def finish_batch(self, batch: str) -> None:
        for event, destination in list(self.deliveries):
            if event in self.batches[batch]:
                self.deliveries[event, destination] = NOW

    async def hold_lease(self, name: str, *, holder: str, seconds: float) -> bool:
        return self.leases.setdefault(name, holder) == holder

    async def drop_lease(self, name: str, *, holder: str) -> None:
        if self.leases.get(name) == holder:
            del self.leases[name]

    async def waiting_events(self, limit: int) -> Sequence[Waiting]:
        waiting = self.outbox[:limit]
        self.outbox[:limit] = [replace(row, tried_at=row.tried_at or NOW) for row in waiting]
        return waiting

    async def mark_published(self, seqs: Sequence[int]) -> None:
        self.outbox = [row for row in self.outbox if row.seq not in seqs]

    async def open_task_runs(self, limit: int) -> Sequence[TaskRun]:
        return [task for run, task in self.task_runs.items() if run not in self.completed][:limit]

    async def settle_task_run(self, workflow_id: str) -> None:
        del self.task_runs[workflow_id]


@dataclass
class FakeEventLog:
    records: list[Record] = field(default_factory=list)
    down: bool = False
    answers_lost: int = 0

    async def send(self, records: Sequence[Record]) -> None:
        if self.down:
            raise Unavailable("the fake log is down")
        self.records.extend(records)
        if self.answers_lost:
            self.answers_lost -= 1
            raise Unavailable("the fake log's answer was lost")

    async def stored(self, topic: str, event_ids: Collection[str], *, since: dt.datetime) -> set[str]:
        stored = {(dict(record.headers)["ce_id"] or b"").decode() for record in self.records if record.topic == topic}
        return stored & set(event_ids)


@dataclass
class FakePipelines:
    emitted: list[tuple[str, str, Mapping[str, Any]]] = field(default_factory=list)
    runs: dict[tuple[str, str], Mapping[str, Any]] = field(default_factory=dict)
    states: dict[str, str | None] = field(default_factory=dict)
    down: bool = False
    answers_lost: int = 0
    """So many answers are lost after the event or run was stored."""

    async def emit(self, *, asset: str, partition: str, extra: Mapping[str, Any]) -> None:
        self._check()
        self.emitted.append((asset, partition, extra))
        self._lose_answer()

    async def has_event(self, *, asset: str, event_id: str, since: dt.datetime) -> bool:
        self._check()
        return any(of == asset and extra["event_id"] == event_id for of, _, extra in self.emitted)

    async def run(self, *, dag: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        self._check()
        new = (dag, run_id) not in self.runs
        self.runs.setdefault((dag, run_id), conf)
        self._lose_answer()
        return new

    async def task_states(self, tasks: Sequence[TaskRun]) -> Mapping[str, str | None]:
        self._check()
        return {task.workflow_id: self.states.get(task.workflow_id, GONE) for task in tasks}

    def _check(self) -> None:
        if self.down:
            raise Unavailable("the fake pipeline engine is down")

    def _lose_answer(self) -> None:
        if self.answers_lost:
            self.answers_lost -= 1
            raise Unavailable("the fake pipeline engine's answer was lost")
