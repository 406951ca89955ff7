"""Access-log lines made by hand, field by field."""

from __future__ import annotations

from typing import Final

from tests.logs.pasted import windows

from keepalign.logs.alb import read_line
from keepalign.logs.judge import judge
from keepalign.model.observation import Judged, LogRow, Timers

GROUP: Final = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/orders/73e2d6bc24d8a067"
A: Final = "10.0.0.1:80"
B: Final = "10.0.0.2:80"


def stamp(at_s: float) -> str:
    """So many seconds into a minute of 2026, as the log writes it."""
    us = round(at_s * 1_000_000)
    minutes, us = divmod(us, 60_000_000)
    return f"2026-11-22T10:{minutes:02d}:{us // 1_000_000:02d}.{us % 1_000_000:06d}Z"


def line(
    signature: str,
    *,
    at: float = 100.0,
    elapsed: float | None = None,
    target: str = A,
    sent_bytes: int = 0,
    kind: str = "http",
    request: str = "GET http://example.com:80/orders?id=1 HTTP/1.1",
    group: str = GROUP,
    actions: str = "forward",
    reason: str = "-",
    classification: str = "-",
    elb: str = "app/lb/50dc6c495c0c9188",
    client: str = "192.0.2.7:40001",
) -> str:
    """One line of 30 fields.

    Args:
        signature: the three times and both statuses: "0.001 0.000 -1 502 -".
        at: when the response was made, in seconds into the hour.
        elapsed: since the request, in seconds; by default what the times say.
    """
    times = [float(word) for word in signature.split()[:3]]
    if elapsed is None:
        elapsed = sum(time for time in times if time > 0)
    # A creation time is in whole milliseconds.
    created = round(at - elapsed, 3)
    return (
        f"{kind} {stamp(at)} {elb} {client} {target} {signature} 94 {sent_bytes} "
        f'"{request}" "curl/8.5" - - {group} "Root=1-58337262-36d228ad5d99923122bbe354" "-" "-" 0 '
        f'{stamp(created)} "{actions}" "-" "{reason}" "{target}" "-" "{classification}" "-" TID_0123'
    )


def row(text: str) -> LogRow:
    """The row of a line that can be read."""
    found = read_line(text)
    assert isinstance(found, LogRow), found
    return found


def judged(*lines: str, timers: Timers = Timers()) -> list[Judged]:  # noqa: B008 # frozen
    """The judge's verdicts on lines, window by window."""
    return [one for window in windows([row(text) for text in lines], timers) for one in judge(window)]


def causes(*lines: str, timers: Timers = Timers()) -> list[str]:  # noqa: B008 # frozen
    """Their causes, in the order of time."""
    return [one.cause for one in judged(*lines, timers=timers)]
