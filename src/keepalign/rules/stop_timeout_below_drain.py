"""A stopped container has time to finish its longest request before it is killed.

## What it detects

The stop timeout of a container on the path (ECS `stopTimeout`; 30 s when nobody sets it, at most 120 s
on Fargate) is not above what must still end after the stop signal: the longest request that the
container serves, or the server's own grace (gunicorn `graceful_timeout`, Apache
`GracefulShutdownTimeout`, nginx `worker_shutdown_timeout`) where that ends first. Equal values count.
Where nobody declared how long requests take, a grace that somebody *set* is compared instead, with low
severity; without either the answer is unknown.

A container that gets its signal only after the one in front of it has ended (`dependsOn`) has nothing
in flight by then, and is in order.

## Why it fails

The platform sends the stop signal, waits for the stop timeout and kills. With a report of 90 s and a
stop timeout of 20 s:

    0 s     the report starts
    10 s    the task is stopped: its server gets the stop signal, takes nothing new and lets the report go on
    30 s    SIGKILL: the connection is cut, and the balancer answers 502
    90 s    the report would have been done

In a rolling update or a scale-in nobody sees it: ECS takes the target out of the balancer and waits for
the whole deregistration delay before it sends the signal. Requests that are still in flight then were
cut by the balancer, which is `deregistration-below-longest-request`. The stop timeout counts wherever
both come together: a Spot interruption (AWS says of Fargate Spot that a task may even stay registered
until it has stopped), `StopTask`, a task that ends because one of its containers has crashed. That is
why the severity is medium on ECS.

Kubernetes sends the signal when `preStop` is over, whatever is still in flight, at every rollout. Its
`terminationGracePeriodSeconds` (30 s when nobody sets it) counts from the begin of `preStop`: with 30 s and
a `preStop` of 20 s the server has 10 s. There the severity is high, unless `preStop` is longer than the
longest request. A `preStop` that takes all of it is told even where no request is declared, with low
severity: SIGKILL comes together with the signal.

Docker Compose kills after `stop_grace_period` (10 s when nobody sets it), and takes nothing out of use before
it sends the signal: every `docker compose up` that replaces the container meets what is in flight. Where
supervisord runs the server, its `stopwaitsecs` (10 s) ends it, if that is shorter.

## Example

`stopTimeout = 20`, chosen for quick deploys, in front of reports of 90 s.

## Fix

Set `stopTimeout` above the longest request by a margin of 5 s or 10 %, whichever is more; Fargate takes
2 to 120 s. On Kubernetes `terminationGracePeriodSeconds` needs the time of `preStop` on top. It costs
nothing when the server ends earlier. The server's own grace has to be as long: `no-graceful-shutdown`
compares that.

For requests of 120 s and longer no stop timeout is long enough. Hand them to a queue whose workers can
start over, answer 202 and let the client ask again, or let the client resume.

Containers that depend on each other are stopped one after the other, and their stop timeouts add up. On
Spot capacity everything, deregistration included, has to be over two minutes after the notice.

## What it does not cover

Whether the signal reaches the server (a shell that does not pass it on), and what the server does on
it: `no-graceful-shutdown`. Work outside requests. Tasks on EC2, where no maximum of `stopTimeout` is
documented and `ECS_CONTAINER_STOP_TIMEOUT` of the agent stands in for an unset one.

## Sources

- Amazon ECS, `stopTimeout`:
  <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDefinition.html>
- Amazon ECS, connection draining (the order of the steps):
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-connection-draining.html>
- Docker Compose, `stop_grace_period`: <https://docs.docker.com/reference/compose-file/services/>
- supervisord, `stopwaitsecs`: <https://supervisord.org/configuration.html>
- Amazon ECS, `ContainerDependency` (stopped in reverse):
  <https://docs.aws.amazon.com/AmazonECS/latest/APIReference/API_ContainerDependency.html>
- Kubernetes, termination of pods:
  <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
- A preStop delay that left no time: <https://github.com/kubernetes/kubernetes/issues/74160>
- AWS re:Post, Spot termination notices of Fargate tasks:
  <https://repost.aws/knowledge-center/fargate-spot-termination-notice>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import (
    Confidence,
    Finding,
    Ladder,
    Mitigation,
    Need,
    Severity,
    Undecided,
)
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting, Unknown, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared
from keepalign.rules._rule import Outcome, Rule, confidence_of, located, supply
from keepalign.rules._signals import Requests, reaction_of
from keepalign.rules._stops import (
    SPOT_NOTICE,
    Stop,
    cut_by_stop,
    drained_before,
    ended_before,
    in_flight_when,
    location_of,
    longest_through,
    platform_product,
    stop_seconds,
    stops_of,
)
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SLUG: Final = "stop-timeout-below-drain"
_DECLARE: Final = "declare longest_request in keepalign.toml, or pass --longest-request"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome per container of this path; one in all where nothing is known of their stop."""
    stops = stops_of(path)
    if not stops:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "nothing that was read stops these servers")
    for stop in stops:
        yield _of_stop(stop, path, stack)


