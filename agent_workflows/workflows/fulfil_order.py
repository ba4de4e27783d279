"""The ``fulfil_order`` workflow: seven steps, undone in reverse order where one fails or the order is cancelled.

A plain workflow: no model decides anything here. It gets what every agent gets: events, questions to people, caps on
retries, one completion.
"""

from temporalio import workflow
from temporalio.common import VersioningBehavior
from temporalio.exceptions import ActivityError, ApplicationError

with workflow.unsafe.imports_passed_through():
    from agent_workflows.activities.messages import OrderStep
    from agent_workflows.activities.shop import Shop
    from agent_workflows.failures import as_temporal
    from agent_workflows.policies import COMPENSATION, PAYMENT, WEB, Policy
    from agent_workflows.workflows.calls import call
    from agent_workflows.workflows.run import current
    from agent_workflows.workflows.saga import Saga
    from bridge.contracts.agents import AgentResult, AgentStart, Usage
    from bridge.contracts.approvals import ApprovalRequest, ApprovalVerdict, Choice
    from bridge.contracts.catalog.fulfil_order import FULFIL_ORDER, Fulfilled
    from bridge.contracts.failures import Code

STEPS = 7


@workflow.defn(name=FULFIL_ORDER.workflow, versioning_behavior=VersioningBehavior.PINNED)
class FulfilOrderWorkflow:
    @workflow.run
    async def run(self, start: AgentStart) -> AgentResult:
        with as_temporal():
            order = FULFIL_ORDER.validate_input(start.input)
        step = OrderStep(start=start.model_copy(update={"input": order}))
        async with Saga() as saga:
            await _call(Shop.validate_order, step, WEB)
            reservation = await saga.step(
                "reserve", _call(Shop.reserve_stock, step, WEB), lambda: _call(Shop.release_stock, step, COMPENSATION)
            )
            charge = await saga.step(
                "charge", _call(Shop.charge_card, step, PAYMENT), lambda: _call(Shop.refund_charge, step, COMPENSATION)
            )
            shipment = await saga.step(
                "ship", _call(Shop.ship_order, step, WEB), lambda: _call(Shop.recall_shipment, step, COMPENSATION)
            )
            await _call(Shop.notify_warehouse, step, WEB)
            await _email(step)
            await _call(Shop.set_status, step, WEB)
        fulfilled = Fulfilled(
            order_id=order["order_id"], reservation=reservation, charge=charge, shipment=shipment, status="fulfilled"
        )
        return AgentResult(
            tenant=start.tenant,
            agent=start.agent,
            request_id=start.request_id,
            output=fulfilled.model_dump(mode="json"),
            usage=Usage(tool_calls=STEPS),
        )


async def _call(activity: object, step: OrderStep, policy: Policy) -> str:
    name = activity.__name__  # type: ignore[attr-defined]  # a method of Shop, called by its name
    current().phase = name.replace("_", " ")
    return await call(name, step, str, policy, summary=f"order {step.start.input['order_id']}")


async def _email(step: OrderStep) -> None:
    """Send the mail. Where nobody knows whether it went out, ask; nobody answering means that it did."""
    while True:
        try:
            await _call(Shop.email_customer, step, WEB)
        except ActivityError as error:
            if not isinstance(error.cause, ApplicationError) or error.cause.type != Code.OUTCOME_UNKNOWN.value:
                raise
        else:
            return
        question = ApprovalRequest(
            id=f"email-{step.attempt}",
            question=f"Did the mail to the customer of order {step.start.input['order_id']} go out? Reject to send it.",
            roles=("support",),
            choices=(Choice.APPROVE, Choice.REJECT),
            on_expiry=ApprovalVerdict.APPROVED,
        )
        with as_temporal():
            approval = await current().approvals.ask(question)
        if approval.verdict is ApprovalVerdict.APPROVED:
            return
        step = step.model_copy(update={"attempt": step.attempt + 1})
