"""A dead letter: the record byte for byte, and headers that say where it came from and why it is here."""

import datetime as dt

from bridge.contracts.envelope import Record
from bridge.contracts.failures import TandemError
from bridge.contracts.names import dead_letter_topic

PREFIX = "tandem_dead_"


def dead_letter(record: Record, error: TandemError, *, partition: int, offset: int, at: dt.datetime) -> Record:
    provenance = {
        "code": error.code.value,
        "reason": str(error),
        "owner": error.owner.value,
        "topic": record.topic,
        "partition": str(partition),
        "offset": str(offset),
        "at": at.isoformat(),
    }
    kept = tuple(header for header in record.headers if not header[0].startswith(PREFIX))
    added = tuple((PREFIX + name, value.encode()) for name, value in provenance.items())
    return Record(topic=dead_letter_topic(record.topic), key=record.key, value=record.value, headers=kept + added)
