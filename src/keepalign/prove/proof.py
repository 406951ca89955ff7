"""The runs of a proof and their verdict.

A run is (stack, set of edits): as it is; with all edits of the fix; and, where a predicted cause stayed
hidden behind another, with all edits but its own. The first two run side by side, on the same load.
"""

from __future__ import annotations

import asyncio
import os
import secrets
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Final

from keepalign import rules
from keepalign.errors import LabError, UnsolvablePath
from keepalign.fix import Repair, changes_applied, repair
from keepalign.join import Loaded
from keepalign.join.paths import Target
from keepalign.lab import experiment, lag, scale
from keepalign.lab.experiment import Experiment, Happening, Run, UserTasks, What
from keepalign.lab.recipes.versions import versions
from keepalign.lab.tasks import Application, Ports, missing_backends, rehearse
from keepalign.model.finding import Finding
from keepalign.model.path import Product, RequestPath, Stack
from keepalign.model.proof import Proof, Row, rough
from keepalign.prove import attribute, traffic, verdict
from keepalign.prove.predict import stale_in_life
from keepalign.rules._rule import balancer_of
from keepalign.units import Duration

# From the deploy of one run to that of the next one beside it.
_APART: Final = Duration.of(s=4)
_NO_EDIT: Final = "keepalign knows no edit that cures it, so there is nothing to compare with"


@dataclass(frozen=True, slots=True)
class Progress:
    """How far a proof is: `phase` in words, and the requests of the runs under way, in all."""

    phase: str
    done: int = 0
    total: int = 0


Report = Callable[[Progress], None]


@dataclass(frozen=True, slots=True)
class Proven:
    """A proof and what it was made of, for those who want to look closer.

    Args:
        folders: of the runs; there only when they were kept.
        after: None where nothing is to be fixed.
    """

    proof: Proof
    folders: tuple[Path, ...]
    repair: Repair
    before: Run
    after: Run | None


@dataclass(frozen=True, slots=True)
class _Stack:
    """One variant of the stack, ready to run. `name`: "before", "after"…"""

    name: str
    loaded: Loaded
    target: Target
    paths: tuple[RequestPath, ...]


def prepare(loaded: Loaded) -> tuple[Repair, Loaded]:
    """The fix for everything that `check` finds in `loaded`, and the stack with it.

    Raises: UnsolvablePath: there is none that keepalign can write.
    """
    repaired = repair(
        _without_clients(loaded.stack),
        loaded.sources,
        lambda overlay: _without_clients(loaded.reread(overlay).stack),
    )
    for error in repaired.unsolved.values():
        raise error
    for change in repaired.plan.by_hand:
        raise UnsolvablePath(
            f"{change.setting.option} of {change.hop} would have to become {change.value}, and no file among "
            "those given sets it",
            hint="give the folder that holds it too, or change it by hand and prove again",
        )
    return repaired, loaded.reread(repaired.changed)


async def prove(
    loaded: Loaded,
    *,
    seed: int,
    folder: Path | None = None,
    keep: bool = False,
    report: Report = lambda _: None,
) -> Proven:
    """Prove the fix of the one target of `loaded`; run it once as it is when there is nothing to fix.

    Args:
        folder: where the runs put their folders; None: the system's place for temporary files.
        keep: leave the folders: configuration as run, logs, the balancer's access log.
    Raises:
        LabError: there is not exactly one target to run, a server is missing or did not start.
        UnsolvablePath: there is no fix.
    """
    first = _stack("before", loaded)
    versions(first.target)  # a server that is missing is told before anything else
    repaired, fixed = prepare(loaded)
    findings = [
        f
        for f in repaired.before.findings
        if f.cause != rules.CRASHED and set(repaired.before.paths_of(f)) & set(first.target.paths)
    ]
    second = _stack("after", fixed) if repaired.changed else None
    if second is None:
        first = replace(first, name="as it is")
    speed = scale.choose([*first.paths, *(second.paths if second is not None else ())])
    # A run's folder is made by its supervisor, which removes it even when keepalign is killed.
    parent = (folder if folder is not None else Path(tempfile.gettempdir())) / _name()
    report(Progress("loading the applications once"))
    applications = await rehearse(
        first.target, speed, loaded.time_scale_env, parent.with_name(f"{parent.name}-rehearsal")
    )
    load = traffic.plan(first.target, first.paths, speed, seed)
    lab = _Lab(loaded, speed, applications, load, seed, parent, keep, report)
    runs = await lab.run_all([first] if second is None else [first, second])
    before, after = runs[0], runs[1] if second is not None else None
    rows: list[Row] = []
    if after is not None:
        rows = await _rows(lab, first, repaired, findings, before, after, runs)
    else:
        why = {rule.slug: rule.unprovable for rule in rules.RULES}
        causes = dict.fromkeys(finding.cause for finding in findings)
        rows = [verdict.explained(cause, why[cause] or _NO_EDIT, findings, before, None) for cause in causes]
    proof = _proof(lab, first.target, runs, rows)
    _assert_measured(proof, runs, after)
    return Proven(proof, tuple(lab.folders), repaired, before, after)


