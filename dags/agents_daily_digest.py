"""When agents complete: their findings go into the tenant's digest of the day, each run once."""

import datetime as dt

from airflow.sdk import Asset, PartitionedAssetTimetable, dag

from airflow_bridge.operators.publishing import DigestOperator
from bridge.contracts import names


@dag(
    schedule=PartitionedAssetTimetable(assets=Asset(names.COMPLETED_ASSET)),  # one partition an agent run
    start_date=dt.datetime(2013, 1, 1, tzinfo=dt.UTC),
    catchup=False,
    max_active_runs=4,
    default_args={"retries": 5, "retry_delay": dt.timedelta(seconds=5)},
    tags=["tandem", "agents"],
    doc_md=__doc__,
)
def agents_daily_digest() -> None:
    DigestOperator(task_id="digest")


agents_daily_digest()
