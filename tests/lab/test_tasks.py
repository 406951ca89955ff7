"""Tasks: ports, what runs in them, and what happens when something does not start."""

from __future__ import annotations

import asyncio
import json
import socket
import sys
import urllib.request
from dataclasses import replace
from pathlib import Path

import pytest
from inline_snapshot import snapshot
from tests.lab import small_stack

from keepalign.errors import LabError
from keepalign.join import Loaded
from keepalign.lab import loop, tasks
from keepalign.lab.recipes import stand_in
from keepalign.lab.scale import Scale
from keepalign.lab.supervisor import Supervisor
from keepalign.lab.tasks import (
    Application,
    Ports,
    StartedTask,
    TaskFactory,
    declared,
    environment,
    missing_backends,
    rehearse,
    times_of,
)
from keepalign.model.setting import value_of
from keepalign.readers._fragments import GunicornFragment
from keepalign.units import Duration

OWN = '"--bind", ":8000", "--workers", "2"'
SCALE_ENV = 'time_scale_env = "SCALE"'


def test_ports_are_handed_out_once_and_skip_what_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(tasks, "_FIRST_PORT", port)
        monkeypatch.setattr(tasks, "_LAST_PORT", port + 20)
        ports = Ports()
        found = {ports.take() for _ in range(5)}
    assert len(found) == 5
    assert port not in found


def test_no_free_port_is_an_error_that_says_what_to_do(monkeypatch: pytest.MonkeyPatch) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        monkeypatch.setattr(tasks, "_FIRST_PORT", port)
        monkeypatch.setattr(tasks, "_LAST_PORT", port + 1)
        with pytest.raises(LabError) as raised:
            Ports().take()
    assert f"no free port on 127.0.0.1 between {port}" in raised.value.message
    assert "end the programs that listen there" in raised.value.hint


def test_backend_without_a_container_gets_a_stand_in(tmp_path: Path) -> None:
    (alone,) = small_stack.load(small_stack.write(tmp_path / "a")).targets
    (served,) = small_stack.load(small_stack.write(tmp_path / "b", gunicorn=OWN)).targets
    assert missing_backends(alone) == {"stand-in-8000": 8000}
    assert missing_backends(served) == {}


def test_backend_on_another_host_gets_a_stand_in_too(tmp_path: Path) -> None:
    conf = small_stack.APACHE.replace(
        "    ProxyPass / ",
        "    ProxyPass /stock http://inventory.internal:9000/\n"
        "    RewriteEngine On\n"
        "    RewriteRule ^/old http://legacy.internal:9100/ [P]\n"
        "    ProxyPass / ",
    )
    (target,) = small_stack.load(small_stack.write(tmp_path, conf=conf)).targets
    assert list(missing_backends(target).values()) == [8000, 9000, 9100]


def test_declared_endpoints_are_handed_to_the_stand_in_in_scaled_seconds(tmp_path: Path) -> None:
    both = '{ path = "/r", longest_silence = "90s", longest_request = "95s" }'
    endpoints = f'[{both}, {{ path = "/x", longest_silence = "1s" }}]'
    loaded = small_stack.load(small_stack.write(tmp_path, endpoints=endpoints))
    assert json.loads(declared(loaded.workload, Scale(10))) == [["/r", 9.0, 9.5], ["/x", 0.1, 0.1]]


def test_environment_is_the_containers_with_our_path_and_the_factor(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path, gunicorn=OWN))
    dockerfile = tmp_path / "app" / "Dockerfile"
    dockerfile.write_text(dockerfile.read_text() + "ENV MODE=live PATH=/opt/image/bin\n", "utf-8")
    (target,) = small_stack.load(tmp_path).targets
    env = environment(target.programs["app"], "SCALE", Scale(12))
    assert env["MODE"] == "live"
    assert env["SCALE"] == "12"
    assert "/opt/image/bin" not in env["PATH"]
    assert "SCALE" not in environment(loaded.targets[0].programs["app"], "", Scale(12))


def test_times_of_gunicorn_are_written_or_its_defaults(tmp_path: Path) -> None:
    def times(words: str) -> dict[str, Duration | None]:
        (target,) = small_stack.load(small_stack.write(tmp_path, gunicorn=words)).targets
        server = target.programs["app"].server
        assert isinstance(server, GunicornFragment)
        return {option: value_of(setting) for option, setting in times_of(server).items()}

    assert times(OWN + ', "-t", "45"') == {
        "timeout": Duration.of(s=45),
        "graceful_timeout": Duration.of(s=30),
        "keepalive": None,
    }
    assert times(OWN + ', "--threads", "4"')["keepalive"] == Duration.of(s=2)


# What follows starts real processes.


def factory(loaded: Loaded, supervisor: Supervisor, applications: dict[str, Application]) -> TaskFactory:
    return TaskFactory(
        target=loaded.targets[0],
        sources=loaded.sources,
        workload=loaded.workload,
        scale=Scale(10),
        time_scale_env=loaded.time_scale_env,
        supervisor=supervisor,
        folder=supervisor.folder,
        ports=Ports(),
        applications=applications,
    )


