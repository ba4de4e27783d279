"""Agents that know nothing of this runtime, run by it: pydantic-ai and plain Python, with caps and approvals."""

import asyncio
import json
import uuid
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from pydantic import BaseModel

from agent_workflows.adapters.hooks import HookTool
from agent_workflows.adapters.toolboxes import FunctionToolbox, PydanticToolbox
from agent_workflows.agents import gate_notice, gate_notice_plain
from agent_workflows.agents.definition import Tool
from bridge.adapters.database import Database, approvals
from bridge.adapters.temporal import TemporalAgents, connect
from bridge.contracts import names
from bridge.contracts.agents import AgentMessage, AgentSpec, AgentStart, Limits
from bridge.contracts.catalog.gate_notice import GATE_NOTICE, GATE_NOTICE_PLAIN
from bridge.contracts.events import AgentCompleted, Outcome
from bridge.contracts.failures import Refused
from tests import walk
from tests.agents import Runtime, agent_runtime, thinker_of
from tests.model_server import ModelServer, Reply, says, serving, turns
from tests.samples import start
from tests.waiting import until
from tests.walk import Worker

pytestmark = pytest.mark.integration

BOTH = pytest.mark.parametrize("spec", [GATE_NOTICE, GATE_NOTICE_PLAIN], ids=["pydantic-ai", "plain"])


def _asked(spec: AgentSpec, **changes: Any) -> AgentStart:
    return start(uuid.uuid4().hex, agent=spec.name, input={"airport": "JFK"}, snapshots=(), **changes)


def _answer(choice: str, **changes: Any) -> AgentMessage:
    data = {"approval": "tool-1", "tenant": "AA", "by": "ada", "roles": ["editor"], "choice": choice} | changes
    return AgentMessage(event_id=uuid.uuid4().hex, data=data)


async def _question(database: Database, run: AgentStart) -> dict[str, Any]:
    """What is asked for, once it is."""

    def mine() -> list[dict[str, Any]]:
        found = database.run(approvals.list_approvals, tenant="AA", everything=False, limit=99)
        return [one for one in found if one["run"] == run.workflow_id]

    await until(lambda: bool(mine()))
    return dict(mine()[0]["request"]["subject"])


async def _ended(agents: TemporalAgents, run: AgentStart) -> AgentCompleted:
    return await asyncio.wait_for(agents.wait(run.workflow_id), 60)


async def _begun(runtime: Runtime, spec: AgentSpec, **changes: Any) -> AgentStart:
    run = _asked(spec, **changes)
    await runtime.agents.start(run, replace(spec, queue=runtime.spec.queue))
    return run


@BOTH
async def test_it_looks_up_asks_and_posts(stack: Any, tmp_path: Path, spec: AgentSpec) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        run = await _begun(runtime, spec)
        subject = await _question(runtime.database, run)
        await runtime.agents.answer(run.workflow_id, _answer("approve"))
        completed = await _ended(runtime.agents, run)

    assert "JFK" in subject["text"]
    assert (completed.outcome, completed.reason) == (Outcome.COMPLETED, "")
    assert (completed.output["airport"], completed.output["posted"]) == ("JFK", True)
    assert (completed.usage.turns, completed.usage.tool_calls) == (3, 2 if spec is GATE_NOTICE_PLAIN else 3)


def _notifier(request: dict[str, Any]) -> Reply:
    """A model that looks up, posts and concludes, in whichever way its loop wants it."""
    match turns(request):
        case 0:
            return says(("usual_delay", {"airport": "JFK"}))
        case 1:
            return says(("post_notice", {"text": "Late."}))
        case _ if any(tool["function"]["name"] == "final_result" for tool in request["tools"]):
            posted = "posted: " in _told(request)
            return says(("final_result", {"airport": "JFK", "text": _told(request), "posted": posted}))
        case _:
            return _text(_told(request))


def _told(request: dict[str, Any]) -> str:
    """What came of the last tool call."""
    return str(request["messages"][-1]["content"])


def _text(text: str) -> Reply:
    reply = says()
    reply.body["choices"][0] |= {"message": {"role": "assistant", "content": text}, "finish_reason": "stop"}
    return reply


async def _played(
    stack: Any, folder: Path, spec: AgentSpec, answer: AgentMessage
) -> tuple[AgentCompleted, list[dict[str, Any]]]:
    with serving(_notifier) as model:
        async with agent_runtime(stack.temporal, folder, thinker=thinker_of(model.endpoint())) as runtime:
            run = await _begun(runtime, spec)
            await _question(runtime.database, run)
            await runtime.agents.answer(run.workflow_id, answer)
            return await _ended(runtime.agents, run), model.asked


@BOTH
async def test_what_a_person_denies_is_not_done_and_the_model_is_told_why(
    stack: Any, tmp_path: Path, spec: AgentSpec
) -> None:
    completed, asked = await _played(stack, tmp_path, spec, _answer("reject", feedback="too gloomy"))

    assert completed.output["posted"] is False
    assert "too gloomy" in _told(asked[-1])
    assert completed.usage.models["scripted"].input_tokens == 30


@BOTH
async def test_what_a_person_edits_is_what_is_done(stack: Any, tmp_path: Path, spec: AgentSpec) -> None:
    completed, asked = await _played(stack, tmp_path, spec, _answer("edit", subject={"text": "A little late."}))

    assert completed.output["posted"] is True
    assert "A little late." in _told(asked[-1])


