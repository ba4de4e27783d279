"""Record a run's history for the replay tests: ``python -m tests.contract.record HOST:PORT WORKFLOW_ID NUMBER``."""

import asyncio
import sys
from pathlib import Path

from bridge.adapters.temporal import TemporalAddress, connect


async def record(address: str, run: str, number: str) -> None:
    client = await connect(TemporalAddress(address))
    history = await client.get_workflow_handle(run).fetch_history()
    started = history.events[0].workflow_execution_started_event_attributes
    file = Path(__file__).parent / "histories" / f"{started.workflow_type.name}-{number}.json"
    file.parent.mkdir(exist_ok=True)
    file.write_text(history.to_json())


if __name__ == "__main__":
    asyncio.run(record(*sys.argv[1:4]))
