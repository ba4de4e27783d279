"""The tools of borrowed agents, called as their framework calls them. Plain functions and pydantic-ai's."""

import asyncio
import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, Final

from pydantic import TypeAdapter, ValidationError
from pydantic_ai import Agent, FunctionToolset, ModelRetry, RunContext
from pydantic_ai.models.test import TestModel
from pydantic_ai.toolsets import AbstractToolset
from pydantic_ai.usage import RunUsage
from pydantic_core import to_jsonable_python

from agent_workflows.agents import gate_notice, gate_notice_plain
from agent_workflows.ports import Toolbox
from bridge.contracts.agents import AgentStart
from bridge.contracts.catalog.gate_notice import GATE_NOTICE, GATE_NOTICE_PLAIN
from bridge.contracts.failures import Code, Refused, describe


class PydanticToolbox:
    """The function tools of a pydantic-ai agent. ``deps`` makes the agent's dependencies for a run."""

    def __init__(self, agent: Agent[Any, Any], deps: Callable[[AgentStart], Any]) -> None:
        self._agent = agent
        self._deps = deps

    async def call(self, start: AgentStart, tool: str, arguments: Mapping[str, Any]) -> Any:
        found = self._tools().get(tool)
        if found is None:
            raise Refused(Code.INVALID_REQUEST, f"there is no tool {tool!r}")
        context = RunContext(deps=self._deps(start), model=TestModel(), usage=RunUsage(), tool_name=tool)
        try:
            valid = found.function_schema.validator.validate_python(dict(arguments))
            return to_jsonable_python(await found.function_schema.call(valid, context))
        except ValidationError as error:
            raise Refused(Code.INVALID_REQUEST, describe(error)) from error
        except ModelRetry as error:
            raise Refused(Code.INVALID_REQUEST, error.message) from error

    def _tools(self) -> dict[str, Any]:
        found: dict[str, Any] = {}

        def collect(toolset: AbstractToolset[Any]) -> None:
            if isinstance(toolset, FunctionToolset):
                found.update(toolset.tools)

        for toolset in self._agent.toolsets:
            toolset.apply(collect)
        return found


class FunctionToolbox:
    """Plain functions, called with the tenant and the model's arguments by name; synchronous ones on a thread."""

    def __init__(self, functions: Mapping[str, Callable[..., Any]]) -> None:
        self._functions = functions

    async def call(self, start: AgentStart, tool: str, arguments: Mapping[str, Any]) -> Any:
        function = self._functions.get(tool)
        if function is None:
            raise Refused(Code.INVALID_REQUEST, f"there is no tool {tool!r}")
        try:
            bound = inspect.signature(function).bind(start.tenant, **arguments)
        except TypeError as error:
            raise Refused(Code.INVALID_REQUEST, f"{tool}: {error}") from error
        if inspect.iscoroutinefunction(function):
            result = await function(*bound.args, **bound.kwargs)
        else:
            result = await asyncio.to_thread(function, *bound.args, **bound.kwargs)
        return TypeAdapter(Any).dump_python(result, mode="json")


TOOLBOXES: Final[Mapping[str, Toolbox]] = MappingProxyType(
    {
        GATE_NOTICE.name: PydanticToolbox(gate_notice.gate_notice, deps=lambda start: start.tenant),
        GATE_NOTICE_PLAIN.name: FunctionToolbox(
            {"usual_delay": gate_notice_plain.usual_delay, "post_notice": gate_notice_plain.post_notice}
        ),
    }
)
"""The tools of each borrowed agent."""
