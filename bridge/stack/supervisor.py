"""supervisord as our process supervisor: restarts what dies, one log file a process, stops whole groups."""

import hashlib
import os
import shlex
import signal
import subprocess
import sys
import tempfile
import xmlrpc.client
from collections.abc import Iterable, Mapping
from http.client import HTTPException
from pathlib import Path
from typing import Any, Final

from supervisor.xmlrpc import SupervisorTransport

from bridge.stack.components import Component
from bridge.stack.layout import REPOSITORY, Layout
from bridge.stack.reachable import wait_until

MARK: Final = "TANDEM_STACK"
"""Every process of the stack carries this variable, so that strays are found after a supervisor was killed."""


class Supervisor:
    """Controls the supervisord of one state folder over its socket."""

    def __init__(self, plan: Layout) -> None:
        digest = hashlib.sha256(str(plan.home).encode()).hexdigest()[:12]
        self._plan = plan
        self._socket = Path(tempfile.gettempdir()) / f"tandem-{digest}.sock"  # a socket's path must be short

    def is_running(self) -> bool:
        return self._ask("getState") is not None

    def start(self, parts: Iterable[Component], environment: Mapping[str, str]) -> None:
        config = self._plan.home / "supervisord.conf"
        config.write_text(self._config(parts), encoding="utf-8")
        self._socket.unlink(missing_ok=True)
        subprocess.run(
            [sys.executable, "-m", "supervisor.supervisord", "-c", str(config)],
            env=dict(environment),
            check=True,
            capture_output=True,
            stdin=subprocess.DEVNULL,
        )
        if not wait_until(self.is_running, seconds=15):
            raise RuntimeError(f"supervisord did not start; see {self._plan.logs / 'supervisord.log'}")

    def start_component(self, name: str) -> None:
        self._ask("startProcess", name, False)

    def states(self) -> dict[str, str]:
        """``{name: "RUNNING" | "STARTING" | "BACKOFF" | "FATAL" | "STOPPED" | …}``; empty if not running."""
        return {str(info["name"]): str(info["statename"]) for info in self._ask("getAllProcessInfo") or ()}

    def pid(self, name: str) -> int:
        """Process id of a running component; 0 if it does not run."""
        info = self._ask("getProcessInfo", name)
        return int(info["pid"]) if isinstance(info, dict) else 0

    def stop(self) -> None:
        """Stop every process and the supervisor; then whatever was left over by an earlier kill."""
        if self._ask("shutdown") is not None:
            wait_until(lambda: not self.is_running(), seconds=60)
        self._socket.unlink(missing_ok=True)
        for number in (signal.SIGTERM, signal.SIGKILL):
            strays = leftovers(self._plan.home)
            for pid in strays:
                _signal(pid, number)
            if wait_until(lambda: not leftovers(self._plan.home), seconds=10):
                return

    def _ask(self, method: str, *arguments: Any) -> Any:
        """The answer, or None if no supervisor listens."""
        transport = SupervisorTransport(None, None, f"unix://{self._socket}")
        proxy = xmlrpc.client.ServerProxy("http://127.0.0.1", transport=transport)
        try:
            return getattr(proxy.supervisor, method)(*arguments)
        except xmlrpc.client.Fault as fault:
            return fault.faultString
        except (OSError, HTTPException):
            return None
        finally:
            transport.close()

    def _config(self, parts: Iterable[Component]) -> str:
        logs = self._plan.logs
        user = "user=root\n" if os.geteuid() == 0 else ""
        head = (
            f"[unix_http_server]\nfile={self._socket}\nchmod=0700\n"
            f"[supervisord]\nlogfile={logs / 'supervisord.log'}\npidfile={self._plan.home / 'supervisord.pid'}\n"
            f"childlogdir={logs}\n{user}"
            "[rpcinterface:supervisor]\n"
            "supervisor.rpcinterface_factory=supervisor.rpcinterface:make_main_rpcinterface\n"
        )
        return head + "".join(self._program(part) for part in parts)

    def _program(self, part: Component) -> str:
        stop = "INT" if part.name == "postgres" else "TERM"  # PostgreSQL waits for its clients on TERM
        command = shlex.join(part.command).replace("%", "%%")
        own = ",".join(f'{name}="{value}"' for name, value in part.environment.items()).replace("%", "%%")
        return (
            f"[program:{part.name}]\ncommand={command}\ndirectory={REPOSITORY}\nautostart=false\nautorestart=true\n"
            f"environment={own}\n"
            f"startsecs=1\nstartretries=20\nstopasgroup=true\nkillasgroup=true\nstopwaitsecs=15\nstopsignal={stop}\n"
            f"stdout_logfile={self._plan.logs / part.name}.log\nredirect_stderr=true\n"
            "stdout_logfile_maxbytes=20MB\nstdout_logfile_backups=1\n"
        )


def leftovers(home: Path) -> list[int]:
    """Processes of the stack in ``home`` that are alive, by the variable they were started with."""
    wanted = f"{MARK}={home}".encode()
    return [
        int(folder.name)
        for folder in Path("/proc").iterdir()
        if folder.name.isdigit() and int(folder.name) != os.getpid() and _is_marked(folder, wanted)
    ]


def _is_marked(folder: Path, wanted: bytes) -> bool:
    try:
        return wanted in (folder / "environ").read_bytes().split(b"\0")
    except OSError:
        return False


def _signal(pid: int, number: signal.Signals) -> None:
    try:
        os.kill(pid, number)
    except ProcessLookupError:
        return
