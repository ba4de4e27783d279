"""What the bridge needs from outside, as protocols. Adapters implement them; tests pass fakes."""

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from bridge.contracts.agents import AgentSpec, AgentStart, SnapshotRef
from bridge.contracts.envelope import Envelope, Record
from bridge.contracts.events import AgentAccepted, AgentCompleted
from bridge.contracts.tenants import Tenant


class Agents(Protocol):
    """The engine that runs agents."""

    async def start(self, start: AgentStart, spec: AgentSpec, tenant: Tenant) -> bool:
        """Start the run; True if new, False if this request already has one.

        Returns only after the engine has stored the start. Raises ``Unavailable`` when it does not answer.
        """
        ...

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
    async def record_accepted(self, accepted: AgentAccepted, *, tenant: str, event_id: str) -> bool: ...
    async def record_completion(self, completed: AgentCompleted, *, tenant: str) -> bool: ...
    async def missing_completions(self, workflow_ids: Sequence[str]) -> set[str]: ...
    async def is_delivered(self, event_id: str, destination: str) -> bool: ...
    async def record_delivery(self, event_id: str, destination: str, tenant: str) -> None: ...
    async def waiting_events(self, limit: int) -> Sequence[tuple[int, str, str, Envelope]]: ...
    async def mark_published(self, seqs: Sequence[int]) -> None: ...


class EventLog(Protocol):
    """Where events are written."""

    async def send(self, records: Sequence[Record]) -> None:
        """Returns after the log has stored all of them, in order; raises ``Unavailable`` otherwise."""
        ...


class Assets(Protocol):
    """The pipeline engine's asset events."""

    async def emit(self, *, asset: str, partition: str, extra: Mapping[str, Any]) -> None:
        """Returns after the event is stored; raises ``Unavailable`` otherwise."""
        ...
