"""Batches of facts for one DAG run: full, or as old as the route's window.

Which events a batch holds is decided in the database before Airflow is asked, so after a crash the same events
make the same run. ``deliver`` returns only when Airflow has the run that holds its event.
"""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from bridge.contracts.envelope import Envelope
from bridge.contracts.routes import RunRoute
from bridge.ports import Ledger, Pipelines


@dataclass(slots=True)
class _Open:
    """A batch that still takes events."""

    events: dict[str, Mapping[str, Any]] = field(default_factory=dict)
    full: asyncio.Event = field(default_factory=asyncio.Event)
    sent: "asyncio.Task[None] | None" = None


class Batches:
    def __init__(self, pipelines: Pipelines, ledger: Ledger) -> None:
        self._pipelines = pipelines
        self._ledger = ledger
        self._open: dict[tuple[str, str], _Open] = {}

    async def deliver(self, route: RunRoute, event: Envelope, extra: Mapping[str, Any], destination: str) -> None:
        """Join the open batch of the event's tenant and wait until it is sent. Its failure is everybody's."""
        key = (route.dag, event.tenant)
        batch = self._open.get(key)
        if batch is None:
            batch = self._open[key] = _Open()
            batch.sent = asyncio.create_task(self._send(route, key, batch, destination))
        batch.events[event.id] = extra
        if len(batch.events) >= route.batch.size:
            self._close(key, batch)
        if batch.sent is not None:
            await asyncio.shield(batch.sent)

    def _close(self, key: tuple[str, str], batch: _Open) -> None:
        if self._open.get(key) is batch:
            del self._open[key]
        batch.full.set()

    async def _send(self, route: RunRoute, key: tuple[str, str], batch: _Open, destination: str) -> None:
        try:
            await asyncio.wait_for(batch.full.wait(), route.batch.seconds)
        except TimeoutError:
            self._close(key, batch)
        _, tenant = key
        decided: Sequence[str] = await self._ledger.decide_batch(
            route.dag, tenant=tenant, destination=destination, events=batch.events
        )
        for run_id in decided:
            conf = {"tenant": tenant, "events": list(await self._ledger.batch_events(run_id))}
            await self._pipelines.run(dag=route.dag, run_id=run_id, conf=conf)
            await self._ledger.finish_batch(run_id)
