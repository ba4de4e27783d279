"""The routing table: which events start which agents, and which facts start which DAG runs.

Declared in YAML (``infra/routes.yaml``), so other systems' events start agents without code. Values are JMESPath
expressions over the event ``{id, type, source, tenant, time, subject, data}``.
"""

from enum import StrEnum
from typing import Annotated, Self

from pydantic import Field, StringConstraints, model_validator

from bridge.contracts import ids, names
from bridge.contracts.agents import Frozen
from bridge.contracts.events import AgentRequested

Expression = Annotated[str, StringConstraints(min_length=1, max_length=2000)]
Topic = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9._-]{1,240}$")]
DagId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.-]{1,250}$")]


class Action(StrEnum):
    """What an event does to its agent. All three start it where it does not run yet."""

    START = "start"
    SIGNAL = "signal_with_start"
    UPDATE = "update_with_start"


class StartRoute(Frozen):
    """Events of ``type`` on ``topic`` start ``agent`` or send it ``message``.

    ``request_id`` is the business key: events that give the same one reach the same run.
    """

    type: str = Field(min_length=1)
    topic: Topic = names.REQUESTS_TOPIC
    agent: ids.AgentName
    action: Action = Action.START
    message: str = ""
    tenant: Expression = "tenant"
    request_id: Expression = "id"
    input: dict[str, Expression] = Field(default_factory=dict)
    payload: dict[str, Expression] = Field(default_factory=dict)

    @model_validator(mode="after")
    def _message_fits_action(self) -> Self:
        if (self.action is Action.START) == bool(self.message):
            raise ValueError("`message` names the signal or update, and is left out for action `start`")
        if self.payload and not self.message:
            raise ValueError("`payload` goes with a `message`")
        return self

    @model_validator(mode="after")
    def _topic_is_an_inlet(self) -> Self:
        own = set(names.TOPICS) - {names.REQUESTS_TOPIC}
        if self.topic in own or self.topic.endswith(names.DEAD_SUFFIX):
            raise ValueError(f"topic {self.topic!r} is written by the platform itself; route a topic of another system")
        return self


class Batch(Frozen):
    """How many events one DAG run gets: ``size`` of one tenant, or what came within ``seconds`` of the first."""

    size: int = Field(default=1, ge=1, le=1000)
    seconds: float = Field(default=5.0, gt=0, le=300)


class RunRoute(Frozen):
    """Facts of ``type`` whose data matches ``when`` start a run of ``dag``: one per fact, or one per batch."""

    type: str = Field(min_length=1)
    when: dict[str, str | int | bool] = Field(default_factory=dict)
    dag: DagId
    batch: Batch = Batch()


class RoutingTable(Frozen):
    """The YAML file. The platform's own requests (``tandem.agent.requested.v1``) need no route."""

    starts: tuple[StartRoute, ...] = ()
    runs: tuple[RunRoute, ...] = ()

    @model_validator(mode="after")
    def _unambiguous(self) -> Self:
        seen = {(names.REQUESTS_TOPIC, AgentRequested.TYPE)}
        for route in self.starts:
            if (route.topic, route.type) in seen:
                raise ValueError(f"two routes take events of type {route.type!r} on topic {route.topic!r}")
            seen.add((route.topic, route.type))
        return self
