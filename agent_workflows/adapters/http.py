"""The ``Http`` port over httpx: which answers may become a yes, and which were never asked."""

from collections.abc import Mapping
from typing import Any, Final

import httpx

from bridge.contracts.failures import Code, NotSent, Owner, Refused, TandemError, Unavailable

RETRIED_STATUS: Final = frozenset({408, 409, 425, 429})
MISSING_STATUS: Final = frozenset({404, 410})
PAYMENT_REQUIRED: Final = 402
CLIENT_ERROR: Final = 400
SERVER_ERROR: Final = 500


class HttpClient:
    """``seconds`` is the longest wait for one answer."""

    def __init__(self, seconds: float = 30) -> None:
        self._client = httpx.AsyncClient(timeout=seconds, trust_env=False)

    async def post(
        self, url: str, body: Mapping[str, Any], *, key: str = "", headers: Mapping[str, str] | None = None
    ) -> dict[str, Any]:
        sent = {**(headers or {}), **({"Idempotency-Key": key} if key else {})}
        try:
            answer = await self._client.post(url, json=dict(body), headers=sent)
        except (httpx.ConnectError, httpx.ConnectTimeout, httpx.PoolTimeout) as error:
            raise NotSent(f"{url} could not be reached: {error or type(error).__name__}") from error
        except httpx.InvalidURL as error:
            raise Refused(Code.BAD_CONNECTION, f"{url!r} is not a URL: {error}", owner=Owner.PLATFORM) from error
        except httpx.TransportError as error:
            raise Unavailable(f"{url} gave no whole answer: {error or type(error).__name__}") from error
        if answer.status_code >= CLIENT_ERROR:
            raise _sorted(answer)
        try:
            found = answer.json()
        except ValueError as error:
            raise Unavailable(f"{url} answered {answer.status_code} with what is not JSON") from error
        return dict(found) if isinstance(found, dict) else {"value": found}

    async def close(self) -> None:
        await self._client.aclose()


def _sorted(answer: httpx.Response) -> TandemError:
    said = f"{answer.request.url} answered {answer.status_code}: {answer.text[:300]}"
    status = answer.status_code
    if status in RETRIED_STATUS or status >= SERVER_ERROR:
        return Unavailable(said, retry_after=_retry_after(answer))
    if status == PAYMENT_REQUIRED:
        return Refused(Code.PAYMENT_DECLINED, said)
    if status in MISSING_STATUS:
        return Refused(Code.HTTP_MISSING, said)
    return Refused(Code.HTTP_REFUSED, said, owner=Owner.PLATFORM)


def _retry_after(answer: httpx.Response) -> float | None:
    """Seconds of ``Retry-After``; a date or nonsense in it is left aside, and our own waits apply."""
    try:
        return max(0.0, float(answer.headers["retry-after"]))
    except (KeyError, ValueError):
        return None
