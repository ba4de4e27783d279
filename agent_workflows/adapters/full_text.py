"""What SQLite's full-text search is asked for."""

import re
from typing import Final

MOST_WORDS: Final = 32


def any_word_of(text: str) -> str:
    """A query for any of the first words of ``text``, each quoted; empty where it has none."""
    return " OR ".join(f'"{word}"' for word in re.findall(r"\w+", text)[:MOST_WORDS])