async def _rows(
    lab: _Lab,
    first: _Stack,
    repaired: Repair,
    findings: Sequence[Finding],
    before: Run,
    after: Run,
    runs: list[Run],
) -> list[Row]:
    """A verdict per predicted cause; a run that a verdict needs beside the first two goes to the end of
    `runs`."""
    limits = {path.name: attribute.limits_of(path, before) for path in first.paths}
    in_life = stale_in_life(first.paths)
    rows: list[Row] = []
    unprovable = {rule.slug: rule.unprovable for rule in rules.RULES if rule.unprovable}
    for cause in dict.fromkeys(finding.cause for finding in findings):
        if cause in unprovable:
            rows.append(verdict.explained(cause, unprovable[cause], findings, before, after))
            continue
        row = verdict.row(cause, findings, before, after, limits, None, in_life)
        if verdict.needs_another_look(row):
            others = [change for change in repaired.plan.editable if cause not in change.causes]
            less = lab.loaded.reread(changes_applied(others, lab.loaded.sources))
            runs += await lab.run_all([_stack(f"after, {cause} taken back", less)], "one fix taken back")
            row = verdict.row(cause, findings, before, after, limits, runs[-1], in_life)
        rows.append(row)
    return rows


def _assert_measured(proof: Proof, runs: Sequence[Run], after: Run | None) -> None:
    """Raises: LabError: the proof does not hold, and the machine was busier than the scale allows for."""
    if not proof.faults:
        return
    hint = "run it again when less is going on, or on more processors"
    waited = max(run.server_lags.share(100) for run in runs)
    if waited > scale.SMALLEST_DIFFERENCE:
        raise LabError(
            f"this machine was too busy to measure: servers waited up to {rough(waited)} for a processor, "
            f"and times were scaled for {scale.SMALLEST_DIFFERENCE} at most; what did not hold: "
            f"{proof.faults[0]}",
            hint=hint,
        )
    if after is not None and (late := _overrun(after)):
        raise LabError(f"this machine was too busy to measure: {late}", hint=hint)


def _overrun(after: Run) -> str:
    """What was ended after the fix only because it took longer than it is declared to, in words; else empty.

    Every limit on requests and on silence is above the longest declared one by then. An application that
    waits in many small steps is late by the sum of all of them, which no single look at the machine shows.
    """
    limits = {attribute.WORKER, attribute.CUT, attribute.PROXY_READ, attribute.LB_IDLE}
    declared = {
        e.path: after.experiment.scale.down(e.longest_request)
        for e in after.experiment.workload.endpoints
        if e.longest_request is not None
    }
    overran: list[tuple[Duration, attribute.Failed]] = []
    for one in attribute.failures(after):
        took, as_run = one.client.ended - one.client.sent, declared.get(one.client.endpoint)
        if one.cause not in limits or as_run is None or took <= as_run + scale.SMALLEST_DIFFERENCE:
            return ""
        overran.append((took, one))
    if not overran:
        return ""
    took, longest = max(overran, key=lambda each: each[0])
    endpoint = longest.client.endpoint
    return (
        f"{endpoint} took {rough(took)} and more, where {rough(declared[endpoint])} are declared (as run), "
        f"and was cut ({longest.how})"
    )


