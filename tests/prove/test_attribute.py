"""Every failed request has a cause, from what was done and seen.

The stack runs ten times as fast as life: the web server keeps connections for 500 ms, the balancer for 6 s,
and gives up on silence after 6 s; the web server gives up after 2 s; workers are killed after 5 s (45 s,
rounded up); the deregistration delay is 1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import pytest
from tests.prove.runs import deregistered, request, run, stack

from keepalign.join import Loaded
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending
from keepalign.prove.attribute import (
    CLIENT_SIDE,
    CUT,
    DRAIN,
    LB_IDLE,
    PROXY_READ,
    STALE,
    UNEXPLAINED,
    WORKER,
    failures,
    limits_of,
    path_for,
)

Requests = tuple[ClientRecord, BalancerRecord | None]


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Loaded:
    return stack(tmp_path_factory.mktemp("stack"))


def closed(
    gap: float | None, *, took: float = 1, sent: float = 1000, how: Ending = Ending.TARGET_FIN
) -> Requests:
    return request(how, gap=gap, took=took, sent=sent, status=502)


def answered(status: int, after: float) -> Requests:
    return request(
        Ending.RESPONSE,
        first_byte=after,
        took=after + 1,
        status=status,
        target_status=status,
        headers_sent=True,
    )


def cut(after: float) -> Requests:
    return request(
        Ending.TARGET_FIN,
        first_byte=5,
        took=after,
        target_status=200,
        headers_sent=True,
        failure=ClientFailure.BODY_CUT_SHORT,
    )


def refused_by_the_balancer() -> Requests:
    client, _ = request(status=0, failure=ClientFailure.CONNECT)
    return client, None


@pytest.mark.parametrize(
    ("one", "cause", "says"),
    [
        (closed(499.5), STALE, "re-used 499.5 ms after"),
        (closed(499.5, how=Ending.TARGET_RST), STALE, ""),
        (closed(503), STALE, "a late timer of the server is its timer still"),
        (closed(400), UNEXPLAINED, "closed an idle connection early, 400 ms"),
        (closed(400), UNEXPLAINED, "are all its threads busy"),
        (closed(None), UNEXPLAINED, "a new connection"),
        (closed(499.5, took=900), "target-closed-mid-request", "after 900 ms of work"),
        (request(Ending.IDLE_TIMEOUT, took=6000, status=504), LB_IDLE, "idle timer fired"),
        (
            request(
                Ending.IDLE_TIMEOUT,
                first_byte=5,
                took=6005,
                headers_sent=True,
                failure=ClientFailure.BODY_CUT_SHORT,
            ),
            LB_IDLE,
            "",
        ),
        (request(Ending.DRAIN_END, took=800, status=502), DRAIN, "ran out while it was in flight"),
        (answered(502, 2003), PROXY_READ, "gave up after 2.0 s and answered 502 itself"),
        (answered(504, 2003), PROXY_READ, ""),
        (answered(502, 5600), WORKER, "the worker was killed after 5.6 s"),
        (answered(500, 5100), WORKER, ""),
        (answered(500, 2003), "target-generated-error", "the target answered 500 after 2.0 s"),
        (answered(503, 4), "target-generated-error", ""),
        (cut(5300), CUT, "killed after 5.3 s, in the middle of the body"),
        (cut(7300), CUT, ""),
        (cut(7600), UNEXPLAINED, ""),
        (cut(700), UNEXPLAINED, "the target ended the body early, after 700 ms"),
        (refused_by_the_balancer(), CLIENT_SIDE, "no record of it (connect)"),
        (
            request(target_status=200, failure=ClientFailure.BODY_CUT_SHORT),
            CLIENT_SIDE,
            "relayed a whole response",
        ),
        (
            request(Ending.CLIENT_GONE, status=0, failure=ClientFailure.CLIENT_TIMEOUT),
            CLIENT_SIDE,
            "client_gone",
        ),
        (request(Ending.NO_TARGET, sent=None, status=503), "no-healthy-targets", ""),
        (request(Ending.CONNECT_REFUSED, sent=None, status=502), "target-connection-refused", ""),
        (request(Ending.CONNECT_TIMEOUT, sent=None, status=504), "target-connect-timeout", ""),
        (request(Ending.BAD_RESPONSE, status=502), "target-malformed-response", ""),
        (request(Ending.TARGET_FIN, sent=None, status=502), UNEXPLAINED, "before the request was sent"),
    ],
)
def test_failure_has_its_cause(loaded: Loaded, one: Requests, cause: str, says: str) -> None:
    (failed,) = failures(run(loaded, [one]))
    assert failed.cause == cause
    if says and "still" not in says:
        assert says in failed.how


def test_what_ended_well_is_no_failure(loaded: Loaded) -> None:
    fine = [request(target_status=200), request(target_status=404, status=404)]
    assert failures(run(loaded, fine)) == []


@pytest.mark.parametrize(
    ("gap", "took", "late", "cause"),
    [
        # The response was seen late, so the server had counted for longer than the gap shows.
        (480, 1, [(520, 12)], STALE),
        (480, 1, [(520, 5)], UNEXPLAINED),
        # The request left late, or the close was seen late.
        (480, 19, [], STALE),
        (480, 17, [], UNEXPLAINED),
        # A block at any other moment excuses nothing.
        (480, 1, [(700, 200)], UNEXPLAINED),
        # A look may miss what lasts less than its step of 2 ms.
        (497.5, 1, [], STALE),
        (496.5, 1, [], UNEXPLAINED),
    ],
)
def test_lateness_of_that_moment_widens_the_window(
    loaded: Loaded, gap: float, took: float, late: Sequence[tuple[float, float]], cause: str
) -> None:
    (failed,) = failures(run(loaded, [closed(gap, took=took)], late=late))
    assert failed.cause == cause


@pytest.mark.parametrize(("late", "cause"), [([], "target-generated-error"), ([(3100, 450)], PROXY_READ)])
def test_answer_that_was_read_late_still_belongs_to_its_timer(
    loaded: Loaded, late: Sequence[tuple[float, float]], cause: str
) -> None:
    # Sent at one second and read at 3.5 s, when the process had not acted for 450 ms.
    (failed,) = failures(run(loaded, [answered(502, 2500)], late=late))
    assert failed.cause == cause


def test_close_by_a_target_that_is_being_stopped_says_so(loaded: Loaded) -> None:
    (failed,) = failures(run(loaded, [closed(100)], events=[deregistered(900)]))
    assert failed.cause == UNEXPLAINED
    assert failed.how == "a target that was being stopped closed the connection"


def test_stack_in_the_right_order_has_no_race(tmp_path: Path) -> None:
    fixed = stack(tmp_path, keep_alive_s=90)
    (failed,) = failures(run(fixed, [closed(5999)]))
    assert failed.cause == UNEXPLAINED
    assert limits_of(fixed.stack.paths[0], run(fixed, [])).race is None


def test_equal_timeouts_race(tmp_path: Path) -> None:
    (failed,) = failures(run(stack(tmp_path, keep_alive_s=60), [closed(5999.5)]))
    assert failed.cause == STALE


def test_path_of_an_endpoint_is_the_longest_route(loaded: Loaded) -> None:
    assert path_for(loaded.stack.paths, "/slow/today").route == "/"
