"""Caps of a run: the agent's own, lowered by its tenant's limits. Pure."""

import datetime as dt
from dataclasses import replace

from agent_workflows.agents.definition import Caps
from bridge.contracts.agents import Limits, Usage
from bridge.contracts.failures import Code, Refused


def lowered(caps: Caps, limits: Limits) -> Caps:
    """The lower of each pair."""
    return replace(
        caps,
        turns=min(caps.turns, limits.turns or caps.turns),
        tokens=min(caps.tokens, limits.tokens or caps.tokens),
        wall_time=min(caps.wall_time, dt.timedelta(seconds=limits.seconds) if limits.seconds else caps.wall_time),
        cost_microdollars=min(caps.cost_microdollars, limits.cost_microdollars or caps.cost_microdollars),
    )


def left(limits: Limits, usage: Usage) -> Limits:
    """What a run's limits leave to an agent that it sends out; raises ``Refused(CAP_REACHED)`` where that is nothing.

    Agents sent out together each get all of it, so together they may overshoot. Time is each run's own.
    """
    given = {
        "turns": (limits.turns, usage.turns),
        "tokens": (limits.tokens, usage.input_tokens + usage.output_tokens),
        "cost_microdollars": (limits.cost_microdollars, usage.cost_microdollars),
    }
    for name, (limit, used) in given.items():
        if limit is not None and used >= limit:
            raise Refused(Code.CAP_REACHED, f"nothing is left of the limit of {limit} {name}; no agent is sent out")
    remaining = {name: limit - used for name, (limit, used) in given.items() if limit is not None}
    return limits.model_copy(update=remaining)


def reached(caps: Caps, usage: Usage, took: dt.timedelta) -> str | None:
    """Which cap a run is at, in words, or None. Asked before each model call, so one call may overshoot it."""
    if usage.turns >= caps.turns:
        return f"{caps.turns} turns"
    if usage.input_tokens + usage.output_tokens >= caps.tokens:
        return f"{caps.tokens} tokens"
    if usage.cost_microdollars >= caps.cost_microdollars:
        return f"{caps.cost_microdollars / 1_000_000:.6f}".rstrip("0").rstrip(".") + " US dollars"
    if took >= caps.wall_time:
        return f"{caps.wall_time} of wall time"
    return None
