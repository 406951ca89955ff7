from __future__ import annotations

import asyncio
import os
import signal
import sys
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from keepalign.errors import LabError
from keepalign.lab.clock import LoopClock
from keepalign.lab.service import LabService
from keepalign.lab.supervisor import ProcessHandle, Supervisor
from keepalign.machines.commands import TargetAddress
from keepalign.machines.service import ContainerConfig, ServiceConfig
from keepalign.machines.target_group import TargetState
from keepalign.model.trace import EventKind
from keepalign.units import ZERO, Duration, Instant

pytestmark = pytest.mark.lab

# Answers every request with its revision; writes its port once it listens.
SERVER = """
import http.server, os, signal, sys
class Handler(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()
        self.wfile.write(sys.argv[1].encode())
    def log_message(self, *args):
        pass
if "stubborn" in sys.argv:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
server = http.server.HTTPServer(("127.0.0.1", 0), Handler)
print("listening", file=sys.stderr, flush=True)
with open("port.new", "w") as port:
    port.write(str(server.server_port))
os.rename("port.new", "port")
server.serve_forever()
"""
HELPER = "import signal, sys; print('helper', flush=True); signal.pause()"
# A busy machine takes its time to tell of an end.
STOP = Duration.of(s=1)


@dataclass
class FakeBalancer:
    """A target group whose first `may_turn_healthy` targets do, and which lets go of them after `delay`."""

    clock: LoopClock
    delay: Duration
    registered: dict[TargetAddress, Instant] = field(default_factory=dict)
    deregistered: dict[TargetAddress, Instant] = field(default_factory=dict)
    may_turn_healthy: int = 99
    unhealthy: set[TargetAddress] = field(default_factory=set)
    looks: Counter[TargetAddress] = field(default_factory=Counter)
    """How often each target's state was asked for."""

    def register(self, target: TargetAddress) -> None:
        self.registered[target] = self.clock.now()

    def deregister(self, target: TargetAddress) -> None:
        self.deregistered[target] = self.clock.now()

    def target_states(self) -> Mapping[TargetAddress, TargetState]:
        return {target: state for target in self.registered if (state := self.state(target)) is not None}

    def state(self, target: TargetAddress) -> TargetState | None:
        now = self.clock.now()
        self.looks[target] += 1
        if target in self.deregistered:
            return TargetState.DRAINING if now < self.deregistered[target] + self.delay else None
        if target in self.unhealthy:
            return TargetState.UNHEALTHY
        order = list(self.registered).index(target)
        if order >= self.may_turn_healthy or now < self.registered[target] + Duration.of(ms=50):
            return TargetState.INITIAL
        return TargetState.HEALTHY


@dataclass
class Task:
    target: TargetAddress
    containers: dict[str, ProcessHandle]


@dataclass
class Factory:
    """Starts a small web server per task, and a helper beside it."""

    supervisor: Supervisor
    arguments: tuple[str, ...] = ()
    broken_from: int = 99
    """The first revision whose server dies just after it has listened."""
    tasks: dict[int, Task] = field(default_factory=dict)
    begun: int = 0
    gate: asyncio.Event = field(default_factory=asyncio.Event)
    """Closed, tasks are not started to their end."""

    async def start(self, task: int, revision: int) -> Task:
        folder = self.supervisor.folder / f"task-{task}"
        try:
            folder.mkdir()
        except FileExistsError:
            raise LabError(f"the folder of task {task} is in the way") from None
        code = (
            SERVER.replace("server.serve_forever()", "sys.exit('no disk')")
            if self.breaks(revision)
            else SERVER
        )
        web = await self.spawn(folder, "web", code, str(revision), *self.arguments)
        helper = await self.spawn(folder, "helper", HELPER)
        await until((folder / "port").exists)
        self.begun += 1
        await self.gate.wait()
        port = int((folder / "port").read_text())
        self.tasks[task] = Task(TargetAddress("127.0.0.1", port), {"web": web, "extra": helper})
        return self.tasks[task]

    def breaks(self, revision: int) -> bool:
        return revision >= self.broken_from

    async def spawn(self, folder: Path, name: str, code: str, *arguments: str) -> ProcessHandle:
        log = folder / f"{name}.log"
        argv = [sys.executable, "-I", "-S", "-c", code, *arguments]
        return await self.supervisor.spawn(argv, env={}, cwd=folder, stdout=log, stderr=log)


async def until(holds: Callable[[], bool], limit_s: float = 10) -> None:
    async with asyncio.timeout(limit_s):
        while not holds():  # noqa: ASYNC110 - other processes set no event of ours
            await asyncio.sleep(0.01)


