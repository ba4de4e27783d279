"""Agents by name: their requests, results and the start command every engine sends.

An agent's workflow is started by ``AgentSpec.workflow`` and an ``AgentStart``, never by importing its class.
"""

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from bridge.contracts import ids, names
from bridge.contracts.failures import Code, Refused, describe

StartedBy = Literal["operator", "kafka", "cli", "agent"]


class Frozen(BaseModel):
    """A request or result: immutable, refuses fields it does not know."""

    model_config = ConfigDict(frozen=True, extra="forbid")


class SnapshotRef(Frozen):
    """A pinned Iceberg snapshot. ``tag`` keeps it from being expired while evidence points at it."""

    tenant: str
    dataset: str
    table: str
    snapshot_id: int
    tag: str


class Limits(Frozen):
    """Where a run stops by itself. ``None`` leaves it to the agent's own caps; the lower of the two counts."""

    turns: int | None = Field(default=None, ge=1)
    tokens: int | None = Field(default=None, ge=1)
    seconds: int | None = Field(default=None, ge=1)
    cost_microdollars: int | None = Field(default=None, ge=1, description="Millionths of a US dollar")


class AgentStart(Frozen):
    """The first argument of every agent workflow.

    ``cause`` is the id of what led here (an event, a DAG run), ``input`` is validated against the agent's
    own request model, ``snapshots`` are all the data the run may read, ``limits`` are its tenant's when it started,
    ``state`` is what the run before left for this one, when a workflow continued as new.
    """

    tenant: ids.TenantId
    agent: ids.AgentName
    request_id: ids.RequestId
    started_by: StartedBy
    cause: str = ""
    input: dict[str, Any] = Field(default_factory=dict)
    snapshots: tuple[SnapshotRef, ...] = ()
    traceparent: str = ""
    limits: Limits = Limits()
    state: dict[str, Any] = Field(default_factory=dict)

    @property
    def workflow_id(self) -> str:
        return ids.workflow_id(self.tenant, self.agent, self.request_id)


class ModelUsage(Frozen):
    """What one model was asked for. ``cost_microdollars`` is zero where its price is not known."""

    calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microdollars: int = 0


class Usage(Frozen):
    """What a run consumed, in all and by model. Tokens are zero where no language model was called."""

    model: str = ""
    """The model that answered last."""
    turns: int = 0
    model_calls: int = 0
    tool_calls: int = 0
    input_tokens: int = 0
    output_tokens: int = 0
    cost_microdollars: int = 0
    models: dict[str, ModelUsage] = Field(default_factory=dict)


class AgentResult(Frozen):
    """What an agent workflow returns: small, the same shape for every agent."""

    tenant: str
    agent: str
    request_id: str
    output: dict[str, Any]
    usage: Usage


class AgentMessage(Frozen):
    """What a signal or update carries to an agent. ``event_id`` is its dedupe key: a repeat is dropped."""

    event_id: str
    data: dict[str, Any] = Field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class AgentSpec:
    """A contracted agent. ``dataset`` names the tenant dataset it needs published, if any.

    ``messages`` are the signals and updates it understands, each with the model of its data. A standing agent has no
    ``execution_timeout``.
    """

    name: str
    workflow: str
    request: type[BaseModel]
    result: type[BaseModel]
    queue: str = names.AGENTS_QUEUE
    dataset: str | None = None
    references: tuple[str, ...] = ()
    messages: Mapping[str, type[BaseModel]] = field(default_factory=dict)
    execution_timeout: dt.timedelta | None = dt.timedelta(hours=24)

    def validate_input(self, value: Mapping[str, Any]) -> dict[str, Any]:
        """The input as plain JSON values; raises ``Refused(INVALID_REQUEST)`` that names each bad field."""
        return self._validated(self.request, value, "request")

    def validate_message(self, name: str, value: Mapping[str, Any]) -> dict[str, Any]:
        """The message's data as plain JSON values; raises ``Refused(INVALID_REQUEST)``."""
        if name not in self.messages:
            known = ", ".join(sorted(self.messages)) or "none"
            raise Refused(Code.INVALID_REQUEST, f"agent {self.name!r} has no message {name!r}; it has: {known}")
        return self._validated(self.messages[name], value, f"message {name!r}")

    def _validated(self, model: type[BaseModel], value: Mapping[str, Any], what: str) -> dict[str, Any]:
        try:
            return model.model_validate(dict(value)).model_dump(mode="json")
        except ValidationError as error:
            problem = f"{what} for agent {self.name!r} is not valid: {describe(error)}"
            raise Refused(Code.INVALID_REQUEST, problem) from error
