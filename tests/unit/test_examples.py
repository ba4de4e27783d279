"""What the documents tell users to type can be typed."""

import json

import pytest

from bridge.contracts.catalog import AGENTS, find_agent
from bridge.contracts.catalog.research_roles import AGENT_WORKFLOW
from tests.examples import Example, examples


@pytest.mark.parametrize("example", sorted(examples(), key=str), ids=lambda example: example.agent)
def test_an_example_names_an_agent_and_gives_it_a_valid_request(example: Example) -> None:
    assert find_agent(example.agent).validate_input(json.loads(example.input)) is not None
    assert example.tenant


def test_every_agent_that_people_start_has_an_example() -> None:
    parts = {spec.name for spec in AGENTS.values() if spec.workflow == AGENT_WORKFLOW}

    assert {example.agent for example in examples()} == set(AGENTS) - parts
