"""Answers that the target made itself: both columns hold a status. Most are the application's own; some are a
timer in the target, which shows as one constant time.

Apache's `Timeout` and `ProxyTimeout` make a 502 and nginx's `proxy_read_timeout` a 504, to some milliseconds;
gunicorn makes a 500 up to 1.2 s after its `timeout`, as its master looks once a second (all measured).
"""

from __future__ import annotations

from typing import Final

from keepalign.logs import causes
from keepalign.logs._opinion import HIGH, LOW, MEDIUM, Opinion, shown
from keepalign.logs.context import Constant, Context, Seen, whole_seconds_us
from keepalign.logs.context.limits import ALIKE, LONG, WORKER_LEAST, WORKER_SPREAD
from keepalign.units import Duration

_PROXY_LATE: Final = Duration.of(ms=400)
"""How late a proxy's own timer may show on a busy machine (measured: under 60 ms on an idle one)."""
_EARLY_US: Final = 20_000
_TIMED: Final = frozenset({500, 502, 503, 504})


def answered(one: Seen, place: int, context: Context) -> Opinion:
    """For a row of the shape ANSWERED."""
    status, wait = one.row.target_status, one.wait_us
    if one.row.elb_status != status:
        text = (
            f"target_status_code {status} became elb_status_code {one.row.elb_status}: it was not passed on"
        )
        return Opinion(causes.MALFORMED, MEDIUM, (text,), (causes.CLOSED,))
    told = f"target_status_code {status}: the target answered so itself; the balancer passed it on"
    if one.row.target_time is None and status == 504 and one.row.request_time is not None:
        # As in a log of 2016 (one27.cf, "Request tracing"): 504 in both columns, and a target that slept.
        text = "target_processing_time -1: it did not answer in time, whatever target_status_code 504 says"
        return Opinion(causes.LB_IDLE, MEDIUM, (text,), (causes.GENERATED,))
    if one.row.target_time is None:
        return Opinion(causes.GENERATED, HIGH, (told,))
    took = f"target_processing_time {shown(wait)}"
    gateway = status in (502, 504)
    if status == 502 and wait <= ALIKE.us:
        return _proxy_at_once(one, context, told, took)
    if (wait < LONG.us and not gateway) or wait <= ALIKE.us or status not in _TIMED:
        return Opinion(causes.GENERATED, HIGH, (told, took))
    return (
        _stated(one, context, told, took)
        or _constant(one, context.constants.get(place), told, took)
        or _alone(one, told, took)
    )


def _stated(one: Seen, context: Context, told: str, took: str) -> Opinion | None:
    """A limit that somebody stated is the time seen."""
    timers, wait, status = context.window.timers, one.wait_us, one.row.target_status
    proxy, worker = timers.proxy_read, timers.worker_timeout
    if proxy is not None and status in (502, 504) and -_EARLY_US <= wait - proxy.us <= _PROXY_LATE.us:
        text = f"the proxy's limit for its application is {proxy}, as stated"
        return Opinion(causes.PROXY_READ, HIGH, (told, took, text), (causes.GENERATED,))
    late = proxy is not None and status in (502, 504) and 0 <= wait - proxy.us <= WORKER_SPREAD.us
    if proxy is not None and late and (worker is None or not 0 <= wait - worker.us <= WORKER_SPREAD.us):
        text = f"the proxy's limit for its application is {proxy}, as stated, and no other timer is near"
        return Opinion(causes.PROXY_READ, MEDIUM, (told, took, text), (causes.WORKER, causes.GENERATED))
    if worker is not None and status != 504 and -_EARLY_US <= wait - worker.us <= WORKER_SPREAD.us:
        text = f"the worker's limit is {worker}, as stated"
        return Opinion(causes.WORKER, HIGH, (told, took, text), (causes.GENERATED,))
    return None


def _constant(one: Seen, constant: Constant | None, told: str, took: str) -> Opinion | None:
    """Other answers came after the same time."""
    if constant is None or not constant.shows_timer:
        return None
    status = one.row.target_status
    text = (
        f"{constant.size} of {constant.among} such answers came after {shown(constant.least_us)} to"
        f" {shown(constant.most_us)}: a timer in the target"
    )
    if status == 504 or (status == 502 and (constant.narrow or constant.prompt)):
        # A proxy that gave up its application says 504; those that say 502 strike at the time itself.
        sure = HIGH if constant.size >= 3 and (status == 504 or constant.narrow) else MEDIUM
        return Opinion(causes.PROXY_READ, sure, (told, took, text), (causes.WORKER, causes.GENERATED))
    if status not in (500, 502):
        return None
    if (constant.narrow or (constant.prompt and not constant.sharp)) and constant.size >= 3:
        # A master that looks once a second hardly strikes three times in a tenth of one.
        text += ", but too sharp for a worker's limit: one of the application's own"
        return Opinion(causes.GENERATED, MEDIUM, (told, took, text), (causes.WORKER, causes.PROXY_READ))
    if (constant.sharp and not constant.whole) or (
        not constant.sharp and constant.least_us < WORKER_LEAST.us
    ):
        return None
    return Opinion(
        causes.WORKER, MEDIUM, (told, took, text), (causes.PROXY_READ, causes.APP_IDLE, causes.GENERATED)
    )


def _alone(one: Seen, told: str, took: str) -> Opinion:
    """Nothing else came after the same time."""
    wait, status = one.wait_us, one.row.target_status
    if wait < LONG.us:
        return Opinion(causes.GENERATED, MEDIUM, (told, took), (causes.PROXY_READ,))
    whole = whole_seconds_us(wait) is not None
    if status == 504:
        text = "504 is what a proxy in the target says when its application stays silent"
        sure = MEDIUM if whole else LOW
        return Opinion(causes.PROXY_READ, sure, (told, took, text), (causes.GENERATED,))
    if status == 502 and whole:
        text = "a whole number of seconds, as a timer strikes"
        return Opinion(causes.PROXY_READ, LOW, (told, took, text), (causes.GENERATED, causes.WORKER))
    return Opinion(causes.GENERATED, MEDIUM, (told, took), (causes.WORKER, causes.PROXY_READ))


def _proxy_at_once(one: Seen, context: Context, told: str, took: str) -> Opinion:
    """A 502 that a proxy in the target made within milliseconds."""
    if (
        one.wait_us <= ALIKE.us
        and context.window.complete
        and context.proxy_fails_at_once
        and context.lives.among_fine(one.target, one.at_us)
    ):
        text = "and it answered other requests well in the same minute: its own server was there"
        return Opinion(causes.PROXY_IDLE, MEDIUM, (told, took, text), (causes.GENERATED,))
    text = "502 at once is what a proxy in the target says when its own server is gone"
    return Opinion(causes.GENERATED, MEDIUM, (told, took, text), (causes.PROXY_IDLE,))
