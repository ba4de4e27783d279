"""``python -m agent_workflows``: run a worker."""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from agent_workflows.bootstrap import run_worker
from agent_workflows.settings import WorkerSettings
from bridge.contracts.failures import TandemError, describe
from bridge.settings import describe_settings
from bridge.telemetry import configure_logging


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m agent_workflows",
        description="Runs agents from a Temporal task queue until it gets SIGTERM.",
        epilog="settings, by environment variable:\n" + describe_settings(WorkerSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
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


if __name__ == "__main__":
    sys.exit(main())
