"""Every failed request has a cause, from what was done and seen.

The stack runs ten times as fast as life: the web server keeps connections for 500 ms, the balancer for 6 s,
and gives up on silence after 6 s; the web server gives up after 2 s; workers are killed after 5 s (45 s,
rounded up); the deregistration delay is 1 s.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest
from tests.prove.runs import TARGET, at, deregistered, request, run, stack

from keepalign.join import Loaded
from keepalign.model.path import RequestPath
from keepalign.model.setting import Explicit
from keepalign.model.timers import Role
from keepalign.model.trace import BalancerRecord, ClientFailure, ClientRecord, Ending, EventKind, TraceEvent
from keepalign.prove.attribute import (
    CLIENT_SIDE,
    CUT,
    DRAIN,
    INNER_STALE,
    LB_IDLE,
    NOT_GRACEFUL,
    PROXY_READ,
    STALE,
    STOP_TIMEOUT,
    THIN,
    UNEXPLAINED,
    WORKER,
    failures,
    limits_of,
    path_for,
)
from keepalign.scenarios import read
from keepalign.units import Duration

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
        # gunicorn before 22.0 closes without an answer when its limit strikes.
        (closed(400, took=4960), "target-closed-mid-request", ""),
        (closed(400, took=5300), WORKER, "the worker was killed after 5.3 s, and closed the connection"),
        (closed(None, took=7300, how=Ending.TARGET_RST), WORKER, ""),
        (closed(400, took=7600), "target-closed-mid-request", ""),
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
        (480, 12, [], UNEXPLAINED),
        # A block at any other moment excuses nothing.
        (480, 1, [(700, 200)], UNEXPLAINED),
        # A look may miss what lasts less than its step of 2 ms.
        # So may a server that read its clock before a long turn: 5 ms.
        (492.5, 1, [], STALE),
        (491.5, 1, [], UNEXPLAINED),
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


def event(kind: EventKind, ms: float) -> TraceEvent:
    return TraceEvent(at(ms), kind, f"{TARGET}/httpd")


@pytest.mark.parametrize(
    ("happened", "cause"),
    [
        ([event(EventKind.TASK_STOP_SIGNAL, 1500)], NOT_GRACEFUL),
        ([event(EventKind.TASK_STOP_SIGNAL, 1200), event(EventKind.TASK_KILLED, 1500)], STOP_TIMEOUT),
        # Long before, or after: it had another reason.
        ([event(EventKind.TASK_STOP_SIGNAL, 1100)], "target-closed-mid-request"),
        ([event(EventKind.TASK_KILLED, 1700)], "target-closed-mid-request"),
        # Before the request was sent.
        ([event(EventKind.TASK_STOP_SIGNAL, 900)], "target-closed-mid-request"),
    ],
)
@pytest.mark.parametrize("headers_sent", [False, True])
def test_request_cut_by_a_stop_is_laid_on_the_stop(
    loaded: Loaded, happened: Sequence[TraceEvent], cause: str, headers_sent: bool
) -> None:
    one = request(
        Ending.TARGET_FIN, took=510, status=200 if headers_sent else 502, headers_sent=headers_sent,
        first_byte=5 if headers_sent else None,
        failure=ClientFailure.BODY_CUT_SHORT if headers_sent else ClientFailure.NONE,
    )  # fmt: skip
    (failed,) = failures(run(loaded, [one], events=happened))
    if headers_sent and cause == "target-closed-mid-request":
        cause = UNEXPLAINED
    assert failed.cause == cause


@pytest.mark.parametrize(
    ("container", "took", "cause"),
    [
        ("app", 3210, NOT_GRACEFUL),
        ("app", 2900, "target-closed-mid-request"),
        # The limit of another container.
        ("httpd", 3210, "target-closed-mid-request"),
    ],
)
def test_request_cut_at_the_end_of_the_servers_own_grace_is_laid_on_it(
    loaded: Loaded, container: str, took: float, cause: str
) -> None:
    # gunicorn's graceful_timeout, 30 s, runs as 3 s.
    signalled = TraceEvent(at(1200), EventKind.TASK_STOP_SIGNAL, f"{TARGET}/{container}")
    (failed,) = failures(run(loaded, [closed(400, took=took)], events=[signalled]))
    assert failed.cause == cause
    if cause == NOT_GRACEFUL:
        assert failed.how == "app cut it 3.0 s after the stop signal, when its own grace of 3 s was over"


def played(text: str) -> RequestPath:
    """The broken path of a scenario on one server."""
    return read(text.encode(), "one.toml").cases[0].broken


PROXY = """
title = "t"
says = "s"
shows = "502"
on = "nginx"
[hop.web]
product = "{web}"
settings = {{ server_idle = "75s", upstream_pool_idle = "60s" }}
traits = {{ {traits} }}
[hop.app]
product = "nginx"
settings = {{ server_idle = "{keep}" }}
[endpoint.quick]
[traffic.quick]
every = "1s"
run_for = "1s"
"""


def behind(web: str, traits: str, keep: str) -> RequestPath:
    """An nginx that keeps connections for `keep`, behind a proxy that keeps them for 60 s."""
    return played(PROXY.format(web=web, traits=traits, keep=keep))


def judged(loaded: Loaded, one: Requests, path: RequestPath) -> tuple[str, str]:
    made = run(loaded, [one])
    (failed,) = failures(replace(made, experiment=replace(made.experiment, paths=(path,))))
    return failed.cause, failed.how


@pytest.mark.parametrize(
    ("web", "traits", "keep", "cause"),
    [
        ("nginx", 'pool = "on", retries = "off"', "5s", INNER_STALE),
        ("nginx", 'pool = "on", retries = "off"', "75s", "target-generated-error"),
        # What is sent again on a new connection does not fail by the old one.
        ("nginx", 'pool = "on"', "5s", "target-generated-error"),
        ("nginx", 'pool = "off", retries = "off"', "5s", "target-generated-error"),
        # A process of prefork keeps its connection without limit: no margin is enough.
        ("apache_httpd", 'mpm = "prefork"', "75s", INNER_STALE),
        ("apache_httpd", 'mpm = "event"', "75s", "target-generated-error"),
    ],
)
def test_502_of_a_proxy_at_once_is_its_own_stale_connection(
    loaded: Loaded, web: str, traits: str, keep: str, cause: str
) -> None:
    assert judged(loaded, answered(502, 3), behind(web, traits, keep))[0] == cause


@pytest.mark.parametrize(
    ("web", "traits", "gap", "cause"),
    [
        # Apache closes a connection that has carried a request before where nginx answers 502.
        ("apache_httpd", 'mpm = "event"', 400, INNER_STALE),
        ("apache_httpd", 'mpm = "event"', None, UNEXPLAINED),
        ("nginx", 'pool = "on", retries = "off"', 400, UNEXPLAINED),
    ],
)
def test_close_by_a_proxy_without_an_answer_is_its_own_stale_connection(
    loaded: Loaded, web: str, traits: str, gap: float | None, cause: str
) -> None:
    assert judged(loaded, closed(gap), behind(web, traits, "5s"))[0] == cause


def test_close_by_a_proxy_that_may_be_starved_as_well_is_not_explained(loaded: Loaded) -> None:
    starved = behind("apache_httpd", 'mpm = "prefork", max_request_workers = "2"', "5s")
    assert limits_of(starved, run(loaded, [])).starved_by == "keepalive-holds-workers"
    assert judged(loaded, closed(400), starved)[0] == UNEXPLAINED


WORKERS = """
title = "t"
says = "s"
shows = "504"
on = "gunicorn-sync"
[hop.app]
product = "gunicorn"
traits = {{ worker_class = "{worker}", workers = "2" }}
[endpoint.quick]
[traffic.quick]
every = "1s"
run_for = "1s"
"""


@pytest.mark.parametrize(
    ("worker", "first_byte", "cause"),
    [
        ("sync", None, "sync-worker-behind-lb"),
        # Nothing says that this one can have waited for a worker.
        ("uvicorn_worker.UvicornWorker", None, UNEXPLAINED),
        # What has begun to answer has a worker.
        ("sync", 5, LB_IDLE),
    ],
)
def test_504_of_a_request_that_takes_no_time_is_a_wait_for_a_worker(
    loaded: Loaded, worker: str, first_byte: float | None, cause: str
) -> None:
    one = request(
        Ending.IDLE_TIMEOUT, took=6000, status=504, first_byte=first_byte, headers_sent=first_byte is not None
    )
    assert judged(loaded, one, played(WORKERS.format(worker=worker)))[0] == cause


def test_right_order_with_a_margin_below_the_round_trip_is_thin(loaded: Loaded) -> None:
    made = run(loaded, [closed(5995)])
    path = made.experiment.paths[0]
    web = path.hops[1]
    keep = web.settings[Role.SERVER_IDLE]
    assert isinstance(keep, Explicit)
    longer = replace(
        web, settings={**web.settings, Role.SERVER_IDLE: replace(keep, value=Duration.of(s=60.002))}
    )
    hops = (path.hops[0], longer, *path.hops[2:])
    wide = replace(
        made.experiment,
        paths=(replace(path, hops=hops), *made.experiment.paths[1:]),
        one_way=Duration.of(ms=5),
    )
    (failed,) = failures(replace(made, experiment=wide))
    assert failed.cause == THIN
