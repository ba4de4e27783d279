"""The embedded broker of machines without Java: what it can, and its known faults, so that we notice when they go.

What the local stack says of it in its banner is what is shown here.
"""

import asyncio
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
from kafka import KafkaConsumer

from bridge.adapters.kafka import KafkaAddress, KafkaEventLog, read_all
from bridge.contracts.envelope import Record
from bridge.stack import components, layout
from bridge.stack.layout import Layout
from bridge.stack.reachable import connects, wait_until
from tests.consuming import consuming, new_topic, request, send, starter, until
from tests.fakes import FakeAgents

pytestmark = pytest.mark.integration


@dataclass
class Embedded:
    plan: Layout
    process: "subprocess.Popen[bytes] | None" = None

    @property
    def address(self) -> KafkaAddress:
        return KafkaAddress(self.plan.address("kafka"), instance="one")

    def start(self) -> None:
        (server,) = [c for c in components.components(self.plan) if c.name == "kafka"]
        self.process = subprocess.Popen(
            server.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
        )
        assert wait_until(lambda: connects(layout.HOST, self.plan.ports["kafka"]), seconds=20)

    def kill(self) -> None:
        assert self.process is not None
        os.killpg(self.process.pid, signal.SIGKILL)  # the command is a wrapper: the broker is its child
        self.process.wait(10)


@pytest.fixture
def embedded(tmp_path: Path) -> Iterator[Embedded]:
    plan = layout.plan(tmp_path)
    plan.broker = components.EMBEDDED
    (tmp_path / "kafka").mkdir()
    broker = Embedded(plan)
    broker.start()
    yield broker
    broker.kill()


async def test_requests_are_handled_once_and_a_stopped_bridge_goes_on_where_it_was(embedded: Embedded) -> None:
    agents, topic = FakeAgents(), new_topic(embedded.address)
    await send(embedded.address, *(request(topic, n, key=b"k%d" % n) for n in range(20)))
    async with consuming(embedded.address, topic, starter(agents)):
        await until(lambda: len(agents.started) == 20)
    later = FakeAgents()
    await send(embedded.address, request(topic, 99))
    async with consuming(embedded.address, topic, starter(later)):
        await until(lambda: bool(later.started))

    assert list(later.started) == ["AA/investigate_delays/r99"]


async def test_what_was_acknowledged_a_moment_before_a_crash_is_there_after_it(embedded: Embedded) -> None:
    """Its files are synced once a second: only what is younger than that may be lost."""
    topic = new_topic(embedded.address)
    await send(embedded.address, *(request(topic, n) for n in range(10)))
    threading.Event().wait(2)

    embedded.kill()
    embedded.start()

    assert len(list(read_all(embedded.address, topic))) == 10


def test_known_fault_a_dead_member_without_a_name_keeps_its_partitions(embedded: Embedded) -> None:
    """So the stack gives each bridge a static name. If this fails, the fault is mended: drop the banner's word."""
    topic = new_topic(embedded.address, partitions=2)
    dynamic = {"bootstrap_servers": embedded.address.bootstrap_servers, "group_id": "g", "session_timeout_ms": 6000}
    dead = KafkaConsumer(topic, **dynamic)
    assert wait_until(lambda: bool(dead.poll(timeout_ms=200) or dead.assignment()), seconds=20)
    dead._coordinator._heartbeat_enabled = False
    dead._client.close()  # dies without leaving

    living = KafkaConsumer(topic, **dynamic)
    got_all = wait_until(lambda: bool(living.poll(timeout_ms=200)) or len(living.assignment()) == 2, seconds=20)
    living.close()

    assert not got_all


MEMBER = """
import sys
from kafka import KafkaConsumer

topic, servers = sys.argv[1:]
group = f"group-{topic}"
consumer = KafkaConsumer(topic, bootstrap_servers=servers, group_id=group, group_instance_id=f"{group}-bridge")
while not consumer.assignment():
    consumer.poll(timeout_ms=200)
print("in", flush=True)
while True:
    consumer.poll(timeout_ms=200)
"""
"""A member of the group that the bridge would join, under the bridge's static name."""


def _join_and_die(topic: str, servers: str) -> None:
    member = subprocess.Popen([sys.executable, "-c", MEMBER, topic, servers], stdout=subprocess.PIPE)
    assert member.stdout is not None
    assert member.stdout.readline() == b"in\n"
    member.kill()
    member.wait(10)
    member.stdout.close()


async def test_a_named_member_that_died_gets_its_partitions_back(embedded: Embedded) -> None:
    agents, topic = FakeAgents(), new_topic(embedded.address)
    address = replace(embedded.address, instance="bridge")
    await asyncio.to_thread(_join_and_die, topic, address.bootstrap_servers)

    await send(address, request(topic, 1))
    async with consuming(address, topic, starter(agents)):
        await until(lambda: bool(agents.started))

    assert len(agents.started) == 1


async def test_the_event_log_answers_though_it_is_not_apache(embedded: Embedded) -> None:
    topic, log = new_topic(embedded.address), KafkaEventLog(embedded.address)
    await log.send([Record(topic=topic, key=b"k", value=b"{}", headers=(("h", b"\x00\xff"),))])
    log.close()

    (record,) = list(read_all(embedded.address, topic))
    assert record.headers == (("h", b"\x00\xff"),)
