"""Changing agents while they run: pinned runs keep their code, others move on; a stopping worker finishes first."""

import asyncio
import os
import signal
import subprocess
import sys
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.api.workflowservice.v1 import SetWorkerDeploymentCurrentVersionRequest
from temporalio.client import Client
from temporalio.service import RPCError

from bridge.adapters.temporal import TemporalAgents, connect
from bridge.contracts.agents import AgentMessage, AgentSpec, AgentStart
from bridge.contracts.catalog.canary import CANARY, NOTE
from bridge.contracts.catalog.follow_up import FOLLOW_UP, SETTLE
from bridge.contracts.catalog.fulfil_order import FULFIL_ORDER
from bridge.contracts.events import Outcome
from tests.agents import Runtime, agent_runtime
from tests.samples import start
from tests.shop import Shop
from tests.temporal_server import Server
from tests.waiting import until

pytestmark = pytest.mark.integration


async def _make_current(client: Client, build_id: str) -> None:
    """As a rollout does, once workers of the version poll."""
    request = SetWorkerDeploymentCurrentVersionRequest(
        namespace=client.namespace, deployment_name="tests", build_id=build_id, identity="test"
    )
    async with asyncio.timeout(30):
        while True:
            try:
                await client.workflow_service.set_worker_deployment_current_version(request)
            except RPCError:
                await asyncio.sleep(0.1)
            else:
                return


async def _builds(client: Client, run: AgentStart) -> list[str]:
    """Which versions worked on a run, in order."""
    history = await client.get_workflow_handle(run.workflow_id).fetch_history()
    done = [
        event.workflow_task_completed_event_attributes.deployment_version.build_id
        for event in history.events
        if event.HasField("workflow_task_completed_event_attributes")
    ]
    return list(dict.fromkeys(done))


async def _started(runtime: Runtime, spec: AgentSpec, **request: Any) -> AgentStart:
    run = start(uuid.uuid4().hex, agent=spec.name, input=request, snapshots=())
    await runtime.agents.start(run, replace(spec, queue=runtime.spec.queue))
    return run


@asynccontextmanager
async def _serving(server: Server, folder: Path, queue: str, build_id: str) -> AsyncIterator[Runtime]:
    async with agent_runtime(server.address, folder, queue=queue, build_id=build_id) as runtime:
        yield runtime


async def test_a_pinned_run_ends_with_the_code_it_began_with_and_a_standing_one_moves_on(
    server: Server,
    tmp_path: Path,
) -> None:
    queue = f"test-{uuid.uuid4().hex[:8]}"
    async with _serving(server, tmp_path, queue, "1.0") as old:
        client = old.agents.client
        await _make_current(client, "1.0")
        pinned = await _started(old, CANARY, notes=1)
        standing = await _started(old, FOLLOW_UP, to="ann", text="?", after="P1D")
        for run in (pinned, standing):
            await _has_begun(client, run)

        async with _serving(server, tmp_path, queue, "2.0"):
            await _make_current(client, "2.0")
            await _run_on(old, "2.0")
            await _send(client, pinned, NOTE, {"text": "hello"})
            await _send(client, standing, SETTLE, {"how": "done"})
            ended = [await asyncio.wait_for(old.agents.wait(run.workflow_id), 30) for run in (pinned, standing)]

    agents = TemporalAgents(await connect(server.address))
    assert [one.outcome for one in ended] == [Outcome.COMPLETED, Outcome.COMPLETED]
    assert await _builds(agents.client, pinned) == ["1.0"]
    assert await _builds(agents.client, standing) == ["1.0", "2.0"]


async def _has_begun(client: Client, run: AgentStart) -> None:
    async with asyncio.timeout(30):
        while not await _builds(client, run):
            await asyncio.sleep(0.05)


async def _run_on(runtime: Runtime, build_id: str) -> AgentStart:
    """A new run that this version served: from then on the server's queues know the current version."""
    async with asyncio.timeout(60):
        while True:
            run = await _started(runtime, CANARY, notes=0)
            await runtime.agents.wait(run.workflow_id)
            if await _builds(runtime.agents.client, run) == [build_id]:
                return run


async def _send(client: Client, run: AgentStart, name: str, data: dict[str, Any]) -> None:
    message = AgentMessage(event_id=uuid.uuid4().hex, data=data)
    await client.get_workflow_handle(run.workflow_id).signal(name, message)


async def test_a_worker_that_is_asked_to_stop_finishes_the_call_it_is_in(
    stack: Any,
    tmp_path: Path,
    shop: Shop,
) -> None:
    queue, database = f"test-{uuid.uuid4().hex[:8]}", f"sqlite:///{tmp_path / 'platform.db'}"
    async with agent_runtime(stack.temporal, tmp_path, serve="gpu"):
        pass  # the schema
    settings = {
        "TANDEM_TEMPORAL_ADDRESS": stack.temporal.target, "TANDEM_DATABASE_URL": database, "TANDEM_TASK_QUEUE": queue,
        "TANDEM_SHOP_URL": shop.url, "TANDEM_WORKER_PROBE_PORT": "0", "TANDEM_S3_ENDPOINT": stack.plan.url("s3"),
    }  # fmt: skip
    process = await asyncio.to_thread(
        subprocess.Popen, [sys.executable, "-m", "agent_workflows"], env=os.environ | settings
    )
    shop.misbehave("charge", {"hold": 3})
    agents = TemporalAgents(await connect(stack.temporal))
    order = {"order_id": uuid.uuid4().hex[:12], "customer": "ann@example.org", "amount": 5}
    run = start(
        uuid.uuid4().hex, agent="fulfil_order", input=order | {"lines": [{"sku": "b", "quantity": 1}]}, snapshots=()
    )
    await agents.start(run, replace(FULFIL_ORDER, queue=queue))
    await until(lambda: "charge" in shop.journal(order["order_id"]), 90)

    process.send_signal(signal.SIGTERM)
    code = await asyncio.to_thread(process.wait, 30)
    history = await agents.client.get_workflow_handle(run.workflow_id).fetch_history()
    done = [event for event in history.events if event.HasField("activity_task_completed_event_attributes")]
    await agents.cancel(run.workflow_id)

    assert code == 0
    assert len(done) == 3  # validated, reserved, and charged though it was asked to stop meanwhile
