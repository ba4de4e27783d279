"""An event in the outbox, on its way to Kafka. Pure."""

import datetime as dt
from dataclasses import dataclass

from bridge.contracts.envelope import Envelope


@dataclass(frozen=True, slots=True)
class Waiting:
    """``tried_at`` is when a relay first tried to send it, None if none did: after a crash it may be stored."""

    seq: int
    topic: str
    key: str
    envelope: Envelope
    tried_at: dt.datetime | None
