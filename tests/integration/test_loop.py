"""The durable loop on a real Temporal server: long runs, killed workers, flat history, continue-as-new."""

import asyncio
import re
import threading
import uuid
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from agent_workflows.activities.messages import Decision, ToolCall, Turn
from agent_workflows.agents.definition import Agent
from agent_workflows.agents.models import Price
from agent_workflows.policies import HEARTBEAT
from bridge.adapters.temporal import TemporalAgents, connect
from bridge.contracts.agents import AgentStart, Limits
from bridge.contracts.approvals import RunStatus
from bridge.contracts.events import Outcome
from bridge.contracts.names import STATUS_QUERY
from tests.agents import agent_runtime, thinker_of
from tests.model_server import ModelServer, Reply, says, serving, turns
from tests.samples import AA, start
from tests.waiting import until
from tests.walk import AGENTS, Steps, WalkWorkflow, Worker, spec

pytestmark = pytest.mark.integration


def walker(steps: int, tools: Sequence[str] = ("look",), size: int = 0) -> Callable[[dict[str, Any]], Reply]:
    """A model that calls its tools in turn until it has answered ``steps - 1`` times, then concludes."""

    def answer(request: dict[str, Any]) -> Reply:
        step = turns(request) + 1
        if step == steps:
            return says(("final_result", {"steps": step}))
        return says((tools[step % len(tools)], {"step": step, "bytes": size}))

    return answer


def _walk(steps: int, **changes: Any) -> AgentStart:
    return start(uuid.uuid4().hex, agent="walk", input={"steps": steps}, snapshots=(), **changes)


def _taken(folder: Path) -> Counter[str]:
    return Counter((folder / "taken").read_text().splitlines())


async def test_a_worker_killed_at_step_147_of_200_makes_no_model_call_twice(stack: Any, tmp_path: Path) -> None:
    hold = tmp_path / "hold-147"
    hold.touch()
    queue = f"test-{uuid.uuid4().hex[:10]}"
    with serving(walker(200)) as model:
        worker = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await worker.begin()
        agents, run = TemporalAgents(await connect(stack.temporal)), _walk(200)
        await agents.start(run, spec(queue))
        await until(lambda: len(model.asked) == 147 and _taken(tmp_path)["look 147"] == 1, 120)

        worker.kill()
        hold.unlink()
        another = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await another.begin()
        completed = await asyncio.wait_for(agents.wait(run.workflow_id), 120)
        another.kill()

    assert (completed.outcome, completed.output) == (Outcome.COMPLETED, {"steps": 200})
    assert (completed.usage.turns, completed.usage.tool_calls) == (200, 199)
    assert len(model.keys) == len(set(model.keys)) == 200
    again = {step: times for step, times in _taken(tmp_path).items() if times > 1}
    assert set(again) <= {"look 147"}  # the one that was cut off in its middle


async def test_a_model_call_cut_off_by_a_kill_is_asked_again_under_the_same_idempotency_key(
    stack: Any, tmp_path: Path
) -> None:
    held = threading.Event()
    walk = walker(6)

    def answer(request: dict[str, Any]) -> Reply:
        reply = walk(request)
        return Reply(reply.status, reply.body, waits_for=held) if turns(request) == 3 else reply

    queue = f"test-{uuid.uuid4().hex[:10]}"
    with serving(answer) as model:
        worker = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await worker.begin()
        agents, run = TemporalAgents(await connect(stack.temporal)), _walk(6)
        await agents.start(run, spec(queue))
        await until(lambda: len(model.asked) == 4)

        worker.kill()
        held.set()
        another = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await another.begin()
        completed = await asyncio.wait_for(agents.wait(run.workflow_id), 60)
        another.kill()

    assert completed.output == {"steps": 6}
    assert (len(model.keys), len(set(model.keys))) == (7, 6)
    assert model.keys[3] == model.keys[4]