def _name() -> str:
    return f"keepalign-{os.getpid()}-{secrets.token_hex(3)}"


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

    async def run_all(self, stacks: Sequence[_Stack], label: str = "") -> list[Run]:
        """Run stacks side by side, with their deploys one after the other: a deploy starts many processes.

        Args:
            label: their names, for the progress.
        """
        done = dict.fromkeys((stack.name for stack in stacks), 0)
        label = label or " and ".join(done)
        total = len(self.load.schedule) * len(stacks)
        self.report(Progress(f"{label}: starting the servers", 0, total))

        def counter(name: str) -> Callable[[int, int], None]:
            def count(finished: int, _total: int) -> None:
                done[name] = finished
                self.report(Progress(f"{label}: requests and a rolling deploy", sum(done.values()), total))

            return count

        try:
            async with asyncio.TaskGroup() as group:
                tasks = [
                    group.create_task(
                        experiment.run(
                            self._experiment(stack, _APART * number),
                            self._folder(stack.name),
                            self.ports,
                            progress=counter(stack.name),
                            keep=self.keep,
                        )
                    )
                    for number, stack in enumerate(stacks)
                ]
        except BaseExceptionGroup as group_error:
            raise _first(group_error) from group_error
        return [task.result() for task in tasks]

    def _folder(self, name: str) -> Path:
        folder = self.parent.with_name(f"{self.parent.name}-{name.replace(', ', '-').replace(' ', '-')}")
        self.folders.append(folder)
        return folder

    def _experiment(self, stack: _Stack, later: Duration) -> Experiment:
        deploys = stack.paths[0].lifecycle is not None
        return Experiment(
            name=stack.name,
            tasks=UserTasks(
                stack.target, stack.loaded.sources, self.loaded.time_scale_env, self.applications
            ),
            paths=stack.paths,
            workload=self.loaded.workload,
            scale=self.speed,
            schedule=self.load.schedule,
            happenings=(Happening(What.DEPLOY, self.load.deploy_at + later),) if deploys else (),
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


def _stack(name: str, loaded: Loaded) -> _Stack:
    """Raises: LabError: not exactly one target can be run."""
    target = _only_target(loaded)
    paths = tuple(_from_balancer(path) for path in loaded.stack.paths if path.name in target.paths)
    return _Stack(name, loaded, target, paths)


def _without_clients(stack: Stack) -> Stack:
    """The stack without its declared clients: they are not run, and no edit of a file cures what they do."""
    return replace(stack, paths=tuple(replace(path, clients=()) for path in stack.paths))


def _from_balancer(path: RequestPath) -> RequestPath:
    """The path without what stands in front of its balancer: no CDN runs on this machine.

    Raises: LabError: there is no balancer that the lab can be.
    """
    balancer = balancer_of(path)
    if balancer is None:
        raise LabError(
            f"{path.name} begins with {path.hops[0].name}, and the lab is an Application Load Balancer",
            hint="`keepalign check` judges the path as it stands",
        )
    return replace(path, hops=path.hops[path.hops.index(balancer) :])


def _other_platform(lab: _Lab) -> tuple[str, ...]:
    """What is told where something else than ECS deploys the target."""
    paths = lab.loaded.stack.paths
    platforms = {path.lifecycle.platform for path in paths if path.lifecycle is not None}
    if platforms <= {Product.AWS_ECS.value, Product.AWS_ALB.value}:
        return ()
    return ("the rolling update is that of ECS: preStop and the spreading of endpoints are not run",)


def _proof(lab: _Lab, target: Target, runs: Sequence[Run], rows: Sequence[Row]) -> Proof:
    before, after, *more = (*runs, None) if len(runs) == 1 else runs
    assert before is not None
    late = [rough(max(run.lags.share(percent) for run in runs)) for percent in (50, 99, 100)]
    return Proof(
        target=target.name,
        seed=lab.seed,
        factor=lab.speed.factor,
        rounded=lab.speed.rounded,
        kept=(
            f"round trip to the targets: {experiment.ONE_WAY * 2}, never scaled",
            (
                f"the balancer's own latency e, measured every {lag.STEP}: {late[0]} as a rule, "
                f"{late[1]} at the 99th percentile, {late[2]} at worst; each re-use is judged by its own"
            ),
            (
                f"connecting and health checks may take {experiment.SHORTEST_WAIT}, however much faster the "
                "rest runs"
            ),
            "deregistration reaches the balancer at once, as AWS documents (in practice after 5-15 s)",
            *_other_platform(lab),
        ),
        servers=versions(target),
        stand_ins=tuple(
            (a.container, a.stand_in_because) for a in lab.applications.values() if a.stand_in_because
        )
        + tuple((name, "no container of the task serves it") for name in missing_backends(target)),
        traffic=lab.load.described,
        runs=tuple(verdict.summary(run) for run in runs),
        rows=tuple(rows),
        others=verdict.others(before, after, [row.cause for row in rows]),
        faults=verdict.faults(rows, before, after, [run for run in more if run is not None]),
    )
