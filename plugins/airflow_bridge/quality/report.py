"""HTML reports: one page per verdict and per day of findings, and an index. Self-contained, no scripts.

A page shows one tenant's counts and rules; never a raw value, never another tenant's data, nothing from the
network.
"""

from collections.abc import Mapping, Sequence
from html import escape
from typing import Any, Final

from airflow_bridge.quality.gate import Check
from bridge.contracts.events import Verdict

STYLE: Final = """
body{font:15px/1.5 system-ui,sans-serif;margin:2rem auto;max-width:62rem;padding:0 1rem;color:#1c2330;background:#fff}
h1{font-size:1.4rem;margin-bottom:.2rem}table{border-collapse:collapse;width:100%;margin:1rem 0}
th,td{text-align:left;padding:.4rem .6rem;border-bottom:1px solid #dde2ea;vertical-align:top}
th{background:#f4f6fa;font-weight:600}.n{text-align:right;font-variant-numeric:tabular-nums}
.ok{color:#116329}.bad{color:#a40e26;font-weight:600}.warn{color:#7a4d00}.muted{color:#5b6574}
@media(prefers-color-scheme:dark){body{background:#12161d;color:#e3e8ef}th{background:#1c222c}
th,td{border-color:#2c3441}.ok{color:#56d364}.bad{color:#ff7b72}.warn{color:#e3b341}.muted{color:#9aa5b4}}
"""


def report_key(tenant: str, dataset: str, day: str, snapshot_id: int) -> str:
    return f"{tenant}/{dataset}/{day}/{snapshot_id}.html"


def findings_key(tenant: str, day: str) -> str:
    return f"{tenant}/findings/{day}.html"


def verdict_page(verdict: Verdict, checks: Sequence[Check]) -> str:
    said = _word("passed", "ok") if verdict.passed else _word("failed: not published", "bad")
    rows = [
        (
            _word("passed", "ok") if c.passed else _word("failed", "bad" if c.severity == "critical" else "warn"),
            escape(c.severity),
            escape(c.rule),
            f"{c.unexpected:,} of {c.rows:,}" if c.unexpected is not None and c.rows is not None else "",
        )
        for c in sorted(checks, key=lambda c: (c.passed, c.severity))
    ]
    facts = (
        f"<p>Verdict: {said}. {verdict.rows:,} rows, {verdict.critical} critical and {verdict.warnings} warnings "
        f"of {len(checks)} checks.</p><p class=muted>Snapshot {verdict.snapshot_id}, suite {escape(verdict.suite)}, "
        f"decided {verdict.decided_at:%Y-%m-%d %H:%M:%S} UTC.</p>"
    )
    title = f"{verdict.tenant} · {verdict.dataset} · {verdict.day}"
    return _page(title, facts + _table(("Result", "Severity", "Rule", "Rows that break it"), rows))


def findings_page(tenant: str, day: str, findings: Sequence[Mapping[str, Any]]) -> str:
    rows = [
        (
            escape(str(f["agent"])),
            escape(str(f["outcome"])),
            escape(str(f["cause"])),
            escape(str(f["severity"])),
            escape(str(f["started_by"])),
            escape(str(f["summary"] or f["reason"])),
            f"<span class=muted>{escape(str(f['workflow_id']))}<br>snapshot {escape(str(f['snapshot_id']))}</span>",
        )
        for f in findings
    ]
    head = ("Agent", "Outcome", "Cause", "Severity", "Started by", "What it found", "Run")
    return _page(f"{tenant} · findings · {day}", f"<p>{len(rows)} agent runs.</p>" + _table(head, rows))


def index_page(verdicts: Sequence[Verdict], *, links: str = "") -> str:
    """Days down, newest first; each tenant's newest verdict of the day links to its report below ``links``."""
    newest = {(v.day, v.tenant, v.dataset): v for v in verdicts}
    rows = [
        (
            day.isoformat(),
            escape(tenant),
            escape(dataset),
            f"<a href='{escape(links + v.report, quote=True)}'>{'passed' if v.passed else 'failed'}</a>",
            f"{v.rows:,}",
            str(v.critical),
            str(v.warnings),
            escape(v.reasons[0] if v.reasons else ""),
        )
        for (day, tenant, dataset), v in sorted(newest.items(), key=lambda item: (-item[0][0].toordinal(), item[0][1:]))
    ]
    head = ("Day", "Tenant", "Dataset", "Verdict", "Rows", "Critical", "Warnings", "First reason")
    return _page(
        "Quality reports", f"<p>{len(rows)} verdicts, newest per day, tenant and dataset.</p>" + _table(head, rows)
    )


def _word(text: str, kind: str) -> str:
    return f"<span class={kind}>{escape(text)}</span>"


def _table(head: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    titles = "".join(f"<th>{escape(title)}</th>" for title in head)
    body = "".join("<tr>" + "".join(f"<td>{cell}</td>" for cell in row) + "</tr>" for row in rows)
    return f"<table><thead><tr>{titles}</tr></thead><tbody>{body}</tbody></table>"


def _page(title: str, body: str) -> str:
    return (
        "<!doctype html><html lang=en><head><meta charset=utf-8><meta name=viewport content='width=device-width'>"
        f"<title>{escape(title)}</title><style>{STYLE}</style></head>"
        f"<body><h1>{escape(title)}</h1>{body}</body></html>"
    )
