"""The ``Memory`` port over SQLite's full-text search (FTS5): the default, for one machine.

A file of its own beside the platform database: memory is a store to search, not a record of what was decided.
"""

import asyncio
import sqlite3
import threading
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from agent_workflows.adapters.full_text import any_word_of
from bridge.contracts.failures import Owner, Unavailable

LOCK_WAIT_SECONDS: Final = 30
SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS memories (
    id INTEGER PRIMARY KEY, key TEXT NOT NULL UNIQUE, tenant TEXT NOT NULL, subject TEXT NOT NULL, text TEXT NOT NULL,
    UNIQUE (tenant, subject, text)
);
CREATE VIRTUAL TABLE IF NOT EXISTS memory_words USING fts5 (text, content='memories', content_rowid='id');
CREATE TRIGGER IF NOT EXISTS memories_added AFTER INSERT ON memories BEGIN
    INSERT INTO memory_words (rowid, text) VALUES (new.id, new.text);
END;
"""


class SqliteMemory:
    """Opened at first use; safe to use from several threads and processes."""

    def __init__(self, file: Path) -> None:
        self._file = file
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None

    async def add(self, key: str, *, tenant: str, subject: str, text: str) -> bool:
        return await asyncio.to_thread(self._add, key, tenant, subject, text)

    async def search(self, *, tenant: str, subject: str, words: str, most: int) -> Sequence[str]:
        return await asyncio.to_thread(self._search, tenant, subject, words, most)

    def _add(self, key: str, tenant: str, subject: str, text: str) -> bool:
        statement = "INSERT OR IGNORE INTO memories (key, tenant, subject, text) VALUES (?, ?, ?, ?)"
        with self._lock:
            try:
                return self._open().execute(statement, (key, tenant, subject, text)).rowcount == 1
            except sqlite3.OperationalError as error:
                raise self._away(error) from error

    def _search(self, tenant: str, subject: str, words: str, most: int) -> list[str]:
        wanted = any_word_of(words)
        matching = """SELECT m.text FROM memory_words w JOIN memories m ON m.id = w.rowid
            WHERE memory_words MATCH ? AND m.tenant = ? AND m.subject = ?
            ORDER BY bm25(memory_words), m.id DESC LIMIT ?"""
        newest = "SELECT text FROM memories WHERE tenant = ? AND subject = ? ORDER BY id DESC LIMIT ?"
        with self._lock:
            try:
                connection = self._open()
                found = connection.execute(matching, (wanted, tenant, subject, most)).fetchall() if wanted else []
                found = found or connection.execute(newest, (tenant, subject, most)).fetchall()
            except sqlite3.OperationalError as error:
                raise self._away(error) from error
        return [text for (text,) in found]

    def _open(self) -> sqlite3.Connection:
        if self._connection is None:
            self._file.parent.mkdir(parents=True, exist_ok=True)
            connection = sqlite3.connect(
                self._file, timeout=LOCK_WAIT_SECONDS, check_same_thread=False, isolation_level=None
            )
            connection.execute("PRAGMA journal_mode=WAL")
            connection.executescript(SCHEMA)
            self._connection = connection
        return self._connection

    def _away(self, error: sqlite3.Error) -> Unavailable:
        return Unavailable(f"the memory store {self._file} did not answer: {error}", owner=Owner.PLATFORM)

    def close(self) -> None:
        if self._connection is not None:
            self._connection.close()
