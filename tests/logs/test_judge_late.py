"""The judge on lines of a busy machine: told late, some by up to a second, the others not at all."""

from __future__ import annotations

import pytest
from tests.logs.lines import A, B, causes, judged, line

from keepalign.model.finding import Confidence
from keepalign.model.observation import Timers
from keepalign.units import Duration

STALE = "backend-keepalive-below-lb-idle"
CLOSED = "target-closed-mid-request"
MALFORMED = "target-malformed-response"
PROXY = "proxy-read-below-app-timeout"
WORKER = "app-worker-timeout-below-lb"
UNALIGNED = Timers(Duration.of(s=60), Duration.of(s=5))
ALIGNED = Timers(Duration.of(s=60), Duration.of(s=75))


def closes(*waits: float, path: str = "/poll", first: float = 100.0) -> list[str]:
    """One at a time, on two targets in turn."""
    request = f"GET http://example.com:80{path} HTTP/1.1"
    return [
        line(f"0.001 {wait:.3f} -1 502 -", at=first + 7 * n, target=(A, B)[n % 2], request=request)
        for n, wait in enumerate(waits)
    ]


def made(status: int, *waits: float) -> list[str]:
    """Answers of the target."""
    return [line(f"0.001 {wait:.3f} 0.000 {status} {status}", at=100 + 7 * n) for n, wait in enumerate(waits)]


def test_single_close_is_stale_where_the_stated_timers_allow_it() -> None:
    (one,) = judged(*closes(0.413), timers=UNALIGNED)
    assert (one.cause, one.confidence) == (STALE, Confidence.MEDIUM)
    assert "told late" in one.evidence[1]
    assert CLOSED in {candidate.cause for candidate in one.candidates}
    assert causes(*closes(0.413), timers=ALIGNED) == [CLOSED]
    assert causes(*closes(1.2), timers=UNALIGNED) == [CLOSED], "no machine is so late"


def test_tail_of_many_quick_closes_is_stale_too() -> None:
    assert set(causes(*closes(0.001, 0.002, 0.002, 0.009, 0.150, 0.420))) == {STALE}
    old = closes(0.001, 0.002, 0.002, 0.150, 0.420, 1.7, 2.4, 3.1, 3.8, 4.2)
    assert CLOSED in causes(*old), "requests at work end at any age"


def test_path_whose_closes_all_took_their_time_answers_malformed() -> None:
    slow = closes(*(0.064 + 0.03 * n for n in range(10)), path="/session")
    late = closes(0.001, 0.003, 0.004, 0.004, 0.009, 0.011, 0.015, 0.160, 0.300, 0.450, first=103)
    for timers in (Timers(), UNALIGNED):
        found = judged(*slow, *late, timers=timers)
        assert {(one.row.path, one.cause) for one in found} == {("/session", MALFORMED), ("/poll", STALE)}
    assert set(causes(*late, timers=ALIGNED)) == {MALFORMED}, "what else closes so?"


@pytest.mark.parametrize(
    ("status", "waits", "timers", "cause"),
    [
        (502, (6.01, 6.02, 6.03, 6.02, 6.41, 6.82), Timers(), PROXY),
        (504, (6.01, 6.41, 6.82, 6.55), Timers(), PROXY),
        (502, (6.0, 6.3, 6.5, 6.8, 6.9, 7.1), Timers(), WORKER),
        (502, (6.0, 6.3, 6.5, 6.8, 6.9, 7.1), Timers(proxy_read=Duration.of(s=6)), PROXY),
        (500, (6.01, 6.41, 6.82, 6.55, 7.1), Timers(), WORKER),
        (500, (6.01, 6.02, 6.03, 6.02, 6.41, 6.82), Timers(), "target-generated-error"),
    ],
)
def test_timer_shows_by_the_middle_of_its_times(
    status: int, waits: tuple[float, ...], timers: Timers, cause: str
) -> None:
    assert set(causes(*made(status, *waits), timers=timers)) == {cause}
