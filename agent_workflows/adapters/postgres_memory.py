"""The ``Memory`` port over PostgreSQL with pgvector: found by words and by meaning, for workers on many machines.

Row-level security is forced: a transaction sees its tenant's rows only, unless its role is a superuser. Texts are
embedded when their subject is next searched, so remembering never waits for the embedding model, and a model that was
changed is made up for as subjects are searched.
"""

import hashlib
from collections.abc import Sequence
from typing import Any, Final, Protocol

import structlog
from sqlalchemy import text as sql
from sqlalchemy.exc import ProgrammingError
from sqlalchemy.orm import Session

from agent_workflows.adapters.full_text import any_word_of
from bridge.adapters.database import Database
from bridge.contracts.failures import Code, Owner, Refused, Unavailable

EMBEDDED_AT_ONCE: Final = 64
"""Texts of a subject that a search embeds beside its query, the newest first; until then they are found by words."""
RANKED: Final = 100
"""So many of the best by words and by meaning are looked at."""
FUSION: Final = 60
"""Constant of reciprocal rank fusion (Cormack, Clarke and Büttcher, SIGIR 2009)."""
SCHEMA_LOCK: Final = 0x7A6E_6D65
SCHEMA: Final = (
    "CREATE EXTENSION IF NOT EXISTS vector",
    """CREATE TABLE memories (
        id bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY,
        key text NOT NULL UNIQUE, tenant text NOT NULL, subject text NOT NULL,
        text text NOT NULL, digest bytea NOT NULL,
        words tsvector GENERATED ALWAYS AS (to_tsvector('simple', text)) STORED,
        model text, embedding vector,
        UNIQUE (tenant, subject, digest)
    )""",
    "ALTER TABLE memories ENABLE ROW LEVEL SECURITY",
    "ALTER TABLE memories FORCE ROW LEVEL SECURITY",
    "CREATE POLICY own_tenant ON memories USING (tenant = current_setting('tandem.tenant', true))",
)
ADD: Final = sql(
    """INSERT INTO memories (key, tenant, subject, text, digest) VALUES (:key, :tenant, :subject, :text, :digest)
    ON CONFLICT DO NOTHING"""
)
NOT_EMBEDDED: Final = sql(
    """SELECT id, text FROM memories WHERE tenant = :tenant AND subject = :subject AND model IS DISTINCT FROM :model
    ORDER BY id DESC LIMIT :most"""
)
EMBED: Final = sql("UPDATE memories SET model = :model, embedding = CAST(:embedding AS vector) WHERE id = :id")
BEST: Final = sql(
    """WITH mine AS MATERIALIZED (SELECT * FROM memories WHERE tenant = :tenant AND subject = :subject),
    by_words AS (
        SELECT id, row_number() OVER (ORDER BY ts_rank_cd(words, wanted) DESC, id DESC) AS place
        FROM mine, websearch_to_tsquery('simple', :words) AS wanted WHERE words @@ wanted
    ),
    by_meaning AS (
        SELECT id, row_number() OVER (ORDER BY embedding <=> CAST(:embedding AS vector), id DESC) AS place
        FROM mine WHERE model = :model AND vector_dims(embedding) = vector_dims(CAST(:embedding AS vector))
    ),
    ranked AS (
        SELECT id, sum(1.0 / (:fusion + place)) AS score
        FROM (SELECT * FROM by_words UNION ALL SELECT * FROM by_meaning) AS places WHERE place <= :ranked GROUP BY id
    )
    SELECT mine.text FROM ranked JOIN mine USING (id) ORDER BY score DESC, id DESC LIMIT :most"""
)
NEWEST: Final = sql(
    "SELECT text FROM memories WHERE tenant = :tenant AND subject = :subject ORDER BY id DESC LIMIT :most"
)

Vector = Sequence[float]

log = structlog.get_logger()


class Embedder(Protocol):
    """A model that turns texts into vectors of one length; nearer in cosine distance means nearer in meaning."""

    name: str

    async def embed(self, texts: Sequence[str]) -> Sequence[Vector]:
        """A vector for each text; raises ``Unavailable``, or ``Refused(MODEL_REFUSED)``."""
        ...


