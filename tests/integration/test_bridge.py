"""The bridge's consumer on a real broker: what is bad is parked, what is good goes on, nothing is lost."""

import asyncio
from typing import Any

import pytest
from kafka import KafkaConsumer, KafkaProducer
from prometheus_client import REGISTRY

from bridge.contracts.envelope import MAX_VALUE_BYTES, Envelope, Record
from bridge.contracts.failures import Unavailable
from tests.consuming import consuming, known_ledger, new_topic, request, send, starter, until
from tests.fakes import FakeAgents

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(stack: Any) -> str:
    return new_topic(stack.kafka)


def _dead_letters(stack: Any, topic: str, count: int) -> list[Any]:
    consumer = KafkaConsumer(
        topic + ".dead", bootstrap_servers=stack.kafka.bootstrap_servers, group_id=None, auto_offset_reset="earliest",
        consumer_timeout_ms=15_000, allow_auto_create_topics=False,
    )  # fmt: skip
    letters = [message for message, _ in zip(consumer, range(count), strict=False)]
    consumer.close()
    return letters


async def test_bad_records_are_parked_with_their_reason_and_the_rest_goes_on(stack: Any, topic: str) -> None:
    bad = {
        "malformed": Record(topic=topic, key=b"k", value=b"{nope", headers=(("h", b"\x00\xff"),)),
        "invalid_request": request(topic, 90, request_id="../x"),
        "unknown_tenant": request(topic, 91, tenant="ZZ"),
        "unknown_agent": request(topic, 92, agent="make_coffee"),
        "too_large": request(topic, 93, cause="x" * MAX_VALUE_BYTES),
        "key_not_utf8": request(topic, 94, key=b"\xff\xfe"),
        "not_published": request(topic, 95, input={"day": "2013-05-05"}),
    }
    agents, ledger = FakeAgents(), known_ledger()

    await send(stack.kafka, request(topic, 1), *bad.values(), request(topic, 2))
    async with consuming(stack.kafka, topic, starter(agents, ledger)):
        await until(lambda: len(agents.started) == 2)
        letters = await asyncio.to_thread(_dead_letters, stack, topic, len(bad))

    by_code = {dict(letter.headers)["tandem_dead_code"].decode(): letter for letter in letters}
    assert set(by_code) == set(bad)
    for code, record in bad.items():
        assert (by_code[code].key, by_code[code].value) == (record.key, record.value)
    assert ("h", b"\x00\xff") in by_code["malformed"].headers


async def test_an_engine_that_is_down_makes_no_dead_letter_and_loses_nothing(stack: Any, topic: str) -> None:
    agents, ledger = FakeAgents(down=True), known_ledger()
    await send(stack.kafka, *(request(topic, number) for number in range(5)))

    async with consuming(stack.kafka, topic, starter(agents, ledger)) as consumer:
        await until(lambda: consumer.assigned)
        agents.down = False
        await until(lambda: len(agents.started) == 5)

    assert len(ledger.accepted) == 5


async def test_what_was_not_finished_is_handled_by_the_next_consumer(stack: Any, topic: str) -> None:
    """The first consumer is stopped with work that cannot finish; the second one gets it again."""
    seen: list[str] = []

    async def never(event: Envelope) -> str:
        seen.append(event.id)
        raise Unavailable("down")

    await send(stack.kafka, *(request(topic, number) for number in range(3)))
    async with consuming(stack.kafka, topic, never):
        await until(lambda: bool(seen))
    agents = FakeAgents()
    async with consuming(stack.kafka, topic, starter(agents, known_ledger())):
        await until(lambda: len(agents.started) == 3)


async def test_what_was_finished_is_not_handled_again(stack: Any, topic: str) -> None:
    agents = FakeAgents()
    await send(stack.kafka, *(request(topic, number) for number in range(10)))
    async with consuming(stack.kafka, topic, starter(agents, known_ledger())):
        await until(lambda: len(agents.started) == 10)
    again: list[str] = []

    async def note(event: Envelope) -> str:
        again.append(event.id)
        return "noted"

    await send(stack.kafka, request(topic, 99))
    async with consuming(stack.kafka, topic, note):
        await until(lambda: "e99" in again)

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
        request(topic, 0, key=f"key{k}".encode(), request_id=f"{k}-{number}") for number in range(40) for k in range(5)
    ]
    await send(stack.kafka, *records)
    async with consuming(stack.kafka, topic, slow):
        await until(lambda: sum(map(len, order.values())) == 200)

    assert all(numbers == list(range(40)) for numbers in order.values())
    assert 1 < most <= 5


