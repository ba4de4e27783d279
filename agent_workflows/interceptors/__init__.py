"""What every agent shares, kept out of agent code: see ``runs`` for workflows and ``steps`` for activities."""

from temporalio.worker import (
    ActivityInboundInterceptor,
    Interceptor,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from agent_workflows.interceptors.runs import AgentRuns
from agent_workflows.interceptors.steps import Steps
from agent_workflows.ports import RunLedger


class AgentInterceptor(Interceptor):
    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002
        return Steps(next, self._ledger)

    def workflow_interceptor_class(
        self,
        input: WorkflowInterceptorClassInput,  # noqa: A002, ARG002 - the SDK's signature
    ) -> type[WorkflowInboundInterceptor]:
        return AgentRuns
