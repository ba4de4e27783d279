"""The ``follow_up`` workflow: a durable timer that reminds, unless it is settled first."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.calls import tell
    from agent_workflows.workflows.run import current
    from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart
    from bridge.contracts.catalog.follow_up import FOLLOW_UP, SETTLE, FollowedUp, FollowUp
    from bridge.contracts.events import ReminderDue


@workflow.defn(name=FOLLOW_UP.workflow, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class FollowUpWorkflow:
    def __init__(self) -> None:
        self._settled: str | None = None

    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = FollowUp.model_validate(FOLLOW_UP.validate_input(start.input))
        reminders = 0
        while reminders < wanted.times and not await self._settled_within(wanted):
            reminders += 1
            await _remind(start, wanted, reminders)
        return current().result(start, FollowedUp(reminders=reminders, settled=self._settled))

    async def _settled_within(self, wanted: FollowUp) -> bool:
        current().phase = f"waiting to remind {wanted.to}"
        try:
            await workflow.wait_condition(
                lambda: self._settled is not None, timeout=wanted.after, timeout_summary="until the reminder"
            )
        except TimeoutError:
            return False
        return True

    @workflow.signal(name=SETTLE)
    def settle(self, message: AgentMessage) -> None:
        self._settled = str(message.data.get("how", ""))


async def _remind(start: AgentStart, wanted: FollowUp, number: int) -> None:
    due = ReminderDue(
        workflow_id=start.workflow_id, number=number, to=wanted.to, text=wanted.text, due_at=workflow.now()
    )
    await tell(start, "reminder", number, due, summary=f"reminder {number}")
