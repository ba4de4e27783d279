"""Every day: each tenant's departures are read, judged and, if they pass, published for agents to read."""

import datetime as dt

from airflow.sdk import Asset, Param, dag, task, task_group

from airflow_bridge.operators.publishing import (
    AuditDeparturesOperator,
    PublishDeparturesOperator,
    PublishReferencesOperator,
)
from bridge.contracts import names


@dag(
    schedule="@daily",
    start_date=dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
    end_date=dt.datetime(2013, 12, 31, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=2,
    default_args={"retries": 2, "retry_delay": dt.timedelta(seconds=5)},
    params={"tenants": Param([], type="array", items={"type": "string"}, description="Only these; empty means all")},
    tags=["tandem", "flights"],
    doc_md=__doc__,
)
def flights_daily_ingest() -> None:
    @task
    def tenants(params: dict[str, object] | None = None) -> list[str]:
        """All declared tenants, or those named in the run's conf: ``{"tenants": ["AA"]}``."""
        from airflow_bridge.tenants import chosen_tenants

        return chosen_tenants((params or {}).get("tenants"))

    chosen = tenants()
    references = PublishReferencesOperator(task_id="references")

    @task_group
    def tenant_day(tenant: str) -> None:
        audited = AuditDeparturesOperator(
            task_id="audit", tenant=tenant, trigger_rule="all_done", map_index_template="{{ task.tenant }}"
        )
        PublishDeparturesOperator(
            task_id="publish",
            audited=audited.output,
            outlets=[Asset(names.FEATURES_ASSET)],
            map_index_template="{{ task.audited['verdict']['tenant'] }}",
        )

    references >> tenant_day.expand(tenant=chosen)


flights_daily_ingest()
