"""The envelope every event travels in: id, type, tenant, time, cause.

Out: CloudEvents 1.0 in Kafka *binary mode*. In: binary, structured and plain JSON
(``{"id", "type", "tenant", "data"}``, where ``type`` may be left out on the request topic and on a topic
with one route).
Decoding reads bytes and raises ``Refused`` with a code; nothing else escapes it.
"""

import datetime as dt
import json
from collections.abc import Callable, Iterable, Mapping
from typing import Any, Final

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.contracts import ids
from bridge.contracts.events import AgentRequested, Fact
from bridge.contracts.failures import Code, Refused, describe

MAX_VALUE_BYTES: Final = 128 * 1024
"""Anything larger travels as an object reference (claim check)."""
SPEC_VERSION: Final = "1.0"
PREFIX: Final = "ce_"
STRUCTURED: Final = "application/cloudevents+json"
SOURCE: Final = "/tandem"

Header = tuple[str, bytes | None]
Complete = Callable[[str, dict[str, Any]], dict[str, Any]]
"""Fills in what a sender left out, from the topic and the attributes it did send."""


class Envelope(BaseModel):
    """One event. ``id`` is stable over retries and is the dedupe key everywhere."""

    model_config = ConfigDict(frozen=True, extra="ignore")

    id: ids.EventId
    type: str
    source: str = SOURCE
    tenant: ids.TenantId
    time: dt.datetime | None = None
    subject: str = ""
    cause: str = ""
    traceparent: str = ""
    data: dict[str, Any] = Field(default_factory=dict)


class Record(BaseModel):
    """A Kafka record as bytes: what was read, or what is to be written."""

    model_config = ConfigDict(frozen=True)

    topic: str
    key: bytes | None
    value: bytes | None
    headers: tuple[Header, ...] = ()


def wrap(fact: Fact, *, event_id: str, tenant: str, time: dt.datetime, cause: str = "") -> Envelope:
    return Envelope(
        id=event_id, type=fact.TYPE, tenant=tenant, time=time, cause=cause, data=fact.model_dump(mode="json")
    )


def encode(envelope: Envelope, *, topic: str, key: str) -> Record:
    """Binary mode: attributes as ``ce_*`` headers, value = JSON data. ``key`` orders the event's peers."""
    attributes = {"specversion": SPEC_VERSION} | envelope.model_dump(mode="json", exclude={"data"})
    headers: list[Header] = [(PREFIX + name, str(value).encode()) for name, value in attributes.items() if value]
    headers.append(("content-type", b"application/json"))
    value = json.dumps(envelope.data, separators=(",", ":")).encode()
    return Record(topic=topic, key=key.encode(), value=value, headers=tuple(headers))


def request_by_default(topic: str, attributes: dict[str, Any]) -> dict[str, Any]:
    """On our own request topic, an event without a type asks for an agent."""
    return ({"type": AgentRequested.TYPE} if topic == AgentRequested.TOPIC else {}) | attributes


def decode(record: Record, complete: Complete = request_by_default) -> Envelope:
    """The envelope in ``record``; raises ``Refused`` (``malformed``, ``too_large``, ``key_not_utf8``)."""
    if record.value is None:
        raise Refused(Code.MALFORMED, "the record has no value (a tombstone); send a JSON event")
    if len(record.value) > MAX_VALUE_BYTES:
        raise Refused(
            Code.TOO_LARGE,
            f"the value has {len(record.value)} bytes, the limit is {MAX_VALUE_BYTES}; send a reference",
        )
    _check_key(record.key)
    body = _json_object(record.value)
    headers = _text_headers(record.headers)
    if PREFIX + "id" in headers:
        attributes = _from_binary(headers, body)
    elif headers.get("content-type", "").startswith(STRUCTURED) or "specversion" in body:
        attributes = _from_structured(body)
    else:
        attributes = _from_plain(body)
    return _envelope(complete(record.topic, attributes))


def _check_key(key: bytes | None) -> None:
    try:
        (key or b"").decode("utf-8")
    except UnicodeDecodeError as error:
        raise Refused(Code.KEY_NOT_UTF8, f"the record key is not UTF-8: {error.reason}") from error


def _json_object(value: bytes) -> dict[str, Any]:
    try:
        body = json.loads(value)
    except (ValueError, RecursionError) as error:
        raise Refused(Code.MALFORMED, f"the value is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise Refused(Code.MALFORMED, f"the value is a JSON {type(body).__name__}, not an object")
    return body


def _text_headers(headers: Iterable[Header]) -> dict[str, str]:
    """The headers that are ours to read; what others put beside them may be any bytes."""
    wanted = [(n.lower(), v or b"") for n, v in headers if n.lower() == "content-type" or n.lower().startswith(PREFIX)]
    try:
        return {name: value.decode("utf-8") for name, value in wanted}
    except UnicodeDecodeError as error:
        raise Refused(Code.MALFORMED, f"a CloudEvents header is not UTF-8: {error.reason}") from error


def _from_binary(headers: Mapping[str, str], body: Mapping[str, Any]) -> dict[str, Any]:
    attributes: dict[str, Any] = {
        name.removeprefix(PREFIX): value for name, value in headers.items() if name.startswith(PREFIX)
    }
    _check_spec_version(attributes)
    return attributes | {"data": body}


def _from_structured(body: Mapping[str, Any]) -> dict[str, Any]:
    _check_spec_version(body)
    return dict(body)


def _from_plain(body: Mapping[str, Any]) -> dict[str, Any]:
    """Plain JSON is accepted for requests: ``{id, tenant, agent, request_id, input}`` or with ``data``."""
    known = {"id", "type", "source", "tenant", "time", "cause", "traceparent", "data"}
    data = body.get("data", {name: value for name, value in body.items() if name not in known})
    envelope = {name: value for name, value in body.items() if name in known}
    return {"source": "plain-json"} | envelope | {"data": data}


def _check_spec_version(attributes: Mapping[str, Any]) -> None:
    version = attributes.get("specversion")
    if version != SPEC_VERSION:
        raise Refused(
            Code.UNSUPPORTED_VERSION,
            f"CloudEvents specversion {version!r} is not supported; send {SPEC_VERSION!r}",
        )


def _envelope(attributes: Mapping[str, Any]) -> Envelope:
    try:
        return Envelope.model_validate(attributes)
    except ValidationError as error:
        raise Refused(Code.MALFORMED, f"the event envelope is not valid: {describe(error)}") from error
