"""Names the assets whose events the bridge posts, so that Airflow knows them. It is never run.

Schedule a DAG on one of them to hear of every completion, verdict or publication:
`schedule=PartitionedAssetTimetable(assets=Asset("agents.completed"))`, one partition per event. For exactly one run
per fact, also of a paused DAG, name the DAG in the routing table instead.
"""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import Asset, dag

from bridge.contracts import names


@dag(schedule=None, catchup=False, tags=["tandem"], doc_md=__doc__)
def bridge_declares_assets() -> None:
    EmptyOperator(task_id="bridge", outlets=[Asset(name) for name in names.ANNOUNCED_ASSETS])


bridge_declares_assets()
