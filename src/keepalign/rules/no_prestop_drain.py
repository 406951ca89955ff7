"""A target goes on accepting until everything in front of it has stopped sending to it.

## What it detects

A pod that takes requests from a balancer or proxy and stops accepting too soon: it has no `preStop` delay, or
one that is shorter than the news of its end takes, 15 s behind an AWS load balancer and 5 s behind proxies
inside the cluster. A delay of the server itself between the signal and the end of accepting counts as well
(Traefik `requestAcceptGraceTimeout`, Caddy `shutdown_delay`). What a `preStop` command does that is no
`sleep` is unknown.

## Why it fails

The end of a pod and its removal from everybody's lists set out at the same time, and nobody waits for
anybody. Users of the AWS Load Balancer Controller saw requests for 5 to 15 s after the deregistration, and
longer in bad cases:

    0 s     the pod is deleted: it gets SIGTERM, and at the same time its deregistration sets out
    0 s     the server closes its listening socket, as it should on SIGTERM
    2 s     the balancer still has the target: a request needs a new connection and is refused, 502
    10 s    the last balancer node has learned of it
    later   the pod's address is gone: what is still sent there ends in a 504 after 10 s

So each rollout costs some errors, from targets that answer nothing afterwards. In the balancer's log they are
those of `target-connection-refused`, and once the address is gone those of `target-connect-timeout`.

## Example

A Deployment behind an Ingress of the AWS Load Balancer Controller, without `lifecycle.preStop`.

## Fix

A `preStop` delay of some 20 s, so that the server goes on accepting meanwhile, and
`terminationGracePeriodSeconds` that covers it, the longest request and a margin.

    lifecycle:
      preStop:
        sleep: { seconds: 20 }            # or: exec: { command: ["sleep", "20"] }
    terminationGracePeriodSeconds: 60

An image without a `sleep` program needs the first form, of Kubernetes 1.30 and later. ingress-nginx in front
of the pod tries another pod when one refuses, for GET at least, which hides most of it. On ECS a service
deregisters its task before it sends the stop signal; there `no-graceful-shutdown` is nearer.

## What it does not cover

Pod readiness gates, which help at the start of a pod and not at its end. How long the news takes in your
cluster: deploy and scale-in times against the last lines of each such target show it. Network Load Balancers,
where it has taken two minutes.

## Sources

- Amazon EKS Best Practices, load balancing:
  <https://docs.aws.amazon.com/eks/latest/best-practices/load-balancing.html>
- Kubernetes, termination of pods:
  <https://kubernetes.io/docs/concepts/workloads/pods/pod-lifecycle/#pod-termination>
- Requests after the deregistration: <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/905>
- The time that it takes: <https://github.com/kubernetes-sigs/aws-load-balancer-controller/issues/1719>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import (
    Confidence,
    Finding,
    Ladder,
    Location,
    Mitigation,
    Need,
    Severity,
    Symptom,
    Undecided,
)
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules._reuse import passes_bytes
from keepalign.rules._rule import Outcome, Rule, located, supply
from keepalign.rules._stops import Stop, longest_through, stops_of, unheard
from keepalign.units import ZERO, Duration

SLUG: Final = "no-prestop-drain"

_AWS: Final = (Product.AWS_ALB, Product.AWS_NLB)
_BEHIND_AWS: Final = Duration.of(s=15)
_IN_CLUSTER: Final = Duration.of(s=5)
_MARGIN: Final = Duration.of(s=5)


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the first container of the pod, which takes the requests."""
    stop = next(iter(stops_of(path)), None)
    if path.lifecycle is None or path.lifecycle.platform != Product.KUBERNETES or stop is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no pods on this path")
        return
    yield _of_pod(stop, path, stack)


