"""The story: ingest days, judge them, start agents by operator and by Kafka, digest what they found.

Drives the real servers from outside, as a person or another system would, and waits for what they say.
"""

import asyncio
import datetime as dt
import json
import subprocess
import sys
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import quote

from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database, ledger
from bridge.adapters.objects import Objects, S3Address
from bridge.contracts import names
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS
from bridge.contracts.events import AgentCompleted, Verdict
from bridge.contracts.failures import Code, Owner, Refused, Unavailable
from bridge.contracts.ids import completion_event_id, workflow_id
from bridge.stack.layout import REPOSITORY, Layout
from bridge.stack.raw_data import load_days

DAYS: Final = ("2013-04-16", "2013-02-08", "2013-04-17")
TENANTS: Final = ("AA", "B6", "DL", "EV", "MQ", "UA")
DAMAGED: Final = {"2013-04-17": "DL"}
DAGS: Final = ("agents_daily_digest", "agents_daily_investigation", "flights_daily_ingest")
DIGEST: Final = "airflow-dag:agents_daily_digest"
STEP_SECONDS: Final = 300
Say = Callable[[str], None]
Pair = tuple[str, str]


@dataclass(frozen=True, slots=True)
class Story:
    days: Sequence[str] = DAYS
    tenants: Sequence[str] = TENANTS
    damaged: Mapping[str, str] = field(default_factory=lambda: dict(DAMAGED))


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the result table, and one object of ``demo.json``."""

    tenant: str
    day: str
    rows: int
    verdict: str
    agent: str | None
    cause: str | None
    severity: str | None
    started_by: str | None
    seconds: float | None
    link: str


class Demo:
    def __init__(self, plan: Layout, say: Say) -> None:
        self._plan = plan
        self._say = say
        self._database = Database(plan.database_url)
        s3 = S3Address(endpoint=plan.url("s3"), access_key="tandem", secret_key=plan.secrets["s3_secret"])
        self._objects = Objects(s3.client())
        self._airflow = AirflowApi(
            base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"]
        )
        self._key = dt.datetime.now(dt.UTC).strftime("demo-%Y%m%dT%H%M%S")

    async def tell(self, story: Story) -> list[Row]:
        """Run the story to its end; raises ``Unavailable`` that says what did not happen."""
        try:
            return await self._tell(story)
        finally:
            await self._airflow.close()
            self._database.close()

    async def _tell(self, story: Story) -> list[Row]:
        declared = [tenant.id for tenant in await self._database.arun(ledger.list_tenants)]
        unknown = sorted(set(story.tenants) - set(declared))
        if unknown:
            raise Refused(Code.UNKNOWN_TENANT, f"tenants {unknown} are not declared; declared: {declared}")
        count = await asyncio.to_thread(load_days, self._objects, story.days, declared, story.damaged)
        self._say(f"Loaded {count} raw files for {len(story.days)} days into s3://{names.RAW_BUCKET}.")
        await self._switch_on()
        runs = [await self._trigger(day, story) for day in story.days]
        await self._watch_ingest(runs)
        verdicts = await self._verdicts(story, runs)
        passed = [pair for pair, verdict in verdicts.items() if verdict.passed]
        by_operator = [await self._operator_run(pair) for pair in passed]
        by_kafka = await self._ask_by_kafka(story, passed)
        completed = await self._completions([*by_operator, *by_kafka])
        await self._digested(list(completed))
        await self._save_reports(verdicts)
        return self._rows(verdicts, completed)

    async def _switch_on(self) -> None:
        async def known() -> bool:
            answer = await self._airflow.call("GET", "/api/v2/dags", params={"limit": 100})
            return set(DAGS) <= {dag["dag_id"] for dag in answer["dags"]}

        await self._until(known, f"Airflow to parse {', '.join(DAGS)}")
        for dag in DAGS:
            await self._airflow.call("PATCH", f"/api/v2/dags/{dag}", json={"is_paused": False})
        self._say("Switched on " + ", ".join(DAGS) + ".")

    async def _trigger(self, day: str, story: Story) -> str:
        """A run of ``day``. The time of day makes the logical date unique, so a day can be told again."""
        logical = f"{day}T{dt.datetime.now(dt.UTC):%H:%M:%S.%f}Z"
        body = {
            "dag_run_id": f"{self._key}__{day}",
            "logical_date": logical,
            "conf": {"tenants": list(story.tenants)},
        }
        answer = await self._airflow.call("POST", "/api/v2/dags/flights_daily_ingest/dagRuns", json=body)
        self._say(f"Triggered flights_daily_ingest for {day}: {', '.join(story.tenants)}.")
        return str(answer["dag_run_id"])

    async def _watch_ingest(self, runs: Sequence[str]) -> None:
        ended: dict[str, str] = {}

        async def all_ended() -> bool:
            for run in runs:
                answer = await self._airflow.call("GET", f"/api/v2/dags/flights_daily_ingest/dagRuns/{run}")
                if answer["state"] in {"success", "failed"} and run not in ended:
                    ended[run] = answer["state"]
                    self._say(f"  ingest {run.rsplit('__', 1)[-1]}: {answer['state']}")
            return len(ended) == len(runs)

        await self._until(all_ended, "the ingest runs to end")

    async def _verdicts(self, story: Story, runs: Sequence[str]) -> dict[Pair, Verdict]:
        """The newest verdict of each tenant and day that had departures."""
        found = await self._database.arun(ledger.list_verdicts)
        wanted = {(tenant, day) for tenant in story.tenants for day in story.days}
        verdicts = {
            (v.tenant, v.day.isoformat()): v
            for v in found
            if (v.tenant, v.day.isoformat()) in wanted and v.dataset == names.DEPARTURES
        }
        for tenant, day in sorted(wanted - set(verdicts)):
            self._say(f"  no verdict for {tenant} on {day}: no departures that day, or see run {runs}")
        for (tenant, day), verdict in sorted(verdicts.items()):
            if not verdict.passed:
                self._say(f"  {tenant} {day} stays unpublished: {verdict.reasons[0]}")
        return verdicts

    async def _operator_run(self, pair: Pair) -> str:
        tenant, day = pair
        snapshot = await self._database.arun(
            ledger.find_snapshot, tenant=tenant, dataset=names.DEPARTURES, day=dt.date.fromisoformat(day)
        )
        if snapshot is None:
            raise Unavailable(f"the verdict on {tenant} {day} passed, but nothing was published; see the ingest run")
        return workflow_id(tenant, INVESTIGATE_DELAYS.name, f"{day}.{snapshot.snapshot_id}")

    async def _ask_by_kafka(self, story: Story, passed: Sequence[Pair]) -> list[str]:
        """Another system asks for agents, three times each; also for what stayed unpublished, in vain."""
        wanted = [pair for day in story.days for pair in passed if pair[1] == day][:: max(1, len(story.tenants) // 2)]
        refused = [(tenant, day) for day, tenant in story.damaged.items() if day in story.days]
        asked = [f"{tenant}:{day}" for tenant, day in [*wanted, *refused]]
        if not asked:
            return []
        script = REPOSITORY / "infra" / "demo" / "other_system.py"
        command = [sys.executable, str(script), self._plan.address("kafka"), *asked, "--key", self._key]
        done = await asyncio.to_thread(subprocess.run, command, capture_output=True, text=True, check=False)
        if done.returncode:
            raise Unavailable(f"the other system could not send: {done.stderr[-500:]}")
        self._say(f"Another system {done.stdout.strip()} on {names.REQUESTS_TOPIC}.")
        return [workflow_id(tenant, INVESTIGATE_DELAYS.name, f"{self._key}.{day}") for tenant, day in wanted]

    async def _completions(self, runs: Sequence[str]) -> dict[str, AgentCompleted]:
        completed: dict[str, AgentCompleted] = {}

        async def all_completed() -> bool:
            for run in runs:
                if run not in completed:
                    found = await self._database.arun(ledger.find_completion, run)
                    if found is not None:
                        completed[run] = found
            return len(completed) == len(runs)

        await self._until(all_completed, "every agent to complete", progress=lambda: f"{len(completed)} of {len(runs)}")
        self._say(f"{len(completed)} agents completed.")
        return completed

    async def _digested(self, runs: Sequence[str]) -> None:
        async def all_delivered() -> bool:
            for run in runs:
                if not await self._database.arun(ledger.is_delivered, completion_event_id(run), DIGEST):
                    return False
            answer = await self._airflow.call(
                "GET", "/api/v2/dags/agents_daily_digest/dagRuns", params={"limit": 100, "order_by": "-run_after"}
            )
            states = {run["state"] for run in answer["dag_runs"]}
            return bool(states) and not states & {"queued", "running"}

        await self._until(all_delivered, "the digests to be written")
        self._say("agents_daily_digest has written every finding.")

    async def _save_reports(self, verdicts: Mapping[Pair, Verdict]) -> None:
        """Copies for reading offline, beside the ones that Airflow serves."""
        folder = self._plan.home / "reports"
        keys = [verdict.report for verdict in verdicts.values()]
        for tenant in sorted({tenant for tenant, _ in verdicts}):
            keys += await asyncio.to_thread(self._objects.keys, names.REPORTS_BUCKET, f"{tenant}/{names.FINDINGS}/")
        for key in keys:
            path = folder / key
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_bytes(await asyncio.to_thread(self._objects.get, names.REPORTS_BUCKET, key))
        index = await self._airflow.request("GET", "/tandem/reports/")
        if index.is_success:
            (folder / "index.html").write_bytes(index.content)

    def _rows(self, verdicts: Mapping[Pair, Verdict], completed: Mapping[str, AgentCompleted]) -> list[Row]:
        rows = []
        for (tenant, day), verdict in sorted(verdicts.items(), key=lambda item: (item[0][1], item[0][0])):
            mine = [c for c in completed.values() if c.workflow_id.startswith(f"{tenant}/") and c.input["day"] == day]
            if not verdict.passed or not mine:
                rows.append(self._row_without_agent(tenant, day, verdict))
            rows += [
                self._row(tenant, day, verdict, run) for run in sorted(mine, key=lambda c: c.started_by, reverse=True)
            ]
        return rows

    def _row_without_agent(self, tenant: str, day: str, verdict: Verdict) -> Row:
        link = f"{self._plan.url('airflow')}/tandem/reports/{verdict.report}"
        word = "passed" if verdict.passed else "failed"
        return Row(tenant, day, verdict.rows, word, None, None, None, None, None, link)

    def _row(self, tenant: str, day: str, verdict: Verdict, run: AgentCompleted) -> Row:
        output: Mapping[str, Any] = run.output
        return Row(
            tenant=tenant,
            day=day,
            rows=verdict.rows,
            verdict="passed",
            agent=run.agent,
            cause=output.get("cause") or f"({run.outcome.value}: {run.code})",
            severity=output.get("severity"),
            started_by=run.started_by,
            seconds=round((run.closed_at - run.started_at).total_seconds(), 2),
            link=run_url(self._plan, run.workflow_id),
        )

    async def _until(self, condition: Any, what: str, *, progress: Callable[[], str] | None = None) -> None:
        """Ask until yes; says every ten seconds what it waits for."""
        began = said = time.monotonic()
        while not await condition():
            now = time.monotonic()
            if now - began > STEP_SECONDS:
                problem = f"waited {STEP_SECONDS} s for {what}; see make status and the logs in {self._plan.logs}"
                raise Refused(Code.UNAVAILABLE, problem, owner=Owner.PLATFORM)
            if now - said > 10:  # noqa: PLR2004 - seconds between two words
                said = now
                told = f" ({progress()})" if progress else ""
                self._say(f"  … waiting for {what}{told}, {now - began:.0f} s")
            await asyncio.sleep(0.3)


def run_url(plan: Layout, run: str) -> str:
    return f"{plan.url('temporal_ui')}/namespaces/default/workflows/{quote(run, safe='')}"


def save(plan: Layout, rows: Sequence[Row]) -> None:
    values = [{name: getattr(row, name) for name in Row.__slots__} for row in rows]
    (plan.home / "demo.json").write_text(json.dumps(values, indent=2) + "\n", encoding="utf-8")
