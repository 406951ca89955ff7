"""No worker is killed while a legitimate request waits for its answer.

## What it detects

The time after which gunicorn kills a sync worker (`--timeout`, 30 s unless set) is not above a declared
request that has sent nothing by then: its `longest_silence`, or, where that is not declared, its
`longest_request`. Equal values count. Requests that send bytes before the limit strikes have a cause of
their own, `response-cut-by-total-timeout`.

Where nothing is declared the answer is unknown, even where the limit was set: a worker's limit below the
patience of the hops in front is good order, as it frees the worker before they give up.

When a hop in front gives up on the silent request even earlier, the finding says so and is of medium
severity: the limit shows only once that hop waits longer.

## Why it fails

A sync worker works on one request and reports to its master between requests, not during one. To the master a
worker at work for too long looks like one that hangs. With `--timeout 30` and a report that takes 45 s:

    0 s           the worker takes the request up; it is silent from now on
    30 to 31.2 s  the master, which looks once a second, sends the worker SIGABRT
    30 to 31.2 s  the worker gives up the request: it answers 500 and ends; the hops in front relay the 500
    31.3 s        a new worker starts, and loads the application anew

The balancer's access log shows a 500 of the target whose `target_processing_time` is nearly constant, and
gunicorn logs `WORKER TIMEOUT`. What users see depends on the version and on the code that runs:

| gunicorn | a silent request ends in |
| --- | --- |
| 22.0 and later | 500, sent by gunicorn |
| before 22.0 | a closed connection: 502, sent by the hop in front of gunicorn |
| any, inside C code that does not return | SIGKILL at the next look: 502, sent by the hop in front |

Behind Apache httpd "the hop in front" is nearly always the one before httpd, the balancer: httpd closes a
client connection that has carried a request before, where it would answer 502 on a fresh one.

## Example

gunicorn with its default `--timeout 30` behind an ALB at `idle_timeout = 60`, and a report that takes 45 s.

## Fix

Raise the limit above the longest request by a margin of 5 s or 10 %, whichever is more; the balancer and the
proxies in front have to wait longer than the request's silence as well.

| product | setting |
| --- | --- |
| gunicorn, sync workers | `--timeout 50` |

gunicorn's other worker classes (`gthread`, `gevent`, uvicorn's) report from a thread or loop of their own:
there `--timeout` ends a worker that hangs, and no request. uvicorn, hypercorn and Node.js by themselves have
no limit on how long an answer takes.

Better where the application can do it: answer 202 and let the client ask again; a sync worker that waits
serves nobody else.

## What it does not cover

Limits inside the application (databases, HTTP clients); memory limits and restarts after a number of
requests; worker limits of other servers.

## Sources

- gunicorn, `timeout`: <https://docs.gunicorn.org/en/stable/settings.html#timeout>
- gunicorn's source, `Arbiter.murder_workers`, `SyncWorker.handle`, `Worker.handle_abort`:
  <https://github.com/benoitc/gunicorn/tree/master/gunicorn>
- Elastic Load Balancing, access logs:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-access-logs.html>
- Measured with gunicorn 20.1, 21.2, 22.0, 23.0, 26.1 and 27.0; the newest in
  `tests/lab/test_limits_measured.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from keepalign.model.checked import Ok
from keepalign.model.finding import Ladder, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared, first_in_front, longest_request
from keepalign.rules._reuse import answers_closed
from keepalign.rules._rule import Outcome, Rule
from keepalign.rules._workers import SUPPLY, each_worker, major, silent_at, struck, worker_finding
from keepalign.units import Duration

SLUG: Final = "app-worker-timeout-below-lb"

_ANSWERS_SINCE: Final = 22
"""Since this release the exception that ends a request reaches the code that answers (commit 40232284)."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per worker limit of this path."""
    yield from each_worker(SLUG, path, partial(_judge, path))


def _judge(path: RequestPath, hop: Hop, setting: Setting, limit: Duration) -> Outcome:
    if longest_request(path.endpoints) is None:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"nobody declared how long requests take, and {hop.name} ({setting.option}) kills a worker"
            f" after {limit}",
            supply=SUPPLY,
            span=setting.origin.literal,
        )
    longest = silent_at(limit, path.endpoints)
    if longest is None:
        return Ok(
            SLUG, path.name, hop.name, f"{setting.option} {limit}: no declared request is silent that long"
        )
    symptom, severity = _symptom(path, hop, limit), Severity.HIGH
    first = first_in_front(path, hop, limit)
    if first is not None and longest.endpoint.longest_silence is not None:
        severity = Severity.MEDIUM
        hidden = f"hidden for as long as {first.hop.name} gives up first, after {value_of(first.setting)}"
        symptom = Symptom(symptom.status, symptom.sent_by, f"{symptom.text}; {hidden}")
    return worker_finding(
        SLUG, path, hop, setting, limit, longest,
        severity=severity,
        title=f"{hop.name} kills its worker before {_answered(longest)}",
        symptom=symptom,
    )  # fmt: skip


def _answered(longest: Declared) -> str:
    return f"{longest.longest_one} is answered"


def _symptom(path: RequestPath, hop: Hop, limit: Duration) -> Symptom:
    gunicorn = hop.product is Product.GUNICORN
    who = "gunicorn" if gunicorn else hop.name
    when = f"every time a request has no answer {struck(hop, limit)}: {who} kills its worker"
    version = major(hop)
    if gunicorn and (version is None or version >= _ANSWERS_SINCE):
        return Symptom("500", hop.name, f"{when}, and the hops in front relay its last words")
    in_front = path.hops[: path.hops.index(hop)]
    if not in_front:
        return Symptom("", "", f"a connection closed without an answer, {when}")
    sender = answers_closed(path, in_front[-1])
    return Symptom("502", sender, f"{when}, which closes the connection without an answer")


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.HANDLER_TIMEOUT, Role.UPSTREAM_READ),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
)
