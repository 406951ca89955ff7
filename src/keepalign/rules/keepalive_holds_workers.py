"""Idle connections leave enough of the web server free for requests.

## What it detects

The first server behind the balancer is Apache httpd, an idle connection holds a part of it for longer
than Apache's own default of 5 s, and few new connections a second are enough to hold all of it:

| MPM | an idle connection holds | and there are | counts below |
| --- | --- | --- | --- |
| prefork | a process | `MaxRequestWorkers` (256) | 10 a second |
| worker | a thread | `MaxRequestWorkers` (400) | 10 a second |
| event | a connection | (`AsyncRequestWorkerFactor` + 1) × `MaxRequestWorkers` (3 × 400) | 1 a second |

The number is that of the third column divided by how long an idle connection is held: the keep-alive
timeout, or the balancer's idle timeout where that is shorter. The lines at 10 and 1 a second are
keepalign's own, and not measured: below them it is worth to look at the traffic, which no configuration
states. So this is an advice, of low severity. Other servers wait for idle connections in an event loop,
where they hold no worker.

## Why it fails

It is a side effect of a cure: the keep-alive timeout was raised above the balancer's idle timeout. With
prefork, 150 processes and a keep-alive timeout of 75 s behind an ALB at 60 s:

    0 s     a burst: one node of the balancer opens 100 connections, re-uses them, and keeps them for 60 s
    20 s    another burst, through a node in another zone: it knows nothing of those 100, and opens 60 more
    20 s    50 of them find a process; 10 are accepted by the kernel, and nobody reads from them
    60 s    the first node closes connections that stayed idle; the 10 requests go on, or have become 504s

The sum of all pools counts: AWS documents at least one node in each zone, and that each has a pool of
its own is inferred from it. Measured with 10 processes, 10 idle connections and a keep-alive timeout of 3 s:
the 11th connection waited 5.0 s, the timeout and two seconds in which Apache lingers. With the event
MPM, 5 threads and 20 connections, 13 were answered and 7 waited. So 502s become 504s.

## Example

`LoadModule mpm_prefork_module`, `MaxRequestWorkers 150`, `KeepAliveTimeout 75`.

## Fix

Do not lower the keep-alive timeout again: the 502s would come back. Instead

- use the event MPM (`LoadModule mpm_event_module modules/mod_mpm_event.so`), unless a module in the
  process, such as mod_php, needs prefork; with PHP, move to PHP-FPM;
- or raise `MaxRequestWorkers` (for prefork `ServerLimit` with it) as far as memory allows;
- or lower the balancer's idle timeout and the keep-alive timeout together, as far as the longest
  silence of a response allows.

## What it does not cover

Traffic: how many requests are in flight at once decides, and the pools of a balancer are never larger
than that peak. Idle connections of clients that reach the server without a balancer. gunicorn's gevent
workers, whose `worker_connections` (1000) count idle connections too.

## Sources

- Apache httpd, `KeepAliveTimeout`: <https://httpd.apache.org/docs/2.4/mod/core.html#keepalivetimeout>
- Apache httpd, `MaxRequestWorkers`: <https://httpd.apache.org/docs/2.4/mod/mpm_common.html#maxrequestworkers>
- Apache httpd, `AsyncRequestWorkerFactor`:
  <https://httpd.apache.org/docs/2.4/mod/event.html#asyncrequestworkerfactor>
- Elastic Load Balancing, "How Elastic Load Balancing works":
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/userguide/how-elastic-load-balancing-works.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._rule import (
    Outcome,
    Rule,
    closes_after_response,
    confidence_of,
    located,
    supply,
)

SLUG: Final = "keepalive-holds-workers"

# What Apache documents where nobody writes them ("mpm_common", "event", 2.4): the processes of prefork, the
# threads of the others, threads per process, processes, and places per idle thread.
_WORKERS: Final = {"prefork": 256, "worker": 400, "event": 400}
_THREADS_PER_CHILD: Final = 25
_SERVER_LIMIT: Final = {"prefork": 256, "worker": 16, "event": 16}
_ASYNC_FACTOR: Final = 2.0

_ENOUGH_PER_SECOND: Final = {"prefork": 10.0, "worker": 10.0, "event": 1.0}
"""New idle connections a second that a server should be able to hold. Our own lines: see the page."""

_HELD: Final = {"prefork": "processes", "worker": "threads", "event": "connections"}


@dataclass(frozen=True, slots=True)
class Room:
    """How many idle connections Apache can hold, and how that comes about, in words."""

    connections: int
    text: str


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the first server behind the balancer."""
    link = next((link for link in path.links if link.downstream.product is Product.AWS_ALB), None)
    if link is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no server behind a load balancer")
        return
    balancer, server = link.downstream, link.upstream
    keep = server.settings.get(Role.SERVER_IDLE)
    if no_reuse := closes_after_response(server, keep):
        yield NotApplicable(SLUG, path.name, server.name, no_reuse)
    elif server.product is not Product.APACHE_HTTPD:
        yield NotApplicable(
            SLUG, path.name, server.name,
            f"{server.name} ({defaults.load(server.product).label}) waits for idle connections in an event"
            " loop, where they hold no worker",
        )  # fmt: skip
    else:
        yield _of_apache(path, balancer, server, keep)


