"""A limit on the whole exchange, enforced by killing the worker: what the two rules about it share. A request
that is silent when it strikes ends in an error, one that streams in a body cut short: one rule each."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Iterator

from keepalign import defaults
from keepalign.model.checked import NotApplicable, Ok
from keepalign.model.finding import Finding, Ladder, Need, Severity, Symptom, Undecided
from keepalign.model.path import Hop, Product, RequestPath
from keepalign.model.setting import Setting, Unknown, value_of
from keepalign.model.timers import Role
from keepalign.model.workload import Endpoint
from keepalign.rules._limits import Declared, kills_worker, longest_request, may_kill_worker
from keepalign.rules._rule import Outcome, confidence_of, located, supply
from keepalign.rules.margins import margin_over
from keepalign.units import ZERO, Duration

SUPPLY = "declare longest_request and longest_silence in keepalign.toml, or pass --longest-request"


def each_worker(
    slug: str,
    path: RequestPath,
    judge: Callable[[Hop, Setting, Duration], Outcome],
    *,
    told_by: str = "",
) -> Iterator[Outcome]:
    """One outcome per hop whose worker may be killed at work: `judge`'s, where the limit is known.

    `told_by`: the rule that says of an unknown limit what would supply it; empty where `slug` does.
    """
    workers = [
        (hop, limit)
        for hop in path.hops
        if (limit := hop.settings.get(Role.HANDLER_TIMEOUT)) is not None
        and (kills_worker(hop) or may_kill_worker(hop))
    ]
    if not workers:
        yield NotApplicable(slug, path.name, path.hops[-1].name, "no worker on this path limits a request")
    for hop, limit in workers:
        value = value_of(limit)
        if value is not None and value:
            yield judge(hop, limit, value)
        elif isinstance(limit, Unknown) and told_by:
            yield NotApplicable(
                slug, path.name, hop.name, f"when its limit strikes is unknown: see {told_by}"
            )
        elif isinstance(limit, Unknown):
            yield Undecided(
                cause=slug,
                path=path.name,
                hop=hop.name,
                reason=f"when {hop.name} ({limit.option}) kills a worker at work is unknown: {limit.reason}",
                supply=supply(limit, hop.product),
                span=limit.origin.use,
            )
        else:
            yield Ok(slug, path.name, hop.name, f"{hop.name} ({limit.option}) never kills a worker at work")


def silent_at(limit: Duration, endpoints: Iterable[Endpoint]) -> Declared | None:
    """The longest request that may not have sent a byte when `limit` strikes; its silence may be unknown."""
    return longest_request(
        e
        for e in endpoints
        if (e.longest_silence is None and e.longest_request is not None and e.longest_request >= limit)
        or (e.longest_silence is not None and e.longest_silence >= limit)
    )


def streaming_at(limit: Duration, endpoints: Iterable[Endpoint]) -> Declared | None:
    """The longest request whose body is on its way when `limit` strikes."""
    return longest_request(
        e
        for e in endpoints
        if e.longest_silence is not None
        and e.longest_request is not None
        and e.longest_silence < limit <= e.longest_request
    )


def struck(hop: Hop, limit: Duration) -> str:
    """When the limit of `hop` strikes, in words: gunicorn and uWSGI look at their workers once a second."""
    rows = defaults.load(hop.product).for_role(Role.HANDLER_TIMEOUT)
    late = max((row.late_by for row in rows), default=ZERO)
    return f"{limit} to {limit + late} after it was taken up" if late else f"{limit} after it was taken up"


def major(hop: Hop) -> int | None:
    """The first number of the version of a gunicorn; None where it is not known, and of other servers."""
    number = re.match(r"\d+", hop.version) if hop.product is Product.GUNICORN else None
    return int(number[0]) if number else None


def worker_finding(
    slug: str,
    path: RequestPath,
    hop: Hop,
    setting: Setting,
    limit: Duration,
    longest: Declared,
    *,
    severity: Severity,
    title: str,
    symptom: Symptom,
    role: Role = Role.HANDLER_TIMEOUT,
    does: str = "kills the worker",
) -> Finding:
    """The finding that `hop` kills its worker after `limit`, before the request `longest` is done.

    The limit is one for all requests, so the need is that of the longest of them.

    Args:
        role, does: of the limit, and what `hop` does then, where that is no worker.
    """
    sign = "<" if limit < longest.value else "="
    whole = longest_request(path.endpoints) or longest
    return Finding(
        cause=slug,
        title=title,
        severity=severity,
        confidence=confidence_of(
            [(hop, setting), (None, longest.setting)], path.hops[1 : path.hops.index(hop) + 1]
        ),
        ladder=Ladder.RESPONSE,
        symptom=symptom,
        arithmetic=f"{limit} {sign} {longest.value}: {hop.name} ({setting.option}) {does}"
        + (f" {longest.value - limit} before" if limit < longest.value else " at the very moment when")
        + f" {longest.longest_one} is done",
        hop=hop.name,
        path=path.name,
        locations=(
            located(setting, f"{hop.name} {_at(limit, role, does)}", hop.place),
            located(longest.setting, f"{longest.who}: up to {longest.value}"),
        ),
        margin=limit - longest.value,
        needs=(
            Need(
                hop=hop.name,
                role=role,
                setting=setting,
                above=whole.value,
                margin=margin_over(whole.value),
                why=f"longer than {whole.longest_one}",
            ),
        ),
    )


def _at(limit: Duration, role: Role, does: str) -> str:
    worker = role is Role.HANDLER_TIMEOUT
    return f"kills a worker that is at work for {limit}" if worker else f"{does} after {limit}"
