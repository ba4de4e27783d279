"""The workflow of every agent that is nothing but its definition: request, result, instructions, tools, caps."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.agents import DEFINITIONS
    from agent_workflows.failures import terminal
    from agent_workflows.workflows.loop import run_agent
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.catalog.research_roles import AGENT_WORKFLOW
    from bridge.contracts.failures import Code, Owner, Refused


@workflow.defn(name=AGENT_WORKFLOW, versioning_behavior=VersioningBehavior.PINNED)
class AgentWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        agent = DEFINITIONS.get(start.agent)
        if agent is None:
            problem = f"this worker has no agent {start.agent!r}; it has {sorted(DEFINITIONS)}"
            raise terminal(Refused(Code.UNKNOWN_AGENT, problem, owner=Owner.OURS))
        return await run_agent(agent, start)
