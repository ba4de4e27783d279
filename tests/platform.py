"""The publishing steps without Airflow: real database, real tables and objects, no task around them."""

from dataclasses import dataclass

from bridge.adapters.database import Database, ledger
from bridge.adapters.iceberg import Lakehouse
from bridge.adapters.objects import Objects
from bridge.contracts.failures import Code, Refused
from bridge.contracts.tenants import Tenant


@dataclass
class Platform:
    """What ``PlatformHook`` gives, from plain parts."""

    database: Database
    objects: Objects
    lakehouse: Lakehouse

    def tenant(self, tenant: str) -> Tenant:
        found = self.database.run(ledger.find_tenant, tenant)
        if found is None:
            raise Refused(Code.UNKNOWN_TENANT, tenant)
        return found

    def report_url(self, key: str) -> str:
        return f"reports/{key}"
