"""``walk``: an agent for tests that takes as many steps as it is asked to, and a worker process that serves it.

Each step is one model call and one tool call; the tools leave a line in a file, so that what ran is counted outside
of every engine. ``Worker`` serves it, and the released agents, in a process of its own.
"""

import asyncio
import multiprocessing
from collections.abc import Callable, Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import BaseModel, Field
from temporalio import activity, workflow

from tests.waiting import until

with workflow.unsafe.imports_passed_through():
    from agent_workflows.activities.messages import ToolRequest
    from agent_workflows.agents import DEFINITIONS
    from agent_workflows.agents.definition import Agent, Calls, Caps, Tool
    from agent_workflows.agents.queues import Kind
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.loop import run_agent
    from bridge.contracts.agents import AgentResult, AgentSpec, AgentStart, Frozen
    from bridge.contracts.failures import Unavailable


class Walk(Frozen):
    steps: int


class Walked(Frozen):
    steps: int


class Arguments(BaseModel):
    step: int
    bytes: int = Field(default=0, description="So many bytes come back")


WALK = AgentSpec(name="walk", workflow="WalkWorkflow", request=Walk, result=Walked)
LOOK, STARE, FETCH, COUNT = (
    Tool("look", "Look around.", Arguments),
    Tool("stare", "Look at one thing, on a thread.", Arguments),
    Tool("fetch", "Fetch something.", Arguments, kind=Kind.HTTP),
    Tool("count", "Count something.", Arguments, kind=Kind.DATA, calls=Calls.DATABASE),
)
AGENT = Agent(
    WALK, "Walk.", (LOOK, STARE, FETCH, COUNT), Caps(turns=10_000, tokens=10**9, calls=64, cost_microdollars=10**9)
)
AGENTS: Mapping[str, Agent] = {**DEFINITIONS, AGENT.name: AGENT}


@workflow.defn(name=WALK.workflow)
class WalkWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        return await run_agent(AGENT, start)


class Steps:
    """The tools: each call is a line ``tool step`` in the file, written before the call is held or answered.

    While a file ``hold-{step}`` is there, that step begins but does not end; with ``break-{step}`` it fails.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def _take(self, request: ToolRequest) -> dict[str, Any]:
        arguments = Arguments.model_validate(request.call.arguments)
        with (self._folder / "taken").open("a") as taken:
            taken.write(f"{request.call.tool} {arguments.step}\n")
        if (self._folder / f"break-{arguments.step}").exists():
            with as_temporal():
                raise Unavailable("the database is away")
        while (self._folder / f"hold-{arguments.step}").exists():
            await asyncio.sleep(0.02)
        return {"step": arguments.step, "filler": "x" * arguments.bytes}

    @activity.defn(name=LOOK.name)
    async def look(self, request: ToolRequest) -> dict[str, Any]:
        return await self._take(request)

    @activity.defn(name=STARE.name)
    def stare(self, request: ToolRequest) -> dict[str, Any]:
        """Synchronous, as what reads tables is: it runs on a thread of the worker's."""
        return asyncio.run(self._take(request))

    @activity.defn(name=FETCH.name)
    async def fetch(self, request: ToolRequest) -> dict[str, Any]:
        return await self._take(request)

    @activity.defn(name=COUNT.name)
    async def count(self, request: ToolRequest) -> dict[str, Any]:
        return await self._take(request)

    @property
    def all(self) -> list[Callable[..., Any]]:
        return [self.look, self.stare, self.fetch, self.count]


def spec(queue: str) -> AgentSpec:
    return replace(WALK, queue=queue)


async def serve(address: str, queue: str, folder: str, model_url: str, shop_url: str) -> None:
    from pydantic import SecretStr

    from agent_workflows.adapters.providers import Endpoint, build_model
    from agent_workflows.agents.models import ModelSpec
    from bridge.adapters.temporal import TemporalAddress
    from tests.agents import agent_runtime, thinker_of

    model = build_model(ModelSpec(provider="openai", model="scripted", base_url=model_url), SecretStr("k"))
    async with agent_runtime(
        TemporalAddress(address),
        Path(folder),
        thinker=thinker_of(Endpoint(model)),
        agents=AGENTS,
        serve="workflows,http,data",
        queue=queue,
        shop_url=shop_url,
        more_workflows=[WalkWorkflow],
        more_activities=Steps(Path(folder)).all,
    ):
        (Path(folder) / "serving").touch()
        await asyncio.Event().wait()


FORKS = multiprocessing.get_context("forkserver")
FORKS.set_forkserver_preload(["tests.agents", "tests.walk", "pydantic_ai.models.openai"])


class Worker:
    """A worker process that can be killed. It is forked from one that has imported everything."""

    def __init__(self, address: str, queue: str, folder: Path, *, model_url: str = "-", shop_url: str = "-") -> None:
        self._serves = (address, queue, str(folder), model_url, shop_url)
        self._folder = folder
        self._process: Any = None

    async def begin(self) -> None:
        (self._folder / "serving").unlink(missing_ok=True)
        self._process = FORKS.Process(target=_serve, args=self._serves, daemon=True)
        await asyncio.to_thread(self._process.start)
        await until((self._folder / "serving").exists)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.join(10)


def _serve(*arguments: str) -> None:
    asyncio.run(serve(*arguments))
