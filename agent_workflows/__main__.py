"""``python -m agent_workflows``: run a worker."""

import argparse
import asyncio
import sys
from pathlib import Path

from pydantic import ValidationError

from agent_workflows.bootstrap import run_worker
from agent_workflows.replay import NotDeterministic, replay_history
from agent_workflows.settings import WorkerSettings
from bridge.contracts.failures import TandemError, describe
from bridge.leave import leave
from bridge.settings import describe_settings
from bridge.telemetry import configure_logging


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m agent_workflows",
        description="Runs agents from a Temporal task queue until it gets SIGTERM.",
        epilog="settings, by environment variable:\n" + describe_settings(WorkerSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = parser.add_subparsers(dest="command", metavar="replay")
    replay = commands.add_parser("replay", help="run the workflow code over saved histories, without a server")
    replay.add_argument("file", nargs="+", type=Path, help="JSON file, from `tandem agents history` or the Temporal UI")
    arguments = parser.parse_args()
    if arguments.command == "replay":
        return asyncio.run(_replay(arguments.file))
    try:
        settings = WorkerSettings()
    except ValidationError as error:
        sys.stderr.write(
            f"the worker's settings are not valid: {describe(error)}; see python -m agent_workflows --help\n"
        )
        return 2
    configure_logging(settings.log_level)
    try:
        asyncio.run(run_worker(settings))
    except TandemError as error:
        sys.stderr.write(f"the worker cannot run: {error}\n")
        return 1
    return 0


async def _replay(files: list[Path]) -> int:
    """Whether this code still runs each history as it was recorded; 1 if one of them it does not."""
    failed = 0
    for file in files:
        try:
            await replay_history(await asyncio.to_thread(file.read_text, encoding="utf-8"))
        except NotDeterministic as error:
            failed += 1
            sys.stderr.write(f"{file}: this code does not run it as it was recorded: {error}\n")
        except (OSError, ValueError) as error:
            failed += 1
            sys.stderr.write(f"{file}: not a history: {error}\n")
        else:
            sys.stdout.write(f"{file}: replays\n")
    return 1 if failed else 0


if __name__ == "__main__":
    leave(main())
