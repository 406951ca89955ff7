"""The tasks of an incident, and what is done to them: everything that is done is written down."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import Coroutine
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final, Protocol

from bench.attribution import generated
from bench.attribution.spec import Action, Spec, What
from bench.attribution.stacks import Started
from bench.attribution.truth import Deeds
from keepalign.lab.balancer import LabBalancer
from keepalign.lab.clock import LoopClock
from keepalign.machines.commands import TargetAddress
from keepalign.machines.target_group import TargetState
from keepalign.units import Duration, Instant

_POLL_S: Final = 0.2
_ECS_POLL_S: Final = 3.0
"""Between a drain that is over and the stop signal; ECS looks every few seconds."""
_REPLACE_S: Final = 8.0
"""Until a task that died is replaced."""
_PORTS: Final = (80, 8080, 8000, 3000)


class Starter(Protocol):
    """Starts what a task consists of."""

    async def start(self, task: int) -> Started:
        """Task number `task`; all of its processes listen."""
        ...

    async def again(self, task: int, started: Started) -> Started:
        """The front server of a task that has ended, on its old port."""
        ...


@dataclass(slots=True)
class Life:
    """One task. `shown`: its address in the log."""

    number: int
    started: Started
    shown: str
    deeds: Deeds = field(default_factory=Deeds)

    @property
    def address(self) -> TargetAddress:
        return TargetAddress("127.0.0.1", self.started.port)


@dataclass(frozen=True, slots=True)
class Removal:
    """A deregistration, as an event log of the service has it."""

    at: Instant
    targets: tuple[str, ...]
    source: str


class Fleet:
    """Starts tasks and acts on them.

    Attributes:
        lives: of every task ever started. removals: of every deregistration by the service.
    """

    def __init__(self, spec: Spec, starter: Starter, balancers: list[LabBalancer], clock: LoopClock) -> None:
        self.lives: list[Life] = []
        self.removals: list[Removal] = []
        self._spec = spec
        self._starter = starter
        self._balancers = balancers
        self._clock = clock
        self._running: list[Life] = []
        self._background: set[asyncio.Task[None]] = set()
        self._over = False

    async def start(self) -> None:
        """All tasks are healthy."""
        await self._add(self._spec.tasks)

    async def act(self, action: Action) -> None:
        """Do it; returns when it has begun, the rest goes on by itself."""
        match action.what:
            case What.DEPLOY:
                self._go_on(self._deploy())
            case What.SCALE_IN:
                self._go_on(self._retire(self._take(1), "scale-in"))
            case What.STOP_TASK:
                self._go_on(self._stop_task())
            case What.CRASH:
                self._go_on(self._crash())
            case What.KILL_WORKER:
                self._kill_worker()
            case What.NO_TARGETS:
                self._go_on(self._no_targets(action.seconds))
            case What.DEAF:
                self._go_on(self._deaf(action.seconds))
            case What.SERVER_DOWN:
                self._go_on(self._down(action.seconds))

    async def stop(self) -> None:
        """What is still under way is given up; a fault of it is raised."""
        self._over = True
        tasks = list(self._background)
        for task in tasks:
            task.cancel()
        for result in await asyncio.gather(*tasks, return_exceptions=True):
            if isinstance(result, Exception):
                raise result

    # Parts of it

    def _go_on(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._background.add(task)

    def _take(self, number: int) -> list[Life]:
        taken, self._running = self._running[:number], self._running[number:]
        return taken

    async def _add(self, number: int) -> list[Life]:
        first = len(self.lives) + 1
        started = await asyncio.gather(*(self._starter.start(n) for n in range(first, first + number)))
        new = []
        for at, one in enumerate(started):
            n = first + at
            host = (self._spec.seed * 37 + n * 53) % 250 + 2
            port = 443 if generated.TLS in self._spec.generated else _PORTS[self._spec.seed % 4]
            shown = f"10.0.{self._spec.seed % 4 + 10 * (n % 3)}.{host}:{port}"
            life = Life(n, one, shown)
            self.lives.append(life)
            new.append(life)
            self._go_on(self._watch(life, one))
            for balancer in self._balancers:
                balancer.register(life.address)
        # As whoever waits for a target's health does.
        while not all(self._healthy(life) for life in new):  # noqa: ASYNC110
            await asyncio.sleep(_POLL_S)
        self._running += new
        return new

    def _healthy(self, life: Life) -> bool:
        return all(b.target_states().get(life.address) is TargetState.HEALTHY for b in self._balancers)

    async def _watch(self, life: Life, started: Started) -> None:
        await started.front.wait()
        if life.started is started and life.deeds.ended is None:
            life.deeds.ended = self._clock.now()

    def _deregister(self, lives: list[Life], source: str) -> None:
        now = self._clock.now()
        for life in lives:
            life.deeds.deregistered = now
            for balancer in self._balancers:
                balancer.deregister(life.address)
        self.removals.append(Removal(now, tuple(life.shown for life in lives), source))

    async def _deploy(self) -> None:
        old = list(self._running)
        await self._add(len(old))
        self._running = [life for life in self._running if life not in old]
        await self._retire(old, "deployment")

    async def _retire(self, lives: list[Life], source: str) -> None:
        self._deregister(lives, source)
        await asyncio.sleep(self._spec.deregistration_delay + _ECS_POLL_S)
        await asyncio.gather(*(self._end(life) for life in lives))

    async def _end(self, life: Life) -> None:
        """Its stop signal; SIGKILL at the stop timeout."""
        life.deeds.signalled = self._clock.now()
        life.started.front.stop()
        with suppress(TimeoutError):
            async with asyncio.timeout(self._spec.stack.stop_timeout):
                await life.started.front.wait()
        if life.started.front.returncode is None:
            life.deeds.killed = self._clock.now()
        for handle in life.started.handles:
            handle.kill()

    async def _stop_task(self) -> None:
        lives = self._take(1)
        self._deregister(lives, "task stopped")
        await asyncio.gather(self._end(lives[0]), self._add(1))

    async def _crash(self) -> None:
        life = self._take(1)[0]
        life.deeds.crashed = self._clock.now()
        for handle in life.started.handles:
            handle.kill()
        await asyncio.sleep(_REPLACE_S)
        self._deregister([life], "task ended")
        await self._add(1)

    def _kill_worker(self) -> None:
        life = self._running[0]
        self._running = [*self._running[1:], life]  # the next one hits another
        children = _children(life.started.front.pid)
        if children:
            life.deeds.worker_killed.append(self._clock.now())
            os.kill(children[0], signal.SIGKILL)

    async def _no_targets(self, seconds: float) -> None:
        lives = self._take(len(self._running))
        self._go_on(self._retire(lives, "scale to zero"))
        await asyncio.sleep(seconds)
        await self._add(self._spec.tasks)

    async def _deaf(self, seconds: float) -> None:
        life = self._running[0]
        life.started.front.signal(signal.SIGUSR1)
        await asyncio.sleep(seconds)
        life.started.front.signal(signal.SIGUSR2)

    async def _down(self, seconds: float) -> None:
        life = self._running[0]
        before = life.started
        signalled = self._clock.now()
        before.front.stop()
        await before.front.wait()
        life.deeds.downs.append((signalled, self._clock.now()))
        life.deeds.ended = None
        await asyncio.sleep(seconds)
        life.started = await self._starter.again(life.number, before)
        life.deeds.ended = None
        self._go_on(self._watch(life, life.started))


def _children(pid: int) -> list[int]:
    text = Path(f"/proc/{pid}/task/{pid}/children").read_text("ascii")
    return [int(word) for word in text.split()]


def seconds(length: float) -> Duration:
    """For the machines."""
    return Duration.of(s=length)
