"""An ECS service: start tasks, replace them in a rolling update, stop each in the order ECS keeps.

A task that the scheduler stops goes this way; nothing is skipped, and each step waits for the one before:

    Deregister ── the target is UNUSED (the whole deregistration delay is over)
               ── the scheduler notices (`deregistration_poll`)
               ── SignalContainer, dependants first ── KillContainer after the container's stop timeout
               ── TaskGone: every container has ended and the target is unused, so its address is free again

A task that is stopped from outside (`stop_task`: StopTask, a Spot interruption) is deregistered and signalled
at the same moment; TaskGone waits for both. An essential container that exits by itself turns the order
round: the other containers get their signal at once, and deregistration follows when the task is dead.

What a rolling update does, in this order, after every input:

1. starts tasks while the ceiling leaves room: first replacements of lost tasks of older revisions (of the
   same revision, as ECS does since November 2025), then the new revision;
2. stops old tasks only to make room, if the ceiling leaves none, and then as each new task becomes healthy,
   never taking the number of healthy tasks below the floor by its own doing; unhealthy ones go first, then
   the longest-running;
3. replaces a task that is unhealthy after its health-check grace period: the replacement starts first if
   there is room, else unhealthy tasks are stopped one at a time to make room.

Policies, where AWS says little or two things (`ServiceConfig` names those that can be switched):
old tasks are not stopped ahead of new ones becoming healthy unless room is needed, though the floor might
allow it; a failed deployment stays as it is, because rollback is not modelled; a task that died is replaced
at once, because the growing back-off of ECS is not modelled; a stop from outside does not wait for the
deregistration delay (AWS says that deregistration comes first, and not by how much); the circuit breaker is
always on; its count starts again when a new task becomes healthy (`resetOnHealthyTask`, which is on by
default).

Sources: ECS developer guide "Rolling update", "Container shutdown", "Deployment circuit breaker"; API
reference of `DeploymentConfiguration` and `ContainerDependency` (checked 2026-11).
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable
from dataclasses import dataclass, field
from enum import Enum, auto

from keepalign.machines.service import (
    DeploymentDone,
    Deregister,
    KillContainer,
    Register,
    ServiceCommand,
    ServiceConfig,
    SignalContainer,
    StartTask,
    TaskGone,
)
from keepalign.machines.target_group import TargetState
from keepalign.units import Instant


class _Container(Enum):
    RUNNING = auto()
    SIGNALLED = auto()
    KILLED = auto()
    ENDED = auto()


class _Registration(Enum):
    NONE = auto()
    REGISTERED = auto()
    DEREGISTERED = auto()
    UNUSED = auto()


@dataclass(slots=True)
class _Task:
    number: int
    revision: int
    containers: dict[str, _Container]
    registration: _Registration = _Registration.NONE
    target: TargetState = TargetState.INITIAL
    grace_end: Instant | None = None
    """Set when the task is ready."""
    running: bool = True
    """Until the scheduler begins to take it away or it dies: what the ceiling counts."""
    ending: bool = False
    """Its containers are getting their signals."""
    failed: bool = False
    """The circuit breaker has counted it."""

    @property
    def healthy(self) -> bool:
        return self.running and self.target is TargetState.HEALTHY

    @property
    def ended(self) -> bool:
        return all(state is _Container.ENDED for state in self.containers.values())

    def sick(self, now: Instant) -> bool:
        """Running, and unhealthy after its grace period."""
        unhealthy = self.running and self.target is TargetState.UNHEALTHY
        return unhealthy and self.grace_end is not None and now >= self.grace_end


@dataclass(frozen=True, slots=True, order=True)
class _Timer:
    """Ordered by time, then by insertion. `container` is empty for a timer of the task as a whole."""

    at: Instant
    serial: int
    task: int = field(compare=False)
    container: str = field(compare=False, default="")


class ServiceMachine:
    """The scheduler of one service. Inputs take `now`; commands() hands out what they led to, in order.

    Tasks are numbered from 1 in order of start, revisions from 1 in order of deployment. News of a task that
    is gone, and news that change nothing, are ignored.
    """

    def __init__(self, config: ServiceConfig) -> None:
        self.config = config
        self._tasks: dict[int, _Task] = {}
        self._started = 0
        self._revision = 0
        self._wanted: dict[int, int] = {}
        """Tasks that each revision shall run; falls for older ones as the newest takes over."""
        self._reported = True
        self._frozen = True
        """Nothing is started or stopped any more: before the start, and after the circuit breaker."""
        self._failures = 0
        self._timers: list[_Timer] = []
        self._serial = 0
        self._commands: list[ServiceCommand] = []

    # Inputs

    def start(self, now: Instant) -> None:
        """The service is created: revision 1, no older tasks. Once, before everything else."""
        if self._revision:
            raise ValueError("the service was started before; a new revision is deploy()")
        self._begin(now)

    def deploy(self, now: Instant) -> None:
        """A new revision: a rolling update. One that is still under way ends as not ok."""
        if not self._revision:
            raise ValueError("start() comes before deploy()")
        self._report(ok=False, reason=f"revision {self._revision + 1} has replaced it before its end")
        for revision in self._wanted:
            self._wanted[revision] = sum(task.healthy for task in self._of(revision))
        self._begin(now)

    def stop_task(self, number: int, now: Instant) -> None:
        """StopTask, or a Spot interruption: the task is deregistered and signalled at the same moment.

        Its place is filled as that of a task that died. Nothing for a task that is on its way out already.
        """
        task = self._tasks.get(number)
        if task is None or not task.running:
            return
        task.running = False
        if task.registration is _Registration.REGISTERED:
            self._deregister(task)
        self._end_containers(task, now)
        self._schedule(now)

    def task_ready(self, number: int, now: Instant) -> None:
        """Every process of the task is up and listens."""
        task = self._tasks.get(number)
        if task is None or not task.running or task.registration is not _Registration.NONE:
            return
        task.registration = _Registration.REGISTERED
        task.grace_end = now + self.config.health_check_grace
        self._commands.append(Register(number))

    def task_exited(self, number: int, container: str, now: Instant) -> None:
        """A container's process has ended, for whatever reason."""
        task = self._tasks.get(number)
        if task is None or task.containers[container] is _Container.ENDED:
            return
        task.containers[container] = _Container.ENDED
        essential = any(c.essential and c.name == container for c in self.config.containers)
        if task.ending or essential or task.ended:
            if task.running:
                task.running = False
                self._count_failure(task)
            self._end_containers(task, now)
            self._settle(task)
        self._schedule(now)

    def target_state(self, number: int, state: TargetState, now: Instant) -> None:
        """What the target group shows for the task's target, whenever it may have changed."""
        task = self._tasks.get(number)
        if task is None:
            return
        if task.registration is _Registration.DEREGISTERED and state is TargetState.UNUSED:
            task.registration = _Registration.UNUSED
            if task.ending:
                self._settle(task)
            else:
                self._set_timer(now + self.config.deregistration_poll, task)
        elif task.registration is _Registration.REGISTERED and state is not task.target:
            task.target = state
            if state is TargetState.HEALTHY and task.running and task.revision == self._revision:
                self._failures = 0
            if state is TargetState.UNHEALTHY and task.grace_end is not None and now < task.grace_end:
                self._set_timer(task.grace_end, task)
        self._schedule(now)

    def handle_timer(self, now: Instant) -> None:
        """Do what has come due; nothing when called early."""
        while (due := self.next_deadline()) is not None and due <= now:
            timer = heapq.heappop(self._timers)
            task = self._tasks[timer.task]
            if timer.container:
                task.containers[timer.container] = _Container.KILLED
                self._commands.append(KillContainer(task.number, timer.container))
            elif task.registration is _Registration.UNUSED:
                self._end_containers(task, now)
        self._schedule(now)

    # Outputs

    @property
    def running(self) -> tuple[int, ...]:
        """The tasks that are not on their way out, the longest-running first."""
        return tuple(task.number for task in self._running())

    @property
    def revision(self) -> int:
        """The newest revision; zero before the start."""
        return self._revision

    def next_deadline(self) -> Instant | None:
        """When to call handle_timer; None while only news from outside can change anything."""
        while self._timers and not self._matters(self._timers[0]):
            heapq.heappop(self._timers)
        return self._timers[0].at if self._timers else None

    def commands(self) -> list[ServiceCommand]:
        """What to do since the last call, in order."""
        taken, self._commands = self._commands, []
        return taken

    # The end of a task

    def _stop(self, task: _Task, now: Instant) -> None:
        """The scheduler takes a running task away."""
        task.running = False
        if task.registration is _Registration.REGISTERED:
            self._deregister(task)
        else:
            self._end_containers(task, now)

    def _deregister(self, task: _Task) -> None:
        task.registration = _Registration.DEREGISTERED
        self._commands.append(Deregister(task.number))

    def _end_containers(self, task: _Task, now: Instant) -> None:
        """Signal every container whose dependants have ended."""
        task.ending = True
        for container in self.config.containers:
            held = any(
                container.name in other.depends_on and task.containers[other.name] is not _Container.ENDED
                for other in self.config.containers
            )
            if task.containers[container.name] is _Container.RUNNING and not held:
                task.containers[container.name] = _Container.SIGNALLED
                self._commands.append(SignalContainer(task.number, container.name))
                self._set_timer(now + container.stop_timeout, task, container.name)

    def _settle(self, task: _Task) -> None:
        """Once all containers have ended: deregister a task that died by itself, or let go of it."""
        if not task.ended:
            return
        if task.registration is _Registration.REGISTERED:
            self._deregister(task)
        elif task.registration in (_Registration.NONE, _Registration.UNUSED):
            del self._tasks[task.number]
            self._commands.append(TaskGone(task.number))

    # The rolling update

    def _begin(self, now: Instant) -> None:
        self._revision += 1
        self._wanted[self._revision] = self.config.desired_count
        self._reported = self._frozen = False
        self._failures = 0
        self._schedule(now)

    def _schedule(self, now: Instant) -> None:
        for task in self._of(self._revision):
            if task.sick(now):
                self._count_failure(task)
        if self._frozen:
            return
        self._retire()
        while self._start_one(now) or self._make_room(now) or self._stop_surplus(now):
            pass
        self._judge(now)

    def _retire(self) -> None:
        """Want fewer old tasks, of the oldest revision first, as new ones are healthy."""
        keep = max(0, self.config.desired_count - self._healthy(self._revision))
        for revision in sorted(self._wanted, reverse=True):
            if revision != self._revision:
                self._wanted[revision] = min(self._wanted[revision], keep)
                keep -= self._wanted[revision]

    def _start_one(self, now: Instant) -> bool:
        if self._occupied() >= self.config.ceiling:
            return False
        for revision in self._wanted:
            if self._lacking(revision, now) > 0:
                self._started += 1
                containers = {container.name: _Container.RUNNING for container in self.config.containers}
                self._tasks[self._started] = _Task(self._started, revision, containers)
                self._commands.append(StartTask(self._started, revision))
                return True
        return False

    def _make_room(self, now: Instant) -> bool:
        """Under a ceiling that is reached, stop one task so that another can start."""
        lacking = sum(max(0, self._lacking(revision, now)) for revision in self._wanted)
        coming = self._occupied() - len(self._running())
        if self._occupied() < self.config.ceiling or lacking <= coming:
            return False
        sick = [task for task in self._running() if task.sick(now)]
        underway = coming or any(not task.healthy for task in self._running() if task not in sick)
        if sick and not underway:
            self._stop(sick[0], now)
            return True
        if self._lacking(self._revision, now) > 0:
            # A replacement of a lost old task that is still on its way is left to become healthy.
            old = self._victim(
                task
                for task in self._running()
                if task.revision != self._revision and task.target is not TargetState.INITIAL
            )
            if old is not None:
                if not old.sick(now):  # a sick one's place is counted as lacking already
                    self._wanted[old.revision] = max(0, self._wanted[old.revision] - 1)
                self._stop(old, now)
                return True
        return False

    def _stop_surplus(self, now: Instant) -> bool:
        """Stop one task that nobody wants: its place is taken, or its revision is on its way out."""
        for revision, wanted in self._wanted.items():
            sick = [task for task in self._of(revision) if task.sick(now)]
            if sick and self._healthy(revision) >= wanted:
                self._stop(sick[0], now)
                return True
            if self._lacking(revision, now) < 0:
                task = self._victim(t for t in self._of(revision) if t.running and t not in sick)
                if task is not None:
                    self._stop(task, now)
                    return True
        return False

    def _victim(self, tasks: Iterable[_Task]) -> _Task | None:
        """Whom to stop first: one that is not healthy, else the eldest, if the floor allows it."""
        first = min(tasks, key=lambda task: (task.healthy, task.number), default=None)
        if first is not None and first.healthy:
            healthy = sum(task.healthy for task in self._tasks.values())
            return first if healthy > self.config.floor else None
        return first

    def _judge(self, now: Instant) -> None:
        """Report a deployment that is complete, or that nothing under way can bring further."""
        running = self._running()
        old = [task for task in self._tasks.values() if task.revision != self._revision]
        if any(not task.healthy for task in running):
            return
        lacking = self._lacking(self._revision, now)
        if lacking <= 0 and not old:
            self._report(ok=True)
        elif (lacking > 0 or any(task.running for task in old)) and self._occupied() == len(running):
            fresh = self._healthy(self._revision)
            self._report(
                ok=False,
                reason=f"stuck: {fresh} of {self.config.desired_count} tasks run revision {self._revision}; "
                f"the maximum of {self.config.ceiling} running tasks leaves no room for another, "
                f"and the minimum of {self.config.floor} healthy ones lets none stop",
            )

    def _count_failure(self, task: _Task) -> None:
        if task.failed or self._reported or task.revision != self._revision:
            return
        task.failed = True
        self._failures += 1
        if self._failures >= self.config.breaker_threshold:
            self._frozen = True
            self._report(
                ok=False,
                reason=f"circuit breaker: {self._failures} tasks of revision {self._revision} failed",
            )

    def _report(self, *, ok: bool, reason: str = "") -> None:
        if not self._reported:
            self._reported = True
            self._commands.append(DeploymentDone(self._revision, ok, reason))

    # Counting

    def _of(self, revision: int) -> list[_Task]:
        return [task for task in self._tasks.values() if task.revision == revision]

    def _running(self) -> list[_Task]:
        return [task for task in self._tasks.values() if task.running]

    def _occupied(self) -> int:
        """What the ceiling counts."""
        return len(self._tasks) if self.config.stopping_counts else len(self._running())

    def _healthy(self, revision: int) -> int:
        return sum(task.healthy for task in self._of(revision))

    def _lacking(self, revision: int, now: Instant) -> int:
        """Tasks that the revision shall have beyond those that run and are not sick; negative if too many."""
        sound = sum(task.running and not task.sick(now) for task in self._of(revision))
        return self._wanted[revision] - sound

    # Timers

    def _set_timer(self, at: Instant, task: _Task, container: str = "") -> None:
        self._serial += 1
        heapq.heappush(self._timers, _Timer(at, self._serial, task.number, container))

    def _matters(self, timer: _Timer) -> bool:
        """False for a timer whose task or container has gone on without it."""
        task = self._tasks.get(timer.task)
        if task is None:
            return False
        if timer.container:
            return task.containers[timer.container] is _Container.SIGNALLED
        if task.running:
            return task.target is TargetState.UNHEALTHY
        return task.registration is _Registration.UNUSED and not task.ending
