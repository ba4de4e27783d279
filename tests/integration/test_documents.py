"""One job done twice: a document processed by an agent, and by a DAG that sends an agent for the summary only."""

import asyncio
import json
import uuid
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.airflow_api import AirflowApi
from bridge.contracts import names
from bridge.contracts.agents import AgentStart
from bridge.contracts.catalog.process_document import PROCESS_DOCUMENT
from bridge.contracts.events import AgentCompleted, Outcome
from bridge.domain.documents import source_key, summary_key, text_key
from tests.agents import agent_runtime
from tests.samples import start

pytestmark = pytest.mark.integration

PAGE = b"<html><style>p {}</style><body><h1>Tugs</h1><p>Two tugs broke.</p><p>Both are mended.</p></body></html>"
TEXT = "Tugs\nTwo tugs broke.\nBoth are mended."


def _request(name: str, tenant: str = "AA") -> AgentStart:
    return start(uuid.uuid4().hex, agent="process_document", input={"name": name}, snapshots=(), tenant=tenant)


async def _processed(stack: Any, folder: Path, run: AgentStart) -> AgentCompleted:
    async with agent_runtime(stack.temporal, folder) as runtime:
        await runtime.agents.start(run, replace(PROCESS_DOCUMENT, queue=runtime.spec.queue))
        return await asyncio.wait_for(runtime.agents.wait(run.workflow_id), 60)


def _deliver(folder: Path, name: str, body: bytes) -> None:
    file = folder / names.RAW_BUCKET / source_key("AA", name)
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(body)


async def test_an_agent_extracts_summarises_and_stores(stack: Any, tmp_path: Path) -> None:
    _deliver(tmp_path, "tugs.html", PAGE)

    completed = await _processed(stack, tmp_path, _request("tugs.html"))

    reports = tmp_path / names.REPORTS_BUCKET
    assert (completed.outcome, completed.output["characters"]) == (Outcome.COMPLETED, len(TEXT))
    assert (reports / text_key("AA", "tugs.html")).read_text() == TEXT
    stored = json.loads((reports / summary_key("AA", "tugs.html")).read_text())
    assert stored["summary"] == completed.output["summary"] == "Tugs Two tugs broke. Both are mended."


async def test_a_document_of_many_pages_is_read_to_its_end(stack: Any, tmp_path: Path) -> None:
    _deliver(tmp_path, "long.txt", b"All is well. " * 4000)

    completed = await _processed(stack, tmp_path, _request("long.txt"))

    assert completed.outcome is Outcome.COMPLETED
    assert completed.usage.tool_calls == 4


@pytest.mark.parametrize(
    ("name", "body", "code"),
    [
        ("absent.txt", None, "raw_file_missing"),
        ("image.png", b"x", "invalid_request"),
        ("latin.txt", b"\xe9t\xe9", "invalid_request"),
        ("empty.html", b"<script>x</script>", "no_data"),
        ("../UA/secret.txt", None, "invalid_request"),
    ],
)
async def test_a_document_that_cannot_be_processed_says_why(
    stack: Any, tmp_path: Path, name: str, body: bytes | None, code: str
) -> None:
    if body is not None:
        _deliver(tmp_path, name, body)

    completed = await _processed(stack, tmp_path, _request(name))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, code)


async def test_one_tenant_does_not_get_the_document_of_another(stack: Any, tmp_path: Path) -> None:
    _deliver(tmp_path, "tugs.html", PAGE)

    completed = await _processed(stack, tmp_path, _request("tugs.html", tenant="UA"))

    assert (completed.outcome, completed.code) == (Outcome.FAILED, "raw_file_missing")


async def test_the_dag_does_the_same(stack: Any) -> None:
    name = f"{uuid.uuid4().hex}.html"
    stack.objects.put(names.RAW_BUCKET, source_key("AA", name), PAGE, content_type="text/html")
    password = stack.plan.secrets["airflow_admin"]
    airflow = AirflowApi(base_url=stack.plan.url("airflow"), username="admin", password=password)
    dag = "/api/v2/dags/documents_process"
    await airflow.call("PATCH", dag, json={"is_paused": False})
    run = {"dag_run_id": name, "logical_date": None, "conf": {"tenant": "AA", "name": name}}
    await airflow.call("POST", f"{dag}/dagRuns", json=run)
    async with asyncio.timeout(150):
        while (ended := await airflow.call("GET", f"{dag}/dagRuns/{name}"))["state"] not in {"success", "failed"}:
            await asyncio.sleep(0.5)
    await airflow.close()

    assert ended["state"] == "success"
    assert stack.objects.get(names.REPORTS_BUCKET, text_key("AA", name)).decode() == TEXT
    stored = json.loads(stack.objects.get(names.REPORTS_BUCKET, summary_key("AA", name)))
    assert stored["summary"] == "Tugs Two tugs broke. Both are mended."
