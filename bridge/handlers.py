"""What the bridge does about an event. Decides with contracts and rules, acts through ports, returns.

Each handler may see an event twice and must not care. ``Refused`` rises to the consumer, which parks the
record; ``Unavailable`` rises too, and the consumer tries again.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Final

import structlog
from pydantic import ValidationError

from bridge.batches import Batches
from bridge.contracts import ids, names
from bridge.contracts.agents import AgentMessage, AgentSpec, AgentStart
from bridge.contracts.catalog import find_agent
from bridge.contracts.envelope import Envelope
from bridge.contracts.events import AgentAccepted, AgentCompleted, Fact, SnapshotPublished, Verdict
from bridge.contracts.failures import Code, Refused, describe
from bridge.contracts.routes import Action, RunRoute
from bridge.contracts.tenants import Tenant
from bridge.domain.routing import Command, Routing
from bridge.ports import Agents, Ledger, Pipelines

log = structlog.get_logger()

ASSETS: Final[Mapping[str, tuple[str, type[Fact]]]] = {
    AgentCompleted.TYPE: (names.COMPLETED_ASSET, AgentCompleted),
    Verdict.TYPE: (names.VERDICTS_ASSET, Verdict),
    SnapshotPublished.TYPE: (names.PUBLISHED_ASSET, SnapshotPublished),
}
"""Facts that become asset events: which asset, and what the data must be."""


@dataclass(frozen=True, slots=True)
class StartAgents:
    """Kafka in: an event of ``topic`` starts the agent its route names, once, or sends it a message, once."""

    topic: str
    agents: Agents
    ledger: Ledger
    routing: Routing
    contracts: Mapping[str, AgentSpec]

    async def __call__(self, event: Envelope) -> str:
        """Returns ``started``, ``messaged`` or ``duplicate``."""
        command = self.routing.command(self.topic, event)
        spec = find_agent(command.agent, self.contracts)
        tenant = await self.ledger.find_tenant(event.tenant)
        if tenant is None:
            raise Refused(
                Code.UNKNOWN_TENANT,
                f"tenant {event.tenant!r} is not declared; declare it and run `tandem tenants apply`",
            )
        start = _start(command, spec, tenant, event)
        if command.action is Action.START:
            outcome = await self._start_once(start, spec, tenant, event)
        else:
            outcome = await self._message_once(command, start, spec, tenant, event)
        log.info("agent.start", outcome=outcome, tenant=tenant.id, workflow_id=start.workflow_id, cause=event.id)
        return outcome

    async def _start_once(self, start: AgentStart, spec: AgentSpec, tenant: Tenant, event: Envelope) -> str:
        if await self.ledger.is_accepted(start.workflow_id):
            return "duplicate"
        start = await self._with_snapshots(start, spec)
        new = await self.agents.start(start, spec, tenant)
        await self._record(start, event)
        return "started" if new else "duplicate"

    async def _message_once(
        self, command: Command, start: AgentStart, spec: AgentSpec, tenant: Tenant, event: Envelope
    ) -> str:
        data = spec.validate_message(command.message, command.payload)
        destination = f"temporal:{start.workflow_id}"
        if not await self.ledger.begin_deliveries(event.id, [destination], tenant=tenant.id):
            return "duplicate"
        start = await self._with_snapshots(start, spec)
        send = self.agents.signal if command.action is Action.SIGNAL else self.agents.update
        await send(start, spec, tenant, command.message, AgentMessage(event_id=event.id, data=data))
        await self._record(start, event)
        await self.ledger.finish_delivery(event.id, destination)
        return "messaged"

    async def _with_snapshots(self, start: AgentStart, spec: AgentSpec) -> AgentStart:
        snapshots = await self.ledger.find_snapshots(tenant=start.tenant, spec=spec, request=start.input)
        return start.model_copy(update={"snapshots": snapshots})

    async def _record(self, start: AgentStart, event: Envelope) -> None:
        accepted = AgentAccepted(
            workflow_id=start.workflow_id,
            agent=start.agent,
            request_id=start.request_id,
            started_by=start.started_by,
        )
        await self.ledger.record_accepted(accepted, tenant=start.tenant, event_id=event.id)


def _start(command: Command, spec: AgentSpec, tenant: Tenant, event: Envelope) -> AgentStart:
    values = spec.validate_input(command.input)
    try:
        return AgentStart(
            tenant=tenant.id,
            agent=spec.name,
            request_id=command.request_id,
            started_by="kafka",
            cause=event.id,
            input=values,
            traceparent=event.traceparent,
        )
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"the request is not valid: {describe(error)}") from error


@dataclass(frozen=True, slots=True)
class AnnounceFacts:
    """Kafka out: a completion, verdict or publication becomes one asset event, and one run of each DAG routed to it.

    Returns, and so lets the offset be committed, only after Airflow has stored all of it. The asset event's
    partition key is the event id, which begins with the tenant: Airflow merges events that share a key. Whether an
    asset event that was tried before a crash had arrived is looked up in Airflow; a DAG run's id is made from the
    event's, so there a repeat finds the run that exists.
    """

    pipelines: Pipelines
    ledger: Ledger
    routing: Routing
    batches: Batches = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "batches", Batches(self.pipelines, self.ledger))

    async def __call__(self, event: Envelope) -> str:
        """Returns ``delivered``, ``duplicate`` or ``ignored`` (a fact that nothing downstream is told)."""
        if event.type not in ASSETS:
            return "ignored"
        asset, contract = ASSETS[event.type]
        extra = _extra(event, contract)
        runs = {f"airflow-dag:{route.dag}": route for route in self.routing.runs_of(event)}
        to_asset = f"airflow-asset:{asset}"
        waiting = await self.ledger.begin_deliveries(event.id, [*runs, to_asset], tenant=event.tenant)
        for destination, tried_at in waiting.items():
            if destination in runs:
                await self._run(event, extra, destination, runs[destination])
            elif tried_at is None or not await self.pipelines.has_event(asset=asset, event_id=event.id, since=tried_at):
                await self.pipelines.emit(asset=asset, partition=ids.partition_key(event.id), extra=extra)
                await self.ledger.finish_delivery(event.id, destination)
            else:
                await self.ledger.finish_delivery(event.id, destination)
        log.info("fact.delivered", type=event.type, tenant=event.tenant, event_id=event.id, to=sorted(waiting))
        return "delivered" if waiting else "duplicate"

    async def _run(self, event: Envelope, extra: Mapping[str, Any], destination: str, route: RunRoute) -> None:
        if route.batch.size > 1:
            await self.batches.deliver(route, event, extra, destination)
            return
        conf = {"tenant": event.tenant, "events": [dict(extra)]}
        await self.pipelines.run(dag=route.dag, run_id=ids.dag_run_id(event.id), conf=conf)
        await self.ledger.finish_delivery(event.id, destination)


def _extra(event: Envelope, contract: type[Fact]) -> dict[str, Any]:
    try:
        fact = contract.model_validate(event.data)
    except ValidationError as error:
        raise Refused(Code.MALFORMED, f"the {contract.__name__} is not valid: {describe(error)}") from error
    return fact.model_dump(mode="json") | {"tenant": event.tenant, "event_id": event.id}
