"""The tools of ``investigate_delays``: figures from the pinned snapshots, by SQL over Arrow.

A tool sees its run's tenant and snapshots and nothing else. Figures are small and carry no passenger data.
"""

import datetime as dt
import threading
from typing import Any, Final

import duckdb
import pyarrow as pa
from temporalio import activity

from agent_workflows.activities.messages import ToolRequest
from agent_workflows.agents.investigate_delays import (
    MARKET_RATES,
    TENANT_HISTORY,
    TENANT_RATES,
    WEATHER,
    MarketRates,
    TenantHistory,
    TenantRates,
    Weather,
)
from agent_workflows.failures import as_temporal
from agent_workflows.ports import Snapshots
from bridge.contracts import names
from bridge.contracts.agents import AgentStart, SnapshotRef
from bridge.contracts.failures import Code, Refused

GROUPS: Final = {"day": "'all'", "hour": "hour", "airport": "origin", "destination": "dest"}
MOST_GROUPS: Final = 40

REGISTERING: Final = threading.Lock()
"""DuckDB looks Arrow up in a cache that threads may not fill together; queries here take milliseconds."""

BAD_WEATHER: Final = """(
    coalesce(precip, 0) >= 0.05 or coalesce(visib, 10) < 3 or coalesce(wind_speed, 0) > 25
    or coalesce(wind_gust, 0) > 35 or (coalesce(temp, 60) <= 33 and coalesce(precip, 0) > 0)
)"""


class FlightTools:
    def __init__(self, snapshots: Snapshots) -> None:
        self._snapshots = snapshots

    @activity.defn(name=TENANT_RATES.name)
    def tenant_rates(self, request: ToolRequest) -> dict[str, Any]:
        arguments = TenantRates.model_validate(request.call.arguments)
        with as_temporal():
            rows = self._rows(request.start, names.DEPARTURES)
            groups = _query(
                f"""select {GROUPS[arguments.by]}::varchar as "group", count(*) as flights,
                    sum(cancelled::int) as cancelled, sum(late::int) as late
                    from departures where day = $day group by 1 order by flights desc, 1 limit {MOST_GROUPS}""",  # noqa: S608 - from the closed set above
                departures=rows,
                day=_day(request.start),
            )
            return {"by": arguments.by, "rates": groups}

    @activity.defn(name=MARKET_RATES.name)
    def market_rates(self, request: ToolRequest) -> dict[str, Any]:
        arguments = MarketRates.model_validate(request.call.arguments)
        with as_temporal():
            market = self._reference(request.start, names.MARKET)
            if market is None:
                return {
                    "by": arguments.by,
                    "rates": [],
                    "note": "no market figures were published for the day",
                }
            own = self._rows(request.start, names.DEPARTURES)
            groups = _query(
                f"""with own as (
                        select origin, hour, count(*) as flights, sum(cancelled::int) as cancelled,
                            sum(late::int) as late
                        from departures where day = $day group by all)
                    select {GROUPS[arguments.by]}::varchar as "group",
                        sum(greatest(m.flights - coalesce(o.flights, 0), 0))::bigint as flights,
                        sum(greatest(m.cancelled - coalesce(o.cancelled, 0), 0))::bigint as cancelled,
                        sum(greatest(m.late - coalesce(o.late, 0), 0))::bigint as late
                    from market m left join own o using (origin, hour)
                    where m.day = $day group by 1 order by flights desc, 1 limit {MOST_GROUPS}""",  # noqa: S608
                departures=own,
                market=market,
                day=_day(request.start),
            )
            return {"by": arguments.by, "rates": groups}

    @activity.defn(name=WEATHER.name)
    def weather(self, request: ToolRequest) -> dict[str, Any]:
        arguments = Weather.model_validate(request.call.arguments)
        with as_temporal():
            weather = self._reference(request.start, names.WEATHER)
            if weather is None:
                return {"by": arguments.by, "weather": [], "note": "no weather was published for the day"}
            groups = _query(
                f"""select {GROUPS[arguments.by]}::varchar as "group", count(*) as hours,
                    count(*) filter (where {BAD_WEATHER}) as bad_hours,
                    round(sum(precip), 2) as precip_inches, min(visib) as lowest_visibility_miles,
                    round(max(wind_speed), 1) as highest_wind_mph, min(temp) as lowest_temperature_f
                    from weather where day = $day group by 1 order by 1""",  # noqa: S608
                weather=weather,
                day=_day(request.start),
            )
            return {"by": arguments.by, "weather": groups}

    @activity.defn(name=TENANT_HISTORY.name)
    def tenant_history(self, request: ToolRequest) -> dict[str, Any]:
        arguments = TenantHistory.model_validate(request.call.arguments)
        with as_temporal():
            day = dt.date.fromisoformat(_day(request.start))
            days = _query(
                """select day, count(*) as flights, sum(cancelled::int) as cancelled, sum(late::int) as late
                    from departures where day < $day and day >= $first group by day order by day desc limit 60""",
                departures=self._rows(request.start, names.DEPARTURES),
                day=day.isoformat(),
                first=(day - dt.timedelta(days=arguments.days)).isoformat(),
            )
            return {"days": days}

    def _rows(self, start: AgentStart, dataset: str) -> pa.Table:
        rows = self._reference(start, dataset)
        if rows is None:
            problem = f"the run was given no snapshot of {dataset!r}; start it with a published one"
            raise Refused(Code.NOT_PUBLISHED, problem)
        return rows

    def _reference(self, start: AgentStart, dataset: str) -> pa.Table | None:
        ref = next((s for s in start.snapshots if s.dataset == dataset), None)
        if ref is None:
            return None
        _check_owner(ref, start)
        return self._snapshots.read(ref)


def _check_owner(ref: SnapshotRef, start: AgentStart) -> None:
    """A run may read its own tenant's snapshots and the platform's, whoever wrote the request."""
    if ref.tenant not in {start.tenant, names.PLATFORM_TENANT}:
        problem = f"a run of tenant {start.tenant!r} may not read a snapshot of tenant {ref.tenant!r}"
        raise Refused(Code.INVALID_REQUEST, problem)


def _day(start: AgentStart) -> str:
    return str(start.input["day"])


def _query(sql: str, *, day: str, first: str | None = None, **tables: pa.Table) -> list[dict[str, Any]]:
    parameters = {"day": day} | ({"first": first} if first else {})
    with REGISTERING, duckdb.connect() as connection:
        for name, table in tables.items():
            connection.register(name, table)
        cursor = connection.execute(sql, parameters)
        columns = [column[0] for column in cursor.description]
        return [dict(zip(columns, row, strict=True)) for row in cursor.fetchall()]
