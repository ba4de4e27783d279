"""The quality reports' pages inside Airflow, for whoever is logged in and may see DAGs.

Airflow serves plugins' apps to everybody unless they ask for a user: these ask.
"""

from typing import Any

from airflow.api_fastapi.core_api.security import requires_access_dag
from fastapi import Depends, FastAPI, HTTPException
from fastapi.responses import HTMLResponse

from airflow_bridge.hooks.platform import PlatformHook
from airflow_bridge.quality.report import index_page
from bridge.contracts import names
from bridge.contracts.failures import Refused, TandemError

HEADERS = {"content-security-policy": "default-src 'none'; style-src 'unsafe-inline'", "cache-control": "no-store"}


def reports_app() -> FastAPI:
    app = FastAPI(
        title="Tandem quality reports",
        docs_url=None,
        openapi_url=None,
        dependencies=[Depends(requires_access_dag(method="GET"))],
    )

    @app.get("/reports/")
    def index() -> HTMLResponse:
        from bridge.adapters.database import ledger  # noqa: PLC0415 - keeps Airflow's start cheap

        verdicts = _answer(lambda: PlatformHook().database.run(ledger.list_verdicts))
        return HTMLResponse(index_page(verdicts), headers=HEADERS)

    @app.get("/reports/{key:path}")
    def report(key: str) -> HTMLResponse:
        body = _answer(lambda: PlatformHook().objects.get(names.REPORTS_BUCKET, key))
        return HTMLResponse(body, headers=HEADERS)

    return app


def _answer(work: Any) -> Any:
    try:
        return work()
    except Refused as error:
        raise HTTPException(404, str(error)) from error
    except TandemError as error:
        raise HTTPException(503, str(error)) from error
