"""Up, down, status: the stack as a person uses it. Says what it does while it does it."""

import fcntl
import shutil
import subprocess
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Final

from bridge.adapters.database import Database, ledger
from bridge.adapters.files import read_routes, read_tenants
from bridge.adapters.kafka import KafkaAddress, ensure_topics
from bridge.adapters.objects import Objects, S3Address
from bridge.contracts import names
from bridge.contracts.failures import Code, Owner, Refused, TandemError, Unavailable
from bridge.domain.documents import source_key
from bridge.stack import components as parts
from bridge.stack import layout
from bridge.stack.components import Component
from bridge.stack.layout import REPOSITORY, Layout
from bridge.stack.reachable import wait_until
from bridge.stack.supervisor import Supervisor, leftovers

SAMPLE: Final = REPOSITORY / "docs" / "architecture" / "dag-or-agent.md"
READY_SECONDS: Final = 120
Say = Callable[[str], None]


def up(
    home: Path,
    say: Say,
    inherited: dict[str, str],
    *,
    bridges: int = 1,
    kafka_proxy: str = "",
    model: bool | None = None,
) -> Layout:
    """Bring every server up and ready; what runs already is left alone. Raises ``Refused`` with what to do.

    ``model`` says whether a small language model is served from now on; None leaves it as it was.
    """
    with _only_one(home):
        running = layout.load(home)
        if running and Supervisor(running).is_running():
            if model in (None, running.has_model):
                return _complete(running, say)
            say("Restarting the stack " + ("with the small model." if model else "without the small model."))
            Supervisor(running).stop()
        if leftovers(home):
            say("Found servers of an earlier run without their supervisor; stopping them.")
            Supervisor(running or layout.plan(home)).stop()
        plan = layout.plan(home)
        plan.bridges, plan.kafka_proxy = bridges, kafka_proxy
        plan.has_model = plan.has_model if model is None else model
        for note in plan.moved:
            say(f"Port of {note}.")
        try:
            return _start(plan, say, inherited)
        except (KeyboardInterrupt, TandemError, OSError, subprocess.CalledProcessError) as error:
            say("Stopping what was started.")
            Supervisor(plan).stop()
            if isinstance(error, subprocess.CalledProcessError):
                raise _told(error) from error
            raise


def down(home: Path, say: Say) -> None:
    """Stop everything; data in the state folder stays."""
    plan = layout.load(home)
    if plan is None or not (Supervisor(plan).is_running() or leftovers(home)):
        say("The stack is not running.")
        return
    say("Stopping every server.")
    Supervisor(plan).stop()
    say("Stopped. Data stays in " + str(home) + "; make clean removes it.")


def status(home: Path) -> list[tuple[str, str, bool]]:
    """``(name, supervisor's state, ready)`` of every component; empty if the stack is down."""
    plan = layout.load(home)
    states = Supervisor(plan).states() if plan else {}
    if plan is None or not states:
        return []
    return [(c.name, states.get(c.name, "UNKNOWN"), c.ready()) for c in parts.components(plan)]


def _start(plan: Layout, say: Say, inherited: dict[str, str]) -> Layout:
    plan.broker = parts.choose_broker()
    plan.has_postgres = parts.postgres_runs()
    plan.platform_url = inherited.get("TANDEM_DATABASE_URL", "")
    plan.save()
    say(f"State, logs and data: {plan.home}")
    if plan.broker == parts.EMBEDDED:
        say("! " + parts.EMBEDDED_BANNER)
    else:
        say("Kafka is Apache Kafka (one KRaft node); fetching its jars on first use.")
    if not plan.has_postgres:
        say("! PostgreSQL cannot run here as root, so Airflow's own database is SQLite: slower, and it may stall.")
    if plan.has_model:
        say("A small language model words reports; fetching it on first use (120 MB).")
    if plan.has_model and inherited.keys() & parts.OWN_MODELS:
        say("! Your own models are set, so the small model is served and asked only if they name it.")
    parts.prepare(plan)
    environment = parts.environment(plan, inherited)
    every = parts.components(plan)
    supervisor = Supervisor(plan)
    supervisor.start(every, environment)
    first = [c for c in every if c.wave == 1]
    for component in first:
        supervisor.start_component(component.name)
    _await_ready(plan, supervisor, [c for c in first if c.name == "postgres"], say)
    say("Preparing the databases of the platform and of Airflow.")
    Database(plan.database_url).migrate()
    _migrate_airflow(plan, environment)
    _await_ready(plan, supervisor, [c for c in first if c.name != "postgres"], say)
    _declare(plan, say)
    second = [c for c in every if c.wave != 1]
    for component in second:
        supervisor.start_component(component.name)
    _await_ready(plan, supervisor, second, say)
    return plan


