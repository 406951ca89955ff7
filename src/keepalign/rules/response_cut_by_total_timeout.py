"""No hop limits the whole response to less than the longest response takes.

## What it detects

A limit that runs from the request to the end of its response, whether bytes flow or not, is not above the
`longest_request` of a declared request that is never silent for so long (its `longest_silence` is below the
limit). Equal values count. The one such limit that keepalign knows is that of gunicorn's sync workers
(`--timeout`, 30 s unless set). Where only a silence is declared the answer is unknown; where nothing is, or
the limit is not known, `app-worker-timeout-below-lb` asks for it.

## Why it fails

A sync worker reports to its master between requests, not during one; what it sends to the client is no sign
of life to the master. With `--timeout 30` and an export that sends a row at least every second, for 45 s:

    0 s           the worker takes the request up
    0.1 s         the head of the response is sent: status 200
    30 to 31.2 s  the master, which looks once a second, kills the worker in the middle of the body
    30 to 31.2 s  the connection ends without the last chunk, or with less than Content-Length

The client has a 200 and a part of the body. No hop can take the status back, so this never shows as a 5xx:
the balancer's access log has a 200 with few `sent_bytes`, and a client that checks neither the length nor the
last chunk takes the part for the whole. gunicorn logs `WORKER TIMEOUT`.

gunicorn 22 to 26 do worse: the dying worker writes its error page, status line and all, into the body. Where
the response has a `Content-Length`, the page fills up what is missing of it, and the client gets a response
of the right length with the wrong end.

It is the total that counts, and only here. `Timeout` and `ProxyTimeout` of Apache httpd, `proxy_read_timeout`
of nginx and the idle timeout of an ALB limit silence: a response that sends a byte every 0.3 s passes an
Apache with `Timeout 1` whole.

## Example

gunicorn with its default `--timeout 30` and sync workers, in front of an export that streams for 45 s.

## Fix

Raise the limit above the longest request by a margin of 5 s or 10 %, whichever is more; or use a worker class
whose limit is a sign of life of the worker, not of the request.

| product | setting |
| --- | --- |
| gunicorn, sync workers | `--timeout 50` |
| gunicorn, threads | `--worker-class gthread --threads 8`; its keep-alive timeout matters then |

## What it does not cover

Limits on silence; a client that stops reading; lifetimes of connections; deploys, which cut streams too and
have causes of their own.

## Sources

- gunicorn, `timeout`: <https://docs.gunicorn.org/en/stable/settings.html#timeout>
- gunicorn's source, `SyncWorker.handle_request`:
  <https://github.com/benoitc/gunicorn/blob/master/gunicorn/workers/sync.py>
- RFC 9112, section 8, handling incomplete messages: <https://www.rfc-editor.org/rfc/rfc9112#section-8>
- Apache httpd, `Timeout`: <https://httpd.apache.org/docs/2.4/mod/core.html#timeout>
- Measured with gunicorn 20.1, 21.2, 22.0, 23.0, 26.1 and 27.0 and with Apache httpd 2.4.71; the newest in
  `tests/lab/test_limits_measured.py`
"""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Ladder, Severity, Symptom, Undecided
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Disabled, Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import longest_request
from keepalign.rules._rule import Outcome, Rule
from keepalign.rules._workers import SUPPLY, each_worker, major, streaming_at, struck, worker_finding
from keepalign.units import Duration

SLUG: Final = "response-cut-by-total-timeout"

_ASKED_BY: Final = "app-worker-timeout-below-lb"
"""The rule that asks for the same declarations; one unknown for each worker is enough."""

_WRITES_INTO_BODY: Final = range(22, 27)
"""Releases whose dying worker writes an error page behind the bytes that it has sent."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per worker limit of this path, and one per proxy that limits a whole exchange."""
    totals = [
        (hop, limit) for hop in path.hops if (limit := hop.settings.get(Role.UPSTREAM_TOTAL)) is not None
    ]
    if not totals or any(Role.HANDLER_TIMEOUT in hop.settings for hop in path.hops):
        yield from each_worker(SLUG, path, partial(_judge, path), told_by=_ASKED_BY)
    for hop, limit in totals:
        yield _of_total(path, hop, limit)


def _of_total(path: RequestPath, hop: Hop, setting: Setting) -> Outcome:
    limit = value_of(setting)
    if isinstance(setting, Unlimited | Disabled) or (limit is not None and not limit):
        return Ok(SLUG, path.name, hop.name, f"{hop.name} ({setting.option}) limits no whole response")
    if limit is None:
        text = f"when {hop.name} ends a response is unknown: see proxy-read-below-app-timeout"
        return NotApplicable(SLUG, path.name, hop.name, text)
    longest = streaming_at(limit, path.endpoints)
    if longest is None:
        if longest_request(path.endpoints) is None:
            return NotApplicable(
                SLUG, path.name, hop.name, "no request is declared: see proxy-read-below-app-timeout"
            )
        return Ok(SLUG, path.name, hop.name, f"{setting.option} {limit}: no declared response streams longer")
    return worker_finding(
        SLUG, path, hop, setting, limit, longest,
        severity=Severity.HIGH,
        title=f"{hop.name} cuts {longest.longest_one} off in the middle of the response",
        symptom=Symptom(
            "200", hop.name,
            f"with a body cut short, every time a response still streams after {limit}; no log shows a 5xx",
        ),
        role=Role.UPSTREAM_TOTAL,
        does="ends the whole exchange",
    )  # fmt: skip


def _judge(path: RequestPath, hop: Hop, setting: Setting, limit: Duration) -> Outcome:
    longest = streaming_at(limit, path.endpoints)
    if longest is None:
        # A silence beyond the limit ends a request before it is done, so its whole length does not matter.
        undeclared = [
            e
            for e in path.endpoints
            if e.longest_request is None and (e.longest_silence is None or e.longest_silence < limit)
        ]
        if longest_request(path.endpoints) is None:
            return NotApplicable(SLUG, path.name, hop.name, f"no request is declared: see {_ASKED_BY}")
        if undeclared:
            return Undecided(
                cause=SLUG,
                path=path.name,
                hop=hop.name,
                reason="nobody declared how long whole responses take, and"
                f" {hop.name} ({setting.option}) ends them after {limit}",
                supply=SUPPLY,
                span=setting.origin.literal,
            )
        return Ok(SLUG, path.name, hop.name, f"{setting.option} {limit}: no declared response streams longer")
    text = (
        f"with a body cut short, every time a response still streams {struck(hop, limit)}; no log shows a 5xx"
    )
    if major(hop) in _WRITES_INTO_BODY:
        text += f", and gunicorn {hop.version} writes an error page into the body"
    return worker_finding(
        SLUG, path, hop, setting, limit, longest,
        severity=Severity.HIGH,
        title=f"{hop.name} cuts {longest.longest_one} off in the middle of the response",
        symptom=Symptom("200", hop.name, text),
    )  # fmt: skip


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.HANDLER_TIMEOUT,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
)
