"""The ``canary`` workflow: shows that starting, messages, an effect and completing all work. Asks no model."""

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.canary import LEAVE_MARK
    from agent_workflows.failures import as_temporal
    from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart, Usage
    from bridge.contracts.catalog.canary import CANARY, NOTE, RECORD_NOTE, CanaryReturned, RunCanary
    from bridge.contracts.failures import Code, Refused


@workflow.defn(name=CANARY.workflow, versioning_behavior=VersioningBehavior.PINNED)
class CanaryWorkflow:
    def __init__(self) -> None:
        self._notes: list[str] = []
        self._wanted = 0

    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            self._wanted = RunCanary.model_validate(CANARY.validate_input(start.input)).notes
        await workflow.wait_condition(lambda: len(self._notes) >= self._wanted)
        effect: str = await workflow.execute_activity(
            LEAVE_MARK,
            start,
            result_type=str,
            start_to_close_timeout=policies.DATA.start_to_close,
            retry_policy=policies.DATA.retry,
        )
        returned = CanaryReturned(effect=effect, notes=tuple(self._notes))
        return AgentResult(
            tenant=start.tenant,
            agent=start.agent,
            request_id=start.request_id,
            output=returned.model_dump(mode="json"),
            usage=Usage(tool_calls=1),
        )

    @workflow.signal(name=NOTE)
    def note(self, message: AgentMessage) -> None:
        self._notes.append(str(message.data["text"]))

    @workflow.update(name=RECORD_NOTE)
    def record_note(self, message: AgentMessage) -> int:
        """Returns how many notes there are now."""
        self._notes.append(str(message.data["text"]))
        return len(self._notes)

    @record_note.validator
    def _accepts(self, message: AgentMessage) -> None:
        if not str(message.data.get("text", "")).strip():
            with as_temporal():
                raise Refused(Code.INVALID_REQUEST, "an empty note says nothing")
