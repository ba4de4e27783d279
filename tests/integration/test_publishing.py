"""Write, audit, publish on real tables in a real S3: only what passed is ever read."""

import csv
import io
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from airflow_bridge import publishing
from airflow_bridge.datasets import flights
from airflow_bridge.digest import write_digest
from bridge.adapters.database import Database, ledger
from bridge.adapters.files import read_tenants
from bridge.adapters.iceberg import Audit
from bridge.contracts import names
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.failures import Code, Refused
from bridge.stack.raw_data import damage, load_days
from tests.conftest import REPOSITORY
from tests.platform import Platform
from tests.samples import completed

pytestmark = pytest.mark.integration

Rows = list[dict[str, str]]


@pytest.fixture
def platform(stack: Any, tmp_path: Path) -> Iterator[Platform]:
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    database.migrate()
    database.run(ledger.apply_tenants, read_tenants(REPOSITORY / "infra" / "tenants.yaml"))
    yield Platform(database, stack.objects, stack.lakehouse(database))
    database.close()


def _deliver(platform: Platform, day: str, tenant: str, change: Callable[[bytes], bytes] = lambda body: body) -> None:
    load_days(platform.objects, [day], [tenant], {})
    key = flights.flights_key(day, tenant)
    body = change(platform.objects.get(names.RAW_BUCKET, key))
    platform.objects.put(names.RAW_BUCKET, key, body, content_type="text/csv")


def _audit(platform: Any, day: str, tenant: str, run: str = "r1") -> dict[str, Any]:
    return publishing.audit_departures(platform, tenant=tenant, day=day, run=run)


def _published(platform: Any, day: str, tenant: str, run: str = "r1") -> dict[str, Any]:
    return publishing.publish_departures(platform, _audit(platform, day, tenant, run))


def _rows(platform: Platform, ref: dict[str, Any]) -> int:
    return platform.lakehouse.read(ref["table"], ref["snapshot_id"]).num_rows


def test_a_good_day_is_published_tagged_and_told(platform: Platform) -> None:
    _deliver(platform, "2013-03-05", "VX")

    event = _published(platform, "2013-03-05", "VX")

    own = event["snapshots"][0]
    assert (event["tenant"], event["day"], event["verdict"]["passed"]) == ("VX", "2013-03-05", True)
    assert _rows(platform, own) == event["rows"] > 0
    head = platform.lakehouse.read_head("VX", names.DEPARTURES)
    assert head is not None
    assert head.num_rows == event["rows"]
    topics = [event.topic for event in platform.database.run(ledger.waiting_events, 50)]
    assert [topic for topic in topics if topic != names.TENANTS_TOPIC] == [names.QUALITY_TOPIC, names.PUBLISHED_TOPIC]


def test_a_damaged_day_stays_unpublished_and_says_why(platform: Platform) -> None:
    _deliver(platform, "2013-03-06", "VX", damage)

    audited = _audit(platform, "2013-03-06", "VX")
    with pytest.raises(Refused) as refused:
        publishing.publish_departures(platform, audited)

    assert refused.value.code is Code.QUALITY_REFUSED
    reasons = " ".join(audited["verdict"]["reasons"])
    for told in ("'dep_time' is missing", "dest: values to not be null", "hour: values to be between"):
        assert told in reasons
    head = platform.lakehouse.read_head("VX", names.DEPARTURES)
    assert head is not None
    assert head.num_rows == 0
    assert (
        platform.database.run(ledger.find_snapshot, tenant="VX", dataset="departures", day=_day("2013-03-06")) is None
    )


def _day(text: str) -> Any:
    import datetime as dt

    return dt.date.fromisoformat(text)


