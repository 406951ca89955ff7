"""The runs of a proof and their verdict.

A run is (stack, set of edits): as it is; with all edits of the fix; and, where a predicted cause stayed
hidden behind another, with all edits but its own. The first two run side by side, on the same load.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from keepalign.errors import LabError
from keepalign.fix import Repair, changes_applied, repair
from keepalign.join import Loaded
from keepalign.join.paths import Target
from keepalign.lab import experiment, scale
from keepalign.lab.experiment import Experiment, Run
from keepalign.lab.recipes.versions import versions
from keepalign.lab.tasks import Application, Ports, rehearse
from keepalign.model.finding import Finding
from keepalign.model.path import RequestPath
from keepalign.model.proof import Count, Other, Proof, Row, RunSummary, Verdict
from keepalign.model.trace import ClientFailure
from keepalign.prove import attribute, traffic
from keepalign.prove.exposure import exposed

# Below this many exposed requests an error-free run says little (3/60 = 5 %).
ENOUGH: Final = 60


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a proof is: `phase` in words, and the requests of the runs under way, in all."""

    phase: str
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Proven:
    """A proof and what it was made of, for those who want to look closer. `folders` are left when kept."""

    proof: Proof
    folders: tuple[Path, ...]
    repair: Repair
    before: Run
    after: Run


def prepare(loaded: Loaded) -> tuple[Repair, Loaded]:
    """The fix for everything that `check` finds in `loaded`, and the stack with it.

    Raises: UnsolvablePath: there is none.
    """
    repaired = repair(loaded.stack, loaded.sources, lambda overlay: loaded.reread(overlay).stack)
    return repaired, loaded.reread(repaired.changed)


async def prove(
    loaded: Loaded,
    *,
    seed: int,
    folder: Path | None = None,
    keep: bool = False,
    report: Report = lambda _: None,
) -> Proven:
    """Prove the fix of the one target of `loaded`.

    Args:
        folder: where the runs put their folders; None: the system's place for temporary files.
        keep: leave the folders: configuration as run, logs, the balancer's access log.
    Raises:
        LabError: there is not exactly one target to run, a server is missing or did not start.
        UnsolvablePath: there is no fix.
    """
    repaired, fixed = prepare(loaded)
    target, fixed_target = _only_target(loaded), _only_target(fixed)
    paths, fixed_paths = _paths(loaded, target), _paths(fixed, fixed_target)
    speed = scale.choose([*paths, *fixed_paths])
    report(Progress("loading the applications once"))
    applications = await asyncio.to_thread(rehearse, target, speed, loaded.time_scale_env)
    load = traffic.plan(target, paths, speed, seed)
    # A run's folder is made by its supervisor, which removes it even when keepalign is killed.
    name = f"keepalign-{os.getpid()}-{secrets.token_hex(3)}"
    parent = (folder if folder is not None else Path(tempfile.gettempdir())) / name
    lab = _Lab(loaded, speed, applications, load, seed, parent, keep, report)
    before, after = await lab.run_all(
        [("before", loaded, target, paths), ("after", fixed, fixed_target, fixed_paths)]
    )
    taken_back: dict[str, Run] = {}
    findings = [f for f in repaired.before.findings if f.needs and f.path in target.paths]
    causes = list(dict.fromkeys(finding.cause for finding in findings))
    limits = {path.name: attribute.limits_of(path, before) for path in paths}
    first = {cause: _row(cause, findings, before, after, limits, None) for cause in causes}
    for cause in causes:
        if first[cause].verdict is Verdict.NOT_SEEN or first[cause].before.exposed < ENOUGH:
            others = [change for change in repaired.plan.editable if cause not in change.causes]
            less = loaded.reread(changes_applied(others, loaded.sources))
            less_target = _only_target(less)
            name = f"after, {cause} taken back"
            (taken_back[cause],) = await lab.run_all([(name, less, less_target, _paths(less, less_target))])
    rows = [_row(cause, findings, before, after, limits, taken_back.get(cause)) for cause in causes]
    proof = _proof(lab, target, before, after, taken_back.values(), rows, applications)
    return Proven(proof, tuple(lab.folders), repaired, before, after)


