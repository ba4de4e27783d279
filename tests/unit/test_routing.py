from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from bridge.adapters.files import read_routes
from bridge.contracts.catalog import AGENTS
from bridge.contracts.envelope import Envelope, Record, decode
from bridge.contracts.failures import Code, Refused
from bridge.contracts.routes import Action, RoutingTable
from bridge.domain.routing import Routing

ROUTES = Path(__file__).parents[2] / "infra" / "routes.yaml"
TOPIC = "ops.departures.v1"
TYPE = "com.example.departures.reviewed.v1"


def _routing(**changes: Any) -> Routing:
    route = {
        "type": TYPE, "topic": TOPIC, "agent": "investigate_delays", "tenant": "data.carrier",
        "request_id": "join('.', ['review', data.date])", "input": {"day": "data.date"},
    }  # fmt: skip
    return Routing.of(RoutingTable.model_validate({"starts": [route | changes]}), AGENTS)


def _event(**data: Any) -> Envelope:
    return Envelope(id="e1", type=TYPE, tenant="AA", data={"carrier": "AA", "date": "2013-04-16"} | data)


def test_an_event_of_another_system_becomes_the_request_its_route_maps_it_to() -> None:
    command = _routing().command(TOPIC, _event())

    assert (command.agent, command.request_id, command.action) == (
        "investigate_delays", "review.2013-04-16", Action.START,
    )  # fmt: skip
    assert command.input == {"day": "2013-04-16"}


def test_a_foreign_sender_need_not_know_our_envelope() -> None:
    """Plain JSON without type and tenant: the topic has one route, and the route says where the tenant stands."""
    record = Record(topic=TOPIC, key=None, value=b'{"id": "7", "carrier": "UA", "date": "2013-04-16"}')

    event = decode(record, _routing().complete)

    assert (event.type, event.tenant, event.data["date"]) == (TYPE, "UA", "2013-04-16")


def test_the_tenant_is_the_routes_even_if_the_sender_names_another() -> None:
    record = Record(topic=TOPIC, key=None, value=b'{"id": "7", "tenant": "AA", "data": {"carrier": "UA"}}')

    assert decode(record, _routing().complete).tenant == "UA"


@dataclass(frozen=True)
class Case:
    id: str
    changes: dict[str, Any]
    says: str


WRONG = (
    Case("no such agent", {"agent": "make_coffee"}, "make_coffee"),
    Case("no such input", {"input": {"hour": "data.hour"}}, "takes no input"),
    Case("not an expression", {"request_id": "join('.', ["}, "cannot work"),
    Case("no such message", {"action": "signal_with_start", "message": "shout"}, "has no message"),
)


@pytest.mark.parametrize("case", WRONG, ids=lambda case: case.id)
def test_a_route_that_can_never_work_is_refused_when_it_is_read(case: Case) -> None:
    with pytest.raises(Refused, match=case.says) as refused:
        _routing(**case.changes)

    assert refused.value.code is Code.BAD_ROUTES


@pytest.mark.parametrize(
    "changes",
    [{"topic": "agents.lifecycle.v1"}, {"topic": "x.dead"}, {"message": "note"}, {"action": "signal_with_start"}],
    ids=["our own topic", "a dead-letter topic", "a message for a start", "a signal without a name"],
)
def test_a_table_that_contradicts_itself_is_refused(changes: dict[str, Any]) -> None:
    with pytest.raises(ValidationError):
        _routing(**changes)


@pytest.mark.parametrize(
    ("event", "code"),
    [
        (_event().model_copy(update={"type": "x"}), Code.UNKNOWN_TYPE),
        (_event(date=None), Code.INVALID_REQUEST),
        (_event(date=["a"]), Code.INVALID_REQUEST),
    ],
    ids=["no route", "the field is missing", "the field is of another kind"],
)
def test_an_event_that_does_not_fit_its_route_is_refused(event: Envelope, code: Code) -> None:
    with pytest.raises(Refused) as refused:
        _routing().command(TOPIC, event)

    assert refused.value.code is code


def test_facts_start_the_runs_whose_conditions_they_meet() -> None:
    runs = [
        {"type": "t", "dag": "every"},
        {"type": "t", "when": {"agent": "canary"}, "dag": "canaries", "batch": {"size": 10}},
        {"type": "t", "when": {"agent": "canary", "outcome": "failed"}, "dag": "alarms"},
    ]
    routing = Routing.of(RoutingTable.model_validate({"runs": runs}), AGENTS)
    event = Envelope(id="e", type="t", tenant="AA", data={"agent": "canary", "outcome": "completed"})

    assert {route.dag: route.batch.size for route in routing.runs_of(event)} == {"every": 1, "canaries": 10}


def test_the_routes_that_are_shipped_can_work() -> None:
    routing = Routing.of(read_routes(ROUTES), AGENTS)

    assert routing.topics == ("agents.request.v1", TOPIC)


@pytest.mark.parametrize("text", ["starts: [", "starts: [{type: x}]", "begins: []", "- a"])
def test_a_wrong_file_of_routes_is_refused_and_named(tmp_path: Path, text: str) -> None:
    file = tmp_path / "routes.yaml"
    file.write_text(text)

    with pytest.raises(Refused, match="routes") as refused:
        read_routes(file)

    assert refused.value.code is Code.BAD_ROUTES
