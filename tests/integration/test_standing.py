"""Standing agents: long timers, thousands of wake-ups, and worker and server restarted all the while."""

import asyncio
import datetime as dt
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy import func, select
from sqlalchemy.orm import Session
from temporalio.service import RPCError
from temporalio.testing import ActivityEnvironment, TimeSkipper, WorkflowEnvironment

from agent_workflows.activities.messages import FactRecord
from agent_workflows.activities.standing import Standing
from agent_workflows.adapters.stores import SqlRunLedger
from bridge.adapters.database import Database, ledger
from bridge.adapters.database.models import StepRow
from bridge.adapters.temporal import TemporalAddress, TemporalAgents, connect
from bridge.contracts.agents import AgentMessage, AgentStart
from bridge.contracts.catalog.follow_up import FOLLOW_UP
from bridge.contracts.catalog.watch_quality import WATCH_QUALITY
from bridge.contracts.events import ReminderDue, Verdict
from bridge.contracts.failures import Unavailable
from tests.agents import agent_runtime
from tests.samples import AA, start
from tests.temporal_server import Server, skipping_server
from tests.walk import Worker

pytestmark = pytest.mark.integration


async def _serving(address: TemporalAddress) -> TemporalAgents:
    async with asyncio.timeout(30):
        while True:
            try:
                return TemporalAgents(await connect(address))
            except Unavailable:
                await asyncio.sleep(0.05)


async def _skip(skipper: TimeSkipper, handle: Any, hours: float) -> None:
    """Skip time; a server that has just come up may not serve the run yet."""
    async with asyncio.timeout(60):
        while True:
            try:
                await skipper.fast_forward(handle, dt.timedelta(hours=hours))
            except RPCError:
                await asyncio.sleep(0.05)
            else:
                return


def _told(database: Database, kind: str) -> list[dict[str, Any]]:
    rows = database.run(ledger.waiting_events, 99)
    return [row.envelope.data for row in rows if row.envelope.type == f"tandem.agent.{kind}.v1"]


async def test_a_seven_day_timer_fires_once_through_50_restarts_of_worker_and_server(
    server: Server, tmp_path: Path
) -> None:
    queue = f"test-{uuid.uuid4().hex[:10]}"
    worker = Worker(server.address.target, queue, tmp_path)
    await worker.begin()
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    agents = await _serving(server.address)
    asked = {"to": "ann", "text": "Did it arrive?", "after": "P7D"}
    run = start(uuid.uuid4().hex, agent="follow_up", input=asked, snapshots=())
    await agents.start(run, replace(FOLLOW_UP, queue=queue))
    handle, skipper = agents.client.get_workflow_handle(run.workflow_id), TimeSkipper(agents.client)

    for restart in range(50):
        if restart % 2:
            server.kill()
            await asyncio.to_thread(server.begin)
        else:
            worker.kill()
            await worker.begin()
        await _skip(skipper, handle, 3)
    before = _told(database, "reminder")
    await _skip(skipper, handle, 24)
    completed = await asyncio.wait_for(agents.wait(run.workflow_id), 60)
    worker.kill()

    assert before == []
    assert completed.output == {"reminders": 1, "settled": None}
    (reminder,) = _told(database, "reminder")
    assert (reminder["to"], reminder["number"]) == ("ann", 1)
    took = completed.closed_at - completed.started_at
    assert dt.timedelta(days=7) <= took < dt.timedelta(days=7, hours=1)
    database.close()


async def test_a_follow_up_that_is_settled_reminds_nobody_any_more(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        asked = {"to": "ann", "text": "Did it arrive?", "after": "P1D", "times": 3}
        run = start(uuid.uuid4().hex, agent="follow_up", input=asked, snapshots=())
        await runtime.agents.start(run, replace(FOLLOW_UP, queue=runtime.spec.queue))
        handle = runtime.agents.client.get_workflow_handle(run.workflow_id)
        await _skip(TimeSkipper(runtime.agents.client), handle, 25)
        await handle.signal("settle", AgentMessage(event_id="e1", data={"how": "it did"}))

        completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 30)

        assert completed.output == {"reminders": 1, "settled": "it did"}
        assert len(_told(runtime.database, "reminder")) == 1


async def test_what_is_told_twice_is_one_event(tmp_path: Path) -> None:
    """As when a worker dies after it told and before Temporal knows."""
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    database.migrate()
    due = ReminderDue(workflow_id="AA/follow_up/r", number=1, to="ann", text="?", due_at=dt.datetime.now(dt.UTC))
    record = FactRecord(tenant="AA", cause="", event_id="AA/follow_up/r#reminder-1", fact=due)

    for _ in range(2):
        await ActivityEnvironment().run(Standing(SqlRunLedger(database)).tell, record)

    assert len(_told(database, "reminder")) == 1
    database.close()


def _verdict(database: Database, number: int, *, passed: bool) -> None:
    at = dt.datetime.now(dt.UTC)
    verdict = Verdict(
        id=f"v{number}", tenant="AA", dataset="departures", day=dt.date(2013, 4, number), snapshot_id=number,
        suite="departures", passed=passed, rows=9, critical=0 if passed else 1, warnings=0, decided_at=at,
    )  # fmt: skip
    database.run(ledger.record_verdict, verdict)


LOOKS = 10_000


def _looks(session: Session) -> int:
    return session.scalar(select(func.count()).select_from(StepRow)) or 0


def _runs(session: Session) -> list[str]:
    return list(session.scalars(select(StepRow.run).distinct()))


@pytest.mark.timeout(900)
async def test_a_watch_of_10_000_hours_keeps_its_history_short_and_tells_only_of_changes(tmp_path: Path) -> None:
    async with skipping_server() as skipping:
        address = TemporalAddress(skipping.client.service_client.config.target_host)
        async with agent_runtime(address, tmp_path) as runtime:
            database, run = runtime.database, _watch(LOOKS)
            _verdict(database, 1, passed=True)
            running = asyncio.ensure_future(
                skipping.client.execute_workflow(
                    WATCH_QUALITY.workflow, run, id=run.workflow_id, task_queue=runtime.spec.queue
                )
            )
            async with asyncio.timeout(400):
                while database.run(_looks) < LOOKS / 2:
                    await asyncio.sleep(0.1)
            _verdict(database, 2, passed=False)
            result = await asyncio.wait_for(running, 400)
            runs = database.run(_runs)
            lengths = [await _length(skipping, run, run_id) for run_id in (r.rsplit(":", 1)[1] for r in runs)]

            assert result["output"] == {"looks": LOOKS, "changes": 2}
            assert [(c["before"], c["after"]) for c in _told(database, "quality_changed")] == [
                ("unknown", "passed"), ("passed", "failed")
            ]  # fmt: skip
            assert len(runs) > 10
            assert max(lengths) < 4300


def _watch(looks: int) -> AgentStart:
    return start(uuid.uuid4().hex, agent="watch_quality", input={"looks": looks}, snapshots=(), tenant=AA.id)


async def _length(environment: WorkflowEnvironment, run: AgentStart, run_id: str) -> int:
    history = await environment.client.get_workflow_handle(run.workflow_id, run_id=run_id).fetch_history()
    return len(history.events)
