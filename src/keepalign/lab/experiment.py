"""One run: a stack with its balancer, its tasks, a load and what happens to it; out comes a Trace.

The experiment knows no cause and judges nothing.
"""

from __future__ import annotations

import asyncio
import gc
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path
from typing import Final, Protocol

from keepalign.join.paths import Target
from keepalign.lab.arrivals import Schedule
from keepalign.lab.balancer import LabBalancer
from keepalign.lab.clock import LoopClock
from keepalign.lab.lag import PROGRAM, Lags, Late, measure, watched
from keepalign.lab.load import LoadGenerator
from keepalign.lab.scale import Scale
from keepalign.lab.service import LabService
from keepalign.lab.service import TaskFactory as AnyTaskFactory
from keepalign.lab.supervisor import Supervisor
from keepalign.lab.tasks import Application, Ports, TaskFactory, missing_backends
from keepalign.lab.wire import Wire
from keepalign.machines.balancer import BalancerConfig, HealthCheckConfig
from keepalign.machines.service import ContainerConfig, ServiceConfig
from keepalign.model.lifecycle import Lifecycle
from keepalign.model.path import RequestPath
from keepalign.model.setting import Setting, value_of
from keepalign.model.source import SourceText
from keepalign.model.timers import Role
from keepalign.model.trace import ClientRecord, Trace, TraceEvent
from keepalign.model.workload import Workload
from keepalign.units import ZERO, Duration, Instant

# One way between balancer and targets in two availability zones; never scaled (`Wire`).
ONE_WAY: Final = Duration.of(ms=0.5)

SHORTEST_WAIT: Final = Duration.of(s=0.5)
"""For what must merely be answered (a connection, a health check): a busy machine holds a process up for
longer than a small part of a second, and no comparison rests on these times."""

_CLIENT_IDLE: Final = Duration.of(s=1)
_CLIENT_LIMIT: Final = Duration.of(s=60)


class What(StrEnum):
    """What can happen to a service in a run."""

    DEPLOY = "deploy"
    """A rolling update of all tasks."""
    STOP_TASK = "stop_task"
    """One task is taken away as StopTask and a Spot interruption do it: deregistered and signalled at once;
    a new one takes its place."""


@dataclass(frozen=True, slots=True)
class Happening:
    """Something that happens `at` after the load began, as run."""

    what: What
    at: Duration


class DiffingFactory(AnyTaskFactory, Protocol):
    """Starts tasks, and keeps what it replaced in the user's configuration: container → diff."""

    @property
    def diffs(self) -> Mapping[str, str]: ...


