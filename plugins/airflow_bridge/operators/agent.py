"""``AgentWorkflowOperator``: run a contracted agent from a DAG."""

import re
from collections.abc import Mapping, Sequence
from typing import Any, Final, Literal

from airflow.sdk import BaseOperator
from airflow.sdk.exceptions import AirflowFailException
from pydantic import ValidationError

from airflow_bridge.defaults import PLATFORM_CONN_ID, TEMPORAL_CONN_ID
from airflow_bridge.failures import as_airflow
from airflow_bridge.hooks.platform import PlatformHook
from airflow_bridge.hooks.temporal import TemporalHook
from airflow_bridge.links import TemporalRunLink
from airflow_bridge.triggers.agent import AgentWorkflowTrigger
from bridge.contracts.agents import AgentSpec, AgentStart, SnapshotRef
from bridge.contracts.catalog import find_agent
from bridge.contracts.events import AgentCompleted, Outcome
from bridge.contracts.failures import Code, Refused, describe
from bridge.contracts.tenants import Tenant
from bridge.domain.task_runs import OnTaskEnd, TaskRun

MOST_TRIES: Final = 50
"""Runs of one request that a task asks for, one after the other, each time a person clears it."""


class AgentWorkflowOperator(BaseOperator):
    """Start an agent for a tenant, wait without holding a worker slot, return its small result.

    :param agent: name of a contracted agent.
    :param tenant: a declared tenant; the run sees only this tenant's data.
    :param input: the agent's request, as its contract says.
    :param request_id: business key of the request. The same key finds the same run, so a retry re-attaches.
        By default one per DAG run, task and map index.
    :param snapshots: pinned snapshots the run may read. By default the newest published ones for ``input["day"]``.
    :param deferrable: on by default; off holds the worker slot until the agent has ended.
    :param on_task_end: what becomes of a running agent when the task ends without it, because it died, timed out, was
        cleared, failed by a person or deleted. ``re_attach`` (default): it goes on while the task may come back (a
        retry, a clear) and is found again; cancelled when the task ended for good. ``cancel``: cancelled as soon as
        the task no longer waits; the next try starts anew. ``let_run``: never cancelled.

    Returns ``{"workflow_id", "outcome", "output", "usage", "seconds"}``. The task fails with the agent's own
    reason if the agent failed, was cancelled, terminated or ran out of time; that is not retried. Clearing such a
    task asks again: the new run's request id ends in ``:2``, ``:3`` and so on. Clearing a task whose agent completed
    finds its result. An engine that does not answer is retried by the task.
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
        on_task_end: Literal["re_attach", "cancel", "let_run"] = "re_attach",
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
        self.on_task_end = OnTaskEnd(on_task_end)
        self.temporal_conn_id = temporal_conn_id
        self.platform_conn_id = platform_conn_id
        self._workflow_id = ""

    def execute(self, context: Any) -> dict[str, Any]:
        hook = TemporalHook(self.temporal_conn_id)
        with as_airflow():
            platform = PlatformHook(self.platform_conn_id)
            tenant = platform.tenant(self.tenant)
            spec = find_agent(self.agent)
            start = self._attached(self._build(context, spec, platform), spec, tenant, context["ti"], platform)
        if self.deferrable:
            self.defer(
                trigger=AgentWorkflowTrigger(
                    temporal_conn_id=self.temporal_conn_id,
                    workflow_id=start.workflow_id,
                    on_task_end=self.on_task_end.value,
                ),
                method_name="execute_complete",
            )
        with as_airflow():
            return self._result(hook.wait(start.workflow_id))

    def _attached(
        self, start: AgentStart, spec: AgentSpec, tenant: Tenant, ti: Any, platform: PlatformHook
    ) -> AgentStart:
        """Start the run, or find the one this request has. One that ended badly is asked for anew, under a new id.

        Who waits is recorded before the start: a task that dies in between leaves no agent that nobody knows.
        """
        from bridge.adapters.database import ledger  # noqa: PLC0415 - keeps DAG parsing cheap

        hook, base = TemporalHook(self.temporal_conn_id), start.request_id
        for number in range(1, MOST_TRIES + 1):
            start = start.model_copy(update={"request_id": base if number == 1 else f"{base}:{number}"})
            task = TaskRun(
                workflow_id=start.workflow_id, tenant=start.tenant, dag_id=ti.dag_id, run_id=ti.run_id,
                task_id=ti.task_id, map_index=ti.map_index, on_task_end=self.on_task_end,
            )  # fmt: skip
            before = platform.database.run(ledger.find_task_run, start.workflow_id)
            platform.database.run(ledger.record_task_run, task)
            self._workflow_id = start.workflow_id
            ti.xcom_push(key=TemporalRunLink.key, value=hook.run_url(start.workflow_id))
            left_over = self.on_task_end is OnTaskEnd.CANCEL and before == task
            if hook.attach(start, spec, tenant, cancel_left_over=left_over):
                return start
            self.log.info("run %s has ended without a result; asking again", start.workflow_id)
        problem = f"{MOST_TRIES} runs of request {base!r} ended without a result; give the task a new request_id"
        raise Refused(Code.AGENT_FAILED, problem)

    def execute_complete(self, context: Any, event: Mapping[str, Any]) -> dict[str, Any]:
        """Resumed by the trigger."""
        del context
        if "refused" in event:
            raise AirflowFailException(f"{event['refused']['code']}: {event['refused']['reason']}")
        return self._result(AgentCompleted.model_validate(event["completed"]))

    def on_kill(self) -> None:
        """Killed while on a worker: ask the agent to stop. While deferred, the trigger does."""
        if self._workflow_id and self.on_task_end is not OnTaskEnd.LET_RUN:
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
    return re.sub(r"[^A-Za-z0-9._:+=@-]", "_", "@".join(parts))[:190]
