"""The quality gate: a suite over a frame gives checks, checks give a verdict.

Results of Great Expectations carry raw values; what leaves this file carries counts and rules only.
"""

import datetime as dt
import logging
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from airflow_bridge.quality.suites import CRITICAL, WARNING
from bridge.contracts.events import Verdict


@dataclass(frozen=True, slots=True)
class Check:
    """One expectation and what came of it. ``unexpected`` counts rows, None where the rule is not about rows."""

    rule: str
    severity: str
    passed: bool
    unexpected: int | None = None
    rows: int | None = None


def run_suite(suite: Any, frame: Any) -> list[Check]:
    """Validate ``frame`` (pandas) with ``suite``; several seconds on first use, as the library is imported."""
    import great_expectations as gx  # noqa: PLC0415 - keeps DAG parsing cheap
    from great_expectations.data_context.types.base import ProgressBarsConfig  # noqa: PLC0415

    logging.getLogger("great_expectations").setLevel(logging.WARNING)
    context = gx.get_context(mode="ephemeral")
    context.variables.progress_bars = ProgressBarsConfig(globally=False)
    asset = context.data_sources.add_pandas("frame").add_dataframe_asset("rows")
    batch = asset.add_batch_definition_whole_dataframe("all").get_batch({"dataframe": frame})
    return [_check(result) for result in batch.validate(suite).results]


def _check(result: Any) -> Check:
    config = result.expectation_config
    details = result.result or {}
    raised = (result.exception_info or {}).get("raised_exception", False)
    rule = describe_rule(config.type, config.kwargs) + (" (could not be evaluated)" if raised else "")
    return Check(
        rule=rule,
        severity=str(getattr(config.severity, "value", config.severity)),
        passed=bool(result.success),
        unexpected=details.get("unexpected_count"),
        rows=details.get("element_count"),
    )


def describe_rule(kind: str, kwargs: dict[str, Any]) -> str:
    """``expect_column_values_to_not_be_null`` on ``dest`` → ``dest: values to not be null``."""
    columns = kwargs.get("column") or kwargs.get("column_list") or [kwargs.get("column_A"), kwargs.get("column_B")]
    named = columns if isinstance(columns, str) else ", ".join(str(c) for c in columns if c)
    words = kind.removeprefix("expect_").removeprefix("compound_").removeprefix("column_").removeprefix("columns_")
    limits = {
        name: kwargs[name] for name in ("min_value", "max_value", "value_set", "regex") if kwargs.get(name) is not None
    }
    told = ", ".join(f"{name} {value}" for name, value in limits.items())
    return f"{named or 'table'}: {words.replace('_', ' ')}" + (f" ({told})" if told else "")


def column_checks(missing: Sequence[str], extra: Sequence[str], problem: str) -> list[Check]:
    """The shape of the raw file, which the typed rows can no longer show."""
    if problem:
        return [Check(rule=problem[:300], severity=CRITICAL, passed=False)]
    wrong = [
        Check(rule=f"column {name!r} is missing from the raw file", severity=CRITICAL, passed=False) for name in missing
    ]
    surplus = [
        Check(rule=f"the raw file has an unknown column {name[:60]!r}", severity=WARNING, passed=False)
        for name in extra[:20]
    ]
    return [*wrong, *surplus] or [Check(rule="the raw file has the expected columns", severity=CRITICAL, passed=True)]


def judge(  # noqa: PLR0913 - a verdict's columns
    checks: Sequence[Check], *, tenant: str, dataset: str, day: str, snapshot_id: int, rows: int, report: str
) -> Verdict:
    """Passed when no critical check failed and there was at least one check."""
    failed = [check for check in checks if not check.passed]
    critical = [check for check in failed if check.severity == CRITICAL]
    return Verdict(
        id=f"{tenant}/{dataset}/{day}/{snapshot_id}#verdict",
        tenant=tenant,
        dataset=dataset,
        day=dt.date.fromisoformat(day),
        snapshot_id=snapshot_id,
        suite=dataset,
        passed=bool(checks) and not critical,
        rows=rows,
        critical=len(critical),
        warnings=len(failed) - len(critical),
        reasons=tuple(_reason(check) for check in [*critical, *(c for c in failed if c not in critical)]),
        report=report,
        decided_at=dt.datetime.now(dt.UTC),
    )


def _reason(check: Check) -> str:
    counted = f" ({check.unexpected} of {check.rows} rows)" if check.unexpected else ""
    return f"{check.severity}: {check.rule}{counted}"
