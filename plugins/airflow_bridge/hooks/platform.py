"""Connection type ``tandem``: the platform database, the lakehouse and the reports."""

from functools import cached_property
from typing import TYPE_CHECKING, Any

from airflow.sdk import BaseHook
from airflow.sdk.exceptions import AirflowNotFoundException

from airflow_bridge.defaults import PLATFORM_CONN_ID, S3_CONN_ID
from bridge.contracts import names
from bridge.contracts.failures import Code, Owner, Refused
from bridge.contracts.tenants import Tenant

if TYPE_CHECKING:
    from bridge.adapters.database import Database
    from bridge.adapters.iceberg import Lakehouse
    from bridge.adapters.objects import Objects


class PlatformHook(BaseHook):
    """The password is the database URL (it holds one); S3 comes from the connection named in ``s3_conn_id``."""

    conn_name_attr = "platform_conn_id"
    default_conn_name = PLATFORM_CONN_ID
    conn_type = "tandem"
    hook_name = "Tandem platform"

    def __init__(self, platform_conn_id: str = PLATFORM_CONN_ID) -> None:
        super().__init__()
        self.platform_conn_id = platform_conn_id

    @cached_property
    def _connection(self) -> Any:
        try:
            connection = self.get_connection(self.platform_conn_id)
        except AirflowNotFoundException as error:
            problem = f"there is no connection {self.platform_conn_id!r}; create it with type 'tandem'"
            raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error
        if connection.conn_type != self.conn_type or not connection.password:
            raise Refused(
                Code.BAD_CONNECTION,
                f"connection {self.platform_conn_id!r} must be of type 'tandem' and hold the database URL as password",
                owner=Owner.PLATFORM,
            )
        return connection

    @cached_property
    def database(self) -> "Database":
        from bridge.adapters.database import Database  # noqa: PLC0415 - keeps DAG parsing cheap

        return Database(self._connection.password)

    @cached_property
    def objects(self) -> "Objects":
        """Raw files and reports, through Airflow's own ``S3Hook``."""
        from bridge.adapters.objects import Objects  # noqa: PLC0415

        return Objects(self._s3_hook().get_conn())

    @cached_property
    def lakehouse(self) -> "Lakehouse":
        """The Iceberg tables, with the credentials and endpoint of the same S3 connection."""
        from bridge.adapters.iceberg import Lakehouse  # noqa: PLC0415
        from bridge.adapters.objects import S3Address  # noqa: PLC0415

        hook = self._s3_hook()
        credentials = hook.get_credentials()
        address = S3Address(
            endpoint=hook.conn_config.endpoint_url,
            access_key=credentials.access_key,
            secret_key=credentials.secret_key,
            region=hook.region_name or "us-east-1",
        )
        return Lakehouse(
            catalog_url=self._connection.password,
            warehouse=f"s3://{names.LAKE_BUCKET}",
            properties=address.iceberg_properties(),
        )

    def report_url(self, key: str) -> str:
        base = str(self._connection.extra_dejson.get("reports_url") or "").rstrip("/")
        return f"{base}/{key}" if base else f"s3://{names.REPORTS_BUCKET}/{key}"

    def tenant(self, tenant: str) -> Tenant:
        """The declared tenant; raises ``Refused(UNKNOWN_TENANT)``."""
        from bridge.adapters.database import ledger  # noqa: PLC0415

        found = self.database.run(ledger.find_tenant, tenant)
        if found is None:
            problem = f"tenant {tenant!r} is not declared; declare it and run `tandem tenants apply`"
            raise Refused(Code.UNKNOWN_TENANT, problem)
        return found

    def _s3_hook(self) -> Any:
        from airflow.providers.amazon.aws.hooks.s3 import S3Hook  # noqa: PLC0415

        return S3Hook(aws_conn_id=str(self._connection.extra_dejson.get("s3_conn_id") or S3_CONN_ID))
