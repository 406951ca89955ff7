"""What a pod cuts on its signal is over before the signal comes.

## What it detects

A pod behind a load balancer has a `preStop` delay, but one that is not above the deregistration delay of its
target group, and the signal that follows cuts the requests that the balancer still drains. Equal values
count. A server that lets them finish on the signal is in order, and so is one whose longest request is
shorter than `preStop`. Where no request is declared the severity is low.

Only a pod that is itself a target (`target-type: ip`) is drained. Behind ingress-nginx, and where the nodes
are the targets, `no-graceful-shutdown` says what the signal cuts.

## Why it fails

The balancer lets the requests of a deregistered target finish for the whole deregistration delay. The pod
does not wait for it. With a delay of 60 s, a `preStop` of 15 s and an export of 45 s on a server that ends
requests at once on SIGTERM:

    0 s    the export starts
    5 s    the pod is to end: preStop begins, and the deregistration sets out
    20 s   preStop is over: SIGTERM, the connection of the export is cut, and the balancer answers 502
    65 s   the balancer would have waited until now

## Example

nginx from a package (SIGTERM is its fast stop), `preStop: sleep 15`, and a delay of 60 s.

## Fix

Better than a longer `preStop` is a server that finishes on its signal: see `no-graceful-shutdown`. Else let
`preStop` be longer than the longest request, or than the deregistration delay, by a margin, and
`terminationGracePeriodSeconds` longer than `preStop`:

| where | setting |
| --- | --- |
| pod | `lifecycle.preStop.sleep.seconds: 65` |
| pod | `terminationGracePeriodSeconds: 75` |
| Ingress | `target-group-attributes: deregistration_delay.timeout_seconds=60` |

## What it does not cover

Pods without any `preStop` delay: `no-prestop-drain`. ECS, which waits out the deregistration delay itself.

## Sources

- Kubernetes, termination of pods:
  <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
- AWS Load Balancer Controller, annotations:
  <https://kubernetes-sigs.github.io/aws-load-balancer-controller/latest/guide/ingress/annotations/>
- Amazon EKS Best Practices, load balancing:
  <https://docs.aws.amazon.com/eks/latest/best-practices/load-balancing.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Confidence, Finding, Ladder, Need, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import Declared
from keepalign.rules._rule import Outcome, Rule, balancer_of, located, supply
from keepalign.rules._signals import Requests, gentle_signal, reaction_of
from keepalign.rules._stops import (
    Stop,
    drained_before,
    drained_pod,
    location_of,
    longest_through,
    stops_of,
    unheard,
)
from keepalign.rules.margins import margin_over
from keepalign.units import Duration

SLUG: Final = "prestop-below-deregistration"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the first container of the pod, which takes the requests."""
    stop = next(iter(stops_of(path)), None)
    balancer = balancer_of(path)
    if path.lifecycle is None or path.lifecycle.platform != Product.KUBERNETES or stop is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no pods on this path")
    elif balancer is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no load balancer on this path")
    elif (delay := drained_pod(stop, path)) is None:
        text = f"{balancer.name} does not drain the pod of {stop.hop.name}: it is no target of its own"
        yield NotApplicable(SLUG, path.name, stop.hop.name, text)
    else:
        yield _of_pod(stop, path, stack, balancer, delay)


def _of_pod(stop: Stop, path: RequestPath, stack: Stack, balancer: Hop, delay: Setting) -> Outcome:
    hop, setting, before = stop.hop, stop.step.pre_stop, stop.pre_stop
    if before is None:
        text = "how long its preStop takes is unknown: see no-prestop-drain"
        return NotApplicable(SLUG, path.name, hop.name, text)
    if setting is None or not before:
        return NotApplicable(SLUG, path.name, hop.name, "there is no preStop delay: see no-prestop-drain")
    if why := unheard(hop):
        return NotApplicable(SLUG, path.name, hop.name, why)
    reaction = reaction_of(hop, stop.signal)
    if reaction is None:
        text = f"what {hop.name} does on {stop.signal} is not known: see no-graceful-shutdown"
        return NotApplicable(SLUG, path.name, hop.name, text)
    if reaction.requests is Requests.FINISH:
        text = f"{hop.name} lets the rest finish on {stop.signal}, behind preStop {before}"
        return Ok(SLUG, path.name, hop.name, text)
    longest = longest_through(hop, path, stack)
    if drained := drained_before(stop, longest):
        return Ok(SLUG, path.name, hop.name, drained)
    drains = value_of(delay)
    if drains is not None and before > drains:
        return Ok(SLUG, path.name, hop.name, f"preStop {before} > {delay.option} {drains}")
    if drains is None:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason="how long the balancer drains a target is unknown"
            + (f": {reason}" if (reason := getattr(delay, "reason", "")) else ""),
            supply=supply(delay, balancer.product),
            span=delay.origin.use,
        )
    return _finding(stop, path, balancer, setting, before, delay, drains, longest)


def _finding(
    stop: Stop,
    path: RequestPath,
    balancer: Hop,
    setting: Setting,
    before: Duration,
    delay: Setting,
    drains: Duration,
    longest: Declared | None,
) -> Finding:
    hop = stop.hop
    # Nothing is drained for longer than it takes.
    above = min(drains, longest.value) if longest is not None else drains
    room = above + margin_over(above)
    return Finding(
        cause=SLUG,
        title=f"{hop.name} gets its signal while {balancer.name} still drains it",
        severity=Severity.HIGH if longest is not None else Severity.LOW,
        confidence=Confidence.MEDIUM,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "502",
            balancer.name,
            f"at every rollout and scale-in, for requests still in flight {before} after the end of the pod"
            f" has begun: {stop.signal} cuts them",
        ),
        arithmetic=f"{before} {'<' if before < drains else '='} {drains}: preStop ends"
        + (f" {drains - before} before" if before < drains else " together with")
        + f" the drain of {balancer.name} ({delay.option}){_gently(stop)}",
        hop=hop.name,
        path=path.name,
        locations=(
            located(setting, f"preStop of {hop.name} waits {before}", stop.step.place),
            located(delay, f"{balancer.name} drains for {drains}", balancer.place),
            *([location_of(longest)] if longest is not None else []),
        ),
        margin=before - drains,
        needs=(
            Need(
                hop=hop.name,
                role=Role.PRE_STOP,
                setting=setting,
                above=above,
                margin=margin_over(above),
                why="longer than requests are drained",
            ),
            Need(
                hop=hop.name,
                role=Role.STOP_TIMEOUT,
                setting=stop.step.stop_timeout,
                above=room,
                margin=margin_over(room),
                why="preStop counts inside it",
            ),
        ),
    )


def _gently(stop: Stop) -> str:
    """What would make the length of preStop matter less, as the end of a sentence."""
    gentle = gentle_signal(stop.hop)
    if not gentle:
        return ""
    how = "with a handler for it" if gentle == stop.signal else f"on {gentle}"
    return f"; {how} {stop.hop.name} would let requests finish"


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.PRE_STOP, Role.DEREGISTRATION_DELAY, Role.STOP_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab runs tasks as ECS does, not pods",
    unprovable="the lab runs tasks as ECS does, not pods",
)
