"""An agent written with pydantic-ai, as its author would write it anywhere: it knows nothing of this runtime.

Asked about an airport, it looks up how late its flights are and posts a notice to passengers, which a person approves.
"""

from typing import Final

from pydantic_ai import Agent, DeferredToolRequests, RunContext

from bridge.contracts.catalog.gate_notice import GateNotice

USUAL_MINUTES: Final = {"EWR": 19, "JFK": 12, "LGA": 14}
"""Example figures: minutes that departures are late on a usual evening."""

gate_notice: Final = Agent(
    deps_type=str,
    output_type=[GateNotice, DeferredToolRequests],
    instructions="Look up how late the airport's flights usually are, then post a short notice and report it.",
    name="gate_notice",
)


@gate_notice.tool
def usual_delay(ctx: RunContext[str], airport: str) -> dict[str, object]:
    """Minutes that flights of an airport are usually late."""
    return {"airline": ctx.deps, "airport": airport, "minutes": USUAL_MINUTES.get(airport)}


@gate_notice.tool_plain(requires_approval=True)
def post_notice(text: str) -> str:
    """Post a notice where passengers see it."""
    return f"posted: {text}"
