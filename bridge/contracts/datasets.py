"""Columns of the published datasets, so that writers and readers agree without importing each other.

Times are local to New York. ``late`` means more than 30 minutes after schedule; a cancelled flight is not late.
"""

from typing import Final

LATE_MINUTES: Final = 30
AIRPORTS: Final = ("EWR", "JFK", "LGA")

DEPARTURES_COLUMNS: Final = (
    "day", "carrier", "flight", "origin", "dest", "hour", "sched_dep_time", "dep_time", "dep_delay", "distance",
    "cancelled", "late",
)  # fmt: skip
MARKET_COLUMNS: Final = ("day", "origin", "hour", "flights", "cancelled", "late")
FINDINGS_COLUMNS: Final = (
    "workflow_id", "day", "agent", "outcome", "cause", "severity", "summary", "started_by", "snapshot_id", "reason",
    "closed_at",
)  # fmt: skip
