"""Runs the canary for one tenant through the operator: shows that the way from a DAG to an agent and back works."""

import datetime as dt

from airflow.sdk import Param, dag

from airflow_bridge.operators.agent import AgentWorkflowOperator
from bridge.contracts.catalog.canary import CANARY


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=8,
    default_args={"retries": 20, "retry_delay": dt.timedelta(seconds=5)},
    params={
        "tenant": Param("AA", type="string", description="A declared tenant"),
        "notes": Param(0, type="integer", minimum=0, maximum=100, description="Wait for so many notes first"),
    },
    tags=["tandem", "agents"],
    doc_md=__doc__,
)
def agents_canary() -> None:
    AgentWorkflowOperator(
        task_id="canary",
        agent=CANARY.name,
        tenant="{{ params.tenant }}",
        input={"notes": "{{ params.notes }}"},
    )


agents_canary()
