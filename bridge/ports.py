"""What the bridge needs from outside, as protocols. Adapters implement them; tests pass fakes."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, Protocol

from bridge.contracts.agents import AgentMessage, AgentSpec, AgentStart, SnapshotRef
from bridge.contracts.envelope import Record
from bridge.contracts.events import AgentAccepted, AgentCompleted
from bridge.contracts.tenants import Tenant
from bridge.domain.outbox import Waiting
from bridge.domain.task_runs import TaskRun


class Agents(Protocol):
    """The engine that runs agents."""

    async def start(self, start: AgentStart, spec: AgentSpec, tenant: Tenant) -> bool:
        """Start the run; True if new, False if this request already has one.

        Returns only after the engine has stored the start. Raises ``Unavailable`` when it does not answer.
        """
        ...

    async def signal(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, name: str, message: AgentMessage
    ) -> None:
        """Send a signal, starting the run where there is none; raises ``Refused(AGENT_CLOSED)`` if it has ended."""
        ...

    async def update(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, name: str, message: AgentMessage
    ) -> None:
        """Send an update, starting the run where there is none; returns once the run has accepted it.

        Raises ``Refused`` if the run has ended or its validator says no.
        """
        ...

    async def cancel(self, workflow_id: str) -> None: ...

    async def closed_since(self, since: datetime) -> Sequence[str]:
        """Workflow ids of agent runs that closed after ``since``."""
        ...

    async def completion_of(self, workflow_id: str) -> AgentCompleted | None:
        """How a closed run ended, or None while it runs."""
        ...


class Ledger(Protocol):
    """What the platform has decided. Every call is one transaction and safe to repeat."""

    async def find_tenant(self, tenant: str) -> Tenant | None: ...
    async def find_snapshots(
        self, *, tenant: str, spec: AgentSpec, request: Mapping[str, Any]
    ) -> tuple[SnapshotRef, ...]:
        """Published snapshots the agent needs; raises ``Refused(NOT_PUBLISHED)`` if its dataset has none."""
        ...

    async def is_accepted(self, workflow_id: str) -> bool: ...
    async def record_accepted(self, accepted: AgentAccepted, *, tenant: str, event_id: str) -> None: ...
    async def record_completion(self, completed: AgentCompleted, *, tenant: str) -> bool: ...
    async def missing_completions(self, workflow_ids: Sequence[str]) -> set[str]: ...

    async def begin_deliveries(
        self, event_id: str, destinations: Sequence[str], *, tenant: str
    ) -> Mapping[str, datetime | None]:
        """What is still to be delivered: ``{destination: when it was first tried, or None if never}``."""
        ...

    async def finish_delivery(self, event_id: str, destination: str) -> None: ...
    async def decide_batch(
        self, dag: str, *, tenant: str, destination: str, events: Mapping[str, Mapping[str, Any]]
    ) -> Sequence[str]:
        """Batches that hold ``events``: those decided before a crash, and a new one of what was in none."""
        ...

    async def batch_events(self, batch: str) -> Sequence[Any]: ...
    async def finish_batch(self, batch: str) -> None: ...

    async def hold_lease(self, name: str, *, holder: str, seconds: float) -> bool: ...
    async def drop_lease(self, name: str, *, holder: str) -> None: ...
    async def waiting_events(self, limit: int) -> Sequence[Waiting]: ...
    async def mark_published(self, seqs: Sequence[int]) -> None: ...

    async def open_task_runs(self, limit: int) -> Sequence[TaskRun]: ...
    async def settle_task_run(self, workflow_id: str) -> None: ...


SEND_SECONDS: Final = 12.0


class EventLog(Protocol):
    """Where events are written."""

    async def send(self, records: Sequence[Record]) -> None:
        """Returns after the log has stored all of them, in order; raises ``Unavailable`` otherwise.

        Within ``SEND_SECONDS`` it has done one or the other; what it gave up on is not stored later.
        """
        ...

    async def stored(self, topic: str, event_ids: Collection[str], *, since: datetime) -> set[str]:
        """Those of ``event_ids`` that the topic has received after ``since``; raises ``Unavailable``."""
        ...


class Pipelines(Protocol):
    """The pipeline engine: asset events, DAG runs, the state of tasks."""

    async def emit(self, *, asset: str, partition: str, extra: Mapping[str, Any]) -> None:
        """Returns after the asset event is stored; raises ``Unavailable`` otherwise."""
        ...

    async def has_event(self, *, asset: str, event_id: str, since: datetime) -> bool:
        """Whether an asset event whose extra holds ``event_id`` was stored after ``since``."""
        ...

    async def run(self, *, dag: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        """Make a DAG run; True if new, False if there is one of this id. Raises ``Unavailable`` otherwise."""
        ...

    async def task_states(self, tasks: Sequence[TaskRun]) -> Mapping[str, str | None]:
        """State of each task instance by the workflow id it waits for; ``gone`` if there is none any more."""
        ...
