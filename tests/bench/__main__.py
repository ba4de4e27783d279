"""``make bench``: prints ratios within one run and writes them to ``.tandem/bench.json``.

Brings the local stack up if it is down, and leaves it as it found it.
"""

import asyncio
import datetime as dt
import json
import logging
import os
import platform
import statistics
import tempfile
import time
import uuid
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from importlib.metadata import version
from pathlib import Path
from typing import Any

from temporalio.worker import Worker

from agent_workflows.activities.flight_tools import FlightTools
from agent_workflows.versions import sandbox
from bridge.adapters.airflow_api import AirflowApi
from bridge.adapters.database import Database, ledger
from bridge.adapters.kafka import KafkaEventLog
from bridge.adapters.temporal import RPC_TIMEOUT, TemporalAgents, connect
from bridge.contracts import names
from bridge.contracts.agents import AgentStart
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS
from bridge.contracts.envelope import Envelope, encode
from bridge.contracts.events import AgentRequested, SnapshotPublished
from bridge.contracts.ids import dag_run_id
from bridge.settings import stack_home
from bridge.stack import lifecycle
from bridge.stack.components import environment
from tests.agents import SmallSnapshots, agent_runtime, offline_thinker
from tests.bench import bridge, runtime
from tests.bench.bare import BareInvestigation, BareThink
from tests.samples import AA, completed, snapshots, start
from tests.servers import Stack

STARTS = 30
AGENTS = 40
ROUNDS = 3
STEPS = 10
"""Model and tool calls of one investigation."""
DOWNSTREAM = 8
DAY = "2013-12-30"


def _ratio(ours: list[float], base: list[float]) -> dict[str, float]:
    return {
        "ratio_of_medians": round(statistics.median(ours) / statistics.median(base), 3),
        "median": round(statistics.median(ours), 4),
        "median_of_base": round(statistics.median(base), 4),
        "p95": round(sorted(ours)[int(len(ours) * 0.95)], 4),
        "p95_of_base": round(sorted(base)[int(len(base) * 0.95)], 4),
        "samples": len(ours),
    }


async def measure(stack: Stack) -> dict[str, Any]:
    print("From completion to downstream run, against a bare post to Airflow …", flush=True)
    through, posted = await _downstream(stack)
    print("Steps of the agent loop, against the same calls without our layers …", flush=True)
    ours, base = await _steps(stack)
    print("Start of an agent: by operator and by Kafka, against a bare start_workflow …", flush=True)
    bare, by_operator, by_kafka = await _starts(stack)
    print("Throughput of the bridge, against as many bare starts at once …", flush=True)
    starts_ours, starts_bare = await bridge.throughput(stack)
    print("CPU per message, against a bare poll loop …", flush=True)
    cpu_ours, cpu_bare = await bridge.cpu_per_message(stack)
    print("Memory with 100,000 messages waiting, against 1,000 …", flush=True)
    many, few = await bridge.memory(stack)
    print("From asking to the first agent step: by Kafka, against Temporal alone …", flush=True)
    step_kafka, step_direct = await bridge.first_step(stack)
    print("Bytes of history a step, against a loop that keeps its conversation in the workflow …", flush=True)
    flat, naive = await runtime.history(stack)
    print("Memory of a thousand agents that wait, against bare workflows …", flush=True)
    agents_kb, bare_kb = await asyncio.to_thread(runtime.parked, stack)
    print("From kill -9 of a worker until its call is made again …", flush=True)
    resumed, told = await runtime.resume(stack)
    return {
        "history_bytes_per_step_vs_naive_loop": _ratio(flat, naive) | {"unit": "bytes"},
        "memory_per_parked_agent_vs_bare_workflow": _ratio(agents_kb, bare_kb) | {"unit": "kilobytes"},
        "resume_after_worker_kill_vs_heartbeat_timeout": _ratio(resumed, told) | {"unit": "seconds"},
        "bridge_starts_per_second_vs_bare_concurrent_starts": _ratio(starts_ours, starts_bare) | {"unit": "1/s"},
        "bridge_cpu_per_message_vs_bare_poll_loop": _ratio(cpu_ours, cpu_bare) | {"unit": "microseconds"},
        "bridge_memory_100000_waiting_vs_1000": _ratio(many, few) | {"unit": "megabytes"},
        "kafka_to_first_step_vs_start_workflow": _ratio(step_kafka, step_direct) | {"unit": "seconds"},
        "start_latency_operator_vs_bare_start": _ratio(by_operator, bare) | {"unit": "seconds"},
        "start_latency_kafka_vs_bare_start": _ratio(by_kafka, bare) | {"unit": "seconds"},
        "agent_loop_steps_per_second_vs_same_activities": _ratio(ours, base) | {"unit": "steps per second"},
        "completion_to_downstream_run_vs_bare_dag_run": _ratio(through, posted) | {"unit": "seconds"},
    }


