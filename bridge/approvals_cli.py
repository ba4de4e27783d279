"""``tandem approvals``: what agents ask people, and answering them."""

import asyncio
import hashlib
import json
from typing import Annotated, Any

import typer
from pydantic import ValidationError
from rich.table import Table

from bridge.adapters import temporal
from bridge.adapters.database import Database, approvals, ledger
from bridge.bootstrap import temporal_address
from bridge.contracts.agents import AgentMessage
from bridge.contracts.approvals import Answer, Choice
from bridge.contracts.failures import Code, Refused, describe
from bridge.terminal import load_settings, open_database, out, told, wide

approvals_app = typer.Typer(no_args_is_help=True, help="What agents ask people: list, show and answer.")

Run = Annotated[str, typer.Argument(help="Workflow id: TENANT/AGENT/REQUEST")]
Question = Annotated[str, typer.Argument(help="Id of the question, see tandem approvals list")]


@approvals_app.command("list")
def approvals_list(
    tenant: Annotated[str | None, typer.Option(help="Only this tenant")] = None,
    everything: Annotated[bool, typer.Option("--all", help="Also those that are closed")] = False,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,  # noqa: FBT002
    limit: Annotated[int, typer.Option(min=1, max=10_000)] = 200,
) -> None:
    """List open questions, the oldest first."""
    with told():
        database = open_database(load_settings())
        found = database.run(approvals.list_approvals, tenant=tenant, everything=everything, limit=limit)
        if as_json:
            for one in found:
                typer.echo(json.dumps(one))
            return
        table = Table("run", "question", "state", "for", "needs", "expires", "asked")
        for one in found:
            request = one["request"]
            table.add_row(
                one["run"], one["id"], one["state"], ", ".join(request["roles"]), str(request["needed"]),
                one["expires_at"][:16], request["question"][:60],
            )  # fmt: skip
        wide.print(table)
        out.print(f"{len(found)} questions.")


@approvals_app.command("show")
def approvals_show(run: Run, question: Question) -> None:
    """Show one question with its subject and the answers so far."""
    with told():
        out.print_json(json.dumps(_find(open_database(load_settings()), run, question)))


@approvals_app.command("answer")
def approvals_answer(  # noqa: PLR0913, PLR0917 - the options of one command
    run: Run,
    question: Question,
    choice: Annotated[Choice, typer.Argument(help="What you decide")],
    by: Annotated[str, typer.Option(help="Who answers: one of the tenant's declared people")],
    feedback: Annotated[str, typer.Option(help="Why, or what to change; a rejection needs it")] = "",
    subject: Annotated[str | None, typer.Option(help="The changed subject as JSON, with edit")] = None,
    to: Annotated[str | None, typer.Option(help="The role that is to decide, with redirect")] = None,
) -> None:
    """Answer a question. Safe to repeat; works while no worker runs."""
    with told():
        settings = load_settings()
        database = open_database(settings)
        message = _message(database, _find(database, run, question), _values(choice, by, feedback, subject, to))

        async def answer() -> None:
            agents = temporal.TemporalAgents(await temporal.connect(temporal_address(settings)))
            taken = await agents.answer(run, message)
            if taken is None:
                out.print("stored: no worker took it within 5 s; the run gets it when one does")
            elif taken.verdict is None:
                out.print(f"taken: {taken.approvals} of {taken.needed} approvals, the question stays open")
            else:
                out.print(f"taken: {taken.verdict.value}")

        asyncio.run(answer())


def _find(database: Database, run: str, question: str) -> dict[str, Any]:
    found = database.run(approvals.find, run, question)
    if found is None:
        raise Refused(
            Code.APPROVAL_CLOSED, f"run {run!r} has asked no question {question!r}; see tandem approvals list"
        )
    return found


def _values(choice: Choice, by: str, feedback: str, subject: str | None, to: str | None) -> dict[str, Any]:
    try:
        changed = json.loads(subject) if subject is not None else None
    except ValueError as error:
        raise Refused(Code.INVALID_REQUEST, f"--subject is not JSON: {error}") from error
    return {"choice": choice, "by": by, "feedback": feedback, "subject": changed, "to": to}


def _message(database: Database, found: dict[str, Any], values: dict[str, Any]) -> AgentMessage:
    """The answer with the person's declared roles. Its id is made from what it says, so a repeat is one answer."""
    tenant = database.run(ledger.find_tenant, found["tenant"])
    people = tenant.people if tenant else {}
    if values["by"] not in people:
        known = ", ".join(sorted(people)) or "nobody"
        problem = f"tenant {found['tenant']!r} declares no person {values['by']!r}; it declares: {known}"
        raise Refused(Code.NOT_ALLOWED, problem)
    try:
        answer = Answer(approval=found["id"], tenant=found["tenant"], roles=people[values["by"]], **values)
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, describe(error)) from error
    data = answer.model_dump(mode="json")
    digest = hashlib.sha256(json.dumps([found["run"], data], sort_keys=True).encode()).hexdigest()
    return AgentMessage(event_id=f"answer-{digest[:32]}", data=data)
