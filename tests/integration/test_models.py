"""The real model clients against a local server that answers from a script and misbehaves on request."""

import asyncio
import datetime as dt
import json
import threading
import uuid
from collections.abc import Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import TimeSkipper

from agent_workflows.adapters.model import ModelThinker
from agent_workflows.adapters.providers import Endpoint, Models
from agent_workflows.agents.models import Ask, ModelPolicy, ModelSpec, Price, Purpose
from bridge.adapters.database import ledger
from bridge.adapters.temporal import TemporalAgents
from bridge.contracts.events import AgentCompleted, Outcome
from tests.agents import agent_runtime, thinker_of
from tests.model_server import ModelServer, Reply, says, says_as_anthropic, script, serving
from tests.samples import start

pytestmark = pytest.mark.integration

FINDING = {
    "cause": "none", "severity": "none", "summary": "an ordinary day",
    "evidence": [{"figure": "flights", "value": 72, "unit": "flights", "source": "tenant_rates"}],
}  # fmt: skip
CONCLUDES = says(("final_result", FINDING))


@pytest.fixture
def servers() -> Iterator[ExitStack]:
    with ExitStack() as stack:
        yield stack


def _server(servers: ExitStack, *replies: Reply) -> ModelServer:
    return servers.enter_context(serving(script(*replies)))


async def _investigated(
    stack: Any, folder: Path, thinker: ModelThinker, *, skipping: bool = False
) -> tuple[AgentCompleted, list[Any]]:
    """The completion of one investigation, and the events that were told."""
    async with agent_runtime(stack.temporal, folder, thinker=thinker) as runtime:
        if skipping:
            runtime.agents = TemporalAgents(TimeSkipper(runtime.agents.client).client)
        completed = await runtime.completion(start(uuid.uuid4().hex))
        return completed, [row.envelope for row in runtime.database.run(ledger.waiting_events, 99)]


async def test_an_openai_compatible_endpoint_runs_the_same_agent(
    stack: Any, servers: ExitStack, tmp_path: Path
) -> None:
    server = _server(servers, says(("tenant_rates", {"by": "day"}), ("weather", {})), CONCLUDES)

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint()))

    assert (completed.outcome, completed.output["summary"]) == (Outcome.COMPLETED, "an ordinary day")
    assert (completed.usage.model, completed.usage.input_tokens, completed.usage.tool_calls) == ("scripted", 20, 2)
    first, second = server.asked
    assert {tool["function"]["name"] for tool in first["tools"]} >= {"tenant_rates", "final_result"}
    assert [m["role"] for m in second["messages"]][-2:] == ["tool", "tool"]


async def test_an_anthropic_endpoint_runs_the_same_agent(stack: Any, servers: ExitStack, tmp_path: Path) -> None:
    concludes = says_as_anthropic(("final_result", FINDING))
    stumbles = [Reply(429, headers={"Retry-After": "1"}), Reply(529), Reply(200, concludes.body, cut=True)]
    server = _server(servers, says_as_anthropic(("tenant_rates", {"by": "day"}), ("weather", {})), *stumbles, concludes)

    completed, _ = await _investigated(
        stack, tmp_path, thinker_of(server.endpoint(provider="anthropic")), skipping=True
    )

    assert (completed.outcome, completed.output["summary"]) == (Outcome.COMPLETED, "an ordinary day")
    assert (completed.usage.model, completed.usage.input_tokens, completed.usage.tool_calls) == ("scripted", 20, 2)
    assert {tool["name"] for tool in server.asked[0]["tools"]} >= {"tenant_rates", "final_result"}
    assert [part["type"] for part in server.asked[1]["messages"][-1]["content"]] == ["tool_result", "tool_result"]
    first, *again = server.keys
    assert len(set(again)) == 1 != len({first, *again})


async def test_an_anthropic_endpoint_that_refuses_us_ends_the_run_at_once(
    stack: Any, servers: ExitStack, tmp_path: Path
) -> None:
    server = _server(servers, Reply(401, {"type": "error", "error": {"type": "authentication_error", "message": "no"}}))

    completed, told = await _investigated(stack, tmp_path, thinker_of(server.endpoint(provider="anthropic")))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "model_refused")
    assert len(server.asked) == 1
    assert "tandem.agent.alert.v1" in [event.type for event in told]


async def test_wrong_calls_go_back_to_the_model_and_never_into_a_tool(
    stack: Any, servers: ExitStack, tmp_path: Path
) -> None:
    server = _server(
        servers,
        says(("tenant_rates", {"by": "pilot"}), ("drop_tables", {})),
        says(("final_result", {"cause": "gremlins"})),
        CONCLUDES,
    )

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint()))

    assert (completed.outcome, completed.usage.tool_calls) == (Outcome.COMPLETED, 0)
    told = json.dumps(server.asked[1]["messages"])
    assert "There is no tool" in told
    assert "by: Input should be" in told


async def test_more_calls_than_a_turn_may_make_go_back_to_the_model(
    stack: Any, servers: ExitStack, tmp_path: Path
) -> None:
    server = _server(servers, says(*[("weather", {})] * 40), CONCLUDES)

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint()))

    assert completed.usage.tool_calls == 32
    assert json.dumps(server.asked[1]["messages"]).count("Only 32 calls a turn are made") == 8


