"""The ``support`` workflow: one conversation, answered message by message, for as long as the customer talks."""

from collections import deque

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows.agents.support import AGENT
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.calls import tell
    from agent_workflows.workflows.loop import Conversation, LoopState
    from agent_workflows.workflows.run import continue_as_new, current, is_long
    from bridge.contracts.agents import AgentMessage, AgentResult, AgentStart, Frozen
    from bridge.contracts.catalog.support import ASK, SAY, SUPPORT, Reply, Said, Support, Talked
    from bridge.contracts.events import AgentReplied
    from bridge.contracts.failures import Refused


class Talk(Frozen):
    """Where the conversation stands between two messages."""

    messages: int = 0
    loop: LoopState = LoopState()


@workflow.defn(name=SUPPORT.workflow, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class SupportWorkflow:
    def __init__(self) -> None:
        self._said: deque[AgentMessage] = deque()
        self._replies: dict[str, str] = {}

    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = Support.model_validate(SUPPORT.validate_input(start.input))
            talk = Talk.model_validate(start.state)
            conversation = Conversation(AGENT, start, talk.loop)
            while await self._hears(wanted):
                message = self._said.popleft()
                reply = await _answer(conversation, message)
                talk = Talk(messages=talk.messages + 1, loop=conversation.state)
                await _tell(start, talk.messages, message, reply)
                self._replies[message.event_id] = reply
                if is_long() and not self._said and workflow.all_handlers_finished():
                    await continue_as_new(start, talk)
            await workflow.wait_condition(workflow.all_handlers_finished)
        return current().result(start, Talked(messages=talk.messages))

    async def _hears(self, wanted: Support) -> bool:
        """Whether the customer says something before the conversation has been idle for too long."""
        current().phase = "listening"
        try:
            await workflow.wait_condition(
                lambda: bool(self._said), timeout=wanted.idle, timeout_summary="closes when nothing is said"
            )
        except TimeoutError:
            return False
        return True

    @workflow.signal(name=SAY)
    def say(self, message: AgentMessage) -> None:
        try:
            SUPPORT.validate_message(SAY, message.data)
        except Refused as error:
            workflow.logger.warning("a message was left out: %s", error)
        else:
            self._said.append(message)

    @workflow.update(name=ASK)
    async def ask(self, message: AgentMessage) -> Reply:
        self._said.append(message)
        await workflow.wait_condition(lambda: message.event_id in self._replies)
        return Reply(text=self._replies.pop(message.event_id))

    @ask.validator
    def _is_said(self, message: AgentMessage) -> None:
        with as_temporal():
            SUPPORT.validate_message(ASK, message.data)


async def _answer(conversation: Conversation, message: AgentMessage) -> str:
    conversation.say(Said.model_validate(SUPPORT.validate_message(SAY, message.data)).text)
    while (output := await conversation.step()) is None:
        pass
    return Reply.model_validate(output).text


async def _tell(start: AgentStart, number: int, message: AgentMessage, reply: str) -> None:
    fact = AgentReplied(
        workflow_id=start.workflow_id, number=number, to=message.event_id, text=reply, replied_at=workflow.now()
    )
    await tell(start, "reply", number, fact, summary=f"reply {number}")
