"""What an import may cost and touch."""

import subprocess
import sys

import pytest

MODULES = (
    "bridge.contracts.asyncapi",
    "bridge.handlers",
    "agent_workflows.agents",
    "agent_workflows.workflows.investigate_delays",
)
HEAVY = ("great_expectations", "pyiceberg", "pandas", "pyarrow", "kafka", "pydantic_ai", "duckdb", "boto3")


@pytest.mark.parametrize("module", MODULES)
def test_rules_and_workflows_import_no_heavy_library(module: str) -> None:
    code = f"import sys, {module}; print([m for m in {HEAVY!r} if m in sys.modules])"

    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout

    assert loaded.strip() == "[]"


def test_importing_a_process_opens_nothing() -> None:
    code = (
        "import socket, sys\n"
        "def refuse(*a, **k): raise AssertionError('a connection at import')\n"
        "socket.socket.connect = refuse\n"
        "import bridge.bootstrap, agent_workflows.bootstrap, bridge.cli\n"
    )

    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=False)

    assert done.returncode == 0, done.stderr
