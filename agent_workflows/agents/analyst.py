"""The offline analyst: rules that play the model's part in ``investigate_delays``. Not a language model.

Pure: figures in, a finding out. Judges shares of flights by fixed thresholds and a two-proportion z-test, so
that a carrier with three flights is never called disrupted by chance.
"""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Final

from bridge.contracts.catalog.investigate_delays import Cause, Evidence, Finding, Severity

DISRUPTED: Final = 0.15
"""Share of flights cancelled or more than 30 minutes late from which a day counts as disrupted."""
EXCESS: Final = 1.8
"""How many times worse than the others a carrier must be for the cause to be its own."""
SIGNIFICANT: Final = 2.6
"""z-score beyond which a difference between carrier and market is not chance (about one in a hundred)."""
WIDESPREAD: Final = 0.25
"""Share hit among the other carriers from which, in bad weather, being hit harder is not a cause of its own."""
BAD_WEATHER_HOURS: Final = 4
"""Hours of bad weather at one airport from which weather explains a disruption."""


@dataclass(frozen=True, slots=True)
class Rates:
    flights: int
    cancelled: int
    late: int

    @property
    def hit(self) -> float:
        """Share of flights cancelled or more than 30 minutes late."""
        return (self.cancelled + self.late) / self.flights if self.flights else 0.0

    @property
    def cancelled_share(self) -> float:
        return self.cancelled / self.flights if self.flights else 0.0


@dataclass(frozen=True, slots=True)
class Figures:
    tenant: Rates
    market: Rates
    bad_hours: Mapping[str, int]
    history: Rates
    airports: Mapping[str, tuple[Rates, Rates]]
    """Airport → the carrier's rates and the others' rates there."""


def conclude(figures: Figures) -> Finding:
    cause = _cause(figures)
    severity = _severity(figures.tenant) if cause is not Cause.NONE else Severity.NONE
    return Finding(cause=cause, severity=severity, summary=_summary(cause, figures), evidence=tuple(_evidence(figures)))


def _cause(figures: Figures) -> Cause:
    tenant, market = figures.tenant, figures.market
    if not _is_disrupted(tenant, figures.history):
        return Cause.NONE
    stormy = max(figures.bad_hours.values(), default=0) >= BAD_WEATHER_HOURS
    expected = _expected(figures)
    all_suffer = stormy and expected >= WIDESPREAD
    if not all_suffer and tenant.hit > EXCESS * expected and z_score(tenant, market) > SIGNIFICANT:
        return Cause.CARRIER
    if stormy:
        return Cause.WEATHER
    return Cause.AIRPORT if market.hit >= DISRUPTED else Cause.CARRIER


def _is_disrupted(tenant: Rates, history: Rates) -> bool:
    """Beyond the threshold, and not by the chance of few flights: the 99 % lower bound must clear the usual."""
    usual = history.hit if history.flights >= 100 else DISRUPTED / 2  # noqa: PLR2004
    spread = math.sqrt(max(usual * (1 - usual), 1e-4) / max(tenant.flights, 1))
    return tenant.hit >= DISRUPTED and tenant.hit > usual + 2.33 * spread


def _expected(figures: Figures) -> float:
    """The others' share at the airports this carrier uses, weighted by where it flies from."""
    pairs = [(own.flights, other.hit) for own, other in figures.airports.values() if other.flights]
    flights = sum(count for count, _ in pairs)
    return sum(count * hit for count, hit in pairs) / flights if flights else figures.market.hit


def z_score(tenant: Rates, market: Rates) -> float:
    """Two-proportion z-score of the carrier's hit share against the others'. Zero where there is no market."""
    total = tenant.flights + market.flights
    if not tenant.flights or not market.flights:
        return 0.0
    pooled = (tenant.hit * tenant.flights + market.hit * market.flights) / total
    variance = pooled * (1 - pooled) * (1 / tenant.flights + 1 / market.flights)
    return (tenant.hit - market.hit) / math.sqrt(variance) if variance else 0.0


def _severity(tenant: Rates) -> Severity:
    if tenant.cancelled_share >= 0.30 or tenant.hit >= 0.50:  # noqa: PLR2004
        return Severity.SEVERE
    if tenant.cancelled_share >= 0.10 or tenant.hit >= 0.30:  # noqa: PLR2004
        return Severity.MAJOR
    return Severity.MINOR


def _summary(cause: Cause, figures: Figures) -> str:
    tenant, market = figures.tenant, figures.market
    told = (
        f"{tenant.cancelled} of {tenant.flights} departures cancelled and {tenant.late} more than 30 minutes "
        f"late ({tenant.hit:.0%} hit); other carriers {market.hit:.0%}. "
    )
    bad = max(figures.bad_hours.values(), default=0)
    match cause:
        case Cause.CARRIER:
            return told + "The others flew nearly as usual from the same airports: the cause is the carrier's own."
        case Cause.WEATHER:
            return told + f"The others were hit too, in up to {bad} hours of bad weather at one airport."
        case Cause.AIRPORT:
            return told + "The others were hit too, and the weather does not explain it."
        case Cause.NONE:
            return told + "Nothing out of the ordinary, or too few flights to tell."


def _evidence(figures: Figures) -> list[Evidence]:
    tenant, market = figures.tenant, figures.market
    shares = [
        ("share of departures cancelled", tenant.cancelled_share, market.cancelled_share),
        ("share cancelled or over 30 minutes late", tenant.hit, market.hit),
    ]
    evidence = [
        Evidence(
            figure=name,
            value=round(own, 4),
            compared_with=round(other, 4),
            unit="share",
            source="market_rates",
        )
        for name, own, other in shares
    ]
    evidence.append(
        Evidence(
            figure="difference to the other carriers",
            value=round(z_score(tenant, market), 2),
            unit="z",
            source="rules",
        )
    )
    if figures.history.flights:
        evidence.append(
            Evidence(
                figure="share hit on earlier days",
                value=round(figures.history.hit, 4),
                unit="share",
                source="tenant_history",
            )
        )
    for airport, hours in sorted(figures.bad_hours.items()):
        evidence.append(
            Evidence(figure=f"hours of bad weather at {airport}", value=hours, unit="hours", source="weather")
        )
    for airport, (own, other) in sorted(figures.airports.items()):
        evidence.append(
            Evidence(
                figure=f"share hit at {airport}",
                value=round(own.hit, 4),
                compared_with=round(other.hit, 4),
                unit="share",
                source="tenant_rates",
            )
        )
    return evidence


def rates(row: Mapping[str, Any]) -> Rates:
    return Rates(int(row["flights"]), int(row["cancelled"]), int(row["late"]))
