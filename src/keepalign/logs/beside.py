"""Everything that is known beside the balancer's lines → one `Evidence`.

What the user states beats the stack's configuration, and that beats what AWS says of the running balancer.
"""

from __future__ import annotations

import io
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, BinaryIO, Final, cast

from keepalign.errors import KeepalignError, NothingToRead, ReadError
from keepalign.logs.aws_options import AwsOptions
from keepalign.logs.blocks import Unpacked, pieces
from keepalign.logs.known import STATED, Configured
from keepalign.logs.objects import REJECTS_SHOWN, Kind, LogObject, Scanned, kind_by_name
from keepalign.logs.sources import kind_of
from keepalign.model.observation import Deployment, Evidence, HealthCheck, LogRow, Rejected, Testimony, Timers

if TYPE_CHECKING:
    from keepalign.logs.configured import Solve
    from keepalign.logs.witness.files import Statement, Witness

# What only some calls need is imported by them: `diagnose -` answers at once.
_UNKNOWN: Final = Timers()
MOST_CHECKS: Final = 500_000
"""Health checks that are kept: some 100 MB as objects."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What the user names beside the logs.

    Args:
        timers: as stated, for every target group.
        config: paths of the stack's configuration. asked: the user named them, so that a fault in them is
            one of the call.
        events: files with deployments. met: files that may be such, by their names.
        services: "CLUSTER/SERVICE" of ECS, asked live.
        live: ask AWS for the timers of balancers and target groups that the log names.
    """

    timers: Timers = field(default_factory=Timers)
    config: Sequence[str] = ()
    asked: bool = True
    events: Sequence[str] = ()
    met: Sequence[str] = ()
    witnesses: Sequence[Witness] = ()
    services: Sequence[str] = ()
    live: bool = False
    aws: AwsOptions = field(default_factory=AwsOptions)
    solve: Solve | None = None


@dataclass(slots=True)
class Beside:
    """Evidence, and what there is to say of where it came from.

    Args:
        timers_from: by the keys of `evidence.timers`: who told them, in words. scanned: the objects that
            evidence was read from.
    """

    evidence: Evidence = field(default_factory=Evidence)
    timers_from: dict[str, str] = field(default_factory=dict)
    configured: Configured | None = None
    notes: list[str] = field(default_factory=list)
    scanned: list[Scanned] = field(default_factory=list)


def beside(
    given: Given,
    objects: Iterable[LogObject],
    scanned: Sequence[Scanned],
    rows: Callable[[], Iterable[LogRow]] | None,
) -> Beside:
    """Collect it.

    Args:
        objects: connection and health check logs. scanned: the access logs.
        rows: the error rows, asked only when there are witnesses; None: not known yet.
    Raises: KeepalignError: what the user named cannot be read.
    """
    found = Beside()
    layers: list[_Layer] = []
    deployments: list[Deployment] = []
    testimonies: list[Testimony] = []
    if given.live or given.services:
        from keepalign.logs import aws

        for name in given.services:
            said = aws.service(name, given.aws)
            layers.append((f"ECS service {name}", said.timers))
            deployments += said.deployments
            testimonies += said.testimonies
            found.notes += said.notes
            if not said.deployments:
                found.notes.append(f"ECS service {name}: its events tell of no target that was taken out")
        if given.live:
            seen = {(elb, group) for one in scanned for elb, _, group in one.groups if group not in ("", "-")}
            said = aws.balancer_timers(seen, given.aws)
            layers.append(("the running balancer", said.timers))
            found.notes += said.notes
    if given.config:
        found.configured = _configured(given, found.notes)
        if found.configured is not None:
            layers.append((found.configured.source, found.configured.timers))
    for name in (*given.events, *given.met):
        deployments += _events(name, found.notes, asked=name in given.events)
    if given.witnesses:
        from keepalign.logs.witness.files import hear
        from keepalign.logs.witness.interest import Interest

        hearing = hear(given.witnesses, Interest.of(rows()) if rows is not None else None)
        testimonies += hearing.testimonies
        found.notes += [*hearing.notes, *map(_account, hearing.statements)]
    timers = _merged(layers, given.timers)
    found.timers_from = {group: told for group in timers if (told := _sources(group, layers, given.timers))}
    several = list(objects)
    health = _read_beside(several, found) if several else []
    found.evidence = Evidence(
        timers=timers,
        deployments=tuple(sorted(deployments, key=lambda one: (one.at, one.removed, one.source))),
        health=tuple(sorted(health)),
        testimonies=tuple(sorted(testimonies, key=lambda one: (one.at, one.file, one.line))),
    )
    return found