def _of_pod(stop: Stop, path: RequestPath, stack: Stack) -> Outcome:
    hop, delay = stop.hop, stop.hop.settings.get(Role.SHUTDOWN_DELAY)
    before = stop.pre_stop
    if why := unheard(hop):
        return NotApplicable(SLUG, path.name, hop.name, why)
    if before is None:
        missing = stop.unknown
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason=f"how long {hop.name} goes on accepting after its end has begun is unknown: "
            + getattr(missing, "reason", ""),
            supply=supply(missing, Product.KUBERNETES),
            span=missing.origin.use or stop.step.place,
        )
    accepts = before + (value_of(delay) or ZERO)
    in_front = path.hops[: path.hops.index(hop)]
    if not in_front:
        return NotApplicable(SLUG, path.name, hop.name, f"nothing is known that sends to {hop.name}")
    needed = _BEHIND_AWS if in_front[-1].product in _AWS else _IN_CLUSTER
    if accepts >= needed:
        return Ok(SLUG, path.name, hop.name, f"{hop.name} goes on accepting for {accepts}, at least {needed}")
    return _finding(stop, path, stack, in_front[-1], accepts, needed, delay)


def _finding(
    stop: Stop,
    path: RequestPath,
    stack: Stack,
    sender: Hop,
    accepts: Duration,
    needed: Duration,
    delay: Setting | None,
) -> Finding:
    hop, pre_stop = stop.hop, stop.step.pre_stop
    if accepts:
        title = f"{hop.name} stops accepting before everybody knows that it ends"
        severity = Severity.LOW
    else:
        title = f"{hop.name} stops accepting at the moment when its end begins"
        severity = Severity.HIGH if sender.product in _AWS else Severity.MEDIUM
    locations = [Location(stop.step.place or hop.place, f"{hop.name}: no preStop delay")]
    if pre_stop is not None and stop.pre_stop:
        locations = [located(pre_stop, f"preStop waits {stop.pre_stop}", stop.step.place)]
    if delay is not None and value_of(delay):
        locations.append(located(delay, f"{hop.name} accepts for {value_of(delay)} more", hop.place))
    # Sites of this kind write one value; without one the text says what to add.
    needs = _needs(stop, path, stack, needed) if pre_stop is not None and pre_stop.site is not None else ()
    return Finding(
        cause=SLUG,
        title=title,
        severity=severity,
        confidence=Confidence.MEDIUM,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "" if passes_bytes(sender) else "502",
            sender.name,
            f"at every rollout and scale-in, for requests that {sender.name} still sends to a pod"
            f" {accepts} after its end has begun",
        ),
        arithmetic=f"{accepts} < {needed}: {sender.name} may send to the pod for up to {needed} after it"
        f" began to end, and {hop.name} accepts "
        + (f"for {accepts}" if accepts else "nothing from the signal on, which comes at once"),
        hop=hop.name,
        path=path.name,
        locations=tuple(locations),
        margin=accepts - needed,
        needs=needs,
        mitigation=None
        if needs
        else Mitigation(
            command="",
            cost=f"add lifecycle.preStop.sleep.seconds: {(needed + _MARGIN).seconds:g} to {hop.name}, and as"
            " much to terminationGracePeriodSeconds; each pod then takes that long to end",
            undo="",
        ),
    )


def _needs(stop: Stop, path: RequestPath, stack: Stack, needed: Duration) -> tuple[Need, ...]:
    """A longer preStop, and the time until SIGKILL that it takes from what comes after it."""
    hop, pre_stop, room = stop.hop, stop.step.pre_stop, stop.room
    assert pre_stop is not None  # the caller looked
    why = "longer than the news of the pod's end takes"
    needs = [Need(hop.name, Role.PRE_STOP, pre_stop, needed, _MARGIN, why)]
    longest = longest_through(hop, path, stack)
    rest = min((v for v in (longest and longest.value, value_of(stop.grace)) if v), default=room)
    if room is not None and rest is not None:
        why = "as long as before, behind the longer preStop"
        above = needed + _MARGIN + rest
        if (value_of(stop.step.stop_timeout) or ZERO) <= above:
            needs.append(Need(hop.name, Role.STOP_TIMEOUT, stop.step.stop_timeout, above, _MARGIN, why))
    return tuple(needs)


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.PRE_STOP, Role.SHUTDOWN_DELAY),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab runs tasks as ECS does, not pods",
    unprovable="the lab runs tasks as ECS does, not pods",
)