async def test_47_mixed_tool_calls_deep_a_killed_worker_repeats_only_what_it_had_not_finished(
    stack: Any, tmp_path: Path
) -> None:
    hold = tmp_path / "hold-31"
    hold.touch()
    queue = f"test-{uuid.uuid4().hex[:10]}"
    with serving(walker(48, ("look", "fetch", "count"))) as model:
        worker = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await worker.begin()
        agents, run = TemporalAgents(await connect(stack.temporal)), _walk(48)
        await agents.start(run, spec(queue))
        await until(lambda: (tmp_path / "taken").exists() and len(_taken(tmp_path)) == 31)

        worker.kill()
        hold.unlink()
        another = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await another.begin()
        completed = await asyncio.wait_for(agents.wait(run.workflow_id), 90)
        another.kill()

    assert completed.output == {"steps": 48}
    taken = _taken(tmp_path)
    assert len(taken) == 47
    assert Counter(line.split()[0] for line in taken) == {"look": 15, "fetch": 16, "count": 16}
    assert {step for step, times in taken.items() if times > 1} <= {"fetch 31"}
    assert len(model.keys) == 48


@pytest.mark.parametrize("tool", ["look", "stare"], ids=["async", "sync"])
async def test_a_call_longer_than_the_heartbeat_timeout_is_made_once_and_holds_nobody_up(
    stack: Any, tmp_path: Path, tool: str
) -> None:
    hold = tmp_path / "hold-2"
    hold.touch()
    short, long = walker(2), walker(3, (tool,))

    def answer(request: dict[str, Any]) -> Reply:
        steps = re.search(r"steps\W+(\d)", str(request["messages"]))
        return long(request) if steps and steps[1] == "3" else short(request)

    with serving(answer) as model:
        async with _runtime(stack, tmp_path, model) as runtime:
            slow = _walk(3)
            await runtime.agents.start(slow, spec(runtime.spec.queue))
            await until(lambda: (tmp_path / "taken").exists() and _taken(tmp_path)[f"{tool} 2"] == 1)
            began, served = asyncio.get_running_loop().time(), 0
            while asyncio.get_running_loop().time() < began + HEARTBEAT.total_seconds() + 2:
                quick = _walk(2)
                await runtime.agents.start(quick, spec(runtime.spec.queue))
                await asyncio.wait_for(runtime.agents.wait(quick.workflow_id), 30)
                served += 1
            hold.unlink()
            completed = await asyncio.wait_for(runtime.agents.wait(slow.workflow_id), 30)

    assert completed.output == {"steps": 3}
    assert _taken(tmp_path)[f"{tool} 2"] == 1
    assert served > 3  # with the worker's event loop blocked it is one, or two


async def test_history_stays_flat_while_the_context_grows_to_megabytes(stack: Any, tmp_path: Path) -> None:
    with serving(walker(200, size=20_000)) as model:
        async with _runtime(stack, tmp_path, model) as runtime:
            run = _walk(200)
            await runtime.agents.start(run, spec(runtime.spec.queue))
            completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 150)
            history = await runtime.agents.client.get_workflow_handle(run.workflow_id).fetch_history()

    assert completed.output == {"steps": 200}
    context = len(str(model.asked[-1]["messages"]))
    assert context > 3_900_000
    sizes = [event.ByteSize() for event in history.events]
    eighth = len(sizes) // 8
    early, late = sum(sizes[eighth : 2 * eighth]), sum(sizes[-2 * eighth : -eighth])
    assert late < early * 1.1
    assert sum(sizes) < context / 5


class Tireless:
    """A model that walks on, and remembers how much of the conversation it was shown."""

    def __init__(self, steps: int) -> None:
        self.steps, self.shown = steps, 0

    async def decide(self, agent: Agent, turn: Turn, transcript: Sequence[bytes], *_: Any) -> tuple[Decision, bytes]:
        self.shown = len(transcript)
        if turn.version + 1 == self.steps:
            return Decision(output={"steps": self.steps}, model="tireless"), b"the end"
        calls = [ToolCall(id=f"{turn.version}-{n}", tool="look", arguments={"step": turn.version}) for n in range(8)]
        return Decision(calls=tuple(calls), model="tireless"), b"message %d" % turn.version


