"""``AgentWorkflowOperator``: run a contracted agent from a DAG."""

import re
from collections.abc import Mapping, Sequence
from typing import Any

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from pydantic import ValidationError

from airflow_bridge.defaults import PLATFORM_CONN_ID, TEMPORAL_CONN_ID
from airflow_bridge.failures import as_airflow
from airflow_bridge.hooks.platform import PlatformHook
from airflow_bridge.hooks.temporal import TemporalHook
from airflow_bridge.links import TemporalRunLink
from airflow_bridge.triggers.agent import AgentWorkflowTrigger
from bridge.contracts.agents import AgentSpec, AgentStart, SnapshotRef, find_agent
from bridge.contracts.events import AgentCompleted, Outcome
from bridge.contracts.failures import Code, Refused, describe


class AgentWorkflowOperator(BaseOperator):
    """Start an agent for a tenant, wait without holding a worker slot, return its small result.

    :param agent: name of a contracted agent.
    :param tenant: a declared tenant; the run sees only this tenant's data.
    :param input: the agent's request, as its contract says.
    :param request_id: business key of the request. The same key finds the same run, so a retry re-attaches.
        By default one per DAG run, task and map index.
    :param snapshots: pinned snapshots the run may read. By default the newest published ones for ``input["day"]``.
    :param deferrable: on by default; off holds the worker slot until the agent has ended.

    Returns ``{"workflow_id", "outcome", "output", "usage", "seconds"}``. The task fails with the agent's own
    reason if the agent failed, was cancelled, terminated or ran out of time; that is not retried, as the same
    request would find the same run. An engine that does not answer is retried by the task.
    """

    template_fields: Sequence[str] = ("agent", "tenant", "input", "request_id", "snapshots")
    operator_extra_links = (TemporalRunLink(),)
    ui_color = "#e8f0ff"

    def __init__(  # noqa: PLR0913 - an operator's parameters are its interface
        self,
        *,
        agent: str,
        tenant: str,
        input: Mapping[str, Any] | None = None,  # noqa: A002 - the contract's word
        request_id: str | None = None,
        snapshots: Sequence[Mapping[str, Any]] | None = None,
        deferrable: bool = True,
        temporal_conn_id: str = TEMPORAL_CONN_ID,
        platform_conn_id: str = PLATFORM_CONN_ID,
        **kwargs: Any,
    ) -> None:
        super().__init__(**kwargs)
        self.agent = agent
        self.tenant = tenant
        self.input = input
        self.request_id = request_id
        self.snapshots = snapshots
        self.deferrable = deferrable
        self.temporal_conn_id = temporal_conn_id
        self.platform_conn_id = platform_conn_id
        self._workflow_id = ""

    def execute(self, context: Any) -> dict[str, Any]:
        hook = TemporalHook(self.temporal_conn_id)
        with as_airflow():
            platform = PlatformHook(self.platform_conn_id)
            tenant = platform.tenant(self.tenant)
            spec = find_agent(self.agent)
            start = self._build(context, spec, platform)
            self._workflow_id = start.workflow_id
            context["ti"].xcom_push(key=TemporalRunLink.key, value=hook.run_url(start.workflow_id))
            hook.start(start, spec, tenant)
        if self.deferrable:
            self.defer(
                trigger=AgentWorkflowTrigger(temporal_conn_id=self.temporal_conn_id, workflow_id=start.workflow_id),
                method_name="execute_complete",
            )
        with as_airflow():
            return self._result(hook.wait(start.workflow_id))

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> dict[str, Any]:
        """Resumed by the trigger."""
        del context
        if "refused" in event:
            raise AirflowFailException(f"{event['refused']['code']}: {event['refused']['reason']}")
        return self._result(AgentCompleted.model_validate(event["completed"]))

    def on_kill(self) -> None:
        """Killed while on a worker: ask the agent to stop. While deferred, the trigger does."""
        if self._workflow_id:
            TemporalHook(self.temporal_conn_id).cancel(self._workflow_id)

    def _build(self, context: Any, spec: AgentSpec, platform: PlatformHook) -> AgentStart:
        values = spec.validate_input(self.input or {})
        ti = context["ti"]
        try:
            return AgentStart(
                tenant=self.tenant,
                agent=spec.name,
                request_id=self.request_id or _default_request_id(ti),
                started_by="operator",
                cause=f"{ti.dag_id}/{ti.run_id}/{ti.task_id}/{ti.map_index}",
                input=values,
                snapshots=self._snapshots(values, spec, platform),
            )
        except ValidationError as error:
            problem = f"the operator's parameters are not valid: {describe(error)}"
            raise Refused(Code.INVALID_REQUEST, problem) from error

    def _snapshots(self, values: Mapping[str, Any], spec: AgentSpec, platform: PlatformHook) -> tuple[SnapshotRef, ...]:
        if self.snapshots is not None:
            return tuple(SnapshotRef.model_validate(dict(ref)) for ref in self.snapshots)
        from bridge.adapters.sql_ledger import resolve_snapshots  # noqa: PLC0415 - keeps DAG parsing cheap

        return platform.database.run(resolve_snapshots, tenant=self.tenant, spec=spec, request=values)

    @staticmethod
    def _result(completed: AgentCompleted) -> dict[str, Any]:
        if completed.outcome is not Outcome.COMPLETED:
            raise AirflowFailException(
                f"agent run {completed.workflow_id!r} ended as {completed.outcome.value}: "
                f"{completed.code}: {completed.reason}"
            )
        return {
            "workflow_id": completed.workflow_id,
            "outcome": completed.outcome.value,
            "output": completed.output,
            "usage": completed.usage.model_dump(mode="json"),
            "seconds": round((completed.closed_at - completed.started_at).total_seconds(), 3),
        }


def _default_request_id(ti: Any) -> str:
    """One per DAG run, task and map index; a retry of the task keeps it."""
    parts = [ti.dag_id, ti.run_id, ti.task_id] + ([str(ti.map_index)] if ti.map_index >= 0 else [])
    return re.sub(r"[^A-Za-z0-9._:+=@-]", "_", "@".join(parts))[:200]
