"""Airflow hooks as tools: a method of a hook, called with the connection of the run's tenant.

Needs Airflow and the hook's provider on the worker. Connections come from where Airflow looks outside of a task: the
environment (``AIRFLOW_CONN_…``) and the secrets backend, not its metadata database. Airflow is imported with the first
call, which takes seconds.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from typing import Any

from pydantic_core import to_jsonable_python
from temporalio import activity

from agent_workflows.activities.messages import ToolRequest
from agent_workflows.failures import as_temporal
from bridge.contracts.failures import Code, Owner, Refused


@dataclass(frozen=True, slots=True)
class HookTool:
    """``method`` of ``hook`` (its path), whose constructor takes the connection id as ``parameter``.

    The connection is the tenant's: ``{tenant}__{connection}``, in lower case. A model may give ``arguments`` and no
    others; ``fixed`` are given always. The method must return what JSON can hold.
    """

    hook: str
    parameter: str
    connection: str
    method: str
    arguments: tuple[str, ...]
    fixed: Mapping[str, Any] = field(default_factory=dict)

    def __call__(self, tenant: str, **arguments: Any) -> Any:
        """Raises ``Refused``: ``invalid_request`` for other arguments, ``bad_connection`` for a missing connection."""
        unknown = sorted(set(arguments) - set(self.arguments))
        if unknown:
            raise Refused(Code.INVALID_REQUEST, f"{self.method} takes no {', '.join(unknown)}")
        connection = f"{tenant}__{self.connection}".lower()
        hook = self._class()(**{self.parameter: connection})
        try:
            hook.get_connection(connection)
        except Exception as error:
            problem = (
                f"tenant {tenant!r} has no connection {connection!r}: {error}; set AIRFLOW_CONN_{connection.upper()}"
            )
            raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error
        return to_jsonable_python(getattr(hook, self.method)(**arguments, **self.fixed))

    def _class(self) -> Callable[..., Any]:
        module, _, name = self.hook.rpartition(".")
        try:
            found: Callable[..., Any] = getattr(import_module(module), name)
        except (ImportError, AttributeError, ValueError) as error:
            problem = f"this worker has no hook {self.hook!r}: {error}; install its provider"
            raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error
        return found

    def as_activity(self, name: str) -> Callable[..., Any]:
        """The activity of a tool of this name, for an agent of our own; it runs on a thread of the worker's."""

        @activity.defn(name=name)
        def call_hook(request: ToolRequest) -> dict[str, Any]:
            with as_temporal():
                return {"result": self(request.start.tenant, **request.call.arguments)}

        return call_hook
