"""What the bridge costs: throughput, CPU and memory against the bare clients, and the way to the first agent step."""

import asyncio
import datetime as dt
import json
import subprocess
import sys
import time
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.api.enums.v1 import EventType

from bridge.adapters.database import Database, ledger
from bridge.adapters.kafka import KafkaEventLog, ensure_topics
from bridge.adapters.sql_ledger import SqlLedger
from bridge.adapters.temporal import RPC_TIMEOUT, TemporalAgents, connect
from bridge.consumer import Consumer
from bridge.contracts import names
from bridge.contracts.agents import AgentStart
from bridge.contracts.catalog.canary import CANARY
from bridge.contracts.envelope import Envelope, Record, encode
from bridge.contracts.events import AgentRequested
from bridge.contracts.routes import RoutingTable
from bridge.dispatch import Subscription
from bridge.domain.routing import Routing
from bridge.handlers import StartAgents
from tests.samples import AA
from tests.servers import Stack

AT_ONCE = 64
STARTS = 1000
ROUNDS = 3
MESSAGES = 20_000
FEW, MANY = 1_000, 100_000
STEPS = 30
NOBODYS = replace(CANARY, queue="nobody")


def new_run(prefix: str) -> AgentStart:
    return AgentStart(
        tenant="AA",
        agent="canary",
        request_id=f"{prefix}-{uuid.uuid4().hex[:12]}",
        started_by="cli",
        input={"notes": 0},
    )


def request_event(run: AgentStart) -> Envelope:
    request = AgentRequested(agent=run.agent, request_id=run.request_id, input=run.input)
    return Envelope(id=run.request_id, type=request.TYPE, tenant=run.tenant, data=request.model_dump(mode="json"))


async def throughput(stack: Stack) -> tuple[list[float], list[float]]:
    """Starts a second: requests waiting on Kafka through the whole handler, and as many bare starts at once."""
    database = Database(stack.plan.database_url)
    database.run(ledger.apply_tenants, [AA])
    agents = TemporalAgents(await connect(stack.temporal))
    ours, bare = [], []
    for number in range(ROUNDS + 1):
        bare.append(await _bare_starts(agents))
        ours.append(await _bridge_starts(stack, agents, database))
        print(f"  round {number}: {ours[-1]:.0f} and {bare[-1]:.0f} starts a second", flush=True)
    database.close()
    return ours[1:], bare[1:]


async def _bare_starts(agents: TemporalAgents) -> float:
    slots = asyncio.Semaphore(AT_ONCE)

    async def start() -> None:
        async with slots:
            await agents.start(new_run("bare"), NOBODYS, AA)

    began = time.monotonic()
    await asyncio.gather(*(start() for _ in range(STARTS)))
    return STARTS / (time.monotonic() - began)


async def _bridge_starts(stack: Stack, agents: TemporalAgents, database: Database) -> float:
    topic = f"bench.{uuid.uuid4().hex[:10]}.v1"
    ensure_topics(stack.kafka, partitions=6, topics=[topic])
    log = KafkaEventLog(stack.kafka)
    events = [request_event(new_run("bench")) for _ in range(STARTS)]
    await log.send([encode(event, topic=topic, key=event.id) for event in events])
    contracts = {CANARY.name: NOBODYS}
    handler = StartAgents(
        names.REQUESTS_TOPIC, agents, SqlLedger(database), Routing.of(RoutingTable(), contracts), contracts
    )
    times: list[float] = []

    async def timed(event: Envelope) -> str:
        times.append(time.monotonic())
        outcome = await handler(event)
        times.append(time.monotonic())
        return outcome

    consumer = Consumer(stack.kafka, Subscription(topic, topic, timed, AT_ONCE), log)
    running = asyncio.create_task(consumer.run())
    while len(times) < 2 * STARTS:
        await asyncio.sleep(0.02)
    consumer.stop()
    await running
    log.close()
    return STARTS / (max(times) - min(times))


