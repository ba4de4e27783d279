"""Several bridges on one topic: they share the load, come and go, and lose nothing."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest
from kafka import KafkaAdminClient

from bridge.contracts.envelope import Envelope
from bridge.contracts.failures import Refused
from tests.consuming import consuming, new_topic, request, send, until

pytestmark = pytest.mark.integration

KEYS = 12


class Members:
    """Handlers that note who handled what, in which order."""

    def __init__(self) -> None:
        self.by_member: dict[str, set[int]] = {}
        self.first: dict[str, list[int]] = {}

    def handler(self, member: str) -> Any:
        async def handle(event: Envelope) -> str:
            await asyncio.sleep(0.002)
            number = int(event.data["request_id"])
            order = self.first.setdefault(event.data["input"]["key"], [])
            if number not in order:
                order.append(number)
            self.by_member.setdefault(member, set()).add(number)
            return "handled"

        return handle

    @property
    def handled(self) -> set[int]:
        return set().union(*self.by_member.values())


def _records(topic: str, numbers: range) -> list[Any]:
    return [
        request(topic, n, key=f"k{n % KEYS}".encode(), request_id=str(n), input={"key": f"k{n % KEYS}"})
        for n in numbers
    ]


async def test_members_share_the_load_and_one_that_joins_or_leaves_loses_nothing_and_keeps_the_order(
    stack: Any,
) -> None:
    topic, members = new_topic(stack.kafka, partitions=6), Members()

    async with consuming(stack.kafka, topic, members.handler("one")):
        await send(stack.kafka, *_records(topic, range(200)))
        await until(lambda: len(members.handled) > 50)
        async with consuming(stack.kafka, topic, members.handler("two")) as two:
            await until(lambda: two.assigned)
            await send(stack.kafka, *_records(topic, range(200, 600)))
            await until(lambda: len(members.handled) > 400 and len(members.by_member.get("two", ())) > 50)
        await send(stack.kafka, *_records(topic, range(600, 700)))
        await until(lambda: len(members.handled) == 700)

    assert all(order == sorted(order) for order in members.first.values())


async def test_a_static_member_that_comes_back_gets_its_partitions_without_a_rebalance(stack: Any) -> None:
    topic, members = new_topic(stack.kafka, partitions=4), Members()
    one, two = (replace(stack.kafka, instance=name) for name in ("one", "two"))

    async with consuming(two, topic, members.handler("two")) as second:
        async with consuming(one, topic, members.handler("one")) as first:
            await until(lambda: first.assigned and second.assigned)
            await until(lambda: len(_assignment(stack, topic)) == 2)
            before = _assignment(stack, topic)
        between = _assignment(stack, topic)
        async with consuming(one, topic, members.handler("one")) as first:
            await until(lambda: first.assigned)
            after = _assignment(stack, topic)
            await send(stack.kafka, *_records(topic, range(100)))
            await until(lambda: len(members.handled) == 100)

    assert before == between == after
    assert set(members.by_member) == {"one", "two"}


def _assignment(stack: Any, topic: str) -> dict[str, str]:
    """``{static member: its partitions}`` as the broker's group coordinator has it."""
    admin = KafkaAdminClient(bootstrap_servers=stack.kafka.bootstrap_servers)
    try:
        (group,) = admin.describe_groups([f"group-{topic}"]).values()
        return {m["group_instance_id"]: str(m["member_assignment"]) for m in group["members"] if m["member_assignment"]}
    finally:
        admin.close()


async def test_two_bridges_of_one_name_do_not_fight_the_older_one_gives_up_and_says_why(stack: Any) -> None:
    topic, members = new_topic(stack.kafka), Members()
    address = replace(stack.kafka, instance="same")

    with pytest.raises(Refused, match="TANDEM_KAFKA_INSTANCE"):
        async with consuming(address, topic, members.handler("older")) as older:
            await until(lambda: older.assigned)
            async with consuming(address, topic, members.handler("newer")) as newer:
                await until(lambda: newer.assigned and not older.assigned)
                await send(stack.kafka, *_records(topic, range(10)))
                await until(lambda: len(members.handled) == 10)

    assert members.by_member["newer"] == set(range(10))