class PostgresMemory:
    """Makes its table at first use, where it is not there; the role needs the right to, and to create the extension.

    Without an ``embedder``, or while it does not answer, memories are found by their words.
    """

    def __init__(self, url: str, embedder: Embedder | None = None) -> None:
        self._database = Database(url, "the memory store")
        self._embedder = embedder
        self._ready = False

    async def add(self, key: str, *, tenant: str, subject: str, text: str) -> bool:
        return await self._database.arun(self._add, key, tenant, subject, text.replace("\x00", ""))

    async def search(self, *, tenant: str, subject: str, words: str, most: int) -> Sequence[str]:
        words = words.replace("\x00", "")
        vector = await self._embedded(tenant, subject, words)
        return await self._database.arun(self._search, tenant, subject, words, vector, most)

    async def _embedded(self, tenant: str, subject: str, words: str) -> Vector | None:
        """The query's vector, and by the way those of this subject's texts that have none of this model."""
        embedder = self._embedder
        if embedder is None or not words.strip():
            return None
        missing = await self._database.arun(self._not_embedded, tenant, subject, embedder.name)
        try:
            first, *others = await embedder.embed([words, *(text for _, text in missing)])
        except Unavailable as error:
            log.warning("memory.words_only", tenant=tenant, reason=str(error))
            return None
        if others:
            vectors = {number: vector for (number, _), vector in zip(missing, others, strict=True)}
            await self._database.arun(self._keep, tenant, embedder.name, vectors)
        return first

    def _add(self, session: Session, key: str, tenant: str, subject: str, text: str) -> bool:
        self._begin(session, tenant)
        row = {"key": key, "tenant": tenant, "subject": subject, "text": text, "digest": _digest(text)}
        return bool(session.execute(ADD, row).rowcount)  # type: ignore[attr-defined]

    def _not_embedded(self, session: Session, tenant: str, subject: str, model: str) -> list[tuple[int, str]]:
        self._begin(session, tenant)
        wanted = {"tenant": tenant, "subject": subject, "model": model, "most": EMBEDDED_AT_ONCE}
        return [(number, text) for number, text in session.execute(NOT_EMBEDDED, wanted)]

    def _keep(self, session: Session, tenant: str, model: str, vectors: dict[int, Vector]) -> None:
        self._begin(session, tenant)
        rows = [{"id": i, "model": model, "embedding": _as_text(vector)} for i, vector in sorted(vectors.items())]
        session.execute(EMBED, rows)

    def _search(
        self, session: Session, tenant: str, subject: str, words: str, vector: Vector | None, most: int
    ) -> list[str]:
        self._begin(session, tenant)
        mine: dict[str, Any] = {"tenant": tenant, "subject": subject, "most": most}
        ranking = {
            "words": any_word_of(words),
            "model": self._embedder.name if self._embedder and vector else None,
            "embedding": _as_text(vector) if vector else None,
            "fusion": FUSION,
            "ranked": RANKED,
        }
        found = list(session.scalars(BEST, mine | ranking)) or list(session.scalars(NEWEST, mine))
        return [str(text) for text in found]

    def _begin(self, session: Session, tenant: str) -> None:
        if not self._ready:
            self._ready = _was_ready(session)
        session.execute(sql("SELECT set_config('tandem.tenant', :tenant, true)"), {"tenant": tenant})

    def close(self) -> None:
        self._database.close()


def _was_ready(session: Session) -> bool:
    """Whether the table was there; else it is made in this transaction, however many workers begin at once."""
    there = sql("SELECT 1 FROM pg_tables WHERE tablename = 'memories' AND schemaname = ANY (current_schemas(false))")
    if session.scalar(there):
        return True
    session.execute(sql("SELECT pg_advisory_xact_lock(:lock)"), {"lock": SCHEMA_LOCK})
    if session.scalar(there):
        return True
    try:
        for statement in SCHEMA:
            session.execute(sql(statement))
    except ProgrammingError as error:
        problem = (
            f"the memory store could not be set up: {error.orig}. Install pgvector and let a superuser run "
            "CREATE EXTENSION vector; the role of TANDEM_MEMORY_URL needs CREATE on its schema the first time"
        )
        raise Refused(Code.BAD_CONNECTION, problem, owner=Owner.PLATFORM) from error
    return False


def _digest(text: str) -> bytes:
    """Stands for the text where it would be too long for an index."""
    return hashlib.sha256(text.encode()).digest()


def _as_text(vector: Vector) -> str:
    return "[" + ",".join(repr(float(value)) for value in vector) + "]"
