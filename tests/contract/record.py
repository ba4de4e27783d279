"""Record a run's history for the replay tests: ``python -m tests.contract.record HOST:PORT WORKFLOW_ID NUMBER``."""

import asyncio
import json
import sys
from pathlib import Path
from typing import Any

from bridge.adapters.temporal import TemporalAddress, connect


async def record(address: str, run: str, number: str) -> None:
    client = await connect(TemporalAddress(address))
    history = await client.get_workflow_handle(run).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    file = Path(__file__).parent / "histories" / f"{started.workflow_type.name}-{number}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(json.dumps(_told_of_no_machine(json.loads(history.to_json())), indent=1) + "\n")


def _told_of_no_machine(value: Any) -> Any:
    """Without stack traces and identities: paths and names of the machine it was recorded on."""
    if isinstance(value, dict):
        return {k: _told_of_no_machine(v) for k, v in value.items() if k not in {"stackTrace", "identity"}}
    return [_told_of_no_machine(one) for one in value] if isinstance(value, list) else value


if __name__ == "__main__":
    asyncio.run(record(*sys.argv[1:4]))