async def fetch(target: TargetAddress) -> bytes:
    def get() -> bytes:
        with urllib.request.urlopen(f"http://{target}/", timeout=5) as answer:
            return bytes(answer.read())

    return await asyncio.to_thread(get)


@dataclass
class Rig:
    service: LabService
    factory: Factory
    balancer: FakeBalancer

    def times(self, kind: EventKind) -> dict[str, Instant]:
        return {event.subject: event.at for event in self.service.events if event.kind is kind}

    def details(self, kind: EventKind) -> list[str]:
        return [event.detail for event in self.service.events if event.kind is kind]


def config(desired: int = 2, maximum: int = 200, *more: ContainerConfig) -> ServiceConfig:
    web = ContainerConfig("web", STOP, tuple(c.name for c in more))
    return ServiceConfig(
        desired, 100, maximum, (web, *more), health_check_grace=ZERO, deregistration_poll=Duration.of(ms=50)
    )


@asynccontextmanager
async def rig(
    folder: Path, settings: ServiceConfig, *arguments: str, start_limit_s: float = 20
) -> AsyncIterator[Rig]:
    clock = LoopClock(asyncio.get_running_loop())
    balancer = FakeBalancer(clock, delay=Duration.of(ms=400))
    async with Supervisor.start(folder / "run") as supervisor, asyncio.timeout(40):
        factory = Factory(supervisor, arguments)
        factory.gate.set()
        service = LabService(
            settings,
            factory,
            balancer,
            clock,
            start_limit=Duration.of(s=start_limit_s),
            deploy_limit=Duration.of(s=20),
        )
        try:
            yield Rig(service, factory, balancer)
        finally:
            await service.stop()
        for task in factory.tasks.values():
            for handle in task.containers.values():
                await handle.wait()  # told to end by stop(); the limit above fails the test if one goes on


def test_service_starts_and_a_rolling_update_replaces_every_task_in_order(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config()) as lab:
            await lab.service.start()
            first = [task.target for task in lab.factory.tasks.values()]
            assert [await fetch(target) for target in first] == [b"1", b"1"]
            assert lab.details(EventKind.DEPLOYMENT_STARTED) == []

            await lab.service.deploy()
            new = [task.target for number, task in lab.factory.tasks.items() if number > 2]
            assert [await fetch(target) for target in new] == [b"2", b"2"]
            for number in (1, 2):
                handles = lab.factory.tasks[number].containers
                assert handles["web"].returncode == -signal.SIGTERM
                assert await handles["extra"].wait() == -signal.SIGKILL

            signals, exits = lab.times(EventKind.TASK_STOP_SIGNAL), lab.times(EventKind.TASK_EXITED)
            for target in first:
                waited = signals[f"{target}/web"] - lab.balancer.deregistered[target]
                assert waited >= Duration.of(ms=450), "the whole delay and the poll"
                assert exits[f"{target}/web"] >= signals[f"{target}/web"]
            assert set(lab.balancer.deregistered) == set(first)
            healthy = [lab.balancer.registered[target] + Duration.of(ms=50) for target in new]
            assert min(lab.balancer.deregistered.values()) >= min(healthy)

            # Both are started at once; which is up first is the machine's affair.
            assert sorted(lab.details(EventKind.TASK_STARTED)[2:]) == [
                "task 3, revision 2",
                "task 4, revision 2",
            ]
            assert lab.details(EventKind.TASK_KILLED) == []
            (begun,) = lab.times(EventKind.DEPLOYMENT_STARTED).items()
            (ended,) = lab.times(EventKind.DEPLOYMENT_ENDED).items()
            assert begun[0] == ended[0] == "revision 2"
            assert begun[1] < min(lab.balancer.deregistered.values()) < max(exits.values()) <= ended[1]
            assert [event.at for event in lab.service.events] == sorted(e.at for e in lab.service.events)

    asyncio.run(main())


def test_container_that_ignores_its_stop_signal_is_killed_after_its_timeout(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1), "stubborn") as lab:
            await lab.service.start()
            await lab.service.deploy()
            subject = f"{lab.factory.tasks[1].target}/web"
            killed, signalled = lab.times(EventKind.TASK_KILLED), lab.times(EventKind.TASK_STOP_SIGNAL)
            assert killed[subject] - signalled[subject] >= STOP
            assert lab.details(EventKind.TASK_EXITED) == ["task 1: ended by signal 9"]

    asyncio.run(main())