def _events(name: str, notes: list[str], *, asked: bool) -> tuple[Deployment, ...]:
    from keepalign.logs.ecs_events import read_events

    try:
        told = read_events(Path(name))
    except ReadError as error:
        if asked:
            raise
        notes.append(f"not used as events: {error}")
        return ()
    if not told:
        notes.append(f"{name}: the events tell of no target that was taken out")
    elif not asked:
        notes.append(f"{name}: deployments are taken from there")
    return told


def _configured(given: Given, notes: list[str]) -> Configured | None:
    from keepalign.logs.configured import configured

    try:
        return configured(*given.config, solve=given.solve)
    except NothingToRead:
        if given.asked:
            raise
        return None
    except KeepalignError as error:
        if given.asked:
            raise
        notes.append(f"no configuration could be read beside the logs: {error}")
        return None


_Layer = tuple[str, Mapping[str, Timers]]
"""Who says so, and timers by target group."""


def _sources(group: str, layers: Iterable[_Layer], stated: Timers) -> str:
    """Everybody who told any of a target group's timers."""
    told = [
        source
        for source, timers in layers
        if any(timers.get(key, _UNKNOWN) != _UNKNOWN for key in {group, ""})
    ]
    return " and ".join([*told, *([STATED] if stated != _UNKNOWN else [])])


def _merged(layers: Iterable[_Layer], stated: Timers) -> dict[str, Timers]:
    """Later layers win, value by value; `stated` wins over all. Values for all groups hold for each."""
    found: dict[str, Timers] = {}
    for _, layer in layers:
        for group, timers in layer.items():
            found[group] = _over(found.get(group, Timers()), timers)
    everywhere = _over(found.get("", Timers()), stated)
    merged = {group: _over(_over(everywhere, timers), stated) for group, timers in found.items()}
    merged[""] = everywhere
    return merged


def _over(under: Timers, over: Timers) -> Timers:
    known = {name: value for name in Timers.__slots__ if (value := getattr(over, name)) is not None}
    return replace(under, **known)


def _account(statement: Statement) -> str:
    rejected = f", {statement.rejected_lines} not understood" if statement.rejected_lines else ""
    first = statement.rejected[0] if statement.rejected else None
    where = f" (the first: line {first.line}: {first.reason})" if first is not None else ""
    lines = f"{statement.lines:,} line{'' if statement.lines == 1 else 's'}"
    return f"{statement.name}: {lines} of a witness{rejected}{where}"


def _read_beside(objects: Iterable[LogObject], found: Beside) -> list[HealthCheck]:
    from keepalign.logs.connections import Handshakes, connections
    from keepalign.logs.health import health_checks

    checks: list[HealthCheck] = []
    handshakes = Handshakes()
    for one in objects:
        account = Scanned(one.name, kind_by_name(one.name) or Kind.OTHER, one.size)
        found.scanned.append(account)
        try:
            if account.kind is Kind.OTHER:
                account.kind = kind_of(one)
            unpacked = Unpacked(pieces(one.opener, one.name, account.notes))
            stream = cast("BinaryIO", io.BufferedReader(unpacked))
            if account.kind is Kind.CONNECTION:
                for item in connections(stream, file=one.name):
                    if not isinstance(item, Rejected):
                        handshakes.add(item)
                    _count(item, account)
            else:
                for check in health_checks(stream, file=one.name):
                    if not isinstance(check, Rejected) and len(checks) < MOST_CHECKS:
                        checks.append(check)
                    _count(check, account)
        except (ReadError, OSError) as error:
            why = error.message if isinstance(error, ReadError) else error.strerror
            found.notes.append(f"{one.name}: not read: {why}")
        found.notes += account.notes
    kept, read = len(checks), sum(one.fine for one in found.scanned if one.kind is Kind.HEALTH)
    if kept < read:
        found.notes.append(f"{kept:,} of {read:,} health checks were kept: the first ones")
    found.notes += handshakes.sentences()
    return checks


def _count(item: object, account: Scanned) -> None:
    account.lines += 1
    if not isinstance(item, Rejected):
        account.fine += 1
        return
    account.rejected_lines += 1
    if len(account.rejected) < REJECTS_SHOWN:
        account.rejected.append(item)
