"""The real model clients against a local server that answers from a script and misbehaves on request."""

import json
import threading
import uuid
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from agent_workflows.adapters.model import ModelThinker
from agent_workflows.adapters.providers import Endpoint, build_model
from agent_workflows.agents.models import ModelSpec
from bridge.contracts.events import Outcome
from tests.agents import agent_runtime, thinker_of
from tests.samples import start

pytestmark = pytest.mark.integration

FINDING = {
    "cause": "none", "severity": "none", "summary": "an ordinary day",
    "evidence": [{"figure": "flights", "value": 72, "unit": "flights", "source": "tenant_rates"}],
}  # fmt: skip


def _says(*calls: tuple[str, Any]) -> tuple[int, Any]:
    parts = [
        {"id": f"call-{uuid.uuid4().hex[:8]}", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for n, a in calls
    ]
    message = {"role": "assistant", "content": None, "tool_calls": parts}
    usage = {"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}
    choice = {"index": 0, "finish_reason": "tool_calls", "message": message}
    return 200, {
        "id": "x",
        "object": "chat.completion",
        "created": 1,
        "model": "scripted",
        "choices": [choice],
        "usage": usage,
    }


class Script(ThreadingHTTPServer):
    """Answers each request with the next entry; keeps what it was asked."""

    def __init__(self, *answers: tuple[int, Any]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answers, self.asked = list(answers), []  # type: list[tuple[int, Any]], list[dict[str, Any]]

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"


class _Handler(BaseHTTPRequestHandler):
    server: Script

    def do_POST(self) -> None:
        self.server.asked.append(json.loads(self.rfile.read(int(self.headers["content-length"]))))
        status, body = self.server.answers.pop(0)
        data = json.dumps(body).encode()
        self.send_response(status)
        self.send_header("content-type", "application/json")
        self.send_header("content-length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, *_: object) -> None:
        """Quiet."""


@pytest.fixture
def script() -> Iterator[Script]:
    server = Script()
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield server
    server.shutdown()
    server.server_close()


def _thinker(script: Script) -> ModelThinker:
    spec = ModelSpec(provider="openai", model="scripted", base_url=script.url)
    return thinker_of(Endpoint(build_model(spec, SecretStr("k"))))


async def test_an_openai_compatible_endpoint_runs_the_same_agent(stack: Any, script: Script, tmp_path: Path) -> None:
    script.answers = [_says(("tenant_rates", {"by": "day"}), ("weather", {})), _says(("final_result", FINDING))]

    async with agent_runtime(stack.temporal, tmp_path, thinker=_thinker(script)) as runtime:
        completed = await runtime.completion(start(uuid.uuid4().hex))

    assert (completed.outcome, completed.output["summary"]) == (Outcome.COMPLETED, "an ordinary day")
    assert (completed.usage.model, completed.usage.input_tokens, completed.usage.tool_calls) == ("scripted", 20, 2)
    first, second = script.asked
    assert {tool["function"]["name"] for tool in first["tools"]} >= {"tenant_rates", "final_result"}
    assert [m["role"] for m in second["messages"]][-2:] == ["tool", "tool"]


async def test_wrong_calls_go_back_to_the_model_and_never_into_a_tool(
    stack: Any, script: Script, tmp_path: Path
) -> None:
    script.answers = [
        _says(("tenant_rates", {"by": "pilot"}), ("drop_tables", {})),
        _says(("final_result", {"cause": "gremlins"})),
        _says(("final_result", FINDING)),
    ]

    async with agent_runtime(stack.temporal, tmp_path, thinker=_thinker(script)) as runtime:
        completed = await runtime.completion(start(uuid.uuid4().hex))

    assert (completed.outcome, completed.usage.tool_calls) == (Outcome.COMPLETED, 0)
    told = json.dumps(script.asked[1]["messages"])
    assert "There is no tool" in told
    assert "by: Input should be" in told


async def test_too_many_requests_and_server_errors_are_tried_again(stack: Any, script: Script, tmp_path: Path) -> None:
    script.answers = [(429, {"error": "slow down"}), (500, {"error": "oops"}), _says(("final_result", FINDING))]

    async with agent_runtime(stack.temporal, tmp_path, thinker=_thinker(script)) as runtime:
        completed = await runtime.completion(start(uuid.uuid4().hex))

    assert completed.outcome is Outcome.COMPLETED
    assert len(script.asked) == 3


async def test_a_wrong_key_fails_at_once_and_says_so(stack: Any, script: Script, tmp_path: Path) -> None:
    script.answers = [(401, {"error": {"message": "wrong key"}})]

    async with agent_runtime(stack.temporal, tmp_path, thinker=_thinker(script)) as runtime:
        completed = await runtime.completion(start(uuid.uuid4().hex))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "model_refused")
    assert "401" in completed.reason
    assert len(script.asked) == 1
