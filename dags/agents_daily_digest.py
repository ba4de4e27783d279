"""When agents complete: their findings go into the tenant's digest of the day, each run once.

The bridge makes one run per completion, as the routing table says; the run id is made from the completion's id.
"""

import datetime as dt

from airflow.sdk import Asset, dag

from airflow_bridge.operators.publishing import DigestOperator
from bridge.contracts import names


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=4,
    default_args={"retries": 5, "retry_delay": dt.timedelta(seconds=5)},
    tags=["tandem", "agents"],
    doc_md=__doc__,
)
def agents_daily_digest() -> None:
    DigestOperator(task_id="digest", inlets=[Asset(names.COMPLETED_ASSET)])


agents_daily_digest()
