"""Several relays on a real broker: each event once, in order per key, whoever comes and goes."""

import asyncio
import threading
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest

from bridge.adapters.database import Database, ledger
from bridge.adapters.kafka import KafkaEventLog, read_all
from bridge.adapters.sql_ledger import SqlLedger
from bridge.contracts.events import TenantDeclared
from bridge.contracts.tenants import Tenant
from bridge.relay import LEASE, Relay
from tests.consuming import until

pytestmark = pytest.mark.integration

TENANTS = 10
DECLARATIONS = 20


def _declare(database: Database, prefix: str) -> None:
    """Each tenant's declaration changes many times, by several writers at once."""

    def declare(numbers: range) -> None:
        for change in range(DECLARATIONS):
            for number in numbers:
                tenant = Tenant(id=f"{prefix}{number}", name="x", weight=change + 1)
                database.run(ledger.apply_tenants, [tenant])

    writers = [threading.Thread(target=declare, args=(range(n, n + 5),)) for n in range(0, TENANTS, 5)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()


def _told(stack: Any, prefix: str) -> dict[str, list[int]]:
    import json

    versions: dict[str, list[int]] = defaultdict(list)
    for record in read_all(stack.kafka, TenantDeclared.TOPIC):
        key = (record.key or b"").decode()
        if key.startswith(prefix):
            versions[key].append(json.loads(record.value or b"{}")["version"])
    return versions


async def test_several_relays_send_each_event_once_and_in_order_though_one_stops_in_the_middle(
    stack: Any, tmp_path: Path
) -> None:
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    database.migrate()
    prefix = f"Q{tmp_path.name[-4:]}".replace("_", "x")
    stops = [asyncio.Event() for _ in range(3)]
    logs = [KafkaEventLog(stack.kafka) for _ in stops]
    relays = [
        asyncio.create_task(Relay(SqlLedger(database), log, holder=f"relay-{n}").run(stop))
        for n, (log, stop) in enumerate(zip(logs, stops, strict=True))
    ]

    declaring = asyncio.create_task(asyncio.to_thread(_declare, database, prefix))
    await until(lambda: bool(_told(stack, prefix)))
    holder = await asyncio.to_thread(_holder, database)
    stops[int(holder.rsplit("-", 1)[1])].set()
    await declaring
    await until(lambda: sum(map(len, _told(stack, prefix).values())) >= TENANTS * DECLARATIONS)
    for stop in stops:
        stop.set()
    await asyncio.gather(*relays)
    for log in logs:
        log.close()
    database.close()

    assert _told(stack, prefix) == {f"{prefix}{n}": list(range(1, DECLARATIONS + 1)) for n in range(TENANTS)}


def _holder(database: Database) -> str:
    from sqlalchemy import text

    with database.engine.connect() as connection:
        return str(
            connection.execute(text("select holder from leases where name = :name"), {"name": LEASE}).scalar_one()
        )


async def test_what_a_dead_relay_had_sent_and_not_marked_is_found_on_the_topic(stack: Any, tmp_path: Path) -> None:
    database = Database(f"sqlite:///{tmp_path / 'platform.db'}")
    database.migrate()
    tenant = f"D{tmp_path.name[-5:]}".replace("_", "x")
    database.run(ledger.apply_tenants, [Tenant(id=tenant, name="x")])
    log, dead = KafkaEventLog(stack.kafka), SqlLedger(database)

    class Dies(SqlLedger):
        async def mark_published(self, seqs: Any) -> None:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        await Relay(Dies(database), log, holder="dies").once()
    await dead.drop_lease(LEASE, holder="dies")
    marked = await Relay(dead, log, holder="next").once()
    log.close()
    database.close()

    assert marked == 1
    assert dict(_told(stack, tenant)) == {tenant: [1]}
