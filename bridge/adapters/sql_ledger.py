"""The ``Ledger`` port over the platform database."""

import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any

from bridge.adapters.database import Database, ledger
from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, SnapshotRef
from bridge.contracts.envelope import Envelope
from bridge.contracts.events import AgentAccepted, AgentCompleted
from bridge.contracts.failures import Code, Refused
from bridge.contracts.tenants import Tenant


class SqlLedger:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find_tenant(self, tenant: str) -> Tenant | None:
        return await self._database.arun(ledger.find_tenant, tenant)

    async def find_snapshots(
        self, *, tenant: str, spec: AgentSpec, request: Mapping[str, Any]
    ) -> tuple[SnapshotRef, ...]:
        return await self._database.arun(resolve_snapshots, tenant=tenant, spec=spec, request=request)

    async def is_accepted(self, workflow_id: str) -> bool:
        return await self._database.arun(ledger.is_accepted, workflow_id)

    async def record_accepted(self, accepted: AgentAccepted, *, tenant: str, event_id: str) -> bool:
        return await self._database.arun(ledger.record_accepted, accepted, tenant=tenant, event_id=event_id)

    async def record_completion(self, completed: AgentCompleted, *, tenant: str) -> bool:
        return await self._database.arun(ledger.record_completion, completed, tenant=tenant)

    async def missing_completions(self, workflow_ids: Sequence[str]) -> set[str]:
        return await self._database.arun(ledger.missing_completions, workflow_ids)

    async def is_delivered(self, event_id: str, destination: str) -> bool:
        return await self._database.arun(ledger.is_delivered, event_id, destination)

    async def record_delivery(self, event_id: str, destination: str, tenant: str) -> None:
        await self._database.arun(ledger.record_delivery, event_id, destination, tenant)

    async def waiting_events(self, limit: int) -> Sequence[tuple[int, str, str, Envelope]]:
        return await self._database.arun(ledger.waiting_events, limit)

    async def mark_published(self, seqs: Sequence[int]) -> None:
        await self._database.arun(ledger.mark_published, seqs)


def resolve_snapshots(
    session: Any, *, tenant: str, spec: AgentSpec, request: Mapping[str, Any]
) -> tuple[SnapshotRef, ...]:
    """Pin what ``spec`` reads for the request's ``day``: the tenant's dataset and the platform's references.

    Only published snapshots are found, and only a passing verdict publishes. Raises
    ``Refused(NOT_PUBLISHED)`` if the tenant's dataset is not there; a missing reference is left out.
    """
    if spec.dataset is None:
        return ()
    day = dt.date.fromisoformat(str(request["day"]))
    own = ledger.find_snapshot(session, tenant=tenant, dataset=spec.dataset, day=day)
    if own is None:
        raise Refused(
            Code.NOT_PUBLISHED,
            f"tenant {tenant!r} has no published {spec.dataset!r} for {day}: it was not ingested, or its "
            f"verdict failed (see the quality report); publish it and send the request again",
        )
    found = (
        ledger.find_snapshot(session, tenant=names.PLATFORM_TENANT, dataset=name, day=day) for name in spec.references
    )
    return (own, *(ref for ref in found if ref is not None))
