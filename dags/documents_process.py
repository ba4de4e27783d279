"""Processes one delivered document: download and extract, summarise, store.

The same job as the agent ``process_document``; only the summary is an agent's here. See
``docs/architecture/dag-or-agent.md`` for when to use which.
"""

import datetime as dt
from typing import Any

from airflow.sdk import Param, dag, task

from airflow_bridge.failures import as_airflow
from airflow_bridge.operators.agent import AgentWorkflowOperator
from bridge.contracts import names
from bridge.contracts.catalog.process_document import NAME, SUMMARISE_DOCUMENT
from bridge.domain.documents import source_key, summary_body, summary_key, text_key


@task
def extract(params: dict[str, Any] | None = None) -> int:
    """Download the document and store its text; returns how many characters it has."""
    from airflow_bridge.hooks.platform import PlatformHook
    from bridge.domain.documents import extract_text

    tenant, name = (params or {})["tenant"], (params or {})["name"]
    with as_airflow():
        platform = PlatformHook()
        platform.tenant(tenant)
        text = extract_text(name, platform.objects.get(names.RAW_BUCKET, source_key(tenant, name)))
        key = text_key(tenant, name)
        platform.objects.put(names.REPORTS_BUCKET, key, text.encode(), content_type="text/plain")
    return len(text)


@task
def store(summarised: dict[str, Any], params: dict[str, Any] | None = None) -> str:
    """Store the summary; returns where it is."""
    from airflow_bridge.hooks.platform import PlatformHook

    key = summary_key((params or {})["tenant"], (params or {})["name"])
    body = summary_body(summarised["output"])
    with as_airflow():
        PlatformHook().objects.put(names.REPORTS_BUCKET, key, body, content_type="application/json")
    return f"s3://{names.REPORTS_BUCKET}/{key}"


@dag(
    schedule=None,
    catchup=False,
    max_active_runs=8,
    default_args={"retries": 3, "retry_delay": dt.timedelta(seconds=10)},
    params={
        "tenant": Param("AA", type="string", description="A declared tenant"),
        "name": Param(type="string", pattern=NAME, description="Name under documents/{tenant}/ in the raw bucket"),
    },
    tags=["tandem", "agents"],
    doc_md=__doc__,
)
def documents_process() -> None:
    summarise = AgentWorkflowOperator(
        task_id="summarise",
        agent=SUMMARISE_DOCUMENT.name,
        tenant="{{ params.tenant }}",
        input={"name": "{{ params.name }}"},
    )
    extract() >> summarise
    store(summarise.output)


documents_process()