def _migrate_airflow(plan: Layout, environment: dict[str, str]) -> None:
    """Airflow's schema, once per version of Airflow: the command takes seconds even when there is nothing to do."""
    stamp = plan.home / "airflow" / "migrated"
    wanted = f"{version('apache-airflow')} {plan.airflow_database_url.split('://', 1)[0]}"
    if stamp.is_file() and stamp.read_text() == wanted:
        return
    command = [str(parts.BIN / "airflow"), "db", "migrate"]
    subprocess.run(command, env=environment, check=True, capture_output=True, stdin=subprocess.DEVNULL)
    stamp.write_text(wanted)


def _complete(plan: Layout, say: Say) -> Layout:
    """The supervisor runs: start what is stopped, wait for what is not ready."""
    supervisor = Supervisor(plan)
    every = parts.components(plan)
    states = supervisor.states()
    for component in every:
        if states.get(component.name) in {"STOPPED", "EXITED", "FATAL"}:
            say(f"{component.name} was {states[component.name].lower()}; starting it.")
            supervisor.start_component(component.name)
    _await_ready(plan, supervisor, every, say)
    say("The stack is up.")
    return plan


def _await_ready(plan: Layout, supervisor: Supervisor, waiting: Sequence[Component], say: Say) -> None:
    began, pending = time.monotonic(), list(waiting)

    def settled() -> bool:
        for component in list(pending):
            if component.ready():
                pending.remove(component)
                say(f"  {component.name} is ready ({time.monotonic() - began:.0f} s)")
            elif supervisor.states().get(component.name) == "FATAL":
                raise _unready(plan, component.name, "keeps stopping")
        return not pending

    if not wait_until(settled, seconds=READY_SECONDS):
        raise _unready(plan, pending[0].name, f"was not ready within {READY_SECONDS} s")


def _unready(plan: Layout, name: str, what: str) -> Refused:
    log = plan.logs / f"{name}.log"
    tail = "\n".join(log.read_text(errors="replace").splitlines()[-15:]) if log.is_file() else "(no log)"
    return Refused(Code.UNAVAILABLE, f"{name} {what}. Its log, {log}, ends with:\n{tail}", owner=Owner.PLATFORM)


def _declare(plan: Layout, say: Say) -> None:
    """Buckets, topics and tenants: what the servers must hold before anybody uses them."""
    s3 = S3Address(endpoint=plan.url("s3"), access_key="tandem", secret_key=plan.secrets["s3_secret"])
    objects = Objects(s3.client())
    objects.ensure_buckets(names.BUCKETS)
    key = source_key("AA", SAMPLE.name)  # for process_document
    objects.put(names.RAW_BUCKET, key, SAMPLE.read_bytes(), content_type="text/markdown")
    shutil.copytree(REPOSITORY / "docs", plan.home / "corpus" / "shared", dirs_exist_ok=True)  # for research_report
    _declare_topics(KafkaAddress(plan.address("kafka")))
    outcome = Database(plan.database_url).run(ledger.apply_tenants, read_tenants(REPOSITORY / "infra" / "tenants.yaml"))
    say(f"{len(outcome)} tenants are declared, {sum(o == 'created' for o in outcome.values())} of them new.")


def _declare_topics(address: KafkaAddress) -> None:
    """The platform's topics, and those the routes name: here there is no other system to make them.

    A broker that already listens may not answer yet.
    """
    routed = {route.topic for route in read_routes(parts.ROUTES).starts}
    refused: list[Unavailable] = []

    def declared() -> bool:
        try:
            ensure_topics(address, partitions=6, topics=sorted({*names.TOPICS, *routed}))
        except Unavailable as error:
            refused.append(error)
            return False
        return True

    if not wait_until(declared, seconds=READY_SECONDS):
        raise refused[-1]


def _told(error: subprocess.CalledProcessError) -> Refused:
    output = error.stderr or error.stdout or b""
    text = output.decode(errors="replace") if isinstance(output, bytes) else output
    tail = "\n".join(text.splitlines()[-15:])
    return Refused(Code.UNAVAILABLE, f"{' '.join(map(str, error.cmd))} failed:\n{tail}", owner=Owner.PLATFORM)


@contextmanager
def _only_one(home: Path) -> Iterator[None]:
    home.mkdir(parents=True, exist_ok=True)
    with (home / "up.lock").open("w") as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            problem = "the stack is being brought up by another command; wait for it, or run make status"
            raise Refused(Code.UNAVAILABLE, problem) from None
        yield
