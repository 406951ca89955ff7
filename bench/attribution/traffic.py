"""Requests of an incident, drawn from a seed: what healthy users do, and what goes wrong beside it."""

from __future__ import annotations

from collections.abc import Sequence
from random import Random
from typing import Final

from bench.attribution.spec import Ask

_AGENTS: Final = (
    "Mozilla/5.0 (X11; Linux x86_64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36",
    "Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 Mobile/15E148",
    "okhttp/4.12.0",
    "python-requests/2.32.3",
    "Go-http-client/1.1",
)
_PATHS: Final = (
    ("GET", "/api/orders/{n}", 5),
    ("GET", "/api/products?page={n}", 4),
    ("POST", "/api/orders", 2),
    ("POST", "/api/cart/{n}/items", 2),
    ("GET", "/api/users/{n}", 3),
    ("GET", "/search?q=term{n}", 2),
)


class Traffic:
    """Gathers requests; `length` in seconds."""

    def __init__(self, rng: Random, length: float) -> None:
        self.rng = rng
        self.length = length
        self._asks: list[Ask] = []

    def asks(self) -> tuple[Ask, ...]:
        """All of them, in order of time."""
        return tuple(sorted(self._asks, key=lambda ask: (ask.at, ask.root)))

    def background(self, rate: float, *, median: float = 0.03, slowest: float = 2.0) -> None:
        """What users do: independent arrivals, log-normal work, a 404 now and then."""
        for at in self._poisson(rate, 0, self.length):
            method, path, _ = self.rng.choices(_PATHS, weights=[weight for *_, weight in _PATHS])[0]
            work = min(slowest, self.rng.lognormvariate(0, 0.8) * median)
            status = 404 if self.rng.random() < 0.01 else 200
            self.one(at, method, path, work=work, status=status, size=self.rng.randint(60, 6000))

    def polls(
        self,
        period: float,
        jitter: float,
        size: int,
        *,
        paths: Sequence[str] = ("/api/poll",),
        work: tuple[float, float] = (0.05, 0.15),
        method: str = "GET",
    ) -> None:
        """Clients that ask at the same moment, again and again after `period` ± `jitter`."""
        at = self.rng.uniform(0, min(period, 3))
        while at < self.length:
            for _ in range(size):
                path = self.rng.choice(paths)
                self.one(at + self.rng.random() * 0.02, method, path, work=self.rng.uniform(*work))
            at += self.rng.uniform(period - jitter, period + jitter)

    def some(
        self,
        rate: float,
        paths: tuple[str, ...],
        least: float,
        most: float,
        *,
        start: float = 0,
        end: float | None = None,
        status: int = 200,
        fault: str = "none",
        patience: float = 400,
        method: str = "GET",
    ) -> None:
        """Requests of one kind: work drawn evenly between `least` and `most`."""
        for at in self._poisson(rate, start, self.length if end is None else end):
            work = self.rng.uniform(least, most)
            path = self.rng.choice(paths)
            self.one(at, method, path, work=work, status=status, fault=fault, patience=patience)

    def partial(self, rate: float, kind: str) -> None:
        """Clients that never send the rest: of the "head", or of the "body"."""
        for at in self._poisson(rate, 0, self.length):
            self.one(at, "POST", "/api/upload", partial=kind)

    def broken(self, rate: float) -> None:
        """What scanners send."""
        for at in self._poisson(rate, 0, self.length):
            self.one(at, "GET", "/", raw="\x16\x03\x01\x02\r\n\r\n")

    def one(
        self,
        at: float,
        method: str,
        path: str,
        *,
        work: float = 0,
        status: int = 200,
        size: int = 300,
        fault: str = "none",
        patience: float = 400,
        partial: str = "",
        raw: str = "",
    ) -> None:
        """A single request."""
        rng = self.rng
        root = f"1-{rng.getrandbits(32):08x}-{rng.getrandbits(96):024x}"
        client = rng.randrange(400)
        agent = _AGENTS[client % len(_AGENTS)]
        path = path.replace("{n}", str(rng.randrange(1, 900)))
        asks = (at, root, method, path, client, agent, work, status, size, fault, patience, partial, raw)
        self._asks.append(Ask(*asks))

    def _poisson(self, rate: float, start: float, end: float) -> list[float]:
        found = []
        at = start + self.rng.expovariate(rate)
        while at < end:
            found.append(at)
            at += self.rng.expovariate(rate)
        return found
