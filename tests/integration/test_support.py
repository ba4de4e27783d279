"""A conversation that survives crashes, and a memory that outlives it."""

import asyncio
import datetime as dt
import uuid
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import TimeSkipper

from agent_workflows.adapters.postgres_memory import PostgresMemory
from agent_workflows.adapters.providers import Embeddings
from agent_workflows.agents.models import ModelSpec
from bridge.adapters.database import ledger
from bridge.adapters.temporal import TemporalAgents, connect
from bridge.contracts.agents import AgentMessage, AgentStart
from bridge.contracts.catalog.support import ASK, SAY, SUPPORT, Reply
from bridge.contracts.events import Outcome
from tests.agents import Runtime, agent_runtime, thinker_of
from tests.model_server import Reply as ModelReply
from tests.model_server import embeds, says, serving
from tests.postgres import postgres_database
from tests.samples import start
from tests.walk import Worker

pytestmark = pytest.mark.integration


def _conversation(customer: str) -> AgentStart:
    return start(uuid.uuid4().hex, agent="support", input={"customer": customer}, snapshots=())


def _message(text: str) -> AgentMessage:
    return AgentMessage(event_id=uuid.uuid4().hex, data={"text": text})


async def _ask(agents: TemporalAgents, run: AgentStart, text: str) -> str:
    message = _message(text)
    handle = agents.client.get_workflow_handle(run.workflow_id)
    async with asyncio.timeout(60):
        reply: Reply = await handle.execute_update(ASK, message, id=message.event_id, result_type=Reply)
    return reply.text


async def _open(runtime: Runtime, customer: str) -> AgentStart:
    run = _conversation(customer)
    await runtime.agents.start(run, replace(SUPPORT, queue=runtime.spec.queue))
    return run


async def test_what_a_customer_prefers_is_known_in_the_next_conversation_and_to_no_other_tenant(
    stack: Any, tmp_path: Path
) -> None:
    customer = uuid.uuid4().hex
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        first = await _open(runtime, customer)
        told = await _ask(runtime.agents, first, "I always prefer an aisle seat")
        second, stranger = await _open(runtime, customer), await _open(runtime, "somebody else")
        known = await _ask(runtime.agents, second, "Which seat do you book for me?")
        unknown = await _ask(runtime.agents, stranger, "Which seat do you book for me?")

    assert "I have remembered that" in told
    assert "Of you I know: I always prefer an aisle seat" in known
    assert "aisle" not in unknown


async def test_on_postgresql_a_preference_is_recalled_by_its_meaning(stack: Any, tmp_path: Path) -> None:
    def meaning(said: str) -> list[float]:
        return [float("aisle" in said or "row" in said), 0.1]

    with contextmanager(postgres_database)(tmp_path) as server, serving(lambda r: embeds(r, meaning)) as model:
        embedder = Embeddings(ModelSpec(provider="openai", model="embedder", base_url=model.url), None)
        memory = PostgresMemory(server.url, embedder)
        async with agent_runtime(stack.temporal, tmp_path, memory=memory) as runtime:
            for text in ("I always book the aisle", "I never eat meat", "Please call me Ann"):
                await _ask(runtime.agents, await _open(runtime, "ann"), text)
            known = await _ask(runtime.agents, await _open(runtime, "ann"), "Which row?")
            stranger = await _ask(runtime.agents, await _open(runtime, "bob"), "Which row?")
        memory.close()

    assert known.split("Of you I know: ")[1].startswith("I always book the aisle;")
    assert "aisle" not in stranger


async def test_a_conversation_goes_on_on_another_worker_after_a_kill_between_messages(
    stack: Any, tmp_path: Path
) -> None:
    heard: list[list[str]] = []

    def answer(request: dict[str, Any]) -> ModelReply:
        heard.append([m["content"] for m in request["messages"] if m["role"] == "user"])
        return says(("final_result", {"text": f"reply {len(heard)}"}))

    queue = f"test-{uuid.uuid4().hex[:8]}"
    with serving(answer) as model:
        worker = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await worker.begin()
        agents, run = TemporalAgents(await connect(stack.temporal)), _conversation("ann")
        await agents.start(run, replace(SUPPORT, queue=queue))
        first = await _ask(agents, run, "My bag is lost")

        worker.kill()
        another = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await another.begin()
        second = await _ask(agents, run, "It is blue")
        another.kill()

    assert (first, second) == ("reply 1", "reply 2")
    assert heard[1][1:] == ["My bag is lost", "It is blue"]


async def test_a_signal_is_answered_once_by_an_event_and_silence_closes_the_conversation(
    stack: Any, tmp_path: Path
) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        run, message = await _open(runtime, "ann"), _message("hello")
        for _ in range(2):
            await runtime.agents.tell(run.workflow_id, SAY, message)
        async with asyncio.timeout(30):
            while not (replies := _replies(runtime)):
                await asyncio.sleep(0.05)
        handle = runtime.agents.client.get_workflow_handle(run.workflow_id)
        await TimeSkipper(runtime.agents.client).fast_forward(handle, dt.timedelta(days=7, hours=1))
        completed = await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 30)

        assert (completed.outcome, completed.output) == (Outcome.COMPLETED, {"messages": 1})
        assert [reply["to"] for reply in _replies(runtime)] == [replies[0]["to"]] == [message.event_id]


def _replies(runtime: Runtime) -> list[dict[str, Any]]:
    rows = runtime.database.run(ledger.waiting_events, 99)
    return [row.envelope.data for row in rows if row.envelope.type == "tandem.agent.replied.v1"]


async def test_several_models_calls_in_one_answer_leave_none_without_its_return(stack: Any, tmp_path: Path) -> None:
    """Endpoints refuse a conversation in which a call has no answer."""
    asked: list[dict[str, Any]] = []

    def answer(request: dict[str, Any]) -> ModelReply:
        asked.append(request)
        return says(("recall", {"about": "x"}), ("final_result", {"text": "at once"}))

    with serving(answer) as model:
        async with agent_runtime(stack.temporal, tmp_path, thinker=thinker_of(model.endpoint())) as runtime:
            run = await _open(runtime, "ann")
            for text in ("one", "two"):
                await _ask(runtime.agents, run, text)

    messages = asked[1]["messages"]
    called = {call["id"] for m in messages if m["role"] == "assistant" for call in m["tool_calls"]}
    assert {m["tool_call_id"] for m in messages if m["role"] == "tool"} == called
