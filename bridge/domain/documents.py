"""Documents that are summarised: where they and what is made of them are kept, and their text. Pure."""

import json
import re
from collections.abc import Mapping
from html.parser import HTMLParser
from typing import Any, Final

from bridge.contracts.failures import Code, Refused

UNSEEN: Final = frozenset({"script", "style", "template", "noscript"})
BLOCKS: Final = frozenset({"p", "div", "br", "li", "tr", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article"})


def source_key(tenant: str, name: str) -> str:
    """In the raw bucket: the document as it came."""
    return f"documents/{tenant}/{name}"


def text_key(tenant: str, name: str) -> str:
    """In the reports bucket: its text."""
    return f"documents/{tenant}/{name}.txt"


def summary_key(tenant: str, name: str) -> str:
    """In the reports bucket: its summary, as JSON."""
    return f"documents/{tenant}/{name}.summary.json"


def summary_body(summary: Mapping[str, Any]) -> bytes:
    """What is kept there: the same bytes for the same summary."""
    return json.dumps(summary, ensure_ascii=False, sort_keys=True).encode()


def extract_text(name: str, body: bytes) -> str:
    """The text of a text, Markdown or HTML document; raises ``Refused(INVALID_REQUEST)`` for any other."""
    try:
        text = body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise Refused(Code.INVALID_REQUEST, f"document {name!r} is not UTF-8 text: {error}") from error
    if name.endswith((".html", ".htm")):
        reader = _Reader()
        reader.feed(text)
        reader.close()
        text = re.sub(r"[ \t]*\n\s*", "\n", re.sub(r"[ \t]+", " ", "".join(reader.seen)))
    elif not name.endswith((".txt", ".md")):
        raise Refused(Code.INVALID_REQUEST, f"document {name!r} is none of .txt, .md, .html")
    if not text.strip():
        raise Refused(Code.NO_DATA, f"document {name!r} holds no text")
    return text.strip()


class _Reader(HTMLParser):
    """What a person would see."""

    def __init__(self) -> None:
        super().__init__()
        self.seen: list[str] = []
        self._hidden = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:  # noqa: ARG002
        self._hidden += tag in UNSEEN
        if tag in BLOCKS:
            self.seen.append("\n")

    def handle_endtag(self, tag: str) -> None:
        self._hidden = max(0, self._hidden - (tag in UNSEEN))

    def handle_data(self, data: str) -> None:
        if not self._hidden:
            self.seen.append(data)
