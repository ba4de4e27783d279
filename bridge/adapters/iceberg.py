"""Iceberg tables with Write-Audit-Publish: write a branch, judge it, move ``main``, pin what agents read.

One table a tenant and dataset, so that tenants never share a commit. Rows carry their ``day``; writing a day
again replaces that day. Nothing here decides whether data is good: the caller publishes, or does not.
"""

from dataclasses import dataclass
from typing import Any, Final

import pyarrow as pa
from pyiceberg.catalog.sql import SqlCatalog
from pyiceberg.exceptions import CommitFailedException, NoSuchTableError
from pyiceberg.expressions import EqualTo
from pyiceberg.table import Table
from pyiceberg.table.refs import MAIN_BRANCH

from bridge.contracts import ids
from bridge.contracts.agents import SnapshotRef
from bridge.contracts.failures import Code, Owner, Refused, Unavailable

CATALOG: Final = "tandem"
COMMIT_ATTEMPTS: Final = 5


@dataclass(frozen=True, slots=True)
class Audit:
    """A written, unpublished branch. ``parent`` is the snapshot ``main`` had when the branch was cut."""

    table: str
    branch: str
    snapshot_id: int
    parent: int
    rows: int


class Lakehouse:
    """The tables of all tenants behind one catalog."""

    def __init__(self, *, catalog_url: str, warehouse: str, properties: dict[str, str]) -> None:
        url = f"{catalog_url}?timeout=30" if catalog_url.startswith("sqlite") else catalog_url
        self._catalog = SqlCatalog(CATALOG, uri=url, warehouse=warehouse, **properties)

    def write_audit(self, *, tenant: str, dataset: str, day: str, rows: pa.Table, branch: str) -> Audit:
        """Write ``rows`` of ``day`` to ``branch``; ``main`` does not move. A branch left by a crash is cut anew."""
        table = self._ensure_table(tenant, dataset, rows.schema)
        head = self._ensure_head(table, rows.schema)
        snapshot_id = _write_branch(table, rows, head=head, branch=branch, day=day)
        return Audit(_name(table), branch, snapshot_id, head, rows.num_rows)

    def publish(self, audit: Audit, *, tenant: str, dataset: str, day: str, tag: str) -> SnapshotRef:
        """Move ``main`` to the audited rows of ``day`` and pin them with ``tag``. Safe to run twice.

        If other days were published since the branch was cut, the judged rows are put on the new head, unchanged.
        Raises ``Refused(STALE_AUDIT)`` if *this* day was: judge again first.
        """
        for _ in range(COMMIT_ATTEMPTS):
            table = self._load(audit.table)
            if tag in table.refs():
                snapshot_id = table.refs()[tag].snapshot_id
                return SnapshotRef(tenant=tenant, dataset=dataset, table=audit.table, snapshot_id=snapshot_id, tag=tag)
            try:
                self._move_main(table, self._on_head(table, audit, day), audit.branch, tag)
            except CommitFailedException:
                continue  # another day was published just now: look at the new head
        raise Unavailable(f"main of {audit.table} is being moved by others")

    def _on_head(self, table: Table, audit: Audit, day: str) -> int:
        """The snapshot to publish: the audited one, or its rows of ``day`` on top of a head that has moved."""
        head = _head(table)
        if head in {audit.parent, audit.snapshot_id}:
            return audit.snapshot_id
        before, now = (table.scan(row_filter=_of_day(day), snapshot_id=s).to_arrow() for s in (audit.parent, head))
        if not before.equals(now):
            raise Refused(
                Code.STALE_AUDIT,
                f"{day} of {audit.table} was published by another run after branch {audit.branch!r} was cut; "
                f"clear the audit task so that the data is judged again",
                owner=Owner.PLATFORM,
            )
        rows = table.scan(row_filter=_of_day(day), snapshot_id=audit.snapshot_id).to_arrow()
        snapshot_id = _write_branch(table, rows, head=head, branch=f"{audit.branch}-rebased", day=day)
        if _head(table) != head:
            raise CommitFailedException(f"main of {audit.table} moved while rows were put on it")
        return snapshot_id

    @staticmethod
    def _move_main(table: Table, snapshot_id: int, branch: str, tag: str) -> None:
        """One commit, which fails if ``main`` is not where ``table`` last saw it."""
        update = table.manage_snapshots().set_current_snapshot(snapshot_id).create_tag(snapshot_id, tag)
        for done in (branch, f"{branch}-rebased"):
            if done in table.refs():
                update = update.remove_branch(done)
        update.commit()

    def discard(self, audit: Audit) -> None:
        """Drop an unpublished branch; its snapshot stays until Iceberg's own expiry."""
        table = self._load(audit.table)
        if audit.branch in table.refs():
            table.manage_snapshots().remove_branch(audit.branch).commit()

    def read(self, table: str, snapshot_id: int, *, day: str | None = None) -> pa.Table:
        """All rows of a snapshot, or of one day in it."""
        loaded = self._load(table)
        if loaded.snapshot_by_id(snapshot_id) is None:
            raise Refused(Code.NOT_PUBLISHED, f"{table} has no snapshot {snapshot_id}; it may have expired")
        if day is None:
            return loaded.scan(snapshot_id=snapshot_id).to_arrow()
        return loaded.scan(row_filter=_of_day(day), snapshot_id=snapshot_id).to_arrow()

    def read_head(self, tenant: str, dataset: str) -> pa.Table | None:
        """All rows of ``main``, or None where the table is not there yet."""
        try:
            return self._catalog.load_table((ids.tenant_namespace(tenant), dataset)).scan().to_arrow()
        except NoSuchTableError:
            return None

    def upsert(self, *, tenant: str, dataset: str, rows: pa.Table, key: str) -> None:
        """Insert or replace rows by ``key`` on ``main``; tried again if another writer commits first."""
        table = self._ensure_table(tenant, dataset, rows.schema)
        for attempt in range(1, COMMIT_ATTEMPTS + 1):
            try:
                table.refresh()
                table.upsert(rows, join_cols=[key])
            except CommitFailedException as error:
                if attempt == COMMIT_ATTEMPTS:
                    raise Unavailable(f"{_name(table)} is being written by others: {error}") from error
            else:
                return

    def _ensure_table(self, tenant: str, dataset: str, schema: pa.Schema) -> Table:
        namespace = ids.tenant_namespace(tenant)
        self._catalog.create_namespace_if_not_exists(namespace)
        return self._catalog.create_table_if_not_exists((namespace, dataset), schema=schema)

    def _load(self, name: str) -> Table:
        try:
            return self._catalog.load_table(name)
        except NoSuchTableError as error:
            raise Refused(Code.NOT_PUBLISHED, f"there is no table {name!r} in the catalog") from error

    @staticmethod
    def _ensure_head(table: Table, schema: pa.Schema) -> int:
        """A branch needs a snapshot to start from: a new table gets an empty one."""
        if table.current_snapshot() is None:
            table.append(schema.empty_table())
        return _head(table)


def _write_branch(table: Table, rows: pa.Table, *, head: int, branch: str, day: str) -> int:
    """Cut ``branch`` from ``head``, anew if a crash left it behind, and replace ``day`` on it; the snapshot made."""
    if branch in table.refs():
        table.manage_snapshots().remove_branch(branch).commit()
    table.manage_snapshots().create_branch(head, branch).commit()
    table.overwrite(rows, overwrite_filter=_of_day(day), branch=branch)
    table.refresh()
    snapshot = table.snapshot_by_name(branch)
    if snapshot is None:
        raise Unavailable(f"branch {branch!r} of {_name(table)} vanished while it was written")
    return int(snapshot.snapshot_id)


def _of_day(day: str) -> Any:
    equal_to: Any = EqualTo  # pyiceberg's pydantic model hides its own constructor from type checkers
    return equal_to("day", day)


def _head(table: Table) -> int:
    head: Any = table.snapshot_by_name(MAIN_BRANCH)
    if head is None:
        raise Unavailable(f"{_name(table)} has no main branch yet")
    return int(head.snapshot_id)


def _name(table: Table) -> str:
    return ".".join(table.name())
