"""An agent runtime for tests: a real worker on the stack's Temporal, with stand-ins for what lies beyond it."""

import asyncio
import uuid
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pyarrow as pa

from agent_workflows.adapters.corpus import FolderCorpus
from agent_workflows.adapters.http import HttpClient
from agent_workflows.adapters.model import ModelThinker
from agent_workflows.adapters.offline_model import offline_model
from agent_workflows.adapters.providers import Endpoint, Models
from agent_workflows.adapters.sqlite_memory import SqliteMemory
from agent_workflows.adapters.stores import SqlEffects, SqlRunLedger, SqlTranscripts
from agent_workflows.adapters.toolboxes import TOOLBOXES
from agent_workflows.agents import DEFINITIONS
from agent_workflows.agents.definition import Agent
from agent_workflows.agents.models import ModelSpec, only
from agent_workflows.ports import Memory, Snapshots, Thinker
from agent_workflows.versions import Release
from agent_workflows.worker import WORKFLOWS, Limits, Ports, build_workers
from bridge.adapters.database import Database, ledger
from bridge.adapters.temporal import TemporalAddress, TemporalAgents, connect
from bridge.contracts.agents import AgentSpec, AgentStart, SnapshotRef
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS
from bridge.contracts.events import AgentCompleted
from bridge.contracts.failures import Code, Refused

DAY = "2013-04-16"
PATIENCE_SECONDS = 60


class SmallSnapshots:
    """A tenant with an outage of its own on a calm day."""

    def read(self, snapshot: SnapshotRef) -> pa.Table:
        hours = list(range(5, 23))
        if snapshot.dataset == "departures":
            rows = [
                {"day": DAY, "origin": "JFK", "dest": "LAX", "hour": h, "cancelled": n < 2, "late": n == 2}
                for h in hours
                for n in range(4)
            ]
        elif snapshot.dataset == "market_hourly":
            rows = [{"day": DAY, "origin": "JFK", "hour": h, "flights": 44, "cancelled": 2, "late": 2} for h in hours]
        else:
            calm = {"temp": 55.0, "wind_speed": 7.0, "wind_gust": None, "precip": 0.0, "visib": 10.0}
            rows = [{"day": DAY, "origin": "JFK", "hour": h} | calm for h in range(24)]
        return pa.Table.from_pylist(rows)


class FolderFiles:
    """Buckets are folders; each object that is put is a line in ``put``, so that a second time shows."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def get(self, bucket: str, key: str) -> bytes:
        file = self._folder / bucket / key
        if not file.is_file():
            raise Refused(Code.RAW_FILE_MISSING, f"no object {bucket}/{key}")
        return file.read_bytes()

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        file = self._folder / bucket / key
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_bytes(body)
        with (self._folder / "put").open("a") as puts:
            puts.write(f"{key} {content_type}\n")
        return f"s3://{bucket}/{key}"


@dataclass
class Runtime:
    agents: TemporalAgents
    database: Database
    spec: AgentSpec

    async def completion(self, start: AgentStart) -> AgentCompleted:
        """Start, and wait until the run has closed."""
        await self.agents.start(start, self.spec)
        return await asyncio.wait_for(self.agents.wait(start.workflow_id), PATIENCE_SECONDS)

    def recorded(self, start: AgentStart) -> AgentCompleted | None:
        return self.database.run(ledger.find_completion, start.workflow_id)


def offline_thinker() -> ModelThinker:
    return thinker_of(Endpoint(offline_model(), counts_tokens=False))


def thinker_of(endpoint: Endpoint) -> ModelThinker:
    """One endpoint for everything."""
    return ModelThinker(Models(only(ModelSpec(provider="offline-analyst")), {"model": endpoint}))


@asynccontextmanager
async def agent_runtime(  # noqa: PLR0913 - what a test may replace
    address: TemporalAddress,
    folder: Path,
    *,
    thinker: Thinker | None = None,
    snapshots: Snapshots | None = None,
    memory: Memory | None = None,
    agents: Mapping[str, Agent] = DEFINITIONS,
    serve: str = "workflows",
    queue: str = "",
    build_id: str = "",
    shop_url: str = "http://127.0.0.1:9",
    more_workflows: Sequence[type] = (),
    more_activities: Sequence[Callable[..., Any]] = (),
) -> AsyncIterator[Runtime]:
    """A worker on a queue of its own."""
    queue = queue or f"test-{uuid.uuid4().hex[:10]}"
    database = Database(f"sqlite:///{folder / 'platform.db'}")
    database.migrate()
    client = await connect(address)
    ports = Ports(
        thinker=thinker or offline_thinker(),
        transcripts=SqlTranscripts(database),
        snapshots=snapshots or SmallSnapshots(),
        ledger=SqlRunLedger(database),
        effects=SqlEffects(database),
        memory=memory or SqliteMemory(folder / "memory.db"),
        corpus=FolderCorpus(folder / "corpus"),
        files=FolderFiles(folder),
        http=HttpClient(5),
        shop_url=shop_url,
        agents=agents,
        toolboxes=TOOLBOXES,
    )
    with ThreadPoolExecutor(8) as executor:
        async with AsyncExitStack() as serving:
            for _, worker in build_workers(
                client,
                ports,
                task_queue=queue,
                serve=serve,
                executor=executor,
                limits=Limits(activities=8),
                release=Release("tests", build_id),
                workflows=[*WORKFLOWS, *more_workflows],
                more_activities=more_activities,
            ):
                await serving.enter_async_context(worker)
            yield Runtime(TemporalAgents(client), database, replace(INVESTIGATE_DELAYS, queue=queue))
    database.close()
