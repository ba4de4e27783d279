"""When features are published: one ``investigate_delays`` agent for each tenant and day that passed the gate."""

import datetime as dt
from typing import Any

from airflow.sdk import Asset, PartitionedAssetTimetable, dag, task

from airflow_bridge.operators.agent import AgentWorkflowOperator
from bridge.contracts import names
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS


@dag(
    schedule=PartitionedAssetTimetable(assets=Asset(names.FEATURES_ASSET)),  # one partition a publication
    start_date=dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=8,
    default_args={"retries": 3, "retry_delay": dt.timedelta(seconds=5)},
    tags=["tandem", "agents"],
    doc_md=__doc__,
)
def agents_daily_investigation() -> None:
    @task
    def requests(triggering_asset_events: Any = None) -> list[dict[str, Any]]:
        """One request per published snapshot; several events of one snapshot make one request."""
        from airflow_bridge.requests import investigation_requests

        return investigation_requests(triggering_asset_events)

    AgentWorkflowOperator.partial(
        task_id="investigate",
        agent=INVESTIGATE_DELAYS.name,
        map_index_template="{{ task.tenant }} {{ task.input['day'] }}",
    ).expand_kwargs(requests())


agents_daily_investigation()