def _of_apache(path: RequestPath, balancer: Hop, server: Hop, keep: Setting | None) -> Outcome:
    reuse = balancer.settings.get(Role.UPSTREAM_POOL_IDLE)
    if keep is None or (value_of(keep) is None and not isinstance(keep, Unlimited)):
        reason = f"how long {server.name} keeps an idle connection is unknown" + (
            f": {why}" if (why := getattr(keep, "reason", "")) else ""
        )
        return _undecided(path, server, reason, supply(keep, server.product))
    # The side that closes first ends it: behind a cured path that is the balancer.
    ends = [(v, s) for s in (keep, reuse) if s is not None and (v := value_of(s)) is not None]
    if not ends:
        reason = f"neither {server.name} nor {balancer.name} is known to close an idle connection"
        return _undecided(path, server, reason, supply(reuse, balancer.product))
    held, setting = min(ends, key=lambda pair: pair[0])
    usual = defaults.load(Product.APACHE_HTTPD).row("KeepAliveTimeout").default
    assert usual is not None  # defaults/apache_httpd.toml has it
    if held <= usual:
        text = f"an idle connection ends after {held} ({setting.option}), no later than by Apache's default"
        return Ok(SLUG, path.name, server.name, text)
    mpm = server.traits.get("mpm", "")
    if mpm not in _HELD:
        return _undecided(
            path, server,
            f"which MPM {server.name} runs is unknown, and it decides what idle connections hold",
            "give keepalign the file whose LoadModule line says which MPM runs",
        )  # fmt: skip
    room = _room(server, mpm)
    if room is None:
        return _undecided(
            path, server, f"how many connections {server.name} serves at once is unknown",
            "write the numbers of MaxRequestWorkers and its kind into the configuration, or give keepalign"
            " the folder of the file that was not read",
        )  # fmt: skip
    per_second = room.connections / held.seconds
    text = (
        f"{room.text} / {held} ({setting.option}): more than {_rate(per_second)} new connections a second"
        " that stay idle hold them all"
    )
    if per_second >= _ENOUGH_PER_SECOND[mpm]:
        return Ok(SLUG, path.name, server.name, text)
    return Finding(
        cause=SLUG,
        title=f"idle connections can hold all {room.connections} {_HELD[mpm]} of {server.name}",
        severity=Severity.LOW,
        confidence=confidence_of([(server, keep), (balancer, setting)], [server]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "504",
            balancer.name,
            f"when idle connections hold all {_HELD[mpm]}: a new connection then waits until one of them"
            f" ends, up to {held} and two seconds",
        ),
        arithmetic=text,
        hop=server.name,
        path=path.name,
        locations=(
            located(setting, f"an idle connection ends after {held}", server.place),
            *(
                [located(keep, f"{server.name} would keep it for {value_of(keep)}", server.place)]
                if setting is not keep and value_of(keep) is not None
                else []
            ),
        ),
        margin=usual - held,
    )


def _undecided(path: RequestPath, server: Hop, reason: str, how: str) -> Undecided:
    return Undecided(
        cause=SLUG, path=path.name, hop=server.name, reason=reason, supply=how, span=server.place
    )


def _rate(per_second: float) -> str:
    """For people."""
    return f"{int(per_second)}" if per_second >= 1 else f"{per_second:.1g}"


def _room(server: Hop, mpm: str) -> Room | None:
    """None where one of the counts that decide is not known."""
    workers = _count(server, "max_request_workers", _WORKERS[mpm])
    limit = _count(server, "server_limit", _SERVER_LIMIT[mpm])
    threads = 1.0 if mpm == "prefork" else _count(server, "threads_per_child", _THREADS_PER_CHILD)
    factor = _count(server, "async_request_worker_factor", _ASYNC_FACTOR) if mpm == "event" else 0.0
    if workers is None or limit is None or threads is None or factor is None or threads < 1:
        return None
    # httpd starts whole processes, no more than ServerLimit.
    served = int(min(workers // threads, limit) * threads)
    places = int(served * (factor + 1))
    if limit * threads < workers:
        said = f"ServerLimit {limit:g}" + (f" × ThreadsPerChild {threads:g}" if mpm != "prefork" else "")
    else:
        by_default = "" if "max_request_workers" in server.traits else ", the default"
        said = f"MaxRequestWorkers {workers:g}{by_default}"
    if mpm != "event":
        return Room(places, f"{places} {_HELD[mpm]} ({said})")
    return Room(places, f"{places} {_HELD[mpm]} (AsyncRequestWorkerFactor {factor:g} + 1, {said})")


def _count(server: Hop, trait: str, default: float) -> float | None:
    """A count of the server; None where it is written but not resolved."""
    text = server.traits.get(trait)
    if text is None:
        return float(default)
    return float(text) if text.replace(".", "", 1).isdigit() else None


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.IDLE,
    roles=(Role.SERVER_IDLE, Role.UPSTREAM_POOL_IDLE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
    unprovable=(
        "the traffic decides, and a configuration does not state it; "
        "`keepalign lab run keepalive-holds-workers` sends a burst that holds every process"
    ),
)
