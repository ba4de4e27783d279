"""The bridge's consumer on a real broker: what is bad is parked, what is good goes on, nothing is lost."""

import asyncio
import json
import uuid
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from typing import Any

import pytest
from kafka import KafkaConsumer

from bridge.adapters.kafka import KafkaEventLog, ensure_topics
from bridge.consumer import Consumer
from bridge.contracts.agents import AGENTS
from bridge.contracts.envelope import MAX_VALUE_BYTES, Envelope, Record
from bridge.contracts.failures import Unavailable
from bridge.contracts.names import REQUESTS_TOPIC
from bridge.contracts.routes import RoutingTable
from bridge.dispatch import Handler, Subscription
from bridge.domain.routing import Routing
from bridge.handlers import StartAgents
from tests.fakes import FakeAgents, FakeLedger
from tests.samples import AA

pytestmark = pytest.mark.integration

PATIENCE = 40


@pytest.fixture
def topic(stack: Any) -> str:
    """A topic of this test's own, with its dead-letter topic."""
    name = f"test.{uuid.uuid4().hex[:10]}.v1"
    ensure_topics(stack.kafka, partitions=3, topics=[name])
    return name


@asynccontextmanager
async def _consuming(stack: Any, topic: str, handler: Handler, *, most: int = 64) -> AsyncIterator[Consumer]:
    consumer = Consumer(stack.kafka, Subscription(topic, f"group-{topic}", handler, most), KafkaEventLog(stack.kafka))
    running = asyncio.create_task(consumer.run())
    try:
        yield consumer
    finally:
        consumer.stop()
        await asyncio.wait_for(running, PATIENCE)


async def _until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not condition():
            await asyncio.sleep(0.05)


async def _send(stack: Any, *records: Record) -> None:
    log = KafkaEventLog(stack.kafka)
    await log.send(records)
    log.close()


def _request(topic: str, number: int, *, key: bytes = b"k", **changes: Any) -> Record:
    body = {
        "id": f"e{number}", "tenant": "AA", "agent": "investigate_delays", "request_id": f"r{number}",
        "input": {"day": "2013-04-16"},
    } | changes  # fmt: skip
    return Record(topic=topic, key=key, value=json.dumps(body).encode())


def _dead_letters(stack: Any, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic + ".dead", bootstrap_servers=stack.kafka.bootstrap_servers, group_id=None, auto_offset_reset="earliest",
        consumer_timeout_ms=15_000, allow_auto_create_topics=False,
    )  # fmt: skip
    letters = [message for message, _ in zip(consumer, range(count), strict=False)]
    consumer.close()
    return letters


def _starter(agents: FakeAgents, ledger: FakeLedger) -> StartAgents:
    return StartAgents(REQUESTS_TOPIC, agents, ledger, Routing.of(RoutingTable(), AGENTS), AGENTS)


def _ledger() -> FakeLedger:
    return FakeLedger(tenants={"AA": AA}, published={("AA", "2013-04-16")})


async def test_bad_records_are_parked_with_their_reason_and_the_rest_goes_on(stack: Any, topic: str) -> None:
    bad = {
        "malformed": Record(topic=topic, key=b"k", value=b"{nope", headers=(("h", b"\x00\xff"),)),
        "invalid_request": _request(topic, 90, request_id="../x"),
        "unknown_tenant": _request(topic, 91, tenant="ZZ"),
        "unknown_agent": _request(topic, 92, agent="make_coffee"),
        "too_large": _request(topic, 93, cause="x" * MAX_VALUE_BYTES),
        "key_not_utf8": _request(topic, 94, key=b"\xff\xfe"),
        "not_published": _request(topic, 95, input={"day": "2013-05-05"}),
    }
    agents, ledger = FakeAgents(), _ledger()

    await _send(stack, _request(topic, 1), *bad.values(), _request(topic, 2))
    async with _consuming(stack, topic, _starter(agents, ledger)):
        await _until(lambda: len(agents.started) == 2)
        letters = await asyncio.to_thread(_dead_letters, stack, topic, len(bad))

    by_code = {dict(letter.headers)["tandem_dead_code"].decode(): letter for letter in letters}
    assert set(by_code) == set(bad)
    for code, record in bad.items():
        assert (by_code[code].key, by_code[code].value) == (record.key, record.value)
    assert ("h", b"\x00\xff") in by_code["malformed"].headers


async def test_an_engine_that_is_down_makes_no_dead_letter_and_loses_nothing(stack: Any, topic: str) -> None:
    agents, ledger = FakeAgents(down=True), _ledger()
    await _send(stack, *(_request(topic, number) for number in range(5)))

    async with _consuming(stack, topic, _starter(agents, ledger)) as consumer:
        await _until(lambda: consumer.assigned)
        agents.down = False
        await _until(lambda: len(agents.started) == 5)

    assert len(ledger.accepted) == 5


async def test_what_was_not_finished_is_handled_by_the_next_consumer(stack: Any, topic: str) -> None:
    """The first consumer is stopped with work that cannot finish; the second one gets it again."""
    seen: list[str] = []

    async def never(event: Envelope) -> str:
        seen.append(event.id)
        raise Unavailable("down")

    await _send(stack, *(_request(topic, number) for number in range(3)))
    async with _consuming(stack, topic, never):
        await _until(lambda: bool(seen))
    agents = FakeAgents()
    async with _consuming(stack, topic, _starter(agents, _ledger())):
        await _until(lambda: len(agents.started) == 3)


async def test_what_was_finished_is_not_handled_again(stack: Any, topic: str) -> None:
    agents = FakeAgents()
    await _send(stack, *(_request(topic, number) for number in range(10)))
    async with _consuming(stack, topic, _starter(agents, _ledger())):
        await _until(lambda: len(agents.started) == 10)
    again: list[str] = []

    async def note(event: Envelope) -> str:
        again.append(event.id)
        return "noted"

    await _send(stack, _request(topic, 99))
    async with _consuming(stack, topic, note):
        await _until(lambda: "e99" in again)

    assert again == ["e99"]


async def test_one_key_keeps_its_order_while_keys_run_side_by_side_within_the_bound(stack: Any, topic: str) -> None:
    order: dict[str, list[int]] = {}
    now, most = 0, 0

    async def slow(event: Envelope) -> str:
        nonlocal now, most
        now += 1
        most = max(most, now)
        await asyncio.sleep(0.002)
        key, number = event.data["request_id"].split("-")
        order.setdefault(key, []).append(int(number))
        now -= 1
        return "done"

    records = [
        _request(topic, 0, key=f"key{k}".encode(), request_id=f"{k}-{number}") for number in range(40) for k in range(5)
    ]
    await _send(stack, *records)
    async with _consuming(stack, topic, slow):
        await _until(lambda: sum(map(len, order.values())) == 200)

    assert all(numbers == list(range(40)) for numbers in order.values())
    assert 1 < most <= 5