def started(loaded: Loaded, folder: Path, applications: dict[str, Application]) -> tuple[StartedTask, bytes]:
    """A task, and what it answers to GET /quick."""

    def get(address: str) -> bytes:
        with urllib.request.urlopen(address, timeout=10) as answer:
            body: bytes = answer.read()
            return body

    async def run() -> tuple[StartedTask, bytes]:
        async with Supervisor.start(folder) as supervisor:
            task = await factory(loaded, supervisor, applications).start(1, 1)
            address = f"http://{task.target.host}:{task.target.port}/quick"
            return task, await asyncio.to_thread(get, address)

    return loop.run(run())


@pytest.mark.lab
def test_task_answers_through_the_users_own_application(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack", gunicorn=OWN, application=SCALE_ENV))
    applications = loop.run(rehearse(loaded.targets[0], Scale(10), "SCALE", tmp_path / "rehearsal"))
    assert applications == {"app": Application("app")}
    task, body = started(loaded, tmp_path / "run", applications)
    assert body == b"mine\n"
    assert set(task.containers) == {"httpd", "app"}
    assert not (tmp_path / "run").exists()
    assert not (tmp_path / "rehearsal").exists()


@pytest.mark.lab
def test_application_that_cannot_be_imported_is_stood_in_for(tmp_path: Path) -> None:
    app = "import a_module_that_nobody_has\n"
    loaded = small_stack.load(
        small_stack.write(tmp_path / "stack", gunicorn=OWN, application=SCALE_ENV, app=app)
    )
    applications = loop.run(rehearse(loaded.targets[0], Scale(10), "SCALE", tmp_path / "rehearsal"))
    why = applications["app"].stand_in_because
    assert why == snapshot("ModuleNotFoundError: No module named 'a_module_that_nobody_has'")
    _, body = started(loaded, tmp_path / "run", applications)
    assert body == b"keepalign stand-in\n"


@pytest.mark.lab
def test_application_whose_times_cannot_be_divided_is_stood_in_for(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack", gunicorn=OWN))
    applications = loop.run(rehearse(loaded.targets[0], Scale(10), "", tmp_path / "rehearsal"))
    assert "time_scale_env" in applications["app"].stand_in_because
    assert loop.run(rehearse(loaded.targets[0], Scale(1), "", tmp_path / "rehearsal")) == {
        "app": Application("app")
    }


@pytest.mark.lab
def test_stand_in_program_is_a_container_of_the_task(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack"))
    task, body = started(loaded, tmp_path / "run", {})
    assert body == b"keepalign stand-in\n"
    assert set(task.containers) == {"httpd", "stand-in-8000"}
    assert task.containers["stand-in-8000"].argv[:3] == (sys.executable, "-I", stand_in.__file__)


@pytest.mark.lab
def test_server_that_dies_while_starting_shows_the_end_of_its_log(tmp_path: Path) -> None:
    lines = "KeepAliveTimeout 90\nNoSuchDirective On"
    loaded = small_stack.load(small_stack.write(tmp_path / "stack", lines=lines))
    with pytest.raises(LabError) as raised:
        started(loaded, tmp_path / "run", {})
    assert raised.value.message.startswith("httpd ended with 1 while starting; its log ends with:\n")
    assert "Invalid command 'NoSuchDirective'" in raised.value.message
    assert "--keep" in raised.value.hint
    assert not (tmp_path / "run").exists()


@pytest.mark.lab
def test_port_taken_in_the_meantime_is_told_by_the_server(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack"))
    with socket.create_server(("127.0.0.1", 0)) as taken:
        monkeypatch.setattr(Ports, "take", lambda self: taken.getsockname()[1])
        with pytest.raises(LabError) as raised:
            started(loaded, tmp_path / "run", {})
    assert "ddress already in use" in raised.value.message


@pytest.mark.lab
def test_server_that_never_listens_is_given_up(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Long enough for Python to start and print on a busy machine.
    monkeypatch.setattr(tasks, "_START_LIMIT_S", 3)
    loaded = small_stack.load(small_stack.write(tmp_path / "stack"))
    monkeypatch.setattr(stand_in, "__file__", str(tmp_path / "silent.py"))
    (tmp_path / "silent.py").write_text("import signal\nprint('here I am', flush=True)\nsignal.pause()\n")
    with pytest.raises(LabError) as raised:
        started(loaded, tmp_path / "run", {})
    assert "stand-in-8000 does not listen on port" in raised.value.message
    assert "here I am" in raised.value.message


def test_unknown_port_of_the_front_is_an_error(tmp_path: Path) -> None:
    loaded = small_stack.load(small_stack.write(tmp_path / "stack"))
    (target,) = loaded.targets
    httpd = replace(target.programs["httpd"], ports=())
    loaded = replace(loaded, targets=(replace(target, programs={"httpd": httpd}),))
    with pytest.raises(LabError) as raised:
        started(loaded, tmp_path / "run", {})
    assert raised.value.message == "the port that httpd listens on is not known"