async def fill(stack: Stack, count: int, *, partitions: int = 6) -> str:
    """A topic with ``count`` requests of about half a kilobyte."""
    topic = f"bench.{uuid.uuid4().hex[:10]}.v1"
    ensure_topics(stack.kafka, partitions=partitions, topics=[topic])
    log = KafkaEventLog(stack.kafka)
    padding = "x" * 300
    for first in range(0, count, 2000):
        records = [
            Record(topic=topic, key=b"k%d" % n, value=json.dumps(_body(n, padding)).encode())
            for n in range(first, min(count, first + 2000))
        ]
        await log.send(records)
    log.close()
    return topic


def _body(number: int, padding: str) -> dict[str, Any]:
    return {
        "id": f"e{number}", "type": AgentRequested.TYPE, "tenant": "AA", "agent": "canary", "request_id": f"r{number}",
        "cause": padding,
    }  # fmt: skip


async def cpu_per_message(stack: Stack) -> tuple[list[float], list[float]]:
    """Microseconds of CPU per message of a process that reads a topic: the bridge's consumer, a bare poll loop."""
    topic = await fill(stack, MESSAGES)
    ours, bare = [], []
    for _ in range(ROUNDS):
        for mode, samples in (("bare", bare), ("consumer", ours)):
            seconds = _reader(stack, mode, topic, MESSAGES)["cpu_seconds"]
            samples.append(seconds / MESSAGES * 1e6)
    return ours, bare


async def memory(stack: Stack) -> tuple[list[float], list[float]]:
    """Peak megabytes of a process whose engine is down while many or few messages wait."""
    topics = {count: await fill(stack, count) for count in (FEW, MANY)}
    few, many = [], []
    for _ in range(ROUNDS):
        few.append(_reader(stack, "engine-down", topics[FEW], FEW)["peak_megabytes"])
        many.append(_reader(stack, "engine-down", topics[MANY], MANY)["peak_megabytes"])
    return many, few


def _reader(stack: Stack, mode: str, topic: str, count: int) -> dict[str, float]:
    """A process of its own, so that its CPU and memory are its own."""
    command = [sys.executable, "-m", "tests.bench.reader", mode, stack.kafka.bootstrap_servers, topic, str(count)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, cwd=Path(__file__).parents[2])
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


async def first_step(stack: Stack) -> tuple[list[float], list[float]]:
    """Seconds from asking to the agent's first step: by a record on Kafka, and by ``start_workflow``; one at a time."""
    agents, log = TemporalAgents(await connect(stack.temporal)), KafkaEventLog(stack.kafka)
    through, direct = [], []
    for number in range(STEPS + 2):
        for samples, is_kafka in ((through, True), (direct, False)):
            run = new_run("step")
            asked = dt.datetime.now(dt.UTC)
            if is_kafka:
                await log.send([encode(request_event(run), topic=names.REQUESTS_TOPIC, key=run.workflow_id)])
            else:
                await agents.client.start_workflow(
                    CANARY.workflow, run, id=run.workflow_id, task_queue=CANARY.queue, rpc_timeout=RPC_TIMEOUT
                )
            seconds = await _until_first_step(agents, run, asked)
            if number > 1:
                samples.append(seconds)
    log.close()
    return through, direct


async def _until_first_step(agents: TemporalAgents, run: AgentStart, asked: dt.datetime) -> float:
    async with asyncio.timeout(30):
        while True:
            try:
                await agents.wait(run.workflow_id)
                break
            except Exception:  # noqa: BLE001 - not there yet
                await asyncio.sleep(0.01)
    async for event in agents.client.get_workflow_handle(run.workflow_id).fetch_history_events():
        if event.event_type == EventType.EVENT_TYPE_ACTIVITY_TASK_STARTED:
            return (event.event_time.ToDatetime(tzinfo=dt.UTC) - asked).total_seconds()
    raise AssertionError("the run had no step")
