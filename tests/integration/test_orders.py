"""``fulfil_order`` against a shop that misbehaves: each effect once, retried by the table, undone in reverse."""

import asyncio
import uuid
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import TimeSkipper

from bridge.adapters.database import approvals, ledger
from bridge.adapters.temporal import TemporalAgents, connect
from bridge.contracts.agents import AgentMessage, AgentStart
from bridge.contracts.catalog.fulfil_order import FULFIL_ORDER
from bridge.contracts.events import AgentCompleted, Outcome
from tests.agents import Runtime, agent_runtime
from tests.samples import start
from tests.shop import Shop
from tests.waiting import until
from tests.walk import Worker

pytestmark = pytest.mark.integration


class Orders:
    """Orders of AA; the time between tries is skipped."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime, self.spec = runtime, replace(FULFIL_ORDER, queue=runtime.spec.queue)
        self.agents = TemporalAgents(TimeSkipper(runtime.agents.client).client)

    async def place(self, **changes: Any) -> AgentStart:
        order = {
            "order_id": uuid.uuid4().hex[:12], "customer": "ann@example.org", "amount": 1999,
            "lines": [{"sku": "book", "quantity": 1}],
        }  # fmt: skip
        run = start(uuid.uuid4().hex, agent="fulfil_order", input=order | changes, snapshots=())
        await self.agents.start(run, self.spec)
        return run

    async def ended(self, run: AgentStart) -> AgentCompleted:
        return await asyncio.wait_for(self.agents.wait(run.workflow_id), 60)

    async def attempts(self, run: AgentStart, activity: str) -> int:
        history = await self.agents.client.get_workflow_handle(run.workflow_id).fetch_history()
        scheduled = {
            e.event_id: e.activity_task_scheduled_event_attributes.activity_type.name
            for e in history.events
            if e.HasField("activity_task_scheduled_event_attributes")
        }
        begun = [
            e.activity_task_started_event_attributes
            for e in history.events
            if e.HasField("activity_task_started_event_attributes")
        ]
        return max((b.attempt for b in begun if scheduled[b.scheduled_event_id] == activity), default=0)


@asynccontextmanager
async def selling(stack: Any, folder: Path, shop: Shop) -> AsyncIterator[Orders]:
    async with agent_runtime(stack.temporal, folder, shop_url=shop.url) as runtime:
        yield Orders(runtime)


def _order(run: AgentStart) -> str:
    return str(run.input["order_id"])


async def test_an_order_goes_through_its_seven_steps(stack: Any, tmp_path: Path, shop: Shop) -> None:
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        completed = await orders.ended(run)

    order = _order(run)
    assert (completed.outcome, completed.output["status"]) == (Outcome.COMPLETED, "fulfilled")
    assert shop.journal(order) == ["reserve", "charge", "ship", "notify", "email", "status"]
    assert f"order-{order}-charge" in shop.keys(order)


async def test_the_same_order_asked_for_twice_is_charged_once(stack: Any, tmp_path: Path, shop: Shop) -> None:
    async with selling(stack, tmp_path, shop) as orders:
        first = await orders.place()
        await orders.ended(first)
        again = await orders.place(**first.input)
        completed = await orders.ended(again)

    assert completed.outcome is Outcome.COMPLETED
    assert shop.journal(_order(first)) == ["reserve", "charge", "ship", "notify", "email", "status"]


@pytest.mark.parametrize(
    ("during", "journal"),
    [
        ("reserve", ["reserve", "release"]),
        ("charge", ["reserve", "charge", "refund", "release"]),
        ("ship", ["reserve", "charge", "ship", "recall", "refund", "release"]),
    ],
)
async def test_a_cancelled_order_is_undone_in_reverse(
    stack: Any, tmp_path: Path, shop: Shop, during: str, journal: list[str]
) -> None:
    shop.misbehave(during, {"hold": 2})
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        await until(lambda: during in shop.journal(_order(run)))

        await orders.agents.cancel(run.workflow_id)
        completed = await orders.ended(run)

    assert completed.outcome is Outcome.CANCELLED
    assert shop.journal(_order(run)) == journal


async def test_a_declined_card_is_asked_once_and_only_the_stock_is_released(
    stack: Any, tmp_path: Path, shop: Shop
) -> None:
    shop.misbehave("charge", {"status": 402})
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        completed = await orders.ended(run)
        attempts = await orders.attempts(run, "charge_card")

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "payment_declined")
    assert attempts == 1
    assert shop.journal(_order(run)) == ["reserve", "release"]


@pytest.mark.parametrize(("path", "activity", "limit"), [("ship", "ship_order", 5), ("charge", "charge_card", 5)])
async def test_a_service_that_stays_away_is_tried_as_often_as_the_table_says(
    stack: Any, tmp_path: Path, shop: Shop, path: str, activity: str, limit: int
) -> None:
    shop.misbehave(path, *[{"status": 503}] * 20)
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        completed = await orders.ended(run)
        attempts = await orders.attempts(run, activity)

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "unavailable")
    assert attempts == limit
    assert shop.journal(_order(run))[-1] == "release"


async def test_a_service_that_stumbles_is_tried_again_and_does_it_once(stack: Any, tmp_path: Path, shop: Shop) -> None:
    shop.misbehave("charge", {"status": 500}, {"status": 429, "headers": {"Retry-After": "3600"}}, {"lost": True})
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        completed = await orders.ended(run)
        attempts = await orders.attempts(run, "charge_card")

    assert completed.outcome is Outcome.COMPLETED
    assert attempts == 4
    assert shop.journal(_order(run)).count("charge") == 1
    assert (completed.closed_at - completed.started_at).total_seconds() > 600  # Retry-After, at most ten minutes of it


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_fails_at_once_and_raises_an_alert(stack: Any, tmp_path: Path, shop: Shop, status: int) -> None:
    shop.misbehave("reserve", {"status": status})
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        completed = await orders.ended(run)
        attempts = await orders.attempts(run, "reserve_stock")
        told = orders.runtime.database.run(ledger.waiting_events, 9)

    (alert,) = [row.envelope.data for row in told if row.envelope.type == "tandem.agent.alert.v1"]
    assert (completed.code, attempts) == ("http_refused", 1)
    assert (alert["workflow_id"], alert["code"]) == (run.workflow_id, "http_refused")
    assert str(status) in alert["reason"]


@pytest.mark.parametrize(("choice", "mails"), [("approve", 1), ("reject", 2)])
async def test_where_nobody_knows_whether_the_mail_went_out_a_person_says(
    stack: Any, tmp_path: Path, shop: Shop, choice: str, mails: int
) -> None:
    shop.misbehave("email", {"lost": True})
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place()
        database = orders.runtime.database
        await until(lambda: database.run(approvals.find, run.workflow_id, "email-0") is not None)
        data = {"approval": "email-0", "tenant": "AA", "by": "sue", "roles": ["support"], "choice": choice}
        data["feedback"] = "I looked"
        await orders.agents.answer(run.workflow_id, AgentMessage(event_id=uuid.uuid4().hex, data=data))
        completed = await orders.ended(run)

    assert completed.outcome is Outcome.COMPLETED
    assert shop.journal(_order(run)).count("email") == mails


async def test_a_worker_killed_after_the_charge_makes_one_charge_and_one_shipment(
    stack: Any, tmp_path: Path, shop: Shop
) -> None:
    shop.misbehave("charge", {"hold": 30})
    queue = f"test-{uuid.uuid4().hex[:10]}"
    worker = Worker(stack.temporal.target, queue, tmp_path, shop_url=shop.url)
    await worker.begin()
    agents = TemporalAgents(await connect(stack.temporal))
    order = {"order_id": uuid.uuid4().hex[:12], "customer": "ann@example.org", "amount": 5}
    run = start(
        uuid.uuid4().hex, agent="fulfil_order", input=order | {"lines": [{"sku": "b", "quantity": 1}]}, snapshots=()
    )
    await agents.start(run, replace(FULFIL_ORDER, queue=queue))
    await until(lambda: "charge" in shop.journal(_order(run)))

    worker.kill()
    another = Worker(stack.temporal.target, queue, tmp_path, shop_url=shop.url)
    await another.begin()
    completed = await asyncio.wait_for(agents.wait(run.workflow_id), 90)
    another.kill()

    assert completed.outcome is Outcome.COMPLETED
    assert shop.journal(_order(run)) == ["reserve", "charge", "ship", "notify", "email", "status"]


async def test_an_order_that_names_an_article_twice_is_refused_before_anything_is_done(
    stack: Any, tmp_path: Path, shop: Shop
) -> None:
    async with selling(stack, tmp_path, shop) as orders:
        run = await orders.place(lines=[{"sku": "book", "quantity": 1}, {"sku": "book", "quantity": 2}])
        completed = await orders.ended(run)

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "invalid_request")
    assert shop.journal(_order(run)) == []
