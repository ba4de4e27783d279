"""Servers that single tests have to themselves."""

import asyncio
import subprocess
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from bridge.stack.components import SHOP
from tests.shop import Shop
from tests.temporal_server import Server
from tests.waiting import until


@pytest.fixture
async def shop(tmp_path: Path, unused_tcp_port: int) -> AsyncIterator[Shop]:
    command = [sys.executable, str(SHOP), str(unused_tcp_port), str(tmp_path / "shop.db")]
    process = await asyncio.to_thread(subprocess.Popen, command)
    shop = Shop(unused_tcp_port)
    await until(shop.ready)
    yield shop
    process.kill()
    process.wait(10)


@pytest.fixture
async def server(tmp_path: Path) -> AsyncIterator[Server]:
    server = Server(tmp_path)
    await asyncio.to_thread(server.begin)
    yield server
    server.kill()
