"""Incidents with several causes in one log."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Final

from bench.attribution import truth
from bench.attribution.maker import STALE_KINDS, Maker
from bench.attribution.spec import Kind, Spec, Stack, What

_PROXIES: Final = (Kind.APACHE, Kind.NGINX)


def _deploy_while_stale(m: Maker) -> Spec:
    m.delay = float(m.rng.choice((5, 10, 15)))
    m.stale()
    m.users(2, 5)
    m.slow(2.5, 2, min(m.idle - 3, m.delay * 3))
    m.act(0.45, What.DEPLOY)
    return m.spec(truth.STALE, truth.DRAIN)


def _crash_while_stale(m: Maker) -> Spec:
    m.stale()
    m.users(2, 5)
    m.slow(3, 0.3, 6)
    m.act(0.3, What.CRASH)
    m.act(0.7, What.CRASH)
    return m.spec(truth.STALE, truth.CLOSED)


def _slow_day(m: Maker) -> Spec:
    """Slow requests meet every limit at once."""
    m.server(m.rng.choice(STALE_KINDS))
    m.users()
    m.slow(0.25, m.idle + 1, m.idle + 40, "/api/export")
    m.slow(0.4, 3, 12, "/api/reports/{n}", patience=m.rng.choice((2.0, 3.0)))
    m.traffic.some(0.3, ("/api/payments",), 0.01, 0.4, status=500, method="POST")
    m.traffic.some(0.1, ("/api/quota",), 4, 9, status=503)
    return m.spec(truth.LB_IDLE, truth.CLIENT, truth.GENERATED)


def _proxy_and_stale(m: Maker) -> Spec:
    kind = m.rng.choice(_PROXIES)
    limit = float(m.rng.choice((5, 8, 10)))
    m.server(kind, keep_alive=float(m.rng.choice((4, 5, 8))), proxy_read=limit)
    m.polling()
    m.users(2, 5)
    m.slow(0.3, limit + 1, limit + 30)
    m.traffic.some(0.2, ("/api/payments",), 0.01, 0.4, status=m.rng.choice((500, 502)), method="POST")
    return m.spec(truth.STALE, truth.PROXY_READ, truth.GENERATED)


def _worker_and_deploy(m: Maker) -> Spec:
    m.delay = float(m.rng.choice((3, 5)))
    limit = float(m.rng.choice((8, 10, 15)))
    m.server(Kind.SYNC, worker_timeout=limit, workers=20, stop_timeout=5.0)
    m.users(4, 8)
    m.slow(0.25, limit + 2, limit + 30)
    m.slow(2.2, 2, limit - 1)
    m.act(0.4, What.DEPLOY)
    m.act(0.75, What.SCALE_IN)
    return m.spec(truth.WORKER, truth.DRAIN)


def _bad_release(m: Maker) -> Spec:
    """A deployment whose new version errs, and whose stop was not graceful before."""
    m.server(Kind.NODE, graceful=False)
    m.users()
    m.slow(3, 1, 10)
    m.act(0.3, What.STOP_TASK)
    m.act(0.55, What.STOP_TASK)
    m.traffic.some(0.8, ("/api/checkout",), 0.01, 0.2, status=500, start=m.length * 0.6, method="POST")
    m.traffic.some(0.2, ("/api/session",), 0.01, 0.2, fault="headers", start=m.length * 0.6)
    return m.spec(truth.NO_GRACE, truth.GENERATED, truth.MALFORMED)


def _overload(m: Maker) -> Spec:
    m.server(Kind.SMALL)
    m.interval = 30.0
    m.users()
    m.slow(0.6, 0.5, 4)
    m.slow(0.2, m.idle + 1, m.idle + 30, "/api/export")
    m.slow(0.4, 4, 12, patience=3.0)
    m.act(0.3, What.DEAF, 40)
    return m.spec(truth.CONNECT_TIMEOUT, truth.LB_IDLE, truth.CLIENT)


def _stop_and_stale(m: Maker) -> Spec:
    m.stale(m.rng.choice((Kind.NGINX, Kind.NODE, Kind.APACHE)))
    signal = {Kind.NGINX: "SIGQUIT", Kind.APACHE: "SIGWINCH"}.get(m.stack.kind, "SIGTERM")
    m.stack = Stack(m.stack.kind, m.stack.keep_alive, stop_signal=signal, stop_timeout=4, grace=120)
    m.delay = 120.0
    m.users(2, 5)
    m.slow(3, 2, 14)
    m.act(0.35, What.STOP_TASK)
    m.act(0.7, What.STOP_TASK)
    return m.spec(truth.STALE, truth.STOP)


def _malformed_and_crash(m: Maker) -> Spec:
    m.server(Kind.GTHREAD, workers=4)
    m.users()
    m.slow(0.8, 0.3, 5)
    m.traffic.some(0.2, ("/api/session",), 0.01, 0.2, fault="headers")
    m.traffic.some(0.1, ("/api/images/resize",), 0.2, 2, fault="exit", method="POST")
    m.act(0.5, What.CRASH)
    return m.spec(truth.MALFORMED, truth.CLOSED)


def _mixed(m: Maker) -> Spec:
    """Two to four troubles, drawn by lot."""
    rng = m.rng
    kind = rng.choice(STALE_KINDS)
    m.delay = float(rng.choice((5, 8, 12)))
    stale = rng.random() < 0.6
    proxy_read = float(rng.choice((4, 6, 9))) if kind in _PROXIES and rng.random() < 0.6 else None
    m.server(kind, keep_alive=float(rng.choice((3, 5, 7))) if stale else None, proxy_read=proxy_read)
    m.users(3, 7)
    m.slow(2, 0.5, min(m.idle - 3, m.delay * 2) if proxy_read is None else proxy_read - 0.5)
    aims = []
    if stale:
        m.polling()
        aims.append(truth.STALE)
    if proxy_read is not None:
        m.slow(0.25, proxy_read + 1, proxy_read + 30, "/api/archive")
        aims.append(truth.PROXY_READ)
    for trouble in rng.sample(("idle", "client", "errors", "deploy", "crash", "headers", "poison"), 2):
        match trouble:
            case "idle" if proxy_read is None:
                m.slow(0.2, m.idle + 1, m.idle + 40, "/api/export")
                aims.append(truth.LB_IDLE)
            case "client":
                patience = min(rng.uniform(1.5, 6), (proxy_read or 99) - 2)
                m.slow(0.4, patience + 0.4, patience + 1.5, "/api/search/all", patience=patience)
                aims.append(truth.CLIENT)
            case "errors":
                status = rng.choice((500, 500, 502, 503))
                m.traffic.some(0.4, ("/api/payments",), 0.005, 1.2, status=status, method="POST")
                aims.append(truth.GENERATED)
            case "deploy":
                m.act(0.5, What.DEPLOY)
                aims.append(truth.DRAIN)
            case "crash":
                m.act(0.4, What.CRASH)
                m.act(0.8, What.CRASH)
                aims.append(truth.CLOSED)
            case "headers" if kind not in _PROXIES:
                m.traffic.some(0.25, ("/api/session",), 0.005, 0.4, fault="headers")
                aims.append(truth.MALFORMED)
            case "poison" if kind is Kind.GTHREAD:
                m.traffic.some(0.1, ("/api/images/resize",), 0.2, 2, fault="exit", method="POST")
                aims.append(truth.CLOSED)
    return m.spec(*aims)


MIXTURES: Final[Mapping[str, Callable[[Maker], Spec]]] = {
    "deploy-while-stale": _deploy_while_stale,
    "crash-while-stale": _crash_while_stale,
    "slow-day": _slow_day,
    "proxy-and-stale": _proxy_and_stale,
    "worker-and-deploy": _worker_and_deploy,
    "bad-release": _bad_release,
    "overload": _overload,
    "stop-and-stale": _stop_and_stale,
    "malformed-and-crash": _malformed_and_crash,
    "mixed-a": _mixed,
    "mixed-b": _mixed,
    "mixed-c": _mixed,
    "mixed-d": _mixed,
}
