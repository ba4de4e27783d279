"""Which model answers what, and what it costs; caps and what lowers them."""

import datetime as dt
from pathlib import Path

import pytest

from agent_workflows.agents.caps import lowered, reached
from agent_workflows.agents.definition import Caps
from agent_workflows.agents.models import Price, Purpose
from agent_workflows.settings import WorkerSettings
from bridge.contracts.agents import Limits, Usage
from bridge.contracts.failures import Code, Refused

EXAMPLE = Path(__file__).parents[2] / "infra" / "models.example.yaml"


def test_the_example_of_a_models_file_is_valid_and_a_purpose_without_models_is_reasoned() -> None:
    policy = WorkerSettings(models_file=EXAMPLE).model_policy()

    assert policy.ask(Purpose.EXTRACT).race
    assert policy.ask(Purpose.REASON).models == ("large", "small")
    assert policy.ask(Purpose.WRITE) == policy.ask(Purpose.REASON)


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("models: {a: {provider: openai}}\npurposes: {reason: {models: [a]}}", "needs its name"),
        ("models: {a: {provider: openai, model: m}}\npurposes: {reason: {models: [b]}}", "not among models: a"),
        ("models: {a: {provider: openai, model: m}}\npurposes: {classify: {models: [a]}}", "reason is needed"),
        (
            "models: {a: {provider: anthropic, model: m}}\npurposes: {reason: {models: [a]}}\nembedding: a",
            "embedding: 'a' is no model",
        ),
        ("models: [", "could not be read"),
    ],
    ids=["unnamed", "unknown", "no reason", "no embedder", "no YAML"],
)
def test_a_wrong_models_file_is_refused_and_says_why(tmp_path: Path, text: str, said: str) -> None:
    file = tmp_path / "models.yaml"
    file.write_text(text)

    with pytest.raises(Refused, match=said) as refused:
        WorkerSettings(models_file=file).model_policy()

    assert refused.value.code is Code.BAD_CONNECTION


def test_a_key_that_is_named_and_not_set_is_refused() -> None:
    settings = WorkerSettings(models_file=EXAMPLE)
    spec = settings.model_policy().models["small"]

    with pytest.raises(Refused, match="takes its key from SMALL_MODEL_KEY, which is not set"):
        settings.api_key(spec)


def test_a_price_for_a_million_tokens_is_millionths_of_a_dollar_a_token() -> None:
    assert Price(input=0.5, output=2).microdollars(1000, 10) == 520


def test_limits_lower_caps_and_never_raise_them() -> None:
    caps = Caps(turns=10, tokens=1000, wall_time=dt.timedelta(minutes=5), cost_microdollars=100)

    assert lowered(caps, Limits()) == caps
    assert lowered(caps, Limits(turns=3, tokens=5000, seconds=60)) == Caps(
        turns=3, tokens=1000, wall_time=dt.timedelta(minutes=1), cost_microdollars=100
    )


@pytest.mark.parametrize(
    ("usage", "seconds", "said"),
    [
        (Usage(turns=9, input_tokens=500, output_tokens=499, cost_microdollars=99), 299, None),
        (Usage(turns=10), 0, "10 turns"),
        (Usage(input_tokens=500, output_tokens=500), 0, "1000 tokens"),
        (Usage(cost_microdollars=2_500_000), 0, "2 US dollars"),
        (Usage(), 300, "0:05:00 of wall time"),
    ],
)
def test_the_cap_that_is_reached_is_named(usage: Usage, seconds: int, said: str | None) -> None:
    caps = Caps(turns=10, tokens=1000, wall_time=dt.timedelta(minutes=5), cost_microdollars=2_000_000)

    assert reached(caps, usage, dt.timedelta(seconds=seconds)) == said
