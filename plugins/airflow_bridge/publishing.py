"""Write, audit, publish: the steps of the pipeline behind the operators, without Airflow.

A day of one tenant is written to an audit branch, judged, and published only on a passing verdict. Every step
may run again: it finds what it did before, or does it anew.
"""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from airflow_bridge.datasets import flights
from airflow_bridge.datasets.flights import RawFile
from airflow_bridge.quality import suites
from airflow_bridge.quality.gate import Check, column_checks, judge, run_suite
from airflow_bridge.quality.report import report_key, verdict_page
from bridge.contracts import datasets, ids, names
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.events import SnapshotPublished, Verdict
from bridge.contracts.failures import Code, Refused

if TYPE_CHECKING:
    from airflow_bridge.hooks.platform import PlatformHook
    from bridge.adapters.iceberg import Audit

log = logging.getLogger(__name__)


class NoData(Refused):
    """The file is there and holds no rows: nothing to judge, nothing to publish, nothing wrong."""


def audit_departures(platform: "PlatformHook", *, tenant: str, day: str, run: str) -> dict[str, Any]:
    """Read the raw day of ``tenant``, write its audit branch and judge it.

    Returns ``{"audit", "verdict"}`` as plain values. Raises ``Refused`` (``raw_file_missing``,
    ``unknown_tenant``) or ``NoData``.
    """
    platform.tenant(tenant)
    body = platform.objects.get(names.RAW_BUCKET, flights.flights_key(day, tenant))
    raw = flights.read_csv(body, flights.RAW_COLUMNS)
    if raw.is_readable and raw.frame.empty:
        raise NoData(Code.NO_DATA, f"{tenant!r} has no departures on {day}: the raw file holds no rows")
    frame = flights.departures(raw, day)
    rows = flights.to_arrow(frame, flights.departures_schema())
    audit = platform.lakehouse.write_audit(
        tenant=tenant, dataset=names.DEPARTURES, day=day, rows=rows, branch=_branch(day, run)
    )
    judged = frame.assign(sched_dep_minute=frame["sched_dep_time"] % 100, dep_minute=frame["dep_time"] % 100)
    checks = column_checks(raw.missing, raw.extra, raw.problem)
    if not frame.empty:
        checks += run_suite(suites.departures_suite(tenant, day), judged)
    verdict = _decide(platform, checks, audit, tenant=tenant, dataset=names.DEPARTURES, day=day)
    return {"audit": asdict(audit), "verdict": verdict.model_dump(mode="json")}


def publish_departures(platform: "PlatformHook", audited: dict[str, Any]) -> dict[str, Any]:
    """Publish on a passing verdict; returns what the asset event carries.

    Raises ``Refused(QUALITY_REFUSED)`` that says why and where the report is, or ``Refused(STALE_AUDIT)``.
    """
    from bridge.adapters.iceberg import Audit  # noqa: PLC0415 - keeps DAG parsing cheap

    verdict = Verdict.model_validate(audited["verdict"])
    audit = Audit(**audited["audit"])
    if not verdict.passed:
        platform.lakehouse.discard(audit)
        raise Refused(
            Code.QUALITY_REFUSED,
            f"{verdict.tenant!r} {verdict.dataset} of {verdict.day} stays unpublished, {verdict.critical} critical: "
            f"{'; '.join(verdict.reasons[:5])}. Report: {platform.report_url(verdict.report)}",
        )
    own = _publish(platform, audit, verdict)
    return {
        "tenant": verdict.tenant,
        "day": verdict.day.isoformat(),
        "rows": verdict.rows,
        "snapshots": [ref.model_dump(mode="json") for ref in (own, *_references(platform, verdict.day))],
        "verdict": verdict.model_dump(mode="json", include={"id", "passed", "critical", "warnings", "snapshot_id"}),
        "report": platform.report_url(verdict.report),
    }


