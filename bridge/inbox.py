"""What is let in: a record becomes an event if it can be read and, where its tenant signs, is signed by it."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass

from bridge.contracts.envelope import Envelope, Record, decode
from bridge.contracts.failures import Code, Refused
from bridge.contracts.signing import is_signed, is_signed_by
from bridge.domain.routing import Routing

Keys = Callable[[], Mapping[str, tuple[str, ...]]]


@dataclass(frozen=True, slots=True)
class Inbox:
    """``keys`` gives each tenant's request keys. ``all_sign``: a tenant without a key can ask for nothing."""

    routing: Routing
    keys: Keys
    all_sign: bool = False

    def __call__(self, record: Record) -> Envelope:
        """Raises ``Refused`` (``signature_missing``, ``signature_wrong``, and what ``decode`` raises)."""
        event = decode(record, self.routing.complete)
        keys = self.keys().get(event.tenant)
        if keys is None and not self.all_sign:
            return event
        if not keys:
            problem = f"requests must be signed, and tenant {event.tenant!r} has no key; give it one"
            raise Refused(Code.SIGNATURE_MISSING, problem)
        if not is_signed(record):
            problem = f"requests of tenant {event.tenant!r} must carry the header tandem_signature, made with its key"
            raise Refused(Code.SIGNATURE_MISSING, problem)
        if not is_signed_by(record, keys):
            problem = f"the signature is not by a key of tenant {event.tenant!r}, or the record was changed after it"
            raise Refused(Code.SIGNATURE_WRONG, problem)
        return event
