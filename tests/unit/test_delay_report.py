"""What a report tells of a finding, and what a model may make of a sentence."""

import pytest

from agent_workflows.agents.delay_report import SENTENCES, facts, problem_of, verdict
from bridge.contracts.catalog.investigate_delays import Cause, Evidence, Finding, Severity

FACT = "The share of departures cancelled was 32.7%; for the other carriers it was 1.2%."


def _finding(*evidence: Evidence) -> Finding:
    return Finding(cause=Cause.WEATHER, severity=Severity.MAJOR, summary="snow", evidence=evidence)


def test_figures_become_sentences_with_their_units() -> None:
    finding = _finding(
        Evidence(
            figure="share of departures cancelled",
            value=0.3273,
            compared_with=0.012,
            unit="share",
            source="market_rates",
        ),
        Evidence(figure="share hit on earlier days", value=0.09, unit="share", source="tenant_history"),
        Evidence(figure="hours of bad weather at EWR", value=3, unit="hours", source="weather"),
        Evidence(figure="number of flights", value=72, compared_with=700, unit="flights", source="market_rates"),
        Evidence(figure="difference", value=14.2, unit="z", source="rules"),
    )

    assert facts(finding) == [
        "The share of departures cancelled was 32.7%; for the other carriers it was 1.2%.",
        "The share hit on earlier days was 9.0%.",
        "There were 3 hours of bad weather at EWR.",
        "The number of flights was 72 flights; for the other carriers it was 700 flights.",
        "The difference was 14.2 standard errors.",
    ]
    assert verdict(finding, "rules") == "Cause: weather. Severity: major. Found by rules."


def test_the_first_figures_are_told() -> None:
    one = Evidence(figure="flights", value=1, unit="flights", source="rules")

    assert len(facts(_finding(*[one] * 20))) == SENTENCES


@pytest.mark.parametrize(
    "sentence",
    [
        FACT,
        "Of the departures, 32.7% were cancelled, and for the other carriers 1.2%.",
        "We cancelled a 32.7% share of departures, compared with 1.2% for the other carriers.",
    ],
)
def test_the_same_in_other_words_may_stand(sentence: str) -> None:
    assert problem_of(sentence, FACT) is None


@pytest.mark.parametrize(
    ("sentence", "problem"),
    [
        ("", "not one sentence"),
        (f"Sure!\n{FACT}", "not one sentence"),
        (FACT + " the" * 100, "not one sentence"),
        ("The share of departures cancelled was 33%; for the other carriers it was 1.2%.", "numbers"),
        ("The share of departures cancelled was 1.2%; for the other carriers it was 32.7%.", "numbers"),
        ("The share of departures cancelled was 32.7%.", "numbers"),
        ("The share of departures cancelled was 32.7; for the other carriers it was 1.2.", "numbers"),
        (FACT + " 5 were late.", "numbers"),
        (FACT[:-1] + " due to weather.", "adds: due, weather"),
        (FACT[:-1] + ", twice as much.", "adds: much, twice"),
        (FACT.replace("cancelled", "not cancelled"), "adds: not"),
        (FACT[:-1] + ", which is severe.", "adds: severe"),
        (FACT[:-1] + ", fortunately.", "adds: fortunately"),
        ("The share of departures cancelled was 32.7% of the other carriers, which is 1.2%.", "adds: of"),
        ("A share of 32.7% was cancelled, compared with 1.2%.", "leaves out: carriers, other"),
        (FACT.replace("for the other", "by the other"), "adds: by"),
    ],
)
def test_what_says_anything_else_may_not(sentence: str, problem: str) -> None:
    assert problem in str(problem_of(sentence, FACT))
