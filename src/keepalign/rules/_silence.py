"""Does a hop wait longer than the hops behind it stay silent? The question of two rules, for the balancer and
for the proxies behind it: they differ in the hop, in what it answers, and in what helps at once."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Final

from keepalign.model.checked import Ok
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
from keepalign.model.path import Hop, RequestPath
from keepalign.model.setting import Explicit, Setting, value_of
from keepalign.model.timers import Role
from keepalign.rules._limits import (
    Declared,
    all_requests,
    answer_of,
    first_in_front,
    limits_behind,
    longest_request,
    longest_silence,
)
from keepalign.rules._rule import Outcome, balancer_of, confidence_of, located
from keepalign.rules.margins import margin_over
from keepalign.units import Duration

_SUPPLY: Final = "declare longest_silence in keepalign.toml, or pass --longest-silence"

Helps = Callable[[Duration, Duration], Mitigation | None]
"""From how long the hop waits, and for which silence, to what helps without a deploy."""


def against_silence(
    slug: str,
    path: RequestPath,
    hop: Hop,
    wait: Setting,
    waits: Duration,
    *,
    joined: Iterable[Hop],
    helps: Helps = lambda waits, silence: None,
    role: Role = Role.UPSTREAM_READ,
) -> Outcome:
    """What the rule `slug` says of `hop`, which gives up after `waits` without a byte.

    Compared with the declared silence; where none is declared, with the limits further in. `role` is that of
    the limit: one on the whole exchange ends what is silent as well.
    """
    declared = longest_silence(path.endpoints)
    if declared is None:
        return _of_limits(slug, path, hop, wait, waits, helps)
    if waits > declared.value:
        if (held := held_back(path, hop, waits)) is not None:
            return _hold(slug, path, hop, wait, waits, *held)
        return Ok(
            slug, path.name, hop.name,
            f"{wait.option} {waits} > {declared.value} of silence ({declared.who})",
        )  # fmt: skip
    return _finding(
        slug, path, hop, wait, waits, declared.value, helps,
        severity=Severity.HIGH,
        confidence=confidence_of([(hop, wait), (None, declared.setting)], joined),
        curable=True,
        title=f"{hop.name} gives up on {declared.who} before the answer comes",
        symptom=f"every time a response stays silent for {waits}, the application being still at work",
        other=f"{declared.who}: silent for up to {declared.value}",
        other_location=_of_declared(declared),
        role=role,
    )  # fmt: skip


def held_back(path: RequestPath, hop: Hop, waits: Duration) -> tuple[Hop, Declared] | None:
    """The proxy behind `hop` that may hold a stream back for `waits` or longer, and the longest stream."""
    further_in = path.hops[path.hops.index(hop) + 1 :]
    proxy = next((h for h in further_in if "streams" in h.traits), None)
    stream = longest_request(e for e in path.endpoints if e.longest_silence is not None)
    return (proxy, stream) if proxy is not None and stream is not None and stream.value >= waits else None


def _hold(
    slug: str, path: RequestPath, hop: Hop, wait: Setting, waits: Duration, proxy: Hop, stream: Declared
) -> Undecided:
    """What a stream sends may be too little to fill a buffer: nobody says how much it is."""
    version = " before 1.29.7" if proxy.traits["streams"] == "version" else ""
    return Undecided(
        cause=slug,
        path=path.name,
        hop=hop.name,
        reason=f"{proxy.name} (nginx{version}: proxy_buffering on, proxy_http_version 1.0) passes nothing of"
        f" a stream on until a buffer of 4 or 8 KiB is full; {hop.name} ({wait.option} {waits}) may see"
        f" nothing of {stream.longest_one} for up to {stream.value}",
        supply="proxy_buffering off, or proxy_http_version 1.1, in the location settles it;"
        " X-Accel-Buffering: no in the response does, too, and keepalign does not see it",
        span=proxy.place,
    )


def _of_declared(declared: Declared) -> Location:
    return located(declared.setting, f"{declared.who}: silent for up to {declared.value}")


def _of_limits(
    slug: str, path: RequestPath, hop: Hop, wait: Setting, waits: Duration, helps: Helps
) -> Outcome:
    """Nobody declared a silence: compare with the smallest limit that was set further in."""
    known = [
        (limit, value) for limit in limits_behind(path, hop) if (value := value_of(limit.setting)) is not None
    ]
    longest = all_requests(path.endpoints)
    if longest is not None and waits > longest:
        return Ok(slug, path.name, hop.name, f"{wait.option} {waits} > {longest}, the longest request")
    # A documented default ends a response as surely as a set limit, so it can clear the hop in front; it says
    # nothing of how long responses are meant to take, so it cannot accuse it.
    shortest, least = min(known, key=lambda pair: pair[1], default=(None, waits))
    if shortest is not None and waits > least:
        return Ok(
            slug, path.name, hop.name,
            f"{wait.option} {waits} > {least}: {shortest.hop.name} ({shortest.setting.option})"
            " ends responses first",
        )  # fmt: skip
    # Nor does a limit that is longer than every declared request.
    written = [
        (limit, value)
        for limit, value in known
        if isinstance(limit.setting, Explicit) and (longest is None or value <= longest)
    ]
    if not written:
        return Undecided(
            cause=slug,
            path=path.name,
            hop=hop.name,
            reason=f"nobody declared how long responses stay silent behind {hop.name}"
            f" ({wait.option} {waits}), "
            + (
                f"and requests take up to {longest}"
                if longest is not None
                else "and no hop further in has a limit set"
            ),
            supply=_SUPPLY,
            span=wait.origin.literal,
        )
    limit, value = min(written, key=lambda pair: pair[1])
    text = f"{limit.hop.name} ({limit.setting.option}) lets a response be silent for {value}"
    return _finding(
        slug, path, hop, wait, waits, value, lambda waits, silence: None,
        severity=Severity.LOW,
        confidence=Confidence.LOW,
        curable=False,
        title=f"{hop.name} gives up earlier than {limit.hop.name} behind it",
        symptom=f"whenever a response stays silent for {waits}; nobody declared whether one does ({_SUPPLY})",
        other=text,
        other_location=located(limit.setting, text, limit.hop.place),
    )  # fmt: skip


def _finding(
    slug: str,
    path: RequestPath,
    hop: Hop,
    wait: Setting,
    waits: Duration,
    silence: Duration,
    helps: Helps,
    *,
    severity: Severity,
    confidence: Confidence,
    curable: bool,
    title: str,
    symptom: str,
    other: str,
    other_location: Location,
    role: Role = Role.UPSTREAM_READ,
) -> Finding:
    """`curable`: somebody declared what the hop should wait for, so that an edit is no guess."""
    sign = "<" if waits < silence else "="
    front = balancer_of(path) or path.hops[0]
    if path.hops.index(hop) > path.hops.index(front):
        symptom += f"; to {front.name} it is the target's own answer"
    if first := first_in_front(path, hop, waits):
        symptom += f"; hidden for as long as {first.hop.name} gives up first, after {value_of(first.setting)}"
    return Finding(
        cause=slug,
        title=title,
        severity=severity,
        confidence=confidence,
        ladder=Ladder.RESPONSE,
        symptom=Symptom(answer_of(hop), hop.name, symptom),
        arithmetic=f"{waits} {sign} {silence}: {hop.name} ({wait.option}) gives up"
        + (f" {silence - waits} too early" if silence > waits else " at the very moment of the answer")
        + f"; {other}",
        hop=hop.name,
        path=path.name,
        locations=(
            located(wait, f"{hop.name} gives up after {waits} without a byte", hop.place),
            other_location,
        ),
        margin=waits - silence,
        needs=(
            Need(
                hop=hop.name,
                role=role,
                setting=wait,
                above=silence,
                margin=margin_over(silence),
                why="longer than the longest silence behind it",
            ),
        )
        if curable
        else (),
        mitigation=helps(waits, silence),
    )