@BOTH
async def test_the_model_hears_the_whole_conversation_though_only_what_is_new_is_handed_on(
    stack: Any, tmp_path: Path, spec: AgentSpec
) -> None:
    _, asked = await _played(stack, tmp_path, spec, _answer("approve"))

    roles = [[message["role"] for message in request["messages"]] for request in asked]
    assert roles[0] == ["system", "user"]
    assert roles[2] == ["system", "user", "assistant", "tool", "assistant", "tool"]
    assert asked[2]["messages"][:4] == asked[1]["messages"]


@BOTH
async def test_the_caps_hold(stack: Any, tmp_path: Path, spec: AgentSpec) -> None:
    async with agent_runtime(stack.temporal, tmp_path) as runtime:
        run = await _begun(runtime, spec, limits=Limits(turns=1))
        completed = await _ended(runtime.agents, run)

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "cap_reached")
    assert "its cap of 1 turns" in completed.reason


@BOTH
async def test_it_goes_on_on_another_worker_after_a_kill_without_asking_again(
    stack: Any, tmp_path: Path, spec: AgentSpec
) -> None:
    queue = f"test-{uuid.uuid4().hex[:8]}"
    with serving(_notifier) as model:
        worker = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await worker.begin()
        agents, run = TemporalAgents(await connect(stack.temporal)), _asked(spec)
        await agents.start(run, replace(spec, queue=queue))
        await _question(Database(f"sqlite:///{tmp_path / 'platform.db'}"), run)

        worker.kill()
        await agents.client.get_workflow_handle(run.workflow_id).signal("answer", _answer("approve"))
        another = Worker(stack.temporal.target, queue, tmp_path, model_url=model.url)
        await another.begin()
        completed = await _ended(agents, run)
        another.kill()

        assert (completed.outcome, completed.output["posted"]) == (Outcome.COMPLETED, True)
        assert _times_asked(model) == {1}
        assert len(model.asked) == 3


def _times_asked(model: ModelServer) -> set[int]:
    return set(Counter(model.keys).values())


@pytest.mark.parametrize(
    "toolbox",
    [
        PydanticToolbox(gate_notice.gate_notice, deps=lambda run: run.tenant),
        FunctionToolbox({"usual_delay": gate_notice_plain.usual_delay}),
    ],
    ids=["pydantic-ai", "plain"],
)
async def test_a_tool_gets_its_tenant_from_the_run_and_refuses_what_it_cannot_be_called_with(toolbox: Any) -> None:
    run = _asked(GATE_NOTICE)

    found = await toolbox.call(run, "usual_delay", {"airport": "JFK"})

    assert found == {"airline": "AA", "airport": "JFK", "minutes": 12}
    for tool, arguments in (("usual_delay", {"field": "JFK"}), ("unknown", {})):
        with pytest.raises(Refused) as refused:
            await toolbox.call(run, tool, arguments)
        assert refused.value.code.value == "invalid_request"


READ_FILE = HookTool(
    hook="airflow.providers.amazon.aws.hooks.s3.S3Hook",
    parameter="aws_conn_id",
    connection="files",
    method="read_key",
    arguments=("key",),
    fixed={"bucket_name": names.RAW_BUCKET},
)


class ReadFile(BaseModel):
    key: str


async def test_an_airflow_hook_is_a_tool_with_the_tenants_own_connection(
    stack: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret = stack.plan.secrets["s3_secret"]
    connection = {
        "conn_type": "aws", "login": "tandem", "password": secret, "extra": {"endpoint_url": stack.plan.url("s3")}
    }  # fmt: skip
    monkeypatch.setenv("AIRFLOW_CONN_AA__FILES", json.dumps(connection))
    stack.objects.put(names.RAW_BUCKET, "hooks/note.txt", b"Two tugs broke.", content_type="text/plain")
    tool = Tool("read_file", "Read a file.", ReadFile)
    agent = replace(walk.AGENT, tools=(*walk.AGENT.tools, tool))

    def answer(request: dict[str, Any]) -> Reply:
        if not turns(request):
            return says(("read_file", {"key": "hooks/note.txt"}))
        return says(("final_result", {"steps": 1}))

    with serving(answer) as model:
        async with agent_runtime(
            stack.temporal, tmp_path, thinker=thinker_of(model.endpoint()), agents={agent.name: agent},
            more_workflows=[walk.WalkWorkflow], more_activities=[READ_FILE.as_activity(tool.name)],
        ) as runtime:  # fmt: skip
            ended = []
            for tenant in ("AA", "UA"):
                run = start(uuid.uuid4().hex, agent="walk", input={"steps": 1}, snapshots=(), tenant=tenant)
                await runtime.agents.start(run, walk.spec(runtime.spec.queue))
                ended.append(await _ended(runtime.agents, run))

    assert "Two tugs broke." in _told(model.asked[1])
    assert (ended[0].outcome, ended[0].usage.tool_calls) == (Outcome.COMPLETED, 1)
    assert (ended[1].outcome, ended[1].code) == (Outcome.FAILED, "bad_connection")
    assert "no connection 'ua__files'" in ended[1].reason


def test_a_hook_gets_no_arguments_but_its_own() -> None:
    with pytest.raises(Refused, match="read_key takes no bucket_name"):
        READ_FILE("AA", key="x", bucket_name="another")
    with pytest.raises(Refused, match="install its provider"):
        replace(READ_FILE, hook="airflow.providers.nowhere.Hook")("AA", key="x")
