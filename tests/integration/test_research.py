"""Many agents on one report, on a real Temporal server: planned, read, checked, reviewed, published once."""

import asyncio
import datetime as dt
import json
import threading
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError
from temporalio.testing import TimeSkipper

from agent_workflows.workflows.research_report import READERS
from bridge.adapters.database import Database, approvals, ledger
from bridge.adapters.temporal import TemporalAddress, TemporalAgents, connect
from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart, Limits
from bridge.contracts.catalog.research_report import RESEARCH_REPORT
from bridge.contracts.catalog.weekly_report import WEEKLY_REPORT
from bridge.contracts.events import AgentCompleted, Outcome
from tests.agents import Runtime, agent_runtime, thinker_of
from tests.model_server import Reply, says, serving
from tests.samples import start
from tests.temporal_server import skipping_server
from tests.walk import Worker

pytestmark = pytest.mark.integration

DOCUMENTS = {
    "shared/fog.md": "# Fog at the coast\n\nFog closes runways in the early morning. Delays from fog end by noon.\n",
    "shared/crews.md": "# Crews\n\nDelays of crews follow from late arrivals the evening before.\n",
    "AA/own.md": "# Our own delays\n\nOur delays in spring came from two broken tugs.\n",
    "UA/secret.md": "# Secret\n\nDelays of another tenant: delays, delays, fog, fog and crews.\n",
}


@pytest.fixture(autouse=True)
def corpus(tmp_path: Path) -> Path:
    return _write(tmp_path, DOCUMENTS)


def _write(folder: Path, documents: dict[str, str]) -> Path:
    for name, text in documents.items():
        file = folder / "corpus" / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return folder / "corpus"


class Reporting:
    """A report of AA."""

    def __init__(self, agents: TemporalAgents, database: Database, queue: str, **request: Any) -> None:
        self.agents, self.database = agents, database
        self.run = start(
            uuid.uuid4().hex, agent="research_report", input={"topic": "delays and fog", **request}, snapshots=()
        )
        self.spec = replace(RESEARCH_REPORT, queue=queue)

    async def begin(self, **changes: Any) -> None:
        self.run = self.run.model_copy(update=changes)
        await self.agents.start(self.run, self.spec)

    async def question(self, name: str) -> dict[str, Any]:
        """The subject of this question, once it is open."""
        async with asyncio.timeout(60):
            while True:
                found = self.database.run(approvals.list_approvals, tenant="AA", everything=False, limit=99)
                mine = [one for one in found if (one["run"], one["id"]) == (self.run.workflow_id, name)]
                if mine:
                    return dict(mine[0]["request"]["subject"])
                await asyncio.sleep(0.05)

    async def answer(self, name: str, choice: str, **changes: Any) -> None:
        data = {"approval": name, "tenant": "AA", "by": "ada", "roles": ["editor"], "choice": choice} | changes
        await self.agents.answer(self.run.workflow_id, AgentMessage(event_id=uuid.uuid4().hex, data=data))

    async def ended(self) -> AgentCompleted:
        return await asyncio.wait_for(self.agents.wait(self.run.workflow_id), 60)

    async def children(self) -> list[AgentCompleted]:
        """The completions of the agents that it sent out, once all have one."""
        ids = await self.sent_out()
        async with asyncio.timeout(30):
            while True:
                found = [self.database.run(ledger.find_completion, one) for one in ids]
                if all(found):
                    return [one for one in found if one]
                await asyncio.sleep(0.05)

    async def sent_out(self) -> list[str]:
        history = await self.agents.client.get_workflow_handle(self.run.workflow_id).fetch_history()
        return [
            event.start_child_workflow_execution_initiated_event_attributes.workflow_id
            for event in history.events
            if event.HasField("start_child_workflow_execution_initiated_event_attributes")
        ]


def _reporting(runtime: Runtime, **request: Any) -> Reporting:
    return Reporting(runtime.agents, runtime.database, runtime.spec.queue, **request)


