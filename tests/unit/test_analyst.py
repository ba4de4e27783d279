"""The rules against hand-made days; the real days are judged in tests/integration/test_real_days.py."""

from dataclasses import dataclass

import pytest

from agent_workflows.agents.analyst import Figures, Rates, conclude, z_score
from bridge.contracts.catalog.investigate_delays import Cause, Severity

CALM = {"EWR": 0, "JFK": 1, "LGA": 0}
STORM = {"EWR": 9, "JFK": 12, "LGA": 11}
NO_HISTORY = Rates(0, 0, 0)


def _figures(own: Rates, others: Rates, weather: dict[str, int], history: Rates = NO_HISTORY) -> Figures:
    return Figures(tenant=own, market=others, bad_hours=weather, history=history, airports={"JFK": (own, others)})


@dataclass(frozen=True)
class Case:
    id: str
    figures: Figures
    cause: Cause
    severity: Severity


CASES = (
    Case("ordinary", _figures(Rates(100, 1, 6), Rates(800, 10, 60), CALM), Cause.NONE, Severity.NONE),
    Case("own outage", _figures(Rates(90, 20, 30), Rates(800, 15, 60), CALM), Cause.CARRIER, Severity.SEVERE),
    Case("storm", _figures(Rates(90, 50, 5), Rates(800, 400, 40), STORM), Cause.WEATHER, Severity.SEVERE),
    Case(
        "own outage in a storm for all",
        _figures(Rates(90, 70, 5), Rates(800, 240, 40), STORM),
        Cause.WEATHER,
        Severity.SEVERE,
    ),
    Case(
        "all late, fair weather", _figures(Rates(90, 5, 25), Rates(800, 40, 200), CALM), Cause.AIRPORT, Severity.MAJOR
    ),
    Case("two flights, one lost", _figures(Rates(2, 1, 0), Rates(800, 10, 60), CALM), Cause.NONE, Severity.NONE),
    Case("one flight", _figures(Rates(1, 0, 0), Rates(800, 400, 60), STORM), Cause.NONE, Severity.NONE),
    Case("no flights", _figures(Rates(0, 0, 0), Rates(800, 10, 60), CALM), Cause.NONE, Severity.NONE),
    Case("no market", _figures(Rates(90, 20, 30), Rates(0, 0, 0), CALM), Cause.CARRIER, Severity.SEVERE),
    Case(
        "as bad as every day",
        _figures(Rates(90, 5, 15), Rates(800, 10, 60), CALM, Rates(2000, 100, 400)),
        Cause.NONE,
        Severity.NONE,
    ),
)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case.id)
def test_the_rules_name_cause_and_severity(case: Case) -> None:
    finding = conclude(case.figures)

    assert (finding.cause, finding.severity) == (case.cause, case.severity)
    assert finding.evidence


def test_the_z_score_of_equal_shares_is_zero_and_of_none_too() -> None:
    assert z_score(Rates(100, 10, 0), Rates(1000, 100, 0)) == 0
    assert z_score(Rates(0, 0, 0), Rates(1000, 100, 0)) == 0
    assert z_score(Rates(10, 0, 0), Rates(10, 0, 0)) == 0
