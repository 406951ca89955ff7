"""What a proof came to: counts, bounds and a verdict per cause. The input of `reports.proof`."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from keepalign.units import Duration


def rough(length: Duration) -> str:
    """For people: "2.0 s", "104.2 ms"; whole seconds and milliseconds without a decimal: "9 s", "150 ms"."""
    if abs(length.us) >= 1_000_000:
        return str(length) if length.us % 1_000_000 == 0 else f"{length.us / 1_000_000:.1f} s"
    return f"{length.us // 1_000} ms" if length.us % 1_000 == 0 else f"{length.us / 1_000:.1f} ms"


class Verdict(StrEnum):
    """What the runs say of one predicted cause."""

    SEEN = "seen"
    """Errors of this cause before, none after."""
    HIDDEN = "hidden"
    """None before, as another cause ended its requests first; errors with this cause's edits taken back."""
    NOT_SHOWABLE = "not showable"
    """Too few requests can be exposed on this stack; `Row.why` says why."""
    EXPLAINED = "explained"
    """A rolling update cannot show this cause; `Row.why` says why, and what does."""
    NOT_SEEN = "not seen"
    """Enough requests were exposed and none failed: the prediction is wrong, and the proof fails."""
    NOT_CURED = "not cured"
    """Errors after the fix."""


@dataclass(frozen=True, slots=True)
class Count:
    """Exposed requests of one cause in one run, and those that failed by it."""

    exposed: int
    errors: int

    @property
    def bound(self) -> float | None:
        """Upper 95 % bound on the error share where none was seen: 3/exposed (the rule of three)."""
        return 3 / self.exposed if self.errors == 0 and self.exposed > 0 else None


@dataclass(frozen=True, slots=True)
class InLife:
    """What stale re-use comes to where times are not scaled.

    Args:
        share: of the requests that re-use a connection, at worst: at one request per pooled connection and
            keep-alive timeout.
        keep_alive: of the server; idle: of the balancer.
        latency: assumed of the balancer, from a packet to its pool.
    """

    share: float
    keep_alive: Duration
    idle: Duration
    round_trip: Duration
    latency: Duration


@dataclass(frozen=True, slots=True)
class Row:
    """One predicted cause.

    Args:
        predicted: the comparison that `check` made, in words.
        taken_back: the run with every edit but this cause's own, where there was one.
        why: of a verdict that needs a reason, in words.
        in_life: without scaling, where a rate depends on it.
    """

    cause: str
    predicted: str
    before: Count
    after: Count
    verdict: Verdict
    taken_back: Count | None = None
    why: str = ""
    in_life: InLife | None = None


@dataclass(frozen=True, slots=True)
class Other:
    """Failures of a cause that `check` did not predict, told by the mechanism that was seen."""

    cause: str
    example: str
    before: int
    after: int


@dataclass(frozen=True, slots=True)
class RunSummary:
    """One run in figures. `requests` were sent; `ok` of them ended as they should; `took` is wall time."""

    name: str
    requests: int
    ok: int
    took: Duration


@dataclass(frozen=True, slots=True)
class Proof:
    """The proof of one target.

    Args:
        factor: all times but the round trip were divided by it.
        rounded: values that a product's granularity moved, in words.
        kept: what was not scaled, what was measured, and what was assumed, in words.
        servers: "Apache httpd 2.4.71", "gunicorn 27.0.1": what ran.
        stand_ins: container and why its own application did not run.
        traffic: what was sent, in words.
        runs: "before" alone where `check` predicts no cause.
        rows: one per cause that `check` predicted.
        others: failures of other causes.
        faults: why the proof does not hold; empty when it does.
    """

    target: str
    seed: int
    factor: int
    rounded: tuple[str, ...]
    kept: tuple[str, ...]
    servers: tuple[str, ...]
    stand_ins: tuple[tuple[str, str], ...]
    traffic: tuple[str, ...]
    runs: tuple[RunSummary, ...]
    rows: tuple[Row, ...]
    others: tuple[Other, ...]
    faults: tuple[str, ...]

    @property
    def holds(self) -> bool:
        """Every predicted cause was shown, or why it cannot be shown; and none is left."""
        return not self.faults
