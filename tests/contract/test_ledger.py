"""The ledger's promises, on SQLite and on PostgreSQL."""

import datetime as dt
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy import text

from bridge.adapters.database import Database, ledger, runs
from bridge.adapters.database.models import Table
from bridge.adapters.sql_ledger import resolve_snapshots
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS
from bridge.contracts.events import AgentAccepted, SnapshotPublished, Verdict
from bridge.contracts.failures import Code, Refused, Unavailable
from bridge.contracts.tenants import Tenant
from bridge.domain.task_runs import OnTaskEnd, TaskRun
from tests.postgres import postgres_database
from tests.samples import AA, NOW, completed, snapshots

ENGINES = ["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)]


@pytest.fixture(params=ENGINES)
def database(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Database]:
    if request.param == "postgresql":
        yield from postgres_database(tmp_path)
        return
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    database.migrate()
    yield database
    database.close()


def test_the_migrations_make_exactly_the_tables_of_the_models(database: Database) -> None:
    database.migrate()  # again: must change nothing

    with database.engine.connect() as connection:
        context = MigrationContext.configure(connection)
        differences = [d for d in compare_metadata(context, Table.metadata) if "alembic_version" not in str(d)]

    assert differences == []


def test_tenants_are_created_changed_and_kept(database: Database) -> None:
    first = database.run(ledger.apply_tenants, [AA])
    second = database.run(ledger.apply_tenants, [AA])
    third = database.run(ledger.apply_tenants, [Tenant(id="AA", name="American", weight=2)])

    assert (first, second, third) == ({"AA": "created"}, {"AA": "unchanged"}, {"AA": "changed"})
    assert database.run(ledger.find_tenant, "AA") == Tenant(id="AA", name="American", weight=2)
    assert database.run(ledger.find_tenant, "ZZ") is None


def _told(database: Database) -> list[str]:
    return [event.envelope.id.split("#")[1] for event in database.run(ledger.waiting_events, 10)]


def test_a_run_completes_once_and_tells_once(database: Database) -> None:
    first = database.run(ledger.record_completion, completed(), tenant="AA", cause="c1")
    second = database.run(ledger.record_completion, completed(outcome="terminated"), tenant="AA")

    accepted, told = database.run(ledger.waiting_events, 10)
    assert (first, second) == (True, False)
    assert (accepted.envelope.id, accepted.envelope.cause) == ("AA/investigate_delays/r1#accepted", "c1")
    assert (told.topic, told.key) == ("agents.lifecycle.v1", "AA/investigate_delays/r1")
    assert (told.envelope.id, told.envelope.tenant, told.envelope.cause) == (
        "AA/investigate_delays/r1#completed",
        "AA",
        "c1",
    )
    assert database.run(ledger.find_completion, "AA/investigate_delays/r1") == completed()


def test_of_many_writers_of_one_completion_one_wins(database: Database) -> None:
    won: list[bool] = []
    threads = [
        threading.Thread(target=lambda: won.append(database.run(ledger.record_completion, completed(), tenant="AA")))
        for _ in range(8)
    ]

    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(won) == [False] * 7 + [True]
    assert _told(database) == [
        "accepted",
        "completed",
    ]


def test_a_decision_and_its_event_are_written_together_or_not_at_all(database: Database) -> None:
    def decide_and_die(session: Any) -> None:
        ledger.record_completion(session, completed(), tenant="AA")
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.run(decide_and_die)

    assert database.run(ledger.find_completion, "AA/investigate_delays/r1") is None
    assert database.run(ledger.waiting_events, 10) == []


def test_events_wait_in_the_order_they_were_decided(database: Database) -> None:
    runs = [f"AA/investigate_delays/r{number}" for number in range(5)]
    for run in runs:
        database.run(ledger.record_completion, completed(run), tenant="AA")

    waiting = database.run(ledger.waiting_events, 6)
    again = database.run(ledger.waiting_events, 6)
    database.run(ledger.mark_published, [event.seq for event in waiting])
    rest = database.run(ledger.waiting_events, 10)

    assert [event.key for event in waiting][::2] == runs[:3]
    assert [event.key for event in rest][::2] == runs[3:]
    assert {event.tried_at for event in waiting} == {None}
    assert None not in {event.tried_at for event in again}


def test_missing_completions_are_found(database: Database) -> None:
    database.run(ledger.record_completion, completed(), tenant="AA")

    missing = database.run(ledger.missing_completions, ["AA/investigate_delays/r1", "AA/investigate_delays/r2"])

    assert missing == {"AA/investigate_delays/r2"}


def test_an_accepted_request_is_known_and_told_once(database: Database) -> None:
    run = AgentAccepted(workflow_id="AA/a/r1", agent="a", request_id="r1", started_by="kafka")

    for _ in range(2):
        database.run(ledger.record_accepted, [("AA", "e1", run)])

    assert database.run(ledger.accepted_among, ["AA/a/r1", "AA/a/r2"]) == {"AA/a/r1"}
    assert len(database.run(ledger.waiting_events, 10)) == 1


def test_a_run_that_completes_before_its_acceptance_is_recorded_is_told_in_order(database: Database) -> None:
    run = AgentAccepted(
        workflow_id="AA/investigate_delays/r1", agent="investigate_delays", request_id="r1", started_by="kafka"
    )

    database.run(ledger.record_completion, completed(), tenant="AA", cause="e1")
    database.run(ledger.record_accepted, [("AA", "e1", run)])

    assert _told(database) == ["accepted", "completed"]


def test_a_tenant_is_told_each_time_its_declaration_changes(database: Database) -> None:
    other = AA.model_copy(update={"weight": 2.0})
    for declared in (AA, AA, other, AA):
        database.run(ledger.apply_tenants, [declared])

    told = [event.envelope for event in database.run(ledger.waiting_events, 9)]

    assert [(event.id, event.data["tenant"]["weight"]) for event in told] == [
        ("AA#declared-1", 1.0),
        ("AA#declared-2", 2.0),
        ("AA#declared-3", 1.0),
    ]


def test_a_lease_has_one_holder_and_runs_out(database: Database) -> None:
    def hold(holder: str, seconds: float = 60) -> bool:
        return database.run(ledger.hold_lease, "relay", holder=holder, seconds=seconds)

    taken = [hold("one"), hold("two"), hold("one", seconds=-1), hold("two")]
    database.run(ledger.drop_lease, "relay", holder="one")  # not its own any more
    kept = hold("one")
    database.run(ledger.drop_lease, "relay", holder="two")

    assert taken == [True, False, True, True]
    assert (kept, hold("one")) == (False, True)


def test_of_many_that_want_a_lease_one_gets_it(database: Database) -> None:
    got: list[bool] = []

    def want(holder: str) -> None:
        got.append(database.run(ledger.hold_lease, "relay", holder=holder, seconds=60))

    threads = [threading.Thread(target=want, args=(f"holder-{number}",)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()

    assert sorted(got) == [False] * 7 + [True]


def test_a_delivery_is_new_then_tried_then_done(database: Database) -> None:
    def begin() -> dict[str, dt.datetime | None]:
        return database.run(ledger.begin_deliveries, "e1", ["asset", "dag"], tenant="AA")

    first = begin()
    second = begin()
    database.run(ledger.finish_delivery, "e1", "dag")
    third = begin()

    assert first == {"asset": None, "dag": None}
    assert set(second) == {"asset", "dag"}
    assert None not in second.values()
    assert set(third) == {"asset"}
    assert database.run(ledger.is_delivered, "e1", "dag")


def test_an_event_is_in_one_batch_only(database: Database) -> None:
    events: dict[str, dict[str, Any]] = {f"e{number}": {"n": number} for number in range(3)}
    for event in events:
        database.run(ledger.begin_deliveries, event, ["dag"], tenant="AA")

    def decide(*wanted: str) -> list[str]:
        chosen = {name: events[name] for name in wanted}
        return database.run(ledger.decide_batch, "digest", tenant="AA", destination="dag", events=chosen)

    (first,) = decide("e0", "e1")
    again = decide("e1", "e0")
    both = decide("e1", "e2")
    database.run(ledger.finish_batch, first)
    rest = decide("e0", "e2")

    assert again == [first]
    assert len(both) == 2
    assert set(rest) == set(both) - {first}
    assert database.run(ledger.batch_events, first) == [{"n": 0}, {"n": 1}]
    assert database.run(ledger.is_delivered, "e0", "dag")


def test_a_task_waits_for_its_run_until_it_is_settled_or_the_run_completes(database: Database) -> None:
    tasks = [
        TaskRun(f"AA/investigate_delays/r{n}", "AA", "dag", "run", "task", n, OnTaskEnd.RE_ATTACH) for n in range(3)
    ]
    for task in tasks:
        database.run(ledger.record_task_run, task)
    database.run(ledger.settle_task_run, tasks[0].workflow_id)
    database.run(ledger.record_completion, completed(tasks[1].workflow_id), tenant="AA")

    open_then = database.run(ledger.open_task_runs, 10)
    database.run(ledger.record_task_run, tasks[0])  # the task was cleared and waits again

    assert open_then == [tasks[2]]
    assert set(database.run(ledger.open_task_runs, 10)) == {tasks[0], tasks[2]}


def test_an_effect_is_made_once_and_its_tries_are_counted(database: Database) -> None:
    made = [database.run(runs.make_effect, "k", tenant="AA", run="r") for _ in range(3)]

    with database.engine.connect() as connection:
        tries = connection.execute(text("select tries from effects")).scalar_one()
    assert (made, tries) == ([True, False, False], 3)


def test_the_last_decision_on_a_dead_letter_counts(database: Database) -> None:
    for decision in ("discarded", "replayed"):
        database.run(ledger.decide_dead_letter, "d1", times=1, decision=decision)

    assert database.run(ledger.dead_letter_decisions) == {("d1", 1): "replayed"}


def _publish(database: Database, *, tenant: str, position: int, snapshot_id: int) -> None:
    ref = snapshots(tenant)[position].model_copy(update={"snapshot_id": snapshot_id, "tag": f"t{snapshot_id}"})
    published = SnapshotPublished(day=dt.date(2013, 4, 16), rows=3, snapshot=ref, verdict="v")
    assert database.run(ledger.record_publication, published)
    assert not database.run(ledger.record_publication, published)


def test_the_newest_publication_of_the_day_is_pinned_with_its_references(database: Database) -> None:
    _publish(database, tenant="AA", position=0, snapshot_id=1)
    _publish(database, tenant="AA", position=0, snapshot_id=2**62)
    _publish(database, tenant="AA", position=1, snapshot_id=3)

    found = database.run(resolve_snapshots, tenant="AA", spec=INVESTIGATE_DELAYS, request={"day": "2013-04-16"})

    assert [(ref.dataset, ref.snapshot_id) for ref in found] == [("departures", 2**62), ("market_hourly", 3)]


def test_another_tenants_publication_is_never_found(database: Database) -> None:
    _publish(database, tenant="UA", position=0, snapshot_id=1)

    with pytest.raises(Refused) as refused:
        database.run(resolve_snapshots, tenant="AA", spec=INVESTIGATE_DELAYS, request={"day": "2013-04-16"})

    assert refused.value.code is Code.NOT_PUBLISHED


def test_a_verdict_is_recorded_and_told_once(database: Database) -> None:
    verdict = Verdict(
        id="v1", tenant="AA", dataset="departures", day=dt.date(2013, 4, 16), snapshot_id=2**62, suite="departures",
        passed=False, rows=3, critical=1, warnings=0, reasons=("critical: x",), decided_at=NOW,
    )  # fmt: skip

    new = [database.run(ledger.record_verdict, verdict) for _ in range(2)]

    assert new == [True, False]
    assert database.run(ledger.list_verdicts, tenant="AA") == (verdict,)
    assert database.run(ledger.list_verdicts, tenant="UA") == ()


def _turn(database: Database, run: str, version: int, *, parent: str, says: str) -> None:
    database.run(
        runs.append_turn, run=run, version=version, parent=parent, tenant="AA", messages=says.encode(), decision=says
    )


def test_a_turn_is_kept_as_first_written_and_a_step_counts_its_finishes(database: Database) -> None:
    for decision in ("first", "second"):
        _turn(database, "r", 0, parent="", says=decision)
        database.run(
            runs.record_step, run="r", step="1-decide", tenant="AA", kind="model", result=decision, milliseconds=5
        )

    assert database.run(runs.load_transcript, "r", 0) == [b"first"]
    assert database.run(runs.find_turn, "r", 0) == "first"
    assert database.run(runs.find_turn, "r", 1) is None
    assert database.run(runs.find_step, run="r", step="1-decide") == "first"
    assert database.run(runs.find_step, run="r", step="2-decide") is None
    assert database.run(runs.list_steps, "r") == [("1-decide", "model", 2, 5)]


def test_a_transcript_goes_on_from_the_run_it_was_reset_in_or_continued(database: Database) -> None:
    for version in range(4):
        _turn(database, "first", version, parent="first" if version else "", says=f"first {version}")
    _turn(database, "reset at 2", 2, parent="first", says="another 2")
    _turn(database, "reset at 2", 3, parent="reset at 2", says="another 3")
    _turn(database, "continued", 4, parent="reset at 2", says="continued 4")

    assert database.run(runs.load_transcript, "first", 3) == [b"first 0", b"first 1", b"first 2", b"first 3"]
    assert database.run(runs.load_transcript, "continued", 4) == [
        b"first 0", b"first 1", b"another 2", b"another 3", b"continued 4"
    ]  # fmt: skip
    assert database.run(runs.load_transcript, "nobody", 4) == []


def test_a_wrong_url_is_refused_and_an_absent_server_is_unavailable() -> None:
    with pytest.raises(Refused, match="URL of the platform database"):
        Database("what is this")
    with pytest.raises(Unavailable) as unavailable:
        Database("postgresql://me:secret@127.0.0.1:1/none").run(ledger.list_tenants)
    assert "secret" not in str(unavailable.value)
