"""What the bridge does about an event. Decides with contracts, acts through ports, returns.

Each handler may see an event twice and must not care. ``Refused`` rises to the consumer, which parks the
record; ``Unavailable`` rises too, and the consumer tries again.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final

import structlog
from pydantic import ValidationError

from bridge.contracts import names
from bridge.contracts.agents import AgentSpec, AgentStart, find_agent
from bridge.contracts.envelope import Envelope
from bridge.contracts.events import AgentAccepted, AgentCompleted, AgentRequested
from bridge.contracts.failures import Code, Refused, describe
from bridge.ports import Agents, Assets, Ledger

log = structlog.get_logger()

AIRFLOW: Final = "airflow"


@dataclass(frozen=True, slots=True)
class StartAgents:
    """Kafka in: a request event starts the agent it names, once."""

    agents: Agents
    ledger: Ledger
    contracts: Mapping[str, AgentSpec]

    async def __call__(self, event: Envelope) -> str:
        """Returns ``started`` or ``duplicate``."""
        request = _parse_request(event)
        spec = find_agent(request.agent, self.contracts)
        tenant = await self.ledger.find_tenant(event.tenant)
        if tenant is None:
            raise Refused(
                Code.UNKNOWN_TENANT,
                f"tenant {event.tenant!r} is not declared; declare it and run `tandem tenants apply`",
            )
        start = AgentStart(
            tenant=tenant.id,
            agent=spec.name,
            request_id=request.request_id,
            started_by="kafka",
            cause=event.id,
            input=spec.validate_input(request.input),
            traceparent=event.traceparent,
        )
        if await self.ledger.is_accepted(start.workflow_id):
            return self._said("duplicate", start, event)
        snapshots = await self.ledger.find_snapshots(tenant=tenant.id, spec=spec, request=start.input)
        start = start.model_copy(update={"snapshots": snapshots})
        new = await self.agents.start(start, spec, tenant)
        accepted = AgentAccepted(
            workflow_id=start.workflow_id,
            agent=spec.name,
            request_id=start.request_id,
            started_by=start.started_by,
        )
        await self.ledger.record_accepted(accepted, tenant=tenant.id, event_id=event.id)
        return self._said("started" if new else "duplicate", start, event)

    def _said(self, outcome: str, start: AgentStart, event: Envelope) -> str:
        log.info("agent.start", outcome=outcome, tenant=start.tenant, workflow_id=start.workflow_id, cause=event.id)
        return outcome


@dataclass(frozen=True, slots=True)
class AnnounceCompletions:
    """Kafka out: a completion becomes an asset event; a repeat does nothing.

    Its partition key is the workflow id, which begins with the tenant: Airflow merges events that share a key,
    and while it makes a run of them it can lose the newest.

    If the process dies between Airflow's answer and our record of it, the event is sent again: consumers of
    the asset key their effect on ``workflow_id``.
    """

    assets: Assets
    ledger: Ledger

    async def __call__(self, event: Envelope) -> str:
        """Returns ``delivered``, ``duplicate`` or ``ignored`` (not a completion)."""
        if event.type != AgentCompleted.TYPE:
            return "ignored"
        completed = _parse_completed(event)
        if await self.ledger.is_delivered(event.id, AIRFLOW):
            return "duplicate"
        extra = completed.model_dump(mode="json") | {"tenant": event.tenant, "event_id": event.id}
        await self.assets.emit(asset=names.COMPLETED_ASSET, partition=completed.workflow_id, extra=extra)
        await self.ledger.record_delivery(event.id, AIRFLOW, event.tenant)
        log.info("completion.delivered", tenant=event.tenant, workflow_id=completed.workflow_id, cause=event.id)
        return "delivered"


def _parse_request(event: Envelope) -> AgentRequested:
    if event.type != AgentRequested.TYPE:
        raise Refused(Code.MALFORMED, f"event type {event.type!r} is not {AgentRequested.TYPE!r}")
    try:
        return AgentRequested.model_validate(event.data)
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"the request is not valid: {describe(error)}") from error


def _parse_completed(event: Envelope) -> AgentCompleted:
    try:
        return AgentCompleted.model_validate(event.data)
    except ValidationError as error:
        raise Refused(Code.MALFORMED, f"the completion is not valid: {describe(error)}") from error
