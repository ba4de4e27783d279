"""The ``watch_quality`` workflow: a standing agent that sleeps, looks, and tells only of changes."""

import datetime as dt

from temporalio import workflow
from temporalio.common import VersioningBehavior

with workflow.unsafe.imports_passed_through():
    from agent_workflows import policies
    from agent_workflows.activities.messages import QualityLook
    from agent_workflows.activities.standing import LOOK_AT_QUALITY
    from agent_workflows.failures import as_temporal
    from agent_workflows.workflows.calls import tell
    from agent_workflows.workflows.run import continue_as_new, current, is_long
    from bridge.contracts.agents import AgentResult, AgentStart, Frozen
    from bridge.contracts.catalog.watch_quality import WATCH_QUALITY, QualitySeen, Watched, WatchQuality
    from bridge.contracts.events import QualityChanged


class Watch(Frozen):
    """What the watch remembers from look to look."""

    looks: int = 0
    changes: int = 0
    seen: QualitySeen = QualitySeen()


@workflow.defn(name=WATCH_QUALITY.workflow, versioning_behavior=VersioningBehavior.AUTO_UPGRADE)
class WatchQualityWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            wanted = WatchQuality.model_validate(WATCH_QUALITY.validate_input(start.input))
        watch = Watch.model_validate(start.state)
        while wanted.looks is None or watch.looks < wanted.looks:
            current().phase = f"watching {wanted.dataset}: {watch.seen.quality.value}"
            await workflow.sleep(_until_next(current().began, wanted.every), summary="until the next look")
            watch = await _look(start, wanted, watch)
            if is_long():
                await continue_as_new(start, watch)
        return current().result(start, Watched(looks=watch.looks, changes=watch.changes))


def _until_next(began: dt.datetime, every: dt.timedelta) -> dt.timedelta:
    """Looks are at whole multiples of ``every`` since the watch began; those that were slept through are left out."""
    return every - (workflow.now() - began) % every


async def _look(start: AgentStart, wanted: WatchQuality, watch: Watch) -> Watch:
    seen: QualitySeen = await workflow.execute_activity(
        LOOK_AT_QUALITY,
        QualityLook(tenant=start.tenant, dataset=wanted.dataset),
        result_type=QualitySeen,
        start_to_close_timeout=policies.DATA.start_to_close,
        retry_policy=policies.COMPENSATION.retry,
    )
    if seen.quality is watch.seen.quality:
        return watch.model_copy(update={"looks": watch.looks + 1, "seen": seen})
    number = watch.changes + 1
    changed = QualityChanged(
        workflow_id=start.workflow_id,
        number=number,
        dataset=wanted.dataset,
        before=watch.seen.quality.value,
        after=seen.quality.value,
        verdict=seen.verdict,
        seen_at=workflow.now(),
    )
    await tell(start, "change", number, changed, summary=f"{changed.before} -> {changed.after}")
    return Watch(looks=watch.looks + 1, changes=number, seen=seen)
