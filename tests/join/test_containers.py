"""What runs in a container: Dockerfile, entrypoint script, command line, configuration, version."""

from __future__ import annotations

from pathlib import Path

import pytest
from tests.join.trees import CONF, written

from keepalign.join.containers import Programs
from keepalign.join.program import Program
from keepalign.model.path import JoinBy
from keepalign.readers._fragments import ApacheFragment, GunicornFragment
from keepalign.readers.tree import read_tree

GUNICORN = 'FROM python:3.12\nCMD ["gunicorn", "--bind", ":8000", "app:app"]\n'


def programs(root: str, hints: dict[str, str] | None = None) -> dict[str, Program]:
    """The containers of the only task definition of a tree."""
    tree = read_tree([root])
    (module,) = tree.aws
    (task,) = module.task_definitions
    return Programs(tree).of_task(task.containers, module.file, hints or {})


def with_task(folder: Path, containers: str, files: dict[str, str]) -> str:
    text = f"""
    variable "image" {{}}
    resource "aws_ecs_task_definition" "t" {{
      family                = "shop"
      container_definitions = jsonencode([{containers}])
    }}
    """
    return written(folder, {"infra/main.tf": text, **files})


def gunicorn_of(program: Program) -> GunicornFragment:
    assert isinstance(program.server, GunicornFragment), program.missing
    return program.server


# Command lines


def test_entrypoint_script_command_and_exports_make_one_command_line(tmp_path: Path) -> None:
    files = {
        "app/Dockerfile": 'FROM python:3.12\nCOPY run.sh /\nENTRYPOINT ["/run.sh"]\nCMD ["--bind", ":1"]\n',
        "app/run.sh": '#!/bin/sh\nexport GUNICORN_CMD_ARGS="--threads 4"\nexec gunicorn "$@" app:app\n',
    }
    root = with_task(tmp_path, '{ name = "a", image = "r/app", command = ["--bind", ":2"] }', files)
    program = programs(root)["a"]
    server = gunicorn_of(program)
    assert program.command is not None
    assert [word.text for word in program.command.words] == ["gunicorn", "--bind", ":2", "app:app"]
    assert (program.ports, server.worker_class, server.threads) == ((2,), "gthread", 4)


def test_entrypoint_of_the_task_drops_the_command_of_the_image(tmp_path: Path) -> None:
    container = '{ name = "a", image = "r/app", entryPoint = ["gunicorn", "a:a"] }'
    program = programs(with_task(tmp_path, container, {"app/Dockerfile": GUNICORN}))["a"]
    assert program.command is not None
    assert [word.text for word in program.command.words] == ["gunicorn", "a:a"]


def test_script_that_the_dockerfile_copies_is_meant_of_several_with_its_name(tmp_path: Path) -> None:
    files = {
        "a/Dockerfile": 'FROM python:3\nCOPY entry.sh /\nENTRYPOINT ["/entry.sh"]\n',
        "a/entry.sh": "#!/bin/sh\nexec gunicorn -b :1 x:x\n",
        "ab/entry.sh": "#!/bin/sh\nexec gunicorn -b :2 x:x\n",
    }
    assert programs(with_task(tmp_path, '{ name = "c", image = "r/a" }', files))["c"].ports == (1,)


def test_script_that_may_be_one_of_several_is_not_guessed(tmp_path: Path) -> None:
    files = {
        "a/Dockerfile": 'FROM base\nENTRYPOINT ["/entry.sh"]\n',
        "b/entry.sh": "#!/bin/sh\nexec gunicorn -b :1 x:x\n",
        "c/entry.sh": "#!/bin/sh\nexec gunicorn -b :2 x:x\n",
    }
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/a" }', files))["c"]
    assert program.server is None
    assert "/b/entry.sh or " in program.missing


