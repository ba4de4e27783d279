"""What the agent runtime costs: bytes of history, memory of agents that wait, time to go on after a kill."""

import asyncio
import tempfile
import time
import uuid
from collections.abc import Callable, Coroutine
from concurrent.futures import ProcessPoolExecutor
from dataclasses import replace
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.worker import Worker

from agent_workflows.versions import sandbox
from bridge.adapters.temporal import TemporalAddress, TemporalAgents, connect
from bridge.contracts.catalog.canary import CANARY
from tests import walk
from tests.agents import agent_runtime, thinker_of
from tests.bench.bare import NaiveWalk, Parked
from tests.model_server import Reply, says, serving, turns
from tests.samples import start
from tests.servers import Stack
from tests.waiting import until

STEPS = 60
RESULT_BYTES = 3000
PARKED = 1000
KILLS = 3


async def history(stack: Stack) -> tuple[list[float], list[float]]:
    """Bytes of history a step: the loop, and one that keeps its conversation in the workflow."""
    ours, naive = [], []
    with tempfile.TemporaryDirectory() as folder, serving(_walker) as model:
        async with agent_runtime(
            stack.temporal, Path(folder), thinker=thinker_of(model.endpoint()), agents=walk.AGENTS,
            more_workflows=[walk.WalkWorkflow], more_activities=walk.Steps(Path(folder)).all,
        ) as runtime:  # fmt: skip
            client = runtime.agents.client
            run = _walk()
            await runtime.agents.start(run, walk.spec(runtime.spec.queue))
            await runtime.agents.wait(run.workflow_id)
            ours.append(await _bytes(client, run.workflow_id) / STEPS)
        naive_walk = NaiveWalk.activities(RESULT_BYTES)
        async with Worker(
            client, task_queue="naive", workflows=[NaiveWalk], activities=naive_walk, workflow_runner=sandbox()
        ):
            name = uuid.uuid4().hex
            await client.execute_workflow(NaiveWalk.run, STEPS, id=name, task_queue="naive")
            naive.append(await _bytes(client, name) / STEPS)
    return ours, naive


def _walker(request: dict[str, Any]) -> Reply:
    step = turns(request) + 1
    return says(("final_result", {"steps": step}) if step == STEPS else ("look", {"step": step, "bytes": RESULT_BYTES}))


def _walk() -> Any:
    return start(uuid.uuid4().hex, agent="walk", input={"steps": STEPS}, snapshots=())


async def _bytes(client: Client, workflow_id: str) -> int:
    history = await client.get_workflow_handle(workflow_id).fetch_history()
    return sum(event.ByteSize() for event in history.events)


def parked(stack: Stack) -> tuple[list[float], list[float]]:
    """Kilobytes of worker memory for each agent that waits: an agent of ours, and a bare workflow.

    Each in a process of its own, as memory that one has freed would count for the other.
    """
    figures = []
    for measured in (_park_ours, _park_bare):
        with ProcessPoolExecutor(1, mp_context=walk.FORKS) as process:
            figures.append(process.submit(_measured, measured, stack.temporal).result(600))
    return [figures[0]], [figures[1]]


def _measured(work: Callable[[TemporalAddress], Coroutine[Any, Any, float]], address: TemporalAddress) -> float:
    return asyncio.run(work(address))


async def _park_bare(address: TemporalAddress) -> float:
    client = await connect(address)
    queue = f"bench-{uuid.uuid4().hex[:8]}"
    worker = Worker(
        client, task_queue=queue, workflows=[Parked], workflow_runner=sandbox(), max_cached_workflows=PARKED * 2
    )
    async with worker:
        names = [uuid.uuid4().hex for _ in range(PARKED + 1)]
        return await _kilobytes(
            client, names, lambda name: client.start_workflow(Parked.run, id=name, task_queue=queue)
        )


async def _park_ours(address: TemporalAddress) -> float:
    with tempfile.TemporaryDirectory() as folder:
        async with agent_runtime(address, Path(folder)) as runtime:
            spec = replace(CANARY, queue=runtime.spec.queue)
            runs = [
                start(uuid.uuid4().hex, agent="canary", input={"notes": 1}, snapshots=()) for _ in range(PARKED + 1)
            ]
            by_id = {run.workflow_id: run for run in runs}
            client = runtime.agents.client
            return await _kilobytes(client, list(by_id), lambda name: runtime.agents.start(by_id[name], spec))


async def _kilobytes(client: Client, names: list[str], begin: Callable[[str], Coroutine[Any, Any, Any]]) -> float:
    """Growth of this process by each of ``names`` but the first, which warms it up."""
    await begin(names[0])
    await _all_begun(client, names[:1])
    before = _resident_kilobytes()
    await _at_once([begin(name) for name in names[1:]])
    await _all_begun(client, names[1:])
    grown = (_resident_kilobytes() - before) / (len(names) - 1)
    await _at_once([client.get_workflow_handle(name).terminate() for name in names])
    return grown


async def _at_once(work: list[Any]) -> None:
    for begin in range(0, len(work), 50):
        await asyncio.gather(*work[begin : begin + 50])


async def _all_begun(client: Client, names: list[str]) -> None:
    """Until each has done its first workflow task: four events and no more to do."""

    async def begun(name: str) -> None:
        while (await client.get_workflow_handle(name).describe()).history_length < 4:
            await asyncio.sleep(0.1)

    await _at_once([begun(name) for name in names])


def _resident_kilobytes() -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    return next(int(line.split()[1]) for line in lines if line.startswith("VmRSS"))


async def resume(stack: Stack) -> tuple[list[float], list[float]]:
    """Seconds from kill -9 of a worker until another makes its call again, and the heartbeat timeout that tells."""
    from agent_workflows.policies import HEARTBEAT

    took = []
    for _ in range(KILLS):
        with tempfile.TemporaryDirectory() as name, serving(_walker) as model:
            folder, queue = Path(name), f"bench-{uuid.uuid4().hex[:8]}"
            (folder / "hold-3").touch()
            first, second = (walk.Worker(stack.temporal.target, queue, folder, model_url=model.url) for _ in range(2))
            await first.begin()
            agents, run = TemporalAgents(await connect(stack.temporal)), _walk()
            await agents.start(run, walk.spec(queue))
            await until(lambda: _taken(folder) == 1)  # noqa: B023
            await second.begin()
            first.kill()
            began = time.monotonic()
            await until(lambda: _taken(folder) == 2)  # noqa: B023
            took.append(time.monotonic() - began)
            (folder / "hold-3").unlink()
            await agents.wait(run.workflow_id)
            second.kill()
    return took, [HEARTBEAT.total_seconds()] * KILLS


def _taken(folder: Path) -> int:
    file = folder / "taken"
    return file.read_text().splitlines().count("look 3") if file.exists() else 0