class _Lab:
    """What the runs of one proof share."""

    def __init__(
        self,
        loaded: Loaded,
        speed: scale.Scale,
        applications: Mapping[str, Application],
        load: traffic.Traffic,
        seed: int,
        parent: Path,
        keep: bool,
        report: Report,
    ) -> None:
        self.loaded, self.speed, self.applications, self.load = loaded, speed, applications, load
        self.seed, self.parent, self.keep, self.report = seed, parent, keep, report
        self.ports = Ports()
        self.folders: list[Path] = []

    async def run_all(
        self, wanted: Sequence[tuple[str, Loaded, Target, tuple[RequestPath, ...]]]
    ) -> list[Run]:
        """Run stacks side by side."""
        done = dict.fromkeys((name for name, *_ in wanted), 0)
        names = " and ".join(done)
        total = len(self.load.schedule) * len(wanted)
        self.report(Progress(f"{names}: starting the servers", 0, total))

        def counter(name: str) -> Callable[[int, int], None]:
            def count(finished: int, _total: int) -> None:
                done[name] = finished
                self.report(Progress(f"{names}: requests and a rolling deploy", sum(done.values()), total))

            return count

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        experiment.run(
                            self._experiment(name, loaded, target, paths),
                            self._folder(name),
                            self.ports,
                            progress=counter(name),
                            keep=self.keep,
                        )
                    )
                    for name, loaded, target, paths in wanted
                ]
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        return [task.result() for task in tasks]

    def _folder(self, name: str) -> Path:
        folder = self.parent.with_name(f"{self.parent.name}-{name.replace(', ', '-').replace(' ', '-')}")
        self.folders.append(folder)
        return folder

    def _experiment(
        self, name: str, loaded: Loaded, target: Target, paths: tuple[RequestPath, ...]
    ) -> Experiment:
        deploys = paths[0].lifecycle is not None
        return Experiment(
            name=name,
            target=target,
            paths=paths,
            sources=loaded.sources,
            workload=self.loaded.workload,
            scale=self.speed,
            time_scale_env=self.loaded.time_scale_env,
            applications=self.applications,
            schedule=self.load.schedule,
            deploy_at=self.load.deploy_at if deploys else None,
            seed=self.seed,
        )


def _first(group: BaseExceptionGroup[BaseException]) -> BaseException:
    """The first single exception of nested groups."""
    inner = group.exceptions[0]
    return _first(inner) if isinstance(inner, BaseExceptionGroup) else inner


def _only_target(loaded: Loaded) -> Target:
    if not loaded.targets:
        first = loaded.stack.unjoined[0] if loaded.stack.unjoined else None
        raise LabError(
            "there is no target to run: no service's containers could be joined to a balancer"
            + (f" ({first.what}: {first.missing})" if first is not None else ""),
            hint="run `keepalign check` on the same folders to see what is missing",
        )
    if len(loaded.targets) > 1:
        names = ", ".join(target.name for target in loaded.targets)
        raise LabError(
            f"the folders hold several targets ({names}); a proof runs one",
            hint="give the folders of one service",
        )
    return loaded.targets[0]


def _paths(loaded: Loaded, target: Target) -> tuple[RequestPath, ...]:
    return tuple(path for path in loaded.stack.paths if path.name in target.paths)


