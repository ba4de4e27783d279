"""The ``Assets`` port over Airflow's REST API."""

import asyncio
from collections.abc import Mapping
from typing import Any

import httpx

from bridge.contracts.failures import Unavailable

TIMEOUT_SECONDS = 10.0


class AirflowApi:
    """A service user of Airflow. The token is fetched on first use and again when Airflow rejects it."""

    def __init__(self, *, base_url: str, username: str, password: str) -> None:
        self.base_url = base_url.rstrip("/")
        self._credentials = {"username": username, "password": password}
        self._client = httpx.AsyncClient(base_url=self.base_url, timeout=TIMEOUT_SECONDS)
        self._token = ""
        self._assets: dict[str, int] = {}
        self._login = asyncio.Lock()
        self._emitting = asyncio.Lock()
        """Airflow 3.3's API server locks itself up, for minutes, over asset events posted side by side."""

    async def emit(self, *, asset: str, partition: str, extra: Mapping[str, Any]) -> None:
        async with self._emitting:
            asset_id = await self._asset_id(asset)
            body = {"asset_id": asset_id, "partition_key": partition, "extra": dict(extra)}
            try:
                await self.call("POST", "/api/v2/assets/events", json=body)
            except Unavailable:
                self._assets.pop(asset, None)  # the id may have been another database's
                raise

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