async def test_a_long_run_continues_as_new_and_forgets_nothing(stack: Any, tmp_path: Path) -> None:
    thinker = Tireless(140)  # eight calls a turn: more than the 4,096 events after which the server suggests it
    async with agent_runtime(
        stack.temporal, tmp_path, thinker=thinker, agents=AGENTS, more_workflows=[WalkWorkflow],
        more_activities=Steps(tmp_path).all,
    ) as runtime:  # fmt: skip
        run = _walk(140)
        await runtime.agents.start(run, spec(runtime.spec.queue))
        completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 120)
        first = (await runtime.agents.client.get_workflow_handle(run.workflow_id).describe()).raw_description
        recorded = runtime.recorded(run)

    info = first.workflow_execution_info
    assert info.first_run_id != info.execution.run_id
    assert completed.output == {"steps": 140}
    assert thinker.shown == 139
    assert (completed.usage.turns, completed.usage.tool_calls) == (140, 139 * 8)
    assert recorded is not None
    assert recorded.usage == completed.usage


def _runtime(stack: Any, folder: Path, model: ModelServer, price: Price | None = None) -> Any:
    return agent_runtime(
        stack.temporal, folder, thinker=thinker_of(model.endpoint(price=price)), agents=AGENTS,
        more_workflows=[WalkWorkflow], more_activities=Steps(folder).all,
    )  # fmt: skip


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        (Limits(turns=3), "3 turns"),
        (Limits(tokens=40), "40 tokens"),
        (Limits(cost_microdollars=70), "0.00007 US dollars"),
    ],
    ids=["turns", "tokens", "money"],
)
async def test_a_tenants_limits_stop_its_runs(stack: Any, tmp_path: Path, limits: Limits, said: str) -> None:
    tenant = AA.model_copy(update={"limits": limits})
    with serving(walker(100)) as model:
        async with _runtime(stack, tmp_path, model, Price(input=1, output=3)) as runtime:
            run = _walk(100)
            await runtime.agents.start(run, spec(runtime.spec.queue), tenant)
            completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 60)
            recorded = runtime.recorded(run)

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "cap_reached")
    assert said in completed.reason
    assert len(model.asked) == 3
    assert recorded is not None
    assert recorded.usage.cost_microdollars == 3 * 25
    assert recorded.usage.models["scripted"].calls == 3


async def test_a_running_agent_says_what_it_does_and_what_it_has_cost(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "hold-3").touch()
    with serving(walker(5)) as model:
        async with _runtime(stack, tmp_path, model, Price(input=1, output=3)) as runtime:
            run = _walk(5)
            await runtime.agents.start(run, spec(runtime.spec.queue))
            await until(lambda: (tmp_path / "taken").exists() and _taken(tmp_path)["look 3"] == 1)

            handle = runtime.agents.client.get_workflow_handle(run.workflow_id)
            status = await handle.query(STATUS_QUERY, result_type=RunStatus)
            (tmp_path / "hold-3").unlink()
            await runtime.agents.wait(run.workflow_id)

    assert status.phase == "calling look"
    assert (status.usage.turns, status.usage.cost_microdollars) == (3, 75)


async def test_a_database_that_stays_away_is_tried_three_times(stack: Any, tmp_path: Path) -> None:
    (tmp_path / "break-2").touch()
    with serving(walker(5, ("look", "fetch", "count"))) as model:
        async with agent_runtime(
            stack.temporal, tmp_path, thinker=thinker_of(model.endpoint()), agents=AGENTS,
            serve="workflows,http,data", more_workflows=[WalkWorkflow], more_activities=Steps(tmp_path).all,
        ) as runtime:  # fmt: skip
            run = _walk(5)
            await runtime.agents.start(run, spec(runtime.spec.queue))
            completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 60)

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "unavailable")
    assert _taken(tmp_path) == {"fetch 1": 1, "count 2": 3}
