"""Application servers beside gunicorn, and gunicorn.conf.py: from image to path, finding and fix."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

import pytest
from tests.join.trees import alb, told, whole_service, written

from keepalign.cli import run
from keepalign.join import load_stack
from keepalign.model.path import Hop, Product
from keepalign.model.setting import Default, Explicit, Unknown, Unlimited, value_of
from keepalign.model.timers import Role
from keepalign.units import Duration

CONTAINER = '{ name = "web", image = "registry/app:1", %s portMappings = [{ containerPort = 8080 }] }'
GTHREAD = 'CMD ["gunicorn", "-k", "gthread", "-b", ":8080", "app:app"]\n'
UVICORN = 'CMD ["uvicorn", "app:app", "--port", "8080"]\n'
IMAGE = "FROM python:3.12-slim\nWORKDIR /srv\nCOPY . .\n"


def tree(folder: Path, files: Mapping[str, str], *, more: str = "") -> str:
    """A service behind a balancer, whose image is built in `app`."""
    terraform = alb() + whole_service("app", containers=CONTAINER % more)
    return written(folder, {"main.tf": terraform, **{f"app/{name}": text for name, text in files.items()}})


def server(root: str) -> Hop:
    (path,) = load_stack([root]).stack.paths
    assert path.hops[0].product is Product.AWS_ALB
    return path.hops[-1]


def idle(root: str) -> Duration | None:
    return value_of(server(root).settings[Role.SERVER_IDLE])


def s(number: float) -> Duration:
    return Duration.of(s=number)


def test_uvicorn_with_its_version_and_defaults(tmp_path: Path) -> None:
    hop = server(
        tree(tmp_path, {"Dockerfile": IMAGE + UVICORN, "requirements.txt": "uvicorn[standard]==0.30.1\n"})
    )
    assert (hop.product, hop.version, hop.name) == (Product.UVICORN, "0.30.1", "web")
    assert isinstance(hop.settings[Role.SERVER_IDLE], Default)
    assert value_of(hop.settings[Role.SERVER_IDLE]) == s(5)
    assert isinstance(hop.settings[Role.SHUTDOWN_GRACE], Unlimited)
    assert hop.settings[Role.SHUTDOWN_GRACE].site is not None


def test_uvicorn_that_has_no_such_flag_yet_is_not_given_it(tmp_path: Path) -> None:
    """timeout_graceful_shutdown came with 0.22."""
    hop = server(tree(tmp_path, {"Dockerfile": IMAGE + UVICORN, "requirements.txt": "uvicorn==0.21.0\n"}))
    assert hop.settings[Role.SHUTDOWN_GRACE].site is None
    assert hop.settings[Role.SERVER_IDLE].site is not None


def test_environment_of_the_task_reaches_uvicorn(tmp_path: Path) -> None:
    more = 'environment = [{ name = "UVICORN_TIMEOUT_KEEP_ALIVE", value = "75" }],'
    assert idle(tree(tmp_path, {"Dockerfile": IMAGE + UVICORN}, more=more)) == s(75)


def test_uvicorn_through_an_entrypoint_script(tmp_path: Path) -> None:
    script = '#!/bin/sh\nset -e\nexec uvicorn app:app --port 8080 --timeout-keep-alive "${KEEP:-7}" "$@"\n'
    files = {
        "Dockerfile": IMAGE + 'ENTRYPOINT ["./entrypoint.sh"]\nCMD ["--workers", "2"]\n',
        "entrypoint.sh": script,
    }
    hop = server(tree(tmp_path, files))
    assert (hop.product, value_of(hop.settings[Role.SERVER_IDLE])) == (Product.UVICORN, s(7))


@pytest.mark.parametrize(
    "start",
    [
        'CMD ["./bin/start.sh"]',
        "CMD ./bin/start.sh",
        'CMD ["bash", "/srv/bin/start.sh"]',
        'ENTRYPOINT ["/srv/wait"]\nCMD ["/srv/bin/start.sh"]',
    ],
)
def test_uvicorn_through_a_script_that_the_command_names(start: str, tmp_path: Path) -> None:
    """A start script as the image's CMD, alone or behind an entrypoint that waits for the database."""
    files = {
        "Dockerfile": f"{IMAGE}{start}\n",
        "wait": '#!/bin/sh\nset -e\nuntil nc -z db 5432; do echo waiting; done\nexec "$@"\n',
        "bin/start.sh": "#!/bin/bash\nset -e\npython manage.py migrate\n"
        "export UVICORN_TIMEOUT_KEEP_ALIVE=7\nexec uvicorn app:app --port 8080\n",
    }
    hop = server(tree(tmp_path, files))
    assert (hop.product, value_of(hop.settings[Role.SERVER_IDLE])) == (Product.UVICORN, s(7))