class Tasks(Protocol):
    """What a task consists of, and how one is started."""

    def containers(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """Name of each container, and those that it depends on: they are stopped after it."""
        ...

    def factory(
        self, experiment: Experiment, supervisor: Supervisor, folder: Path, ports: Ports
    ) -> DiffingFactory:
        """Starts them, as `experiment` wants them."""
        ...


@dataclass(frozen=True, slots=True)
class UserTasks:
    """The tasks of a user's target.

    Args:
        sources: configuration texts, edits included.
        applications: what `tasks.rehearse` found, by container.
    """

    target: Target
    sources: Mapping[str, SourceText]
    time_scale_env: str
    applications: Mapping[str, Application]

    def containers(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """The task definition's, and the stand-ins of what they proxy to."""
        stand_ins = tuple(missing_backends(self.target))
        return [
            *(
                # What it proxies to must outlive it, as the machines that the stand-ins stand for do.
                (name, (*program.depends_on, *(stand_ins if name == self.target.front else ())))
                for name, program in self.target.programs.items()
            ),
            *((name, ()) for name in stand_ins),
        ]

    def factory(
        self, experiment: Experiment, supervisor: Supervisor, folder: Path, ports: Ports
    ) -> DiffingFactory:
        """Starts them with the user's own configuration and flags."""
        return TaskFactory(
            target=self.target,
            sources=self.sources,
            workload=experiment.workload,
            scale=experiment.scale,
            time_scale_env=self.time_scale_env,
            supervisor=supervisor,
            folder=folder,
            ports=ports,
            applications=self.applications,
        )


@dataclass(frozen=True, slots=True)
class Experiment:
    """What to run.

    Args:
        name: for progress and folders: "before", "after".
        tasks: what runs behind the balancer.
        paths: the request paths through them; they share balancer and lifecycle.
        schedule: the load; times as run, from the moment when the service is up.
        happenings: what happens meanwhile, on the same clock; in order, each beginning when the one before it
            has ended.
        seed: of the balancer's ids.
        one_way: of the virtual wire between balancer and targets; never scaled.
    """

    name: str
    tasks: Tasks
    paths: tuple[RequestPath, ...]
    workload: Workload
    scale: Scale
    schedule: Schedule
    happenings: tuple[Happening, ...]
    seed: int
    one_way: Duration = ONE_WAY

    @property
    def round_trip(self) -> Duration:
        """Between balancer and targets."""
        return self.one_way * 2


@dataclass(frozen=True, slots=True)
class Run:
    """What happened.

    Args:
        trace: requests and events.
        started: when the load began.
        lags: how late this process acted, all along: the `e` of the race window.
        server_lags: how late a process with the servers' priority acted.
        logs: the servers' own logs, "task-1/httpd.log" to text.
        access_log: the balancer's log lines.
        diffs: what the lab replaced, per container.
    """

    experiment: Experiment
    trace: Trace
    started: Instant
    lags: Lags
    server_lags: Lags
    logs: Mapping[str, str]
    access_log: tuple[str, ...]
    diffs: Mapping[str, str]


async def run(
    experiment: Experiment,
    folder: Path,
    ports: Ports,
    *,
    progress: Callable[[int, int], None] | None = None,
    keep: bool = False,
) -> Run:
    """Run it to its end: service up, load and deploy side by side, every process ended.

    Args:
        folder: does not exist yet; made, and removed at the end unless `keep`.
        progress: called with (requests done, requests in all).
    Raises: LabError: a server is missing or does not start, or the deployment does not end; what goes wrong
        under load comes in an exception group.
    """
    loop = asyncio.get_running_loop()
    clock = LoopClock(loop)
    async with Supervisor.start(folder, keep=keep) as supervisor:
        access_log = folder / "access.log"
        async with LabBalancer(
            balancer_config(experiment.paths, experiment.scale),
            wire=Wire(experiment.one_way, experiment.one_way),
            seed=experiment.seed,
            clock=clock,
            log_path=access_log,
        ) as balancer:
            factory = experiment.tasks.factory(experiment, supervisor, folder, ports)
            watch = await supervisor.spawn(
                [sys.executable, "-c", PROGRAM],
                env={**os.environ, "PYTHONDONTWRITEBYTECODE": "1"},
                cwd=folder,
                stdout=folder / "waits.txt",
                stderr=folder / "waits.log",
            )
            service = LabService(service_config(experiment), factory, balancer, clock)
            try:
                await service.start()
                started = clock.now()
                clients, lags = await _under_load(experiment, service, balancer.port, clock, progress)
                # What the balancer sees of the end of the run is no part of it.
                records, balancer_events = tuple(balancer.records), list(balancer.events)
                await service.stop()
            finally:
                service.halt()  # else it would replace what the end of a failed run ends
            watch.stop()
        events: list[TraceEvent] = sorted([*balancer_events, *service.events], key=lambda event: event.at)
        return Run(
            experiment=experiment,
            trace=Trace(clients, records, tuple(events)),
            started=started,
            lags=lags,
            server_lags=watched((folder / "waits.txt").read_text("utf-8")),
            logs=_logs(folder),
            access_log=tuple(access_log.read_text("utf-8").splitlines()),
            diffs=dict(factory.diffs),
        )


async def _under_load(
    experiment: Experiment,
    service: LabService,
    port: int,
    clock: LoopClock,
    progress: Callable[[int, int], None] | None,
) -> tuple[tuple[ClientRecord, ...], Lags]:
    """The load, and what happens meanwhile: what the clients saw, and how late this process acted."""
    generator = load_generator(experiment, port, clock)
    # A full collection of garbage stops the process for tens of milliseconds, and gaps are judged to one: let
    # it pass over what was loaded to get here.
    gc.collect()
    gc.freeze()
    looks: list[Late] = []
    probe = asyncio.create_task(measure(clock, looks.append))
    try:
        async with asyncio.TaskGroup() as group:
            load = group.create_task(generator.run(experiment.schedule, progress))
            group.create_task(_happen(service, experiment.happenings))
    finally:
        probe.cancel()
        gc.unfreeze()
    return tuple(load.result()), Lags(looks)


def load_generator(experiment: Experiment, port: int, clock: LoopClock) -> LoadGenerator:
    """A client whose own limits race with none of the balancer's."""
    idle = balancer_config(experiment.paths, experiment.scale).idle_timeout
    declared = (e.longest_request for e in experiment.workload.endpoints if e.longest_request is not None)
    longest = experiment.scale.down(max(declared, default=ZERO))
    return LoadGenerator(
        "127.0.0.1",
        port,
        clock,
        idle_limit=min(_CLIENT_IDLE, idle / 3),
        request_limit=max(_CLIENT_LIMIT, longest * 2),
    )


async def _happen(service: LabService, happenings: Sequence[Happening]) -> None:
    loop = asyncio.get_running_loop()
    began = loop.time()
    for happening in happenings:
        await asyncio.sleep(max(0.0, began + happening.at.seconds - loop.time()))
        match happening.what:
            case What.DEPLOY:
                await service.deploy()
            case What.STOP_TASK:
                await service.stop_task()


def _logs(folder: Path) -> dict[str, str]:
    return {
        str(p.relative_to(folder)): p.read_text("utf-8", "replace")
        for p in sorted(folder.glob("task-*/*.log"))
    }


def balancer_config(paths: tuple[RequestPath, ...], scale: Scale) -> BalancerConfig:
    """The balancer in front of these paths, as run."""
    alb = paths[0].hops[0]
    lifecycle = paths[0].lifecycle
    return BalancerConfig(
        idle_timeout=_scaled(alb.settings[Role.UPSTREAM_READ], scale, Duration.of(s=60)),
        deregistration_delay=(
            _scaled(lifecycle.deregistration_delay, scale, Duration.of(s=300)) if lifecycle else ZERO
        ),
        client_keep_alive=_scaled(alb.settings[Role.CLIENT_CONN_MAX_AGE], scale, Duration.of(s=3600)),
        connect_timeout=max(
            _scaled(alb.settings[Role.UPSTREAM_CONNECT], scale, Duration.of(s=10)), SHORTEST_WAIT
        ),
        health_check=_health_check(lifecycle, scale),
        # On paper deregistration takes effect at once; the proof takes AWS at its word and says so.
        deregistration_lag=ZERO,
    )


def _health_check(lifecycle: Lifecycle | None, scale: Scale) -> HealthCheckConfig:
    check = lifecycle.health_check if lifecycle is not None else None
    if check is None:
        interval, timeout = _check_times(scale.down(Duration.of(s=30)), scale.down(Duration.of(s=5)))
        return HealthCheckConfig(path="/", interval=interval, timeout=timeout, matcher="200-499")
    interval, timeout = _check_times(
        _scaled(check.interval, scale, Duration.of(s=30)), _scaled(check.timeout, scale, Duration.of(s=5))
    )
    return HealthCheckConfig(
        path=check.path,
        interval=interval,
        timeout=timeout,
        healthy_threshold=check.healthy_threshold,
        unhealthy_threshold=check.unhealthy_threshold,
        matcher=check.matcher,
    )


def _check_times(interval: Duration, timeout: Duration) -> tuple[Duration, Duration]:
    """Interval and timeout of a health check, of which the first must be the longer one."""
    timeout = max(timeout, SHORTEST_WAIT)
    return max(interval, timeout * 1.2), timeout


def _scaled(setting: Setting, scale: Scale, fallback: Duration) -> Duration:
    """As run; `fallback` (AWS's default) stands for what is unknown or has no length."""
    value = value_of(setting)
    return scale.down(value if value is not None else fallback)


def service_config(experiment: Experiment) -> ServiceConfig:
    """The service that keeps the tasks running, as run."""
    lifecycle = experiment.paths[0].lifecycle
    deployment = lifecycle.deployment if lifecycle is not None else None
    stops = {stop.container: stop for stop in lifecycle.stops} if lifecycle is not None else {}
    scale = experiment.scale

    def stop_timeout(name: str) -> Duration:
        default = Duration.of(s=30)
        return _scaled(stops[name].stop_timeout, scale, default) if name in stops else scale.down(default)

    def container(name: str, depends_on: tuple[str, ...]) -> ContainerConfig:
        return ContainerConfig(name, stop_timeout(name), depends_on)

    grace = lifecycle.health_check_grace if lifecycle is not None else None
    return ServiceConfig(
        desired_count=deployment.desired_count if deployment is not None else 2,
        minimum_healthy_percent=deployment.minimum_healthy_percent if deployment is not None else 100,
        maximum_percent=deployment.maximum_percent if deployment is not None else 200,
        containers=tuple(container(name, after) for name, after in experiment.tasks.containers()),
        health_check_grace=_scaled(grace, scale, ZERO) if grace is not None else ZERO,
        deregistration_poll=scale.down(Duration.of(s=5)),
    )
