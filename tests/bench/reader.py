"""One reading process to be measured: ``bare`` poll loop, the bridge's ``consumer``, or it with its ``engine-down``."""

import asyncio
import json
import re
import sys
import time
from pathlib import Path
from typing import Any

from bridge.adapters.kafka import KafkaAddress, KafkaEventLog, open_consumer
from bridge.contracts.envelope import Envelope
from bridge.contracts.failures import Unavailable

HELD_SECONDS = 12
"""How long the process is watched while its engine is down."""


def bare(address: KafkaAddress, topic: str, count: int) -> float:
    consumer = open_consumer(address, topic=topic, group=f"bare-{time.time_ns()}")
    read = 0
    began = time.process_time()
    while read < count:
        read += sum(len(messages) for messages in consumer.poll(timeout_ms=200).values())
    spent = time.process_time() - began
    consumer.close()
    return spent


async def through_consumer(address: KafkaAddress, topic: str, count: int, *, down: bool) -> float:
    from bridge.consumer import Consumer
    from bridge.dispatch import Subscription

    handled, enough = 0, asyncio.Event()

    async def handle(event: Envelope) -> str:
        nonlocal handled
        if down:
            raise Unavailable("down")
        handled += 1
        if handled == count:
            enough.set()
        return "handled"

    subscription = Subscription(topic, f"reader-{time.time_ns()}", handle)
    consumer = Consumer(address, subscription, KafkaEventLog(address))
    began = time.process_time()
    running = asyncio.create_task(consumer.run())
    if down:
        await asyncio.sleep(HELD_SECONDS)
    else:
        await enough.wait()
    spent = time.process_time() - began
    consumer.stop()
    await running
    return spent


def main() -> None:
    import structlog

    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(50))
    mode, servers, topic, count = sys.argv[1:]
    address, number = KafkaAddress(servers), int(count)
    spent: Any
    if mode == "bare":
        spent = bare(address, topic, number)
    else:
        spent = asyncio.run(through_consumer(address, topic, number, down=mode == "engine-down"))
    print(json.dumps({"cpu_seconds": spent, "peak_megabytes": round(_peak_megabytes(), 1)}))


def _peak_megabytes() -> float:
    """Of this program: ``ru_maxrss`` would count the process it was forked from, too."""
    status = Path("/proc/self/status").read_text()
    return int(re.search(r"VmHWM:\s+(\d+) kB", status)[1]) / 1024  # type: ignore[index]


if __name__ == "__main__":
    main()
