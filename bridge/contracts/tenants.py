"""A tenant as declared in YAML: who it is and how it is isolated and weighted."""

from enum import StrEnum
from typing import Self

from pydantic import Field, field_validator, model_validator

from bridge.contracts import ids, names
from bridge.contracts.agents import Frozen, Limits


class Tier(StrEnum):
    """Only ``pooled`` is served by this version: one namespace, one queue, fairness key = tenant."""

    POOLED = "pooled"


class Tenant(Frozen):
    """``weight`` is the tenant's share of dispatch under contention (Temporal fairness weight).

    ``limits`` cap each of its agent runs. ``people`` may answer what agents ask, each in the roles named here.
    """

    id: ids.TenantId
    name: str = Field(min_length=1, max_length=200)
    tier: Tier = Tier.POOLED
    weight: float = Field(default=1.0, ge=0.001, le=1000)
    limits: Limits = Limits()
    people: dict[str, tuple[str, ...]] = Field(default_factory=dict)

    @field_validator("id")
    @classmethod
    def _not_reserved(cls, value: str) -> str:
        if value.lower() == names.PLATFORM_TENANT:
            raise ValueError(f"{value!r} is reserved for the platform's own datasets")
        return value


class TenantFile(Frozen):
    """The YAML file: ``tenants: [{id: AA, name: American Airlines}, …]``."""

    tenants: tuple[Tenant, ...] = Field(min_length=1)

    @model_validator(mode="after")
    def _unique(self) -> Self:
        seen: set[str] = set()
        for tenant in self.tenants:
            if tenant.id.lower() in seen:
                raise ValueError(f"tenant {tenant.id!r} is declared twice (ids differ only in case count as one)")
            seen.add(tenant.id.lower())
        return self
