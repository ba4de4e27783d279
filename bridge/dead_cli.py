"""``tandem dead``: list, show, replay and discard dead letters."""

import asyncio
import json
from dataclasses import replace
from typing import Annotated, Any

import typer
from rich.table import Table

from bridge import dead_letters
from bridge.adapters.kafka import KafkaEventLog
from bridge.bootstrap import kafka_address
from bridge.contracts.failures import Code, Refused
from bridge.dead_letters import Found, Wanted
from bridge.settings import BridgeSettings
from bridge.terminal import load_settings, open_database, out, told, wide

dead_app = typer.Typer(no_args_is_help=True, help="Records that could not be served: list, show, replay, discard.")

Ids = Annotated[list[str] | None, typer.Argument(help="Ids of letters, see tandem dead list")]
Topic = Annotated[str, typer.Option(help="Only from this topic, e.g. agents.request.v1")]
TenantName = Annotated[str, typer.Option(help="Only of this tenant")]
Reason = Annotated[str, typer.Option(help="Only with this reason code, e.g. not_published")]


@dead_app.command("list")
def dead_list(
    topic: Topic = "",
    tenant: TenantName = "",
    code: Reason = "",
    everything: Annotated[bool, typer.Option("--all", help="Also those replayed or discarded")] = False,  # noqa: FBT002
    as_json: Annotated[bool, typer.Option("--json", help="One JSON object a line")] = False,  # noqa: FBT002
) -> None:
    """List the letters that wait for a decision, the oldest first."""
    with told():
        found = _find(load_settings(), Wanted(topic, tenant, code, decided_too=everything))
        if as_json:
            for one in found:
                typer.echo(json.dumps(_as_json(one)))
            return
        table = Table("id", "topic", "tenant", "code", "times", "first at", "state", "reason")
        for one in found:
            letter = one.letter
            table.add_row(
                letter.id, letter.topic, letter.tenant, letter.code, str(letter.times), letter.first_at[:19], one.state,
                letter.reason[:70],
            )  # fmt: skip
        wide.print(table)
        out.print(f"{len(found)} letters.")


@dead_app.command("show")
def dead_show(letter: Annotated[str, typer.Argument(help="Id of a letter")]) -> None:
    """Show one letter: where it came from, why and how often it was parked, and the record itself."""
    with told():
        (one,) = dead_letters.pick(_find(load_settings(), Wanted(decided_too=True)), [letter])
        out.print_json(json.dumps(_as_json(one) | _record(one)))


@dead_app.command("replay")
def dead_replay(
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait and match the options")] = False,  # noqa: FBT002
    topic: Topic = "",
    tenant: TenantName = "",
    code: Reason = "",
) -> None:
    """Send letters to their topic again. Safe to repeat: a request sent twice makes one run."""

    async def replay_all(settings: BridgeSettings, chosen: list[Found]) -> None:
        events, database = KafkaEventLog(kafka_address(settings)), open_database(settings)
        try:
            for one in chosen:
                new = await dead_letters.replay(one, events, database)
                out.print(f"{one.letter.id}: {'sent again' if new else 'was sent again before'}")
        finally:
            await asyncio.to_thread(events.close)

    with told():
        settings = load_settings()
        asyncio.run(replay_all(settings, _choose(settings, ids, Wanted(topic, tenant, code), everything=everything)))


@dead_app.command("discard")
def dead_discard(
    ids: Ids = None,
    everything: Annotated[bool, typer.Option("--all", help="All that wait and match the options")] = False,  # noqa: FBT002
    topic: Topic = "",
    tenant: TenantName = "",
    code: Reason = "",
) -> None:
    """Give letters up. They leave the list; the topic keeps the records until its retention ends."""

    async def discard_all(settings: BridgeSettings, chosen: list[Found]) -> None:
        database = open_database(settings)
        for one in chosen:
            new = await dead_letters.discard(one, database)
            out.print(f"{one.letter.id}: {'discarded' if new else f'was {one.state} before'}")

    with told():
        settings = load_settings()
        asyncio.run(discard_all(settings, _choose(settings, ids, Wanted(topic, tenant, code), everything=everything)))


def _find(settings: BridgeSettings, wanted: Wanted) -> list[Found]:
    return dead_letters.find(kafka_address(settings), open_database(settings), wanted)


def _choose(settings: BridgeSettings, ids: list[str] | None, wanted: Wanted, *, everything: bool) -> list[Found]:
    if everything and not ids:
        return _find(settings, wanted)
    if ids and not everything:
        return dead_letters.pick(_find(settings, replace(wanted, decided_too=True)), ids)
    raise Refused(Code.INVALID_REQUEST, "name the letters by id, or say --all (with --topic, --tenant, --code)")


def _as_json(one: Found) -> dict[str, Any]:
    letter = one.letter
    names = ("id", "topic", "partition", "offset", "tenant", "code", "reason", "owner", "times", "first_at", "at")
    return {name: getattr(letter, name) for name in names} | {"state": one.state}


def _record(one: Found) -> dict[str, Any]:
    record = one.letter.record
    return {
        "key": _readable(record.key),
        "value": _readable(record.value),
        "headers": [[name, _readable(value)] for name, value in record.headers],
    }


def _readable(value: bytes | None) -> str | None:
    """Text where it is text, else hex."""
    if value is None:
        return None
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        return "hex:" + value.hex()
