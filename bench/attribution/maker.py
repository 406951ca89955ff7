"""Draws one incident's parameters from a seed; `incidents` and `mixtures` say which are drawn."""

from __future__ import annotations

from collections.abc import Mapping
from random import Random
from typing import Final

from bench.attribution.spec import Action, Kind, Spec, Stack, What
from bench.attribution.traffic import Traffic

STALE_KINDS: Final = (Kind.APACHE, Kind.NGINX, Kind.GTHREAD, Kind.NODE)
_IDLES: Final[Mapping[str, tuple[int, ...]]] = {
    "tune": (20, 30, 45, 60),
    "seen": (25, 35, 50, 60),
    "heldout": (22, 33, 48, 60),
}
"""Idle timeouts of the balancer by split, in seconds."""
POLLED: Final = (
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
        kind = kind if kind is not None else self.rng.choice(STALE_KINDS)
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
        kind = kind if kind is not None else self.rng.choice(STALE_KINDS)
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
        self.traffic.polls(seen + 0.1, jitter, size, paths=POLLED[:number])

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