def test_a_bad_day_leaves_the_days_before_it_readable(platform: Platform) -> None:
    _deliver(platform, "2013-03-07", "VX")
    good = _published(platform, "2013-03-07", "VX")
    _deliver(platform, "2013-03-08", "VX", damage)

    with pytest.raises(Refused):
        _published(platform, "2013-03-08", "VX")

    head = platform.lakehouse.read_head("VX", names.DEPARTURES)
    assert head is not None
    assert set(head["day"].to_pylist()) == {"2013-03-07"}
    assert _rows(platform, good["snapshots"][0]) == good["rows"]


def _edit(change: Callable[[Rows], Rows]) -> Callable[[bytes], bytes]:
    def edited(body: bytes) -> bytes:
        reader = csv.DictReader(io.StringIO(body.decode()))
        rows = change(list(reader))
        out = io.StringIO()
        writer = csv.DictWriter(out, reader.fieldnames or ())
        writer.writeheader()
        writer.writerows(rows)
        return out.getvalue().encode()

    return edited


def _set(column: str, value: str) -> Callable[[bytes], bytes]:
    return _edit(lambda rows: [row | {column: value} if n == 0 else row for n, row in enumerate(rows)])


@dataclass(frozen=True)
class Fault:
    id: str
    change: Callable[[bytes], bytes]
    says: str


FAULTS = (
    Fault("impossible minute", _set("dep_time", "1275"), "dep_minute"),
    Fault("impossible hour", _set("sched_dep_time", "2560"), "hour"),
    Fault("another carrier's row", _set("carrier", "ZZ"), "carrier"),
    Fault("another day's row", _set("day", "28"), "filed_day"),
    Fault("unknown airport", _set("origin", "XXX"), "origin"),
    Fault("no destination", _set("dest", ""), "dest"),
    Fault("text for a number", _set("distance", "far"), "distance"),
    Fault("departed without a delay", _set("dep_delay", ""), "dep_delay"),
    Fault("a delay of two days", _set("dep_delay", "2880"), "dep_delay"),
    Fault("every row twice", _edit(lambda rows: rows + rows), "unique"),
    Fault("no file but noise", lambda _: bytes(range(256)) * 4, "not CSV"),
    Fault("nothing at all", lambda _: b"", "not CSV"),
)


@pytest.mark.parametrize("fault", FAULTS, ids=lambda fault: fault.id)
def test_each_fault_fails_its_own_rule(platform: Platform, fault: Fault) -> None:
    _deliver(platform, "2013-03-09", "VX", fault.change)

    verdict = _audit(platform, "2013-03-09", "VX")["verdict"]

    assert verdict["passed"] is False
    assert fault.says in " ".join(verdict["reasons"])


def test_an_empty_day_a_missing_file_and_an_unknown_tenant_each_say_so(platform: Any) -> None:
    _deliver(platform, "2013-03-10", "OO")

    with pytest.raises(publishing.NoData, match="no departures"):
        _audit(platform, "2013-03-10", "OO")
    with pytest.raises(Refused) as missing:
        _audit(platform, "2013-03-31", "OO")
    with pytest.raises(Refused) as unknown:
        _audit(platform, "2013-03-10", "ZZ")

    assert (missing.value.code, unknown.value.code) == (Code.RAW_FILE_MISSING, Code.UNKNOWN_TENANT)


def test_publishing_twice_changes_nothing_and_auditing_again_after_a_crash_works(platform: Any) -> None:
    _deliver(platform, "2013-03-11", "VX")
    _audit(platform, "2013-03-11", "VX")  # dies here: its branch is left behind

    audited = _audit(platform, "2013-03-11", "VX")
    first = publishing.publish_departures(platform, audited)
    second = publishing.publish_departures(platform, audited)

    assert first == second
    head = platform.lakehouse.read_head("VX", names.DEPARTURES)
    assert head.num_rows == first["rows"]


