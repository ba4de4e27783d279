"""What ``delay_report`` tells: the figures of a finding as sentences, and what a model may make of a sentence. Pure."""

import re
from collections import Counter
from collections.abc import Mapping
from types import MappingProxyType
from typing import Final

from bridge.contracts.catalog.investigate_delays import Evidence, Finding

SENTENCES: Final = 6
"""The first figures of a finding are told; all of them are in the finding."""
INSTRUCTIONS: Final = (
    "Rewrite the user's sentence as one plain sentence for a report. Keep every number as it is. "
    "Answer with the sentence only."
)
NUMBER: Final = re.compile(r"\d+(?:[.,]\d+)*%?")
WORD: Final = re.compile(r"[^\W\d_]+")
NEUTRAL: Final = frozenset(
    """a an and are as at be been compared for from had has have in is it its on one s so that the their them
    there these they this those to was we were when where which while with also against day days departure departures
    flight flights figure figures percent rate respectively share shares value""".split()  # noqa: SIM905 - reads best
)
"""Words that say nothing new, whatever the sentence is of: no negation, comparison, cause, doer or number."""
UNITS: Final[Mapping[str, str]] = MappingProxyType({"z": "standard errors"})


def verdict(finding: Finding, found_by: str) -> str:
    """The sentence that no model touches."""
    return f"Cause: {finding.cause.value}. Severity: {finding.severity.value}. Found by {found_by}."


def facts(finding: Finding) -> list[str]:
    """A sentence for each of the first figures, as rules put it."""
    return [_sentence(evidence) for evidence in finding.evidence[:SENTENCES]]


def _sentence(evidence: Evidence) -> str:
    is_count = evidence.unit != "share" and evidence.figure.startswith(f"{evidence.unit} of ")
    value = _figure(evidence.value, evidence.unit, named=is_count)
    told = f"There were {value} {evidence.figure}" if is_count else f"The {evidence.figure} was {value}"
    if evidence.compared_with is None:
        return told + "."
    return f"{told}; for the other carriers it was {_figure(evidence.compared_with, evidence.unit, named=is_count)}."


def _figure(value: float, unit: str, *, named: bool) -> str:
    """With its unit, unless the sentence has ``named`` it."""
    if unit == "share":
        return f"{value:.1%}"
    return f"{value:g}" if named else f"{value:g} {UNITS.get(unit, unit)}"


def problem_of(sentence: str, fact: str) -> str | None:
    """Why a model's sentence may not stand for the fact; None where it may.

    It must hold the fact's numbers in their order and the fact's words of meaning, each as often and no other. What is
    said of what is not checked: the words are the fact's, their order is the model's.
    """
    if not sentence or "\n" in sentence or len(sentence) > 2 * len(fact) + 40:
        return "it is not one sentence"
    if NUMBER.findall(sentence) != NUMBER.findall(fact):
        return "its numbers are not the fact's"
    told, meant = _words(sentence), _words(fact)
    if added := told - meant:
        return f"it adds: {', '.join(sorted(added))}"
    missing = meant - told
    return f"it leaves out: {', '.join(sorted(missing))}" if missing else None


def _words(text: str) -> Counter[str]:
    """Words of meaning, each as often as it is there."""
    return Counter(word for word in map(str.lower, WORD.findall(text)) if word not in NEUTRAL)
