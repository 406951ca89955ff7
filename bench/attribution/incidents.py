"""The catalogue: for a split, the incidents with all their parameters drawn from seeds.

"tune" is for looking at while the judge is written; "heldout" has other seeds and other values, and is only
scored. The makers are the same: what is held out are parameters, traffic and the luck of the run.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from random import Random
from typing import Final

from bench.attribution import truth
from bench.attribution.generated import LAMBDA, TLS
from bench.attribution.spec import Action, Kind, Spec, Stack, What
from bench.attribution.traffic import Traffic

SPLITS: Final = ("tune", "heldout")
_FIRST_SEED: Final = {"tune": 1000, "heldout": 7000}
_IDLES: Final[Mapping[str, tuple[int, ...]]] = {"tune": (20, 30, 45, 60), "heldout": (25, 35, 50, 60)}
_PROXIES: Final = (Kind.APACHE, Kind.NGINX)
_STALE_KINDS: Final = (Kind.APACHE, Kind.NGINX, Kind.GTHREAD, Kind.NODE)

_POLLED: Final = (
    "/api/events",
    "/api/stock/{n}",
    "/api/prices?since={n}",
    "/api/orders/{n}",
    "/api/users/{n}/messages",
    "/status",
)


class Maker:
    """Draws the parts of one incident."""

    def __init__(self, name: str, split: str, seed: int) -> None:
        self.name = name
        self.split = split
        self.seed = seed
        self.rng = Random(seed)
        self.idle = float(self.rng.choice(_IDLES[split]))
        self.length = float(self.rng.randint(150, 240))
        self.traffic = Traffic(Random(seed + 1), self.length)
        self.actions: list[Action] = []
        self.generated: dict[str, int] = {}
        self.delay = float(self.rng.choice((20, 30, 40, 60)))
        self.lag = self.rng.choice((0.0, 1.0, 3.0, 6.0))
        self.tasks = self.rng.choice((2, 2, 3, 4))
        self.nodes = self.rng.choice((1, 2, 2, 3))
        self.one_way = self.rng.choice((0.0005, 0.0005, 0.001, 0.003, 0.008))
        self.interval = 10.0
        self.stack = Stack(Kind.NGINX, 75)

    def server(self, kind: Kind | None = None, *, keep_alive: float | None = None, **more: object) -> None:
        """The stack; without a keep-alive one that is safe."""
        kind = kind if kind is not None else self.rng.choice(_STALE_KINDS)
        safe = self.idle + self.rng.choice((10, 15, 30))
        self.stack = Stack(kind, safe if keep_alive is None else keep_alive, **more)  # type: ignore[arg-type]  # keywords of Stack

    def act(self, at: float, what: What, seconds: float = 0) -> None:
        """`at` as a share of the length when below 1."""
        self.actions.append(Action(at * self.length if at < 1 else at, what, seconds))

    def users(self, least: float = 6, most: float = 14) -> None:
        """Healthy background traffic."""
        self.traffic.background(self.rng.uniform(least, most), median=self.rng.uniform(0.01, 0.08))

    def stale(self, kind: Kind | None = None) -> None:
        """A keep-alive at or below the idle timeout, and clients whose rhythm is near it."""
        kind = kind if kind is not None else self.rng.choice(_STALE_KINDS)
        keep_alive = float(self.rng.choice((2, 4, 5, 5, 8, 12, 15)))
        if self.stack.kind is not kind or self.stack.keep_alive > self.idle:
            self.server(kind, keep_alive=keep_alive)
        self.polling()

    def polling(self) -> None:
        """The clients that stale() needs."""
        # Node closes a second later than told, gunicorn's thread looks up to 0.3 s late.
        kind, kept = self.stack.kind, self.stack.keep_alive
        seen = kept + (1.0 if kind is Kind.NODE else 0.2 if kind is Kind.GTHREAD else 0)
        # From the answer to the next request: what the poll itself takes comes on top.
        jitter = 0.03 + self.one_way * 2 + (0.15 if kind is Kind.GTHREAD else 0)
        size = self.tasks * self.nodes * self.rng.choice((3, 4, 6))
        # Mostly of many kinds: stale connections do not choose by path.
        number = self.rng.choice((1, 3, 4, 5, 6))
        self.traffic.polls(seen + 0.1, jitter, size, paths=_POLLED[:number])

    def slow(self, rate: float, least: float, most: float, *paths: str, **more: float) -> None:
        """Requests that take their time."""
        self.traffic.some(rate, paths or ("/api/reports/{n}", "/api/export"), least, most, **more)  # type: ignore[arg-type]  # start, end and patience

    def spec(self, *aims: str) -> Spec:
        return Spec(
            name=self.name,
            split=self.split,
            seed=self.seed,
            stack=self.stack,
            idle_timeout=self.idle,
            deregistration_delay=self.delay,
            one_way=self.one_way,
            lag=self.lag,
            nodes=self.nodes,
            tasks=self.tasks,
            length=self.length,
            asks=self.traffic.asks(),
            actions=tuple(sorted(self.actions, key=lambda action: action.at)),
            aims=aims,
            generated=self.generated,
            check_interval=self.interval,
        )


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
    m.traffic.polls(kept + 0.2, 0.2, m.tasks * 4, paths=_POLLED[:2], method="POST")
    m.users(2, 5)
    return m.spec(truth.PROXY_IDLE)


# Several causes in one log


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
    m.server(m.rng.choice(_STALE_KINDS))
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
    kind = rng.choice(_STALE_KINDS)
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