def test_days_that_are_judged_side_by_side_are_all_published(platform: Any) -> None:
    days = ("2013-03-12", "2013-03-13", "2013-03-17")
    for day in days:
        _deliver(platform, day, "VX")
    audited = [_audit(platform, day, "VX", run=day) for day in days]

    published = [publishing.publish_departures(platform, one) for one in audited]

    head = platform.lakehouse.read_head("VX", names.DEPARTURES)
    counted = {day: head["day"].to_pylist().count(day) for day in days}
    assert counted == {event["day"]: event["rows"] for event in published}
    assert len({event["snapshots"][0]["snapshot_id"] for event in published}) == 3
    assert [publishing.publish_departures(platform, one) for one in audited] == published


def test_an_audit_is_stale_once_its_own_day_was_published_by_another_run(platform: Any) -> None:
    _deliver(platform, "2013-03-18", "VX")
    early = _audit(platform, "2013-03-18", "VX", run="early")
    _deliver(platform, "2013-03-18", "VX", _edit(lambda rows: rows[1:]))
    _published(platform, "2013-03-18", "VX", run="late")

    with pytest.raises(Refused) as refused:
        publishing.publish_departures(platform, early)

    assert refused.value.code is Code.STALE_AUDIT


def test_a_report_shows_no_raw_value_no_other_tenant_and_loads_nothing(platform: Any) -> None:
    _deliver(platform, "2013-03-14", "VX", _set("dest", "SECRET-VALUE"))

    verdict = _audit(platform, "2013-03-14", "VX")["verdict"]
    page = platform.objects.get(names.REPORTS_BUCKET, verdict["report"]).decode()

    assert "dest" in page
    for absent in ("SECRET-VALUE", "http://", "https://", "<script", "<img", "src=", "@import"):
        assert absent not in page
    others = {t.id for t in read_tenants(REPOSITORY / "infra" / "tenants.yaml")} - {"VX"}
    assert not [tenant for tenant in others if f">{tenant}<" in page or f" {tenant} " in page]


def test_the_market_leaves_out_what_cannot_be_counted_and_names_no_carrier(platform: Any) -> None:
    load_days(platform.objects, ["2013-03-15"], ["UA", "DL", "VX"], {"2013-03-15": "DL"})

    told = publishing.publish_references(platform, day="2013-03-15", run="r1")

    assert told["published"] == {names.MARKET: True, names.WEATHER: True}
    left_out = dict(line.split(": ") for line in told["left_out"])
    assert left_out["DL"] == "the raw file does not have the expected columns"
    assert left_out["HA"] == "raw_file_missing"
    assert not {"UA", "VX"} & set(left_out)
    market = platform.lakehouse.read_head(names.PLATFORM_TENANT, names.MARKET)
    assert market.column_names == ["day", "origin", "hour", "flights", "cancelled", "late"]


def test_the_digest_holds_each_run_once_however_often_it_is_told(platform: Any) -> None:
    runs = [completed(f"VX/investigate_delays/r{n}") for n in range(3)]
    events = [run.model_dump(mode="json") | {"tenant": "VX"} for run in runs]

    write_digest(platform, events[:2])
    write_digest(platform, [*events, events[0]])
    told = write_digest(platform, events)

    findings = platform.lakehouse.read_head("VX", names.FINDINGS)
    assert sorted(findings["workflow_id"].to_pylist()) == [run.workflow_id for run in runs]
    assert told["reports"] == ["reports/VX/findings/2013-04-16.html"]
    page = platform.objects.get(names.REPORTS_BUCKET, "VX/findings/2013-04-16.html").decode()
    assert page.count("<tr>") == 1 + 3


def test_a_snapshot_that_never_was_is_refused(platform: Platform) -> None:
    _deliver(platform, "2013-03-16", "VX")
    ref = SnapshotRef.model_validate(_published(platform, "2013-03-16", "VX")["snapshots"][0])

    with pytest.raises(Refused):
        platform.lakehouse.read(ref.table, 42)
    with pytest.raises(Refused):
        platform.lakehouse.publish(
            Audit("tenant_vx.nothing", "b", 1, 1, 1), tenant="VX", dataset="nothing", day="2013-03-16", tag="t"
        )
