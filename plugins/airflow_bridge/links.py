"""Links from a task to the Temporal UI and to its quality report."""

from typing import Any, ClassVar

from airflow.providers.common.compat.sdk import XCom
from airflow.sdk import BaseOperatorLink


class _StoredLink(BaseOperatorLink):
    """The operator pushes the URL to XCom as soon as it knows it, so the link works while the task waits."""

    key: ClassVar[str]

    def get_link(self, operator: Any, *, ti_key: Any) -> str:
        del operator
        return XCom.get_value(key=self.key, ti_key=ti_key) or ""


class TemporalRunLink(_StoredLink):
    name = "Temporal run"
    key = "temporal_run_url"


class QualityReportLink(_StoredLink):
    name = "Quality report"
    key = "quality_report_url"
