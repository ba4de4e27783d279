"""Fixtures for all tests. Airflow reads its settings when it is imported, so they are set here, before that."""

import os
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

REPOSITORY = Path(__file__).parents[1]
AIRFLOW_HOME = Path(tempfile.mkdtemp(prefix="tandem-airflow-"))

for name in [name for name in os.environ if name.startswith(("AIRFLOW", "TANDEM_"))]:
    del os.environ[name]
os.environ |= {
    "AIRFLOW_HOME": str(AIRFLOW_HOME),
    "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
    "AIRFLOW__CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
    "AIRFLOW__CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
    "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"sqlite:///{AIRFLOW_HOME / 'airflow.db'}",
    "GX_ANALYTICS_ENABLED": "false",
}


@pytest.fixture(scope="session")
def stack(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Every server of the local stack, on free ports, for the whole session. Tests keep apart by their own names."""
    from tests.servers import running_stack

    yield from running_stack(tmp_path_factory.mktemp("stack"))
