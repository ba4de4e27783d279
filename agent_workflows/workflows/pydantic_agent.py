"""Runs an agent written with pydantic-ai, unchanged, inside a workflow: its loop here, its calls as activities."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from temporalio import workflow

with workflow.unsafe.imports_passed_through():
    import anyio._backends._asyncio  # noqa: F401 - imported lazily otherwise, which a workflow may not
    from pydantic import TypeAdapter
    from pydantic_ai import (
        Agent,
        DeferredToolRequests,
        DeferredToolResults,
        ModelRetry,
        RunContext,
        ToolApproved,
        ToolDenied,
    )
    from pydantic_ai.messages import ModelMessage, ModelMessagesTypeAdapter, ModelResponse
    from pydantic_ai.models import Model, ModelRequestParameters
    from pydantic_ai.settings import ModelSettings
    from pydantic_ai.toolsets import AbstractToolset, ToolsetTool, WrapperToolset

    from agent_workflows.workflows.durable import Durable
    from bridge.contracts.approvals import ApprovalVerdict

PARAMETERS: Final = TypeAdapter(ModelRequestParameters)


async def run_pydantic_agent(agent: Agent[Any, Any], prompt: str, *, deps: Any, durable: Durable) -> Any:
    """The agent's output. Tools that need approval are asked of people; what they deny goes back to the model."""
    toolsets = [toolset.visit_and_replace(lambda leaf: _DurableToolset(leaf, durable)) for toolset in agent.toolsets]
    asked: str | None = prompt
    history: list[ModelMessage] | None = None
    answers: DeferredToolResults | None = None
    with agent.override(model=_DurableModel(durable), tools=[], toolsets=toolsets):
        while True:
            run = await agent.run(asked, deps=deps, message_history=history, deferred_tool_results=answers)
            if not isinstance(run.output, DeferredToolRequests):
                return run.output
            asked, history = None, run.all_messages()
            answers = DeferredToolResults()
            for call in run.output.approvals:
                answers.approvals[call.tool_call_id] = await _answered(durable, call.tool_name, call.args_as_dict())


async def _answered(durable: Durable, tool: str, arguments: dict[str, Any]) -> ToolApproved | ToolDenied:
    approval = await durable.ask_people(tool, arguments)
    if approval.verdict is ApprovalVerdict.APPROVED:
        return ToolApproved(override_args=approval.subject)
    return ToolDenied("Nobody approved it in time." if approval.expired else f"Denied: {approval.feedback}")


class _DurableModel(Model):
    """A model that is asked by an activity, which is told only what is new."""

    def __init__(self, durable: Durable) -> None:
        super().__init__()
        self._durable = durable
        self._known: list[ModelMessage] = []

    @property
    def model_name(self) -> str:
        return "tandem"

    @property
    def system(self) -> str:
        return "tandem"

    async def request(
        self,
        messages: list[ModelMessage],
        model_settings: ModelSettings | None,  # noqa: ARG002 - the model policy's count
        model_request_parameters: ModelRequestParameters,
    ) -> ModelResponse:
        known = len(self._known)
        is_more = _parts(messages[:known]) == _parts(self._known)
        added = messages[known:] if is_more else messages
        answer = await self._durable.call_model(
            ModelMessagesTypeAdapter.dump_json(added).decode(),
            PARAMETERS.dump_json(model_request_parameters).decode(),
            anew=not is_more,
        )
        (response,) = ModelMessagesTypeAdapter.validate_json(answer)
        self._known = [*messages, response]
        if not isinstance(response, ModelResponse):
            raise TypeError(f"the model's answer is a {response.kind}")
        return response


def _parts(messages: Sequence[ModelMessage]) -> list[Any]:
    return [message.parts for message in messages]


@dataclass
class _DurableToolset(WrapperToolset[Any]):
    """Tools that are called by an activity each."""

    durable: Durable

    def visit_and_replace(self, visitor: Any) -> AbstractToolset[Any]:  # noqa: ARG002
        """It has replaced already; what it wraps is called on the worker."""
        return self

    async def call_tool(
        self,
        name: str,
        tool_args: dict[str, Any],
        ctx: RunContext[Any],
        tool: ToolsetTool[Any],  # noqa: ARG002
    ) -> Any:
        result = await self.durable.call_tool(ctx.tool_call_id or name, name, tool_args)
        if result.problem is not None:
            raise ModelRetry(result.problem)
        return result.value
