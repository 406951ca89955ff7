"""On Spot capacity, drain and stop fit into the two minutes between notice and end.

## What it detects

Tasks that may run on Spot capacity (`FARGATE_SPOT` in the capacity provider strategy), whose deregistration
delay and stop timeouts together are longer than 120 s, with requests that may be in flight for as long: the
longest declared request takes 120 s or more, or none is declared.

Stop timeouts of containers that depend on each other count one after the other. It is an advice of low
severity: how much of the delay ECS waits out before it sends the stop signal on an interruption is not
documented.

## Why it fails

AWS takes the capacity back two minutes after its notice, whatever is still to come. With the default delay:

    0 s     the notice: the target is deregistered, and the balancer begins to drain
    120 s   the capacity is gone; the drain would have lasted until 300 s, the stop signal may not have come
    120 s   what is in flight ends without an answer: 502, or 504 where no RST arrives

## Example

    capacity_provider_strategy { capacity_provider = "FARGATE_SPOT" weight = 1 }

with `deregistration_delay = 300` and a stop timeout of 30 s.

## Fix

| setting | value |
| --- | --- |
| `deregistration_delay` | above the longest request, and at most 120 s less the stop timeouts |
| `stopTimeout` | what the server needs to end, 30 s say |
| requests of two minutes and more | not on Spot: into a queue, or a service of its own on `FARGATE` |

## What it does not cover

Spot instances of EC2, which hand tasks over only with `ECS_ENABLE_SPOT_INSTANCE_DRAINING`. How often
capacity is taken back.

## Sources

- Amazon ECS, "Fargate capacity providers", Spot termination:
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/fargate-capacity-providers.html>
- Amazon ECS, containers on Spot:
  <https://docs.aws.amazon.com/AmazonECS/latest/developerguide/container-instance-spot.html>
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Severity, Symptom, Undecided
from keepalign.model.lifecycle import Lifecycle
from keepalign.model.path import RequestPath, Stack
from keepalign.model.setting import value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import endpoints_of, longest_request, same_target_group
from keepalign.rules._reuse import answers_clients
from keepalign.rules._rule import Outcome, Rule, balancer_of, confidence_of, located
from keepalign.rules._stops import SPOT_NOTICE, stop_seconds

SLUG: Final = "spot-notice-below-drain"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome for the target of this path."""
    hop, lifecycle = answers_clients(path), path.lifecycle
    if lifecycle is None or not lifecycle.spot:
        why = "its tasks do not run on Spot capacity" if lifecycle and lifecycle.spot is False else ""
        yield NotApplicable(
            SLUG, path.name, hop.name, why or "nothing says that its tasks run on Spot capacity"
        )
        return
    longest = longest_request(endpoints_of(same_target_group(path, stack)))
    if longest is not None and longest.value < SPOT_NOTICE:
        text = f"requests of {longest.value} at most ({longest.who}) end within {SPOT_NOTICE} of the notice"
        yield Ok(SLUG, path.name, hop.name, text)
        return
    yield _compared(path, lifecycle)


def _compared(path: RequestPath, lifecycle: Lifecycle) -> Outcome:
    hop, delay = answers_clients(path), lifecycle.deregistration_delay
    drain, stop = value_of(delay), stop_seconds(path)
    if drain is None or stop is None:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=hop.name,
            reason="the deregistration delay is unknown" if drain is None else "a stop timeout is unknown",
            supply="write the number where Terraform finds it without being asked",
            span=delay.origin.use,
        )
    needed = drain + stop
    if needed <= SPOT_NOTICE:
        return Ok(SLUG, path.name, hop.name, f"{drain} + {stop} = {needed}, of {SPOT_NOTICE}")
    sender = balancer_of(path)
    return Finding(
        cause=SLUG,
        title="Spot capacity ends before drain and stop are over",
        severity=Severity.LOW,
        confidence=confidence_of([(None, delay)]),
        ladder=Ladder.SHUTDOWN,
        symptom=Symptom(
            "502",
            sender.name if sender is not None else hop.name,
            f"for requests that are still in flight {SPOT_NOTICE} after a Spot interruption notice",
        ),
        arithmetic=f"{drain} ({delay.option}) + {stop} (stopTimeout) = {needed} > {SPOT_NOTICE} of notice",
        hop=hop.name,
        path=path.name,
        locations=(
            located(delay, f"the balancer drains for {drain}"),
            *(
                located(one.stop_timeout, f"{one.container} is killed {value} after its signal", one.place)
                for one in lifecycle.stops
                if (value := value_of(one.stop_timeout)) is not None
            ),
        ),
        margin=SPOT_NOTICE - needed,
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.LOW,
    ladder=Ladder.SHUTDOWN,
    roles=(Role.DEREGISTRATION_DELAY, Role.STOP_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    no_scenario="the lab's Spot interruption stops a task at once, and does not wait two minutes to kill it",
    unprovable="a rolling update is no Spot interruption",
)
