import json
from dataclasses import dataclass

import pytest

from bridge.contracts.envelope import MAX_VALUE_BYTES, Record, decode, encode
from bridge.contracts.failures import Code, Refused
from tests.samples import requested


def _record(value: bytes | None, *, key: bytes | None = b"k", headers: tuple[tuple[str, bytes], ...] = ()) -> Record:
    return Record(topic="agents.request.v1", key=key, value=value, headers=headers)


def test_what_is_encoded_is_decoded() -> None:
    event = requested()

    record = encode(event, topic="agents.request.v1", key="AA/r1")

    assert decode(record) == event
    assert record.key == b"AA/r1"
    assert ("ce_tenant", b"AA") in record.headers


def test_plain_json_is_a_request() -> None:
    body = {
        "id": "x1",
        "tenant": "UA",
        "agent": "investigate_delays",
        "request_id": "r9",
        "input": {"day": "2013-02-08"},
    }

    event = decode(_record(json.dumps(body).encode()))

    assert (event.id, event.tenant, event.type) == ("x1", "UA", "tandem.agent.requested.v1")
    assert event.data == {"agent": "investigate_delays", "request_id": "r9", "input": {"day": "2013-02-08"}}


def test_structured_events_are_read() -> None:
    body = {"specversion": "1.0", "id": "s1", "source": "/x", "type": "t", "tenant": "AA", "data": {"a": 1}}

    event = decode(_record(json.dumps(body).encode(), headers=(("content-type", b"application/cloudevents+json"),)))

    assert (event.id, event.data) == ("s1", {"a": 1})


@dataclass(frozen=True)
class Case:
    id: str
    record: Record
    code: Code


BINARY = (("ce_id", b"1"), ("ce_type", b"t"), ("ce_source", b"/s"), ("ce_tenant", b"AA"))
REFUSED = (
    Case("tombstone", _record(None), Code.MALFORMED),
    Case("not json", _record(b"{nope"), Code.MALFORMED),
    Case("not utf-8", _record(b"\xff\xfe\x00"), Code.MALFORMED),
    Case("a list", _record(b"[1]"), Code.MALFORMED),
    Case("deeply nested", _record(b"[" * 60_000 + b"]" * 60_000), Code.MALFORMED),
    Case("no tenant", _record(b'{"id": "1", "agent": "a", "request_id": "r"}'), Code.MALFORMED),
    Case("no id", _record(b'{"tenant": "AA", "agent": "a", "request_id": "r"}'), Code.MALFORMED),
    Case("tenant with a slash", _record(b'{"id": "1", "tenant": "A/B"}'), Code.MALFORMED),
    Case("data is text", _record(b'{"id": "1", "tenant": "AA", "data": "x"}'), Code.MALFORMED),
    Case("oversized", _record(b'{"a": "' + b"x" * MAX_VALUE_BYTES + b'"}'), Code.TOO_LARGE),
    Case("key not utf-8", _record(b"{}", key=b"\xff"), Code.KEY_NOT_UTF8),
    Case("unknown version", _record(b"{}", headers=(*BINARY, ("ce_specversion", b"0.3"))), Code.UNSUPPORTED_VERSION),
    Case("header not utf-8", _record(b"{}", headers=(("ce_id", b"\xff"),)), Code.MALFORMED),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
def test_what_is_not_an_event_is_refused_with_its_code(case: Case) -> None:
    with pytest.raises(Refused) as refused:
        decode(case.record)

    assert refused.value.code is case.code
    assert len(str(refused.value)) > 20


def test_headers_that_others_put_beside_ours_may_be_any_bytes() -> None:
    body = b'{"id": "1", "tenant": "AA", "agent": "a", "request_id": "r"}'

    assert decode(_record(body, headers=(("trace", b"\xff\xfe"), ("null", None)))).id == "1"
