"""Drives the deployment machine for real: tasks are processes, targets are registered at a balancer.

The service knows neither what its tasks run nor which balancer stands in front: both come in as protocols.
Times are those of the machine's configuration, already scaled by whoever wrote it; timers and changes of
target states are acted upon up to 20 ms late.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Mapping
from contextlib import suppress
from functools import partial
from typing import Final, Protocol

from keepalign.errors import LabError
from keepalign.lab.supervisor import ProcessHandle
from keepalign.machines.commands import TargetAddress
from keepalign.machines.deployment import ServiceMachine
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
from keepalign.model.trace import EventKind, TraceEvent
from keepalign.units import Duration, Instant

_POLL_S: Final = 0.02
_STOP_WAIT_S: Final = 2.0
_TAIL_LINES: Final = 8
_START_LIMIT: Final = Duration(60_000_000)
_DEPLOY_LIMIT: Final = Duration(300_000_000)


class RunningTask(Protocol):
    """A task whose processes all listen. Its containers may be more than the task definition's, or fewer."""

    @property
    def target(self) -> TargetAddress:
        """What is registered at the balancer; no other task's while this one is not gone."""
        ...

    @property
    def containers(self) -> Mapping[str, ProcessHandle]:
        """By the names of the task definition."""
        ...


class TaskFactory(Protocol):
    """Starts the processes of a task."""

    async def start(self, task: int, revision: int) -> RunningTask:
        """Return when every process listens. Raises: LabError: one does not start."""
        ...


class TargetRegistry(Protocol):
    """The balancer's target group, as far as the scheduler uses it."""

    def register(self, target: TargetAddress) -> None: ...

    def deregister(self, target: TargetAddress) -> None: ...

    def target_states(self) -> Mapping[TargetAddress, TargetState]:
        """As DescribeTargetHealth; a target that is missing is unused."""
        ...


class Clock(Protocol):
    """The run's one clock."""

    def now(self) -> Instant: ...


