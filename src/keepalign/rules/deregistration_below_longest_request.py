"""Targets that are taken away keep their connections until the longest request is done.

## What it detects

The deregistration delay of a target group is not above the longest request that its targets serve,
declared as `longest_request`. Equal values count. A delay of 0 is a fault whatever was declared: it
cuts every request that is in flight.

## Why it fails

A rolling deploy takes each old target out of its target group. The balancer sends it nothing new and
waits for requests in flight, but no longer than the deregistration delay. With a delay of 0 and a 45 s
export:

    0 s    the export starts on a task of the old version
    20 s   the deploy deregisters the task; the delay is over at once
    20 s   the balancer cuts the connection: the client gets a 502, or a body that ends too early
    20 s   the stop signal reaches the task, which had nothing wrong with it

So every deploy and every scale-in costs as many errors as there are requests in flight. AWS documents a
502 for it, and a Classic Load Balancer answers 504 in the same case. A 504 around a deploy of an ALB
has another reason: the address of the stopped task no longer exists, and new connections to it time out
after 10 s.

## Example

`deregistration_delay = 0`, set because deploys took five minutes with the default of 300 s.

## Fix

Set `deregistration_delay` above the longest request by a margin of 5 s or 10 %, whichever is more; from
0 to 3600 s. ECS waits for the whole delay at every batch of a deploy, even when the target has been
idle for long, so a value far above the longest request makes deploys slow and no safer.

## What it does not cover

Stop timeouts and the grace of the server itself, which come after the delay; targets that stop
accepting before the balancer has stopped sending (up to some 15 s on AWS); tasks on Spot capacity,
which have two minutes in all.

## Sources

- Elastic Load Balancing, "Edit target group attributes", deregistration delay:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-target-group-attributes.html>
- Elastic Load Balancing, "Troubleshoot", HTTP 502:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
- Classic Load Balancers, error messages:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/classic/ts-elb-error-message.html>
- Amazon ECS, connection draining:
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/load-balancer-connection-draining.html>
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
    Location,
    Mitigation,
    Need,
    Severity,
    Symptom,
    Undecided,
)
from keepalign.model.lifecycle import Lifecycle
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Disabled, Setting, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.rules import aws_commands
from keepalign.rules._limits import Declared, endpoints_of, longest_request, same_target_group
from keepalign.rules._rule import (
    Outcome,
    Rule,
    balancer_of,
    confidence_of,
    located,
    next_behind,
    unknown,
)
from keepalign.rules.margins import margin_over, nice
from keepalign.units import ZERO, Duration

SLUG: Final = "deregistration-below-longest-request"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the target group that this path goes through, and every request that it serves."""
    balancer = balancer_of(path)
    if balancer is None or path.lifecycle is None:
        reason = "no load balancer on this path" if balancer is None else "nothing read deploys these targets"
        yield NotApplicable(SLUG, path.name, path.hops[0].name, reason)
        return
    delay = path.lifecycle.deregistration_delay
    waits = value_of(delay)
    if isinstance(delay, Disabled):
        reason = "nothing takes a target out of use before it is stopped"
        yield NotApplicable(SLUG, path.name, balancer.name, reason)
        return
    if isinstance(delay, Unlimited):
        yield Ok(SLUG, path.name, balancer.name, "targets are never cut off")
        return
    if waits is None:
        yield unknown(SLUG, path, balancer, delay, "the deregistration delay")
        return
    longest = longest_request(endpoints_of(same_target_group(path, stack)))
    if longest is None and waits:
        yield Undecided(
            cause=SLUG,
            path=path.name,
            hop=balancer.name,
            reason=f"nobody declared how long requests take ({delay.option} {waits})",
            supply="declare longest_request in keepalign.toml, or pass --longest-request",
            span=delay.origin.literal,
        )
    elif longest is not None and waits > longest.value:
        yield Ok(
            SLUG, path.name, balancer.name,
            f"{delay.option} {waits} > {longest.value}, the longest request ({longest.who})",
        )  # fmt: skip
    else:
        yield _finding(path, path.lifecycle, balancer, delay, waits, longest)


