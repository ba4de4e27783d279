"""What an agent needs whose loop is not ours: its model and its tools as activities, people asked, caps kept."""

from typing import Any

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.borrowed import CALL_TOOL
    from agent_workflows.activities.messages import BorrowedCall, BorrowedResult, Decision, ToolCall, Turn
    from agent_workflows.activities.think import CALL_MODEL
    from agent_workflows.agents.definition import Caps
    from agent_workflows.agents.models import Purpose
    from agent_workflows.workflows.calls import call
    from agent_workflows.workflows.run import current, run_key
    from bridge.contracts.agents import AgentStart
    from bridge.contracts.approvals import Approval, ApprovalRequest, ApprovalVerdict, Role
    from bridge.contracts.failures import Code, Refused


class Durable:
    """The model, the tools and the approvers of the agent that ``start`` names, inside its workflow."""

    def __init__(
        self, start: AgentStart, *, caps: Caps, approvers: tuple[Role, ...] = (), purpose: Purpose = Purpose.REASON
    ) -> None:
        self._start = start
        self._caps = caps
        self._approvers = approvers
        self._purpose = purpose
        self._parent = ""
        self._questions = 0

    async def call_model(self, added: str, parameters: str, *, anew: bool = False) -> str:
        """Ask the model; returns its answer. All is JSON, as pydantic-ai writes it.

        ``added`` are the messages since the request before: those before are in the transcript store, or were taken
        back (``anew``). Raises ``Refused(CAP_REACHED)``.
        """
        run = current()
        run.check(self._start, self._caps)
        run.phase = f"thinking, turn {run.usage.turns + 1}"
        turn = Turn(
            start=self._start,
            run=run_key(),
            version=run.usage.turns,
            parent="" if anew else self._parent,
            added=added,
            parameters=parameters,
            purpose=self._purpose,
        )
        decision = await call(CALL_MODEL, turn, Decision, policies.MODEL, summary=f"turn {turn.version + 1}")
        run.spend(decision)
        self._parent = decision.run
        return decision.response

    async def call_tool(self, call_id: str, tool: str, arguments: dict[str, Any]) -> BorrowedResult:
        """Call a tool of the agent's on a worker."""
        current().phase = f"calling {tool}"
        request = BorrowedCall(start=self._start, call=ToolCall(id=call_id, tool=tool, arguments=arguments))
        said = ", ".join(f"{name}={value}" for name, value in arguments.items())
        return await call(CALL_TOOL, request, BorrowedResult, policies.DATA, summary=f"{tool} {said[:150]}")

    async def ask_people(self, tool: str, arguments: dict[str, Any]) -> Approval:
        """Whether a tool may be called with these arguments, which people may edit.

        Raises ``Refused(REJECTED)`` if a person stops the run.
        """
        self._questions += 1
        approval = await current().approvals.ask(
            ApprovalRequest(
                id=f"tool-{self._questions}",
                question=f"May {self._start.agent} call {tool}?",
                subject=arguments,
                roles=self._approvers,
            )
        )
        if approval.verdict is ApprovalVerdict.CANCELLED:
            raise Refused(Code.REJECTED, f"a person stopped the run: {approval.feedback}")
        return approval
