"""The stop signal reaches the server.

## What it detects

What stands between process 1 of the container, which alone gets the stop signal, and the server.

- An entrypoint script that starts the server without `exec`.
- The shell form of `CMD` or `ENTRYPOINT`, or `sh -c`, in an image whose `/bin/sh` waits for its command.
- `npm start` or `npm run`, where npm runs the script with such a shell.

Not every shell stays. Debian's dash does, whatever it runs; bash and BusyBox' ash (Alpine) give their place
to the last command of `-c`, as `exec` does. Which shell it is follows from the image; where it does not,
and for yarn, pnpm and scripts with a `trap`, the rule says unknown. A container that gets its signal only
after the one in front of it has ended (`dependsOn`) has nothing in flight by then, and is in order.

## Why it fails

A shell that waits for its command does nothing on SIGTERM: as process 1 it has no handler, and passes
nothing on. The server works on as if nothing had happened, and its grace is never used:

    0 s    an export of 45 s starts
    10 s   the task is stopped: the shell gets SIGTERM and ignores it; the server knows of nothing
    40 s   stopTimeout is over: SIGKILL for all processes of the container
    40 s   the balancer's connection is cut: 502

npm does pass SIGTERM on, to its `sh -c`. That shell is not process 1, so it ends; npm ends with it, and with
process 1 the container: the server is killed at once, whatever its grace and the stop timeout are.

Behind a drain that is over nothing is in flight any more, so a rolling update loses no request; it takes the
whole stop timeout for each task. Requests are cut wherever the signal comes without that wait: a Spot
interruption, `StopTask`, a crash of another container of the task. That is why the severity is medium.

## Example

    CMD gunicorn --bind :8000 app:app

in an image `FROM python:3.12-slim`.

## Fix

| what stands there | what helps |
| --- | --- |
| shell form | the exec form: `CMD ["gunicorn", "--bind", ":8000", "app:app"]` |
| a shell that is needed for variables | `CMD ["sh", "-c", "exec gunicorn --bind :$PORT app:app"]` |
| a script | `exec` in front of its last command: `exec gunicorn "$@"` |
| `npm start` | `CMD ["node", "server.js"]`, or `"start": "exec node server.js"` |

An init as process 1 (`initProcessEnabled` of ECS, `init: true` of docker-compose, tini) does not help: it
passes the signal to its own child, the shell. `tini -g` and dumb-init signal all processes, and do.

## What it does not cover

Servers without a handler as process 1, for which see no-graceful-shutdown. Wrappers other than shells and
npm. `sudo` and `su`, which pass on signals of some senders only.

## Sources

- Docker, shell and exec form: <https://docs.docker.com/reference/dockerfile/#shell-and-exec-form>
- docker-node, best practices, "CMD":
  <https://github.com/nodejs/docker-node/blob/main/docs/BestPractices.md#cmd>
- Amazon ECS, "Graceful shutdowns with ECS":
  <https://aws.amazon.com/blogs/containers/graceful-shutdowns-with-ecs/>
- Measured: dash 0.5.12 of Debian, bash 5.2, npm 11.19
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Location, Mitigation, Severity, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.timers import Role
from keepalign.rules._rule import Outcome, Rule, confidence_of
from keepalign.rules._stops import (
    cut_by_stop,
    ended_before,
    in_flight_when,
    location_of,
    longest_through,
    stops_of,
)
from keepalign.units import ZERO

SLUG: Final = "stop-signal-not-passed-on"

_SERVICES: Final = frozenset({Product.AWS_ALB, Product.AWS_NLB, Product.AWS_CLOUDFRONT})


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per hop that is a process."""
    servers = [hop for hop in path.hops if hop.product not in _SERVICES]
    if not servers:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no server is known behind it")
    for hop in servers:
        yield _of_hop(hop, path, stack)


def _of_hop(hop: Hop, path: RequestPath, stack: Stack) -> Outcome:
    stop = next((one for one in stops_of(path) if one.hop is hop), None)
    if stop is not None and (front := ended_before(stop, path)) is not None:
        text = f"{front.name}, which sends it its requests, has ended before {hop.name} gets its signal"
        return Ok(SLUG, path.name, hop.name, text)
    if why := hop.traits.get("stop_signals", ""):
        return _finding(hop, path, stack, why)
    if doubt := hop.traits.get("stop_signals_doubt", ""):
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"whether the stop signal reaches {hop.name} is not known: {doubt}",
            supply="the exec form in the Dockerfile, or `exec` in front of the command, settles it",
            span=hop.place,
        )
    return Ok(SLUG, path.name, hop.name, f"nothing that was read stands between process 1 and {hop.name}")


def _finding(hop: Hop, path: RequestPath, stack: Stack, why: str) -> Finding:
    longest = longest_through(hop, path, stack)
    flight = longest.value if longest is not None else ZERO
    return Finding(
        cause=SLUG,
        title=f"the stop signal does not reach {hop.name}",
        severity=Severity.MEDIUM,
        confidence=confidence_of([], [hop]),
        ladder=Ladder.SHUTDOWN,
        symptom=cut_by_stop(
            path, hop, f"for what is in flight when the container is killed, {in_flight_when(path)}"
        ),
        arithmetic=why + (f"; {longest.who}: in flight for up to {longest.value}" if longest else ""),
        hop=hop.name,
        path=path.name,
        locations=(
            Location(hop.place, f"{hop.name} is not told when its container is stopped"),
            *([location_of(longest)] if longest is not None else []),
        ),
        margin=ZERO - flight,
        mitigation=Mitigation(
            command="",
            cost="nothing helps without a new image: start the server with the exec form of CMD and"
            " ENTRYPOINT, with `exec` in a script, or with node itself instead of npm",
            undo="",
        ),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.MEDIUM,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.SHUTDOWN_GRACE, Role.STOP_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab starts servers without a shell around them, so that its signals arrive",
    unprovable="the lab starts servers without a shell around them, so that its signals arrive",
)
