"""Connection type ``temporal``: start, watch and cancel agents from Airflow."""

import asyncio
from collections.abc import Coroutine
from typing import TYPE_CHECKING, Any, TypeVar
from urllib.parse import quote

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_bridge.defaults import CONNECT_SECONDS, TEMPORAL_CONN_ID
from bridge.contracts.agents import AgentSpec, AgentStart
from bridge.contracts.events import AgentCompleted, Outcome
from bridge.contracts.failures import Code, Owner, Refused, Unavailable
from bridge.contracts.tenants import Tenant

if TYPE_CHECKING:
    from bridge.adapters.temporal import TemporalAddress, TemporalAgents

T = TypeVar("T")
RUNNING = "running"


class TemporalHook(BaseHook):
    """Host and port are the frontend's, the password is an API key; extras: namespace, tls, ui_url."""

    conn_name_attr = "temporal_conn_id"
    default_conn_name = TEMPORAL_CONN_ID
    conn_type = "temporal"
    hook_name = "Temporal"

    def __init__(self, temporal_conn_id: str = TEMPORAL_CONN_ID) -> None:
        super().__init__()
        self.temporal_conn_id = temporal_conn_id

    # -- for operators --------------------------------------------------------------------------------------

    def attach(self, start: AgentStart, spec: AgentSpec, tenant: Tenant, *, cancel_left_over: bool = False) -> bool:
        """Start the agent, or find the run this request has. False if that one ended without a result.

        ``cancel_left_over``: a run that still goes on is cancelled first, and so ends without a result.
        """
        address = self._address(self._connection())

        async def work() -> bool:
            agents = await self._connect(address)
            if await agents.start(start, spec, tenant):
                self.log.info("started agent run %s", start.workflow_id)
                return True
            status, _ = await agents.status(start.workflow_id)
            if status == RUNNING and cancel_left_over:
                self.log.info("cancelling agent run %s, left over by an earlier try", start.workflow_id)
                await agents.cancel(start.workflow_id)
                status = (await agents.wait(start.workflow_id)).outcome.value
            if status in {RUNNING, Outcome.COMPLETED.value}:
                self.log.info("re-attached to agent run %s (%s)", start.workflow_id, status)
                return True
            return False

        return _run(work())

    def wait(self, workflow_id: str) -> AgentCompleted:
        """Hold this worker until the run has closed. Deferring is better: it holds nothing."""
        address = self._address(self._connection())

        async def work() -> AgentCompleted:
            return await (await self._connect(address)).wait(workflow_id)

        return _run(work())

    def cancel(self, workflow_id: str) -> None:
        address = self._address(self._connection())

        async def work() -> None:
            await (await self._connect(address)).cancel(workflow_id)

        _run(work())

    def run_url(self, workflow_id: str) -> str:
        """Where the run is seen in the Temporal UI, or "" if the connection names no UI."""
        connection = self._connection()
        extra = connection.extra_dejson
        base = str(extra.get("ui_url") or "").rstrip("/")
        if not base:
            return ""
        return f"{base}/namespaces/{extra.get('namespace') or 'default'}/workflows/{quote(workflow_id, safe='')}"

    def test_connection(self) -> tuple[bool, str]:
        """For the Test button of the connection form."""
        try:
            address = self._address(self._connection())
            _run(self._connect(address))
        except (Refused, Unavailable) as error:
            return False, str(error)
        return True, f"Temporal answers at {address.target}, namespace {address.namespace!r}"

    # -- for triggers ---------------------------------------------------------------------------------------

    async def agents(self) -> "TemporalAgents":
        """A connected client, on the caller's event loop."""
        return await self._connect(self._address(await _aget(self.temporal_conn_id)))

    # -- shared ---------------------------------------------------------------------------------------------

    def _connection(self) -> Any:
        try:
            return self.get_connection(self.temporal_conn_id)
        except AirflowNotFoundException as error:
            raise _missing(self.temporal_conn_id) from error

    def _address(self, connection: Any) -> "TemporalAddress":
        from bridge.adapters.temporal import TemporalAddress  # noqa: PLC0415 - keeps DAG parsing cheap

        if connection.conn_type != self.conn_type or not connection.host:
            raise Refused(
                Code.BAD_CONNECTION,
                f"connection {self.temporal_conn_id!r} is of type {connection.conn_type!r} with host "
                f"{connection.host!r}; it must be of type 'temporal' and name the frontend's host",
                owner=Owner.PLATFORM,
            )
        extra = connection.extra_dejson
        return TemporalAddress(
            target=f"{connection.host}:{connection.port or 7233}",
            namespace=str(extra.get("namespace") or "default"),
            tls=bool(extra.get("tls")),
            api_key=connection.password or None,
        )

    async def _connect(self, address: "TemporalAddress") -> "TemporalAgents":
        from bridge.adapters.temporal import TemporalAgents, connect  # noqa: PLC0415

        try:
            return TemporalAgents(await asyncio.wait_for(connect(address), CONNECT_SECONDS))
        except TimeoutError as error:
            problem = f"Temporal at {address.target!r} (connection {self.temporal_conn_id!r}) does not answer"
            raise Unavailable(problem) from error


async def _aget(conn_id: str) -> Any:
    try:
        return await BaseHook.aget_connection(conn_id)
    except AirflowNotFoundException as error:
        raise _missing(conn_id) from error


def _missing(conn_id: str) -> Refused:
    problem = f"there is no connection {conn_id!r}; create it with type 'temporal' and the frontend's host and port"
    return Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM)


def _run(work: Coroutine[Any, Any, T]) -> T:
    return asyncio.run(work)
