"""What ``delay_report`` tells: the figures of a finding as sentences, and what a model may make of a sentence. Pure."""

import re
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
    """a an and are as at be been by compared for from had has have in is it its of on one report s so that the their
    them there these they this those to was we were when where which while with also against carrier carriers company
    airline airlines day days departure departures flight flights figure figures other others percent rate
    respectively share shares value""".split()  # noqa: SIM905 - a text of words reads best
)
"""Words that say nothing new, whatever the sentence is of. No negation, comparison, cause or number is among them."""


def verdict(finding: Finding, found_by: str) -> str:
    """The sentence that no model touches."""
    return f"Cause: {finding.cause.value}. Severity: {finding.severity.value}. Found by {found_by}."


def facts(finding: Finding) -> list[str]:
    """A sentence for each of the first figures, as rules put it."""
    return [_sentence(evidence) for evidence in finding.evidence[:SENTENCES]]


def _sentence(evidence: Evidence) -> str:
    value, other = evidence.value, evidence.compared_with
    if evidence.unit != "share":
        compared = "" if other is None else f"; for the other carriers {other:g}"
        unit = "" if evidence.unit in evidence.figure else f" ({evidence.unit})"
        return f"{evidence.figure[:1].upper()}{evidence.figure[1:]}{unit}: {value:g}{compared}."
    compared = "" if other is None else f"; for the other carriers it was {other:.1%}"
    return f"The {evidence.figure} was {value:.1%}{compared}."


def problem_of(sentence: str, fact: str) -> str | None:
    """Why a model's sentence may not stand for the fact; None where it may.

    It must hold the fact's numbers in their order, no word of meaning that the fact does not hold, and no line more.
    Who says what of whom is not checked: the words are the fact's, their order is the model's.
    """
    if not sentence or "\n" in sentence or len(sentence) > 2 * len(fact) + 40:
        return "it is not one sentence"
    if NUMBER.findall(sentence) != NUMBER.findall(fact):
        return "its numbers are not the fact's"
    added = set(_words(sentence)) - set(_words(fact)) - NEUTRAL
    return f"it adds: {', '.join(sorted(added))}" if added else None


def _words(text: str) -> list[str]:
    return [word.lower() for word in WORD.findall(text)]
