import asyncio
from dataclasses import dataclass, replace

import pytest

from bridge.contracts.catalog import AGENTS
from bridge.contracts.envelope import Envelope, wrap
from bridge.contracts.failures import Code, Refused, Unavailable
from bridge.contracts.ids import completion_event_id
from bridge.contracts.names import REQUESTS_TOPIC
from bridge.contracts.routes import RoutingTable
from bridge.domain.routing import Routing
from bridge.domain.task_runs import OnTaskEnd, TaskRun
from bridge.handlers import AnnounceFacts, StartAgents
from bridge.reconciler import reconcile_once, settle_tasks_once
from tests.fakes import FakeAgents, FakeLedger, FakePipelines
from tests.samples import AA, NOW, completed, requested

ROUTES = {
    "starts": [
        {
            "type": "com.example.pinged.v1", "topic": "ops.pings.v1", "agent": "canary", "tenant": "data.carrier",
            "action": action, "message": "note", "request_id": "data.ping", "input": {"notes": "`2`"},
            "payload": {"text": "data.words"},
        }
        for action in ["signal_with_start"]
    ],
    "runs": [{"type": "tandem.agent.completed.v1", "when": {"agent": "investigate_delays"}, "dag": "digest"}],
}  # fmt: skip
ROUTING = Routing.of(RoutingTable.model_validate(ROUTES), AGENTS)


def _handler(agents: FakeAgents, ledger: FakeLedger, topic: str = REQUESTS_TOPIC) -> StartAgents:
    return StartAgents(topic, agents, ledger, ROUTING, AGENTS)


def _ledger() -> FakeLedger:
    return FakeLedger(tenants={"AA": AA}, published={("AA", "2013-04-16")})


async def test_a_request_starts_its_agent_with_pinned_snapshots() -> None:
    agents, ledger = FakeAgents(), _ledger()

    outcome = await _handler(agents, ledger)(requested())

    assert outcome == "started"
    start = agents.started["AA/investigate_delays/r1"]
    assert (start.started_by, start.cause, start.snapshots[0].snapshot_id) == ("kafka", "event-1", 1)


async def test_the_same_request_three_times_makes_one_agent() -> None:
    agents, ledger = FakeAgents(), _ledger()
    handler = _handler(agents, ledger)

    outcomes = [await handler(requested()) for _ in range(3)]

    assert outcomes == ["started", "duplicate", "duplicate"]
    assert list(agents.started) == ["AA/investigate_delays/r1"]


async def test_a_start_that_was_accepted_before_a_crash_is_recorded_the_second_time() -> None:
    agents, ledger = FakeAgents(), _ledger()
    await _handler(agents, ledger)(requested())
    ledger.accepted.clear()  # as if the bridge had died between Temporal's answer and its own record

    outcome = await _handler(agents, ledger)(requested())

    assert outcome == "duplicate"
    assert ledger.accepted == {"AA/investigate_delays/r1": "event-1"}


@dataclass(frozen=True)
class Case:
    id: str
    event: Envelope
    code: Code


REFUSED = (
    Case("unknown agent", requested(agent="make_coffee"), Code.UNKNOWN_AGENT),
    Case("unknown tenant", requested().model_copy(update={"tenant": "ZZ"}), Code.UNKNOWN_TENANT),
    Case("unknown field", requested(urgent=True), Code.INVALID_REQUEST),
    Case("request id with a slash", requested(request_id="../x"), Code.INVALID_REQUEST),
    Case("not a day", requested(input={"day": "tomorrow"}), Code.INVALID_REQUEST),
    Case("input misses a field", requested(input={}), Code.INVALID_REQUEST),
    Case("day without data", requested(input={"day": "2013-05-05"}), Code.NOT_PUBLISHED),
    Case("another event type", requested().model_copy(update={"type": "x"}), Code.UNKNOWN_TYPE),
)


@pytest.mark.parametrize("case", REFUSED, ids=lambda case: case.id)
async def test_a_request_that_can_never_be_served_is_refused(case: Case) -> None:
    agents = FakeAgents()

    with pytest.raises(Refused) as refused:
        await _handler(agents, _ledger())(case.event)

    assert refused.value.code is case.code
    assert agents.started == {}


async def test_an_engine_that_is_down_is_not_the_events_fault() -> None:
    with pytest.raises(Unavailable):
        await _handler(FakeAgents(down=True), _ledger())(requested())


def _completion() -> Envelope:
    run = completed()
    return wrap(run, event_id=completion_event_id(run.workflow_id), tenant="AA", time=NOW)


def _announce(pipelines: FakePipelines, ledger: FakeLedger, routing: Routing = ROUTING) -> AnnounceFacts:
    return AnnounceFacts(pipelines, ledger, routing)


async def test_a_completion_seen_twice_is_announced_once_and_makes_one_run() -> None:
    pipelines, ledger = FakePipelines(), FakeLedger()
    handler = _announce(pipelines, ledger)

    outcomes = [await handler(_completion()) for _ in range(2)]

    assert outcomes == ["delivered", "duplicate"]
    ((asset, partition, extra),) = pipelines.emitted
    assert (asset, partition) == ("agents.completed", "AA/investigate_delays/r1#completed")
    ((run, conf),) = pipelines.runs.items()
    assert run == ("digest", "AA~investigate_delays~r1+23completed")
    assert conf == {"tenant": "AA", "events": [extra]}


async def test_what_airflow_stored_before_a_crash_is_not_stored_again() -> None:
    """The answers to the run and to the asset event are lost, one after the other."""
    pipelines, ledger = FakePipelines(answers_lost=1), FakeLedger()
    for lost in (1, 1, 0):
        pipelines.answers_lost = lost
        try:
            await _announce(pipelines, ledger)(_completion())
        except Unavailable:
            continue

    assert (len(pipelines.emitted), len(pipelines.runs)) == (1, 1)
    assert set(ledger.deliveries.values()) == {NOW}