async def _starts(stack: Stack) -> tuple[list[float], list[float], list[float]]:
    """Seconds from asking until the server has the run, the three ways in turn."""
    from airflow_bridge.hooks.temporal import TemporalHook

    database = Database(stack.plan.database_url)
    ref = snapshots()[0].model_copy(update={"tag": "bench", "snapshot_id": 1})
    day = dt.date.fromisoformat(DAY)
    database.run(ledger.record_publication, SnapshotPublished(day=day, rows=0, snapshot=ref, verdict="bench"))
    agents = TemporalAgents(await connect(stack.temporal))
    log, hook = KafkaEventLog(stack.kafka), TemporalHook()
    nobodys = replace(INVESTIGATE_DELAYS, queue="nobody")
    bare, by_operator, by_kafka = [], [], []
    for _ in range(STARTS):
        run = _request()
        asked = dt.datetime.now(dt.UTC)
        await agents.client.start_workflow(
            INVESTIGATE_DELAYS.workflow, run, id=run.workflow_id, task_queue="nobody", rpc_timeout=RPC_TIMEOUT
        )
        bare.append(await _seconds_until_started(agents, run, asked))
        run = _request()
        asked = dt.datetime.now(dt.UTC)
        await asyncio.to_thread(hook.attach, run, nobodys, AA)
        by_operator.append(await _seconds_until_started(agents, run, asked))
        run = _request()
        request = AgentRequested(agent=run.agent, request_id=run.request_id, input={"day": DAY})
        event = Envelope(id=run.request_id, type=request.TYPE, tenant="AA", data=request.model_dump(mode="json"))
        asked = dt.datetime.now(dt.UTC)
        await log.send([encode(event, topic=names.REQUESTS_TOPIC, key=run.workflow_id)])
        by_kafka.append(await _seconds_until_started(agents, run, asked))
    log.close()
    return bare[2:], by_operator[2:], by_kafka[2:]


def _request() -> AgentStart:
    return start(f"bench-{uuid.uuid4().hex[:12]}", input={"day": DAY}, snapshots=())


async def _seconds_until_started(agents: TemporalAgents, run: AgentStart, asked: dt.datetime) -> float:
    async with asyncio.timeout(30):
        while True:
            try:
                execution = await agents.client.get_workflow_handle(run.workflow_id).describe()
            except Exception:  # noqa: BLE001 - not there yet
                await asyncio.sleep(0.005)
            else:
                return (execution.start_time - asked).total_seconds()


async def _steps(stack: Stack) -> tuple[list[float], list[float]]:
    ours, base = [], []
    with tempfile.TemporaryDirectory() as folder:
        async with agent_runtime(stack.temporal, Path(folder)) as runtime:
            client, queue = runtime.agents.client, runtime.spec.queue
            think, tools = BareThink(offline_thinker()), FlightTools(SmallSnapshots())
            with ThreadPoolExecutor(8) as executor:
                worker = Worker(
                    client, task_queue=f"bare-{queue}", workflows=[BareInvestigation], workflow_runner=sandbox(),
                    activities=[
                        think.decide, tools.tenant_rates, tools.market_rates, tools.weather, tools.tenant_history
                    ],
                    activity_executor=executor, max_concurrent_activities=8,
                )  # fmt: skip
                async with worker:
                    for number in range(ROUNDS + 1):
                        ours.append(await _rate(client, INVESTIGATE_DELAYS.workflow, queue))
                        base.append(await _rate(client, "BareInvestigation", f"bare-{queue}"))
                        print(f"  round {number}: {ours[-1]:.0f} and {base[-1]:.0f} steps a second", flush=True)
    return ours[1:], base[1:]  # the first round warms up


