"""What standing agents do when they wake: look, and tell once."""

from typing import Final

from temporalio import activity

from agent_workflows.activities.messages import FactRecord, QualityLook
from agent_workflows.ports import RunLedger
from bridge.contracts.catalog.watch_quality import Quality, QualitySeen

LOOK_AT_QUALITY: Final = "look_at_quality"
TELL: Final = "tell"


class Standing:
    def __init__(self, ledger: RunLedger) -> None:
        self._ledger = ledger

    @activity.defn(name=LOOK_AT_QUALITY)
    async def look_at_quality(self, look: QualityLook) -> QualitySeen:
        verdict = await self._ledger.newest_verdict(tenant=look.tenant, dataset=look.dataset)
        if verdict is None:
            return QualitySeen()
        return QualitySeen(quality=Quality.PASSED if verdict.passed else Quality.FAILED, verdict=verdict.id)

    @activity.defn(name=TELL)
    async def tell(self, record: FactRecord) -> None:
        """Write the fact into the outbox; one that was told before changes nothing."""
        await self._ledger.tell(record)