async def test_a_completion_is_not_delivered_while_airflow_is_down() -> None:
    ledger = FakeLedger()

    with pytest.raises(Unavailable):
        await _announce(FakePipelines(down=True), ledger)(_completion())

    assert set(ledger.deliveries.values()) == {None}


async def test_other_lifecycle_events_start_nothing_downstream() -> None:
    pipelines = FakePipelines()

    outcome = await _announce(pipelines, FakeLedger())(requested())

    assert (outcome, pipelines.emitted) == ("ignored", [])


def _batched(size: int, seconds: float) -> Routing:
    route = {"type": "tandem.agent.completed.v1", "dag": "digest", "batch": {"size": size, "seconds": seconds}}
    return Routing.of(RoutingTable.model_validate({"runs": [route]}), AGENTS)


def _completions(count: int) -> list[Envelope]:
    runs = [completed(f"AA/investigate_delays/r{number}") for number in range(count)]
    return [wrap(run, event_id=completion_event_id(run.workflow_id), tenant="AA", time=NOW) for run in runs]


async def test_a_batch_is_one_run_when_it_is_full_or_its_window_is_over() -> None:
    pipelines, ledger = FakePipelines(), FakeLedger()
    handler = _announce(pipelines, ledger, _batched(size=3, seconds=0.05))

    await asyncio.gather(*(handler(event) for event in _completions(5)))

    assert sorted(len(conf["events"]) for conf in pipelines.runs.values()) == [2, 3]
    runs = [extra["workflow_id"] for conf in pipelines.runs.values() for extra in conf["events"]]
    assert sorted(runs) == [f"AA/investigate_delays/r{number}" for number in range(5)]


async def test_a_batch_decided_before_a_crash_makes_the_same_run_after_it() -> None:
    pipelines, ledger = FakePipelines(), FakeLedger()
    pipelines.down = True
    before = _announce(pipelines, ledger, _batched(size=2, seconds=0.05))
    await asyncio.gather(*(before(event) for event in _completions(2)), return_exceptions=True)
    decided = dict(ledger.batches)
    pipelines.down = False

    after = _announce(pipelines, ledger, _batched(size=3, seconds=0.05))
    await asyncio.gather(*(after(event) for event in _completions(3)))

    assert len(decided) == 1
    assert set(decided) < {run for _, run in pipelines.runs}
    assert sorted(len(conf["events"]) for conf in pipelines.runs.values()) == [1, 2]


async def test_another_systems_event_reaches_its_agent_as_the_route_says() -> None:
    agents, ledger = FakeAgents(), _ledger()
    event = Envelope(
        id="e1", type="com.example.pinged.v1", tenant="AA", data={"carrier": "AA", "ping": 7, "words": "hello"}
    )
    handler = _handler(agents, ledger, "ops.pings.v1")

    outcomes = [await handler(event) for _ in range(2)]

    assert outcomes == ["messaged", "duplicate"]
    assert agents.started["AA/canary/7"].input == {"notes": 2}
    ((how, run, name, message),) = agents.messages
    assert (how, run, name, message.event_id, message.data) == (
        "signal",
        "AA/canary/7",
        "note",
        "e1",
        {"text": "hello"},
    )


async def test_a_message_to_a_run_that_has_ended_is_refused() -> None:
    agents = FakeAgents(closed={"AA/canary/7": completed("AA/canary/7")})
    event = Envelope(id="e1", type="com.example.pinged.v1", tenant="AA", data={"ping": "7", "words": "hello"})

    with pytest.raises(Refused) as refused:
        await _handler(agents, _ledger(), "ops.pings.v1")(event)

    assert refused.value.code is Code.AGENT_CLOSED


TASK = TaskRun("AA/canary/7", "AA", "dag", "run", "task", -1, OnTaskEnd.RE_ATTACH)


@pytest.mark.parametrize(
    ("policy", "state", "cancelled", "settled"),
    [
        ("re_attach", "deferred", False, False),
        ("re_attach", "up_for_retry", False, False),
        ("re_attach", None, False, False),
        ("re_attach", "failed", True, True),
        ("re_attach", "gone", True, True),
        ("cancel", "deferred", False, False),
        ("cancel", "up_for_retry", True, True),
        ("cancel", None, True, True),
        ("let_run", "failed", False, True),
        ("let_run", "up_for_retry", False, False),
    ],
)
async def test_an_agent_whose_task_ended_is_treated_as_the_policy_says(
    policy: str, state: str | None, cancelled: bool, settled: bool
) -> None:
    agents = FakeAgents()
    ledger = FakeLedger(task_runs={TASK.workflow_id: replace(TASK, on_task_end=OnTaskEnd(policy))})

    count = await settle_tasks_once(agents, ledger, FakePipelines(states={TASK.workflow_id: state}))

    assert (count, agents.cancelled) == ((1, [TASK.workflow_id]) if cancelled else (0, []))
    assert (ledger.task_runs == {}) is settled


async def test_a_run_that_closed_without_a_word_completes_once() -> None:
    run = completed(outcome="terminated", code="agent_terminated", reason="killed", output={})
    agents, ledger = FakeAgents(closed={run.workflow_id: run}), FakeLedger()

    found = [await reconcile_once(agents, ledger, since=NOW.replace(year=2025)) for _ in range(2)]

    assert found == [1, 0]
    assert ledger.completed[run.workflow_id].outcome == "terminated"
