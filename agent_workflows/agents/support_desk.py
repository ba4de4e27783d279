"""The offline support desk: rules that play the model's part in ``support``. Not a language model.

It repeats what it remembers and what it was told, so that a conversation can be tried without a model. Pure.
"""

import re
from collections.abc import Sequence

PREFERENCE = re.compile(r"\b(prefer|always|never|allergic|please call me|my name is)\b", re.IGNORECASE)


def is_preference(said: str) -> bool:
    """Whether a message states something to remember, by a handful of words."""
    return bool(PREFERENCE.search(said))


def reply(said: str, memories: Sequence[str], *, remembered: bool) -> str:
    parts = ["This is the offline support desk: rules, not a language model."]
    if remembered:
        parts.append("I have remembered that.")
    if memories:
        parts.append("Of you I know: " + "; ".join(memories))
    parts.append(f"You said: {said[:200]}")
    return " ".join(parts)
