"""The load balancer waits longer than any response behind it stays silent.

## What it detects

The idle timeout of an Application Load Balancer is not above the longest silence of a response: the
declared `longest_silence` of the requests on this path. Equal values count. Where nothing is declared,
the smallest limit that somebody *set* further in is compared instead, with low confidence: it says how
long a response may be silent, not how long one is. Without either the answer is unknown. A larger limit
further in is no fault.

## Why it fails

The idle timeout runs on both connections of a request and starts again with every byte. A response that
is computed for a long time before its first byte is silence. With an idle timeout of 60 s and a report
that takes 90 s:

    0 s    the request reaches the application; no byte flows from now on
    60 s   the balancer's idle timeout fires: it answers 504 and closes its connection to the target
    90 s   the application has its answer, and nobody to send it to

It fails every time, at exactly the idle timeout. TCP keep-alive probes do not count as bytes.

## Example

An ALB at its default `idle_timeout` of 60 s in front of a report that is built for 90 s.

## Fix

Raise `idle_timeout` above the longest silence by a margin of 5 s or 10 %, whichever is more; from 1 to
4000 s. Raising it also lengthens how long idle connections are re-used, so the keep-alive timeout of
the server behind the balancer has to rise above the new value with it: `keepalign fix` solves for both.

Better where the application can do it: send the first bytes early, or answer 202 and let the client ask
again.

## What it does not cover

Limits of hops further in, which fire with errors of their own; clients that give up first; HTTP/2 PING
frames, which do not count as bytes for an ALB.

## Sources

- Elastic Load Balancing, "Edit attributes", idle timeout:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/edit-load-balancer-attributes.html>
- Elastic Load Balancing, "Troubleshoot", HTTP 504:
  <https://docs.aws.amazon.com/elasticloadbalancing/latest/application/load-balancer-troubleshooting.html>
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
from keepalign.model.path import Hop, Product, RequestPath, Stack
from keepalign.model.setting import Explicit, Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules import _aws
from keepalign.rules._limits import Declared, longest_silence, response_limits
from keepalign.rules._rule import (
    Outcome,
    Rule,
    balancer_of,
    closes_after_response,
    confidence_of,
    located,
    margin_over,
    nice,
    supply,
)
from keepalign.units import Duration

SLUG: Final = "lb-idle-below-response-time"
_SUPPLY: Final = "declare longest_silence in keepalign.toml, or pass --longest-silence"


def check(path: RequestPath, stack: Stack) -> Iterator[Outcome]:
    """One outcome: for the balancer of this path."""
    balancer = balancer_of(path)
    if balancer is None:
        yield NotApplicable(SLUG, path.name, path.hops[0].name, "no load balancer on this path")
        return
    wait = balancer.settings.get(Role.UPSTREAM_READ)
    waits = value_of(wait)
    if wait is None or waits is None:
        yield Undecided(
            cause=SLUG,
            path=path.name,
            hop=balancer.name,
            reason=f"the idle timeout of {balancer.name} is unknown"
            + (f": {reason}" if (reason := getattr(wait, "reason", "")) else ""),
            supply=supply(wait, balancer.product),
            span=wait.origin.use if wait is not None else balancer.place,
        )
        return

    declared = longest_silence(path.endpoints)
    if declared is not None:
        if waits > declared.value:
            yield Ok(
                SLUG, path.name, balancer.name,
                f"{wait.option} {waits} > {declared.value} of silence ({declared.who})",
            )  # fmt: skip
        else:
            yield _of_declared(path, balancer, wait, waits, declared)
        return
    yield _of_limits(path, balancer, wait, waits)


def _of_declared(
    path: RequestPath, balancer: Hop, wait: Setting, waits: Duration, declared: Declared
) -> Finding:
    return _finding(
        path, balancer, wait, waits, declared.value,
        severity=Severity.HIGH,
        confidence=confidence_of([(balancer, wait), (None, declared.setting)], path.hops[1:2]),
        title=f"{balancer.name} gives up on {declared.who} before the answer comes",
        symptom=f"every time a response stays silent for {waits}, the application being still at work",
        other=f"{declared.who}: silent for up to {declared.value}",
        other_location=located(declared.setting, f"{declared.who}: silent for up to {declared.value}"),
    )  # fmt: skip


def _of_limits(path: RequestPath, balancer: Hop, wait: Setting, waits: Duration) -> Outcome:
    """Nobody declared a silence: compare with the smallest limit that was set further in."""
    known = [
        (limit, value)
        for limit in response_limits(path)
        if limit.hop is not balancer and (value := value_of(limit.setting)) is not None
    ]
    written = [(limit, value) for limit, value in known if isinstance(limit.setting, Explicit)]
    longest = max((e.longest_request for e in path.endpoints if e.longest_request is not None), default=None)
    undeclared = [e for e in path.endpoints if e.longest_request is None]
    if longest is not None and not undeclared and waits > longest:
        return Ok(SLUG, path.name, balancer.name, f"{wait.option} {waits} > {longest}, the longest request")
    if not written:
        return Undecided(
            cause=SLUG,
            path=path.name,
            hop=balancer.name,
            reason=f"nobody declared how long responses stay silent behind {balancer.name}"
            f" ({wait.option} {waits}), and no hop further in has a limit set",
            supply=_SUPPLY,
            span=wait.origin.literal,
        )
    # A documented default ends a response as surely as a set limit, so it can clear the balancer; it says
    # nothing of how long responses are meant to take, so it cannot accuse it.
    shortest, least = min(known, key=lambda pair: pair[1])
    if waits > least:
        return Ok(
            SLUG, path.name, balancer.name,
            f"{wait.option} {waits} > {least}: {shortest.hop.name} ({shortest.setting.option})"
            " ends responses first",
        )  # fmt: skip
    limit, value = min(written, key=lambda pair: pair[1])
    text = f"{limit.hop.name} ({limit.setting.option}) lets a response be silent for {value}"
    return _finding(
        path, balancer, wait, waits, value,
        severity=Severity.LOW,
        confidence=Confidence.LOW,
        title=f"{balancer.name} gives up earlier than {limit.hop.name} behind it",
        symptom=f"whenever a response stays silent for {waits}; nobody declared whether one does ({_SUPPLY})",
        other=text,
        other_location=located(limit.setting, text, limit.hop.place),
    )  # fmt: skip


def _finding(
    path: RequestPath,
    balancer: Hop,
    wait: Setting,
    waits: Duration,
    silence: Duration,
    *,
    severity: Severity,
    confidence: Confidence,
    title: str,
    symptom: str,
    other: str,
    other_location: Location,
) -> Finding:
    sign = "<" if waits < silence else "="
    return Finding(
        cause=SLUG,
        title=title,
        severity=severity,
        confidence=confidence,
        ladder=Ladder.RESPONSE,
        symptom=Symptom("504", balancer.name, symptom),
        arithmetic=f"{waits} {sign} {silence}: {balancer.name} ({wait.option}) gives up"
        + (f" {silence - waits} too early" if silence > waits else " at the very moment of the answer")
        + f"; {other}",
        hop=balancer.name,
        path=path.name,
        locations=(
            located(wait, f"{balancer.name} gives up after {waits} without a byte", balancer.place),
            other_location,
        ),
        margin=waits - silence,
        needs=(
            Need(
                hop=balancer.name,
                role=Role.UPSTREAM_READ,
                setting=wait,
                above=silence,
                margin=margin_over(silence),
                why="longer than the longest silence behind it",
            ),
        ),
        mitigation=_mitigation(path, balancer, waits, silence),
    )


def _mitigation(path: RequestPath, balancer: Hop, waits: Duration, silence: Duration) -> Mitigation:
    """Raise the idle timeout at once; name what that does to the re-use of connections."""
    value = nice(silence + margin_over(silence))
    most = defaults.load(Product.AWS_ALB).row("idle_timeout").maximum
    if most is not None and value > most:
        return Mitigation(
            command="",
            cost=f"nothing helps without a change of the application: an ALB waits no longer than {most}",
            undo="",
        )
    behind = next((link.upstream for link in path.links if link.downstream is balancer), None)
    keep = behind.settings.get(Role.SERVER_IDLE) if behind is not None else None
    kept = value_of(keep)
    if behind is None or closes_after_response(behind, keep):
        cost = "connections of silent clients stay open longer"
    elif kept is None:
        cost = f"idle connections are re-used for up to {value}; how long {behind.name} keeps them is unknown"
    elif kept > value:
        cost = f"none for re-use: {behind.name} keeps idle connections open for {kept}"
    else:
        cost = (
            f"idle connections are then re-used for up to {value}, while {behind.name} closes them after"
            f" {kept}: more 502s until its keep-alive timeout is raised as well"
        )
    return Mitigation(
        command=_aws.set_idle_timeout(value),
        cost=f"{cost}. ALB_ARN: the ARN of {balancer.name}",
        undo=_aws.set_idle_timeout(waits),
    )


RULE: Final = Rule(
    slug=SLUG,
    severity=Severity.HIGH,
    ladder=Ladder.RESPONSE,
    roles=(Role.UPSTREAM_READ, Role.HANDLER_TIMEOUT),
    since="0.1.0",
    page=__doc__ or "",
    check=check,
    scenario="orders-api",
)