def test_script_that_starts_no_server_is_not_looked_through(tmp_path: Path) -> None:
    """An image that builds a package runs a script, too."""
    files = {"Dockerfile": IMAGE + 'CMD ["/srv/build.sh"]\n', "build.sh": "#!/bin/sh\nmake\ncp a.deb /out/\n"}
    stack = load_stack([tree(tmp_path, files)]).stack
    assert not stack.paths[0].hops[1:]
    assert "keepalign has no reader for what web runs" in stack.unjoined[0].missing


def test_script_that_starts_itself_ends(tmp_path: Path) -> None:
    files = {"Dockerfile": IMAGE + 'CMD ["./loop.sh"]\n', "loop.sh": "#!/bin/sh\nexec ./loop.sh\n"}
    assert not load_stack([tree(tmp_path, files)]).stack.paths[0].hops[1:]


def test_fastapi_run_is_uvicorn_that_no_flag_changes(tmp_path: Path) -> None:
    hop = server(
        tree(tmp_path, {"Dockerfile": IMAGE + 'CMD ["fastapi", "run", "app.py", "--port", "8080"]\n'})
    )
    assert hop.product is Product.UVICORN
    setting = hop.settings[Role.SERVER_IDLE]
    assert (value_of(setting), setting.site) == (s(5), None)


def test_hypercorn_with_a_file(tmp_path: Path) -> None:
    files = {
        "Dockerfile": IMAGE + 'CMD ["hypercorn", "-c", "conf/prod.toml", "app:app"]\n',
        "conf/prod.toml": 'bind = "0.0.0.0:8080"\nkeep_alive_timeout = 75\n',
        "requirements.txt": "hypercorn==0.18.0\n",
    }
    hop = server(tree(tmp_path, files))
    assert (hop.product, hop.version) == (Product.HYPERCORN, "0.18.0")
    assert value_of(hop.settings[Role.SERVER_IDLE]) == s(75)
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == s(3)


@pytest.mark.parametrize("image", [IMAGE, IMAGE.replace("COPY . .", "COPY gunicorn.conf.py app.py ./")])
def test_gunicorn_reads_its_conf_by_itself(image: str, tmp_path: Path) -> None:
    conf = "import os\nworker_class = 'gthread'\nkeepalive = int(os.environ.get('KEEP', '65'))\n"
    files = {"Dockerfile": image + 'CMD ["gunicorn", "-b", ":8080", "app:app"]\n', "gunicorn.conf.py": conf}
    root = tree(tmp_path, files)
    hop = server(root)
    setting = hop.settings[Role.SERVER_IDLE]
    assert (value_of(setting), hop.traits["worker_class"]) == (s(65), "gthread")
    assert setting.origin.use is not None
    assert setting.origin.use.file.endswith("app/gunicorn.conf.py")
    assert setting.origin.use.line == 3
    more = 'environment = [{ name = "KEEP", value = "90" }],'
    assert idle(tree(tmp_path, files, more=more)) == s(90)