@pytest.mark.parametrize(
    "stumble",
    [Reply(429), Reply(500), Reply(503), Reply(200, CONCLUDES.body, cut=True), Reply(200, {"not": "an answer"})],
    ids=["429", "500", "503", "cut", "wrong schema"],
)
async def test_a_model_that_stumbles_is_asked_again(
    stack: Any, servers: ExitStack, tmp_path: Path, stumble: Reply
) -> None:
    server = _server(servers, stumble, stumble, CONCLUDES)

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint()), skipping=True)

    assert completed.outcome is Outcome.COMPLETED
    assert len(server.asked) == 3
    assert len(set(server.keys)) == 1


async def test_a_slow_model_is_asked_again(stack: Any, servers: ExitStack, tmp_path: Path) -> None:
    never = threading.Event()
    server = _server(servers, Reply(200, CONCLUDES.body, waits_for=never), CONCLUDES)

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint(seconds=0.5)))
    never.set()

    assert completed.outcome is Outcome.COMPLETED
    assert len(server.asked) == 2


async def test_a_model_that_stays_away_is_asked_ten_times(stack: Any, servers: ExitStack, tmp_path: Path) -> None:
    server = _server(servers, *[Reply(503)] * 20)

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint()), skipping=True)

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "unavailable")
    assert len(server.asked) == 10


async def test_the_wait_that_a_model_asks_for_is_kept(stack: Any, servers: ExitStack, tmp_path: Path) -> None:
    server = _server(servers, Reply(429, {}, {"Retry-After": "300"}), CONCLUDES)

    completed, _ = await _investigated(stack, tmp_path, thinker_of(server.endpoint()), skipping=True)

    took = completed.closed_at - completed.started_at
    assert dt.timedelta(seconds=300) < took < dt.timedelta(seconds=360)


@pytest.mark.parametrize("status", [400, 401])
async def test_a_refusal_fails_at_once_and_raises_an_alert(
    stack: Any, servers: ExitStack, tmp_path: Path, status: int
) -> None:
    server = _server(servers, Reply(status, {"error": {"message": "wrong key"}}))

    completed, told = await _investigated(stack, tmp_path, thinker_of(server.endpoint()))

    (alert,) = _alerts(told)
    assert (completed.outcome, completed.code) == (Outcome.FAILED, "model_refused")
    assert str(status) in completed.reason
    assert len(server.asked) == 1
    assert (alert["code"], alert["step"]) == ("model_refused", "1-decide")


def _alerts(told: list[Any]) -> list[Any]:
    return [event.data for event in told if event.type == "tandem.agent.alert.v1"]


def _policy(ask: Ask, **endpoints: Endpoint) -> ModelThinker:
    specs = {name: ModelSpec(provider="openai", model=name) for name in endpoints}
    return ModelThinker(Models(ModelPolicy(models=specs, purposes={Purpose.REASON: ask}), endpoints))


async def test_where_one_model_refuses_the_next_is_asked_and_each_has_its_usage(
    stack: Any, servers: ExitStack, tmp_path: Path
) -> None:
    first = _server(servers, says(("weather", {}), model="first"), Reply(401, {}))
    second = _server(servers, says(("final_result", FINDING), model="second", tokens=(100, 10)))
    thinker = _policy(
        Ask(models=("first", "second")),
        first=first.endpoint(price=Price(input=1, output=2)),
        second=second.endpoint(price=Price(input=3, output=5)),
    )

    completed, told = await _investigated(stack, tmp_path, thinker)

    usage = completed.usage
    assert {name: (one.calls, one.input_tokens, one.cost_microdollars) for name, one in usage.models.items()} == {
        "first": (1, 10, 20), "second": (1, 100, 350)
    }  # fmt: skip
    assert usage.cost_microdollars == 370
    assert [(a["step"], a["code"]) for a in _alerts(told)] == [("first", "model_refused")]


async def test_a_key_that_is_wrong_behind_a_model_that_is_down_raises_one_alert_too(
    stack: Any, servers: ExitStack, tmp_path: Path
) -> None:
    wrong_key = _server(servers, Reply(401, {}), Reply(401, {}), Reply(401, {}))
    down = _server(servers, Reply(503), Reply(503), CONCLUDES)
    thinker = _policy(
        Ask(models=("wrong_key", "down"), race=True), wrong_key=wrong_key.endpoint(), down=down.endpoint()
    )

    completed, told = await _investigated(stack, tmp_path, thinker, skipping=True)

    assert completed.outcome is Outcome.COMPLETED
    assert [alert["step"] for alert in _alerts(told)] == ["wrong_key"]


async def test_in_a_race_the_first_good_answer_counts(stack: Any, servers: ExitStack, tmp_path: Path) -> None:
    never = threading.Event()
    slow = _server(servers, Reply(200, CONCLUDES.body, waits_for=never))
    broken = _server(servers, Reply(500))
    quick = _server(servers, says(("final_result", FINDING), model="quick"))
    thinker = _policy(
        Ask(models=("slow", "broken", "quick"), race=True),
        slow=slow.endpoint(seconds=120), broken=broken.endpoint(), quick=quick.endpoint(),
    )  # fmt: skip

    completed, _ = await asyncio.wait_for(_investigated(stack, tmp_path, thinker), 50)  # the slow one takes 60
    never.set()

    assert completed.outcome is Outcome.COMPLETED
    assert completed.usage.model == "quick"
