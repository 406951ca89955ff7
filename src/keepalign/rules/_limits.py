"""Which limits on a path can cut a response, and what was declared of the requests. Shared by the rules, the
ladders and the solver."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from enum import Enum

from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting, value_of
from keepalign.model.source import OriginKind
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.rules._rule import balancer_of
from keepalign.units import Duration


class Measures(Enum):
    """What a limit runs against."""

    SILENCE = "no byte for this long"
    WHOLE = "from the request to the end of its response"


@dataclass(frozen=True, slots=True)
class Limit:
    """A timer that ends a response."""

    hop: Hop
    role: Role
    setting: Setting
    measures: Measures


def is_sync_worker(hop: Hop) -> bool:
    """Whether the handler timeout of `hop` limits a request; for gunicorn's other workers it is a heartbeat.

    gunicorn's default worker class is sync.
    """
    return hop.product is Product.GUNICORN and hop.traits.get("worker_class", "sync") == "sync"


def response_limits(path: RequestPath) -> tuple[Limit, ...]:
    """The limits of a path that can end a response, client side first, whatever their kind of setting."""
    limits: list[Limit] = []
    for hop in path.hops:
        read = hop.settings.get(Role.UPSTREAM_READ)
        if read is not None:
            limits.append(Limit(hop, Role.UPSTREAM_READ, read, Measures.SILENCE))
        worker = hop.settings.get(Role.HANDLER_TIMEOUT)
        if worker is not None and is_sync_worker(hop):
            limits.append(Limit(hop, Role.HANDLER_TIMEOUT, worker, Measures.WHOLE))
    return tuple(limits)


def limits_behind(path: RequestPath, hop: Hop) -> tuple[Limit, ...]:
    """The limits of the hops behind `hop`."""
    further_in = path.hops[path.hops.index(hop) + 1 :]
    return tuple(limit for limit in response_limits(path) if limit.hop in further_in)


def first_in_front(path: RequestPath, hop: Hop, waits: Duration) -> Limit | None:
    """The hop in front of `hop` that gives up on a silent response first, before `waits` have passed."""
    in_front = path.hops[: path.hops.index(hop)]
    known = [
        (value, limit)
        for limit in response_limits(path)
        if limit.hop in in_front and (value := value_of(limit.setting)) is not None and value < waits
    ]
    return min(known, key=lambda pair: pair[0])[1] if known else None


def proxies(path: RequestPath) -> tuple[Hop, ...]:
    """The hops behind the balancer (or at the very front) that wait for an answer of another."""
    return tuple(
        hop
        for hop in path.hops
        if hop.product is not Product.AWS_ALB and hop.settings.get(Role.UPSTREAM_READ) is not None
    )


def answer_of(hop: Hop) -> str:
    """The status that a balancer or proxy answers with when what is behind it stays silent.

    Measured: Apache httpd 2.4.71 says 502 "Error reading from remote server", nginx 1.22 says 504.
    """
    return "502" if hop.product is Product.APACHE_HTTPD else "504"


@dataclass(frozen=True, slots=True)
class Declared:
    """The longest of what was declared, and of which endpoint."""

    endpoint: Endpoint
    value: Duration
    option: str

    @property
    def setting(self) -> Explicit:
        """As a setting, so that it can stand on a ladder and in a finding."""
        origin = self.endpoint.origin
        # One origin holds the lines of all that an endpoint declares: take the line that says this.
        own = [step for step in origin.steps if step.what.startswith(self.option)]
        return Explicit(option=self.option, origin=replace(origin, steps=tuple(own)), value=self.value)

    @property
    def who(self) -> str:
        """The requests meant, in words; a plural where all of them are."""
        return "requests" if self._everyone else self.endpoint.path

    @property
    def longest_one(self) -> str:
        """The longest of the requests meant, in words; a singular."""
        return "the longest request" if self._everyone else self.endpoint.path

    @property
    def _everyone(self) -> bool:
        return self.endpoint.origin.kind is OriginKind.COMMAND_LINE or self.endpoint.path == "/"


def longest_silence(endpoints: Iterable[Endpoint]) -> Declared | None:
    """The longest declared silence; None when none is declared."""
    known = [
        Declared(e, e.longest_silence, "longest_silence") for e in endpoints if e.longest_silence is not None
    ]
    return max(known, key=lambda d: d.value, default=None)


def longest_request(endpoints: Iterable[Endpoint]) -> Declared | None:
    """The longest declared exchange.

    A silence is part of an exchange, so it counts where an endpoint declares nothing else.
    """
    known: list[Declared] = []
    for e in endpoints:
        if e.longest_request is not None:
            known.append(Declared(e, e.longest_request, "longest_request"))
        elif e.longest_silence is not None:
            known.append(Declared(e, e.longest_silence, "longest_silence"))
    return max(known, key=lambda d: d.value, default=None)


def all_requests(endpoints: Iterable[Endpoint]) -> Duration | None:
    """The longest exchange where every endpoint declares one (no silence lasts longer); None otherwise."""
    requests = [e.longest_request for e in endpoints]
    known = [request for request in requests if request is not None]
    return max(known, default=None) if len(known) == len(requests) else None


def cut_by(limit: Limit, endpoints: Iterable[Endpoint]) -> Declared | None:
    """The longest declared request (or silence) that `limit` can run against: what it must exceed."""
    return longest_silence(endpoints) if limit.measures is Measures.SILENCE else longest_request(endpoints)


def behind_same_balancer(path: RequestPath, stack: Stack) -> tuple[RequestPath, ...]:
    """The paths that begin at the balancer of `path`, itself included."""
    balancer = balancer_of(path)
    if balancer is None:
        return (path,)
    return tuple(p for p in stack.paths if (b := balancer_of(p)) is not None and b.name == balancer.name)


def same_target_group(path: RequestPath, stack: Stack) -> tuple[RequestPath, ...]:
    """The paths whose targets are deregistered together with those of `path`, itself included.

    One target group has one deregistration delay and one first server behind the balancer.
    """

    def key(p: RequestPath) -> tuple[object, ...]:
        return (p.lifecycle and p.lifecycle.deregistration_delay, [hop.name for hop in p.hops[:2]])

    return tuple(p for p in stack.paths if key(p) == key(path))


def endpoints_of(paths: Iterable[RequestPath]) -> tuple[Endpoint, ...]:
    """Every endpoint of the paths, each once, in order."""
    return tuple(dict.fromkeys(e for p in paths for e in p.endpoints))
