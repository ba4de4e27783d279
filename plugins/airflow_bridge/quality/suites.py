"""Expectation suites as code, built per run. ``critical`` blocks publishing, ``warning`` is reported.

Great Expectations is imported here, inside functions: it takes seconds, and DAG files import this package.
"""

from typing import Any, Final

from bridge.contracts.datasets import AIRPORTS

CRITICAL: Final = "critical"
WARNING: Final = "warning"


def departures_suite(tenant: str, day: str) -> Any:
    """What the departures of one carrier and day must be like."""
    import great_expectations as gx  # noqa: PLC0415
    import great_expectations.expectations as gxe  # noqa: PLC0415

    never_null = ("flight", "carrier", "origin", "dest", "sched_dep_time", "distance", "filed_day")
    return gx.ExpectationSuite(
        name="departures",
        expectations=[
            *(gxe.ExpectColumnValuesToNotBeNull(column=name, severity=CRITICAL) for name in never_null),
            gxe.ExpectColumnValuesToBeInSet(column="filed_day", value_set=[day], severity=CRITICAL),
            gxe.ExpectColumnValuesToBeInSet(column="carrier", value_set=[tenant], severity=CRITICAL),
            gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=list(AIRPORTS), severity=CRITICAL),
            gxe.ExpectColumnValuesToMatchRegex(column="dest", regex="^[A-Z]{3}$", severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="hour", min_value=0, max_value=23, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="sched_dep_minute", max_value=59, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="dep_time", min_value=1, max_value=2400, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="dep_minute", max_value=59, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="dep_delay", min_value=-120, max_value=1800, severity=CRITICAL),
            gxe.ExpectColumnValuesToNotBeNull(
                column="dep_delay", severity=CRITICAL, row_condition="dep_time.notnull()", condition_parser="pandas"
            ),
            gxe.ExpectColumnValuesToBeBetween(column="distance", min_value=1, max_value=6000, severity=CRITICAL),
            gxe.ExpectCompoundColumnsToBeUnique(
                column_list=["flight", "origin", "dest", "sched_dep_time"], severity=CRITICAL
            ),
            gxe.ExpectColumnValuesToBeBetween(column="dep_delay", max_value=600, severity=WARNING),
            gxe.ExpectColumnMeanToBeBetween(column="cancelled", max_value=0.5, severity=WARNING),
        ],
    )


def market_suite() -> Any:
    import great_expectations as gx  # noqa: PLC0415
    import great_expectations.expectations as gxe  # noqa: PLC0415

    return gx.ExpectationSuite(
        name="market_hourly",
        expectations=[
            gxe.ExpectTableRowCountToBeBetween(min_value=1, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=list(AIRPORTS), severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="flights", min_value=1, severity=CRITICAL),
            gxe.ExpectColumnPairValuesAToBeGreaterThanB(
                column_A="flights", column_B="cancelled", or_equal=True, severity=CRITICAL
            ),
        ],
    )


def weather_suite() -> Any:
    import great_expectations as gx  # noqa: PLC0415
    import great_expectations.expectations as gxe  # noqa: PLC0415

    return gx.ExpectationSuite(
        name="weather_hourly",
        expectations=[
            gxe.ExpectTableRowCountToBeBetween(min_value=1, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeInSet(column="origin", value_set=list(AIRPORTS), severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="hour", min_value=0, max_value=23, severity=CRITICAL),
            gxe.ExpectColumnValuesToBeBetween(column="visib", min_value=0, max_value=20, severity=WARNING),
        ],
    )
