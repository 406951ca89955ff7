"""The catalogue: for a split, the incidents with all their parameters drawn from seeds.

"tune" and "seen" are for looking at while the judge is written ("seen" was held out at first, and was looked
at when its scores fell behind); "heldout" has other seeds and other values, and is only scored. The makers
are the same: what is held out are parameters, traffic and the luck of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final

from bench.attribution import truth
from bench.attribution.generated import LAMBDA, TLS
from bench.attribution.maker import POLLED, Maker
from bench.attribution.mixtures import MIXTURES
from bench.attribution.spec import Kind, Spec, What

SPLITS: Final = ("tune", "seen", "heldout")
_FIRST_SEED: Final = {"tune": 1000, "seen": 7000, "heldout": 20000}


def _stale(kind: Kind) -> Callable[[Maker], Spec]:
    def make(m: Maker) -> Spec:
        m.stale(kind)
        m.users(2, 5)
        return m.spec(truth.STALE)

    return make


def _lb_idle(m: Maker) -> Spec:
    m.server()
    m.users()
    m.slow(0.25, m.idle + 0.5, m.idle + 40)
    m.slow(0.3, 1, m.idle - 2)
    return m.spec(truth.LB_IDLE)


def _lb_idle_60(m: Maker) -> Spec:
    m.idle = 60
    m.length = 260
    return _lb_idle(m)


def _drain(m: Maker) -> Spec:
    m.delay = float(m.rng.choice((5, 10, 15, 20)))
    m.server()
    m.users()
    m.slow(2, m.delay / 2, min(m.idle - 3, m.delay * 3))
    m.act(0.3, What.DEPLOY)
    if m.rng.random() < 0.6:
        m.act(0.7, m.rng.choice((What.DEPLOY, What.SCALE_IN)))
    return m.spec(truth.DRAIN)


def _drain_zero(m: Maker) -> Spec:
    m.delay, m.lag = 0.0, 0.0
    m.server()
    m.users()
    m.slow(3, 0.5, 10)
    for at in (0.25, 0.5, 0.75):
        m.act(at, What.DEPLOY)
    return m.spec(truth.DRAIN)


def _stop_timeout(m: Maker) -> Spec:
    kind, signal = m.rng.choice(
        (
            (Kind.NODE, "SIGTERM"),
            (Kind.GTHREAD, "SIGTERM"),
            (Kind.NGINX, "SIGQUIT"),
            (Kind.APACHE, "SIGWINCH"),
        )
    )
    m.delay = float(m.rng.choice((60, 120, 300)))
    stop = float(m.rng.choice((3, 5, 8)))
    m.server(kind, stop_signal=signal, stop_timeout=stop, grace=120.0)
    m.users()
    m.slow(3, stop / 2, min(m.idle - 2, stop * 4))
    for at in (0.2, 0.5, 0.8):
        m.act(at, What.STOP_TASK)
    return m.spec(truth.STOP)


def _no_grace(m: Maker) -> Spec:
    kind, signal = m.rng.choice(((Kind.NODE, "SIGTERM"), (Kind.NGINX, "SIGTERM"), (Kind.APACHE, "SIGTERM")))
    m.delay = float(m.rng.choice((60, 120, 300)))
    m.server(kind, stop_signal=signal, graceful=False)
    m.users()
    m.slow(4, 1, 12)
    for at in (0.2, 0.5, 0.8):
        m.act(at, What.STOP_TASK)
    return m.spec(truth.NO_GRACE)


def _worker(m: Maker) -> Spec:
    limit = float(m.rng.choice((5, 8, 10, 15)))
    m.server(Kind.SYNC, worker_timeout=limit, workers=14)
    m.users(4, 8)
    m.slow(0.35, limit + 2, limit + 30)
    m.slow(0.3, 1, limit - 2)
    return m.spec(truth.WORKER)


def _proxy_read(kind: Kind) -> Callable[[Maker], Spec]:
    def make(m: Maker) -> Spec:
        limit = float(m.rng.choice((3, 5, 8, 10, 15)))
        m.server(kind, proxy_read=limit)
        m.users()
        m.slow(0.4, limit + 1, limit + 30)
        m.slow(0.4, 1, limit - 1)
        return m.spec(truth.PROXY_READ)

    return make


def _client(m: Maker) -> Spec:
    m.server()
    m.users()
    patience = float(m.rng.choice((2, 3, 5, 10)))
    m.slow(0.6, patience + 0.5, min(m.idle - 1, patience + 15), patience=patience)
    m.slow(0.3, 3, 12, "/api/export", patience=m.rng.uniform(1, 2.5))
    return m.spec(truth.CLIENT)


def _deaf(m: Maker) -> Spec:
    m.server(Kind.SMALL)
    m.interval = 30.0
    m.users()
    m.slow(0.8, 0.5, 4)
    m.act(0.15, What.DEAF, 40)
    m.act(0.6, What.DEAF, 40)
    return m.spec(truth.CONNECT_TIMEOUT)


def _generated(m: Maker) -> Spec:
    m.server()
    m.users()
    m.traffic.some(0.5, ("/api/payments", "/api/checkout"), 0.005, 0.1, status=500, method="POST")
    m.traffic.some(0.3, ("/api/search/similar",), 1.5, 9, status=m.rng.choice((500, 503)))
    m.traffic.some(0.15, ("/api/quota",), 0.001, 0.01, status=503)
    return m.spec(truth.GENERATED)


def _refused(m: Maker) -> Spec:
    m.server(m.rng.choice((Kind.GTHREAD, Kind.NODE)), keep_alive=m.idle + 15)
    m.interval = 15.0
    m.users()
    for at in (0.2, 0.6):
        m.act(at, What.SERVER_DOWN, float(m.rng.randint(4, 12)))
    return m.spec(truth.REFUSED)


def _crash(m: Maker) -> Spec:
    m.server()
    m.users()
    m.slow(4, 0.3, 8)
    for at in (0.2, 0.5, 0.8):
        m.act(at, What.CRASH)
    return m.spec(truth.CLOSED, truth.REFUSED)


def _kill_worker(m: Maker) -> Spec:
    m.server(Kind.GTHREAD, workers=m.rng.choice((2, 3, 6)))
    m.users()
    m.slow(5, 0.5, 8)
    for at in range(1, 12):
        m.act(at / 12, What.KILL_WORKER)
    return m.spec(truth.CLOSED)


def _poison(m: Maker) -> Spec:
    """One URL brings its process down, as a leak or a crash in native code does."""
    m.server(Kind.GTHREAD, workers=4)
    m.users()
    m.slow(0.6, 0.5, 5)
    m.traffic.some(0.12, ("/api/images/resize",), 0.2, 3, fault="exit", method="POST")
    return m.spec(truth.CLOSED)


def _malformed(m: Maker) -> Spec:
    m.server(m.rng.choice((Kind.NODE, Kind.SMALL, Kind.GTHREAD)))
    m.users()
    m.traffic.some(0.25, ("/api/session",), 0.01, 0.3, fault="headers")
    m.traffic.some(0.15, ("/legacy/report",), 0.01, 2, fault="garbage")
    return m.spec(truth.MALFORMED)


def _no_targets(m: Maker) -> Spec:
    m.delay = 10.0
    m.server()
    m.users()
    m.act(0.3, What.NO_TARGETS, float(m.rng.randint(10, 25)))
    return m.spec(truth.NO_TARGETS)


def _client_slow(m: Maker) -> Spec:
    m.idle = float(m.rng.choice((20, 25, 30)))
    m.server()
    m.users()
    m.traffic.partial(0.2, "body")
    m.traffic.partial(0.1, "head")
    m.traffic.broken(0.05)
    return m.spec(truth.CLIENT_SLOW)


def _tls(m: Maker) -> Spec:
    m.server()
    m.users()
    m.generated = {TLS: 40}
    return m.spec(TLS)


def _lambda(m: Maker) -> Spec:
    m.server()
    m.users()
    m.generated = {LAMBDA: 40}
    return m.spec(LAMBDA)


def _inner_stale(m: Maker) -> Spec:
    """nginx pools connections for 60 s that the application behind it closes; it repeats no POST."""
    kept = float(m.rng.choice((2, 3, 5)))
    m.server(Kind.NGINX, inner_keep_alive=kept)
    m.traffic.polls(kept + 0.2, 0.2, m.tasks * 4, paths=POLLED[:2], method="POST")
    m.users(2, 5)
    return m.spec(truth.PROXY_IDLE)


_MAKERS: Final[Mapping[str, Callable[[Maker], Spec]]] = {
    "stale-apache": _stale(Kind.APACHE),
    "stale-nginx": _stale(Kind.NGINX),
    "stale-gunicorn": _stale(Kind.GTHREAD),
    "stale-node": _stale(Kind.NODE),
    "lb-idle": _lb_idle,
    "lb-idle-60": _lb_idle_60,
    "drain": _drain,
    "drain-zero": _drain_zero,
    "stop-timeout": _stop_timeout,
    "no-grace": _no_grace,
    "worker": _worker,
    "proxy-apache": _proxy_read(Kind.APACHE),
    "proxy-nginx": _proxy_read(Kind.NGINX),
    "client": _client,
    "deaf": _deaf,
    "generated": _generated,
    "refused": _refused,
    "crash": _crash,
    "kill-worker": _kill_worker,
    "poison": _poison,
    "malformed": _malformed,
    "no-targets": _no_targets,
    "client-slow": _client_slow,
    "tls": _tls,
    "lambda": _lambda,
    "inner-stale": _inner_stale,
    **MIXTURES,
}


def catalogue(split: str, rounds: int = 3, only: Sequence[str] = ()) -> dict[str, Spec]:
    """Incidents of a split by name, the first round of all makers first.

    Args:
        only: names, or beginnings of names; empty: all.
    """
    found = {}
    for round_ in range(rounds):
        for at, (word, make) in enumerate(_MAKERS.items()):
            name = f"{word}-{round_ + 1}"
            if not only or name.startswith(tuple(only)):
                found[name] = make(Maker(name, split, _FIRST_SEED[split] + round_ * 100 + at))
    return found