def _row(
    cause: str,
    findings: Sequence[Finding],
    before: Run,
    after: Run,
    limits: Mapping[str, attribute.Limits],
    taken_back: Run | None,
) -> Row:
    def count(run: Run) -> Count:
        errors = sum(failed.cause == cause for failed in attribute.failures(run))
        return Count(max(exposed(run, limits).get(cause, 0), errors), errors)

    predicted = next(finding.arithmetic for finding in findings if finding.cause == cause)
    first, second = count(before), count(after)
    third = count(taken_back) if taken_back is not None else None
    why = ""
    if second.errors:
        verdict = Verdict.NOT_CURED
    elif first.errors and min(first.exposed, second.exposed) >= ENOUGH:
        verdict = Verdict.SEEN
    elif third is not None and third.errors and min(third.exposed, second.exposed) >= ENOUGH:
        verdict = Verdict.HIDDEN
        why = f"behind {_commonest(before) or 'other failures'}; shown with this cause's edits taken back"
    elif max(first.exposed, third.exposed if third is not None else 0) < ENOUGH or second.exposed < ENOUGH:
        verdict = Verdict.NOT_SHOWABLE
        why = f"fewer than {ENOUGH} requests can be exposed with this stack's workers and endpoints"
    else:
        verdict = Verdict.NOT_SEEN
    return Row(cause, predicted, first, second, verdict, third, why)


def _commonest(run: Run) -> str:
    causes = Counter(failed.cause for failed in attribute.failures(run))
    return causes.most_common(1)[0][0] if causes else ""


def _proof(
    lab: _Lab,
    target: Target,
    before: Run,
    after: Run,
    more: Iterable[Run],
    rows: Sequence[Row],
    applications: Mapping[str, Application],
) -> Proof:
    others = _others(before, after, {row.cause for row in rows})
    return Proof(
        target=target.name,
        seed=lab.seed,
        factor=lab.speed.factor,
        rounded=lab.speed.rounded,
        kept=(
            f"round trip to the targets: {experiment.ONE_WAY * 2}, never scaled",
            "deregistration reaches the balancer at once, as AWS documents (in practice after 5-15 s)",
        ),
        servers=versions(target),
        stand_ins=tuple(
            (a.container, a.stand_in_because) for a in applications.values() if a.stand_in_because
        ),
        traffic=lab.load.described,
        runs=tuple(_summary(run) for run in (before, after, *more)),
        rows=tuple(rows),
        others=others,
        faults=tuple(_faults(after, rows, others)),
    )


def _summary(run: Run) -> RunSummary:
    clients = run.trace.clients
    last = max((client.ended for client in clients), default=run.started)
    return RunSummary(
        name=run.experiment.name,
        requests=len(clients),
        ok=len(clients) - len(attribute.failures(run)),
        took=last - run.started,
    )


def _others(before: Run, after: Run, predicted: set[str]) -> tuple[Other, ...]:
    """Failures by causes that no finding predicted, commonest first."""
    found = {name: [f for f in attribute.failures(run) if f.cause not in predicted]
             for name, run in (("before", before), ("after", after))}  # fmt: skip
    counts = {name: Counter(failed.cause for failed in failed_ones) for name, failed_ones in found.items()}
    order = [cause for cause, _ in (counts["before"] + counts["after"]).most_common()]
    return tuple(
        Other(
            cause=cause,
            example=next(f.how for f in (*found["after"], *found["before"]) if f.cause == cause),
            before=counts["before"][cause],
            after=counts["after"][cause],
        )
        for cause in order
    )


def _faults(after: Run, rows: Sequence[Row], others: Sequence[Other]) -> Iterable[str]:
    """Why the proof does not hold, one sentence each."""
    for row in rows:
        if row.verdict is Verdict.NOT_CURED:
            yield f"{row.cause}: {row.after.errors} errors are left after the fix"
        elif row.verdict is Verdict.NOT_SEEN:
            yield f"{row.cause}: predicted, but none of {row.before.exposed} exposed requests failed"
    for other in others:
        if other.cause in (attribute.UNEXPLAINED, attribute.CLIENT_SIDE) and other.before:
            yield f"{other.before} failures before the fix are {other.cause}: {other.example}"
        if other.after:
            yield f"{other.after} failures after the fix are {other.cause}: {other.example}"
    cut = sum(client.failure is ClientFailure.BODY_CUT_SHORT for client in after.trace.clients)
    if cut:
        yield f"{cut} bodies were cut short after the fix"
