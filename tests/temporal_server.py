"""A Temporal server of a test's own."""

import subprocess
from pathlib import Path

from bridge.adapters.temporal import TemporalAddress
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
