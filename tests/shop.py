"""The demo shop as tests see it."""

from typing import Any

import httpx


class Shop:
    """The demo shop, on a port of its own."""

    def __init__(self, port: int) -> None:
        self.url = f"http://127.0.0.1:{port}"

    def ready(self) -> bool:
        try:
            return httpx.get(self.url, trust_env=False).is_success
        except httpx.TransportError:
            return False

    def misbehave(self, path: str, *replies: dict[str, Any]) -> None:
        httpx.post(f"{self.url}/misbehave", json={"path": path, "replies": replies}, trust_env=False)

    def journal(self, order: str) -> list[str]:
        rows = httpx.get(f"{self.url}/journal", trust_env=False).json()
        return [row["path"] for row in rows if row["order"] == order]

    def keys(self, order: str) -> list[str]:
        rows = httpx.get(f"{self.url}/journal", trust_env=False).json()
        return [row["key"] for row in rows if row["order"] == order]
