"""Long-term memory's promises, on SQLite and on PostgreSQL with pgvector."""

import asyncio
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest
from sqlalchemy import make_url, text

from agent_workflows.adapters.postgres_memory import EMBEDDED_AT_ONCE, PostgresMemory
from agent_workflows.adapters.providers import Embeddings
from agent_workflows.adapters.sqlite_memory import SqliteMemory
from agent_workflows.agents.models import ModelSpec
from agent_workflows.ports import Memory
from bridge.adapters.database import Database
from bridge.contracts.failures import Code, Refused, Unavailable
from tests.model_server import ModelServer, Reply, embeds, serving
from tests.postgres import postgres_database

SEATS, FOOD = ("seat", "aisle", "window", "row"), ("tea", "coffee", "vegetarian", "meal")


def _meaning(said: str) -> list[float]:
    """A vector with a direction for each of two subjects, and one for neither."""
    words = said.lower().split()
    return [1.0 * any(w in SEATS for w in words), 1.0 * any(w in FOOD for w in words), 0.1]


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    yield from postgres_database(tmp_path_factory.mktemp("postgres"))


@dataclass
class App:
    """An empty database of its own, and a role that may make tables in it and is no superuser."""

    admin: Database
    url: str

    def count(self, condition: str) -> int:
        with self.admin.engine.connect() as connection:
            return int(connection.execute(text(f"SELECT count(*) FROM memories WHERE {condition}")).scalar_one())


@pytest.fixture
def app(server: Database, request: pytest.FixtureRequest) -> Iterator[App]:
    name = f"app{abs(hash(request.node.name))}"
    with server.engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        connection.execute(text(f"CREATE ROLE {name} LOGIN PASSWORD 'secret'"))
        connection.execute(text(f"CREATE DATABASE {name}"))
    admin = Database(make_url(server.url).set(database=name).render_as_string(hide_password=False))
    with admin.engine.begin() as connection:
        connection.execute(text(f"GRANT CREATE ON SCHEMA public TO {name}"))
        if request.node.get_closest_marker("no_extension") is None:
            connection.execute(text("CREATE EXTENSION vector"))
    url = make_url(admin.url).set(username=name, password="secret").render_as_string(hide_password=False)
    yield App(admin, url)
    admin.close()


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.integration)])
async def memory(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Memory]:
    if request.param == "sqlite":
        made: SqliteMemory | PostgresMemory = SqliteMemory(tmp_path / "memory.db")
    else:
        made = PostgresMemory(request.getfixturevalue("app").url)
    yield made
    made.close()


async def _remember(memory: Memory, *texts: str, tenant: str = "AA", subject: str = "ann") -> None:
    for number, one in enumerate(texts):
        assert await memory.add(f"{tenant}/{subject}/{number}", tenant=tenant, subject=subject, text=one)


async def test_memory_finds_by_words_forgets_nobody_and_keeps_a_text_once(memory: Memory) -> None:
    await _remember(memory, "likes tea", "lives in Rome", "likes the window seat")
    await _remember(memory, "likes coffee", tenant="UA")
    await _remember(memory, "likes milk", subject="bob")

    again = [
        await memory.add("AA/ann/0", tenant="AA", subject="ann", text="changed"),
        await memory.add("another", tenant="AA", subject="ann", text="likes tea"),
    ]
    found = await memory.search(tenant="AA", subject="ann", words='seat "OR* likes', most=5)
    nothing = await memory.search(tenant="AA", subject="ann", words="???", most=2)

    assert again == [False, False]
    assert found == ["likes the window seat", "likes tea"]
    assert nothing == ["likes the window seat", "lives in Rome"]


async def test_any_text_can_be_remembered_and_looked_for(memory: Memory) -> None:
    odd = ["a\x00b", "🛫" * 2000, "'; DROP TABLE memories; --", "not or and & | ! ( : *", "x" * 2000]
    await _remember(memory, *odd)

    for one in odd:
        assert await memory.search(tenant="AA", subject="ann", words=one, most=9)
    assert len(await memory.search(tenant="AA", subject="ann", words="", most=9)) == len(odd)


async def test_one_call_that_is_made_many_times_at_once_is_remembered_once(memory: Memory) -> None:
    made = await asyncio.gather(
        *(memory.add("the call", tenant="AA", subject="ann", text="likes tea") for _ in range(12))
    )

    assert sorted(made) == [False] * 11 + [True]


def _embedder(model: ModelServer, name: str = "embedder") -> Embeddings:
    return Embeddings(ModelSpec(provider="openai", model=name, base_url=model.url, seconds=5), None)


@pytest.fixture
def model() -> Iterator[ModelServer]:
    with serving(lambda request: embeds(request, _meaning)) as server:
        yield server


@pytest.mark.integration
async def test_memory_finds_by_meaning_and_embeds_a_text_once(app: App, model: ModelServer) -> None:
    memory = PostgresMemory(app.url, _embedder(model))
    await _remember(memory, "books the aisle", "is vegetarian", "drinks tea")

    seat = await memory.search(tenant="AA", subject="ann", words="which row", most=1)
    both = await memory.search(tenant="AA", subject="ann", words="meal with tea", most=2)
    memory.close()

    assert seat == ["books the aisle"]
    assert both == ["drinks tea", "is vegetarian"]  # by words and by meaning, then by meaning
    assert [len(request["input"]) for request in model.asked] == [4, 1]


