"""Signed requests: an HMAC by the tenant's key, so that one producer cannot start agents for another tenant.

Header ``tandem_signature`` holds the hex HMAC-SHA256 of these lines, joined by newlines:

    tandem-v1
    TOPIC
    sha256 of the record key, in hex (of nothing if there is none)
    sha256 of the value
    NAME=sha256 of the value, for each header that is `content-type` or begins with `ce_`, in lower case, sorted

It covers whatever decides who asks for what, and the topic, so a record cannot be replayed elsewhere.
"""

import hashlib
import hmac
from collections.abc import Iterable
from typing import Final

from bridge.contracts.envelope import Record

SIGNATURE: Final = "tandem_signature"


def sign(record: Record, key: str) -> Record:
    """``record`` with its signature header."""
    kept = tuple(header for header in record.headers if header[0] != SIGNATURE)
    return record.model_copy(update={"headers": (*kept, (SIGNATURE, _signature(record, key).encode()))})


def is_signed(record: Record) -> bool:
    return any(name == SIGNATURE for name, _ in record.headers)


def is_signed_by(record: Record, keys: Iterable[str]) -> bool:
    """Whether one of ``keys`` made the signature; takes the same time whichever byte differs."""
    given = [value or b"" for name, value in record.headers if name == SIGNATURE]
    return len(given) == 1 and any(hmac.compare_digest(given[0], _signature(record, key).encode()) for key in keys)


def _signature(record: Record, key: str) -> str:
    signed = sorted(
        (name.lower(), value or b"")
        for name, value in record.headers
        if name.lower() == "content-type" or name.lower().startswith("ce_")
    )
    lines = ["tandem-v1", record.topic, _digest(record.key), _digest(record.value)]
    lines += [f"{name}={_digest(value)}" for name, value in signed]
    return hmac.new(key.encode(), "\n".join(lines).encode(), hashlib.sha256).hexdigest()


def _digest(value: bytes | None) -> str:
    return hashlib.sha256(value or b"").hexdigest()
