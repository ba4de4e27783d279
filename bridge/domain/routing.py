"""From an event to what it asks for, by the routing table. Pure; expressions are JMESPath."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Self

import jmespath
from jmespath.exceptions import JMESPathError
from pydantic import ValidationError

from bridge.contracts import names
from bridge.contracts.agents import AgentSpec
from bridge.contracts.catalog import find_agent
from bridge.contracts.envelope import Envelope, request_by_default
from bridge.contracts.events import AgentRequested
from bridge.contracts.failures import Code, Owner, Refused, describe
from bridge.contracts.routes import Action, RoutingTable, RunRoute, StartRoute


@dataclass(frozen=True, slots=True)
class Command:
    """What an event asks for. ``message`` and ``payload`` are of the signal or update, if it is one."""

    agent: str
    request_id: str
    input: Mapping[str, Any]
    action: Action = Action.START
    message: str = ""
    payload: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Routing:
    """A checked table. Made by ``Routing.of``, which refuses a table that can never work."""

    starts: Mapping[tuple[str, str], StartRoute]
    runs: Sequence[RunRoute]

    @classmethod
    def of(cls, table: RoutingTable, agents: Mapping[str, AgentSpec]) -> Self:
        """Raises ``Refused(BAD_ROUTES)`` that names the route."""
        for route in table.starts:
            try:
                _check(route, agents)
            except (Refused, JMESPathError) as error:
                problem = f"the route for {route.type!r} on {route.topic!r} cannot work: {error}"
                raise Refused(Code.BAD_ROUTES, problem, owner=Owner.PLATFORM) from error
        return cls(starts={(route.topic, route.type): route for route in table.starts}, runs=table.runs)

    @property
    def topics(self) -> tuple[str, ...]:
        """What the bridge reads to start agents, its own request topic first."""
        others = sorted({topic for topic, _ in self.starts} - {names.REQUESTS_TOPIC})
        return (names.REQUESTS_TOPIC, *others)

    def complete(self, topic: str, attributes: dict[str, Any]) -> dict[str, Any]:
        """Fill in what a foreign sender leaves out: the type where the topic has one, the tenant by the route."""
        attributes = request_by_default(topic, attributes)
        of_topic = [route for route in self.starts.values() if route.topic == topic]
        if "type" not in attributes and len(of_topic) == 1:
            attributes = attributes | {"type": of_topic[0].type}
        route = self.starts.get((topic, str(attributes.get("type"))))
        if route is None:
            return attributes
        return attributes | {"tenant": _text(_value(route.tenant, attributes, "tenant"), "tenant")}

    def command(self, topic: str, event: Envelope) -> Command:
        """Raises ``Refused`` (``unknown_type``, ``invalid_request``)."""
        if (topic, event.type) == (names.REQUESTS_TOPIC, AgentRequested.TYPE):
            return _requested(event)
        route = self.starts.get((topic, event.type))
        if route is None:
            known = ", ".join(sorted(kind for at, kind in self.starts if at == topic)) or "none"
            problem = f"no route takes event type {event.type!r} on topic {topic!r}; it has routes for: {known}"
            raise Refused(Code.UNKNOWN_TYPE, problem)
        values = event.model_dump(mode="json")
        return Command(
            agent=route.agent,
            request_id=_text(_value(route.request_id, values, "request_id"), "request_id"),
            input={name: _value(expression, values, name) for name, expression in route.input.items()},
            action=route.action,
            message=route.message,
            payload={name: _value(expression, values, name) for name, expression in route.payload.items()},
        )

    def runs_of(self, event: Envelope) -> tuple[RunRoute, ...]:
        """The DAGs that get a run of this fact, each once."""
        matching = {
            route.dag: route
            for route in reversed(self.runs)
            if route.type == event.type and all(event.data.get(name) == value for name, value in route.when.items())
        }
        return tuple(matching.values())


def _check(route: StartRoute, agents: Mapping[str, AgentSpec]) -> None:
    spec = find_agent(route.agent, agents)
    for expression in (route.tenant, route.request_id, *route.input.values(), *route.payload.values()):
        jmespath.compile(expression)
    unknown = sorted(set(route.input) - set(spec.request.model_fields))
    if unknown:
        problem = f"agent {spec.name!r} takes no input {unknown}; it takes {sorted(spec.request.model_fields)}"
        raise Refused(Code.BAD_ROUTES, problem)
    if route.message and route.message not in spec.messages:
        problem = f"agent {spec.name!r} has no message {route.message!r}; it has {sorted(spec.messages)}"
        raise Refused(Code.BAD_ROUTES, problem)


def _requested(event: Envelope) -> Command:
    try:
        request = AgentRequested.model_validate(event.data)
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"the request is not valid: {describe(error)}") from error
    return Command(agent=request.agent, request_id=request.request_id, input=request.input)


def _value(expression: str, event: Mapping[str, Any], what: str) -> Any:
    try:
        return jmespath.search(expression, event)
    except JMESPathError as error:
        problem = f"the route's expression {expression!r} for {what!r} does not fit this event: {error}"
        raise Refused(Code.INVALID_REQUEST, problem) from error


def _text(value: Any, what: str) -> str:
    if isinstance(value, bool) or not isinstance(value, str | int) or value == "":
        problem = f"the route's {what} came out as {type(value).__name__}, not as text; the event lacks it"
        raise Refused(Code.INVALID_REQUEST, problem)
    return str(value)
