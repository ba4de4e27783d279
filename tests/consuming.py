"""The bridge's consumer on a real broker, for tests: topics of a test's own, requests, waiting for what is true."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

from bridge.adapters.kafka import KafkaAddress, KafkaEventLog, ensure_topics
from bridge.consumer import Consumer
from bridge.contracts.catalog import AGENTS
from bridge.contracts.envelope import Record
from bridge.contracts.names import REQUESTS_TOPIC
from bridge.contracts.routes import RoutingTable
from bridge.dispatch import Handler, Subscription
from bridge.domain.routing import Routing
from bridge.handlers import StartAgents
from tests.fakes import FakeAgents, FakeLedger
from tests.samples import AA

PATIENCE = 60


def new_topic(address: KafkaAddress, *, partitions: int = 3) -> str:
    """A topic of this test's own, with its dead-letter topic."""
    name = f"test.{uuid.uuid4().hex[:10]}.v1"
    ensure_topics(address, partitions=partitions, topics=[name])
    return name


@asynccontextmanager
async def consuming(
    address: KafkaAddress, topic: str, handler: Handler, *, most: int = 64, stall_seconds: float = 60
) -> AsyncIterator[Consumer]:
    log = KafkaEventLog(address)
    subscription = Subscription(topic, f"group-{topic}", handler, most)
    consumer = Consumer(address, subscription, log, stall_seconds=stall_seconds)
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        consumer.stop()
        try:
            await asyncio.wait_for(running, PATIENCE)
        finally:
            log.close()


async def until(condition: Callable[[], bool], *, seconds: float = PATIENCE) -> None:
    async with asyncio.timeout(seconds):
        while not condition():
            await asyncio.sleep(0.05)


async def send(address: KafkaAddress, *records: Record) -> None:
    log = KafkaEventLog(address)
    await log.send(records)
    log.close()


def request(topic: str, number: int, *, key: bytes = b"k", **changes: Any) -> Record:
    body = {
        "id": f"e{number}", "type": "tandem.agent.requested.v1", "tenant": "AA", "agent": "investigate_delays",
        "request_id": f"r{number}", "input": {"day": "2013-04-16"},
    } | changes  # fmt: skip
    return Record(topic=topic, key=key, value=json.dumps(body).encode())


def starter(agents: FakeAgents, ledger: FakeLedger | None = None) -> StartAgents:
    """The real handler, on fakes of the engines."""
    ledger = ledger or known_ledger()
    return StartAgents(REQUESTS_TOPIC, agents, ledger, Routing.of(RoutingTable(), AGENTS), AGENTS)


def known_ledger() -> FakeLedger:
    return FakeLedger(tenants={"AA": AA}, published={("AA", "2013-04-16")})