@pytest.mark.integration
async def test_while_the_embedding_model_is_away_words_find_and_later_meaning(app: App, model: ModelServer) -> None:
    answers, model.answer = model.answer, lambda _: Reply(503)
    memory = PostgresMemory(app.url, _embedder(model))
    await _remember(memory, "books the aisle", "drinks tea")

    by_words = await memory.search(tenant="AA", subject="ann", words="tea", most=1)
    neither = await memory.search(tenant="AA", subject="ann", words="which row", most=1)
    model.answer = answers
    by_meaning = await memory.search(tenant="AA", subject="ann", words="which row", most=1)
    memory.close()

    assert (by_words, neither, by_meaning) == (["drinks tea"], ["drinks tea"], ["books the aisle"])


@pytest.mark.integration
async def test_another_embedding_model_makes_up_for_what_the_one_before_embedded(app: App, model: ModelServer) -> None:
    before, after = PostgresMemory(app.url, _embedder(model, "small")), PostgresMemory(app.url, _embedder(model, "big"))
    many = EMBEDDED_AT_ONCE + 10
    await _remember(before, "books the aisle", *(f"fact {n}" for n in range(many)))
    for _ in range(2):
        await before.search(tenant="AA", subject="ann", words="which row", most=1)
    assert app.count("model = 'small'") == many + 1

    model.answer = lambda request: embeds(request, lambda said: [*_meaning(said), 0.0, 0.0])
    for _ in range(2):
        found = await after.search(tenant="AA", subject="ann", words="which row", most=1)
    before.close()
    after.close()

    assert found == ["books the aisle"]
    assert app.count("model = 'big'") == many + 1


@pytest.mark.integration
async def test_vectors_of_another_length_under_the_same_name_are_passed_over(app: App, model: ModelServer) -> None:
    memory = PostgresMemory(app.url, _embedder(model))
    await _remember(memory, "books the aisle")
    await memory.search(tenant="AA", subject="ann", words="which row", most=1)
    await memory.add("later", tenant="AA", subject="ann", text="drinks tea")

    model.answer = lambda request: embeds(request, lambda said: _meaning(said)[:2])
    found = await memory.search(tenant="AA", subject="ann", words="meal", most=9)
    memory.close()

    assert found == ["drinks tea"]


@pytest.mark.integration
@pytest.mark.parametrize(
    "answer",
    [
        Reply(200, {"object": "list", "model": "m", "data": [], "usage": {"prompt_tokens": 1, "total_tokens": 1}}),
        Reply(200, {"what": "is this"}),
        Reply(200, embeds({"model": "m", "input": ["a", "b"]}, lambda said: [1.0] * (1 + (said == "a"))).body),
        Reply(200, embeds({"model": "m", "input": ["a", "b"]}, lambda _: [float("nan")]).body),
        Reply(200, embeds({"model": "m", "input": ["a", "b"]}, lambda _: []).body),
    ],
    ids=["too few", "wrong schema", "lengths", "not a number", "empty"],
)
async def test_what_is_no_vector_is_not_stored_and_words_find(app: App, model: ModelServer, answer: Reply) -> None:
    model.answer = lambda _: answer
    memory = PostgresMemory(app.url, _embedder(model))
    await _remember(memory, "drinks tea")

    found = await memory.search(tenant="AA", subject="ann", words="tea", most=1)
    memory.close()

    assert found == ["drinks tea"]
    assert app.count("embedding IS NOT NULL") == 0


@pytest.mark.integration
async def test_an_embedding_endpoint_that_refuses_us_is_a_failure_to_be_seen(app: App, model: ModelServer) -> None:
    model.answer = lambda _: Reply(401, {"error": {"message": "wrong key"}})
    memory = PostgresMemory(app.url, _embedder(model))

    with pytest.raises(Refused) as refused:
        await memory.search(tenant="AA", subject="ann", words="tea", most=1)
    memory.close()

    assert refused.value.code is Code.MODEL_REFUSED


@pytest.mark.integration
async def test_a_transaction_sees_no_other_tenants_rows_whatever_it_asks_for(app: App) -> None:
    memory = PostgresMemory(app.url)
    await _remember(memory, "likes tea")
    await _remember(memory, "likes coffee", tenant="UA")
    memory.close()

    direct = Database(app.url)
    with direct.engine.begin() as connection:
        unset = list(connection.execute(text("SELECT text FROM memories")))
        connection.execute(text("SET LOCAL tandem.tenant = 'UA'"))
        own = [one for (one,) in connection.execute(text("SELECT text FROM memories"))]
        touched = connection.execute(text("UPDATE memories SET text = 'x' WHERE tenant = 'AA'")).rowcount
    direct.close()

    assert (unset, own, touched) == ([], ["likes coffee"], 0)


@pytest.mark.integration
async def test_workers_that_begin_together_on_an_empty_database_all_work(app: App) -> None:
    workers = [PostgresMemory(app.url) for _ in range(6)]

    made = await asyncio.gather(
        *(one.add(f"k{n}", tenant="AA", subject="ann", text=f"fact {n}") for n, one in enumerate(workers))
    )
    for one in workers:
        one.close()

    assert made == [True] * 6


@pytest.mark.integration
@pytest.mark.no_extension
async def test_a_database_without_pgvector_is_refused_and_told_what_to_do(app: App) -> None:
    memory = PostgresMemory(app.url)

    with pytest.raises(Refused, match="CREATE EXTENSION vector"):
        await memory.add("k", tenant="AA", subject="ann", text="likes tea")
    memory.close()


async def test_a_memory_store_that_is_away_is_unavailable_and_keeps_its_password() -> None:
    memory = PostgresMemory("postgresql://me:secret@127.0.0.1:1/none")

    with pytest.raises(Unavailable, match="the memory store") as away:
        await memory.add("k", tenant="AA", subject="ann", text="likes tea")
    memory.close()

    assert "secret" not in str(away.value)
