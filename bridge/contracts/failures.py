"""Our failure vocabulary: what went wrong, whether trying again can help, and whose fault it is.

Every engine translates these codes in its own ``failures.py``. Unknown means transient.
"""

from enum import StrEnum

from pydantic import ValidationError


class Owner(StrEnum):
    """Who has to act on a failure."""

    CALLER = "caller"
    OURS = "our code"
    ENGINE = "engine"
    PLATFORM = "platform"


class Code(StrEnum):
    """Closed set of failure codes; they appear in dead letters, completions and task logs."""

    MALFORMED = "malformed"
    KEY_NOT_UTF8 = "key_not_utf8"
    TOO_LARGE = "too_large"
    UNSUPPORTED_VERSION = "unsupported_version"
    UNKNOWN_TENANT = "unknown_tenant"
    UNKNOWN_AGENT = "unknown_agent"
    UNKNOWN_TYPE = "unknown_type"
    SIGNATURE_MISSING = "signature_missing"
    SIGNATURE_WRONG = "signature_wrong"
    INVALID_REQUEST = "invalid_request"
    NOT_PUBLISHED = "not_published"
    RAW_FILE_MISSING = "raw_file_missing"
    NO_DATA = "no_data"
    QUALITY_REFUSED = "quality_refused"
    STALE_AUDIT = "stale_audit"
    BAD_CONNECTION = "bad_connection"
    BAD_ROUTES = "bad_routes"
    CAP_REACHED = "cap_reached"
    MODEL_REFUSED = "model_refused"
    HTTP_REFUSED = "http_refused"
    HTTP_MISSING = "http_missing"
    PAYMENT_DECLINED = "payment_declined"
    OUTCOME_UNKNOWN = "outcome_unknown"
    NOT_UNDONE = "not_undone"
    NOT_ALLOWED = "not_allowed"
    APPROVAL_CLOSED = "approval_closed"
    REJECTED = "rejected"
    AGENT_CLOSED = "agent_closed"
    AGENT_FAILED = "agent_failed"
    AGENT_CANCELLED = "agent_cancelled"
    AGENT_TERMINATED = "agent_terminated"
    AGENT_TIMED_OUT = "agent_timed_out"
    UNAVAILABLE = "unavailable"


class TandemError(Exception):
    """A failure with a code. ``str()`` says what, which, and what to do."""

    def __init__(self, code: Code, message: str, *, owner: Owner = Owner.CALLER) -> None:
        super().__init__(message)
        self.code = code
        self.owner = owner


class Refused(TandemError):  # noqa: N818 - the words of the vocabulary are the names
    """Terminal: the same thing sent again will fail again."""


class Unavailable(TandemError):  # noqa: N818
    """Transient: an engine or store did not answer; the engine that called retries, after ``retry_after`` seconds."""

    def __init__(self, message: str, *, owner: Owner = Owner.ENGINE, retry_after: float | None = None) -> None:
        super().__init__(Code.UNAVAILABLE, message, owner=owner)
        self.retry_after = retry_after


class NotSent(Unavailable):
    """Transient, and it is known that the other side was never asked: nothing can have happened there."""


def describe(error: ValidationError) -> str:
    """A validation error as one line that names each field and never repeats its value."""
    return "; ".join(
        f"{'.'.join(map(str, e['loc'])) or 'value'}: {e['msg']}" for e in error.errors(include_input=False)
    )
