"""The ``Ledger`` port over the platform database."""

import datetime as dt
import time
from collections.abc import Mapping, Sequence
from typing import Any, Final

from bridge.adapters.database import Database, ledger
from bridge.adapters.together import Together
from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, SnapshotRef
from bridge.contracts.events import AgentAccepted, AgentCompleted
from bridge.contracts.failures import Code, Refused
from bridge.contracts.tenants import Tenant
from bridge.domain.outbox import Waiting
from bridge.domain.task_runs import TaskRun

TENANT_SECONDS: Final = 2.0
"""How long a declared tenant is remembered. That one is not declared is asked anew each time."""


class SqlLedger:
    def __init__(self, database: Database) -> None:
        self._database = database
        self._tenants: dict[str, tuple[float, Tenant]] = {}
        self._accept: Together[tuple[str, str, AgentAccepted], None] = Together(self._record_accepted)
        self._ask: Together[str, bool] = Together(self._are_accepted)

    async def find_tenant(self, tenant: str) -> Tenant | None:
        at, known = self._tenants.get(tenant, (0.0, None))
        if known is not None and time.monotonic() - at < TENANT_SECONDS:
            return known
        found = await self._database.arun(ledger.find_tenant, tenant)
        if found is not None:
            self._tenants[tenant] = (time.monotonic(), found)
        return found

    async def find_snapshots(
        self, *, tenant: str, spec: AgentSpec, request: Mapping[str, Any]
    ) -> tuple[SnapshotRef, ...]:
        if spec.dataset is None:
            return ()
        return await self._database.arun(resolve_snapshots, tenant=tenant, spec=spec, request=request)

    async def is_accepted(self, workflow_id: str) -> bool:
        return await self._ask.of(workflow_id)

    async def _are_accepted(self, workflow_ids: Sequence[str]) -> list[bool]:
        known = await self._database.arun(ledger.accepted_among, workflow_ids)
        return [workflow_id in known for workflow_id in workflow_ids]

    async def record_accepted(self, accepted: AgentAccepted, *, tenant: str, event_id: str) -> None:
        await self._accept.of((tenant, event_id, accepted))

    async def _record_accepted(self, accepted: Sequence[tuple[str, str, AgentAccepted]]) -> list[None]:
        await self._database.arun(ledger.record_accepted, accepted)
        return [None] * len(accepted)

    async def record_completion(self, completed: AgentCompleted, *, tenant: str) -> bool:
        return await self._database.arun(ledger.record_completion, completed, tenant=tenant)

    async def missing_completions(self, workflow_ids: Sequence[str]) -> set[str]:
        return await self._database.arun(ledger.missing_completions, workflow_ids)

    async def begin_deliveries(
        self, event_id: str, destinations: Sequence[str], *, tenant: str
    ) -> Mapping[str, dt.datetime | None]:
        return await self._database.arun(ledger.begin_deliveries, event_id, destinations, tenant=tenant)

    async def finish_delivery(self, event_id: str, destination: str) -> None:
        await self._database.arun(ledger.finish_delivery, event_id, destination)

    async def decide_batch(
        self, dag: str, *, tenant: str, destination: str, events: Mapping[str, Mapping[str, Any]]
    ) -> Sequence[str]:
        return await self._database.arun(
            ledger.decide_batch, dag, tenant=tenant, destination=destination, events=events
        )

    async def batch_events(self, batch: str) -> Sequence[Any]:
        return await self._database.arun(ledger.batch_events, batch)

    async def finish_batch(self, batch: str) -> None:
        await self._database.arun(ledger.finish_batch, batch)

    async def hold_lease(self, name: str, *, holder: str, seconds: float) -> bool:
        return await self._database.arun(ledger.hold_lease, name, holder=holder, seconds=seconds)

    async def drop_lease(self, name: str, *, holder: str) -> None:
        await self._database.arun(ledger.drop_lease, name, holder=holder)

    async def waiting_events(self, limit: int) -> Sequence[Waiting]:
        return await self._database.arun(ledger.waiting_events, limit)

    async def mark_published(self, seqs: Sequence[int]) -> None:
        await self._database.arun(ledger.mark_published, seqs)

    async def open_task_runs(self, limit: int) -> Sequence[TaskRun]:
        return await self._database.arun(ledger.open_task_runs, limit)

    async def settle_task_run(self, workflow_id: str) -> None:
        await self._database.arun(ledger.settle_task_run, workflow_id)


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
