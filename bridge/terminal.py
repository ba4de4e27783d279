"""What every command of ``tandem`` shares: its settings, how it speaks, how it fails."""

import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer
from pydantic import ValidationError
from rich.console import Console

from bridge.adapters.database import Database
from bridge.contracts.failures import Code, Refused, TandemError, describe
from bridge.settings import BridgeSettings, stack_home
from bridge.stack import layout
from bridge.stack.components import environment

out = Console(highlight=False, soft_wrap=True)
wide = Console(highlight=False, width=None if sys.stdout.isatty() else 200)
err = Console(stderr=True, highlight=False, soft_wrap=True)


@contextmanager
def told() -> Iterator[None]:
    """Our failures become one line on standard error and exit code 1; Ctrl-C becomes 130."""
    try:
        yield
    except TandemError as error:
        err.print(f"[red]{error.code.value}[/]: ", end="")
        err.print(str(error), markup=False)
        raise typer.Exit(1) from error
    except KeyboardInterrupt as error:
        err.print("Interrupted.")
        raise typer.Exit(130) from error


def load_settings() -> BridgeSettings:
    """The environment's settings; a local stack's where one was brought up and nothing else is set."""
    plan = layout.load(stack_home())
    local = environment(plan, {}) if plan else {}
    names = {f"TANDEM_{name}".upper(): name for name in BridgeSettings.model_fields}
    defaults = {
        names[key]: value
        for key, value in local.items()
        if key in names and key not in os.environ  # noqa: TID251 - a local stack only fills in what the environment leaves open
    }
    try:
        return BridgeSettings.model_validate(defaults)
    except ValidationError as error:
        raise Refused(Code.INVALID_REQUEST, f"the settings are not valid: {describe(error)}") from error


def open_database(settings: BridgeSettings) -> Database:
    """The platform database, its schema brought to the newest revision."""
    database = Database(settings.database_url.get_secret_value())
    database.migrate()
    return database
