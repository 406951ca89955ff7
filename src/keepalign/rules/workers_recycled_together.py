"""Workers are replaced one after the other, not all at once.

## What it detects

Several workers that are each replaced after the same number of requests, without jitter: gunicorn
`--max-requests` without `--max-requests-jitter`, and the same of hypercorn and uvicorn. The severity is low.

## Why it fails

All workers begin together, and the kernel spreads connections evenly over them. So they reach the number
together, too:

    0 s      4 workers start, each for 1,000 requests
    100 s    at 40 requests a second, each of them has served 1,000 within some seconds of the others
    100 s    all four finish what they have in hand, end, and are started again
    101 s    nobody accepts: requests wait in the backlog while 4 interpreters import the application

What is a pause of a second with a small application is one of half a minute with a large one, and then the
health check fails as well.

## Example

    gunicorn --workers 4 --max-requests 1000 app:app

## Fix

| product | setting |
| --- | --- |
| gunicorn, hypercorn | `--max-requests-jitter`, a tenth of `--max-requests` or more |
| uvicorn | `--limit-max-requests-jitter`, where its version has it |

## What it does not cover

How long a worker takes to start. Several containers that began together, each with one worker: jitter helps
them as well.

## Sources

- gunicorn, `max_requests_jitter`:
  <https://docs.gunicorn.org/en/stable/settings.html#max-requests-jitter>
- hypercorn, configuring: <https://hypercorn.readthedocs.io/en/latest/how_to_guides/configuring.html>
- uvicorn, resource limits: <https://www.uvicorn.org/settings/#resource-limits>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Severity, Symptom, Undecided
from keepalign.model.path import Hop, RequestPath, Stack
from keepalign.rules._reuse import answers_clients
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.rules.recycled_worker_drops_connections import recycles_after
from keepalign.units import ZERO

SLUG: Final = "workers-recycled-together"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per hop that recycles its workers."""
    hops = [hop for hop in path.hops if recycles_after(hop)]
    if not hops:
        yield NotApplicable(SLUG, path.name, path.hops[-1].name, "no server on it replaces its workers")
    for hop in hops:
        yield _of_hop(path, hop)


def _of_hop(path: RequestPath, hop: Hop) -> Outcome:
    count, workers = recycles_after(hop), hop.traits.get("workers", "")
    jitter = hop.traits.get("recycle_jitter", "")
    if jitter not in ("", "0"):
        return Ok(SLUG, path.name, hop.name, f"the ends of its workers are spread over {jitter} requests")
    if workers in ("0", "1"):
        return Ok(SLUG, path.name, hop.name, f"{hop.name} has one worker")
    if not workers or not jitter:
        missing = "how many workers it has" if not workers else "what spreads their ends"
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"{hop.name} replaces a worker after {count} requests; {missing} is not known",
            supply="write --workers and the jitter where the server is started",
            span=hop.place,
        )
    return Finding(
        cause=SLUG,
        title=f"all {workers} workers of {hop.name} are replaced at about the same time",
        severity=Severity.LOW,
        confidence=confidence_of([], [hop]),
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "504",
            answers_clients(path).name,
            "at worst, while the workers start again; mostly a pause without error",
        ),
        arithmetic=f"{workers} workers end after {count} requests each, with a jitter of 0",
        hop=hop.name,
        path=path.name,
        locations=(Location(hop.place, f"{hop.name} replaces each worker after {count} requests"),),
        margin=ZERO,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.SHUTDOWN,
    roles=(),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's application starts at once, so that nothing waits for its workers",
    unprovable="the lab's application starts at once, so that nothing waits for its workers",
)
