"""``record_completion``: the run's one completion, written with its event in one transaction."""

from typing import Final

from temporalio import activity

from agent_workflows.activities.messages import CompletionRecord
from agent_workflows.ports import RunLedger

RECORD_COMPLETION: Final = "record_completion"


class Complete:
    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    @activity.defn(name=RECORD_COMPLETION)
    async def record_completion(self, record: CompletionRecord) -> bool:
        return await self._ledger.record_completion(record.tenant, record.cause, record.completed)