def publish_references(platform: "PlatformHook", *, day: str, run: str) -> dict[str, Any]:
    """Judge and publish what all tenants share: the counts of all carriers together, and the weather.

    Returns which were published, and whose files could not be counted and why.
    """
    from bridge.adapters.database import ledger  # noqa: PLC0415

    frames, left_out = [], []
    for tenant in [declared.id for declared in platform.database.run(ledger.list_tenants)]:
        frame, problem = _market_part(platform, tenant, day)
        if problem:
            left_out.append(problem)
        elif frame is not None:
            frames.append(frame)
    market = flights.to_arrow(flights.market_hourly(frames, day), flights.market_schema())
    weather_raw = flights.read_csv(
        platform.objects.get(names.RAW_BUCKET, flights.weather_key(day)), flights.WEATHER_RAW_COLUMNS
    )
    weather = flights.to_arrow(flights.weather_hourly(weather_raw, day), flights.weather_schema())
    published = {
        names.MARKET: _publish_reference(platform, names.MARKET, market, [], suites.market_suite(), day, run),
        names.WEATHER: _publish_reference(
            platform, names.WEATHER, weather, _shape(weather_raw), suites.weather_suite(), day, run
        ),
    }
    return {"published": published, "left_out": left_out}


def _market_part(platform: "PlatformHook", tenant: str, day: str) -> tuple[Any, str]:
    """Rows of one tenant for the market's counts; a file that cannot be counted is left out and named."""
    try:
        body = platform.objects.get(names.RAW_BUCKET, flights.flights_key(day, tenant))
    except Refused as error:
        return None, f"{tenant}: {error.code.value}"
    raw = flights.read_csv(body, flights.RAW_COLUMNS)
    if not raw.is_readable:
        return None, f"{tenant}: the raw file does not have the expected columns"
    frame = flights.departures(raw, day)
    countable = frame["hour"].between(0, 23) & frame["origin"].isin(list(datasets.AIRPORTS))
    return frame[countable], ""


def _publish_reference(  # noqa: PLR0913, PLR0917 - what to publish, how to judge it, and when
    platform: "PlatformHook", dataset: str, rows: Any, shape: list[Check], suite: Any, day: str, run: str
) -> bool:
    tenant = names.PLATFORM_TENANT
    audit = platform.lakehouse.write_audit(tenant=tenant, dataset=dataset, day=day, rows=rows, branch=_branch(day, run))
    checks = shape + run_suite(suite, rows.to_pandas())
    verdict = _decide(platform, checks, audit, tenant=tenant, dataset=dataset, day=day)
    if verdict.passed:
        _publish(platform, audit, verdict)
    else:
        log.warning("%s of %s is not published: %s", dataset, day, "; ".join(verdict.reasons))
        platform.lakehouse.discard(audit)
    return verdict.passed


def _shape(raw: RawFile) -> list[Check]:
    return column_checks(raw.missing, raw.extra, raw.problem)


def _decide(
    platform: "PlatformHook", checks: Sequence[Check], audit: "Audit", *, tenant: str, dataset: str, day: str
) -> Verdict:
    """Write the report, then the verdict with its event: a verdict never points at a missing report."""
    from bridge.adapters.database import ledger  # noqa: PLC0415

    key = report_key(tenant, dataset, day, audit.snapshot_id)
    verdict = judge(
        checks, tenant=tenant, dataset=dataset, day=day, snapshot_id=audit.snapshot_id, rows=audit.rows, report=key
    )
    page = verdict_page(verdict, checks).encode()
    platform.objects.put(names.REPORTS_BUCKET, key, page, content_type="text/html; charset=utf-8")
    platform.database.run(ledger.record_verdict, verdict)
    return verdict


def _publish(platform: "PlatformHook", audit: "Audit", verdict: Verdict) -> SnapshotRef:
    from bridge.adapters.database import ledger  # noqa: PLC0415

    day = verdict.day.isoformat()
    ref = platform.lakehouse.publish(
        audit,
        tenant=verdict.tenant,
        dataset=verdict.dataset,
        day=day,
        tag=ids.snapshot_tag(day, str(audit.snapshot_id)),
    )
    published = SnapshotPublished(
        day=verdict.day, rows=verdict.rows, snapshot=ref, verdict=verdict.id, report=verdict.report
    )
    platform.database.run(ledger.record_publication, published)
    return ref


def _references(platform: "PlatformHook", day: dt.date) -> list[SnapshotRef]:
    from bridge.adapters.database import ledger  # noqa: PLC0415

    found = (
        platform.database.run(ledger.find_snapshot, tenant=names.PLATFORM_TENANT, dataset=dataset, day=day)
        for dataset in (names.MARKET, names.WEATHER)
    )
    return [ref for ref in found if ref is not None]


def _branch(day: str, run: str) -> str:
    """One per run and day: a retry of the task cuts the same branch anew."""
    return f"audit-{day}-{run}"[:200]
