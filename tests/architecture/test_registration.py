"""Every contracted name is served, and every workflow loads in the sandbox."""

import inspect

from temporalio import activity, workflow
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner

from agent_workflows.agents import DEFINITIONS
from agent_workflows.versions import sandbox
from agent_workflows.worker import WORKFLOWS, Ports, activities
from bridge.contracts.agents import AgentStart
from bridge.contracts.catalog import AGENTS
from bridge.contracts.catalog.canary import CANARY
from bridge.contracts.catalog.delay_report import DELAY_REPORT
from bridge.contracts.catalog.follow_up import FOLLOW_UP
from bridge.contracts.catalog.fulfil_order import FULFIL_ORDER
from bridge.contracts.catalog.gate_notice import GATE_NOTICE, GATE_NOTICE_PLAIN
from bridge.contracts.catalog.process_document import PROCESS_DOCUMENT
from bridge.contracts.catalog.research_report import RESEARCH_REPORT
from bridge.contracts.catalog.watch_quality import WATCH_QUALITY
from bridge.contracts.catalog.weekly_report import WEEKLY_REPORT

PLAIN = (CANARY, FULFIL_ORDER, FOLLOW_UP, WATCH_QUALITY, RESEARCH_REPORT, WEEKLY_REPORT, PROCESS_DOCUMENT)
"""They ask no model themselves, so they have no instructions and tools."""
OWN_LOOP = (DELAY_REPORT, GATE_NOTICE, GATE_NOTICE_PLAIN)
"""Their loop is not ours: they bring instructions and tools of their own."""


def _ports() -> Ports:
    nothing = None
    return Ports(  # type: ignore[arg-type]
        thinker=nothing, transcripts=nothing, snapshots=nothing, ledger=nothing, effects=nothing, memory=nothing,
        corpus=nothing, files=nothing, http=nothing, shop_url="", agents=DEFINITIONS, toolboxes={},
    )  # fmt: skip


def _activity_names() -> set[str]:
    return {activity._Definition.must_from_callable(function).name or "" for function in activities(_ports())}


def test_every_contracted_agent_has_its_workflow_and_definition() -> None:
    served = {workflow._Definition.must_from_class(cls).name for cls in WORKFLOWS}

    assert {spec.workflow for spec in AGENTS.values()} <= served
    assert set(AGENTS) - {spec.name for spec in (*PLAIN, *OWN_LOOP)} == set(DEFINITIONS)
    assert all(definition.spec is AGENTS[name] for name, definition in DEFINITIONS.items())


def test_every_tool_is_an_activity() -> None:
    tools = {tool.name for agent in DEFINITIONS.values() for tool in agent.tools}

    assert tools <= _activity_names()
    assert "decide" in _activity_names()


def test_every_workflow_takes_the_one_start_command() -> None:
    for cls in WORKFLOWS:
        run = workflow._Definition.must_from_class(cls).run_fn
        (parameter,) = list(inspect.signature(run).parameters.values())[1:]
        assert parameter.annotation is AgentStart


async def test_every_workflow_loads_in_the_sandbox() -> None:
    runner = sandbox()

    assert isinstance(runner, SandboxedWorkflowRunner)
    for cls in WORKFLOWS:
        runner.prepare_workflow(workflow._Definition.must_from_class(cls))