def _metric(name: str, topic: str, **labels: str) -> float:
    """Summed over the partitions."""
    return sum(
        sample.value
        for metric in REGISTRY.collect()
        for sample in metric.samples
        if sample.name == name and sample.labels["topic"] == topic and labels.items() <= sample.labels.items()
    )


async def test_its_metrics_tell_of_each_partition(stack: Any, topic: str) -> None:
    agents = FakeAgents()
    await send(stack.kafka, request(topic, 1), request(topic, 1), request(topic, 2, tenant="ZZ"))

    async with consuming(stack.kafka, topic, starter(agents)):
        await until(lambda: _metric("tandem_bridge_events_total", topic) == 3)
        agents.down = True
        await send(stack.kafka, request(topic, 3))
        await until(lambda: _metric("tandem_bridge_lag", topic) == 1)
        held = _metric("tandem_bridge_in_flight", topic)
        await until(lambda: _metric("tandem_bridge_retries_total", topic) > 0)
        agents.down = False
        await until(lambda: _metric("tandem_bridge_lag", topic) == 0)

    outcomes = ("started", "duplicate", "dead_lettered")
    counted = [_metric("tandem_bridge_events_total", topic, outcome=outcome) for outcome in outcomes]
    assert (counted, held) == ([2, 1, 1], 1)
    assert _metric("tandem_bridge_dead_letters_total", topic, code="unknown_tenant") == 1


async def test_a_consumer_that_is_behind_and_does_not_move_is_opened_anew(stack: Any, topic: str) -> None:
    """A handler hangs; the record is handled by the next consumer."""
    handled: list[str] = []
    hangs = True

    async def hang_once(event: Envelope) -> str:
        nonlocal hangs
        if hangs:
            hangs = False
            await asyncio.Event().wait()
        handled.append(event.id)
        return "handled"

    await send(stack.kafka, request(topic, 1))
    async with consuming(stack.kafka, topic, hang_once, stall_seconds=6):
        await until(lambda: bool(handled))

    assert handled == ["e1"]
    assert _metric("tandem_bridge_consumer_restarts_total", topic, reason="stalled") == 1


async def test_one_busy_key_does_not_keep_the_others_waiting(stack: Any, topic: str) -> None:
    """As many records of one key as handlers may run, and all of them wait: another key goes on."""
    gate, handled = asyncio.Event(), list[str]()

    async def wait_for_key(event: Envelope) -> str:
        if event.data["request_id"].startswith("slow"):
            await gate.wait()
        handled.append(event.data["request_id"])
        return "handled"

    slow = [request(topic, n, key=b"slow", request_id=f"slow{n}") for n in range(8)]
    await send(stack.kafka, *slow)
    await send(stack.kafka, request(topic, 99, key=b"other", request_id="quick"))
    async with consuming(stack.kafka, topic, wait_for_key, most=4):
        await until(lambda: "quick" in handled)
        gate.set()
        await until(lambda: len(handled) == 9)

    assert handled[1:] == [f"slow{n}" for n in range(8)]


@pytest.mark.parametrize("codec", ["gzip", "snappy", "lz4", "zstd"])
async def test_records_are_read_however_their_producer_compressed_them(stack: Any, topic: str, codec: str) -> None:
    agents, record = FakeAgents(), request(topic, 1)

    def produce() -> None:
        producer = KafkaProducer(bootstrap_servers=stack.kafka.bootstrap_servers, compression_type=codec)
        producer.send(topic, key=record.key, value=record.value).get(timeout=30)
        producer.close()

    await asyncio.to_thread(produce)
    async with consuming(stack.kafka, topic, starter(agents)):
        await until(lambda: bool(agents.started))

    assert list(agents.started) == ["AA/investigate_delays/r1"]
