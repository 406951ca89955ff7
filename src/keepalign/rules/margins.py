"""How far apart timers are set: what `check`, `fix` and `diagnose` advise."""

from __future__ import annotations

from typing import Final

from keepalign.units import Duration

_LEAST: Final = Duration.of(s=5)


def margin_over(value: Duration) -> Duration:
    """By how much a timer should exceed `value`: the larger of 5 s and 10 %."""
    return max(_LEAST, value * 0.1)


def nice(value: Duration) -> Duration:
    """The smallest number people write that is not below `value`: multiples of 5 s, from 60 s of 30 s."""
    minute = Duration.of(s=60)
    fives = value.ceil_to(Duration.of(s=5))
    return fives if fives < minute else max(minute, value.ceil_to(Duration.of(s=30)))
