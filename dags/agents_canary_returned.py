"""One run per completed canary: shows that the way back, from an agent to a DAG, works."""

from airflow.providers.standard.operators.empty import EmptyOperator
from airflow.sdk import dag


@dag(schedule=None, catchup=False, max_active_runs=16, tags=["tandem", "agents"], doc_md=__doc__)
def agents_canary_returned() -> None:
    EmptyOperator(task_id="returned")


agents_canary_returned()
