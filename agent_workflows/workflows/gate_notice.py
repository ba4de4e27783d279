"""The ``gate_notice`` workflow: an agent of pydantic-ai, as it is."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.agents.definition import Caps
    from agent_workflows.agents.gate_notice import gate_notice
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.durable import Durable
    from agent_workflows.workflows.pydantic_agent import run_pydantic_agent
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.catalog.gate_notice import GATE_NOTICE, NoticeRequest


@workflow.defn(name=GATE_NOTICE.workflow, versioning_behavior=VersioningBehavior.PINNED)
class GateNoticeWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = NoticeRequest.model_validate(GATE_NOTICE.validate_input(start.input))
            durable = Durable(start, caps=Caps(), approvers=wanted.approvers)
            notice = await run_pydantic_agent(
                gate_notice, f"Airport {wanted.airport}", deps=start.tenant, durable=durable
            )
        return current().result(start, notice)
