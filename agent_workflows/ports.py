"""What agents need from outside, as protocols."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Protocol

from agent_workflows.activities.messages import ApprovalRecord, Decision, FactRecord, Found, Turn
from agent_workflows.agents.definition import Agent
from bridge.contracts.agents import AgentStart, SnapshotRef
from bridge.contracts.events import AgentCompleted, AlertRaised, Verdict
from bridge.contracts.failures import Refused

if TYPE_CHECKING:
    import pyarrow as pa  # workflows import this file, and an import should be light


PassedOver = Callable[[str, Refused], Awaitable[None]]
"""Told of a model that refused us while another one answered, or may: nobody else would hear of it."""


class Thinker(Protocol):
    """A model, asked through its vendor's client without retries."""

    async def decide(
        self, agent: Agent, turn: Turn, transcript: Sequence[bytes], passed_over: PassedOver
    ) -> tuple[Decision, bytes]:
        """The decision, and the messages this turn added to the transcript. ``turn.outcomes`` hold their figures."""
        ...

    async def reply(self, turn: Turn, transcript: Sequence[bytes], passed_over: PassedOver) -> tuple[Decision, bytes]:
        """The model's whole answer to a loop that is not ours, and the messages of this turn."""
        ...


class Toolbox(Protocol):
    """The tools of an agent whose loop is not ours."""

    async def call(self, start: AgentStart, tool: str, arguments: Mapping[str, Any]) -> Any:
        """What the tool returns, as JSON values; raises ``Refused(INVALID_REQUEST)`` for what its model should mend."""
        ...


class Transcripts(Protocol):
    async def find(self, run: str, version: int) -> str | None:
        """The decision of an answered turn as JSON, or None."""
        ...

    async def load(self, run: str, version: int) -> list[bytes]:
        """Messages of the turns up to ``version`` and of those they build on, oldest first."""
        ...

    async def append(self, turn: Turn, messages: bytes, decision: Decision) -> None: ...


class Snapshots(Protocol):
    def read(self, snapshot: SnapshotRef) -> "pa.Table":
        """All rows of a pinned snapshot. Immutable, so it may come from a cache."""
        ...


class RunLedger(Protocol):
    async def record_completion(self, tenant: str, cause: str, completed: AgentCompleted) -> bool: ...

    async def record_approval(self, record: ApprovalRecord) -> None: ...

    async def find_step(self, *, run: str, step: str) -> str | None:
        """The result of a finished call as JSON, or None."""
        ...

    async def record_step(
        self, *, run: str, step: str, tenant: str, kind: str, result: str, milliseconds: int
    ) -> None: ...

    async def newest_verdict(self, *, tenant: str, dataset: str) -> Verdict | None: ...

    async def tell(self, record: FactRecord) -> None:
        """Tell a fact once: a repeat of its event id tells nothing."""
        ...

    async def raise_alert(self, alert: AlertRaised, *, event_id: str, tenant: str) -> None:
        """Tell of a step that was refused; a repeat tells nothing."""
        ...


class Effects(Protocol):
    async def make(self, *, key: str, tenant: str, run: str) -> bool:
        """Make the effect of this idempotency key, once; False for a repeat. The effect is the row itself."""
        ...

    async def begin(self, key: str, *, tenant: str, run: str) -> tuple[str, str | None]:
        """``(state, result as JSON)``: ``new`` if it was never tried, else ``pending``, ``made`` or ``refused``."""
        ...

    async def finish(self, key: str, *, state: str, result: str) -> None: ...

    async def forget(self, key: str) -> None:
        """A pending effect that certainly was not made."""
        ...


class Memory(Protocol):
    """Long-term memory: texts about a subject of a tenant, found by their words, or by meaning where the store can."""

    async def add(self, key: str, *, tenant: str, subject: str, text: str) -> bool:
        """Keep a text; False if this key is kept already, or the subject's memory holds the very same text."""
        ...

    async def search(self, *, tenant: str, subject: str, words: str, most: int) -> Sequence[str]:
        """Texts of this subject that match any of ``words``, best match first; the newest where none does."""
        ...


class Corpus(Protocol):
    """Documents: those of a tenant, and those that all tenants share."""

    async def search(self, *, tenant: str, query: str, most: int) -> Sequence[Found]:
        """Documents that hold words of the query, best match first."""
        ...

    async def read(self, *, tenant: str, document: str) -> str:
        """The text; raises ``Refused(NO_DATA)`` for one that is not there or another tenant's."""
        ...


class Files(Protocol):
    """Objects in buckets."""

    async def get(self, bucket: str, key: str) -> bytes:
        """Raises ``Refused(RAW_FILE_MISSING)`` for what is not there, else ``Unavailable``."""
        ...

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        """Store an object and return where it is; the same key again replaces it."""
        ...


class Http(Protocol):
    """An HTTP client without retries."""

    async def post(
        self, url: str, body: Mapping[str, Any], *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        """The answer's JSON object.

        Raises ``Refused`` for what will never succeed, ``NotSent`` where nobody was reached, else ``Unavailable``.
        """
        ...
