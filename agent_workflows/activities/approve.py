"""``record_approval``: one step of a question to people, stored with its event in one transaction."""

from typing import Final

from temporalio import activity

from agent_workflows.activities.messages import ApprovalRecord
from agent_workflows.ports import RunLedger

RECORD_APPROVAL: Final = "record_approval"


class Approve:
    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    @activity.defn(name=RECORD_APPROVAL)
    async def record_approval(self, record: ApprovalRecord) -> None:
        await self._ledger.record_approval(record)
