"""Runs a scenario: the broken and the fixed stack side by side, under the same load, and what they show."""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Final

from keepalign import rules
from keepalign.errors import LabError
from keepalign.lab import experiment, scale, servers
from keepalign.lab.arrivals import Schedule, merge, periodic_bursts
from keepalign.lab.experiment import Experiment, Happening, Run, What
from keepalign.lab.hop_tasks import HopTasks
from keepalign.lab.tasks import Ports
from keepalign.model.path import RequestPath, Stack
from keepalign.model.shown import Failure, Shown, ShownRun
from keepalign.model.trace import ClientFailure, ClientRecord, EventKind
from keepalign.model.workload import Workload
from keepalign.prove.attribute import failures
from keepalign.scenarios import Case, Scenario

VARIANTS: Final = ("broken", "fixed")

Report = Callable[[int, int], None]
"""Called with (requests done, requests in all)."""


@dataclass(frozen=True, slots=True)
class Played:
    """What a scenario came to, with its runs; `folders` are those that were kept."""

    shown: Shown
    runs: tuple[Run, ...]
    folders: tuple[Path, ...] = ()


async def play(
    scenario: Scenario,
    server: str = "",
    *,
    seed: int,
    variants: Sequence[str] = VARIANTS,
    folder: Path | None = None,
    ports: Ports | None = None,
    keep: bool = False,
    report: Report = lambda _done, _total: None,
) -> Played:
    """Run a scenario on one of its servers; "" is its first.

    Args:
        variants: "broken", "fixed" or both, which then run side by side.
        folder: where the runs put their folders; None: the system's place for temporary files.
        ports: shared by all that plays at the same time; None: its own.
        keep: leave them: configuration as run, logs, the balancer's access log.
    Raises:
        UsageError: the scenario has no such server.
        LabError: a server is missing or does not start.
    """
    case = scenario.on(server)
    paths = {"broken": case.broken, "fixed": case.fixed}
    for variant in variants:
        for hop in paths[variant].hops[1:]:
            why = servers.missing(hop)
            if why:
                raise LabError(f"{scenario.slug} on {case.server}: {why}")
    speed = scale.choose(list(paths.values()), at_most=case.scale_at_most)
    load = schedule(case, speed, seed)
    place = folder if folder is not None else Path(tempfile.gettempdir())
    name = f"keepalign-lab-{secrets.token_hex(3)}"
    folders = tuple(place / f"{name}-{variant}" for variant in variants)
    ports = ports if ports is not None else Ports()
    done = dict.fromkeys(variants, 0)

    def count(variant: str) -> Callable[[int, int], None]:
        def told(finished: int, _total: int) -> None:
            done[variant] = finished
            report(sum(done.values()), len(load) * len(variants))

        return told

    try:
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(
                    experiment.run(
                        _experiment(variant, paths[variant], case, speed, load, seed),
                        own,
                        ports,
                        progress=count(variant),
                        keep=keep,
                    )
                )
                for variant, own in zip(variants, folders, strict=True)
            ]
    except BaseExceptionGroup as error:
        raise _first(error) from error
    runs = tuple(task.result() for task in tasks)
    shown_runs = tuple(_shown_run(run) for run in runs)
    used = dict.fromkeys(servers.version(hop) for variant in variants for hop in paths[variant].hops[1:])
    shown = Shown(
        slug=scenario.slug,
        title=scenario.title,
        says=scenario.says,
        shows=case.shows,
        server=case.server,
        servers=tuple(used),
        factor=speed.factor,
        round_trip=case.one_way * 2,
        seed=seed,
        runs=shown_runs,
        faults=faults(scenario.slug, case.shows, shown_runs),
    )
    return Played(shown, runs, folders if keep else ())


def schedule(case: Case, speed: scale.Scale, seed: int) -> Schedule:
    """The load of a case, times as run: the same seed, the same load."""
    rng = Random(seed)
    return merge(
        *(
            periodic_bursts(
                rng,
                traffic.path,
                period=speed.down(traffic.every) + traffic.plus,
                jitter=traffic.jitter,
                size=traffic.size,
                length=traffic.run_for,
            )
            for traffic in case.traffic
        )
    )


def _experiment(
    name: str, path: RequestPath, case: Case, speed: scale.Scale, load: Schedule, seed: int
) -> Experiment:
    return Experiment(
        name=name,
        tasks=HopTasks(path),
        paths=(path,),
        workload=Workload(path.endpoints),
        scale=speed,
        schedule=load,
        happenings=tuple(Happening(What(event.what), event.at) for event in case.events),
        seed=seed,
        one_way=case.one_way,
    )


def predicted(path: RequestPath) -> tuple[str, ...]:
    """The causes that `check` finds on a path, in its order."""
    return tuple(dict.fromkeys(finding.cause for finding in rules.check(Stack((path,))).findings))


def _shown_run(run: Run) -> ShownRun:
    failed = failures(run)
    counted = Counter(one.cause for one in failed)
    clients = run.trace.clients
    last = max((client.ended for client in clients), default=run.started)
    return ShownRun(
        name=run.experiment.name,
        predicted=predicted(run.experiment.paths[0]),
        requests=len(clients),
        failures=tuple(
            Failure(
                cause=cause,
                count=number,
                statuses=tuple(sorted({_status(one.client) for one in failed if one.cause == cause})),
                how=next(one.how for one in failed if one.cause == cause),
            )
            for cause, number in counted.most_common()
        ),
        killed=sum(event.kind is EventKind.TASK_KILLED for event in run.trace.events),
        took=last - run.started,
    )


def _status(client: ClientRecord) -> str:
    if client.failure is ClientFailure.BODY_CUT_SHORT:
        return "cut"
    return str(client.status) if client.status is not None else "none"


def faults(slug: str, shows: str, runs: Sequence[ShownRun]) -> tuple[str, ...]:
    """Why the runs do not show the cause and its cure, one sentence each; none when they do."""
    found: list[str] = []
    for run in runs:
        flagged = slug in run.predicted
        if run.name == "broken":
            if not flagged:
                found.append(f"check does not find {slug} in the broken stack")
            if shows == "kill":
                if not run.killed:
                    found.append("no process of the broken stack had to be killed")
                continue
            ours = next((one for one in run.failures if one.cause == slug), None)
            if ours is None:
                seen = ", ".join(f"{one.count} by {one.cause} ({one.how})" for one in run.failures)
                found.append(
                    f"none of {run.requests} requests to the broken stack failed by {slug}"
                    + (f"; failed: {seen}" if seen else "")
                )
            elif shows not in ours.statuses:
                found.append(f"clients got {', '.join(ours.statuses)} and should have got {shows}")
        else:
            if flagged:
                found.append(f"check still finds {slug} in the fixed stack")
            if run.killed and shows == "kill":
                found.append(f"{run.killed} processes of the fixed stack had to be killed")
            found += [
                f"{one.count} of {run.requests} requests to the fixed stack failed by {one.cause}: {one.how}"
                for one in run.failures
            ]
    return tuple(found)


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of nested groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner
