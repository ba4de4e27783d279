"""``fulfil_order``: reserve, charge, ship and tell, each once; what a cancelled or failed order did is undone."""

import datetime as dt
from typing import Annotated, Final

from pydantic import Field, StringConstraints

from bridge.contracts.agents import AgentSpec, Frozen

OrderId = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$")]


class OrderLine(Frozen):
    sku: str = Field(min_length=1, max_length=64)
    quantity: int = Field(ge=1, le=10_000)


class FulfilOrder(Frozen):
    """Request: an order that was placed. ``amount`` is in the currency's smallest unit."""

    order_id: OrderId
    customer: str = Field(min_length=3, max_length=254)
    lines: tuple[OrderLine, ...] = Field(min_length=1, max_length=200)
    amount: int = Field(ge=1)
    currency: str = Field(default="USD", pattern="^[A-Z]{3}$")


class Fulfilled(Frozen):
    """Result: the shop's own references of what was done."""

    order_id: OrderId
    reservation: str
    charge: str
    shipment: str
    status: str


FULFIL_ORDER: Final = AgentSpec(
    name="fulfil_order",
    workflow="FulfilOrderWorkflow",
    request=FulfilOrder,
    result=Fulfilled,
    execution_timeout=dt.timedelta(days=7),
)
