"""Provider metadata: what appears in any Airflow where this package is installed."""

from importlib.metadata import PackageNotFoundError, version
from typing import Any

PACKAGE = "tandem-platform"


def get_provider_info() -> dict[str, Any]:
    return {
        "package-name": PACKAGE,
        "name": "Tandem (Temporal agents)",
        "description": "Tenant-scoped Temporal agent workflows from Airflow, and quality-gated publishing.",
        "versions": [_version()],
        "connection-types": [
            {
                "connection-type": "temporal",
                "hook-class-name": "airflow_bridge.hooks.temporal.TemporalHook",
                "hook-name": "Temporal",
                "ui-field-behaviour": {
                    "hidden-fields": ["login", "schema"],
                    "relabeling": {"host": "Frontend host", "password": "API key"},
                    "placeholders": {"host": "127.0.0.1", "port": "7233"},
                },
                "conn-fields": {
                    "namespace": _text("Namespace", "Temporal namespace", default="default"),
                    "tls": {
                        "label": "Use TLS",
                        "description": "Also on whenever an API key is given",
                        "schema": {"type": ["boolean", "null"], "default": False},
                    },
                    "ui_url": _text("UI URL", "Base URL of the Temporal UI, for links from tasks"),
                },
            },
            {
                "connection-type": "tandem",
                "hook-class-name": "airflow_bridge.hooks.platform.PlatformHook",
                "hook-name": "Tandem platform",
                "ui-field-behaviour": {
                    "hidden-fields": ["host", "port", "login", "schema"],
                    "relabeling": {"password": "Database URL"},
                    "placeholders": {"password": "postgresql://user:password@host/tandem"},
                },
                "conn-fields": {
                    "s3_conn_id": _text("S3 connection", "Connection of type aws", default="aws_default"),
                    "reports_url": _text("Reports URL", "Base URL under which quality reports are read"),
                },
            },
        ],
        "hooks": [
            {
                "integration-name": "Temporal",
                "python-modules": ["airflow_bridge.hooks.temporal", "airflow_bridge.hooks.platform"],
            }
        ],
        "operators": [
            {
                "integration-name": "Temporal",
                "python-modules": ["airflow_bridge.operators.agent", "airflow_bridge.operators.publishing"],
            }
        ],
        "triggers": [{"integration-name": "Temporal", "python-modules": ["airflow_bridge.triggers.agent"]}],
        "extra-links": ["airflow_bridge.links.TemporalRunLink", "airflow_bridge.links.QualityReportLink"],
    }


def _text(label: str, description: str, default: str | None = None) -> dict[str, Any]:
    schema: dict[str, Any] = {"type": ["string", "null"]}
    if default is not None:
        schema["default"] = default
    return {"label": label, "description": description, "schema": schema}


def _version() -> str:
    try:
        return version(PACKAGE)
    except PackageNotFoundError:
        return "0"
