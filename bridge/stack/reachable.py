"""Is something listening, and does it answer?"""

import socket
import threading
import time
from collections.abc import Callable

import httpx


def connects(host: str, port: int) -> bool:
    try:
        with socket.create_connection((host, port), timeout=1):
            return True
    except OSError:
        return False


def answers(url: str, status: int | None = None) -> bool:
    """Any HTTP answer, or the given one."""
    try:
        got = httpx.get(url, timeout=2, trust_env=False).status_code
    except httpx.HTTPError:
        return False
    return status is None or got == status


def wait_until(condition: Callable[[], bool], *, seconds: float, every: float = 0.2) -> bool:
    """Ask until yes or until the time is over."""
    deadline, pause = time.monotonic() + seconds, threading.Event()
    while not condition():
        if time.monotonic() > deadline:
            return False
        pause.wait(every)
    return True
