from dataclasses import dataclass

import pytest

from bridge.contracts.agents import AGENTS
from bridge.contracts.envelope import Envelope, wrap
from bridge.contracts.failures import Code, Refused, Unavailable
from bridge.contracts.ids import completion_event_id
from bridge.handlers import AnnounceCompletions, StartAgents
from bridge.reconciler import reconcile_once
from bridge.relay import relay_once
from tests.fakes import FakeAgents, FakeAssets, FakeEventLog, FakeLedger
from tests.samples import AA, NOW, completed, requested


def _handler(agents: FakeAgents, ledger: FakeLedger) -> StartAgents:
    return StartAgents(agents, ledger, AGENTS)


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
    Case("another event type", requested().model_copy(update={"type": "x"}), Code.MALFORMED),
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


async def test_a_completion_seen_twice_is_announced_once() -> None:
    assets, ledger = FakeAssets(), FakeLedger()
    handler = AnnounceCompletions(assets, ledger)

    outcomes = [await handler(_completion()) for _ in range(2)]

    assert outcomes == ["delivered", "duplicate"]
    ((asset, partition, extra),) = assets.emitted
    assert (asset, partition, extra["workflow_id"]) == ("agents.completed", *["AA/investigate_delays/r1"] * 2)


async def test_a_completion_is_not_delivered_while_airflow_is_down() -> None:
    ledger = FakeLedger()

    with pytest.raises(Unavailable):
        await AnnounceCompletions(FakeAssets(down=True), ledger)(_completion())

    assert ledger.delivered == set()


async def test_other_lifecycle_events_start_nothing_downstream() -> None:
    assets = FakeAssets()

    outcome = await AnnounceCompletions(assets, FakeLedger())(requested())

    assert (outcome, assets.emitted) == ("ignored", [])


async def test_a_run_that_closed_without_a_word_completes_once() -> None:
    run = completed(outcome="terminated", code="agent_terminated", reason="killed", output={})
    agents, ledger = FakeAgents(closed={run.workflow_id: run}), FakeLedger()

    found = [await reconcile_once(agents, ledger, since=NOW.replace(year=2025)) for _ in range(2)]

    assert found == [1, 0]
    assert ledger.completed[run.workflow_id].outcome == "terminated"


async def test_the_relay_marks_only_what_the_log_has_stored() -> None:
    ledger, log = FakeLedger(), FakeEventLog(down=True)
    await ledger.record_completion(completed(), tenant="AA")

    with pytest.raises(Unavailable):
        await relay_once(ledger, log)
    kept = len(ledger.outbox)
    log.down = False
    sent = await relay_once(ledger, log)

    assert (kept, sent, ledger.outbox) == (1, 1, [])
    assert dict(log.records[0].headers)["ce_id"] == b"AA/investigate_delays/r1#completed"
