"""One run: balancer, tasks, load and a rolling deploy."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest
from tests.lab import small_stack

from keepalign.join import Loaded, load_stack
from keepalign.lab import loop
from keepalign.lab.arrivals import evenly
from keepalign.lab.clock import LoopClock
from keepalign.lab.experiment import (
    Experiment,
    Happening,
    UserTasks,
    What,
    balancer_config,
    load_generator,
    run,
    service_config,
)
from keepalign.lab.scale import Scale
from keepalign.lab.tasks import Ports
from keepalign.model.trace import ClientFailure, Ending, EventKind
from keepalign.units import ZERO, Duration

STORY = Path(__file__).parents[2] / "examples" / "orders-api"


def experiment(loaded: Loaded, *, scale: int = 10, deploy_at: Duration | None = None) -> Experiment:
    (target,) = loaded.targets
    return Experiment(
        name="one",
        tasks=UserTasks(target, loaded.sources, loaded.time_scale_env, {}),
        paths=tuple(path for path in loaded.stack.paths if path.name in target.paths),
        workload=loaded.workload,
        scale=Scale(scale),
        schedule=evenly(Random(1), "/quick", every=Duration.of(ms=20), length=Duration.of(s=4)),
        happenings=(Happening(What.DEPLOY, deploy_at),) if deploy_at is not None else (),
        seed=1,
    )


def test_balancer_runs_the_scaled_times_of_the_stack() -> None:
    loaded = load_stack([str(STORY / "broken")])
    config = balancer_config(loaded.stack.paths, Scale(10))
    assert config.idle_timeout == Duration.of(s=6)
    assert config.deregistration_delay == ZERO
    assert config.connect_timeout == Duration.of(s=1)
    assert config.client_keep_alive == Duration.of(s=360)
    assert config.deregistration_lag == ZERO
    check = config.health_check
    assert (check.path, check.interval, check.timeout) == ("/health", Duration.of(s=1), Duration.of(s=0.5))
    assert (check.healthy_threshold, check.unhealthy_threshold, check.matcher) == (2, 3, "200")


def test_waiting_for_an_answer_is_not_scaled_below_what_a_busy_machine_takes() -> None:
    loaded = load_stack([str(STORY / "broken")])
    config = balancer_config(loaded.stack.paths, Scale(60))
    assert config.connect_timeout == Duration.of(s=0.5)
    assert config.health_check.timeout == Duration.of(s=0.5)
    assert config.health_check.interval == Duration.of(s=0.6)
    assert config.idle_timeout == Duration.of(s=1)


def test_balancer_without_a_service_has_the_defaults_of_aws() -> None:
    paths = tuple(replace(p, lifecycle=None) for p in load_stack([str(STORY / "broken")]).stack.paths)
    config = balancer_config(paths, Scale(1))
    assert config.health_check.interval == Duration.of(s=30)
    assert config.deregistration_delay == ZERO, "nothing is ever deregistered"


def test_service_stops_the_web_server_before_what_it_proxies_to() -> None:
    config = service_config(experiment(load_stack([str(STORY / "broken")])))
    assert (config.desired_count, config.floor, config.ceiling) == (2, 2, 4)
    assert {c.name: (c.stop_timeout, c.depends_on) for c in config.containers} == {
        "httpd": (Duration.of(s=2), ("api", "reports")),
        "api": (Duration.of(s=2), ()),
        "reports": (Duration.of(s=2), ()),
    }
    assert config.deregistration_poll == Duration.of(ms=500)
    assert config.health_check_grace == Duration.of(s=6)


def test_stand_in_is_a_container_that_outlives_the_web_server(tmp_path: Path) -> None:
    config = service_config(experiment(small_stack.load(small_stack.write(tmp_path))))
    assert {c.name: c.depends_on for c in config.containers} == {
        "httpd": ("stand-in-8000",),
        "stand-in-8000": (),
    }


@pytest.mark.parametrize(
    ("idle_s", "scale", "limit"),
    [(60, 10, Duration.of(s=1)), (20, 10, Duration.of(s=2) / 3), (60, 60, Duration.of(s=1) / 3)],
)
def test_client_lets_go_of_connections_long_before_the_balancer(
    tmp_path: Path, idle_s: int, scale: int, limit: Duration
) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path, idle_s=idle_s))

    async def make() -> Duration:
        clock = LoopClock(asyncio.get_running_loop())
        return load_generator(experiment(loaded, scale=scale), 1, clock).idle_limit

    assert loop.run(make()) == limit


def test_client_waits_longer_than_any_declared_request(tmp_path: Path) -> None:
    endpoints = '[{ path = "/x", longest_request = "600s" }]'
    loaded = small_stack.load(small_stack.write(tmp_path, endpoints=endpoints))

    async def make(scale: int) -> Duration:
        clock = LoopClock(asyncio.get_running_loop())
        return load_generator(experiment(loaded, scale=scale), 1, clock).request_limit

    assert loop.run(make(1)) == Duration.of(s=1200)
    assert loop.run(make(60)) == Duration.of(s=60)


@pytest.mark.lab
def test_run_of_a_sound_stack_answers_everything_across_a_deploy(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack", delay_s=10))
    done: list[tuple[int, int]] = []
    result = loop.run(
        run(
            experiment(loaded, deploy_at=Duration.of(ms=500)),
            tmp_path / "run",
            Ports(),
            progress=lambda *counts: done.append(counts),
        )
    )
    clients, balancer = result.trace.clients, result.trace.balancer
    assert len(clients) == 200
    assert {(c.status, c.failure) for c in clients} == {(200, ClientFailure.NONE)}
    assert {c.trace_root for c in clients} == {r.trace_root for r in balancer}
    assert {r.ending for r in balancer} == {Ending.RESPONSE}
    assert len({r.target for r in balancer}) == 2, "the old task and the new one"
    assert done[-1] == (200, 200)
    events = [event.kind for event in result.trace.events]
    for kind in (
        EventKind.DEPLOYMENT_STARTED, EventKind.TARGET_DEREGISTERED, EventKind.TASK_STOP_SIGNAL,
        EventKind.TASK_EXITED, EventKind.DEPLOYMENT_ENDED,
    ):  # fmt: skip
        assert kind in events
    stopped = [e.subject.split("/")[1] for e in result.trace.events if e.kind is EventKind.TASK_STOP_SIGNAL]
    assert stopped == ["httpd", "stand-in-8000"]
    assert len(result.access_log) == 200
    assert ZERO < result.lags.share(50) < Duration.of(ms=500)
    assert ZERO < result.server_lags.share(50) < Duration.of(ms=500)
    assert set(result.diffs) == {"httpd"}
    assert set(result.logs) >= {"task-1/httpd.log", "task-2/httpd.log"}
    assert not (tmp_path / "run").exists()


@pytest.mark.lab
def test_kept_folder_holds_configuration_and_logs(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack"))
    one = replace(experiment(loaded), schedule=())
    loop.run(run(one, tmp_path / "run", Ports(), keep=True))
    assert {path.name for path in (tmp_path / "run").iterdir()} >= {"access.log", "task-1"}
    assert b"KeepAliveTimeout 9000ms" in (tmp_path / "run" / "task-1" / "httpd.conf").read_bytes()


@pytest.mark.lab
def test_cancelled_run_replaces_none_of_the_tasks_that_its_end_ends(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack"))

    async def main() -> None:
        under_load = asyncio.Event()
        one = run(experiment(loaded), tmp_path / "run", Ports(), progress=lambda *_: under_load.set())
        task = asyncio.create_task(one)
        async with asyncio.timeout(30):
            await under_load.wait()
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert asyncio.all_tasks() == {asyncio.current_task()}

    loop.run(main())
    assert not (tmp_path / "run").exists()