async def _rate(client: Any, workflow: str, queue: str) -> float:
    began = time.monotonic()
    runs = [start(f"bench-{uuid.uuid4().hex[:12]}") for _ in range(AGENTS)]
    await asyncio.gather(*(client.execute_workflow(workflow, r, id=r.workflow_id, task_queue=queue) for r in runs))
    return AGENTS * STEPS / (time.monotonic() - began)


async def _downstream(stack: Stack) -> tuple[list[float], list[float]]:
    """Seconds until Airflow has started the digest run: through outbox, Kafka and bridge, and asked for directly."""
    plan = stack.plan
    airflow = AirflowApi(base_url=plan.url("airflow"), username="admin", password=plan.secrets["airflow_admin"])
    await airflow.call("PATCH", "/api/v2/dags/agents_daily_digest", json={"is_paused": False})
    database = Database(plan.database_url)
    through, posted = [], []
    for number in range(DOWNSTREAM + 1):
        for samples, is_ours in ((through, True), (posted, False)):
            run = completed(f"AA/investigate_delays/bench-{uuid.uuid4().hex[:12]}")
            before, asked = await _digests(airflow), dt.datetime.now(dt.UTC)
            if is_ours:
                await database.arun(ledger.record_completion, run, tenant="AA")
            else:
                extra = run.model_dump(mode="json") | {"tenant": "AA"}
                conf = {"tenant": "AA", "events": [extra]}
                await airflow.run(dag="agents_daily_digest", run_id=dag_run_id(run.workflow_id), conf=conf)
            seconds = await _seconds_until_digest(airflow, before, asked)
            if number:
                samples.append(seconds)
    await airflow.close()
    return through, posted


async def _digests(airflow: AirflowApi) -> dict[str, Any]:
    answer = await airflow.call(
        "GET", "/api/v2/dags/agents_daily_digest/dagRuns", params={"limit": 20, "order_by": "-run_after"}
    )
    return {run["dag_run_id"]: run for run in answer["dag_runs"] if run["start_date"]}


async def _seconds_until_digest(airflow: AirflowApi, before: dict[str, Any], asked: dt.datetime) -> float:
    async with asyncio.timeout(60):
        while True:
            new = [run for name, run in (await _digests(airflow)).items() if name not in before]
            if new:
                started = dt.datetime.fromisoformat(new[0]["start_date"])
                return (started - asked).total_seconds()
            await asyncio.sleep(0.05)


def main() -> None:
    home = stack_home()
    logging.disable(logging.WARNING)  # Airflow turns every library's log on
    was_up = bool(lifecycle.status(home))
    stack = Stack(lifecycle.up(home, print, dict(os.environ)))
    os.environ |= {k: v for k, v in environment(stack.plan, {}).items() if k.startswith("AIRFLOW")}
    try:
        results = asyncio.run(measure(stack))
    finally:
        if not was_up:
            lifecycle.down(home, print)
    about = {
        "machine": f"{os.cpu_count()} cores, {platform.machine()}, Python {platform.python_version()}",
        "broker": stack.plan.broker,
        "versions": {name: version(name) for name in ("apache-airflow", "temporalio", "kafka-python")},
        "at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
    }
    (home / "bench.json").write_text(json.dumps(about | {"results": results}, indent=2) + "\n")
    for name, figures in results.items():
        print(
            f"{name}: {figures['ratio_of_medians']} (medians {figures['median']} and {figures['median_of_base']} "
            f"{figures['unit']}, {figures['samples']} samples)"
        )
    print(f"Written to {home / 'bench.json'}")


if __name__ == "__main__":
    main()
