"""How an activity tells that an endpoint refuses us: nobody but a person can mend that."""

from temporalio import activity

from agent_workflows.ports import RunLedger
from bridge.contracts import ids
from bridge.contracts.events import AlertRaised


async def raise_alert(ledger: RunLedger, *, step: str, code: str, reason: str, once: str) -> None:
    """One alert for each run and ``once``, however often it is tried."""
    info = activity.info()
    workflow, run = info.workflow_id or "", info.workflow_run_id or ""
    alert = AlertRaised(workflow_id=workflow, run_id=run, step=step, code=code, reason=reason[:2000])
    event_id = ids.alert_event_id(f"{workflow}:{run}", once)
    await ledger.raise_alert(alert, event_id=event_id, tenant=workflow.split("/", 1)[0])
