"""``tandem dead`` on a real broker: a letter is listed, shown, mended, replayed once, or discarded."""

import asyncio
import json
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.database import Database
from bridge.contracts.envelope import Record
from tests.consuming import consuming, known_ledger, new_topic, request, send, starter, until
from tests.fakes import FakeAgents

pytestmark = pytest.mark.integration


@pytest.fixture
def topic(stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> str:
    url = f"sqlite:///{tmp_path / 'platform.db'}"
    Database(url).migrate()
    monkeypatch.setenv("TANDEM_HOME", str(tmp_path))
    monkeypatch.setenv("TANDEM_DATABASE_URL", url)
    monkeypatch.setenv("TANDEM_KAFKA_BOOTSTRAP_SERVERS", stack.kafka.bootstrap_servers)
    return new_topic(stack.kafka)


async def _dead(*arguments: str) -> "subprocess.CompletedProcess[str]":
    """The command as a person runs it, in a process of its own."""
    command = [str(Path(sys.executable).parent / "tandem"), "dead", *arguments]
    return await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)


async def _letters(topic: str, *arguments: str) -> list[dict[str, Any]]:
    result = await _dead("list", "--json", "--topic", topic, *arguments)
    return [json.loads(line) for line in result.stdout.splitlines()]


async def test_a_letter_is_replayed_once_the_cause_is_mended(stack: Any, topic: str) -> None:
    agents, ledger = FakeAgents(), known_ledger()
    record = request(topic, 1, input={"day": "2013-05-05"})
    record = record.model_copy(update={"headers": (("trace", b"\x00\xff"),)})
    await send(stack.kafka, record)

    async with consuming(stack.kafka, topic, starter(agents, ledger)):
        await _until_parked(topic, 1)
        (parked,) = await _letters(topic)
        shown = json.loads((await _dead("show", parked["id"])).stdout)
        await _dead("replay", parked["id"])  # not mended yet: it comes back, the same letter
        await _until_parked(topic, 2)
        ledger.published.add(("AA", "2013-05-05"))
        (again,) = await _letters(topic)
        replayed = [(await _dead("replay", parked["id"])).stdout for _ in range(2)]
        await until(lambda: bool(agents.started))
        await send(stack.kafka, request(topic, 2))
        await until(lambda: len(agents.started) == 2)

    assert (parked["code"], parked["tenant"], parked["times"], parked["state"]) == ("not_published", "AA", 1, "waiting")
    assert shown["headers"] == [["trace", "hex:00ff"]]
    assert shown["value"] == (record.value or b"").decode()
    assert (again["id"], again["times"], again["first_at"]) == (parked["id"], 2, parked["first_at"])
    assert ["sent again" in replayed[0], "before" in replayed[1]] == [True, True]
    assert list(agents.started) == ["AA/investigate_delays/r1", "AA/investigate_delays/r2"]
    assert await _letters(topic) == []
    assert [letter["state"] for letter in await _letters(topic, "--all")] == ["replayed"]


async def _until_parked(topic: str, times: int) -> None:
    async with asyncio.timeout(60):
        while not any(letter["times"] >= times for letter in await _letters(topic)):
            await asyncio.sleep(0.2)


async def test_discarded_letters_leave_the_list_and_all_is_bounded_by_the_options(stack: Any, topic: str) -> None:
    bad = [Record(topic=topic, key=b"k", value=b"{nope"), request(topic, 3, tenant="ZZ")]
    await send(stack.kafka, *bad)

    async with consuming(stack.kafka, topic, starter(FakeAgents())):
        async with asyncio.timeout(60):
            while len(await _letters(topic)) < 2:
                await asyncio.sleep(0.2)
        await _dead("discard", "--all", "--topic", topic, "--code", "malformed")
        left = await _letters(topic)

    assert [letter["code"] for letter in left] == ["unknown_tenant"]


@pytest.mark.parametrize(
    ("arguments", "says"),
    [(["replay", "0123456789abcdef"], "0123456789abcdef"), (["replay"], "--all"), (["show", "nope"], "nope")],
)
async def test_a_wrong_call_says_what_to_do(topic: str, arguments: list[str], says: str) -> None:
    result = await _dead(*arguments)

    assert result.returncode == 1
    assert says in result.stderr
