"""What became of the load, counted in the engines themselves: Temporal, Kafka, Airflow, the effects."""

import asyncio
from collections import Counter
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from itertools import pairwise
from typing import Any

from sqlalchemy import text

from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database
from bridge.adapters.kafka import KafkaAddress, read_all
from bridge.adapters.temporal import connect
from bridge.contracts import names
from bridge.contracts.events import AgentCompleted
from bridge.contracts.ids import completion_event_id, dag_run_id
from bridge.domain.dead_letters import newest, read_letter
from tests.chaos.load import Request, first_per_key
from tests.servers import Stack

PAGE = 100
RETURNED = "agents_canary_returned"
OPERATED = "agents_canary"


@dataclass
class Counts:
    """The table. ``duplicates`` and ``lost`` are by kind; all of them, and ``order_violations``, must be 0.

    ``dead_letter_copies``: records of letters that were parked again after a crash; same id, one letter.
    """

    sent: int
    unique: int
    by_operator: int
    started: int
    completed: int
    effects: int
    effects_asked_again: int
    completion_events: int
    downstream_runs: int
    asset_events: int
    dead_letters_expected: int
    dead_letters: int
    dead_letter_copies: int
    order_violations: int
    duplicates: dict[str, int] = field(default_factory=dict)
    lost: dict[str, int] = field(default_factory=dict)
    dead_letter_codes: dict[str, int] = field(default_factory=dict)

    @property
    def is_clean(self) -> bool:
        exact = self.dead_letters == self.dead_letters_expected
        return exact and not (any(self.duplicates.values()) or any(self.lost.values()) or self.order_violations)

    def as_dict(self) -> dict[str, Any]:
        return asdict(self)


class Census:
    """Asks the engines."""

    def __init__(self, stack: Stack, database: Database) -> None:
        plan = stack.plan
        self._stack = stack
        self._database = database
        self.airflow = AirflowApi(
            base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"]
        )

    def rows(self, table: str) -> int:
        with self._database.engine.connect() as connection:
            return int(connection.execute(text(f"select count(*) from {table}")).scalar_one())

    async def run_total(self, dag: str, *states: str) -> int:
        params = {"limit": 1, "state": list(states)}
        return int((await self.airflow.call("GET", f"/api/v2/dags/{dag}/dagRuns", params=params))["total_entries"])

    async def count(self, load: Sequence[Request], operated: Sequence[str], sent: int) -> Counts:
        asked = {request.run for request in load if request.run}
        executions = await self._executions()
        ids = Counter(execution.id for execution in executions)
        completed = [e.id for e in executions if e.status is not None and e.status.name == "COMPLETED"]
        events = await asyncio.to_thread(self._completion_events)
        returned = await self._runs(RETURNED)
        assets = await self._asset_events()
        succeeded = Counter(run["dag_run_id"] for run in await self._runs(OPERATED) if run["state"] == "success")
        letters, copies = await asyncio.to_thread(self._letters)
        effects, asked_again = self._effects()
        runs = set(ids)
        expected = {dag_run_id(completion_event_id(run)) for run in runs}
        done = {run["dag_run_id"] for run in returned if run["state"] == "success"}
        return Counts(
            sent=sent,
            unique=len(asked),
            by_operator=len(operated),
            started=len(runs),
            completed=len(set(completed)),
            effects=effects,
            effects_asked_again=asked_again,
            completion_events=len(events),
            downstream_runs=len(done),
            asset_events=len(assets),
            dead_letters_expected=sum(not request.run for request in load),
            dead_letters=len(letters),
            dead_letter_copies=copies - len(letters),
            order_violations=_order_violations(load, {e.id: e.start_time for e in executions}),
            duplicates={
                "runs": sum(ids.values()) - len(ids),
                "effects": effects - len(runs),
                "completion_events": sum(events.values()) - len(events),
                "downstream_runs": len(returned) - len({run["dag_run_id"] for run in returned}),
                "asset_events": sum(assets.values()) - len(assets),
            },
            lost={
                "requests": len(asked - runs),
                "operator_runs": len(set(operated) - set(succeeded)),
                "completions": len(runs - set(completed)),
                "completion_events": len({completion_event_id(run) for run in runs} - set(events)),
                "downstream_runs": len(expected - done),
                "asset_events": len({completion_event_id(run) for run in runs} - set(assets)),
            },
            dead_letter_codes=dict(Counter(letters)),
        )

    async def _executions(self) -> list[Any]:
        client = await connect(self._stack.temporal)
        return [execution async for execution in client.list_workflows("Agent = 'canary'", page_size=1000)]

    def _completion_events(self) -> Counter[str]:
        found: Counter[str] = Counter()
        for record in read_all(KafkaAddress(self._stack.kafka.bootstrap_servers), names.LIFECYCLE_TOPIC):
            headers = dict(record.headers)
            if headers.get("ce_type") == AgentCompleted.TYPE.encode():
                found[(headers["ce_id"] or b"").decode()] += 1
        return found

    def _letters(self) -> tuple[list[str], int]:
        """Codes of the letters, each once, and how many records there are."""
        records = list(read_all(KafkaAddress(self._stack.kafka.bootstrap_servers), names.REQUESTS_TOPIC + ".dead"))
        return [letter.code for letter in newest([read_letter(record) for record in records])], len(records)

    def _effects(self) -> tuple[int, int]:
        with self._database.engine.connect() as connection:
            rows = connection.execute(text("select count(*), coalesce(sum(tries), 0) from effects")).one()
        return int(rows[0]), int(rows[1]) - int(rows[0])

    async def _runs(self, dag: str) -> list[dict[str, Any]]:
        return await self._pages(f"/api/v2/dags/{dag}/dagRuns", "dag_runs", {"order_by": "id"})

    async def _asset_events(self) -> Counter[str]:
        params = {"name_pattern": names.COMPLETED_ASSET, "order_by": "timestamp"}
        events = await self._pages("/api/v2/assets/events", "asset_events", params)
        return Counter(event["extra"]["event_id"] for event in events if event["extra"].get("agent") == "canary")

    async def _pages(self, path: str, name: str, params: dict[str, Any]) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = []
        while True:
            page = await self.airflow.call("GET", path, params=params | {"limit": PAGE, "offset": len(found)})
            found += page[name]
            if len(page[name]) < PAGE:
                return found


def _order_violations(load: Sequence[Request], started: dict[str, Any]) -> int:
    """Runs that started before an earlier request of their key."""
    violations = 0
    for runs in first_per_key(list(load)).values():
        times = [started[run] for run in runs if run in started]
        violations += sum(later < earlier for earlier, later in pairwise(times))
    return violations