def _published(folder: Path) -> list[str]:
    """The reports, each as often as it was stored."""
    file = folder / "put"
    return [line.split()[0] for line in file.read_text().splitlines()] if file.exists() else []


async def test_a_report_is_read_from_own_and_shared_documents_revised_and_published_once(
    stack: Any, tmp_path: Path
) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        it = _reporting(runtime)
        await it.begin()
        first = await it.question("report-1")
        await it.answer("report-1", "reject", feedback="Say more of tugs")
        second = await it.question("report-2")
        await it.answer("report-2", "edit", subject={"title": "Why we were late", "text": "Edited."})
        completed = await it.ended()
        children = await it.children()

    assert "Our delays in spring came from two broken tugs." in first["text"]
    assert "Secret" not in first["text"]
    assert "ada: Say more of tugs" in second["text"]
    assert completed.outcome is Outcome.COMPLETED
    output = completed.output
    assert (output["title"], output["verdict"], output["revisions"]) == ("Why we were late", "approved", 1)
    assert sorted(output["documents"]) == ["AA/own.md", "shared/crews.md", "shared/fog.md"]
    assert _published(tmp_path) == [f"agents/AA/{it.run.request_id}.md"]
    assert (tmp_path / f"reports/agents/AA/{it.run.request_id}.md").read_text() == "Edited."
    assert Counter(child.agent for child in children) == {"plan_research": 1, "read_document": 3, "write_report": 2}
    assert {(child.started_by, child.outcome) for child in children} == {("agent", Outcome.COMPLETED)}
    assert completed.usage.model_calls == sum(child.usage.model_calls for child in children) > 0