def _of_stop(stop: Stop, path: RequestPath, stack: Stack) -> Outcome:
    hop, timeout = stop.hop, stop.step.stop_timeout
    if front := ended_before(stop, path):
        return Ok(
            SLUG, path.name, hop.name,
            f"{front.name}, which sends it its requests, has ended before {hop.name} gets {stop.signal}",
        )  # fmt: skip
    reaction = reaction_of(hop, stop.signal)
    if reaction is not None and reaction.requests is Requests.CUT:
        return NotApplicable(
            SLUG, path.name, hop.name, f"{stop.signal} ends the running requests of {hop.name} at once"
        )
    allowed = stop.room
    if allowed is None:
        missing = stop.unknown
        reason = getattr(missing, "reason", "")
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"the {'stop timeout' if missing is timeout else 'preStop delay'} of {hop.name} is unknown"
            + (f": {reason}" if reason else ""),
            supply=supply(missing, platform_product(stop.platform)),
            span=missing.origin.use,
        )
    longest = longest_through(hop, path, stack)
    grace = value_of(stop.grace)
    room = f"{timeout.option} {allowed}{stop.less_pre_stop}"
    if drained := drained_before(stop, longest):
        return Ok(SLUG, path.name, hop.name, drained)
    if grace is not None and allowed > grace:
        return Ok(SLUG, path.name, hop.name, f"{room} > {grace}, after which {hop.name} ends them itself")
    if longest is not None and allowed > longest.value:
        text = f"{room} > {longest.value}, the longest request ({longest.who})"
        return Ok(SLUG, path.name, hop.name, text)
    if isinstance(stop.grace, Unknown):
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"how long {hop.name} itself lets requests finish is unknown: {stop.grace.reason}",
            supply=supply(stop.grace, hop.product),
            span=stop.grace.origin.use,
        )
    if longest is None and not isinstance(stop.grace, Explicit) and stop.pre_stop and not allowed:
        return _nothing_left(stop, path, timeout, stop.pre_stop)
    if longest is None and not isinstance(stop.grace, Explicit):
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"nobody declared how long the requests of {hop.name} take ({timeout.option} {allowed})",
            supply=_DECLARE,
            span=timeout.origin.literal,
        )
    return _finding(stop, path, timeout, allowed, longest)


