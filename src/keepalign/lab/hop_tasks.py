"""Tasks made from the hops of a path: a scenario runs them behind the balancer, on the lab's own servers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from keepalign.lab import servers
from keepalign.lab.servers import Place
from keepalign.lab.tasks import Ports, StartedTask, until_ready
from keepalign.machines.commands import TargetAddress
from keepalign.model.path import Hop, RequestPath

if TYPE_CHECKING:
    from keepalign.lab.experiment import DiffingFactory, Experiment
    from keepalign.lab.supervisor import ProcessHandle, Supervisor


@dataclass(frozen=True, slots=True)
class HopTasks:
    """One task is one process (tree) per hop of `path` behind its balancer, each a container of its name."""

    path: RequestPath

    def containers(self) -> Sequence[tuple[str, tuple[str, ...]]]:
        """A hop depends on the one behind it: it stops first."""
        hops = self.path.hops[1:]
        return [(hop.name, tuple(h.name for h in hops[at + 1 : at + 2])) for at, hop in enumerate(hops)]

    def factory(
        self, experiment: Experiment, supervisor: Supervisor, folder: Path, ports: Ports
    ) -> DiffingFactory:
        """Starts them with the experiment's scale."""
        return _HopFactory(self.path, experiment, supervisor, folder, ports)


@dataclass(frozen=True, slots=True)
class _HopFactory:
    path: RequestPath
    experiment: Experiment
    supervisor: Supervisor
    folder: Path
    ports: Ports

    @property
    def diffs(self) -> Mapping[str, str]:
        """Nothing is replaced: there is no configuration of a user."""
        return {}

    async def start(self, task: int, revision: int) -> StartedTask:
        """Start every hop, the last one first; returns when all of them listen.

        Raises: LabError: a server is missing, ends, or does not listen; with the end of its log.
        """
        folder = self.folder / f"task-{task}"
        # Web servers' workers run as another user and must be able to enter.
        folder.mkdir(mode=0o755, parents=True)
        handles: dict[str, ProcessHandle] = {}
        behind: int | None = None
        for hop in reversed(self.path.hops[1:]):
            behind, handles[hop.name] = await self._start(hop, folder, behind)
        assert behind is not None  # a path has a hop behind its balancer
        in_order = {hop.name: handles[hop.name] for hop in self.path.hops[1:]}
        return StartedTask(TargetAddress("127.0.0.1", behind), in_order)

    async def _start(self, hop: Hop, folder: Path, behind: int | None) -> tuple[int, ProcessHandle]:
        own = folder / hop.name
        own.mkdir(mode=0o755)
        port = self.ports.take()
        place = Place(own, port, behind, self.experiment.scale, self.path.endpoints)
        launch = servers.launch(hop, place, self._signal(hop))
        log = folder / f"{hop.name}.log"
        handle = await self.supervisor.spawn(
            list(launch.argv),
            env=dict(launch.env),
            cwd=launch.cwd,
            stdout=log,
            stderr=log,
            stop_signal=launch.stop_signal,
        )
        await until_ready(hop.name, launch, handle, log)
        return port, handle

    def _signal(self, hop: Hop) -> str:
        stops = self.path.lifecycle.stops if self.path.lifecycle is not None else ()
        return next((stop.signal for stop in stops if stop.container == hop.name), "SIGTERM")