async def test_nobody_answers_within_48_hours_and_nothing_is_published(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        it = _reporting(runtime)
        await it.begin()
        await it.question("report-1")
        handle = runtime.agents.client.get_workflow_handle(it.run.workflow_id)
        await TimeSkipper(runtime.agents.client).fast_forward(handle, dt.timedelta(hours=49))
        completed = await it.ended()

    assert (completed.outcome, completed.output["report"]) == (Outcome.COMPLETED, "")
    assert (completed.output["verdict"], completed.output["expired"]) == ("rejected", True)
    assert _published(tmp_path) == []


async def test_an_edit_that_is_no_draft_goes_back_to_the_reviewer(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        it = _reporting(runtime)
        await it.begin()
        await it.question("report-1")
        await it.answer("report-1", "edit", subject={"title": "", "text": ["no text"]})
        await it.question("report-1.2")
        await it.answer("report-1.2", "approve")
        completed = await it.ended()

    assert completed.output["verdict"] == "approved"
    assert len(_published(tmp_path)) == 1


async def test_a_topic_that_no_document_holds_fails_with_its_reason(stack: Any, tmp_path: Path) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        it = _reporting(runtime, topic="zeppelins")
        await it.begin()
        completed = await it.ended()

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "no_data")
    assert "nothing new was found for zeppelins" in completed.reason


PARTS = {"Plan": "Plan a search", "Notes": "Read your document", "Draft": "Write a report"}
"""How the instructions of each part begin."""


class Cast:
    """A model that plays every part. ``read`` answers for a document; what is asked of each part is kept."""

    def __init__(self, read: Callable[[str], Reply | None] = lambda _: None) -> None:
        self.read = read
        self.asked: list[tuple[str, dict[str, Any]]] = []
        self.reading = self.most_reading = 0
        self._lock = threading.Lock()

    def __call__(self, request: dict[str, Any]) -> Reply:
        told = {message["role"]: message["content"] for message in reversed(request["messages"])}
        part = next(part for part, begins in PARTS.items() if told["system"].startswith(begins))
        asked = json.loads(told["user"].split("Request: ", 1)[1])
        with self._lock:
            self.asked.append((part, asked))
        match part:
            case "Plan":
                return _final({"queries": ["delays fog"] if not asked["problems"] else ["delays"]})
            case "Notes":
                return self._noted(asked["document"])
            case _:
                sources = [source["document"] for source in asked["sources"]]
                return _final({"title": "T", "text": "From: " + " ".join(sources), "sources": sources})

    def _noted(self, document: str) -> Reply:
        with self._lock:
            self.reading += 1
            self.most_reading = max(self.most_reading, self.reading)
        try:
            given = self.read(document)
        finally:
            with self._lock:
                self.reading -= 1
        return given or _final({"summary": "S", "quotes": [DOCUMENTS[document].splitlines()[-1]]})

    def parts(self) -> Counter[str]:
        return Counter(part for part, _ in self.asked)


def _final(output: dict[str, Any]) -> Reply:
    return says(("final_result", output))


@asynccontextmanager
async def _played(stack: Any, folder: Path, cast: Cast) -> AsyncIterator[Runtime]:
    with serving(cast) as model:
        async with agent_runtime(stack.temporal, folder, thinker=thinker_of(model.endpoint())) as runtime:
            yield runtime


async def test_made_up_quotes_are_rejected_and_the_planner_plans_again(stack: Any, tmp_path: Path) -> None:
    made_up = _final({"summary": "S", "quotes": ["It never said this."]})
    cast = Cast(lambda document: made_up if document == "shared/fog.md" else None)
    async with _played(stack, tmp_path, cast) as runtime:
        it = _reporting(runtime, documents=2, least=2)
        await it.begin()
        subject = await it.question("report-1")
        await it.answer("report-1", "approve")
        completed = await it.ended()

    plans = [asked for part, asked in cast.asked if part == "Plan"]
    assert sorted(subject["text"].split()[1:]) == ["AA/own.md", "shared/crews.md"]
    assert "the quote 'It never said this.' is not in the document" in plans[1]["problems"][0]
    assert [line.split(":")[0] for line in completed.output["left_out"]] == ["shared/fog.md"]


async def test_one_reader_that_fails_leaves_its_document_out_and_its_cost_in(stack: Any, tmp_path: Path) -> None:
    of_fog = [says(("read_page", {})), Reply(400, {"error": {"message": "no"}})]
    cast = Cast(lambda document: of_fog.pop(0) if document == "shared/fog.md" else None)
    async with _played(stack, tmp_path, cast) as runtime:
        it = _reporting(runtime)
        await it.begin()
        await it.question("report-1")
        await it.answer("report-1", "approve")
        completed = await it.ended()
        children = await it.children()

    outcomes = Counter(child.outcome for child in children)
    assert sorted(completed.output["documents"]) == ["AA/own.md", "shared/crews.md"]
    assert [line.split(":")[:2] for line in completed.output["left_out"]] == [["shared/fog.md", " model_refused"]]
    assert outcomes[Outcome.FAILED] == 1
    assert completed.usage.model_calls == sum(child.usage.model_calls for child in children) == 5


async def test_no_more_are_read_at_once_than_the_bound(stack: Any, tmp_path: Path) -> None:
    many = {f"AA/d{n}.md": f"# D{n}\n\nDelays number {n} of fog.\n" for n in range(9)}
    _write(tmp_path, many)
    full, go = threading.Event(), threading.Event()
    cast = Cast()

    def read(document: str) -> Reply | None:
        if cast.reading == READERS:
            full.set()
        go.wait(30)
        text = {**DOCUMENTS, **many}[document]
        return _final({"summary": "S", "quotes": [text.splitlines()[-1]]})

    cast.read = read
    async with _played(stack, tmp_path, cast) as runtime:
        it = _reporting(runtime, documents=9)
        await it.begin()
        assert await asyncio.to_thread(full.wait, 30)
        go.set()
        await it.question("report-1")
        await it.answer("report-1", "cancel", feedback="enough")
        completed = await it.ended()

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "rejected")
    assert cast.most_reading == READERS
    assert cast.parts()["Notes"] == 9


