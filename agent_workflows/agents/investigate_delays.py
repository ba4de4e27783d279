"""The agent that asks why a carrier's departures of one day were late or cancelled."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

from agent_workflows.agents.definition import Agent, Tool
from bridge.contracts.catalog.investigate_delays import INVESTIGATE_DELAYS


class Arguments(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid")


class TenantRates(Arguments):
    by: Literal["day", "hour", "airport", "destination"] = Field(
        default="day", description="Group the tenant's departures of the day by this"
    )


class MarketRates(Arguments):
    by: Literal["day", "hour", "airport"] = Field(
        default="day", description="Group all other carriers' departures of the day by this"
    )


class Weather(Arguments):
    by: Literal["day", "airport"] = Field(default="airport", description="Summarise the day's weather by this")


class TenantHistory(Arguments):
    days: int = Field(default=28, ge=1, le=366, description="How many earlier days to look back")


TENANT_RATES: Final = Tool(
    "tenant_rates",
    "Departures, cancellations and delays over 30 minutes of this carrier on the day, from the pinned snapshot.",
    TenantRates,
)
MARKET_RATES: Final = Tool(
    "market_rates", "The same rates for all other carriers together, this carrier taken out.", MarketRates
)
WEATHER: Final = Tool(
    "weather", "Hours with snow, rain, low visibility or strong wind at the departure airports.", Weather
)
TENANT_HISTORY: Final = Tool(
    "tenant_history", "The carrier's rates on earlier days in the pinned snapshot.", TenantHistory
)

INSTRUCTIONS: Final = """\
You investigate one carrier's departures from New York (EWR, JFK, LGA) on one day. Find out whether the day was
disrupted and, if so, by what:
- carrier-specific: this carrier is much worse than the other carriers at the same airports;
- weather: the other carriers suffer too, and the weather at the airports was bad;
- airport: the other carriers suffer too, and the weather does not explain it;
- none: the day was ordinary for this carrier.
Call the tools before you conclude; several calls at once are welcome. Every claim needs a figure from a tool.
A carrier with very few flights proves little: say so. Give severity none, minor, major or severe by the share
of flights cancelled or more than 30 minutes late. Finish by calling final_result."""

AGENT: Final = Agent(
    spec=INVESTIGATE_DELAYS,
    instructions=INSTRUCTIONS,
    tools=(TENANT_RATES, MARKET_RATES, WEATHER, TENANT_HISTORY),
)
