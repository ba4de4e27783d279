"""The digest: what agents found, per tenant and day, as an Iceberg table and a report.

Keyed by workflow id, so a completion that is delivered twice changes nothing the second time.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from airflow_bridge.quality.report import findings_key, findings_page
from bridge.contracts import datasets, names
from bridge.contracts.events import AgentCompleted

if TYPE_CHECKING:
    from airflow_bridge.hooks.platform import PlatformHook


def write_digest(platform: "PlatformHook", events: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Upsert the findings in ``events`` (asset event extras) and render the days they touch."""
    rows: dict[str, dict[str, dict[str, Any]]] = defaultdict(dict)
    for event in events:
        row = finding_row(AgentCompleted.model_validate(event))
        rows[str(event["tenant"])][row["workflow_id"]] = row
    reports: list[str] = []
    for tenant, found in sorted(rows.items()):
        _upsert(platform, tenant, list(found.values()))
        reports.extend(_render(platform, tenant, day) for day in sorted({row["day"] for row in found.values()}))
    return {"runs": sum(len(found) for found in rows.values()), "reports": reports}


def finding_row(completed: AgentCompleted) -> dict[str, Any]:
    """One row of ``findings``; every column is text and set, so that rows compare."""
    own = next((ref for ref in completed.snapshots if ref.tenant != names.PLATFORM_TENANT), None)
    return {
        "workflow_id": completed.workflow_id,
        "day": str(completed.input.get("day", "")),
        "agent": completed.agent,
        "outcome": completed.outcome.value,
        "cause": str(completed.output.get("cause", "")),
        "severity": str(completed.output.get("severity", "")),
        "summary": str(completed.output.get("summary", "")),
        "started_by": completed.started_by,
        "snapshot_id": str(own.snapshot_id) if own else "",
        "reason": f"{completed.code}: {completed.reason}" if completed.code else "",
        "closed_at": completed.closed_at.isoformat(),
    }


def _upsert(platform: "PlatformHook", tenant: str, rows: list[dict[str, Any]]) -> None:
    import pyarrow as pa  # noqa: PLC0415 - keeps DAG parsing cheap

    schema = pa.schema([(name, pa.string()) for name in datasets.FINDINGS_COLUMNS])
    table = pa.Table.from_pylist(rows, schema=schema)
    platform.lakehouse.upsert(tenant=tenant, dataset=names.FINDINGS, rows=table, key="workflow_id")


def _render(platform: "PlatformHook", tenant: str, day: str) -> str:
    findings = platform.lakehouse.read_head(tenant, names.FINDINGS)
    of_day = [row for row in (findings.to_pylist() if findings is not None else []) if row["day"] == day]
    key = findings_key(tenant, day or "without-day")
    page = findings_page(tenant, day, sorted(of_day, key=lambda row: row["closed_at"])).encode()
    platform.objects.put(names.REPORTS_BUCKET, key, page, content_type="text/html; charset=utf-8")
    return platform.report_url(key)
