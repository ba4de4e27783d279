"""``python -m bridge``: run the bridge process."""

import argparse
import asyncio
import sys

from pydantic import ValidationError

from bridge.bootstrap import run_bridge
from bridge.contracts.failures import TandemError, describe
from bridge.leave import leave
from bridge.settings import BridgeSettings, describe_settings
from bridge.telemetry import configure_logging


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m bridge",
        description="Carries events between Kafka, Temporal and Airflow until it gets SIGTERM.",
        epilog="settings, by environment variable:\n" + describe_settings(BridgeSettings),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.parse_args()
    try:
        settings = BridgeSettings()
    except ValidationError as error:
        sys.stderr.write(f"the bridge's settings are not valid: {describe(error)}; see python -m bridge --help\n")
        return 2
    configure_logging(settings.log_level)
    try:
        asyncio.run(run_bridge(settings))
    except TandemError as error:
        sys.stderr.write(f"the bridge cannot run: {error}\n")
        return 1
    return 0


if __name__ == "__main__":
    leave(main())