def _finding(
    stop: Stop, path: RequestPath, timeout: Setting, allowed: Duration, longest: Declared | None
) -> Finding:
    hop, grace = stop.hop, value_of(stop.grace)
    compared: list[Setting] = [timeout]
    locations = [
        # A default is written nowhere: where it could be is in the container, at least.
        located(
            timeout,
            f"{hop.name} is killed {allowed} after {stop.signal}",
            timeout.site.span if timeout.site is not None else hop.place,
        )
    ]
    if longest is not None and (grace is None or longest.value <= grace):
        limit, what = longest.value, f"{longest.longest_one} is done"
        compared.append(longest.setting)
    else:
        assert grace is not None  # _of_stop says unknown without either
        assert stop.grace is not None
        limit, what = grace, f"its own grace ({stop.grace.option}) is over"
        compared.append(stop.grace)
        locations.append(located(stop.grace, f"{hop.name} lets requests finish for {grace}", hop.place))
    if stop.step.pre_stop is not None and stop.pre_stop:
        locations.append(located(stop.step.pre_stop, f"preStop takes {stop.pre_stop} of it", stop.step.place))
    if longest is not None:
        locations.append(location_of(longest))

    # The grace is to be as long as the longest request, too, so that is the room to give; if it can be given.
    need = longest.value if longest is not None and stop.takes(longest.value) else limit
    solvable = stop.takes(need)
    before = stop.pre_stop or ZERO
    undeclared = f"; nobody declared whether one takes that long ({_DECLARE})" if longest is None else ""
    return Finding(
        cause=SLUG,
        title=f"{hop.name} is killed before its requests are done",
        severity=stop.severity if longest is not None else Severity.LOW,
        confidence=(
            confidence_of([(None, timeout), (hop, compared[1])], [hop])
            if longest is not None
            else Confidence.LOW
        ),
        ladder=Ladder.SHUTDOWN,
        symptom=cut_by_stop(
            path,
            hop,
            f"for every request still in flight {allowed} after the stop signal, {in_flight_when(path)}"
            + undeclared,
        ),
        arithmetic=(
            f"{allowed} {'<' if allowed < limit else '='} {limit}: {timeout.option}{stop.less_pre_stop} ends"
            + (f" {limit - allowed} before" if allowed < limit else " at the very moment when")
            + f" {what}"
            + (_adds_up(path, allowed) if stop.platform == Product.AWS_ECS else "")
        ),
        hop=hop.name,
        path=path.name,
        locations=tuple(locations),
        margin=allowed - limit,
        needs=(
            Need(
                hop=hop.name,
                role=Role.STOP_TIMEOUT,
                setting=timeout,
                above=need + before,
                margin=margin_over(need),
                why="longer than what must end after the stop signal"
                + (f", and {before} of preStop before it" if before else ""),
            ),
        )
        if solvable
        else (),
        mitigation=None
        if solvable
        else Mitigation(
            command="", cost=f"no stop timeout is long enough for {need}: {stop.beyond(need)}", undo=""
        ),
    )


def _nothing_left(stop: Stop, path: RequestPath, timeout: Setting, before: Duration) -> Finding:
    """`preStop` takes it all. How long requests take does not matter then: none has any time."""
    hop, whole = stop.hop, value_of(timeout) or ZERO
    # What Kubernetes gives where nobody sets anything.
    usual = defaults.load(Product.KUBERNETES).row("terminationGracePeriodSeconds").default
    assert usual is not None  # defaults/kubernetes.toml has it
    return Finding(
        cause=SLUG,
        title=f"preStop leaves {hop.name} no time after {stop.signal}",
        severity=Severity.LOW,
        confidence=confidence_of([(None, timeout)], [hop]),
        ladder=Ladder.SHUTDOWN,
        symptom=cut_by_stop(
            path,
            hop,
            f"for every request still in flight when preStop is over, {in_flight_when(path)}; nobody declared"
            f" whether one takes that long ({_DECLARE})",
        ),
        arithmetic=f"{whole} {'<' if whole < before else '='} {before}: preStop counts inside"
        f" {timeout.option}, and SIGKILL comes together with {stop.signal}",
        hop=hop.name,
        path=path.name,
        locations=(
            located(timeout, f"{hop.name} is killed {whole} after its end has begun", stop.step.place),
            *(
                [located(s, f"preStop takes {before} of it", stop.step.place)]
                if (s := stop.step.pre_stop)
                else []
            ),
        ),
        margin=whole - before,
        needs=(
            Need(
                hop=hop.name,
                role=Role.STOP_TIMEOUT,
                setting=timeout,
                above=before,
                margin=usual,
                why="long enough for what runs, behind preStop",
            ),
        ),
    )


def _adds_up(path: RequestPath, allowed: Duration) -> str:
    """What it comes to where containers wait for each other; empty where they do not."""
    total = stop_seconds(path)
    if total is None or total <= allowed:
        return ""
    spot = f", and Spot capacity leaves {SPOT_NOTICE}" if total > SPOT_NOTICE else ""
    return f"; the containers of this task stop one after the other, in up to {total}{spot}"


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.STOP_TIMEOUT, Role.SHUTDOWN_GRACE),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario=SLUG,
    unprovable=(
        "in a rolling update ECS waits out the deregistration delay before it stops a task; "
        "`keepalign lab run stop-timeout-below-drain` stops one as a Spot interruption does"
    ),
)
