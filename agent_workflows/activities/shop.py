"""The steps of ``fulfil_order`` at the shop's services, over HTTP. Each effect has its key and its undoing."""

from typing import Any, Final

from temporalio import activity

from agent_workflows.activities.messages import OrderStep
from agent_workflows.effects import Effect, IfUnknown, make_once
from agent_workflows.failures import as_temporal
from agent_workflows.ports import Effects, Http
from bridge.contracts.catalog.fulfil_order import FulfilOrder
from bridge.contracts.failures import Code, Refused

REPEATS: Final = IfUnknown(repeats=True)
"""The shop answers a second call with the same key from its first."""
NOBODY_KNOWS: Final = IfUnknown()


class Shop:
    def __init__(self, http: Http, effects: Effects, url: str) -> None:
        self._http = http
        self._effects = effects
        self._url = url.rstrip("/")

    @activity.defn
    async def validate_order(self, step: OrderStep) -> None:
        """Refuses an order that the request model lets pass and the shop would not."""
        with as_temporal():
            order = _order(step)
            skus = [line.sku for line in order.lines]
            if len(set(skus)) < len(skus):
                raise Refused(Code.INVALID_REQUEST, f"order {order.order_id!r} names an article twice; add it up")

    @activity.defn
    async def reserve_stock(self, step: OrderStep) -> str:
        return await self._reference(step, "reserve", "reserve", {"lines": step.start.input["lines"]})

    @activity.defn
    async def release_stock(self, step: OrderStep) -> str:
        return await self._reference(step, "release", "release")

    @activity.defn
    async def charge_card(self, step: OrderStep) -> str:
        """The idempotency key that the payment service gets is ``order-{id}-charge``."""
        order = _order(step)
        return await self._reference(step, "charge", "charge", {"amount": order.amount, "currency": order.currency})

    @activity.defn
    async def refund_charge(self, step: OrderStep) -> str:
        return await self._reference(step, "refund", "refund")

    @activity.defn
    async def ship_order(self, step: OrderStep) -> str:
        return await self._reference(step, "ship", "ship")

    @activity.defn
    async def recall_shipment(self, step: OrderStep) -> str:
        return await self._reference(step, "recall", "recall")

    @activity.defn
    async def notify_warehouse(self, step: OrderStep) -> str:
        return await self._reference(step, "notify", "notify")

    @activity.defn
    async def email_customer(self, step: OrderStep) -> str:
        """The mail service knows no keys: where its answer is lost, only a person can say whether the mail went out."""
        order = _order(step)
        name = f"email-{step.attempt}" if step.attempt else "email"
        return await self._reference(step, name, "email", {"to": order.customer}, if_unknown=NOBODY_KNOWS)

    @activity.defn
    async def set_status(self, step: OrderStep) -> str:
        return await self._reference(step, "status", "status", {"status": "fulfilled"})

    async def _reference(
        self,
        step: OrderStep,
        name: str,
        path: str,
        body: dict[str, Any] | None = None,
        *,
        if_unknown: IfUnknown = REPEATS,
    ) -> str:
        """Make the effect once; returns the shop's reference of it."""
        start, order = step.start, _order(step)
        key = f"order-{order.order_id}-{name}"
        asked = {"order": order.order_id, **(body or {})}

        async def call() -> dict[str, Any]:
            return await self._http.post(f"{self._url}/{path}", asked, key=key, headers={"Shop-Account": start.tenant})

        with as_temporal():
            effect = Effect(f"{start.tenant}/{key}", start.tenant, start.workflow_id)
            return str((await make_once(self._effects, effect, call, if_unknown)).get("reference", ""))


def _order(step: OrderStep) -> FulfilOrder:
    return FulfilOrder.model_validate(step.start.input)
