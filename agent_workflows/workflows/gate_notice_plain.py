"""The ``gate_notice_plain`` workflow: a loop of plain Python, as it is."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.agents.definition import Caps
    from agent_workflows.agents.gate_notice_plain import gate_notice
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.durable import Durable
    from agent_workflows.workflows.plain_agent import PlainAgent
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentResult, AgentStart
    from bridge.contracts.catalog.gate_notice import GATE_NOTICE_PLAIN, GateNotice, NoticeRequest


@workflow.defn(name=GATE_NOTICE_PLAIN.workflow, versioning_behavior=VersioningBehavior.PINNED)
class GateNoticePlainWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = NoticeRequest.model_validate(GATE_NOTICE_PLAIN.validate_input(start.input))
            plain = PlainAgent(Durable(start, caps=Caps(), approvers=wanted.approvers))
            tools = {"usual_delay": plain.tool("usual_delay"), "post_notice": plain.tool("post_notice", asks=True)}
            notice = GateNotice.model_validate(await gate_notice(wanted.airport, chat=plain.chat, tools=tools))
        return current().result(start, notice)
