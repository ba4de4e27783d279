"""The flights data: raw CSV of one carrier and day in, typed rows out.

Reading never fails on content: what cannot be read becomes null and the suite says so. Pure but for pyarrow
and pandas, which are imported where they are used, because DAG files import this package.
"""

import io
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from bridge.contracts.datasets import LATE_MINUTES, MARKET_COLUMNS

RAW_COLUMNS: Final = (
    "year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "arr_time", "sched_arr_time", "arr_delay",
    "carrier", "flight", "tailnum", "origin", "dest", "air_time", "distance", "hour", "minute", "time_hour",
)  # fmt: skip
WEATHER_RAW_COLUMNS: Final = (
    "origin", "year", "month", "day", "hour", "temp", "dewp", "humid", "wind_dir", "wind_speed", "wind_gust",
    "precip", "pressure", "visib", "time_hour",
)  # fmt: skip


def flights_key(day: str, tenant: str) -> str:
    return f"flights/day={day}/tenant={tenant}.csv"


def weather_key(day: str) -> str:
    return f"weather/day={day}.csv"


@dataclass(frozen=True, slots=True)
class RawFile:
    """``frame`` has every expected column; those the file lacked are in ``missing``, unknown ones in ``extra``."""

    frame: Any
    missing: tuple[str, ...]
    extra: tuple[str, ...]
    problem: str = ""

    @property
    def is_readable(self) -> bool:
        return not self.problem and not self.missing


def read_csv(body: bytes, expected: Sequence[str]) -> RawFile:
    """All cells as text. A file that is no CSV at all gives an empty frame and a ``problem``."""
    import pandas as pd  # noqa: PLC0415 - keeps DAG parsing cheap

    try:
        frame = pd.read_csv(io.BytesIO(body), dtype=str, keep_default_na=False, na_values=["", "NA"])
        problem = ""
    except (ValueError, UnicodeDecodeError) as error:  # pandas' parser errors are ValueErrors
        frame, problem = pd.DataFrame(), f"the file is not CSV: {error}"
    missing = tuple(name for name in expected if name not in frame.columns)
    extra = tuple(str(name) for name in frame.columns if name not in expected)
    return RawFile(frame.reindex(columns=list(expected)), missing, extra, problem)


def departures(raw: RawFile, day: str) -> Any:
    """Rows of the ``departures`` dataset as a pandas frame. A day in the file that is not ``day`` becomes null."""
    import pandas as pd  # noqa: PLC0415

    text = raw.frame
    numbers = {
        name: pd.to_numeric(text[name], errors="coerce")
        for name in ("year", "month", "day", "dep_time", "sched_dep_time", "dep_delay", "flight", "distance")
    }
    filed = pd.to_datetime(
        pd.DataFrame({part: numbers[part] for part in ("year", "month", "day")}), errors="coerce"
    ).dt.strftime("%Y-%m-%d")
    delay = numbers["dep_delay"]
    cancelled = numbers["dep_time"].isna()
    return pd.DataFrame(
        {
            "day": pd.Series(day, index=text.index, dtype=object),
            "filed_day": filed.astype(object),
            "carrier": text["carrier"],
            "flight": numbers["flight"],
            "origin": text["origin"],
            "dest": text["dest"],
            "hour": (numbers["sched_dep_time"] // 100),
            "sched_dep_time": numbers["sched_dep_time"],
            "dep_time": numbers["dep_time"],
            "dep_delay": delay,
            "distance": numbers["distance"],
            "cancelled": cancelled,
            "late": (~cancelled) & (delay > LATE_MINUTES),
        }
    )


def market_hourly(frames: Sequence[Any], day: str) -> Any:
    """Counts of all carriers by airport and hour. Names no carrier."""
    import pandas as pd  # noqa: PLC0415

    columns = list(MARKET_COLUMNS)
    if not frames:
        return pd.DataFrame(columns=columns)
    rows = pd.concat(frames, ignore_index=True)
    counts = rows.groupby(["origin", "hour"], as_index=False).agg(
        flights=("flight", "size"), cancelled=("cancelled", "sum"), late=("late", "sum")
    )
    return counts.assign(day=day)[columns]


def weather_hourly(raw: RawFile, day: str) -> Any:
    import pandas as pd  # noqa: PLC0415

    text = raw.frame
    columns: dict[str, Any] = {"day": pd.Series(day, index=text.index, dtype=object), "origin": text["origin"]}
    for name in ("hour", "temp", "wind_speed", "wind_gust", "precip", "visib"):
        columns[name] = pd.to_numeric(text[name], errors="coerce")
    return pd.DataFrame(columns)


def departures_schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415

    whole = ("flight", "hour", "sched_dep_time", "dep_time", "distance")
    types = {"cancelled": pa.bool_(), "late": pa.bool_(), "dep_delay": pa.float64()} | dict.fromkeys(
        whole, pa.float64()
    )
    from bridge.contracts.datasets import DEPARTURES_COLUMNS  # noqa: PLC0415

    return pa.schema([(name, types.get(name, pa.string())) for name in DEPARTURES_COLUMNS])


def market_schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415

    counts = [(name, pa.int64()) for name in ("flights", "cancelled", "late")]
    return pa.schema([("day", pa.string()), ("origin", pa.string()), ("hour", pa.int64()), *counts])


def weather_schema() -> Any:
    import pyarrow as pa  # noqa: PLC0415

    figures = [(name, pa.float64()) for name in ("temp", "wind_speed", "wind_gust", "precip", "visib")]
    return pa.schema([("day", pa.string()), ("origin", pa.string()), ("hour", pa.int64()), *figures])


def to_arrow(frame: Any, schema: Any) -> Any:
    import pyarrow as pa  # noqa: PLC0415

    return pa.Table.from_pandas(frame[schema.names], schema=schema, preserve_index=False, safe=False)