def test_uvicorn_worker_takes_the_keep_alive_of_gunicorn(tmp_path: Path) -> None:
    """2 s unless set, where uvicorn by itself has 5."""
    files = {
        "Dockerfile": IMAGE + 'CMD ["gunicorn", "-b", ":8080", "app:app"]\n',
        "gunicorn.conf.py": 'worker_class = "uvicorn.workers.UvicornWorker"\n',
    }
    hop = server(tree(tmp_path, files))
    assert hop.traits["worker_class"] == "uvicorn.workers.UvicornWorker"
    assert value_of(hop.settings[Role.SERVER_IDLE]) == s(2)


def test_flags_win_over_the_environment_over_the_conf(tmp_path: Path) -> None:
    command = 'CMD ["gunicorn", "-k", "gthread", "--keep-alive", "75", "-b", ":8080", "app:app"]\n'
    files = {
        "Dockerfile": IMAGE + "ENV GUNICORN_CMD_ARGS='--keep-alive 30 --graceful-timeout 20'\n" + command,
        "gunicorn.conf.py": "keepalive = 5\ngraceful_timeout = 10\ntimeout = 50\n",
    }
    root = tree(tmp_path, files)
    hop = server(root)
    setting = hop.settings[Role.SERVER_IDLE]
    assert value_of(setting) == s(75)
    conf = f"{root}/app/gunicorn.conf.py"
    assert setting.origin.note == (
        f"wins over --keep-alive 30 (GUNICORN_CMD_ARGS) and keepalive = 5 ({conf}, line 1)"
    )
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == s(20)


@pytest.mark.parametrize(
    ("flag", "file"),
    [
        ("conf/prod.py", "conf/prod.py"),
        ("/srv/conf/prod.py", "conf/prod.py"),
        ("file:conf/prod.py", "conf/prod.py"),
        ("python:conf.prod", "conf/prod.py"),
        ("/etc/gunicorn/prod.py", "deploy/prod.py"),
    ],
)
def test_conf_that_a_flag_names(flag: str, file: str, tmp_path: Path) -> None:
    command = f'CMD ["gunicorn", "-c", "{flag}", "app:app"]\n'
    text = 'bind = "0.0.0.0:8080"\nthreads = 4\nkeepalive = 65\n'
    # Only the named one is read.
    files = {"Dockerfile": IMAGE + command, file: text, "gunicorn.conf.py": "keepalive = 1\n"}
    assert idle(tree(tmp_path, files)) == s(65)


def test_conf_named_inside_a_shell_is_read(tmp_path: Path) -> None:
    files = {
        "Dockerfile": IMAGE + "CMD exec gunicorn --config=deploy/settings.py app:app\n",
        "deploy/settings.py": "threads = 4\nkeepalive = 65\n",
    }
    assert idle(tree(tmp_path, files)) == s(65)


def test_conf_that_nobody_copies_may_be_there_or_not(tmp_path: Path) -> None:
    files = {
        "Dockerfile": "FROM python:3.12\nWORKDIR /srv\nCOPY app.py .\n" + GTHREAD,
        "gunicorn.conf.py": "keepalive = 75\n",
    }
    setting = server(tree(tmp_path, files)).settings[Role.SERVER_IDLE]
    assert isinstance(setting, Unknown)
    assert "no COPY of" in setting.reason


def test_conf_that_is_no_python_hides_its_options(tmp_path: Path) -> None:
    files = {"Dockerfile": IMAGE + GTHREAD, "gunicorn.conf.py": "{% if x %}\nkeepalive = 75\n"}
    joined = load_stack([tree(tmp_path, files)])
    (path,) = joined.stack.paths
    setting = path.hops[-1].settings[Role.SERVER_IDLE]
    assert isinstance(setting, Unknown)
    assert "is no Python" in setting.reason


def test_behind_apache_by_port(tmp_path: Path) -> None:
    root = written(
        tmp_path,
        {
            "httpd/Dockerfile": "FROM httpd:2.4\nCOPY httpd.conf conf/\n",
            "httpd/httpd.conf": "Listen 80\nProxyPass / http://127.0.0.1:8080/\n",
            "app/Dockerfile": IMAGE + UVICORN,
        },
    )
    stack = load_stack([root], in_front=["aws-alb:idle_timeout=60s"]).stack
    (path,) = stack.paths
    assert [hop.product for hop in path.hops] == [Product.AWS_ALB, Product.APACHE_HTTPD, Product.UVICORN]


