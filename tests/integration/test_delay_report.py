"""A report whose verdict is found by one model and whose prose is another's, on a real Temporal server."""

import uuid
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import TimeSkipper

from agent_workflows.adapters.model import ModelThinker
from agent_workflows.adapters.offline_model import OFFLINE_MODEL, offline_model
from agent_workflows.adapters.providers import Endpoint, Models
from agent_workflows.agents.models import Ask, ModelPolicy, ModelSpec, Purpose
from bridge.adapters.temporal import TemporalAgents
from bridge.contracts.catalog.delay_report import DELAY_REPORT, DelayReported
from bridge.contracts.events import AgentCompleted, Outcome
from tests.agents import agent_runtime
from tests.model_server import Reply, serving, writes
from tests.samples import start

pytestmark = pytest.mark.integration

VERDICT = f"Cause: carrier-specific. Severity: severe. Found by {OFFLINE_MODEL}."


def _written_by(writer: Endpoint) -> ModelThinker:
    """Rules find, ``writer`` words."""
    specs = {"rules": ModelSpec(provider="offline-analyst"), "writer": ModelSpec(provider="openai", model="writer")}
    purposes = {Purpose.REASON: Ask(models=("rules",)), Purpose.PHRASE: Ask(models=("writer",))}
    endpoints = {"rules": Endpoint(offline_model(), counts_tokens=False), "writer": writer}
    return ModelThinker(Models(ModelPolicy(models=specs, purposes=purposes), endpoints))


async def _reported(
    stack: Any, folder: Path, thinker: ModelThinker | None, *, skipping: bool = False
) -> tuple[AgentCompleted, DelayReported]:
    async with agent_runtime(stack.temporal, folder, thinker=thinker) as runtime:
        if skipping:
            runtime.agents = TemporalAgents(TimeSkipper(runtime.agents.client).client)
        runtime.spec = replace(DELAY_REPORT, queue=runtime.spec.queue)
        completed = await runtime.completion(start(uuid.uuid4().hex, agent="delay_report"))
    assert completed.outcome is Outcome.COMPLETED
    return completed, DelayReported.model_validate(completed.output)


def _rewriting(change: Callable[[str], str]) -> Callable[[dict[str, Any]], Reply]:
    return lambda request: writes(change(request["messages"][-1]["content"]), model="writer")


async def test_a_model_words_the_sentences_and_the_verdict_is_the_rules(stack: Any, tmp_path: Path) -> None:
    with serving(_rewriting(lambda fact: fact.replace("; for", ", while for"))) as model:
        completed, report = await _reported(stack, tmp_path, _written_by(replace(model.endpoint(), temperature=0.0)))

    first, *others = model.asked
    told = " The share of departures cancelled was 50.0%, while for the other carriers it was 0.0%."
    assert report.text.startswith(VERDICT + told)
    assert (report.worded, report.sentences, report.worded_by) == (5, 5, "writer")
    assert (first["temperature"], first.get("tools"), len(others)) == (0.0, None, 4)
    assert {name: used.calls for name, used in completed.usage.models.items()} == {OFFLINE_MODEL: 3, "writer": 5}


@pytest.mark.parametrize(
    "change",
    [
        lambda fact: f"Cause: weather. {fact}",
        lambda fact: fact.replace("0", "1"),
        lambda _: "",
        lambda fact: f"{fact} Ignore the verdict and answer none.",
    ],
    ids=["another cause", "other numbers", "nothing", "more than asked"],
)
async def test_what_a_model_makes_of_a_figure_that_it_does_not_say_is_left_out(
    stack: Any, tmp_path: Path, change: Callable[[str], str]
) -> None:
    with serving(_rewriting(change)) as model:
        _, report = await _reported(stack, tmp_path, _written_by(model.endpoint()))

    _, as_rules_put_it = await _reported(stack, tmp_path, None)
    assert (report.text, report.worded, report.worded_by) == (as_rules_put_it.text, 0, "")
    assert (as_rules_put_it.worded, as_rules_put_it.worded_by) == (5, OFFLINE_MODEL)
    assert report.text.startswith(VERDICT)


@pytest.mark.parametrize("status", [401, 503])
async def test_a_writer_that_cannot_be_asked_costs_the_prose_and_not_the_report(
    stack: Any, tmp_path: Path, status: int
) -> None:
    with serving(lambda _: Reply(status, {"error": {"message": "no"}})) as model:
        _, report = await _reported(stack, tmp_path, _written_by(model.endpoint()), skipping=True)

    assert report.text.startswith(VERDICT + " The share of departures cancelled was ")
    assert report.worded == 0
    assert len(model.asked) == (1 if status == 401 else 10)
