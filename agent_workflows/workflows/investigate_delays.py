"""The ``investigate_delays`` workflow."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.agents.investigate_delays import AGENT
    from agent_workflows.workflows.loop import run_agent
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS


@workflow.defn(name=INVESTIGATE_DELAYS.workflow, versioning_behavior=VersioningBehavior.PINNED)
class InvestigateDelaysWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        return await run_agent(AGENT, start)
