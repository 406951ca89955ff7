"""A number is written in the unit that its option counts in.

## What it detects

Values that make sense in the other unit only:

- below one second in an option that counts milliseconds, for a timer that nobody wants so short: how long a
  server keeps idle connections and waits for a request, how long a pool keeps them, how long a stop waits;
- whole thousands of seconds, 5,000 and more, in an option that counts seconds: 65,000 is what 65 s are in
  milliseconds, and as seconds it is 18 hours. Whole hours are left out.

It is an advice of low severity: what the value does is found by the other rules.

## Why it fails

Node.js, Tomcat and HAProxy count in milliseconds, nginx, Apache, gunicorn and load balancers in seconds,
and a bare number does not say so:

    server.keepAliveTimeout = 65

    0 s       the response has been sent
    0.066 s   the server closes; the balancer re-uses the connection for 60 s: 502

The other way round nothing fails at once: connections pile up, and a stop waits for them.

## Example

`server.keepAliveTimeout = 65`, or `gunicorn --keep-alive 75000`.

## Fix

Write the number in the unit of the option, or with a unit where the product takes one.

| product | counts in | takes a unit |
| --- | --- | --- |
| Node.js, Tomcat, Jetty, Undertow | milliseconds | no (Spring Boot's properties do: `60s`) |
| HAProxy | milliseconds | yes: `60s` |
| nginx | seconds | yes: `60s`, `500ms` |
| Apache httpd | seconds | where its page says so: `500ms` |
| gunicorn, uvicorn, hypercorn, Puma | seconds | no |

## What it does not cover

Numbers that are likely in both units. Environment variables of an application's own.

## Sources

- Node.js, `server.keepAliveTimeout`: <https://nodejs.org/api/http.html#serverkeepalivetimeout>
- Tomcat, HTTP connector: <https://tomcat.apache.org/tomcat-10.1-doc/config/http.html>
- gunicorn, settings: <https://docs.gunicorn.org/en/stable/settings.html#keepalive>
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Severity, Symptom
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting
from keepalign.model.source import OriginKind, Unit
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of, located
from keepalign.units import ZERO, Duration

SLUG: Final = "timeout-in-wrong-unit"

_SECOND: Final = Duration.of(s=1)
_HOUR: Final = Duration.of(s=3600)
_LEAST_THOUSANDS: Final = Duration.of(s=5000)

_UNIT: Final = re.compile(r"\d\s*(?:us|ms|s|m|min|h|d)\b")
"""Whoever writes a unit knows which one."""

_NEVER_SHORT: Final = frozenset({
    Role.SERVER_IDLE, Role.SERVER_HEADER_READ, Role.SERVER_REQUEST_READ, Role.UPSTREAM_POOL_IDLE,
    Role.SHUTDOWN_GRACE,
})  # fmt: skip
"""Timers of which less than a second is a mistake; a read or connect timeout may well be as short."""


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """A finding per suspicious value; else one outcome for the path."""
    written = [
        (hop, role, setting)
        for hop in path.hops
        for role, setting in hop.settings.items()
        if isinstance(setting, Explicit) and setting.origin.kind is OriginKind.FILE
    ]
    if not written:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no timer on this path is written in a file")
        return
    findings = [f for one in written if (f := _of_setting(path, *one)) is not None]
    yield from findings
    if not findings:
        yield Ok(SLUG, path.name, path.hops[0].name, "every value is likely in the unit of its option")


def meant_unit(hop: Hop, role: Role, setting: Explicit) -> Unit | None:
    """The unit that the number of `setting` was likely meant in; None where that is the one that it has."""
    if any(_UNIT.search(step.what) for step in setting.origin.steps):
        return None
    value, unit = setting.value, unit_of(hop, setting)
    if unit is Unit.MILLISECONDS and role in _NEVER_SHORT and ZERO < value < _SECOND:
        return Unit.SECONDS
    return Unit.MILLISECONDS if unit is Unit.SECONDS and _looks_like_milliseconds(value) else None


def _of_setting(path: RequestPath, hop: Hop, role: Role, setting: Explicit) -> Finding | None:
    value = setting.value
    match meant_unit(hop, role, setting):
        case Unit.SECONDS:
            count, meant, word, other = value.us // 1000, value * 1000, "milliseconds", "seconds"
        case Unit.MILLISECONDS:
            count, meant, word, other = value.us // 1_000_000, value / 1000, "seconds", "milliseconds"
        case None:
            return None
    return Finding(
        cause=SLUG,
        title=f"{setting.option} of {hop.name} looks like a number of {other}",
        severity=Severity.LOW,
        confidence=confidence_of([(hop, setting)]),
        ladder=Ladder.IDLE,
        symptom=Symptom(
            "", "", "as other findings on this value say; where there are none, connections pile up"
        ),
        arithmetic=f"{setting.option} counts {word}: {count} is {value}, not {meant}",
        hop=hop.name,
        path=path.name,
        locations=(located(setting, f"{hop.name}: {setting.option} is {value}", hop.place),),
        margin=ZERO,
    )


def _looks_like_milliseconds(value: Duration) -> bool:
    thousands = not value.us % 1_000_000_000
    return value >= _LEAST_THOUSANDS and thousands and bool(value.us % _HOUR.us)


def unit_of(hop: Hop, setting: Setting) -> Unit | None:
    """The unit of a bare number in `setting`; None for an option that has no documented row."""
    rows = [row for row in defaults.load(hop.product).rows if row.option == setting.option]
    if rows:
        return rows[0].unit
    return setting.site.unit if setting.site is not None else None


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.IDLE,
    roles=tuple(sorted(_NEVER_SHORT)),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="what such a value does, the scenarios of other causes show",
    unprovable="what such a value does, the other findings show",
)
