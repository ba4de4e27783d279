"""A dead letter: the record byte for byte, and headers that say where it came from, why it is here and how often.

Its id is made from what it is, so the same record parked twice (a crash between parking and committing) is one
letter. A replayed record carries id and count along, so that it is known again when it fails again.
"""

import datetime as dt
import hashlib
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from bridge.contracts.envelope import Header, Record
from bridge.contracts.failures import TandemError
from bridge.contracts.names import DEAD_SUFFIX, dead_letter_topic

PREFIX: Final = "tandem_dead_"
ID: Final = PREFIX + "id"
TIMES: Final = PREFIX + "times"
FIRST_AT: Final = PREFIX + "first_at"
NULLS: Final = PREFIX + "nulls"


@dataclass(frozen=True, slots=True)
class DeadLetter:
    """A parked record. ``times`` counts how often it was parked: 2 means that its replay failed too."""

    id: str
    times: int
    code: str
    reason: str
    owner: str
    topic: str
    partition: int
    offset: int
    at: str
    first_at: str
    tenant: str
    record: Record
    """The original: key, value and headers as they came."""


def dead_letter(
    record: Record, error: TandemError, *, partition: int, offset: int, timestamp: int, at: dt.datetime
) -> Record:
    """What is written to the dead-letter topic. ``timestamp`` is the record's, in milliseconds."""
    carried = _told(record)
    original = _original(record.headers)
    provenance = {
        "id": carried.get(ID) or _identity(record, partition, offset, timestamp),
        "times": str(_count(carried.get(TIMES)) + 1),
        "code": error.code.value,
        "reason": str(error),
        "owner": error.owner.value,
        "topic": record.topic,
        "partition": str(partition),
        "offset": str(offset),
        "at": at.isoformat(),
        "first_at": carried.get(FIRST_AT) or at.isoformat(),
        "tenant": _tenant(record),
    }
    nulls = carried.get(NULLS) or _nulls(record)
    provenance |= {"nulls": nulls} if nulls else {}
    added = tuple((PREFIX + name, value.encode()) for name, value in provenance.items())
    return _without_nulls(
        Record(topic=dead_letter_topic(record.topic), key=record.key, value=record.value, headers=original + added)
    )


def read_letter(record: Record) -> DeadLetter:
    """The letter in a record of a dead-letter topic; fields that are missing (foreign writers) are empty."""
    told = {name.removeprefix(PREFIX): value for name, value in _told(record).items()}
    topic = told.get("topic") or record.topic.removesuffix(DEAD_SUFFIX)
    nulls = set(told.get("nulls", "").split(","))
    headers = tuple((n, None if str(at) in nulls else v) for at, (n, v) in enumerate(_original(record.headers)))
    value = None if "value" in nulls else record.value
    original = Record(topic=topic, key=record.key, value=value, headers=headers)
    return DeadLetter(
        id=told.get("id") or _identity(original, -1, -1, 0),
        times=_count(told.get("times")) or 1,
        code=told.get("code", ""),
        reason=told.get("reason", ""),
        owner=told.get("owner", ""),
        topic=topic,
        partition=int(told.get("partition") or -1),
        offset=int(told.get("offset") or -1),
        at=told.get("at", ""),
        first_at=told.get("first_at") or told.get("at", ""),
        tenant=told.get("tenant", ""),
        record=original,
    )


def replay_record(letter: DeadLetter) -> Record:
    """The original, to be sent to its topic again; two headers let it be known if it comes back."""
    added: tuple[Header, ...] = (
        (ID, letter.id.encode()),
        (TIMES, str(letter.times).encode()),
        (FIRST_AT, letter.first_at.encode()),
    )
    nulls = _nulls(letter.record)
    added += ((NULLS, nulls.encode()),) if nulls else ()
    return _without_nulls(letter.record.model_copy(update={"headers": letter.record.headers + added}))


def _without_nulls(record: Record) -> Record:
    """Null headers, and a null value, as empty ones: kafka-python reads nulls but does not write them.

    A letter names them, so that they are shown as they were.
    """
    headers = tuple((name, value or b"") for name, value in record.headers)
    return record.model_copy(update={"headers": headers, "value": record.value or b""})


def newest(letters: Sequence[DeadLetter]) -> list[DeadLetter]:
    """Each letter once, as it was parked last; in the order of first parking."""
    latest: dict[str, DeadLetter] = {}
    for letter in letters:
        if letter.id not in latest or letter.times >= latest[letter.id].times:
            latest[letter.id] = letter
    return sorted(latest.values(), key=lambda letter: (letter.first_at, letter.id))


def _nulls(record: Record) -> str:
    """Which headers, by place, and whether the value are null."""
    places = [str(place) for place, (_, value) in enumerate(_original(record.headers)) if value is None]
    return ",".join(places + (["value"] if record.value is None else []))


def _told(record: Record) -> dict[str, str]:
    """The headers that this module wrote."""
    return {
        name: (value or b"").decode("utf-8", "replace") for name, value in record.headers if name.startswith(PREFIX)
    }


def _original(headers: Sequence[Header]) -> tuple[Header, ...]:
    return tuple(header for header in headers if not header[0].startswith(PREFIX))


def _count(text: str | None) -> int:
    return int(text) if text and text.isdigit() else 0


def _identity(record: Record, partition: int, offset: int, timestamp: int) -> str:
    """Sixteen hex digits. Offsets alone would not do: they start anew when a topic is made again."""
    digest = hashlib.sha256(f"{record.topic}/{partition}/{offset}/{timestamp}".encode())
    for part in (record.key or b"", record.value or b""):
        digest.update(hashlib.sha256(part).digest())
    return digest.hexdigest()[:16]


def _tenant(record: Record) -> str:
    """Whose it seems to be, as far as that can be read; unchecked."""
    for name, value in record.headers:
        if name.lower() == "ce_tenant":
            return (value or b"").decode("utf-8", "replace")[:64]
    try:
        body = json.loads(record.value or b"")
    except (ValueError, RecursionError):
        return ""
    tenant = body.get("tenant") if isinstance(body, dict) else None
    return tenant[:64] if isinstance(tenant, str) else ""