def test_a_server_without_a_balancer_is_told_by_its_name(tmp_path: Path) -> None:
    root = written(tmp_path, {"Dockerfile": IMAGE + UVICORN})
    assert [what.split(" in ")[0] for what in told(load_stack([root]).stack.unjoined)] == ["uvicorn"]
    root = written(tmp_path / "b", {"start.sh": "#!/bin/sh\nexec hypercorn app:app\n"})
    assert [what.split(" in ")[0] for what in told(load_stack([root]).stack.unjoined)] == ["hypercorn"]


@pytest.mark.parametrize(
    ("files", "place", "changed"),
    [
        (
            {"Dockerfile": IMAGE + UVICORN},
            "app/Dockerfile:4:1",
            'CMD ["uvicorn", "app:app", "--port", "8080", "--timeout-keep-alive", "90"]',
        ),
        (
            {"Dockerfile": IMAGE + "CMD exec uvicorn app:app --port 8080 --timeout-keep-alive 60\n"},
            "app/Dockerfile:4:38",
            "CMD exec uvicorn app:app --port 8080 --timeout-keep-alive 90",
        ),
        (
            {"Dockerfile": IMAGE + 'CMD ["hypercorn", "-b", ":8080", "app:app"]\n'},
            "app/Dockerfile:4:1",
            'CMD ["hypercorn", "-b", ":8080", "app:app", "--keep-alive", "90"]',
        ),
        (
            {
                "Dockerfile": IMAGE + 'CMD ["hypercorn", "-c", "h.toml", "app:app"]\n',
                "h.toml": 'bind = ":8080"\nkeep_alive_timeout = 20 # short\n',
            },
            "app/h.toml:2:1",
            "keep_alive_timeout = 90 # short",
        ),
        (
            {"Dockerfile": IMAGE + GTHREAD, "gunicorn.conf.py": "timeout = 30\nkeepalive = 5\n"},
            "app/gunicorn.conf.py:2:1",
            "keepalive = 90",
        ),
        (
            {
                "Dockerfile": IMAGE + "ENV KEEP=30\n" + GTHREAD,
                "gunicorn.conf.py": "import os\nkeepalive = int(os.getenv('KEEP', '5'))\n",
            },
            "app/gunicorn.conf.py:2:1",
            'CMD ["gunicorn", "-k", "gthread", "-b", ":8080", "app:app", "--keep-alive", "90"]',
        ),
        (
            {"Dockerfile": IMAGE + GTHREAD, "gunicorn.conf.py": "timeout = 30\n"},
            "app/Dockerfile:4:1",
            "keepalive = 90",
        ),
    ],
    ids=[
        "uvicorn",
        "uvicorn flag",
        "hypercorn",
        "hypercorn toml",
        "gunicorn conf",
        "environment",
        "conf without it",
    ],
)
def test_finding_names_the_place_and_its_fix_reads_back_clean(
    files: Mapping[str, str],
    place: str,
    changed: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    tree(tmp_path / "stack", files)
    assert run(["check", "stack"]) == 1
    out = capfd.readouterr().out
    assert "[backend-keepalive-below-lb-idle]" in out
    assert f"--> stack/{place}" in out
    assert run(["fix", "--write", "stack"]) == 0
    out = capfd.readouterr().out
    assert [line[1:] for line in out.splitlines() if line.startswith("+") and line[1] != "+"] == [changed]
    assert run(["check", "stack"]) == 0


def test_explicit_values_are_explicit(tmp_path: Path) -> None:
    flags = UVICORN.replace("]", ', "--timeout-keep-alive", "75", "--timeout-graceful-shutdown", "30"]')
    hop = server(tree(tmp_path, {"Dockerfile": IMAGE + flags}))
    assert isinstance(hop.settings[Role.SERVER_IDLE], Explicit)
    assert value_of(hop.settings[Role.SHUTDOWN_GRACE]) == s(30)
