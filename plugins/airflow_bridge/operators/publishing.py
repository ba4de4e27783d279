"""Operators of the publishing pipeline: audit, publish, references, digest."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowSkipException

from airflow_bridge import publishing
from airflow_bridge.defaults import PLATFORM_CONN_ID
from airflow_bridge.digest import write_digest
from airflow_bridge.failures import as_airflow
from airflow_bridge.hooks.platform import PlatformHook
from airflow_bridge.links import QualityReportLink
from airflow_bridge.requests import publication_key


class _PlatformOperator(BaseOperator):
    def __init__(self, *, platform_conn_id: str = PLATFORM_CONN_ID, **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.platform_conn_id = platform_conn_id

    @property
    def platform(self) -> PlatformHook:
        return PlatformHook(self.platform_conn_id)


class AuditDeparturesOperator(_PlatformOperator):
    """Read a tenant's raw day, write an audit branch, judge it. Succeeds whenever a verdict could be given.

    Fails with ``raw_file_missing`` or ``unknown_tenant``; is skipped with ``no_data`` when the day is empty.
    """

    template_fields: Sequence[str] = ("tenant", "day")
    operator_extra_links = (QualityReportLink(),)
    ui_color = "#fff4d6"

    def __init__(self, *, tenant: str, day: str = "{{ ds }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.tenant = tenant
        self.day = day

    def execute(self, context: Any) -> dict[str, Any]:
        platform, ti = self.platform, context["ti"]
        try:
            with as_airflow():
                audited = publishing.audit_departures(
                    platform, tenant=self.tenant, day=self.day, run=_run_name(ti.run_id)
                )
        except Exception as error:
            if isinstance(error.__cause__, publishing.NoData):
                raise AirflowSkipException(str(error)) from error
            raise
        verdict = audited["verdict"]
        ti.xcom_push(key=QualityReportLink.key, value=platform.report_url(verdict["report"]))
        self.log.info(
            "verdict %s: %s rows, %s critical, %s warnings", verdict["id"], verdict["rows"], verdict["critical"],
            verdict["warnings"],
        )  # fmt: skip
        for reason in verdict["reasons"]:
            self.log.warning("%s", reason)
        return audited


class PublishDeparturesOperator(_PlatformOperator):
    """Publish what was audited, if its verdict passed; else fail with the verdict's reasons, published nothing.

    The asset event of the outlet carries tenant, day, snapshots and verdict.
    """

    template_fields: Sequence[str] = ("audited",)
    operator_extra_links = (QualityReportLink(),)
    ui_color = "#ddf4e4"

    def __init__(self, *, audited: Mapping[str, Any], **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.audited = audited

    def execute(self, context: Any) -> dict[str, Any]:
        platform, ti = self.platform, context["ti"]
        ti.xcom_push(key=QualityReportLink.key, value=platform.report_url(self.audited["verdict"]["report"]))
        with as_airflow():
            published = publishing.publish_departures(platform, dict(self.audited))
        for outlet in self.outlets:
            event = context["outlet_events"][outlet]
            event.extra = published
            event.add_partitions(publication_key(published["tenant"], published["day"], published["verdict"]))
        return published


class PublishReferencesOperator(_PlatformOperator):
    """Publish the day's market counts, of all declared tenants, and weather, which every tenant may read."""

    template_fields: Sequence[str] = ("day",)
    ui_color = "#e6ecf5"

    def __init__(self, *, day: str = "{{ ds }}", **kwargs: Any) -> None:
        super().__init__(**kwargs)
        self.day = day

    def execute(self, context: Any) -> dict[str, Any]:
        with as_airflow():
            return publishing.publish_references(self.platform, day=self.day, run=_run_name(context["ti"].run_id))


class DigestOperator(_PlatformOperator):
    """Write completed agent runs into the tenant's findings, once each, and the report of each day touched.

    The runs are in the DAG run's conf, as the bridge puts them there: ``{"tenant", "events": [completion, …]}``.
    """

    ui_color = "#efe6fa"

    def execute(self, context: Any) -> dict[str, Any]:
        with as_airflow():
            return write_digest(self.platform, (context["dag_run"].conf or {}).get("events", ()))


def _run_name(run_id: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]", "-", run_id)
