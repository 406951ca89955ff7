"""Lines for what our balancer cannot do, by documented signature: TLS to a target, Lambda targets.

Their author knew the signature, so they show that the judge reads it and nothing more: the scorer counts them
apart. Sources: ALB guide, "Troubleshoot" (502: TLS handshake error, or one that takes more than 10 s) and
"Access logs" (error_reason of Lambda functions).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from random import Random
from typing import Final

from keepalign.logs.alb import read_line, tokens
from keepalign.model.observation import LogRow
from keepalign.units import Duration, Instant

TLS: Final = "target-tls-failed"
LAMBDA: Final = "lambda-error"
_REASONS: Final = (
    ("LambdaUnhandled", 502),
    ("LambdaInvalidResponse", 502),
    ("LambdaResponseTooLarge", 502),
    ("LambdaThrottling", 502),
    ("LambdaConnectionTimeout", 504),
)


@dataclass(frozen=True, slots=True)
class Made:
    """One line."""

    at: Instant
    text: str
    root: str


def lines(cause: str, number: int, sample: Sequence[str], rng: Random) -> list[Made]:
    """`number` lines of a cause, made from lines of the log that went well."""
    make = _tls if cause == TLS else _lambda
    well = [line for line in sample if " 200 200 " in line]
    return [make(rng.choice(well), rng) for _ in range(number)]


def _tls(line: str, rng: Random) -> Made:
    took = rng.choice((0.004, 10.0)) + rng.random() * 0.004
    return _made(line, rng, took, ["-1", "-1", "-1", "502", "-"])


def _lambda(line: str, rng: Random) -> Made:
    reason, status = rng.choice(_REASONS)
    took = rng.uniform(0.05, 3)
    return _made(line, rng, took, ["0.000", f"{took:.3f}", "0.000", str(status), "-"], reason)


def _made(line: str, rng: Random, took: float, times: list[str], reason: str = "") -> Made:
    """The line, `took` seconds after its request; with the reason of a function, it has no target."""
    row = read_line(line)
    assert isinstance(row, LogRow)
    assert row.created is not None
    at = row.created + Duration.of(s=took)
    fields = [f'"{token.text}"' if token.quoted else token.text for token in tokens(line)]
    root = f"1-{rng.getrandbits(32):08x}-{rng.getrandbits(96):024x}"
    fields[1] = _text(at)
    fields[5:10] = times
    fields[11] = "277"
    fields[17] = f'"Root={root}"'
    if reason:
        fields[4], fields[24] = "-", f'"{reason}"'
    fields[25], fields[26] = f'"{fields[4]}"', '"-"'
    return Made(at, " ".join(fields), root)


def _text(at: Instant) -> str:
    return f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(microseconds=at.us):%Y-%m-%dT%H:%M:%S.%f}Z"
