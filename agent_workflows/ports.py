"""What agents need from outside, as protocols."""

from collections.abc import Sequence
from typing import Protocol

import pyarrow as pa

from agent_workflows.activities.messages import Decision, Turn
from agent_workflows.agents.definition import Agent
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.events import AgentCompleted


class Thinker(Protocol):
    """A model, asked through its vendor's client without retries."""

    async def decide(self, agent: Agent, turn: Turn, transcript: Sequence[bytes]) -> tuple[Decision, bytes]:
        """The decision, and the messages this turn added to the transcript."""
        ...


class Transcripts(Protocol):
    async def load(self, run: str) -> list[tuple[int, bytes, str]]:
        """Turns as ``(version, messages, decision JSON)``, oldest first."""
        ...

    async def append(self, turn: Turn, messages: bytes, decision: Decision) -> None: ...


class Snapshots(Protocol):
    def read(self, snapshot: SnapshotRef) -> pa.Table:
        """All rows of a pinned snapshot. Immutable, so it may come from a cache."""
        ...


class RunLedger(Protocol):
    async def record_completion(self, tenant: str, cause: str, completed: AgentCompleted) -> bool: ...

    async def find_step(self, *, run: str, step: str) -> str | None:
        """The result of a finished call as JSON, or None."""
        ...

    async def record_step(
        self, *, run: str, step: str, tenant: str, kind: str, result: str, milliseconds: int
    ) -> None: ...


class Effects(Protocol):
    async def make(self, *, key: str, tenant: str, run: str) -> bool:
        """Make the effect of this idempotency key, once; False for a repeat."""
        ...