@pytest.mark.parametrize("end", ["cancel", "terminate"])
async def test_whoever_was_sent_out_is_cancelled_with_the_report(stack: Any, tmp_path: Path, end: str) -> None:
    reading, go = threading.Semaphore(0), threading.Event()

    def read(_: str) -> Reply | None:
        reading.release()
        go.wait(30)
        return None

    async with _played(stack, tmp_path, Cast(read)) as runtime:
        it = _reporting(runtime)
        await it.begin()
        for _ in range(3):
            assert await asyncio.to_thread(reading.acquire, timeout=30)
        await getattr(runtime.agents.client.get_workflow_handle(it.run.workflow_id), end)()
        completed = await it.ended()
        children = {child.workflow_id: child for child in await it.children()}
        go.set()

    assert completed.outcome is {"cancel": Outcome.CANCELLED, "terminate": Outcome.TERMINATED}[end]
    assert Counter(child.outcome for child in children.values() if child.agent == "read_document") == {
        Outcome.CANCELLED: 3
    }


async def test_a_worker_killed_while_three_are_reading_asks_no_model_again_but_for_those(
    stack: Any, tmp_path: Path
) -> None:
    reading, go = threading.Semaphore(0), threading.Event()

    def read(_: str) -> Reply | None:
        reading.release()
        go.wait(60)
        return None

    queue, cast = f"test-{uuid.uuid4().hex[:8]}", Cast(read)
    with serving(cast) as model:
        worker = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await worker.begin()
        database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
        it = Reporting(TemporalAgents(await connect(stack.temporal)), database, queue)
        await it.begin()
        for _ in range(3):
            assert await asyncio.to_thread(reading.acquire, timeout=30)

        worker.kill()
        go.set()
        another = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await another.begin()
        await it.question("report-1")
        await it.answer("report-1", "approve")
        completed = await it.ended()
        children = await it.children()
        another.kill()
        keys = Counter(model.keys)

    assert len(completed.output["documents"]) == 3
    assert _published(tmp_path) == [f"agents/AA/{it.run.request_id}.md"]
    assert Counter(child.agent for child in children) == {"plan_research": 1, "read_document": 3, "write_report": 1}
    assert cast.parts() == {"Plan": 1, "Notes": 6, "Draft": 1}
    assert sorted(keys.values()) == [1, 1, 2, 2, 2]  # those cut off were asked again under their keys


async def test_agents_sent_out_may_use_what_is_left_of_the_limits(stack: Any, tmp_path: Path) -> None:
    cast = Cast()
    async with _played(stack, tmp_path, cast) as runtime:
        it = _reporting(runtime)
        await it.begin(limits=Limits(tokens=15))  # what the planner alone uses
        completed = await it.ended()

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "cap_reached")
    assert cast.parts() == {"Plan": 1}


async def test_one_report_a_week_is_started_and_goes_on_by_itself(tmp_path: Path) -> None:
    asked = {"report": {"topic": "delays and fog"}, "weeks": 5}
    run = start(uuid.uuid4().hex, agent="weekly_report", input=asked, snapshots=())
    async with skipping_server() as server:
        client, address = server.client, TemporalAddress(server.client.service_client.config.target_host)
        async with agent_runtime(address, tmp_path, queue="weekly"):
            result = await client.execute_workflow(
                WEEKLY_REPORT.workflow, run, id=run.workflow_id, task_queue="weekly", result_type=AgentResult
            )
            weeks = [await _begun(client, run, week) for week in range(1, 7)]

    assert result.output == {"reports": 5}
    begun = [began for began, _ in weeks if began]
    assert [status for _, status in weeks][-2:] == [WorkflowExecutionStatus.RUNNING, None]
    assert len(begun) == 5
    assert {round((later - earlier) / dt.timedelta(days=7), 2) for earlier, later in pairwise(begun)} == {1.0}


Begun = tuple[dt.datetime | None, WorkflowExecutionStatus | None]


async def _begun(client: Client, run: AgentStart, week: int) -> Begun:
    report = client.get_workflow_handle(f"AA/research_report/{run.request_id}.week-{week}")
    try:
        found = await report.describe()
    except RPCError:
        return None, None
    return found.start_time, found.status
