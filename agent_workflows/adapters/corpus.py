"""The ``Corpus`` port over a folder: ``shared/`` for all tenants, ``{tenant}/`` for one, Markdown and text files.

Searched with SQLite's full-text search, indexed anew for each search: meant for hundreds of documents.
"""

import asyncio
import re
import sqlite3
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Final

from agent_workflows.activities.messages import Found
from agent_workflows.adapters.full_text import any_word_of
from bridge.contracts.failures import Code, Owner, Refused, Unavailable

SHARED: Final = "shared"
SUFFIXES: Final = frozenset({".md", ".txt"})


class FolderCorpus:
    def __init__(self, folder: Path) -> None:
        self._folder = folder

    async def search(self, *, tenant: str, query: str, most: int) -> Sequence[Found]:
        return await asyncio.to_thread(self._search, tenant, query, most)

    async def read(self, *, tenant: str, document: str) -> str:
        return await asyncio.to_thread(self._read, tenant, document)

    def _search(self, tenant: str, query: str, most: int) -> list[Found]:
        words = any_word_of(query)
        if not words:
            return []
        with closing(sqlite3.connect(":memory:")) as index:
            index.execute("CREATE VIRTUAL TABLE documents USING fts5 (id UNINDEXED, title, text, tokenize=porter)")
            index.executemany("INSERT INTO documents VALUES (?, ?, ?)", self._documents(tenant))
            best = "SELECT id, title FROM documents WHERE documents MATCH ? ORDER BY bm25(documents), id LIMIT ?"
            return [Found(document=name, title=title) for name, title in index.execute(best, (words, most))]

    def _documents(self, tenant: str) -> Iterator[tuple[str, str, str]]:
        for owner in (SHARED, tenant):
            for file in sorted((self._folder / owner).rglob("*")):
                if file.suffix in SUFFIXES and file.is_file():
                    text = _text(file)
                    yield file.relative_to(self._folder).as_posix(), _title(file, text), text

    def _read(self, tenant: str, document: str) -> str:
        file = (self._folder / document).resolve()
        allowed = ((self._folder / owner).resolve() for owner in (SHARED, tenant))
        if file.suffix not in SUFFIXES or not any(file.is_relative_to(one) for one in allowed) or not file.is_file():
            raise Refused(Code.NO_DATA, f"tenant {tenant!r} has no document {document!r}")
        return _text(file)


def _text(file: Path) -> str:
    try:
        return file.read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise Unavailable(f"the document {file} could not be read: {error}", owner=Owner.PLATFORM) from error


def _title(file: Path, text: str) -> str:
    """The first heading, else the file's name."""
    heading = re.search(r"^#+\s+(.+)$", text, re.MULTILINE)
    return heading[1].strip()[:200] if heading else file.stem
