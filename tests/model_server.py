"""An OpenAI-compatible or Anthropic endpoint on loopback that answers from a script and misbehaves on request."""

import json
import threading
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Literal

from pydantic import SecretStr

from agent_workflows.adapters.providers import Endpoint, build_model
from agent_workflows.agents.models import ModelSpec, Price


@dataclass(frozen=True)
class Reply:
    """``waits_for`` holds the answer back until it is set; ``cut`` closes the line in its middle."""

    status: int = 200
    body: Any = None
    headers: dict[str, str] = field(default_factory=dict)
    waits_for: threading.Event | None = None
    cut: bool = False


def says(*calls: tuple[str, Any], tokens: tuple[int, int] = (10, 5), model: str = "scripted") -> Reply:
    """A model that calls these tools."""
    parts = [
        {"id": f"call-{uuid.uuid4().hex[:8]}", "type": "function", "function": {"name": n, "arguments": json.dumps(a)}}
        for n, a in calls
    ]
    message = {"role": "assistant", "content": None, "tool_calls": parts}
    return _completion(message, "tool_calls", tokens, model)


def writes(text: str, *, tokens: tuple[int, int] = (10, 5), model: str = "scripted") -> Reply:
    """A model that answers in prose."""
    return _completion({"role": "assistant", "content": text}, "stop", tokens, model)


def _completion(message: dict[str, Any], reason: str, tokens: tuple[int, int], model: str) -> Reply:
    usage = {"prompt_tokens": tokens[0], "completion_tokens": tokens[1], "total_tokens": sum(tokens)}
    choice = {"index": 0, "finish_reason": reason, "message": message}
    return Reply(
        body={
            "id": "x", "object": "chat.completion", "created": 1, "model": model, "choices": [choice], "usage": usage
        }
    )  # fmt: skip


def says_as_anthropic(*calls: tuple[str, Any]) -> Reply:
    """The same in Anthropic's format."""
    content = [{"type": "tool_use", "id": f"call-{uuid.uuid4().hex[:8]}", "name": n, "input": a} for n, a in calls]
    return Reply(
        body={
            "id": "x", "type": "message", "role": "assistant", "model": "scripted", "content": content,
            "stop_reason": "tool_use", "stop_sequence": None, "usage": {"input_tokens": 10, "output_tokens": 5},
        }
    )  # fmt: skip


def embeds(request: dict[str, Any], vector: Callable[[str], list[float]]) -> Reply:
    """An embedding model."""
    data = [{"object": "embedding", "index": i, "embedding": vector(one)} for i, one in enumerate(request["input"])]
    usage = {"prompt_tokens": 1, "total_tokens": 1}
    return Reply(body={"object": "list", "model": request["model"], "data": data, "usage": usage})


def turns(request: dict[str, Any]) -> int:
    """How often the model has answered in this conversation."""
    return sum(1 for message in request["messages"] if message["role"] == "assistant")


class ModelServer(ThreadingHTTPServer):
    """Answers by ``answer(request)``; keeps what it was asked and the idempotency keys it was given."""

    daemon_threads = True

    def __init__(self, answer: Callable[[dict[str, Any]], Reply]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.answer = answer
        self.asked: list[dict[str, Any]] = []
        self.keys: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/v1"

    def endpoint(
        self, *, price: Price | None = None, seconds: float = 30, provider: Literal["openai", "anthropic"] = "openai"
    ) -> Endpoint:
        url = self.url if provider == "openai" else self.url.removesuffix("/v1")
        spec = ModelSpec(provider=provider, model="scripted", base_url=url)
        return Endpoint(build_model(spec, SecretStr("k")), price=price, seconds=seconds)


class _Handler(BaseHTTPRequestHandler):
    server: ModelServer

    def do_POST(self) -> None:
        request = json.loads(self.rfile.read(int(self.headers["content-length"])))
        self.server.asked.append(request)
        self.server.keys.append(self.headers.get("Idempotency-Key", ""))
        reply = self.server.answer(request)
        if reply.waits_for is not None:
            reply.waits_for.wait(60)
        data = json.dumps(reply.body).encode()
        try:
            self.send_response(reply.status)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(data)))
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(data[: len(data) // 2] if reply.cut else data)
            self.close_connection = reply.cut
        except OSError:
            self.close_connection = True  # who asked has gone

    def log_message(self, *_: object) -> None:
        """Quiet."""


@contextmanager
def serving(answer: Callable[[dict[str, Any]], Reply]) -> Iterator[ModelServer]:
    server = ModelServer(answer)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    try:
        yield server
    finally:
        server.shutdown()
        server.server_close()


def script(*replies: Reply) -> Callable[[dict[str, Any]], Reply]:
    """The next reply for each request."""
    waiting = list(replies)
    return lambda _: waiting.pop(0)
