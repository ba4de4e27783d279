"""The worker's stores: the platform database, snapshots from the lakehouse, reports in S3."""

import asyncio
import threading
from collections import OrderedDict
from functools import partial
from typing import Final

import pyarrow as pa

from agent_workflows.activities.messages import ApprovalRecord, Decision, FactRecord, Turn
from bridge.adapters.database import Database, approvals, ledger, runs
from bridge.adapters.iceberg import Lakehouse
from bridge.adapters.objects import Objects
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.events import AgentCompleted, AlertRaised, Verdict
from bridge.contracts.failures import Unavailable

CACHED_BYTES: Final = 256 * 1024 * 1024


class SqlTranscripts:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def find(self, run: str, version: int) -> str | None:
        return await self._database.arun(runs.find_turn, run, version)

    async def load(self, run: str, version: int) -> list[bytes]:
        return await self._database.arun(runs.load_transcript, run, version)

    async def append(self, turn: Turn, messages: bytes, decision: Decision) -> None:
        await self._database.arun(
            runs.append_turn,
            run=turn.run,
            version=turn.version,
            parent=turn.parent,
            tenant=turn.start.tenant,
            messages=messages,
            decision=decision.model_dump_json(),
        )


class SqlRunLedger:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def record_completion(self, tenant: str, cause: str, completed: AgentCompleted) -> bool:
        return await self._database.arun(ledger.record_completion, completed, tenant=tenant, cause=cause)

    async def record_approval(self, record: ApprovalRecord) -> None:
        await self._database.arun(
            approvals.record, record.fact, event_id=record.event_id, tenant=record.tenant, cause=record.cause
        )

    async def find_step(self, *, run: str, step: str) -> str | None:
        return await self._database.arun(runs.find_step, run=run, step=step)

    async def record_step(self, *, run: str, step: str, tenant: str, kind: str, result: str, milliseconds: int) -> None:
        await self._database.arun(
            runs.record_step,
            run=run,
            step=step,
            tenant=tenant,
            kind=kind,
            result=result,
            milliseconds=milliseconds,
        )

    async def newest_verdict(self, *, tenant: str, dataset: str) -> Verdict | None:
        return await self._database.arun(ledger.newest_verdict, tenant=tenant, dataset=dataset)

    async def tell(self, record: FactRecord) -> None:
        await self._database.arun(
            ledger.tell, record.fact, event_id=record.event_id, tenant=record.tenant, cause=record.cause
        )

    async def raise_alert(self, alert: AlertRaised, *, event_id: str, tenant: str) -> None:
        await self._database.arun(ledger.tell, alert, event_id=event_id, tenant=tenant)


class SqlEffects:
    def __init__(self, database: Database) -> None:
        self._database = database

    async def make(self, *, key: str, tenant: str, run: str) -> bool:
        return await self._database.arun(runs.make_effect, key, tenant=tenant, run=run)

    async def begin(self, key: str, *, tenant: str, run: str) -> tuple[str, str | None]:
        return await self._database.arun(runs.begin_effect, key, tenant=tenant, run=run)

    async def finish(self, key: str, *, state: str, result: str) -> None:
        await self._database.arun(runs.finish_effect, key, state=state, result=result)

    async def forget(self, key: str) -> None:
        await self._database.arun(runs.forget_effect, key)


class S3Files:
    def __init__(self, objects: Objects) -> None:
        self._objects = objects

    async def get(self, bucket: str, key: str) -> bytes:
        return await asyncio.to_thread(self._objects.get, bucket, key)

    async def put(self, bucket: str, key: str, body: bytes, content_type: str) -> str:
        await asyncio.to_thread(partial(self._objects.put, bucket, key, body, content_type=content_type))
        return f"s3://{bucket}/{key}"


class CachedSnapshots:
    """Pinned snapshots never change, so the ones read last stay in memory, up to ``CACHED_BYTES``."""

    def __init__(self, lakehouse: Lakehouse) -> None:
        self._lakehouse = lakehouse
        self._lock = threading.Lock()
        self._cache: OrderedDict[tuple[str, int], pa.Table] = OrderedDict()

    def read(self, snapshot: SnapshotRef) -> pa.Table:
        key = (snapshot.table, snapshot.snapshot_id)
        with self._lock:
            if key in self._cache:
                self._cache.move_to_end(key)
                return self._cache[key]
        try:
            table = self._lakehouse.read(snapshot.table, snapshot.snapshot_id)
        except OSError as error:
            raise Unavailable(f"the store did not give {snapshot.table} at {snapshot.snapshot_id}: {error}") from error
        with self._lock:
            self._cache[key] = table
            while len(self._cache) > 1 and sum(t.nbytes for t in self._cache.values()) > CACHED_BYTES:
                self._cache.popitem(last=False)
        return table
