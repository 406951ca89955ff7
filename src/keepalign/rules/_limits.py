"""Which limits on a path can cut a response, and what was declared of the requests. Shared by the rules, the
ladders and the solver."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from enum import Enum
from functools import lru_cache
from typing import Final

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


UNKNOWN_CLASS: Final = "*"
"""The worker class of gunicorn where the command line does not settle it."""


def is_sync_worker(hop: Hop) -> bool:
    """Whether the handler timeout of `hop` limits a request; for gunicorn's other workers it is a heartbeat.

    gunicorn's default worker class is sync.
    """
    return hop.product is Product.GUNICORN and hop.traits.get("worker_class", "sync") == "sync"


_KILLERS: Final = frozenset({Product.PHP_FPM, Product.UWSGI})
_CUTTERS: Final = frozenset({Product.CADDY, Product.GO, Product.TRAEFIK})
_WRITES_ONLY: Final = ("fasthttp", "fiber")
_IN_FRONT: Final = frozenset({Product.AWS_ALB, Product.AWS_CLOUDFRONT, Product.AWS_NLB})


def kills_worker(hop: Hop) -> bool:
    """Whether the handler timeout of `hop` ends a request by killing the worker that serves it."""
    return is_sync_worker(hop) or hop.product in _KILLERS


def may_kill_worker(hop: Hop) -> bool:
    """Whether only its worker class, which is not known, decides that a handler timeout limits requests."""
    return hop.product is Product.GUNICORN and hop.traits.get("worker_class") == UNKNOWN_CLASS


def cuts_request(hop: Hop) -> bool:
    """Whether the handler timeout of `hop` closes the connection of a request that is still worked on.

    Go's `WriteTimeout`, from the end of the request's head to the end of the response
    (<https://pkg.go.dev/net/http#Server>); Traefik and Caddy set the same field. That of fasthttp begins when
    the handler has returned (<https://pkg.go.dev/github.com/valyala/fasthttp#Server>).
    """
    limit = hop.settings.get(Role.HANDLER_TIMEOUT)
    return hop.product in _CUTTERS and not (limit and limit.option.startswith(_WRITES_ONLY))


def silence_limits(hop: Hop) -> tuple[tuple[Role, Setting], ...]:
    """The limits of `hop` as a server on silence while a request is worked on, whatever their kind.

    Node.js `server.timeout` (<https://nodejs.org/api/http.html#servertimeout>) and Undertow's `IDLE_TIMEOUT`
    count no byte in either direction; Envoy's `stream_idle_timeout` none of one stream.
    """
    match hop.product:
        case Product.NODEJS | Product.UNDERTOW:
            roles: tuple[Role, ...] = (Role.SERVER_BODY_READ,)
        case Product.ENVOY:
            roles = (Role.STREAM_IDLE,)
        case _:
            roles = ()
    return tuple((role, setting) for role in roles if (setting := hop.settings.get(role)) is not None)


def response_limits(path: RequestPath) -> tuple[Limit, ...]:
    """The limits of a path that can end a response, client side first, whatever their kind of setting."""
    limits: list[Limit] = []
    for hop in path.hops:
        limits += [Limit(hop, role, setting, Measures.SILENCE) for role, setting in silence_limits(hop)]
        read = hop.settings.get(Role.UPSTREAM_READ)
        if read is not None:
            limits.append(Limit(hop, Role.UPSTREAM_READ, read, Measures.SILENCE))
        whole = hop.settings.get(Role.UPSTREAM_TOTAL)
        if whole is not None:
            limits.append(Limit(hop, Role.UPSTREAM_TOTAL, whole, Measures.WHOLE))
        worker = hop.settings.get(Role.HANDLER_TIMEOUT)
        if worker is not None and (kills_worker(hop) or cuts_request(hop)):
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
    roles = (Role.UPSTREAM_READ, Role.UPSTREAM_TOTAL)
    return tuple(
        hop
        for hop in path.hops
        if hop.product not in _IN_FRONT and any(hop.settings.get(role) is not None for role in roles)
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
    return _together(_Paths(stack.paths)).get(_target_group(path), (path,))


def _target_group(path: RequestPath) -> tuple[object, ...]:
    balancer = balancer_of(path)
    first = path.hops.index(balancer) if balancer is not None else 0
    delay = path.lifecycle and path.lifecycle.deregistration_delay
    return (delay, *(hop.name for hop in path.hops[first : first + 2]))


class _Paths:
    """The paths of one stack; the same for a cache only when it is that very tuple."""

    __slots__ = ("paths",)

    def __init__(self, paths: tuple[RequestPath, ...]) -> None:
        self.paths = paths

    def __hash__(self) -> int:
        return id(self.paths)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Paths) and self.paths is other.paths


@lru_cache(maxsize=2)
def _together(of: _Paths) -> Mapping[tuple[object, ...], tuple[RequestPath, ...]]:
    """Every path asks for its own group: with hundreds of paths, going through all for each is too much."""
    found: dict[tuple[object, ...], list[RequestPath]] = {}
    for path in of.paths:
        found.setdefault(_target_group(path), []).append(path)
    return {key: tuple(paths) for key, paths in found.items()}


def endpoints_of(paths: Iterable[RequestPath]) -> tuple[Endpoint, ...]:
    """Every endpoint of the paths, each once, in order."""
    return tuple(dict.fromkeys(e for p in paths for e in p.endpoints))
