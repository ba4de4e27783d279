"""What limits leave to an agent that another sends out."""

import pytest

from agent_workflows.agents.caps import left
from bridge.contracts.agents import Limits, Usage
from bridge.contracts.failures import Code, Refused

USED = Usage(turns=3, input_tokens=60, output_tokens=40, cost_microdollars=900)


def test_what_is_left_is_the_limit_without_what_was_used_and_time_is_each_runs_own() -> None:
    limits = Limits(turns=10, tokens=150, seconds=60, cost_microdollars=1000)

    assert left(limits, USED) == Limits(turns=7, tokens=50, seconds=60, cost_microdollars=100)
    assert left(Limits(), USED) == Limits()


@pytest.mark.parametrize("limits", [Limits(turns=3), Limits(tokens=100), Limits(cost_microdollars=900)])
def test_nothing_left_sends_nobody_out(limits: Limits) -> None:
    with pytest.raises(Refused, match="nothing is left of the limit") as refused:
        left(limits, USED)

    assert refused.value.code is Code.CAP_REACHED
