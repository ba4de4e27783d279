"""The ``Pipelines`` port over Airflow's REST API."""

import asyncio
import datetime as dt
from collections.abc import Mapping, Sequence
from typing import Any, Final

import httpx

from bridge.adapters.together import Together
from bridge.contracts.failures import Unavailable
from bridge.domain.task_runs import GONE, TaskRun

TIMEOUT_SECONDS: Final = 10.0
RUNS_AT_ONCE: Final = 4
CLOCK_SKEW: Final = dt.timedelta(minutes=1)
PAGE: Final = 100
LOOK_UP_SECONDS: Final = 60.0
LOOKED_UP_AT_ONCE: Final = 1000
_Sought = tuple[str, str, dt.datetime]
"""(asset, event id, not before)."""


class AirflowApi:
    """A service user of Airflow. The token is fetched on first use and again when Airflow rejects it."""

    def __init__(self, *, base_url: str, username: str, password: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._credentials = {"username": username, "password": password}
        self._client = httpx.AsyncClient(base_url=self.base_url, timeout=TIMEOUT_SECONDS)
        self._token = ""
        self._assets: dict[str, int] = {}
        self._login = asyncio.Lock()
        self._asset_events = asyncio.Lock()
        """Airflow 3.3's API server locks itself up, for minutes, over asset events posted or read side by side."""
        self._running = asyncio.Semaphore(RUNS_AT_ONCE)
        self._look_up: Together[_Sought, bool] = Together(self._find_events, most=LOOKED_UP_AT_ONCE)

    async def emit(self, *, asset: str, partition: str, extra: Mapping[str, Any]) -> None:
        async with self._asset_events:
            asset_id = await self._asset_id(asset)
            body = {"asset_id": asset_id, "partition_key": partition, "extra": dict(extra)}
            try:
                await self.call("POST", "/api/v2/assets/events", json=body)
            except Unavailable:
                self._assets.pop(asset, None)  # the id may have been another database's
                raise

    async def has_event(self, *, asset: str, event_id: str, since: dt.datetime) -> bool:
        return await self._look_up.of((asset, event_id, since))

    async def _find_events(self, sought: Sequence[_Sought]) -> list[bool]:
        """One reading of the asset events answers all who ask at the same time: after a crash that is everybody."""
        found: dict[str, set[str]] = {}
        for asset in sorted({asset for asset, _, _ in sought}):
            since = min(at for of, _, at in sought if of == asset)
            async with self._asset_events:
                found[asset] = await self._event_ids(asset, since)
        return [event_id in found[asset] for asset, event_id, _ in sought]

    async def _event_ids(self, asset: str, since: dt.datetime) -> set[str]:
        asset_id, after = await self._asset_id(asset), (since - CLOCK_SKEW).isoformat()
        ids: set[str] = set()
        offset = 0
        while True:
            params = {"asset_id": asset_id, "timestamp_gte": after, "limit": PAGE, "offset": offset}
            params |= {"order_by": "timestamp"}
            answer = await self.call("GET", "/api/v2/assets/events", params=params, timeout=LOOK_UP_SECONDS)
            events = answer["asset_events"]
            ids |= {str((event.get("extra") or {}).get("event_id")) for event in events}
            if len(events) < PAGE:
                return ids
            offset += PAGE

    async def run(self, *, dag: str, run_id: str, conf: Mapping[str, Any]) -> bool:
        body = {"dag_run_id": run_id, "logical_date": None, "conf": dict(conf)}
        async with self._running:
            response = await self.request("POST", f"/api/v2/dags/{dag}/dagRuns", json=body)
        if response.is_success:
            return True
        if response.status_code == httpx.codes.CONFLICT:
            return False
        if response.status_code == httpx.codes.NOT_FOUND:
            raise Unavailable(f"Airflow knows no DAG {dag!r} yet; the routing table names it, so it must exist")
        raise Unavailable(f"Airflow made no run {run_id!r} of {dag!r}: {response.status_code}: {response.text[:300]}")

    async def task_states(self, tasks: Sequence[TaskRun]) -> dict[str, str | None]:
        found: dict[tuple[str, str, str, int], str | None] = {}
        for start in range(0, len(tasks), PAGE):
            found |= await self._states(tasks[start : start + PAGE])
        return {t.workflow_id: found.get((t.dag_id, t.run_id, t.task_id, t.map_index), GONE) for t in tasks}

    async def _states(self, tasks: Sequence[TaskRun]) -> dict[tuple[str, str, str, int], str | None]:
        body = {
            "dag_ids": sorted({task.dag_id for task in tasks}),
            "dag_run_ids": sorted({task.run_id for task in tasks}),
            "task_ids": sorted({task.task_id for task in tasks}),
            "page_limit": PAGE,
        }
        found: dict[tuple[str, str, str, int], str | None] = {}
        while True:
            page = {"page_offset": len(found)}
            answer = await self.call("POST", "/api/v2/dags/~/dagRuns/~/taskInstances/list", json=body | page)
            instances = answer["task_instances"]
            found |= {(i["dag_id"], i["dag_run_id"], i["task_id"], i["map_index"]): i["state"] for i in instances}
            if len(instances) < PAGE:
                return found

    async def call(self, method: str, path: str, **options: Any) -> Any:
        """The JSON answer; raises ``Unavailable`` for anything but a 2xx."""
        response = await self.request(method, path, **options)
        if not response.is_success:
            raise Unavailable(
                f"Airflow at {self.base_url} answered {response.status_code} to {method} {path}: {response.text[:300]}"
            )
        return response.json() if response.content else None

    async def request(self, method: str, path: str, **options: Any) -> httpx.Response:
        """The answer, whatever its status; logs in again once if the token was rejected."""
        response = await self._send(method, path, **options)
        if response.status_code == httpx.codes.UNAUTHORIZED:
            self._token = ""
            response = await self._send(method, path, **options)
        return response

    async def close(self) -> None:
        await self._client.aclose()

    async def _send(self, method: str, path: str, **options: Any) -> httpx.Response:
        try:
            headers = {"authorization": f"Bearer {await self._authenticated()}"}
            return await self._client.request(method, path, headers=headers, **options)
        except httpx.HTTPError as error:
            raise Unavailable(f"Airflow at {self.base_url} does not answer: {error!r}") from error

    async def _authenticated(self) -> str:
        async with self._login:
            if not self._token:
                response = await self._client.post("/auth/token", json=self._credentials)
                if not response.is_success:
                    raise Unavailable(
                        f"Airflow at {self.base_url} refused user {self._credentials['username']!r} "
                        f"({response.status_code}); check the user and password in the settings"
                    )
                self._token = str(response.json()["access_token"])
            return self._token

    async def _asset_id(self, name: str) -> int:
        if name not in self._assets:
            answer = await self.call("GET", "/api/v2/assets", params={"name_pattern": name, "limit": 100})
            found = [a["id"] for a in answer["assets"] if a["name"] == name]
            if not found:
                raise Unavailable(f"Airflow knows no asset {name!r} yet; it appears once a DAG that names it is parsed")
            self._assets[name] = int(found[0])
        return self._assets[name]
