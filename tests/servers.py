"""Real servers for tests: the local stack in a temporary folder, and what hangs off it."""

import os
import signal
import uuid
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from bridge.adapters.database import Database
from bridge.adapters.iceberg import Lakehouse
from bridge.adapters.kafka import KafkaAddress
from bridge.adapters.objects import Objects, S3Address
from bridge.adapters.temporal import TemporalAddress
from bridge.contracts import names
from bridge.stack import lifecycle
from bridge.stack.components import APACHE, environment
from bridge.stack.layout import Layout
from bridge.stack.supervisor import Supervisor

PACE = "0.5"
"""Seconds the offline analyst takes for an answer, so that a run can be interrupted in its middle."""


@dataclass(frozen=True)
class Stack:
    plan: Layout

    @property
    def temporal(self) -> TemporalAddress:
        return TemporalAddress(self.plan.address("temporal"))

    @property
    def kafka(self) -> KafkaAddress:
        return KafkaAddress(self.plan.address("kafka"))

    @property
    def is_apache_kafka(self) -> bool:
        return self.plan.broker == APACHE

    @property
    def s3(self) -> S3Address:
        return S3Address(endpoint=self.plan.url("s3"), access_key="tandem", secret_key=self.plan.secrets["s3_secret"])

    @property
    def objects(self) -> Objects:
        return Objects(self.s3.client())

    def lakehouse(self, database: Database) -> Lakehouse:
        """Tables of a test's own catalog, in the stack's S3."""
        warehouse = f"s3://{names.LAKE_BUCKET}/test-{uuid.uuid4().hex[:8]}"
        return Lakehouse(catalog_url=database.url, warehouse=warehouse, properties=self.s3.iceberg_properties())

    def environment(self) -> dict[str, str]:
        return environment(self.plan, dict(os.environ))

    def kill(self, component: str) -> int:
        """kill -9; the supervisor starts it again. Returns the pid that was killed."""
        pid = Supervisor(self.plan).pid(component)
        os.kill(pid, signal.SIGKILL)
        return pid


def running_stack(home: Path) -> Iterator[Stack]:
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    plan = lifecycle.up(home, print, inherited | {"TANDEM_ANALYST_PACE_SECONDS": PACE})
    try:
        yield Stack(plan)
    finally:
        lifecycle.down(home, print)
