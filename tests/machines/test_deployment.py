from __future__ import annotations

import heapq
import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace

import pytest
from hypothesis import event, given
from hypothesis import strategies as st

from keepalign.errors import UsageError
from keepalign.machines.deployment import ServiceMachine
from keepalign.machines.service import (
    ContainerConfig,
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
from keepalign.units import ZERO, Duration, Instant

WEB = ContainerConfig("web", Duration.of(s=20))
POLL = Duration.of(s=5)


def at(s: float) -> Instant:
    return Instant(round(s * 1_000_000))


def config(
    desired: int = 1,
    minimum: int = 100,
    maximum: int = 200,
    *containers: ContainerConfig,
    grace: float = 0,
    stopping_counts: bool = False,
) -> ServiceConfig:
    return ServiceConfig(
        desired,
        minimum,
        maximum,
        containers or (WEB,),
        health_check_grace=Duration.of(s=grace),
        deregistration_poll=POLL,
        stopping_counts=stopping_counts,
    )


def bring_up(machine: ServiceMachine, tasks: list[int], now: float) -> None:
    for task in tasks:
        machine.task_ready(task, at(now))
        machine.target_state(task, TargetState.HEALTHY, at(now))


def started(settings: ServiceConfig) -> ServiceMachine:
    """A service in its steady state at second 0, with nothing left to do."""
    machine = ServiceMachine(settings)
    machine.start(at(0))
    bring_up(machine, [c.task for c in machine.commands() if isinstance(c, StartTask)], 0)
    assert machine.commands()[-1] == DeploymentDone(1, ok=True)
    return machine


def kinds(commands: Sequence[ServiceCommand], kind: type[ServiceCommand]) -> list[ServiceCommand]:
    return [command for command in commands if isinstance(command, kind)]


# One task's way


def test_service_start_registers_each_task_when_it_is_ready() -> None:
    machine = ServiceMachine(config(2))
    machine.start(at(0))
    assert machine.commands() == [StartTask(1, 1), StartTask(2, 1)]
    machine.task_ready(2, at(1))
    assert machine.commands() == [Register(2)]
    machine.target_state(2, TargetState.HEALTHY, at(2))
    assert machine.commands() == []
    machine.task_ready(1, at(3))
    machine.target_state(1, TargetState.HEALTHY, at(4))
    assert machine.commands() == [Register(1), DeploymentDone(1, ok=True)]
    assert machine.next_deadline() is None


def test_scheduler_stop_deregisters_waits_until_unused_polls_signals_and_kills() -> None:
    machine = started(config())
    machine.deploy(at(10))
    assert machine.commands() == [StartTask(2, 2)]
    bring_up(machine, [2], 11)
    assert machine.commands() == [Register(2), Deregister(1)]
    machine.target_state(1, TargetState.DRAINING, at(11))
    assert machine.next_deadline() is None

    machine.target_state(1, TargetState.UNUSED, at(161))
    assert machine.next_deadline() == at(166)
    machine.handle_timer(at(165.999))
    assert machine.commands() == []
    machine.handle_timer(at(166))
    assert machine.commands() == [SignalContainer(1, "web")]

    assert machine.next_deadline() == at(186)
    machine.handle_timer(at(186))
    assert machine.commands() == [KillContainer(1, "web")]
    assert machine.next_deadline() is None
    machine.task_exited(1, "web", at(186.1))
    assert machine.commands() == [TaskGone(1), DeploymentDone(2, ok=True)]


def test_stop_from_outside_deregisters_and_signals_at_once_and_the_place_is_filled() -> None:
    machine = started(config(2))
    assert machine.running == (1, 2)
    machine.stop_task(1, at(10))
    assert machine.commands() == [Deregister(1), SignalContainer(1, "web"), StartTask(3, 1)]
    assert machine.running == (2, 3)
    machine.stop_task(1, at(11))
    machine.stop_task(99, at(11))
    assert machine.commands() == []
    assert machine.next_deadline() == at(30)
    machine.handle_timer(at(30))
    assert machine.commands() == [KillContainer(1, "web")]
    machine.task_exited(1, "web", at(30))
    assert machine.commands() == []
    machine.target_state(1, TargetState.UNUSED, at(310))
    assert machine.commands() == [TaskGone(1)]


def test_container_that_exits_in_time_is_not_killed() -> None:
    machine = started(config())
    machine.deploy(at(10))
    bring_up(machine, [2], 11)
    machine.target_state(1, TargetState.UNUSED, at(12))
    machine.handle_timer(at(17))
    machine.commands()
    machine.task_exited(1, "web", at(18))
    assert machine.commands() == [TaskGone(1), DeploymentDone(2, ok=True)]
    assert machine.next_deadline() is None


def test_containers_stop_in_reverse_order_of_dependency() -> None:
    containers = (
        ContainerConfig("httpd", Duration.of(s=20), ("api", "reports")),
        ContainerConfig("api", Duration.of(s=30)),
        ContainerConfig("reports", Duration.of(s=10)),
    )
    machine = started(config(1, 100, 200, *containers))
    machine.deploy(at(0))
    bring_up(machine, [2], 0)
    machine.target_state(1, TargetState.UNUSED, at(0))
    machine.commands()

    machine.handle_timer(at(5))
    assert machine.commands() == [SignalContainer(1, "httpd")]
    machine.handle_timer(at(25))
    assert machine.commands() == [KillContainer(1, "httpd")]
    machine.task_exited(1, "httpd", at(26))
    assert machine.commands() == [SignalContainer(1, "api"), SignalContainer(1, "reports")]
    assert machine.next_deadline() == at(36)
    machine.handle_timer(at(36))
    assert machine.commands() == [KillContainer(1, "reports")]
    assert machine.next_deadline() == at(56)


def test_containers_without_dependencies_are_signalled_at_once_and_killed_in_their_order() -> None:
    containers = (ContainerConfig("b", Duration.of(s=9)), ContainerConfig("a", Duration.of(s=9)))
    machine = started(config(1, 100, 200, *containers))
    machine.deploy(at(0))
    bring_up(machine, [2], 0)
    machine.target_state(1, TargetState.UNUSED, at(0))
    machine.commands()
    machine.handle_timer(at(5))
    assert machine.commands() == [SignalContainer(1, "b"), SignalContainer(1, "a")]
    machine.handle_timer(at(14))
    assert machine.commands() == [KillContainer(1, "b"), KillContainer(1, "a")]


def test_essential_exit_ends_the_task_first_and_deregisters_it_afterwards() -> None:
    app = ContainerConfig("app", Duration.of(s=20))
    machine = started(config(1, 100, 200, app, ContainerConfig("side", Duration.of(s=20))))
    machine.task_exited(1, "app", at(3))
    assert machine.commands() == [SignalContainer(1, "side"), StartTask(2, 1)]
    machine.task_exited(1, "side", at(4))
    assert machine.commands() == [Deregister(1)]
    machine.target_state(1, TargetState.UNUSED, at(9))
    assert machine.commands() == [TaskGone(1)]
    assert machine.next_deadline() is None


def test_exit_of_a_container_that_is_not_essential_changes_nothing() -> None:
    side = ContainerConfig("side", Duration.of(s=20), essential=False)
    machine = started(config(1, 100, 200, WEB, side))
    machine.task_exited(1, "side", at(3))
    assert machine.commands() == []
    machine.task_exited(1, "web", at(4))
    assert machine.commands() == [Deregister(1), StartTask(2, 1)]


def test_essential_exit_during_the_drain_still_waits_until_unused() -> None:
    machine = started(config())
    machine.deploy(at(0))
    bring_up(machine, [2], 0)
    machine.commands()
    machine.task_exited(1, "web", at(1))
    assert machine.commands() == []
    machine.target_state(1, TargetState.UNUSED, at(9))
    assert machine.commands() == [TaskGone(1), DeploymentDone(2, ok=True)]


def test_news_that_change_nothing_are_ignored() -> None:
    machine = started(config())
    machine.target_state(1, TargetState.HEALTHY, at(1))
    machine.task_ready(1, at(1))
    machine.task_exited(1, "web", at(2))
    machine.target_state(1, TargetState.UNUSED, at(3))
    machine.commands()
    machine.task_exited(1, "web", at(4))
    machine.target_state(1, TargetState.HEALTHY, at(4))
    machine.task_ready(1, at(4))
    assert machine.commands() == []


# The rolling update


@pytest.mark.parametrize(
    ("desired", "minimum", "maximum", "starts", "stops"),
    [
        (4, 100, 200, 4, 0),
        (4, 50, 200, 4, 0),
        (4, 50, 100, 2, 2),
        (3, 0, 100, 3, 3),
        (3, 100, 150, 1, 0),
        (5, 75, 120, 2, 1),
        (1, 0, 100, 1, 1),
    ],
)
def test_rolling_update_begins_within_ceiling_and_floor(
    desired: int, minimum: int, maximum: int, starts: int, stops: int
) -> None:
    """New tasks go up to the ceiling; old ones stop ahead of them only to make room, down to the floor."""
    machine = started(config(desired, minimum, maximum))
    machine.deploy(at(1))
    commands = machine.commands()
    assert len(kinds(commands, StartTask)) == starts
    assert len(kinds(commands, Deregister)) == stops


def test_rolling_update_stops_the_eldest_as_each_new_task_becomes_healthy() -> None:
    machine = started(config(2))
    machine.deploy(at(1))
    machine.commands()
    bring_up(machine, [4], 2)
    assert machine.commands() == [Register(4), Deregister(1)]
    bring_up(machine, [3], 3)
    assert machine.commands() == [Register(3), Deregister(2)]


def test_rolling_update_stops_an_unhealthy_old_task_before_a_healthy_one() -> None:
    machine = started(config(2, 100, 200, grace=60))
    machine.target_state(2, TargetState.UNHEALTHY, at(1))
    machine.deploy(at(1))
    assert machine.commands() == [StartTask(3, 2), StartTask(4, 2), Deregister(2)]


@pytest.mark.parametrize(("desired", "maximum"), [(1, 100), (3, 125), (2, 50)])
def test_deployment_without_room_and_without_leave_to_stop_is_reported_as_stuck(
    desired: int, maximum: int
) -> None:
    machine = ServiceMachine(config(desired, 100, maximum))
    machine.start(at(0))
    bring_up(machine, [1, 2, 3], 0)
    machine.commands()
    machine.deploy(at(1))
    done = machine.commands()[-1]
    assert isinstance(done, DeploymentDone)
    assert (done.revision, done.ok) == (2, False)
    assert done.reason.startswith(f"stuck: 0 of {desired} tasks run revision 2")
    machine.handle_timer(at(2))
    assert machine.commands() == []


def test_stopping_tasks_block_their_replacements_when_they_count() -> None:
    machine = started(config(2, 50, 100, stopping_counts=True))
    machine.deploy(at(1))
    assert machine.commands() == [Deregister(1)]
    machine.target_state(1, TargetState.UNUSED, at(2))
    machine.handle_timer(at(7))
    assert machine.commands() == [SignalContainer(1, "web")]
    machine.task_exited(1, "web", at(8))
    assert machine.commands() == [TaskGone(1), StartTask(3, 2)]


def test_old_task_lost_during_a_rollout_is_replaced_by_its_own_revision() -> None:
    machine = started(config(2, 100, 150))
    machine.deploy(at(1))
    assert machine.commands() == [StartTask(3, 2)]
    machine.task_exited(1, "web", at(2))
    assert machine.commands() == [Deregister(1), StartTask(4, 1)]


def test_newer_revision_ends_the_deployment_under_way() -> None:
    machine = started(config())
    machine.deploy(at(1))
    machine.deploy(at(2))
    commands = machine.commands()
    assert commands[1] == DeploymentDone(2, ok=False, reason="revision 3 has replaced it before its end")
    assert commands[2:] == [SignalContainer(2, "web"), StartTask(3, 3)]


# Health and the circuit breaker


def test_unhealthy_task_is_replaced_after_its_grace_period_and_its_replacement_starts_first() -> None:
    machine = started(config(1, 100, 200, grace=60))
    machine.target_state(1, TargetState.UNHEALTHY, at(10))
    assert machine.commands() == []
    assert machine.next_deadline() == at(60)
    machine.handle_timer(at(60))
    assert machine.commands() == [StartTask(2, 1)]
    assert machine.next_deadline() is None
    bring_up(machine, [2], 65)
    assert machine.commands() == [Register(2), Deregister(1)]


def test_task_that_recovers_within_its_grace_period_stays() -> None:
    machine = started(config(1, 100, 200, grace=60))
    machine.target_state(1, TargetState.UNHEALTHY, at(10))
    machine.target_state(1, TargetState.HEALTHY, at(59))
    assert machine.next_deadline() is None
    machine.handle_timer(at(60))
    assert machine.commands() == []


def test_task_that_recovers_after_all_makes_its_replacement_surplus() -> None:
    machine = started(config())
    machine.target_state(1, TargetState.UNHEALTHY, at(10))
    machine.target_state(1, TargetState.HEALTHY, at(11))
    assert machine.commands() == [StartTask(2, 1), SignalContainer(2, "web")]


def test_unhealthy_tasks_are_stopped_one_at_a_time_where_the_ceiling_leaves_no_room() -> None:
    machine = started(config(3, 50, 100))
    for task in (1, 2):
        machine.target_state(task, TargetState.UNHEALTHY, at(1))
    assert machine.commands() == [Deregister(1), StartTask(4, 1)]
    bring_up(machine, [4], 2)
    assert machine.commands() == [Register(4), Deregister(2), StartTask(5, 1)]


@pytest.mark.parametrize(("desired", "threshold"), [(1, 3), (6, 3), (7, 4), (1000, 200)])
def test_breaker_threshold_is_half_the_desired_count_within_its_bounds(desired: int, threshold: int) -> None:
    assert config(desired).breaker_threshold == threshold


def test_circuit_breaker_ends_a_deployment_whose_tasks_die() -> None:
    machine = started(config())
    machine.deploy(at(1))
    for task in (2, 3):
        machine.task_exited(task, "web", at(task))
        assert machine.commands()[-2:] == [TaskGone(task), StartTask(task + 1, 2)]
    machine.task_exited(4, "web", at(5))
    reason = "circuit breaker: 3 tasks of revision 2 failed"
    assert machine.commands() == [DeploymentDone(2, ok=False, reason=reason), TaskGone(4)]


def test_circuit_breaker_counts_again_from_a_healthy_task() -> None:
    machine = started(config())
    machine.deploy(at(1))
    for task in (2, 3):
        machine.task_exited(task, "web", at(task))
    bring_up(machine, [4], 5)
    assert DeploymentDone not in map(type, machine.commands())
    machine.task_exited(4, "web", at(6))
    assert StartTask(5, 2) in machine.commands()


# Bad use


@pytest.mark.parametrize(
    "containers",
    [
        (),
        (WEB, WEB),
        (replace(WEB, depends_on=("api",)),),
        (replace(WEB, depends_on=("api",)), ContainerConfig("api", ZERO, ("web",))),
        (replace(WEB, stop_timeout=Duration(-1)),),
    ],
)
def test_task_definition_that_cannot_be_run_is_refused(containers: tuple[ContainerConfig, ...]) -> None:
    with pytest.raises(UsageError):
        ServiceConfig(1, 100, 200, containers)


def test_inputs_out_of_order_are_refused() -> None:
    machine = ServiceMachine(config())
    with pytest.raises(ValueError, match="start"):
        machine.deploy(at(0))
    machine.start(at(0))
    with pytest.raises(ValueError, match="deploy"):
        machine.start(at(0))


# Properties


@dataclass
class World:
    """Everything around a machine, in virtual time, with the seed's delays and failures."""

    machine: ServiceMachine
    seed: random.Random
    trouble: float
    """How likely a task fails to start, dies or turns unhealthy."""
    now: Instant = field(default_factory=lambda: at(0))
    queue: list[tuple[Instant, int, Callable[[], None]]] = field(default_factory=list)
    serial: int = 0
    commands: list[ServiceCommand] = field(default_factory=list)
    running: set[int] = field(default_factory=set)
    healthy: set[int] = field(default_factory=set)
    open: set[int] = field(default_factory=set)
    """Started and not gone."""

    def later(self, longest_s: float, act: Callable[[], None]) -> None:
        self.serial += 1
        when = self.now + Duration(self.seed.randrange(round(longest_s * 1_000_000) + 1))
        heapq.heappush(self.queue, (when, self.serial, act))

    def unlucky(self) -> bool:
        return self.seed.random() < self.trouble

    def show(self, task: int, state: TargetState) -> None:
        if state is TargetState.HEALTHY and task in self.running:
            self.healthy.add(task)
        else:
            self.healthy.discard(task)
        self.machine.target_state(task, state, self.now)

    def exit(self, task: int, container: str) -> None:
        # Death by itself is not the scheduler's doing, so the floor does not bind here.
        essential = {c.name for c in self.machine.config.containers if c.essential}
        if container in essential:
            self.running.discard(task)
            self.healthy.discard(task)
        self.machine.task_exited(task, container, self.now)

    def obey(self) -> None:
        commands = self.machine.commands()
        self.commands += commands
        for command in commands:
            self.do(command)
            assert len(self.running) <= self.machine.config.ceiling
        begun = {command.task for command in commands if isinstance(command, StartTask)}
        assert begun <= self.running, "a task was started only to be stopped"

    def do(self, command: ServiceCommand) -> None:
        names = [container.name for container in self.machine.config.containers]
        match command:
            case StartTask(task):
                self.running.add(task)
                self.open.add(task)
                if self.unlucky():
                    self.later(3, lambda: self.exit(task, names[0]))
                else:
                    self.later(3, lambda: self.machine.task_ready(task, self.now))
            case Register(task):
                self.later(5, lambda: self.show(task, TargetState.HEALTHY))
                if self.unlucky():
                    self.later(60, lambda: self.show(task, TargetState.UNHEALTHY))
                if self.unlucky():
                    self.later(60, lambda: self.exit(task, self.seed.choice(names)))
            case Deregister(task):
                self.leave(task)
                self.later(30, lambda: self.show(task, TargetState.UNUSED))
            case SignalContainer(task, container):
                self.leave(task)
                if not self.unlucky():
                    self.later(40, lambda: self.exit(task, container))
            case KillContainer(task, container):
                self.later(0.1, lambda: self.exit(task, container))
            case TaskGone(task):
                self.open.remove(task)
            case DeploymentDone():
                pass

    def leave(self, task: int) -> None:
        """The scheduler takes the task away: with a healthy one, the floor must still be met."""
        if task in self.healthy:
            self.healthy.remove(task)
            assert len(self.healthy) >= self.machine.config.floor
        self.running.discard(task)

    def run(self, limit: int = 3000) -> None:
        """Until nothing is left to happen, or `limit` things have."""
        self.obey()
        for _ in range(limit):
            deadline = self.machine.next_deadline()
            assert deadline is None or deadline >= self.now
            if self.queue and (deadline is None or self.queue[0][0] <= deadline):
                self.now, _, act = heapq.heappop(self.queue)
                act()
            elif deadline is not None:
                self.now = deadline
                self.machine.handle_timer(self.now)
                after = self.machine.next_deadline()
                assert after is None or after > self.now
            else:
                return
            self.obey()
        pytest.fail("the service does not come to rest")


task_definitions = st.sampled_from(
    [
        (WEB,),
        (WEB, ContainerConfig("side", ZERO, essential=False)),
        (
            ContainerConfig("httpd", Duration.of(s=20), ("api",)),
            ContainerConfig("api", Duration.of(s=2), ("base",)),
            ContainerConfig("base", ZERO),
        ),
    ]
)

services = st.builds(
    ServiceConfig,
    desired_count=st.integers(0, 6),
    minimum_healthy_percent=st.integers(0, 100),
    maximum_percent=st.integers(100, 250),
    containers=task_definitions,
    health_check_grace=st.integers(0, 30_000_000).map(Duration),
    deregistration_poll=st.integers(0, 15_000_000).map(Duration),
    stopping_counts=st.booleans(),
)


@given(services, st.integers(0, 2**32), st.sampled_from([0.0, 0.1, 0.3]), st.integers(1, 3))
def test_service_keeps_ceiling_and_floor_and_lets_go_of_every_task(
    settings: ServiceConfig, seed: int, trouble: float, deploys: int
) -> None:
    world = World(ServiceMachine(settings), random.Random(seed), trouble)
    world.machine.start(world.now)
    world.obey()
    for _ in range(deploys):
        world.later(100, lambda: world.machine.deploy(world.now))
    world.run()

    assert len(set(world.commands)) == len(world.commands), "something was said twice"
    last = deploys + 1
    done = {c.revision: c for c in world.commands if isinstance(c, DeploymentDone)}
    if settings.desired_count or trouble == 0:
        assert sorted(done) == list(range(1, last + 1))
    event(f"last deployment ok: {done[last].ok}")
    assert world.open == world.running
    if trouble == 0:
        # Where floor and ceiling meet, only tasks that were not healthy yet could make room.
        assert done[last].ok or settings.floor == settings.ceiling
        revisions = {c.task: c.revision for c in world.commands if isinstance(c, StartTask)}
        if done[last].ok:
            assert [revisions[task] for task in world.open] == [last] * settings.desired_count

    for task in {c.task for c in world.commands if isinstance(c, TaskGone)}:
        own = [c for c in world.commands if not isinstance(c, DeploymentDone) and c.task == task]
        order = [type(c) for c in own]
        assert order[0] is StartTask
        assert order[-1] is TaskGone
        assert (Register in order) == (Deregister in order)
        for kill in kinds(own, KillContainer):
            assert isinstance(kill, KillContainer)
            assert own.index(SignalContainer(task, kill.container)) < own.index(kill)


@given(services, st.integers(0, 2**32))
def test_service_repeats_exactly(settings: ServiceConfig, seed: int) -> None:
    runs = []
    for _ in range(2):
        world = World(ServiceMachine(settings), random.Random(seed), 0.2)
        world.machine.start(world.now)
        world.later(100, lambda: world.machine.deploy(world.now))  # noqa: B023 - run before the next turn
        world.run()
        runs.append(world.commands)
    assert runs[0] == runs[1]
