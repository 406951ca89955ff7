"""Judged rows and counters made by hand."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Final

from tests.logs.lines import A, line, row

from keepalign.logs.objects import Kind, Scanned
from keepalign.model.diagnosis import Bin, Minutes
from keepalign.model.finding import Confidence
from keepalign.model.observation import Candidate, Judged
from keepalign.units import Instant

ELB: Final = "app/lb/50dc6c495c0c9188"
MINUTE_US: Final = 60_000_000
_ROW: Final = row(line("0.001 0.000 -1 502 -"))


def judged(
    cause: str = "backend-keepalive-below-lb-idle",
    *,
    minute: int = 0,
    number: int = 0,
    target: str | None = A,
    path: str = "/orders",
    confidence: Confidence = Confidence.HIGH,
    evidence: tuple[str, ...] = ("one",),
    candidates: tuple[Candidate, ...] = (),
) -> Judged:
    """One row; `number` tells those of one minute apart."""
    made = replace(
        _ROW,
        time=Instant(minute * MINUTE_US + number),
        line=number + 1,
        client_port=number % 60_000,
        target=target,
        request=f"GET http://example.com:80{path} HTTP/1.1",
    )
    return Judged(made, cause, confidence, evidence, candidates)


def scanned(
    counts: dict[tuple[int, str], tuple[int, int]], *, name: str = "a.log.gz", elb: str = ELB
) -> Scanned:
    """An object. Args: counts: by minute and target: answers, and 502s of the balancer."""
    made = Scanned(name, Kind.ALB, size=100)
    for (minute, target), (fine, failed) in counts.items():
        for number, status, own in ((fine, "200", "200"), (failed, "502", "-")):
            if number:
                made.counts[elb, minute, target, status, own] = number
        made.fine += fine
        made.errors += failed
    made.lines = made.fine + made.errors
    return made


def minutes(numbers: Iterable[tuple[int, int]], width: int = 1) -> Minutes:
    """From (minute, number), in any order."""
    return Minutes(width, tuple(Bin(*pair) for pair in sorted(numbers)))