def test_script_that_is_not_there_is_what_is_missing(tmp_path: Path) -> None:
    files = {"a/Dockerfile": 'FROM python:3\nENTRYPOINT ["/docker-entrypoint.sh"]\nCMD ["gunicorn"]\n'}
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/a" }', files))["c"]
    assert program.missing.startswith("its entrypoint /docker-entrypoint.sh is not in the given folders")


# Apache


def test_apache_of_an_image_is_the_configuration_that_its_dockerfile_copies(tmp_path: Path) -> None:
    files = {
        "httpd/Dockerfile": "FROM httpd:2.4.66-alpine\nCOPY conf/ /usr/local/apache2/conf/\n",
        "httpd/conf/httpd.conf": CONF,
        "other/httpd.conf": CONF,
    }
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/shop-httpd:7" }', files))["c"]
    assert isinstance(program.server, ApacheFragment)
    assert program.server.file.endswith("/httpd/conf/httpd.conf")
    assert [evidence.by for evidence in program.evidence] == [JoinBy.NAME, JoinBy.REFERENCE]
    assert (program.version, program.stop_signal, program.ports) == ("2.4.66", "SIGWINCH", (8080,))
    assert program.version_origin is not None
    assert program.version_origin.steps[0].span.place.endswith("/httpd/Dockerfile:1:6")


def test_only_configuration_belongs_to_the_only_apache(tmp_path: Path) -> None:
    files = {"shop/Dockerfile": "FROM php:8.3-apache\n", "conf/site.conf": CONF}
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/shop" }', files))["c"]
    assert isinstance(program.server, ApacheFragment)
    assert [evidence.by for evidence in program.evidence] == [JoinBy.NAME, JoinBy.ONLY_CANDIDATE]
    assert program.version == "", "the tag counts releases of PHP"


@pytest.mark.parametrize(
    ("files", "missing"),
    [
        ({}, "no Apache configuration in the given folders"),
        ({"a/httpd.conf": CONF, "b/httpd.conf": CONF}, "several Apache configurations"),
    ],
)
def test_configuration_of_an_apache_that_is_not_certain_is_missing(
    tmp_path: Path, files: dict[str, str], missing: str
) -> None:
    root = with_task(tmp_path, '{ name = "c", image = "httpd:2.4" }', files)
    program = programs(root)["c"]
    assert program.server is None
    assert program.missing.startswith(missing)
    assert "; give the folder of " in program.missing


# Which Dockerfile


@pytest.mark.parametrize(
    ("image", "dockerfile"),
    [
        ("r/orders-httpd:1", "orders/httpd"),
        ("r/billing-httpd:1", "billing/httpd"),
        ("r/orders_api:1", "orders-api"),
        ("r/orders-api:1", "orders-api"),
        ("r/worker:1", "Dockerfile.worker"),
    ],
)
def test_dockerfile_is_found_by_the_name_of_the_image(tmp_path: Path, image: str, dockerfile: str) -> None:
    files = {
        "orders/httpd/Dockerfile": GUNICORN,
        "billing/httpd/Dockerfile": GUNICORN,
        "orders-api/Dockerfile": GUNICORN,
        "misc/Dockerfile.worker": GUNICORN,
    }
    program = programs(with_task(tmp_path, f'{{ name = "c", image = "{image}" }}', files))["c"]
    assert dockerfile in program.files[0]
    assert program.evidence[0].by is JoinBy.NAME


def test_of_dockerfiles_with_one_name_the_nearest_to_the_module_is_taken(tmp_path: Path) -> None:
    task = """
    resource "aws_ecs_task_definition" "t" {
      container_definitions = jsonencode([{ name = "c", image = "r/app" }])
    }
    """
    root = written(
        tmp_path, {"a/infra/main.tf": task, "a/app/Dockerfile": GUNICORN, "b/app/Dockerfile": GUNICORN}
    )
    assert programs(root)["c"].folder == f"{root}/a/app"


