"""Where the stack lives: its state folder, ports and secrets. Decided once, kept in ``stack.json``."""

import json
import secrets
import socket
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Final

REPOSITORY: Final = Path(__file__).resolve().parents[2]
HOST: Final = "127.0.0.1"

PREFERRED_PORTS: Final = {
    "airflow": 8080,
    "postgres": 5442,
    "airflow_trigger_log": 8794,
    "airflow_worker_log": 8793,
    "airflow_scheduler_health": 8974,
    "temporal": 7233,
    "temporal_ui": 8233,
    "temporal_metrics": 7243,
    "kafka": 9092,
    "kafka_controller": 9093,
    "s3": 8333,
    "s3_master": 9333,
    "s3_volume": 9340,
    "s3_filer": 8888,
    "s3_admin": 8646,
    "s3_metrics": 9327,
    "bridge_probe": 8091,
    "bridge_2_probe": 8093,
    "worker_probe": 8092,
    "shop": 8095,
    "model": 8096,
}
GRPC_OFFSET: Final = 10_000
"""SeaweedFS listens with gRPC at each HTTP port plus this."""
WITH_GRPC: Final = frozenset({"s3", "s3_master", "s3_volume", "s3_filer", "s3_admin"})


@dataclass(slots=True)
class Layout:
    """``moved`` names the ports that were not the preferred ones because those were taken.

    ``bridges`` is how many bridge processes run, one or two; ``kafka_proxy`` is theirs. ``has_model`` says whether a
    small language model is served.
    """

    home: Path
    ports: dict[str, int]
    secrets: dict[str, str]
    broker: str = ""
    platform_url: str = ""
    has_postgres: bool = False
    has_model: bool = False
    bridges: int = 1
    kafka_proxy: str = ""
    moved: list[str] = field(default_factory=list)

    @property
    def file(self) -> Path:
        return self.home / "stack.json"

    @property
    def logs(self) -> Path:
        return self.home / "logs"

    @property
    def database_url(self) -> str:
        """The platform database: a given one, else SQLite in the state folder."""
        return self.platform_url or f"sqlite:///{self.home / 'platform.db'}"

    @property
    def airflow_database_url(self) -> str:
        """Airflow's own database: SQLite locks out its many writers, so it is used only where it must be."""
        if not self.has_postgres:
            return f"sqlite:///{self.home / 'airflow' / 'airflow.db'}?timeout=60"
        password = self.secrets["postgres"]
        return f"postgresql+psycopg2://postgres:{password}@{HOST}:{self.ports['postgres']}/postgres"

    def url(self, name: str) -> str:
        return f"http://{HOST}:{self.ports[name]}"

    def address(self, name: str) -> str:
        return f"{HOST}:{self.ports[name]}"

    def save(self) -> None:
        self.home.mkdir(parents=True, exist_ok=True)
        values = {key: value for key, value in asdict(self).items() if key != "home"}
        self.file.touch(mode=0o600)
        self.file.write_text(json.dumps(values, indent=2), encoding="utf-8")


def load(home: Path) -> Layout | None:
    """The layout of a stack that was brought up here before, or None.

    Ports that it does not know, as a version before this one wrote it, are the preferred ones.
    """
    try:
        values = json.loads((home / "stack.json").read_text(encoding="utf-8"))
        return Layout(home=home, **values | {"ports": PREFERRED_PORTS | values["ports"]})
    except (OSError, ValueError, TypeError, KeyError):
        return None


def plan(home: Path) -> Layout:
    """A layout on free ports, with the model of the one before, and its secrets so that stored data stays readable."""
    before = load(home)
    taken: set[int] = set()
    ports, moved = {}, []
    for name, preferred in (PREFERRED_PORTS | (before.ports if before else {})).items():
        ports[name] = _free_port(preferred, taken, with_grpc=name in WITH_GRPC)
        taken |= {ports[name], ports[name] + GRPC_OFFSET}
        if ports[name] != preferred:
            moved.append(f"{name}: {preferred} is taken, using {ports[name]}")
    kept = before.secrets if before else {}
    names = (
        "airflow_admin",
        "airflow_bridge",
        "airflow_jwt",
        "airflow_secret",
        "s3_secret",
        "kafka_cluster",
        "postgres",
    )
    fresh = {name: kept.get(name) or secrets.token_urlsafe(48 if name == "airflow_jwt" else 16) for name in names}
    has_model = before.has_model if before else False
    return Layout(home=home, ports=ports, secrets=fresh, moved=moved, has_model=has_model)


def _free_port(preferred: int, taken: set[int], *, with_grpc: bool) -> int:
    for candidate in range(preferred, preferred + 2000):
        wanted = {candidate, candidate + GRPC_OFFSET} if with_grpc else {candidate}
        if not wanted & taken and all(_is_free(port) for port in wanted):
            return candidate
    raise OSError(f"no free port from {preferred} on")


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