def _finding(
    path: RequestPath,
    lifecycle: Lifecycle,
    balancer: Hop,
    delay: Setting,
    waits: Duration,
    longest: Declared | None,
) -> Finding:
    at_once = "at once" if not waits else f"after {waits}"
    locations = [
        # A default is written nowhere: where it could be is in the target group, at least.
        located(
            delay,
            f"a target that is taken away loses its connections {at_once}",
            delay.site.span if delay.site is not None else None,
        )
    ]
    # A group of its own for requests that no rule takes is usual, and often empty.
    empty = path.hops[-1] is balancer and lifecycle.platform == Product.AWS_ALB
    severity = Severity.LOW if empty and longest is None else Severity.HIGH
    if longest is None:
        # A silent request cannot outlive the balancer's own patience, so that is the room to give.
        need = _patience(balancer)
        confidence = Confidence.MEDIUM
        arithmetic = (
            f"{delay.option} {waits}: whatever is in flight is cut; nobody declared how long that takes"
            + (", and nothing in the given folders registers targets there" if empty else "")
        )
    else:
        need = longest.value
        behind = next_behind(path, balancer)
        confidence = confidence_of(
            [(balancer, delay), (None, longest.setting)], [behind] if behind is not None else ()
        )
        sign = "<" if waits < need else "="
        arithmetic = (
            f"{waits} {sign} {need}: {delay.option} ends"
            + (f" {need - waits} before" if waits < need else " at the very moment when")
            + f" {longest.longest_one} is done"
        )
        locations.append(
            located(longest.setting, f"{longest.who}: in flight for up to {need}")
            if longest.setting.origin.literal
            else Location(None, f"{longest.who}: up to {need} ({longest.setting.origin.note})")
        )
    most = _most()
    solvable = most is None or most > need
    return Finding(
        cause=SLUG,
        title="requests in flight are cut at every deploy",
        severity=severity,
        confidence=confidence,
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "502",
            balancer.name,
            "at every deploy and scale-in, for "
            + ("requests still" if waits else "every request")
            + f" in flight on a target that is taken away{f', {waits} later' if waits else ''}",
        ),
        arithmetic=arithmetic,
        hop=balancer.name,
        path=path.name,
        locations=tuple(locations),
        margin=waits - (longest.value if longest is not None else ZERO),
        needs=(
            Need(
                hop=balancer.name,
                role=Role.DEREGISTRATION_DELAY,
                setting=delay,
                above=need,
                margin=margin_over(need),
                why="longer than the longest request",
            ),
        )
        if solvable
        else (),
        mitigation=_mitigation(waits, need),
    )


def _patience(balancer: Hop) -> Duration:
    """The balancer's idle timeout, else its documented default."""
    known = value_of(balancer.settings.get(Role.UPSTREAM_READ))
    documented = defaults.load(Product.AWS_ALB).row("idle_timeout").default
    assert documented is not None  # a row with a number, see defaults/aws_alb.toml
    return known or documented


def _most() -> Duration | None:
    """The longest delay that a target group takes."""
    return defaults.load(Product.AWS_ALB).row("deregistration_delay").maximum


def _mitigation(waits: Duration, need: Duration) -> Mitigation:
    value = nice(need + margin_over(need))
    most = _most()
    if most is not None and most <= need:
        return Mitigation(
            command="", cost=f"no delay is long enough: a target group takes at most {most}", undo=""
        )
    value = min(value, most or value)
    return Mitigation(
        command=aws_commands.set_deregistration_delay(value),
        cost=f"each batch of a deploy waits the whole {value}. TARGET_GROUP_ARN: the ARN of the target group",
        undo=aws_commands.set_deregistration_delay(waits),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.DEREGISTRATION_DELAY,),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario="orders-api",
)