class LabService:
    """One service: start() it, deploy() to it, stop() it, one after the other.

    Subjects of its events: the target ("127.0.0.1:20001") for TASK_STARTED, target and container
    ("127.0.0.1:20001/httpd") for the other events of a task, "revision 2" for a deployment. The first start
    is no deployment, and what stop() does is no event: the run is over by then.

    Args:
        start_limit: for start(), until every desired task is healthy.
        deploy_limit: for each deploy(), until every old task is gone.

    Attributes:
        events: what the service did and saw, in order.
    """

    def __init__(
        self,
        config: ServiceConfig,
        factory: TaskFactory,
        balancer: TargetRegistry,
        clock: Clock,
        *,
        start_limit: Duration = _START_LIMIT,
        deploy_limit: Duration = _DEPLOY_LIMIT,
    ) -> None:
        self.config = config
        self.events: list[TraceEvent] = []
        self._machine = ServiceMachine(config)
        self._factory = factory
        self._balancer = balancer
        self._clock = clock
        self._start_limit = start_limit
        self._deploy_limit = deploy_limit
        self._tasks: dict[int, RunningTask] = {}
        self._held: dict[int, list[ServiceCommand]] = {}
        """Commands for a task that is still being started."""
        self._told: set[tuple[int, str]] = set()
        """Containers that were told to end."""
        self._background: set[asyncio.Task[None]] = set()
        self._done: asyncio.Future[DeploymentDone] | None = None
        self._fault: BaseException | None = None
        self._last_words = ""

    async def start(self) -> None:
        """Every desired task runs and is healthy.

        Raises: LabError: a task does not start, or they are not healthy within the limit; with the end of a
            server's log.
        """
        self._spawn(self._watch())
        await self._until_done(self._machine.start, self._start_limit, "the service did not become healthy")

    async def deploy(self) -> None:
        """A rolling update has replaced every task by one of a new revision, and the old ones are gone.

        Raises: LabError: it failed, is stuck, or took longer than the limit; with the end of a server's log.
        """
        size = f"{self.config.desired_count} tasks, {self.config.floor} to {self.config.ceiling} at a time"
        self._emit(EventKind.DEPLOYMENT_STARTED, f"revision {self._machine.revision + 1}", size)
        await self._until_done(self._machine.deploy, self._deploy_limit, "the deployment did not end")

    async def stop_task(self) -> None:
        """The longest-running task has been told to end, as StopTask and a Spot interruption do it:
        deregistered and signalled at the same moment. Its end, and the new task, come later.
        """
        number = next(iter(self._machine.running), None)
        if number is not None:
            self._step(partial(self._machine.stop_task, number))

    async def stop(self) -> None:
        """Every process has ended: its stop signal, two seconds, SIGKILL. Nothing is deregistered.

        Raises: what went wrong since start() or the last deploy() and nobody was told yet.
        """
        background = list(self._background)
        self.halt()
        await asyncio.gather(*background, return_exceptions=True)
        handles = [handle for task in self._tasks.values() for handle in task.containers.values()]
        for handle in handles:
            handle.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(_STOP_WAIT_S):
                await asyncio.gather(*(handle.wait() for handle in handles))
        for handle in handles:
            handle.kill()
        await asyncio.gather(*(handle.wait() for handle in handles))
        self._tasks.clear()
        if self._fault is not None:
            fault, self._fault = self._fault, None
            raise fault

    def halt(self) -> None:
        """Nothing is scheduled any more: a task that ends from now on is not replaced. The processes stay."""
        for task in self._background:
            task.cancel()

    # Waiting for the machine

    async def _until_done(self, act: Callable[[Instant], None], limit: Duration, complaint: str) -> None:
        """Begin what `act` begins; return when the machine calls it done."""
        assert self._done is None, "start() and deploy() are awaited one after the other"
        self._done = asyncio.get_running_loop().create_future()
        self._step(act)
        if self._fault is not None:
            self._fail(self._fault)
        try:
            async with asyncio.timeout(limit.seconds):
                done = await self._done
        except TimeoutError:
            self.halt()
            raise LabError(f"{complaint} within {limit}\n{self._state_of_tasks()}") from None
        except BaseException:
            self.halt()
            raise
        finally:
            self._done = None
        if not done.ok:
            raise LabError("\n".join(filter(None, (done.reason, self._last_words))))

    def _fail(self, fault: BaseException) -> None:
        """Tell whoever waits, or the next one who does."""
        if self._done is not None and not self._done.done():
            self._done.set_exception(fault)
            self._fault = None
        elif self._fault is None:
            self._fault = fault

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)
        task.add_done_callback(self._background_ended)

    def _background_ended(self, task: asyncio.Task[None]) -> None:
        self._background.discard(task)
        if not task.cancelled() and (fault := task.exception()) is not None:
            self._fail(fault)

    # News for the machine

    async def _watch(self) -> None:
        """Feed target states and timers to the machine, for as long as the service lives."""
        while True:
            states = self._balancer.target_states()
            for number, task in list(self._tasks.items()):
                state = states.get(task.target, TargetState.UNUSED)
                self._step(partial(self._machine.target_state, number, state))
            self._step(self._machine.handle_timer)
            await asyncio.sleep(_POLL_S)

    async def _start_task(self, number: int, revision: int) -> None:
        task = await self._factory.start(number, revision)
        self._tasks[number] = task
        self._emit(EventKind.TASK_STARTED, str(task.target), f"task {number}, revision {revision}")
        for container in self.config.containers:
            if container.name in task.containers:
                self._spawn(self._watch_container(number, container.name))
        self._step(partial(self._machine.task_ready, number))
        for command in self._held.pop(number, []):
            self._step(partial(self._do, command))

    async def _watch_container(self, number: int, container: str) -> None:
        task = self._tasks[number]
        handle = task.containers[container]
        returncode = await handle.wait()
        how = f"returned {returncode}" if returncode >= 0 else f"ended by signal {-returncode}"
        self._emit(EventKind.TASK_EXITED, f"{task.target}/{container}", f"task {number}: {how}")
        if (number, container) not in self._told:
            self._last_words = f"{container} of task {number} {how}; {_log_end(handle)}"
        self._step(partial(self._machine.task_exited, number, container))

    # What the machine wants

    def _step(self, feed: Callable[[Instant], None]) -> None:
        """Tell the machine one thing and do what it wants."""
        feed(self._clock.now())
        while commands := self._machine.commands():
            for command in commands:
                self._do(command, self._clock.now())

    def _do(self, command: ServiceCommand, now: Instant) -> None:
        match command:
            case StartTask(number, revision):
                self._spawn(self._start_task(number, revision))
            case Register(number):
                self._balancer.register(self._tasks[number].target)
            case Deregister(number):
                self._balancer.deregister(self._tasks[number].target)
            case SignalContainer(number, container) | KillContainer(number, container):
                if number in self._tasks:
                    self._end(command, number, container, now)
                else:
                    self._held.setdefault(number, []).append(command)
            case TaskGone(number):
                # What the factory started beyond the task definition goes with it.
                for handle in self._tasks.pop(number).containers.values():
                    handle.kill()
            case DeploymentDone(revision, ok, reason):
                if revision > 1:
                    text = "complete" if ok else reason
                    self._emit(EventKind.DEPLOYMENT_ENDED, f"revision {revision}", text)
                if self._done is not None and not self._done.done():
                    self._done.set_result(command)

    def _end(
        self, command: SignalContainer | KillContainer, number: int, container: str, now: Instant
    ) -> None:
        task = self._tasks[number]
        handle = task.containers.get(container)
        self._told.add((number, container))
        if handle is None:  # the lab has no such program, so there is nothing to wait for
            self._machine.task_exited(number, container, now)
        elif isinstance(command, SignalContainer):
            handle.stop()
            detail = f"task {number}: {handle.stop_signal}"
            self._emit(EventKind.TASK_STOP_SIGNAL, f"{task.target}/{container}", detail)
        else:
            handle.kill()
            self._emit(EventKind.TASK_KILLED, f"{task.target}/{container}", f"task {number}: SIGKILL")

    def _emit(self, kind: EventKind, subject: str, detail: str) -> None:
        self.events.append(TraceEvent(self._clock.now(), kind, subject, detail))

    def _state_of_tasks(self) -> str:
        """For people: each target's state, and the end of the log of one that is not healthy."""
        states = self._balancer.target_states()
        lines = []
        logs = ""
        for number, task in self._tasks.items():
            state = states.get(task.target, TargetState.UNUSED)
            lines.append(f"task {number} at {task.target}: {state}")
            if state is not TargetState.HEALTHY and not logs:
                logs = "\n".join(f"{name}: {_log_end(handle)}" for name, handle in task.containers.items())
        return "\n".join(filter(None, (*lines, logs))) or "no task has started"


def _log_end(handle: ProcessHandle) -> str:
    tail = handle.tail(_TAIL_LINES)
    return f"its log ends with:\n{tail}" if tail else "its log is empty"
