"""Which tenants a run is for."""

from typing import Any

from airflow_bridge.failures import as_airflow
from airflow_bridge.hooks.platform import PlatformHook
from bridge.contracts.failures import Code, Owner, Refused


def chosen_tenants(wanted: Any) -> list[str]:
    """The declared tenants, narrowed to ``wanted`` if given; an undeclared one fails the task and is named."""
    from bridge.adapters.database import ledger  # noqa: PLC0415 - keeps DAG parsing cheap

    with as_airflow():
        declared = [tenant.id for tenant in PlatformHook().database.run(ledger.list_tenants)]
        if not declared:
            problem = "no tenant is declared; run `tandem tenants apply infra/tenants.yaml`"
            raise Refused(Code.UNKNOWN_TENANT, problem, owner=Owner.PLATFORM)
        if not wanted:
            return declared
        unknown = sorted(set(wanted) - set(declared))
        if unknown:
            raise Refused(Code.UNKNOWN_TENANT, f"tenants {unknown} are not declared; declared: {declared}")
        return list(wanted)
