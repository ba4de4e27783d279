"""The registration: which workflows and activities a worker serves, and with which limits."""

import datetime as dt
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, Final

from temporalio.client import Client
from temporalio.worker import Worker

from agent_workflows.activities.approve import Approve
from agent_workflows.activities.borrowed import Borrowed
from agent_workflows.activities.canary import Canary
from agent_workflows.activities.complete import Complete
from agent_workflows.activities.documents import Documents
from agent_workflows.activities.flight_tools import FlightTools
from agent_workflows.activities.memory_tools import MemoryTools
from agent_workflows.activities.research import Research
from agent_workflows.activities.shop import Shop
from agent_workflows.activities.standing import Standing
from agent_workflows.activities.think import Think
from agent_workflows.agents.definition import Agent
from agent_workflows.agents.queues import Kind, queue_of
from agent_workflows.interceptors import AgentInterceptor
from agent_workflows.ports import (
    Corpus,
    Effects,
    Files,
    Http,
    Memory,
    RunLedger,
    Snapshots,
    Thinker,
    Toolbox,
    Transcripts,
)
from agent_workflows.versions import UNVERSIONED, Release, sandbox
from agent_workflows.workflows.agent import AgentWorkflow
from agent_workflows.workflows.canary import CanaryWorkflow
from agent_workflows.workflows.delay_report import DelayReportWorkflow
from agent_workflows.workflows.follow_up import FollowUpWorkflow
from agent_workflows.workflows.fulfil_order import FulfilOrderWorkflow
from agent_workflows.workflows.gate_notice import GateNoticeWorkflow
from agent_workflows.workflows.gate_notice_plain import GateNoticePlainWorkflow
from agent_workflows.workflows.investigate_delays import InvestigateDelaysWorkflow
from agent_workflows.workflows.process_document import ProcessDocumentWorkflow
from agent_workflows.workflows.research_report import ResearchReportWorkflow
from agent_workflows.workflows.support import SupportWorkflow
from agent_workflows.workflows.watch_quality import WatchQualityWorkflow
from agent_workflows.workflows.weekly_report import WeeklyReportWorkflow

WORKFLOWS: Final[tuple[type, ...]] = (
    InvestigateDelaysWorkflow,
    DelayReportWorkflow,
    CanaryWorkflow,
    FulfilOrderWorkflow,
    WatchQualityWorkflow,
    FollowUpWorkflow,
    SupportWorkflow,
    AgentWorkflow,
    ResearchReportWorkflow,
    WeeklyReportWorkflow,
    GateNoticeWorkflow,
    GateNoticePlainWorkflow,
    ProcessDocumentWorkflow,
)


@dataclass(frozen=True, slots=True)
class Ports:
    thinker: Thinker
    transcripts: Transcripts
    snapshots: Snapshots
    ledger: RunLedger
    effects: Effects
    memory: Memory
    corpus: Corpus
    files: Files
    http: Http
    shop_url: str
    agents: Mapping[str, Agent]
    toolboxes: Mapping[str, Toolbox]


@dataclass(frozen=True, slots=True)
class Limits:
    activities: int = 32
    cached_workflows: int = 2000
    drain: dt.timedelta = dt.timedelta(seconds=8)
    """How long running activities may finish after SIGTERM."""


def activities(ports: Ports) -> list[Callable[..., Any]]:
    think = Think(thinker=ports.thinker, transcripts=ports.transcripts, steps=ports.ledger, agents=ports.agents)
    tools = FlightTools(ports.snapshots)
    canary = Canary(ports.effects)
    complete = Complete(ports.ledger)
    approve = Approve(ports.ledger)
    memory = MemoryTools(ports.memory)
    research = Research(ports.corpus, ports.files, ports.effects)
    documents = Documents(ports.files)
    standing = Standing(ports.ledger)
    shop = Shop(ports.http, ports.effects, ports.shop_url)
    return [
        think.decide,
        think.call_model,
        Borrowed(ports.toolboxes).call_tool,
        tools.tenant_rates,
        tools.market_rates,
        tools.weather,
        tools.tenant_history,
        canary.leave_mark,
        complete.record_completion,
        approve.record_approval,
        memory.recall,
        memory.remember,
        research.search_documents,
        research.read_page,
        research.check_notes,
        research.publish_report,
        documents.extract_document,
        documents.read_text,
        documents.store_summary,
        standing.look_at_quality,
        standing.tell,
        shop.validate_order,
        shop.reserve_stock,
        shop.release_stock,
        shop.charge_card,
        shop.refund_charge,
        shop.ship_order,
        shop.recall_shipment,
        shop.notify_warehouse,
        shop.email_customer,
        shop.set_status,
    ]


def build_workers(  # noqa: PLR0913 - the registration names its parts
    client: Client,
    ports: Ports,
    *,
    task_queue: str,
    serve: str,
    executor: Executor,
    limits: Limits | None = None,
    release: Release = UNVERSIONED,
    workflows: Sequence[type] = WORKFLOWS,
    more_activities: Sequence[Callable[..., Any]] = (),
) -> Iterator[tuple[str, Worker]]:
    """A worker for each queue served: ``serve`` names ``workflows`` and kinds of calls, with commas between."""
    for name in serve.split(","):
        kind = None if name == "workflows" else Kind(name)
        queue = queue_of(task_queue, kind)
        yield (
            queue,
            _build_worker(
                client,
                queue,
                workflows=workflows if kind is None else (),
                activities=[*activities(ports), *more_activities],
                executor=executor,
                limits=limits or Limits(),
                release=release,
                ledger=ports.ledger,
            ),
        )


def _build_worker(  # noqa: PLR0913 - as above
    client: Client,
    queue: str,
    *,
    workflows: Sequence[type],
    activities: Sequence[Callable[..., Any]],
    executor: Executor,
    limits: Limits,
    release: Release,
    ledger: RunLedger,
) -> Worker:
    return Worker(
        client,
        task_queue=queue,
        workflows=workflows,
        activities=activities,
        activity_executor=executor,
        workflow_runner=sandbox(release),
        interceptors=[AgentInterceptor(ledger)],
        max_cached_workflows=limits.cached_workflows,
        max_concurrent_activities=limits.activities,
        graceful_shutdown_timeout=limits.drain,
        deployment_config=release.config(),
        sticky_queue_schedule_to_start_timeout=dt.timedelta(seconds=1),
    )