def test_dockerfiles_that_nothing_tells_apart_are_listed(tmp_path: Path) -> None:
    files = {"a/app/Dockerfile": GUNICORN, "b/app/Dockerfile": GUNICORN}
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/app" }', files))["c"]
    assert program.server is None
    assert "/a/app/Dockerfile, " in program.missing
    assert '[containers] c = "path"' in program.missing


def test_only_dockerfile_builds_the_only_image_without_a_name(tmp_path: Path) -> None:
    files = {"src/Dockerfile": GUNICORN}
    one = programs(with_task(tmp_path / "one", '{ name = "c", image = var.image }', files))
    assert one["c"].evidence[0].by is JoinBy.ONLY_CANDIDATE
    two = '{ name = "c", image = var.image }, { name = "agent", image = "${var.image}-agent" }'
    assert all(p.server is None for p in programs(with_task(tmp_path / "two", two, files)).values())


def test_hint_names_a_folder_a_dockerfile_or_an_httpd_conf(tmp_path: Path) -> None:
    files = {"x/Dockerfile": GUNICORN, "y/Dockerfile.prod": GUNICORN, "z/httpd.conf": CONF}
    root = with_task(tmp_path, '{ name = "c", image = "r/zzz" }', files)
    for path, file in (
        ("x", "x/Dockerfile"),
        ("y/Dockerfile.prod", "y/Dockerfile.prod"),
        ("z/httpd.conf", "z/httpd.conf"),
        ("z", "z/httpd.conf"),
    ):
        program = programs(root, {"c": f"{root}/{path}"})["c"]
        assert program.files[0] == f"{root}/{file}"
        assert program.evidence[0].by is JoinBy.HINT
    program = programs(root, {"c": f"{root}/nowhere"})["c"]
    assert program.missing.startswith(f"keepalign.toml says that c is built from {root}/nowhere, and no")


def test_containers_whose_names_are_not_known_are_all_kept(tmp_path: Path) -> None:
    two = '{ name = var.image, image = "a" }, { name = var.image, image = "b" }'
    assert [p.image for p in programs(with_task(tmp_path, two, {})).values()] == ["a", "b"]


# Versions


@pytest.mark.parametrize(
    ("dockerfile", "files", "version"),
    [
        ("", {"requirements.txt": "flask\ngunicorn==27.0.1\n"}, "27.0.1"),
        ("", {"requirements.txt": "gunicorn>=23\n"}, ""),
        ("", {"requirements.txt": "flask\n", "requirements/prod.txt": "gunicorn==25.0\n"}, ""),
        ("COPY requirements/ .\n", {"requirements/prod.txt": "Gunicorn[gevent] == 25.0\n"}, "25.0"),
        (
            "COPY . .\n",
            {"requirements/a.txt": "gunicorn==25.0\n", "requirements/b.txt": "gunicorn==26.0"},
            "",
        ),
        ("", {}, ""),
    ],
)
def test_version_of_gunicorn_is_the_one_that_is_pinned(
    tmp_path: Path, dockerfile: str, files: dict[str, str], version: str
) -> None:
    at_app = {f"app/{name}": text for name, text in files.items()}
    at_app["app/Dockerfile"] = GUNICORN.replace("CMD", dockerfile + "CMD")
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/app" }', at_app))["c"]
    assert program.version == version
    if version:
        assert program.version_origin is not None
        assert program.version_origin.steps[0].what == f"gunicorn=={version}"
        assert program.version_origin.steps[0].span.file.startswith(f"{tmp_path}/app/requirements")


@pytest.mark.parametrize(
    ("written_signal", "signal"),
    [("STOPSIGNAL 3\n", "SIGQUIT"), ("STOPSIGNAL WINCH\n", "SIGWINCH"), ("", "SIGTERM")],
)
def test_stop_signal_is_the_image_s(tmp_path: Path, written_signal: str, signal: str) -> None:
    files = {"app/Dockerfile": GUNICORN + written_signal}
    program = programs(with_task(tmp_path, '{ name = "c", image = "r/app" }', files))["c"]
    assert program.stop_signal == signal
