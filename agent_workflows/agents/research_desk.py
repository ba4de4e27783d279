"""The offline research desk: rules that play the models' parts in reports and summaries. Not a language model. Pure.

It searches for the topic's own words, quotes the sentences that hold most of them, and puts the quotes together.
"""

import re
from typing import Final

from bridge.contracts.catalog.process_document import Summary
from bridge.contracts.catalog.research_roles import Draft, Notes, Plan, PlanResearch, WriteReport

LITTLE_WORDS: Final = frozenset(
    ("does", "from", "have", "that", "their", "them", "they", "this", "what", "when", "where", "which", "will", "with")
)
QUOTES: Final = 3


def plan(wanted: PlanResearch) -> Plan:
    """All words of the topic together; where that led to problems, also each by itself."""
    words = _words(wanted.topic) or [wanted.topic]
    together = " ".join(words)[:200]
    return Plan(queries=(together, *(word[:200] for word in words[:4])) if wanted.problems else (together,))


def notes(topic: str, text: str) -> Notes:
    words = set(_words(topic))
    sentences = [s.strip() for s in re.split(r"(?<=[.!?])\s+|\n\s*\n", text) if 20 <= len(s.strip()) <= 500]  # noqa: PLR2004
    ranked = sorted(sentences, key=lambda sentence: -len(words & set(_words(sentence))))
    found = [sentence for sentence in ranked[:QUOTES] if words & set(_words(sentence))]
    if not found:
        return Notes(summary="Nothing on the topic was found.", quotes=((sentences or [text[:500].strip() or "-"])[0],))
    return Notes(summary=re.sub(r"\s+", " ", " ".join(found))[:1500], quotes=tuple(found))


def first_sentences(text: str) -> Summary:
    """What a summary is here: how the text begins."""
    sentences = [re.sub(r"\s+", " ", s).strip()[:500] for s in re.split(r"(?<=[.!?])\s+|\n+", text) if s.strip()]
    return Summary(summary=" ".join(sentences[:QUOTES])[:2000], points=tuple(sentences[:QUOTES]))


def draft(wanted: WriteReport) -> Draft:
    parts = [f"# {wanted.topic}", "Put together by the offline research desk: rules, not a language model."]
    for source in wanted.sources:
        quotes = "\n".join("> " + re.sub(r"\s+", " ", quote) for quote in source.notes.quotes)
        parts.append(f"## {source.title}\n\n{quotes}\n\n({source.document})")
    if wanted.feedback:
        parts.append("## Asked of this revision\n\n" + "\n".join(f"- {line}" for line in wanted.feedback))
    return Draft(
        title=wanted.topic[:300],
        text="\n\n".join(parts)[:20_000],
        sources=tuple(source.document for source in wanted.sources),
    )


def _words(text: str) -> list[str]:
    return [word for word in dict.fromkeys(re.findall(r"[a-z0-9]{4,}", text.lower())) if word not in LITTLE_WORDS]
