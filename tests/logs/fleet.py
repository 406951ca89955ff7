"""Target groups in a simple simulation: requests of all lengths on targets that stop, crash, drain and err.

Faster than real servers and wider in its parameters, but by the same authors as the judge: a floor of
difficulty, no proof. Times are in seconds since the window's start.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from random import Random
from typing import Final

from keepalign.model.observation import CounterKey, Deployment, LogRow, Timers, Window
from keepalign.units import Duration, Instant

GROUP: Final = "arn:aws:elasticloadbalancing:eu-central-1:123456789012:targetgroup/fleet/73e2d6bc24d8a067"
START: Final = 1_795_000_020
FOREVER: Final = 1e9
CLOSED: Final = "target-closed-mid-request"


@dataclass(slots=True)
class Target:
    """One target: from when it gets requests to when it gets none, and what happens to it.

    Args:
        routed: until then the balancer sends to it. up: pairs of from and to in which its server listens.
        cuts: instants at which everything in flight ends, and the cause of that.
    """

    name: str
    begins: float = 0.0
    routed: float = FOREVER
    down: list[tuple[float, float]] = field(default_factory=list)
    cuts: list[tuple[float, str]] = field(default_factory=list)


@dataclass(slots=True)
class Fleet:
    """A window in the making; `truth` holds the cause by row identity (its trace)."""

    rng: Random
    minutes: int
    rate: float
    long_share: float
    targets: list[Target]
    counters: Counter[CounterKey] = field(default_factory=Counter)
    rows: list[LogRow] = field(default_factory=list)
    truth: dict[str, str] = field(default_factory=dict)
    deployments: list[Deployment] = field(default_factory=list)
    timers: dict[str, Duration | bool] = field(default_factory=dict)
    addresses: int = 100
    start: int = START

    @property
    def length(self) -> float:
        """Of the window."""
        return self.minutes * 60.0

    def instant(self, at: float) -> Instant:
        """Since the epoch."""
        return Instant(self.start * 1_000_000 + round(at * 1e6))

    def new_target(self, begins: float) -> Target:
        """A target with an address of its own."""
        self.addresses += 1
        target = Target(f"10.0.{self.addresses % 5}.{self.addresses}:80", begins)
        self.targets.append(target)
        return target

    def count(self, at: float, target: str | None, elb: int, made: int | None) -> None:
        """One line in the counters."""
        self.counters[CounterKey(self.instant(at).us // 60_000_000, target, elb, made)] += 1

    def fail(
        self,
        cause: str,
        at: float,
        target: str | None,
        elb: int,
        made: int | None,
        *,
        times: tuple[float | None, float | None, float | None] = (None, None, None),
        elapsed: float = 0.0,
        path: str = "/",
        reason: str | None = None,
    ) -> None:
        """One error row, its cause, and its line in the counters."""
        trace = f"Root={len(self.rows):08x}"
        spent = [None if time is None else Duration(round(time * 1000) * 1000) for time in times]
        created = self.instant(at - elapsed)
        self.rows.append(
            LogRow(
                file="fleet.log",
                line=len(self.rows) + 1,
                type="http",
                time=self.instant(at),
                elb="app/fleet/1",
                client="192.0.2.1",
                client_port=self.rng.randrange(1024, 65536),
                target=target,
                request_time=spent[0],
                target_time=spent[1],
                response_time=spent[2],
                elb_status=elb,
                target_status=made,
                received_bytes=94,
                sent_bytes=0,
                request=f"GET http://fleet.example.com:80{path} HTTP/1.1",
                target_group=GROUP,
                trace_id=trace,
                created=Instant(created.us // 1000 * 1000),
                actions="forward",
                error_reason=reason,
            )
        )
        self.truth[trace] = cause
        self.count(at, target, elb, made)

    def closed(self, cause: str, at: float, target: str, waited: float, path: str) -> None:
        """A 502 for a connection that ended with a request outstanding."""
        self.fail(
            cause, at, target, 502, None, times=(0.001, waited, None), elapsed=waited + 0.001, path=path
        )

    def live(self) -> None:
        """Run the traffic: Poisson arrivals, a share of them long."""
        rng = self.rng
        for target in self.targets:
            at = target.begins
            end = min(self.length, target.routed)
            while (at := at + rng.expovariate(self.rate)) < end:
                long = rng.random() < self.long_share
                took = rng.uniform(1, 90) if long else rng.lognormvariate(-3.5, 1)
                path = (
                    "/report"
                    if long
                    else rng.choice(("/orders/", "/users/", "/items/")) + str(rng.randrange(9999))
                )
                if any(since <= at < until for since, until in target.down):
                    self.fail(
                        "target-connection-refused",
                        at + 0.001,
                        target.name,
                        502,
                        None,
                        elapsed=0.001,
                        path=path,
                    )
                    continue
                cut = next(((when, why) for when, why in target.cuts if at <= when < at + took), None)
                if cut is not None:
                    ended = cut[0] + rng.uniform(0, 0.02)
                    self.closed(cut[1], ended, target.name, ended - at, path)
                elif at + took < self.length:
                    self.count(at + took, target.name, 200, 200)

    def deploy(self, at: float, *, lag: float, feed: bool) -> list[Target]:
        """New targets come, then the old ones are deregistered, one after the other."""
        old = [target for target in self.targets if target.routed == FOREVER]
        for step, target in enumerate(old):
            self.new_target(at + 40 * step - self.rng.uniform(5, 30))
            gone = at + 40 * step
            target.routed = gone + lag
            if feed:
                self.deployments.append(Deployment(self.instant(gone), (target.name,), "events.json:1"))
        return old

    def window(self, *, configured: bool) -> Window:
        """As the judge gets it."""
        timers = Timers(**self.timers) if configured else Timers()  # type: ignore[arg-type] # names are its own
        self.rng.shuffle(self.rows)
        return Window(
            GROUP,
            self.counters,
            tuple(self.rows),
            timers,
            deployments=tuple(self.deployments) if configured else (),
            complete=True,
            elb="app/fleet/1",
        )


def incident(seed: int, *, later: int = 0) -> Fleet:
    """A window with one to three troubles, drawn from `seed`; all of it so many seconds later."""
    rng = Random(seed)
    fleet = Fleet(rng, rng.choice((8, 15, 30, 55)), rng.choice((0.5, 2.0, 5.0)), rng.choice((0.02, 0.1)), [])
    fleet.start += later
    for _ in range(rng.choice((2, 3, 4))):
        fleet.new_target(0.0)
    idle = rng.choice((60, 60, 120, 30))
    fleet.timers["idle_timeout"] = Duration.of(s=idle)
    stopping = rng.choice((_drain, _no_grace, _stop, _crash, None))
    slow = rng.sample((_silent, _worker, _proxy, _errors, _poison), rng.choice((0, 1, 2)))
    quick = rng.choice((_stale, _stale, _malformed, _margin_ok, None))
    other = rng.choice((_connect, _clients, _proxy_idle, _tls, None))
    for trouble in (stopping, *slow, quick, other):
        if trouble is not None:
            trouble(fleet, idle)
    fleet.live()
    return fleet


def _some(fleet: Fleet, least: int = 3, most: int = 40) -> list[float]:
    return sorted(fleet.rng.uniform(0, fleet.length) for _ in range(fleet.rng.randint(least, most)))


def _at(fleet: Fleet) -> Target:
    return fleet.rng.choice(fleet.targets)


def _live_at(fleet: Fleet, at: float) -> Target | None:
    able = [
        target
        for target in fleet.targets
        if target.begins + 1 < at < target.routed - 15
        and not any(since - 3 < at < until + 3 for since, until in target.down)
    ]
    return fleet.rng.choice(able) if able else None


def _path(fleet: Fleet) -> str:
    return fleet.rng.choice(("/orders/", "/users/", "/items/")) + str(fleet.rng.randrange(9999))


def _drain(fleet: Fleet, idle: int) -> None:
    delay = fleet.rng.choice((0, 5, 15, 30, 60))
    fleet.timers["deregistration_delay"] = Duration.of(s=delay)
    lag = min(delay, fleet.rng.uniform(0, 10))
    for target in fleet.deploy(fleet.length * fleet.rng.uniform(0.2, 0.6), lag=lag, feed=True):
        target.cuts.append((target.routed - lag + delay, "deregistration-below-longest-request"))


def _no_grace(fleet: Fleet, idle: int) -> None:
    fleet.timers["deregistration_delay"] = Duration.of(s=300)
    fleet.timers["graceful"] = False
    _stopped(fleet, 0.0, fleet.rng.uniform(0, 0.1), "no-graceful-shutdown")


def _stop(fleet: Fleet, idle: int) -> None:
    fleet.timers["deregistration_delay"] = Duration.of(s=300)
    fleet.timers["graceful"] = True
    timeout = fleet.rng.choice((10, 30))
    fleet.timers["stop_timeout"] = Duration.of(s=timeout)
    _stopped(fleet, 0.0, timeout, "stop-timeout-below-drain")


def _stopped(fleet: Fleet, down_after: float, cut_after: float, cause: str) -> None:
    """StopTask on some targets: deregistered and signalled at once, replaced afterwards."""
    lag = fleet.rng.uniform(0, 12)
    at = fleet.length * fleet.rng.uniform(0.2, 0.6)
    for target in fleet.targets[: fleet.rng.randint(1, 2)]:
        target.routed = at + lag
        target.down.append((at + down_after, FOREVER))
        target.cuts.append((at + cut_after, cause))
        fleet.deployments.append(Deployment(fleet.instant(at), (target.name,), "events.json:2"))
        fleet.new_target(at + fleet.rng.uniform(20, 60))
        at += fleet.rng.uniform(20, 90)


def _crash(fleet: Fleet, idle: int) -> None:
    comes_back = fleet.rng.random() < 0.6
    at = fleet.length * fleet.rng.uniform(0.15, 0.7)
    for target in fleet.targets[: fleet.rng.randint(1, 2)]:
        target.cuts.append((at, "target-closed-mid-request"))
        if comes_back:
            target.down.append((at, at + fleet.rng.uniform(0.5, 6)))
        else:
            target.down.append((at, FOREVER))
            target.routed = at + fleet.rng.uniform(10, 60)
            fleet.new_target(target.routed + fleet.rng.uniform(10, 40))
        at += fleet.rng.uniform(30, 200)


def _silent(fleet: Fleet, idle: int) -> None:
    for at in _some(fleet):
        if target := _live_at(fleet, at):
            late = fleet.rng.uniform(0, 0.01)
            fleet.fail(
                "lb-idle-below-response-time",
                at,
                target.name,
                504,
                None,
                times=(0.001, None, None),
                elapsed=idle + late,
                path="/export",
            )


def _worker(fleet: Fleet, idle: int) -> None:
    limit = fleet.rng.choice((10, 20, 25))
    fleet.timers["worker_timeout"] = Duration.of(s=limit)
    closes = fleet.rng.random() < 0.3
    for at in _some(fleet):
        if target := _live_at(fleet, at):
            took = limit + fleet.rng.uniform(0, 1.2)
            if closes:
                fleet.closed("app-worker-timeout-below-lb", at, target.name, took, "/sum")
            else:
                _made(fleet, "app-worker-timeout-below-lb", at, target, 500, took, "/sum")


def _made(fleet: Fleet, cause: str, at: float, target: Target, status: int, took: float, path: str) -> None:
    fleet.fail(
        cause, at, target.name, status, status, times=(0.001, took, 0.0), elapsed=took + 0.001, path=path
    )


def _proxy(fleet: Fleet, idle: int) -> None:
    limit, status = fleet.rng.choice((5, 15, 20)), fleet.rng.choice((502, 504))
    fleet.timers["proxy_read"] = Duration.of(s=limit)
    for at in _some(fleet, 2):
        if target := _live_at(fleet, at):
            _made(
                fleet,
                "proxy-read-below-app-timeout",
                at,
                target,
                status,
                limit + fleet.rng.uniform(0, 0.05),
                "/ask",
            )


def _errors(fleet: Fleet, idle: int) -> None:
    status = fleet.rng.choice((500, 500, 503, 502))
    for at in _some(fleet, 3, 60):
        if target := _live_at(fleet, at):
            took = fleet.rng.lognormvariate(-2, 1.5)
            _made(fleet, "target-generated-error", at, target, status, took, _path(fleet))


def _poison(fleet: Fleet, idle: int) -> None:
    for at in _some(fleet, 3, 15):
        if target := _live_at(fleet, at):
            fleet.closed(CLOSED, at, target.name, fleet.rng.uniform(0.3, 20), "/import")
            for _ in range(fleet.rng.choice((0, 0, 1, 3))):
                ended = at + fleet.rng.uniform(0, 0.02)
                fleet.closed(CLOSED, ended, target.name, fleet.rng.uniform(0.01, 3), _path(fleet))


def _stale(fleet: Fleet, idle: int) -> None:
    trip = fleet.rng.choice((0.001, 0.003, 0.02, 0.06))
    fleet.timers["keep_alive"] = Duration.of(s=fleet.rng.choice((5, 15, idle)))
    for at in _some(fleet, 4, 60):
        for _ in range(fleet.rng.choice((1, 1, 1, 2, 4))):
            if target := _live_at(fleet, at):
                took = fleet.rng.uniform(0, trip)
                fleet.closed("backend-keepalive-below-lb-idle", at + took, target.name, took, _path(fleet))


def _malformed(fleet: Fleet, idle: int) -> None:
    fleet.timers["keep_alive"] = Duration.of(s=idle + 15)
    took = fleet.rng.choice((0.004, 0.03, 0.3))
    for at in _some(fleet, 4, 60):
        if target := _live_at(fleet, at):
            wait = fleet.rng.lognormvariate(0, 0.4) * took
            fleet.closed(
                "target-malformed-response", at, target.name, wait, f"/pdf/{fleet.rng.randrange(999)}"
            )


def _margin_ok(fleet: Fleet, idle: int) -> None:
    fleet.timers["keep_alive"] = Duration.of(s=idle + 15)


def _connect(fleet: Fleet, idle: int) -> None:
    for at in _some(fleet, 2, 20):
        if target := _live_at(fleet, at):
            fleet.fail(
                "target-connect-timeout",
                at,
                target.name,
                504,
                None,
                elapsed=10 + fleet.rng.uniform(0, 0.01),
                path=_path(fleet),
            )


def _clients(fleet: Fleet, idle: int) -> None:
    for at in _some(fleet, 2, 20):
        if target := _live_at(fleet, at):
            fleet.fail(
                "client-timeout-below-response-time",
                at,
                target.name,
                460,
                None,
                times=(0.001, None, None),
                elapsed=fleet.rng.uniform(1, 9),
                path=_path(fleet),
            )
        fleet.fail("client-request-timeout", at, None, 408, None, elapsed=idle, path="/")
        fleet.fail("no-healthy-targets", at, None, 503, None, path="/")


def _proxy_idle(fleet: Fleet, idle: int) -> None:
    for at in _some(fleet, 4, 20):
        if target := _live_at(fleet, at):
            _made(
                fleet,
                "backend-keepalive-below-proxy-idle",
                at,
                target,
                502,
                fleet.rng.uniform(0.0005, 0.003),
                _path(fleet),
            )


def _tls(fleet: Fleet, idle: int) -> None:
    name = fleet.new_target(0.0)
    name.begins = FOREVER
    port = name.name.rpartition(":")[0] + ":443"
    for at in _some(fleet, 4, 20):
        took = fleet.rng.choice((0.004, 0.008, 10.002))
        fleet.fail("target-tls-failed", at, port, 502, None, elapsed=took, path=_path(fleet))