def test_task_that_is_stopped_from_outside_is_signalled_before_its_delay_is_over(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config()) as lab:
            await lab.service.start()
            await lab.service.stop_task()
            target = lab.factory.tasks[1].target
            signalled = lab.times(EventKind.TASK_STOP_SIGNAL)[f"{target}/web"]
            assert abs(signalled - lab.balancer.deregistered[target]) < Duration.of(ms=200)
            await until(lambda: 3 in lab.factory.tasks)

    asyncio.run(main())


def test_container_that_the_lab_has_no_program_for_does_not_hold_the_stop_up(tmp_path: Path) -> None:
    async def main() -> None:
        sidecar = ContainerConfig("sidecar", Duration.of(s=60))
        async with rig(tmp_path, config(1, 200, sidecar)) as lab:
            await lab.service.start()
            await lab.service.deploy()
            assert list(lab.times(EventKind.TASK_EXITED)) == [f"{lab.factory.tasks[1].target}/web"]

    asyncio.run(main())


def test_server_that_dies_by_itself_is_replaced_and_deregistered_afterwards(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1)) as lab:
            await lab.service.start()
            task = lab.factory.tasks[1]
            os.kill(task.containers["web"].pid, signal.SIGSEGV)
            await until(lambda: task.target in lab.balancer.deregistered)
            exited = lab.times(EventKind.TASK_EXITED)[f"{task.target}/web"]
            assert exited <= lab.balancer.deregistered[task.target]
            await until(lambda: 2 in lab.factory.tasks)
            assert await fetch(lab.factory.tasks[2].target) == b"1"

    asyncio.run(main())


def test_task_that_is_not_wanted_any_more_is_stopped_as_soon_as_it_has_started(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1)) as lab:
            await lab.service.start()
            first = lab.factory.tasks[1].target
            lab.factory.gate.clear()
            lab.balancer.unhealthy.add(first)
            await until(lambda: lab.factory.begun == 2)
            lab.balancer.unhealthy.clear()
            healthy_again = lab.balancer.looks[first] + 2
            await until(lambda: lab.balancer.looks[first] >= healthy_again)
            lab.factory.gate.set()
            await until(lambda: 2 in lab.factory.tasks)
            web = lab.factory.tasks[2].containers["web"]
            assert await web.wait() == -signal.SIGTERM
            assert list(lab.balancer.registered) == [first]

    asyncio.run(main())


def test_revision_whose_servers_die_fails_the_deployment_with_their_last_words(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1)) as lab:
            await lab.service.start()
            lab.factory.broken_from = 2
            lab.balancer.may_turn_healthy = 1
            with pytest.raises(LabError) as caught:
                await lab.service.deploy()
            assert caught.value.message.startswith(
                "circuit breaker: 3 tasks of revision 2 failed\nweb of task 4 "
            )
            assert caught.value.message.endswith("no disk")
            assert lab.details(EventKind.DEPLOYMENT_ENDED) == [
                "circuit breaker: 3 tasks of revision 2 failed"
            ]
            assert await fetch(lab.factory.tasks[1].target) == b"1"

    asyncio.run(main())


def test_stuck_deployment_is_an_error_and_not_a_wait(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1, 100)) as lab:
            await lab.service.start()
            with pytest.raises(LabError, match="stuck: 0 of 1 tasks run revision 2"):
                await lab.service.deploy()

    asyncio.run(main())


def test_task_that_does_not_start_fails_the_start(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1)) as lab:
            (lab.factory.supervisor.folder / "task-1").touch()
            with pytest.raises(LabError, match="in the way"):
                await lab.service.start()

    asyncio.run(main())


def test_service_that_does_not_become_healthy_says_so_with_the_servers_log(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1), start_limit_s=3) as lab:
            lab.balancer.may_turn_healthy = 0
            with pytest.raises(LabError) as caught:
                await lab.service.start()
            target = lab.factory.tasks[1].target
            lines = caught.value.message.splitlines()
            assert lines[:3] == [
                "the service did not become healthy within 3 s",
                f"task 1 at {target}: initial",
                "web: its log ends with:",
            ]
            assert "listening" in lines[3:]

    asyncio.run(main())


def test_fault_between_two_waits_is_told_at_the_next(tmp_path: Path) -> None:
    async def main() -> None:
        async with rig(tmp_path, config(1)) as lab:
            await lab.service.start()
            (lab.factory.supervisor.folder / "task-2").touch()
            os.kill(lab.factory.tasks[1].containers["web"].pid, signal.SIGKILL)
            await until(lambda: lab.factory.tasks[1].target in lab.balancer.deregistered)
            with pytest.raises(LabError, match="in the way"):
                await lab.service.stop()

    asyncio.run(main())
