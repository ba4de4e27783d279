"""Routed events on a real Temporal server: start, signal-with-start, update-with-start, each once."""

import uuid
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.contracts.catalog.canary import CANARY
from bridge.contracts.envelope import Envelope
from bridge.contracts.failures import Code, Refused
from bridge.contracts.routes import RoutingTable
from bridge.domain.routing import Routing
from bridge.handlers import StartAgents
from tests.agents import Runtime, agent_runtime
from tests.fakes import FakeLedger
from tests.samples import AA

pytestmark = pytest.mark.integration

TOPIC = "ops.pings.v1"


@pytest.fixture
async def runtime(stack: Any, tmp_path: Path) -> AsyncIterator[Runtime]:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        yield runtime


def _handler(runtime: Runtime, ledger: FakeLedger) -> StartAgents:
    """Three types: one starts, one signals, one updates; all reach the run that ``data.ping`` names."""

    def route(name: str, **changes: Any) -> dict[str, Any]:
        base = {"type": name, "topic": TOPIC, "agent": "canary", "request_id": "data.ping", "input": {"notes": "`2`"}}
        return base | changes

    note = {"payload": {"text": "data.words"}}
    table = RoutingTable.model_validate(
        {
            "starts": [
                route("started"),
                route("signalled", action="signal_with_start", message="note", **note),
                route("updated", action="update_with_start", message="record_note", **note),
            ]
        }
    )
    agents = {CANARY.name: replace(CANARY, queue=runtime.spec.queue)}
    return StartAgents(TOPIC, runtime.agents, ledger, Routing.of(table, agents), agents)


def _event(kind: str, ping: str, words: str = "") -> Envelope:
    return Envelope(id=f"{ping}-{kind}-{words}", type=kind, tenant="AA", data={"ping": ping, "words": words})


def _ping() -> str:
    return f"p-{uuid.uuid4().hex[:10]}"


async def test_a_signal_and_an_update_reach_one_run_and_a_repeat_changes_nothing(runtime: Runtime) -> None:
    """The ledger forgets in between, as if the bridge had died before it could note that it had sent."""
    ping = _ping()

    for event in (_event("signalled", ping, "one"), _event("updated", ping, "two")):
        for _ in range(2):
            try:
                await _handler(runtime, FakeLedger(tenants={"AA": AA}))(event)
            except Refused as error:
                assert error.code is Code.AGENT_CLOSED  # noqa: PT017 - the repeat of the last note may find it ended

    completed = await runtime.agents.wait(f"AA/canary/{ping}")
    assert completed.output["notes"] == ["one", "two"]


async def test_a_run_that_was_started_takes_messages(runtime: Runtime) -> None:
    handler, ping = _handler(runtime, FakeLedger(tenants={"AA": AA})), _ping()

    outcomes = [
        await handler(event)
        for event in (
            _event("started", ping), _event("updated", ping, "one"), _event("updated", ping, "one"),
            _event("signalled", ping, "two"),
        )
    ]  # fmt: skip

    completed = await runtime.agents.wait(f"AA/canary/{ping}")
    assert outcomes == ["started", "messaged", "duplicate", "messaged"]
    assert completed.output["notes"] == ["one", "two"]


async def test_what_the_runs_validator_rejects_is_refused_with_its_reason(runtime: Runtime) -> None:
    with pytest.raises(Refused, match="an empty note says nothing"):
        await _handler(runtime, FakeLedger(tenants={"AA": AA}))(_event("updated", _ping(), "  "))


async def test_a_message_to_a_run_that_has_ended_is_refused(runtime: Runtime) -> None:
    handler, ping = _handler(runtime, FakeLedger(tenants={"AA": AA})), _ping()
    for words in ("one", "two"):
        await handler(_event("signalled", ping, words))
    await runtime.agents.wait(f"AA/canary/{ping}")

    codes = []
    for kind in ("signalled", "updated"):
        with pytest.raises(Refused) as refused:
            await handler(_event(kind, ping, "late"))
        codes.append(refused.value.code)

    assert codes == [Code.AGENT_CLOSED, Code.AGENT_CLOSED]
