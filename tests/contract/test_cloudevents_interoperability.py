"""What the CloudEvents SDK writes we read, and what we write it reads."""

from cloudevents.core.bindings.kafka import KafkaMessage, from_binary, to_binary, to_structured
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent

from bridge.contracts.envelope import Record, decode, encode
from tests.samples import requested


def _event() -> CloudEvent:
    attributes = {"id": "e1", "type": "tandem.agent.requested.v1", "source": "/other", "tenant": "AA", "cause": "c"}
    return CloudEvent(attributes, {"agent": "a", "request_id": "r", "input": {}})


def _record(message: KafkaMessage) -> Record:
    return Record(topic="t", key=b"k", value=message.value, headers=tuple(message.headers.items()))


def test_we_read_binary_mode_of_the_sdk() -> None:
    event = decode(_record(to_binary(_event(), JSONFormat())))

    assert (event.id, event.tenant, event.cause, event.data["request_id"]) == ("e1", "AA", "c", "r")


def test_we_read_structured_mode_of_the_sdk() -> None:
    event = decode(_record(to_structured(_event(), JSONFormat())))

    assert (event.id, event.tenant, event.data["agent"]) == ("e1", "AA", "a")


def test_the_sdk_reads_what_we_write() -> None:
    record = encode(requested(), topic="t", key="AA/r1")

    event = from_binary(KafkaMessage(dict(record.headers), record.key, record.value or b""), JSONFormat())

    assert (event.get_id(), event.get_type()) == ("event-1", "tandem.agent.requested.v1")
    assert event.get_extension("tenant") == "AA"
    assert event.get_data() == requested().data
