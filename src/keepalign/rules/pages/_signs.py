"""How each cause shows in an access log of an Application Load Balancer.

Which of the three times are -1 follows lines from real incidents; where none was seen, the page of the cause
says so. "t" is a time well above some milliseconds.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Sign:
    """One shape in which one cause shows.

    Args:
        cause: the slug.
        status: `elb_status_code`.
        target_status: `target_status_code`; "-" where the balancer made the answer.
        times: request, target and response processing time, in seconds; empty where they do not matter.
        tell: how to tell it from the others with this status: the end of a sentence.
    """

    cause: str
    status: str
    target_status: str
    times: str
    tell: str


_NONE: Final = "-1 -1 -1"

SIGNS: Final = (
    Sign(
        "backend-keepalive-below-lb-idle", "502", "-", "0.001 0.001 -1",
        "the second time is a few milliseconds at most; now and then, on any path, more at low traffic",
    ),
    Sign(
        "backend-keepalive-below-proxy-idle", "502", "-", "0.001 0.001 -1",
        "alike in every number, where the target is an Apache httpd that proxies to another server",
    ),
    Sign(
        "keepalive-margin-thin", "502", "-", "0.001 0.001 -1",
        "as backend-keepalive-below-lb-idle, but rare: only when one of the two timers was late",
    ),
    Sign(
        "deregistration-below-longest-request", "502", "-", "0.001 t -1",
        "at deploys and scale-ins; several end at one instant on one target, each after a time of its own",
    ),
    Sign(
        "no-graceful-shutdown", "502", "-", "0.001 t -1",
        "several end on one target at the instant of its stop signal; a Spot interruption or StopTask",
    ),
    Sign(
        "stop-timeout-below-drain", "502", "-", "0.001 t -1",
        "several end on one target one stop timeout after its stop signal; a Spot interruption or StopTask",
    ),
    Sign(
        "app-worker-timeout-below-lb", "502", "-", "0.001 t -1",
        "the second time is always the worker's limit, or up to 2.2 s more; gunicorn before 22.0, or C code",
    ),
    Sign(
        "app-idle-timeout-during-request", "502", "-", "0.001 t -1",
        "the second time is always the same, to the millisecond; the target's own log may say nothing",
    ),
    Sign(
        "target-closed-mid-request", "502", "-", "0.001 t -1",
        "away from stops and deploys; the target closed after it had worked for a while",
    ),
    Sign(
        "target-malformed-response", "502", "-", "0.001 t -1",
        "always the same path or user, and the target's own log has the request as served",
    ),
    Sign(
        "target-connection-refused", "502", "-", _NONE,
        "over within milliseconds; TargetConnectionErrorCount rises",
    ),
    Sign(
        "no-prestop-drain", "502", "-", _NONE,
        "as with target-connection-refused, in the last seconds of a target that is being replaced",
    ),
    Sign(
        "target-tls-failed", "502", "-", _NONE,
        "the target group is HTTPS; over at once or after 10 s; TargetTLSNegotiationErrorCount rises",
    ),
    Sign(
        "lambda-error", "502", "-", "0.000 0.001 0.000",
        "there is no target, and error_reason begins with Lambda",
    ),
    Sign(
        "proxy-read-below-app-timeout", "502", "502", "0.001 t 0.000",
        "Apache httpd made it; the second time is always the same, its ProxyTimeout or Timeout",
    ),
    Sign(
        "backend-keepalive-below-proxy-idle", "502", "502", "0.001 0.002 0.000",
        "a proxy inside the target made it, within milliseconds; now and then, more at low traffic",
    ),
    Sign(
        "target-generated-error", "502", "502", "0.001 t 0.000",
        "a proxy inside the target made it, after times of all lengths",
    ),
    Sign(
        "no-healthy-targets", "503", "-", _NONE,
        "there is no target in the line; over at once",
    ),
    Sign(
        "target-generated-error", "503", "503", "0.001 t 0.000",
        "the target answered 503 itself: overload, maintenance, start-up",
    ),
    Sign(
        "lb-idle-below-response-time", "504", "-", "0.001 -1 -1",
        "time minus request_creation_time is the balancer's idle timeout, every time",
    ),
    Sign(
        "target-connect-timeout", "504", "-", _NONE,
        "time minus request_creation_time is 10.0 s, every time; TargetConnectionErrorCount rises",
    ),
    Sign(
        "no-prestop-drain", "504", "-", _NONE,
        "as with target-connect-timeout, just after a target was replaced",
    ),
    Sign(
        "sync-worker-behind-lb", "504", "-", "0.001 -1 -1",
        "elapsed as with lb-idle-below-response-time, on fast paths; slow clients hold all workers",
    ),
    Sign(
        "keepalive-holds-workers", "504", "-", "0.001 -1 -1",
        "elapsed as with lb-idle-below-response-time, on fast paths; idle connections hold all workers",
    ),
    Sign(
        "proxy-read-below-app-timeout", "504", "504", "0.001 t 0.000",
        "nginx made it; the second time is always the same, its proxy_read_timeout",
    ),
    Sign(
        "target-generated-error", "504", "504", "0.001 t 0.000",
        "a proxy inside the target made it, after times of all lengths",
    ),
    Sign(
        "app-worker-timeout-below-lb", "500", "500", "0.001 t 0.000",
        "the second time is the worker's limit, or up to 1.2 s more",
    ),
    Sign(
        "target-generated-error", "500", "500", "0.001 t 0.000",
        "the application failed, after times of all lengths; its own log says why",
    ),
    Sign(
        "client-timeout-below-response-time", "460", "-", "0.001 -1 -1",
        "time minus request_creation_time is the client's patience; nothing was sent",
    ),
    Sign(
        "client-timeout-below-response-time", "499", "499", "",
        "in nginx's own log; the balancer in front of it logs 460",
    ),
    Sign(
        "client-request-timeout", "408", "-", _NONE,
        "there is no target; time minus request_creation_time is the balancer's idle timeout",
    ),
    *(
        Sign("lb-refused-request", status, "-", "", "there is no target: the balancer answered by itself")
        for status in (
            "000", "400", "401", "403", "405", "413", "414", "463", "464", "500", "501", "505", "561",
        )
    ),
)  # fmt: skip

NO_STATUS: Final[Mapping[str, str]] = {
    "headers-timeout-below-keepalive": (
        "no line of its own: a 502 alike in every number to that of `backend-keepalive-below-lb-idle`, where"
        " the target is a Node.js before 18.2 whose keep-alive timeout is in order"
    ),
    "prestop-below-deregistration": (
        "no line of its own: the 502s of `no-graceful-shutdown`, several at one instant on one pod, one"
        " preStop delay after a rollout has reached it"
    ),
    "health-check-grace-too-short": (
        "no line of its own: the 503s of `no-healthy-targets`, from a deploy on, while the platform starts"
        " targets again and again"
    ),
    "cdn-read-below-origin-time": (
        "no 5xx in the balancer's log: the CDN answers 504 itself, and the balancer logs the 460 of"
        " `client-timeout-below-response-time`, always after the CDN's read timeout (CloudFront: 30 s)"
    ),
    "client-pool-idle-above-server-keepalive": (
        "no line: the request was never read; the client alone reports a reset"
    ),
    "client-pool-idle-above-lb": (
        "no line: the balancer has read no request; the client alone reports a reset, a CDN a 502 of its own"
    ),
    "l4-flow-idle-exceeded": "no line: a balancer of layer 4 logs no requests; clients hang or report resets",
    "tcp-keepalive-confusion": "no status of its own: those of the keep-alive timeout that it stands beside",
    "connection-limit-requests": "no error status: it costs time, as the close is announced",
    "response-cut-by-total-timeout": (
        "no error status: the status line has been sent when the body is cut, so the log says 200 and the"
        " client misses the end of the body"
    ),
    "keepalive-above-stop-budget": (
        "no error status: it costs no request, but time and a clean end (exit code 137) at each stop"
    ),
    "stop-signal-not-passed-on": (
        "no shape of its own: it is that of stop-timeout-below-drain, 502 at the moment of the kill"
    ),
    "spot-notice-below-drain": (
        "no shape of its own: it is that of stop-timeout-below-drain, 120 s after a Spot interruption notice"
    ),
    "recycled-worker-drops-connections": (
        "no shape of its own: it is that of backend-keepalive-below-lb-idle, at high traffic, too"
    ),
    "app-stops-before-proxy": (
        "no shape of its own: it is that of target-generated-error, in the last moments of a task"
    ),
    "probe-answered-by-proxy": (
        "no shape of its own: it is that of target-generated-error, at every request of one target"
    ),
    "verdict-hangs-on-version": "no shape of its own: it is that of the cause which the version decides on",
    "probe-waits-behind-requests": (
        "no shape of its own: it is that of no-healthy-targets, while long requests run"
    ),
    "retries-outlast-front-timeout": (
        "no shape of its own: it is that of lb-idle-below-response-time, while a server is gone"
    ),
    "unhealthy-target-serves-long": (
        "no shape of its own: it is that of the target's fault, until its check takes it out"
    ),
    "workers-recycled-together": (
        "no shape of its own: it is that of sync-worker-behind-lb, in short bursts"
    ),
    "non-idempotent-retried": ("no error status: requests succeed, and some of them were done twice"),
    "attempts-multiply-along-path": (
        "no status of its own: it makes an overload last, with whatever status that has"
    ),
    "timeout-in-wrong-unit": "no status of its own: what the value does shows as another cause",
    "zero-means-something-else": "no status of its own: what the value does shows as another cause",
    "keepalive-far-above-need": "no error status: it costs memory and descriptors",
    "stream-ping-above-idle": "no error status: a WebSocket has its 101 long before it is cut",
    "setting-has-no-effect": "no error status: it misleads who edits",
    "unexplained": "any status: it is what is left when the evidence does not decide",
}
"""Causes without a status of their own, and why."""


def signs_of(cause: str) -> tuple[Sign, ...]:
    """The shapes of one cause, by its slug."""
    return tuple(sign for sign in SIGNS if sign.cause == cause)


def no_status(cause: str) -> str:
    """Why a cause has no shape of its own, by its slug; a test asks for a reason of each."""
    return NO_STATUS.get(cause, "how it shows is not known")
