"""DAG files parse, hold what they promise, and cost little."""

import subprocess
import sys
from pathlib import Path

import pytest

DAGS = Path(__file__).parents[2] / "dags"
FILES = sorted(DAGS.glob("*.py"))
HEAVY = ("great_expectations", "pyiceberg", "pandas", "pyarrow", "kafka", "temporalio.client", "duckdb", "boto3")

MEASURE = """
import runpy, sys, time
import airflow.sdk, airflow.providers.common.compat.sdk, airflow.triggers.base
before = set(sys.modules)
began = time.process_time()
runpy.run_path(sys.argv[1])
print(time.process_time() - began, [m for m in {heavy!r} if m in set(sys.modules) - before])
"""


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
def test_parsing_is_cheap_and_imports_no_heavy_library(file: Path) -> None:
    code = MEASURE.format(heavy=HEAVY)

    done = subprocess.run([sys.executable, "-c", code, str(file)], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr[-2000:]
    seconds, loaded = done.stdout.strip().splitlines()[-1].split(" ", 1)
    assert loaded == "[]"
    assert float(seconds) < 1.0  # processor seconds, after Airflow's own import


def test_each_file_holds_the_dag_of_its_name_and_no_errors() -> None:
    from airflow.dag_processing.dagbag import DagBag

    bag = DagBag(str(DAGS))

    assert bag.import_errors == {}
    assert sorted(bag.dags) == [file.stem for file in FILES]


def test_plugins_hold_one_registration_and_no_module_that_shadows_another() -> None:
    plugins = DAGS.parent / "plugins"

    assert [file.name for file in plugins.glob("*.py")] == ["tandem_plugin.py"]
    assert (plugins / ".airflowignore").read_text().split() == ["airflow_bridge/"]
    assert not (plugins / "__init__.py").exists()
    assert not (DAGS / "__init__.py").exists()


def test_the_provider_is_found_by_its_entry_point_and_its_classes_exist() -> None:
    from importlib.metadata import entry_points

    from airflow.sdk._shared.module_loading import import_string

    (found,) = [e for e in entry_points(group="apache_airflow_provider") if e.value.startswith("airflow_bridge")]
    info = found.load()()

    types = {c["connection-type"]: c for c in info["connection-types"]}
    assert set(types) == {"temporal", "tandem"}
    assert set(types["temporal"]["conn-fields"]) == {"namespace", "tls", "ui_url"}
    for connection in types.values():
        assert import_string(connection["hook-class-name"]).conn_type == connection["connection-type"]
    for link in info["extra-links"]:
        assert import_string(link)
