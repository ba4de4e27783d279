"""Registers what Airflow loads from a plugins folder: the quality reports' pages. All else is the provider's."""

from airflow.plugins_manager import AirflowPlugin

from airflow_bridge.pages import reports_app


class TandemPlugin(AirflowPlugin):
    name = "tandem"
    fastapi_apps = [{"app": reports_app(), "url_prefix": "/tandem", "name": "Tandem quality reports"}]  # noqa: RUF012
    external_views = [  # noqa: RUF012 - Airflow's contract is a plain list
        {
            "name": "Quality reports",
            "href": "/tandem/reports/",
            "destination": "nav",
            "url_route": "quality-reports",
        }
    ]
